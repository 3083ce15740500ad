//! INSERT, UPDATE and DELETE.
//!
//! Rows of temp tables are kept here; rows of lasting tables are the host's, told as [`Change`]s.

use super::tables::{Table, not_null, shown, stored, unique};
use super::{Frame, Raised, Run, Session};
use crate::ast::{Arith, Expr, InsertSource, Name};
use crate::bind::{Binder, assigned};
use crate::error::SqlError;
use crate::eval::{self, Ctx, Env};
use crate::host::{Change, Event, Host, Sink};
use crate::types::{Row, Ty, Value};
use std::sync::Arc;

/// New rows: values with their types, and whether DEFAULT was written.
type Cells = Vec<Option<(Value, Ty)>>;

impl<H: Host> Session<H> {
    /// Notes a change that belongs to the open transaction; those of table variables do not.
    pub(super) fn soil(&mut self, table: &Table) {
        let variable = matches!(table, Table::Temp(key) if key.starts_with('@'));
        self.dirty |= self.state.trancount > 0 && !variable;
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
        self.soil(&table);
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
        self.soil(&table);
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
        self.soil(&table);
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
                let change = Change::Delete(changes.into_iter().map(|c| c.1).collect());
                count = self.host.change(object, change).await?;
            }
        }
        self.done(Some(count), frame, out);
        Ok(())
    }
}
