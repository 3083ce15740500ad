//! SELECT as a statement, and INSERT, UPDATE, DELETE, CREATE TABLE and DROP TABLE.
//!
//! Rows of temp tables are kept here; rows of lasting tables are the host's, told as [`Change`]s.

use super::temps::Temp;
use super::{Frame, Raised, Run, Session};
use crate::ast::{Arith, ColumnDef, Expr, InsertSource, Name, Query};
use crate::bind::names::resolve;
use crate::bind::{Binder, assigned};
use crate::convert::{check_assign, compare, convert_from, plain};
use crate::error::SqlError;
use crate::eval::{self, Ctx, Env, query};
use crate::host::{Change, Event, Host, ObjectName, Sink};
use crate::plan::Plan;
use crate::types::{Column, MAX, Row, Ty, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// Where rows go: a table of the session, or one of the host's.
enum Table {
    Temp(String),
    Host(ObjectName),
}

/// New rows: values with their types, and whether DEFAULT was written.
type Cells = Vec<Option<(Value, Ty)>>;

impl<H: Host> Session<H> {
    fn plan(&self, query: &Query, frame: &Frame) -> Run<Arc<Plan>> {
        if let Some(plan) = frame.plans.get(&(std::ptr::from_ref(query) as usize)) {
            return Ok(Arc::clone(plan));
        }
        let temps = self.temps(frame);
        let plan = Binder::new(&self.catalog(frame, &temps)).statement(query).map_err(Raised::compile)?;
        Ok(Arc::new(plan))
    }

    fn run(&self, plan: &Plan, frame: &Frame) -> Run<Vec<Row>> {
        let temps = self.temps(frame);
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        Ok(query::rows(plan, &cx, None)?)
    }

    /// SET IMPLICIT_TRANSACTIONS ON: reading or changing a table begins a transaction.
    fn implicit_transaction(&mut self) {
        if self.settings.implicit_transactions && self.state.trancount == 0 {
            self.set_trancount(1);
        }
    }

    pub(super) async fn select(&mut self, query: &Query, frame: &mut Frame, out: &mut dyn Sink) -> Run<()> {
        let plan = self.plan(query, frame)?;
        if let crate::ast::Body::Select(select) = &query.body
            && !select.from.is_empty()
        {
            self.implicit_transaction();
        }
        let rows = self.run(&plan, frame)?;
        let count = rows.len() as u64;
        if let Some(name) = &plan.into {
            self.select_into(name, &plan.columns, rows, frame).await?;
            self.done(Some(count), frame, out);
            return Ok(());
        }
        if plan.assigns.is_empty() {
            out.send(Event::Columns(plan.columns.clone()));
            rows.into_iter().for_each(|r| out.send(Event::Row(r)));
            self.done(Some(count), frame, out);
        } else {
            self.state.rowcount = count as i64;
        }
        Ok(())
    }

    async fn select_into(
        &mut self,
        name: &Name,
        columns: &[Column],
        rows: Vec<Row>,
        frame: &mut Frame,
    ) -> Run<()> {
        for (i, column) in columns.iter().enumerate() {
            if column.name.is_empty() {
                return Err(SqlError::new(1038, &[]).into());
            }
            if columns[..i].iter().any(|c| c.name.eq_ignore_ascii_case(&column.name)) {
                return Err(SqlError::new(2705, &[&column.name, &name.join(".")]).into());
            }
        }
        let def = |c: &Column| ColumnDef {
            name: c.name.clone(),
            ty: c.ty,
            nullable: c.nullable,
            identity: None,
            default: None,
            unique: false,
        };
        self.create_table(name, &columns.iter().map(def).collect::<Vec<_>>(), frame)?;
        match self.table(name)? {
            Table::Temp(key) => {
                if let Some(temp) = self.temps.get_mut(&key) {
                    temp.rows = Arc::new(rows);
                }
            }
            Table::Host(object) => {
                let change = Change::Insert((0..columns.len()).collect(), rows);
                self.host.change(&object, change).await?;
            }
        }
        Ok(())
    }

    fn table(&self, name: &[String]) -> Run<Table> {
        let last = name.last().map_or("", String::as_str);
        if last.starts_with('#') || last.starts_with('@') {
            return Ok(Table::Temp(last.to_lowercase()));
        }
        Ok(Table::Host(resolve(name, &self.database)?))
    }

    /// Columns of a table that is to be changed. Errors: 208, 1087, and 259 for catalog views.
    fn target(&self, table: &Table, name: &[String], frame: &Frame) -> Run<Vec<Column>> {
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

    fn temp<'f>(&'f self, key: &str, frame: &'f Frame) -> Option<&'f Temp> {
        if key.starts_with('@') { frame.tables.get(key) } else { self.temps.get(key) }
    }

    /// Positions of the columns that an INSERT names; all but identity where it names none.
    fn positions(
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

    pub(super) fn check_insert(
        &self,
        name: &[String],
        names: &[String],
        width: Option<usize>,
        frame: &Frame,
    ) -> Run<()> {
        let table = self.table(name)?;
        let columns = self.target(&table, name, frame)?;
        let positions = self.positions(&table, names, &columns, frame)?;
        match width {
            Some(width) if width != positions.len() => Err(if names.is_empty() {
                SqlError::new(213, &[]).into()
            } else {
                SqlError::new(if width < positions.len() { 120 } else { 121 }, &[]).into()
            }),
            _ => Ok(()),
        }
    }

    pub(super) async fn insert(
        &mut self,
        name: &Name,
        names: &[String],
        source: &InsertSource,
        frame: &mut Frame,
        out: &mut dyn Sink,
    ) -> Run<()> {
        let table = self.table(name)?;
        let columns = self.target(&table, name, frame)?;
        self.implicit_transaction();
        let mut lines: Vec<Cells> = Vec::new();
        match source {
            InsertSource::Query(query) => {
                let plan = self.plan(query, frame)?;
                if !plan.assigns.is_empty() {
                    return Err(Raised::compile(SqlError::new(141, &[])));
                }
                let types: Vec<Ty> = plan.columns.iter().map(|c| c.ty).collect();
                let cells = |row: Row| row.into_iter().zip(&types).map(|(v, ty)| Some((v, *ty))).collect();
                lines.extend(self.run(&plan, frame)?.into_iter().map(cells));
            }
            InsertSource::Values(rows) => {
                for row in rows {
                    let mut cells = Cells::with_capacity(row.len());
                    for expr in row {
                        cells.push(match expr {
                            Expr::Default => None,
                            expr => Some(self.scalar(expr, frame)?),
                        });
                    }
                    lines.push(cells);
                }
            }
            InsertSource::Defaults => lines.push(Vec::new()),
            InsertSource::Exec(exec) => {
                if self.capturing {
                    return Err(SqlError::new(8164, &[]).into());
                }
                let mut events: Vec<Event> = Vec::new();
                self.capturing = true;
                let result = self.exec(exec, frame, &mut events).await;
                self.capturing = false;
                let mut types = Vec::new();
                for event in events {
                    match event {
                        Event::Columns(columns) => types = columns.iter().map(|c| c.ty).collect(),
                        Event::Row(row) => {
                            lines.push(row.into_iter().zip(&types).map(|(v, ty)| Some((v, *ty))).collect());
                        }
                        Event::Done { .. } => {}
                        other => out.send(other),
                    }
                }
                result?;
            }
        }
        let mut positions = self.positions(&table, names, &columns, frame)?;
        if matches!(source, InsertSource::Defaults) {
            positions.clear();
        }
        if lines.iter().any(|l| l.len() != positions.len()) {
            return Err(SqlError::new(213, &[]).with_state(7).into());
        }
        let count = lines.len() as u64;
        match &table {
            Table::Temp(key) => self.insert_temp(key, &positions, lines, frame)?,
            Table::Host(object) => {
                if lines.iter().flatten().any(Option::is_none) {
                    return Err(Raised::compile(SqlError::new(156, &[&"DEFAULT"])));
                }
                let mut rows = Vec::with_capacity(lines.len());
                for line in lines {
                    let mut row = Row::with_capacity(line.len());
                    for (cell, at) in line.into_iter().flatten().zip(&positions) {
                        row.push(stored(cell, &columns[*at], &shown(&table), "INSERT")?);
                    }
                    rows.push(row);
                }
                self.dirty |= self.state.trancount > 0;
                self.host.change(object, Change::Insert(positions, rows)).await?;
            }
        }
        self.done(Some(count), frame, out);
        Ok(())
    }

    fn insert_temp(
        &mut self,
        key: &str,
        positions: &[usize],
        lines: Vec<Cells>,
        frame: &mut Frame,
    ) -> Run<()> {
        let Some(temp) = self.temp(key, frame) else { return Err(SqlError::new(208, &[&key]).into()) };
        let (defs, mut rows, mut next) = (temp.defs.clone(), temp.rows.to_vec(), temp.next);
        let columns = temp.columns();
        let table = shown(&Table::Temp(key.to_owned()));
        for line in lines {
            let mut row: Row = Vec::with_capacity(defs.len());
            for def in &defs {
                row.push(match (&def.identity, &def.default) {
                    (Some(_), _) => Value::Int(next),
                    (None, Some(default)) => self.scalar_as(default, def.ty, frame)?,
                    _ => Value::Null,
                });
            }
            if let Some((_, step)) = defs.iter().find_map(|d| d.identity) {
                self.state.identity = Some(next);
                next += step;
            }
            for (cell, at) in line.into_iter().zip(positions) {
                if let Some(cell) = cell {
                    row[*at] = stored(cell, &columns[*at], &table, "INSERT")?;
                }
            }
            for (column, value) in columns.iter().zip(&row) {
                not_null(column, value, &table, "INSERT")?;
            }
            rows.push(row);
        }
        unique(&defs, &rows, &table)?;
        let tables = if key.starts_with('@') { &mut frame.tables } else { &mut self.temps };
        if let Some(temp) = tables.get_mut(key) {
            temp.rows = Arc::new(rows);
            temp.next = next;
        }
        Ok(())
    }

    pub(super) fn check_update(
        &self,
        name: &[String],
        sets: &[(String, Option<Arith>, Expr)],
        filter: Option<&Expr>,
        frame: &Frame,
    ) -> Run<()> {
        let table = self.table(name)?;
        let columns = self.target(&table, name, frame)?;
        let temps = self.temps(frame);
        let catalog = self.catalog(frame, &temps);
        let exprs: Vec<&Expr> = sets.iter().map(|s| &s.2).collect();
        let last = name.last().map_or("", String::as_str);
        let (values, _) = Binder::new(&catalog).over_table(last, &columns, &exprs, filter)?;
        for ((column, op, _), value) in sets.iter().zip(values) {
            let at = columns.iter().position(|c| c.name.eq_ignore_ascii_case(column));
            let at = at.ok_or_else(|| SqlError::new(207, &[column]))?;
            if op.is_none() {
                assigned(value, columns[at].ty)?;
            }
        }
        Ok(())
    }

    /// Rows that a filter keeps, each with its new form.
    fn changed(
        &self,
        name: &[String],
        table: &Table,
        sets: &[(String, Option<Arith>, Expr)],
        filter: Option<&Expr>,
        frame: &Frame,
    ) -> Run<Vec<(usize, Row, Row)>> {
        let columns = self.target(table, name, frame)?;
        let temps = self.temps(frame);
        let catalog = self.catalog(frame, &temps);
        let exprs: Vec<&Expr> = sets.iter().map(|s| &s.2).collect();
        let last = name.last().map_or("", String::as_str);
        let mut binder = Binder::new(&catalog);
        let (values, filter) = binder.over_table(last, &columns, &exprs, filter).map_err(Raised::compile)?;
        let rows = match table {
            Table::Temp(key) => self.temp(key, frame).map(|t| t.rows.to_vec()).unwrap_or_default(),
            Table::Host(object) => self.host.rows(object)?,
        };
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        let mut out = Vec::new();
        for (i, row) in rows.into_iter().enumerate() {
            let env = Env { row: &row, up: None };
            if let Some(filter) = &filter
                && eval::truth(filter, &cx, &env)? != Some(true)
            {
                continue;
            }
            let mut new = row.clone();
            for ((column, op, _), value) in sets.iter().zip(&values) {
                let at = columns.iter().position(|c| c.name.eq_ignore_ascii_case(column));
                let at = at.ok_or_else(|| Raised::compile(SqlError::new(207, &[column])))?;
                let cell = eval::value(&value.ex, &cx, &env)?;
                let cell = match op {
                    None => (cell, value.ty),
                    Some(op) => {
                        let ty = columns[at].ty;
                        (eval::arith::compound(*op, row[at].clone(), ty, cell, value.ty)?, ty)
                    }
                };
                new[at] = stored(cell, &columns[at], &shown(table), "UPDATE")?;
                not_null(&columns[at], &new[at], &shown(table), "UPDATE")?;
            }
            out.push((i, row, new));
        }
        Ok(out)
    }

    pub(super) async fn update(
        &mut self,
        name: &Name,
        sets: &[(String, Option<Arith>, Expr)],
        filter: Option<&Expr>,
        frame: &mut Frame,
        out: &mut dyn Sink,
    ) -> Run<()> {
        let table = self.table(name)?;
        self.implicit_transaction();
        let changes = self.changed(name, &table, sets, filter, frame)?;
        let mut count = changes.len() as u64;
        match &table {
            Table::Temp(key) => {
                let tables = if key.starts_with('@') { &mut frame.tables } else { &mut self.temps };
                if let Some(temp) = tables.get_mut(key) {
                    let mut rows = temp.rows.to_vec();
                    for (i, _, new) in changes {
                        rows[i] = new;
                    }
                    unique(&temp.defs, &rows, &shown(&table))?;
                    temp.rows = Arc::new(rows);
                }
            }
            Table::Host(object) => {
                self.dirty |= self.state.trancount > 0;
                let change = Change::Update(changes.into_iter().map(|(_, old, new)| (old, new)).collect());
                count = self.host.change(object, change).await?;
            }
        }
        self.done(Some(count), frame, out);
        Ok(())
    }

    pub(super) async fn delete(
        &mut self,
        name: &Name,
        filter: Option<&Expr>,
        frame: &mut Frame,
        out: &mut dyn Sink,
    ) -> Run<()> {
        let table = self.table(name)?;
        self.implicit_transaction();
        let changes = self.changed(name, &table, &[], filter, frame)?;
        let mut count = changes.len() as u64;
        match &table {
            Table::Temp(key) => {
                let tables = if key.starts_with('@') { &mut frame.tables } else { &mut self.temps };
                if let Some(temp) = tables.get_mut(key) {
                    let gone: std::collections::HashSet<usize> = changes.iter().map(|c| c.0).collect();
                    let kept = temp.rows.iter().enumerate().filter(|(i, _)| !gone.contains(i));
                    temp.rows = Arc::new(kept.map(|(_, r)| r.clone()).collect());
                }
            }
            Table::Host(object) => {
                self.dirty |= self.state.trancount > 0;
                let change = Change::Delete(changes.into_iter().map(|c| c.1).collect());
                count = self.host.change(object, change).await?;
            }
        }
        self.done(Some(count), frame, out);
        Ok(())
    }

    pub(super) fn create_table(&mut self, name: &Name, defs: &[ColumnDef], frame: &mut Frame) -> Run<()> {
        match self.table(name)? {
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
        match self.table(name)? {
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

fn shown(table: &Table) -> String {
    match table {
        Table::Temp(key) if key.starts_with('@') => key.clone(),
        Table::Temp(key) => format!("tempdb.dbo.{key}"),
        Table::Host(o) => format!("{}.{}.{}", o.database, o.schema, o.name),
    }
}

/// A value as a column keeps it. Errors: 206, 257, 8152 for text that is too long, those of conversion.
fn stored((value, from): (Value, Ty), column: &Column, table: &str, verb: &str) -> Run<Value> {
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

fn not_null(column: &Column, value: &Value, table: &str, verb: &str) -> Run<()> {
    if value.is_null() && !column.nullable {
        return Err(SqlError::new(515, &[&column.name, &table, &verb]).with_state(2).into());
    }
    Ok(())
}

fn unique(defs: &[ColumnDef], rows: &[Row], table: &str) -> Run<()> {
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
