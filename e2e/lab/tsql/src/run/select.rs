//! SELECT as a statement: result sets, assignments, SELECT INTO.

use super::tables::Table;
use super::{Frame, Raised, Run, Session};
use crate::ast::{ColumnDef, Name, Query};
use crate::bind::Binder;
use crate::error::SqlError;
use crate::eval::{Ctx, query};
use crate::host::{Change, Event, Host, Sink};
use crate::plan::Plan;
use crate::types::{Column, Row};
use std::sync::Arc;

impl<H: Host> Session<H> {
    pub(super) fn plan(&self, query: &Query, frame: &Frame) -> Run<Arc<Plan>> {
        if let Some(plan) = frame.plans.get(&(std::ptr::from_ref(query) as usize)) {
            return Ok(Arc::clone(plan));
        }
        let temps = self.temps(frame);
        let plan = Binder::new(&self.catalog(frame, &temps)).statement(query).map_err(Raised::compile)?;
        Ok(Arc::new(plan))
    }

    pub(super) fn run(&self, plan: &Plan, frame: &Frame) -> Run<Vec<Row>> {
        let temps = self.temps(frame);
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        Ok(query::rows(plan, &cx, None)?)
    }

    /// SET IMPLICIT_TRANSACTIONS ON: reading or changing a table begins a transaction.
    pub(super) fn implicit_transaction(&mut self) {
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
}
