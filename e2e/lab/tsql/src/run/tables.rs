//! Tables that statements change: where they are, how they are made and dropped, what a column takes.

use super::temps::Temp;
use super::{Frame, Raised, Run, Session};
use crate::ast::{ColumnDef, Name};
use crate::bind::names::resolve;
use crate::convert::{check_assign, compare, convert_from, plain};
use crate::error::SqlError;
use crate::host::{Host, ObjectName};
use crate::types::{Column, MAX, Row, Ty, Value};
use std::cmp::Ordering;

/// Where rows go: a table of the session, or one of the host's.
pub(super) enum Table {
    Temp(String),
    Host(ObjectName),
}

impl<H: Host> Session<H> {
    pub(super) fn table(&self, name: &[String]) -> Run<Table> {
        let last = name.last().map_or("", String::as_str);
        if last.starts_with('#') || last.starts_with('@') {
            return Ok(Table::Temp(last.to_lowercase()));
        }
        Ok(Table::Host(resolve(name, &self.database)?))
    }

    /// Columns of a table that is to be changed. Errors: 208, 1087, and 259 for catalog views.
    pub(super) fn target(&self, table: &Table, name: &[String], frame: &Frame) -> Run<Vec<Column>> {
        let shown = name.join(".");
        match table {
            Table::Temp(key) => match self.temp(key, frame) {
                Some(temp) => Ok(temp.columns()),
                None if key.starts_with('@') => Err(Raised::compile(SqlError::new(1087, &[&shown]))),
                None => Err(Raised::compile(SqlError::new(208, &[&shown]))),
            },
            Table::Host(object) => match self.host.columns(object).map_err(Raised::compile)? {
                None => Err(Raised::compile(SqlError::new(208, &[&shown]))),
                Some(_) if !self.host.is_user_table(object) => Err(Raised::compile(SqlError::new(259, &[]))),
                Some(columns) => Ok(columns),
            },
        }
    }

    pub(super) fn temp<'f>(&'f self, key: &str, frame: &'f Frame) -> Option<&'f Temp> {
        if key.starts_with('@') { frame.tables.get(key) } else { self.temps.get(key) }
    }

    /// Positions of the columns that an INSERT names; all but identity where it names none.
    pub(super) fn positions(
        &self,
        table: &Table,
        names: &[String],
        columns: &[Column],
        frame: &Frame,
    ) -> Run<Vec<usize>> {
        let identity = |i: usize| match table {
            Table::Temp(key) => self.temp(key, frame).is_some_and(|t| t.defs[i].identity.is_some()),
            Table::Host(_) => false,
        };
        if names.is_empty() {
            return Ok((0..columns.len()).filter(|i| !identity(*i)).collect());
        }
        let mut out: Vec<usize> = Vec::with_capacity(names.len());
        for name in names {
            let at = columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
            let at = at.ok_or_else(|| Raised::compile(SqlError::new(207, &[name])))?;
            if out.contains(&at) {
                return Err(Raised::compile(SqlError::new(264, &[name])));
            }
            if identity(at) {
                return Err(SqlError::new(544, &[name]).into());
            }
            out.push(at);
        }
        Ok(out)
    }

    pub(super) fn create_table(&mut self, name: &Name, defs: &[ColumnDef], frame: &mut Frame) -> Run<()> {
        let table = self.table(name)?;
        self.soil(&table);
        match table {
            Table::Temp(key) => {
                if self.temps.get(&key).is_some() {
                    return Err(SqlError::new(2714, &[&key]).with_state(6).into());
                }
                for def in defs {
                    // A default is checked when the table is made, used when a row is.
                    if let Some(default) = &def.default {
                        self.scalar_as(default, def.ty, frame)?;
                    }
                }
                self.temps.insert(key.clone(), Temp::new(defs.to_vec()));
                frame.created.push(key);
            }
            Table::Host(object) => {
                if self.host.columns(&object)?.is_some() {
                    return Err(SqlError::new(2714, &[&object.name]).with_state(6).into());
                }
                if defs.iter().any(|d| d.identity.is_some() || d.default.is_some() || d.unique) {
                    // Promising a constraint that nobody keeps would be a silent success.
                    let text =
                        "Identity, default and key of an ordinary table are beyond this simulated server.";
                    return Err(SqlError::custom(50_000, 16, 1, text).into());
                }
                let column = |d: &ColumnDef| Column { name: d.name.clone(), ty: d.ty, nullable: d.nullable };
                self.host.create_table(&object, defs.iter().map(column).collect())?;
            }
        }
        Ok(())
    }

    pub(super) fn drop_table(&mut self, name: &Name, lenient: bool) -> Run<()> {
        let table = self.table(name)?;
        self.soil(&table);
        match table {
            Table::Temp(key) => {
                if !self.temps.remove(&key) && !lenient {
                    return Err(SqlError::new(3701, &[&"drop", &"table", &name.join(".")])
                        .with_state(5)
                        .into());
                }
            }
            Table::Host(object) => {
                if self.host.columns(&object)?.is_none() {
                    if lenient {
                        return Ok(());
                    }
                    return Err(SqlError::new(3701, &[&"drop", &"table", &name.join(".")])
                        .with_state(5)
                        .into());
                }
                self.host.drop_table(&object)?;
            }
        }
        Ok(())
    }
}

pub(super) fn shown(table: &Table) -> String {
    match table {
        Table::Temp(key) if key.starts_with('@') => key.clone(),
        Table::Temp(key) => format!("tempdb.dbo.{key}"),
        Table::Host(o) => format!("{}.{}.{}", o.database, o.schema, o.name),
    }
}

/// A value as a column keeps it. Errors: 206, 257, 8152 for text that is too long, those of conversion.
pub(super) fn stored((value, from): (Value, Ty), column: &Column, table: &str, verb: &str) -> Run<Value> {
    if value.is_null() {
        not_null(column, &value, table, verb)?;
        return Ok(Value::Null);
    }
    check_assign(from, column.ty)?;
    if let (Value::Text(t), Some(n)) = (&value, column.ty.length())
        && n != MAX
        && column.ty.is_text()
        && t.trim_end_matches(' ').encode_utf16().count() > n as usize
    {
        return Err(SqlError::new(8152, &[]).with_state(30).into());
    }
    Ok(convert_from(value, from, column.ty, 0)?)
}

pub(super) fn not_null(column: &Column, value: &Value, table: &str, verb: &str) -> Run<()> {
    if value.is_null() && !column.nullable {
        return Err(SqlError::new(515, &[&column.name, &table, &verb]).with_state(2).into());
    }
    Ok(())
}

pub(super) fn unique(defs: &[ColumnDef], rows: &[Row], table: &str) -> Run<()> {
    for (i, def) in defs.iter().enumerate().filter(|(_, d)| d.unique) {
        let mut values: Vec<&Value> = rows.iter().map(|r| &r[i]).collect();
        values.sort_by(|a, b| crate::convert::order(a, b));
        for pair in values.windows(2) {
            let same = compare(pair[0], pair[1]) == Some(Ordering::Equal);
            if same {
                let key = format!("({})", plain(pair[0]));
                let kind = if def.nullable { "UNIQUE KEY" } else { "PRIMARY KEY" };
                return Err(SqlError::new(2627, &[&kind, &def.name, &table, &key]).into());
            }
        }
    }
    Ok(())
}
