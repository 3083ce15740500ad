//! Cursors, as old administration scripts use them: static, forward only.

use super::{Frame, Raised, Run, Session};
use crate::ast::CursorOp;
use crate::bind::Binder;
use crate::convert::convert_from;
use crate::error::SqlError;
use crate::eval::{Ctx, query};
use crate::host::{Event, Host, Sink};
use crate::plan::Plan;
use crate::types::{Row, Value};
use std::cell::RefCell;
use std::sync::Arc;

/// A declared cursor. The values of variables are those of its DECLARE.
pub(super) struct Cursor {
    plan: Arc<Plan>,
    values: Vec<Value>,
    /// Rows while it is open, and how many were fetched.
    open: Option<(Vec<Row>, usize)>,
}

impl<H: Host> Session<H> {
    pub(super) fn cursor(
        &mut self,
        name: &str,
        op: &CursorOp,
        frame: &mut Frame,
        out: &mut dyn Sink,
    ) -> Run<()> {
        let missing = || Raised::from(SqlError::new(16_916, &[&name]));
        self.state.rowcount = 0;
        match op {
            CursorOp::Declare(query) => {
                if self.cursors.contains_key(name) {
                    return Err(SqlError::new(16_915, &[&name]).into());
                }
                let temps = self.temps(frame);
                let plan =
                    Binder::new(&self.catalog(frame, &temps)).statement(query).map_err(Raised::compile)?;
                if !plan.assigns.is_empty() || plan.into.is_some() {
                    return Err(Raised::compile(SqlError::new(156, &[&"INTO"])));
                }
                let values = frame.values.borrow().clone();
                self.cursors.insert(name.to_owned(), Cursor { plan: Arc::new(plan), values, open: None });
            }
            CursorOp::Open => {
                let cursor = self.cursors.get(name).ok_or_else(missing)?;
                if cursor.open.is_some() {
                    return Err(SqlError::new(16_905, &[]).into());
                }
                let values = RefCell::new(cursor.values.clone());
                let temps = self.temps(frame);
                let cx = Ctx::new(&self.host, &values, &self.state, &temps);
                let rows = query::rows(&cursor.plan, &cx, None)?;
                if let Some(cursor) = self.cursors.get_mut(name) {
                    cursor.open = Some((rows, 0));
                }
            }
            CursorOp::Fetch(into) => self.fetch(name, into, frame, out)?,
            CursorOp::Close => {
                let cursor = self.cursors.get_mut(name).ok_or_else(missing)?;
                if cursor.open.take().is_none() {
                    return Err(SqlError::new(16_917, &[]).into());
                }
            }
            CursorOp::Deallocate => {
                self.cursors.remove(name).ok_or_else(missing)?;
            }
        }
        Ok(())
    }

    fn fetch(&mut self, name: &str, into: &[String], frame: &Frame, out: &mut dyn Sink) -> Run<()> {
        let Some(cursor) = self.cursors.get_mut(name) else {
            return Err(SqlError::new(16_916, &[&name]).into());
        };
        let Some((rows, at)) = &mut cursor.open else { return Err(SqlError::new(16_917, &[]).into()) };
        let columns = &cursor.plan.columns;
        if !into.is_empty() && into.len() != columns.len() {
            return Err(SqlError::new(16_924, &[]).into());
        }
        let row = rows.get(*at).cloned();
        *at += usize::from(row.is_some());
        self.state.fetch = if row.is_some() { 0 } else { -1 };
        self.state.rowcount = i64::from(row.is_some());
        if into.is_empty() {
            out.send(Event::Columns(columns.clone()));
            row.into_iter().for_each(|r| out.send(Event::Row(r)));
            let rows = if self.settings.nocount { None } else { Some(self.state.rowcount as u64) };
            out.send(Event::Done { rows, error: false, in_procedure: frame.nested });
            return Ok(());
        }
        if let Some(row) = row {
            for ((variable, value), column) in into.iter().zip(row).zip(columns) {
                let (slot, to) = frame.vars.find(variable)?;
                frame.values.borrow_mut()[slot] = convert_from(value, column.ty, to, 0)?;
            }
        }
        Ok(())
    }
}
