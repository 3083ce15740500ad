//! Binds FROM: tables, derived tables, VALUES, joins and APPLY.

use super::expr::together;
use super::{Binder, Clause, Result, Scope, ScopeColumn, Typed};
use crate::ast::{Cmp, JoinKind, Name, Source};
use crate::error::SqlError;
use crate::plan::{Ex, From, Join, Plan, Pred};
use crate::types::{Column, Ty};
use std::sync::Arc;

impl<'q> Binder<'_, 'q> {
    pub(super) fn source(
        &mut self,
        up: Option<&Scope<'_>>,
        source: &'q Source,
        columns: &mut Vec<ScopeColumn>,
    ) -> Result<From> {
        let start = columns.len();
        match source {
            Source::Table { name, alias } => self.table(name, alias.as_ref(), columns),
            Source::Derived { query, alias, columns: names } => {
                let mut inner = self.nested();
                let plan = inner.query(up, query, false)?;
                self.lasting &= inner.lasting;
                add(columns, alias, named(&plan, alias, names)?)?;
                Ok(From::Sub(Arc::new(plan)))
            }
            Source::Values { rows, alias, columns: names } => {
                let empty = Scope { columns: &[], up };
                let mut lines = Vec::new();
                for row in rows {
                    let line = row.iter().map(|e| self.value(&empty, e)).collect::<Result<Vec<_>>>()?;
                    lines.push(line);
                }
                let (values, types) = columnwise(lines)?;
                if names.len() != types.len() {
                    let number = if names.len() < types.len() { 8158 } else { 8159 };
                    return Err(SqlError::new(number, &[alias]));
                }
                let list = names.iter().zip(types).map(|(n, ty)| Column::new(n.clone(), ty)).collect();
                add(columns, alias, list)?;
                Ok(From::Values(values))
            }
            Source::Join { kind, left, right, on } => {
                let left = self.source(up, left, columns)?;
                let left_width = columns.len() - start;
                let right = self.source(up, right, columns)?;
                let right_width = columns.len() - start - left_width;
                let (mut keys, mut rest) = (Vec::new(), None);
                if let Some(on) = on {
                    let clause = std::mem::replace(&mut self.clause, Clause::On);
                    let pred = self.pred(&Scope { columns: &columns[start..], up }, on)?;
                    self.clause = clause;
                    (keys, rest) = equalities(pred, left_width);
                }
                let (outer_left, outer_right) = match kind {
                    JoinKind::Left => (false, true),
                    JoinKind::Right => (true, false),
                    JoinKind::Full => (true, true),
                    _ => (false, false),
                };
                for (i, c) in columns[start..].iter_mut().enumerate() {
                    c.column.nullable |= if i < left_width { outer_left } else { outer_right };
                }
                Ok(From::Join(Box::new(Join {
                    kind: *kind,
                    left,
                    right,
                    left_width,
                    right_width,
                    keys,
                    rest,
                })))
            }
            Source::Apply { outer, left, right } => {
                let left = self.source(up, left, columns)?;
                let Source::Derived { query, alias, columns: names } = &**right else {
                    return Err(SqlError::new(156, &[&"APPLY"]));
                };
                let mut inner = self.nested();
                let plan = inner.query(Some(&Scope { columns: &columns[start..], up }), query, false)?;
                self.lasting &= inner.lasting;
                let mut list = named(&plan, alias, names)?;
                list.iter_mut().for_each(|c| c.nullable |= *outer);
                let width = list.len();
                add(columns, alias, list)?;
                Ok(From::Apply { outer: *outer, left: Box::new(left), right: Arc::new(plan), width })
            }
        }
    }

    fn table(
        &mut self,
        name: &'q Name,
        alias: Option<&String>,
        columns: &mut Vec<ScopeColumn>,
    ) -> Result<From> {
        let last = &name[name.len() - 1];
        let shown = alias.unwrap_or(last);
        if name.len() == 1
            && let Some(at) = self.ctes.iter().rposition(|c| c.name.eq_ignore_ascii_case(last))
        {
            let cte = self.ctes[at].clone();
            let mut inner = self.nested();
            inner.ctes.truncate(at);
            let plan = inner.query(None, cte.query, false)?;
            self.lasting &= inner.lasting;
            add(columns, shown, named(&plan, cte.name, cte.columns)?)?;
            return Ok(From::Sub(Arc::new(plan)));
        }
        if last.starts_with('@') || last.starts_with('#') {
            self.lasting = false;
            let folded = last.to_lowercase();
            let Some(list) = self.catalog.temps.temp_columns(&folded) else {
                let number = if last.starts_with('@') { 1087 } else { 208 };
                return Err(SqlError::new(number, &[last]));
            };
            add(columns, shown, list)?;
            return Ok(From::Temp(folded));
        }
        let object = super::names::resolve(name, self.catalog.database)?;
        match self.catalog.host.columns(&object)? {
            Some(list) => {
                add(columns, shown, list)?;
                Ok(From::Host(object))
            }
            None => Err(SqlError::new(208, &[&name.join(".")])),
        }
    }
}

pub(super) fn cross(left: From, right: From, left_width: usize, right_width: usize) -> From {
    let kind = JoinKind::Cross;
    From::Join(Box::new(Join { kind, left, right, left_width, right_width, keys: Vec::new(), rest: None }))
}

/// Adds a source's columns under its exposed name; 1011 when the name is taken.
fn add(columns: &mut Vec<ScopeColumn>, qualifier: &str, list: Vec<Column>) -> Result<()> {
    if columns.iter().any(|c| c.qualifier.eq_ignore_ascii_case(qualifier)) {
        return Err(SqlError::new(1011, &[&qualifier]));
    }
    columns.extend(list.into_iter().map(|column| ScopeColumn { qualifier: qualifier.to_owned(), column }));
    Ok(())
}

/// Columns of a derived table or CTE, renamed by its column list.
fn named(plan: &Plan, alias: &str, names: &[String]) -> Result<Vec<Column>> {
    let mut columns = plan.columns.clone();
    if !names.is_empty() {
        if names.len() != columns.len() {
            let number = if names.len() < columns.len() { 8158 } else { 8159 };
            return Err(SqlError::new(number, &[&alias]));
        }
        for (column, name) in columns.iter_mut().zip(names) {
            column.name.clone_from(name);
        }
    }
    for (i, column) in columns.iter().enumerate() {
        if column.name.is_empty() {
            return Err(SqlError::new(8155, &[&(i + 1), &alias]));
        }
        if columns[..i].iter().any(|c| c.name.eq_ignore_ascii_case(&column.name)) {
            return Err(SqlError::new(8156, &[&column.name, &alias]));
        }
    }
    Ok(columns)
}

/// Brings the columns of VALUES rows to one type each.
fn columnwise(lines: Vec<Vec<Typed>>) -> Result<(Vec<Vec<Ex>>, Vec<Ty>)> {
    let width = lines.first().map_or(0, Vec::len);
    let mut rows = vec![Vec::with_capacity(width); lines.len()];
    let mut types = Vec::with_capacity(width);
    for i in 0..width {
        let (ty, values) = together(lines.iter().map(|l| l[i].clone()).collect())?;
        types.push(ty);
        for (row, value) in rows.iter_mut().zip(values) {
            row.push(value);
        }
    }
    Ok((rows, types))
}

/// Takes the equalities between the two sides out of a join's condition.
fn equalities(pred: Pred, left_width: usize) -> (Vec<(Ex, Ex)>, Option<Pred>) {
    let parts = match pred {
        Pred::And(parts) => parts,
        other => vec![other],
    };
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Pred::Compare(Cmp::Eq, a, b) => match (side(&a, left_width), side(&b, left_width)) {
                (Some(false), Some(true)) => keys.push((a, shifted(b, left_width))),
                (Some(true), Some(false)) => keys.push((b, shifted(a, left_width))),
                _ => rest.push(Pred::Compare(Cmp::Eq, a, b)),
            },
            other => rest.push(other),
        }
    }
    let rest = if rest.is_empty() { None } else { Some(Pred::And(rest)) };
    (keys, rest)
}

/// Which side an expression looks at: right (true), left (false), or neither alone.
fn side(ex: &Ex, left_width: usize) -> Option<bool> {
    let (mut left, mut right, mut other) = (false, false, false);
    let _ = ex.clone().walk(0, &mut |e, _| {
        match e {
            Ex::Col(0, i) if *i < left_width => left = true,
            Ex::Col(0, _) => right = true,
            Ex::Col(..) | Ex::Scalar(_) => other = true,
            _ => {}
        }
        Ok(false)
    });
    match (left, right, other) {
        (true, false, false) => Some(false),
        (false, true, false) => Some(true),
        _ => None,
    }
}

fn shifted(mut ex: Ex, by: usize) -> Ex {
    let _ = ex.walk(0, &mut |e, _| {
        if let Ex::Col(0, i) = e {
            *i -= by;
        }
        Ok(false)
    });
    ex
}
