//! Compiles a batch before its first statement runs: variables are declared, every statement is bound.
//!
//! A wrong column in the last statement means that nothing ran. An object that does not exist (208) is left
//! to the moment when its statement is reached (deferred name resolution).

use super::temps::Temp;
use super::{Frame, Kind, Raised, Run, Session};
use crate::ast::{Arg, CursorOp, DeviceArg, Exec, Expr, InsertSource, Node, Query, Stmt, Target};
use crate::bind::{Binder, assigned};
use crate::error::SqlError;
use crate::host::Host;
use crate::types::{Ty, Value};
use std::sync::Arc;

impl<H: Host> Session<H> {
    pub(super) fn check(&self, nodes: &[Node], frame: &mut Frame) -> Run<()> {
        labels(nodes, frame);
        self.check_nodes(nodes, frame)
    }

    fn check_nodes(&self, nodes: &[Node], frame: &mut Frame) -> Run<()> {
        for node in nodes {
            match self.check_node(node, frame) {
                Ok(()) => {}
                Err(raised) if raised.errors.iter().all(|e| e.number == 208) => {}
                Err(raised) => return Err(Raised { kind: Kind::Compile, ..raised.at(node.line) }),
            }
        }
        Ok(())
    }

    fn check_node(&self, node: &Node, frame: &mut Frame) -> Run<()> {
        match &node.stmt {
            Stmt::Block(nodes) => self.check_nodes(nodes, frame)?,
            Stmt::Try(body, handler) => {
                self.check_nodes(body, frame)?;
                self.check_nodes(handler, frame)?;
            }
            Stmt::If(condition, then, otherwise) => {
                self.deferred(node, |s| s.check_condition(condition, frame))?;
                self.check_nodes(std::slice::from_ref(&**then), frame)?;
                if let Some(otherwise) = otherwise {
                    self.check_nodes(std::slice::from_ref(&**otherwise), frame)?;
                }
            }
            Stmt::While(condition, body) => {
                self.deferred(node, |s| s.check_condition(condition, frame))?;
                self.check_nodes(std::slice::from_ref(&**body), frame)?;
            }
            Stmt::Declare(list) => {
                for (name, ty, initial) in list {
                    // The variable is not yet in sight of its own initial value.
                    if let Some(initial) = initial {
                        self.deferred(node, |s| s.check_scalar(initial, Some(*ty), frame))?;
                    }
                    frame.vars.declare(name, *ty)?;
                    frame.values.borrow_mut().push(Value::Null);
                }
            }
            Stmt::DeclareTable(name, defs) => {
                let folded = name.to_lowercase();
                if frame.tables.get(&folded).is_some() {
                    return Err(SqlError::new(134, &[name]).into());
                }
                frame.tables.insert(folded, Temp::new(defs.clone()));
            }
            Stmt::SetVar(name, op, expr) => {
                let (_, ty) = frame.vars.find(name)?;
                self.check_scalar(expr, if op.is_none() { Some(ty) } else { None }, frame)?;
            }
            Stmt::Query(query) => self.check_query(query, frame)?,
            Stmt::Cursor(_, CursorOp::Declare(query)) => self.check_query(query, frame)?,
            Stmt::Cursor(_, CursorOp::Fetch(into)) => {
                for name in into {
                    frame.vars.find(name)?;
                }
            }
            Stmt::Insert { table, columns, source } => {
                match source {
                    InsertSource::Query(query) => self.check_query(query, frame)?,
                    InsertSource::Exec(exec) => check_exec(exec, frame)?,
                    InsertSource::Values(rows) => {
                        for expr in rows.iter().flatten().filter(|e| !matches!(e, Expr::Default)) {
                            self.check_scalar(expr, None, frame)?;
                        }
                    }
                    InsertSource::Defaults => {}
                }
                let width = match source {
                    InsertSource::Values(rows) => rows.first().map(Vec::len),
                    InsertSource::Query(query) => {
                        let temps = self.temps(frame);
                        let catalog = self.catalog(frame, &temps);
                        Some(Binder::new(&catalog).statement(query)?.columns.len())
                    }
                    _ => None,
                };
                self.check_insert(table, columns, width, frame)?;
            }
            Stmt::Update { table, sets, filter } => {
                self.check_update(table, sets, filter.as_ref(), frame)?;
            }
            Stmt::Delete { table, filter } => self.check_update(table, &[], filter.as_ref(), frame)?,
            Stmt::Exec(exec) => check_exec(exec, frame)?,
            Stmt::Raiserror { args, .. } | Stmt::Throw(args) => check_args(args, frame)?,
            Stmt::Print(expr) => self.check_scalar(expr, None, frame)?,
            Stmt::Waitfor(arg) => check_args(std::slice::from_ref(arg), frame)?,
            Stmt::Media(media) => {
                check_args(media.database.as_slice(), frame)?;
                for DeviceArg::Disk(arg) | DeviceArg::Logical(arg) in &media.devices {
                    check_args(std::slice::from_ref(arg), frame)?;
                }
                for (_, args) in &media.options {
                    check_args(args, frame)?;
                }
            }
            Stmt::Goto(label) if !frame.labels.contains(label) => {
                return Err(SqlError::new(133, &[label]).into());
            }
            _ => {}
        }
        Ok(())
    }

    /// A missing object in a condition does not keep the statements below it from being checked.
    fn deferred(&self, node: &Node, check: impl FnOnce(&Self) -> Run<()>) -> Run<()> {
        match check(self) {
            Err(raised) if raised.errors.iter().all(|e| e.number == 208) => Ok(()),
            other => other.map_err(|r| r.at(node.line)),
        }
    }

    fn check_scalar(&self, expr: &Expr, to: Option<Ty>, frame: &Frame) -> Run<()> {
        let temps = self.temps(frame);
        let catalog = self.catalog(frame, &temps);
        let bound = Binder::new(&catalog).scalar(expr)?;
        if let Some(to) = to {
            assigned(bound, to)?;
        }
        Ok(())
    }

    fn check_condition(&self, expr: &Expr, frame: &mut Frame) -> Run<()> {
        let temps = self.temps(frame);
        let catalog = self.catalog(frame, &temps);
        let mut binder = Binder::new(&catalog);
        let pred = binder.condition(expr)?;
        if binder.is_lasting() {
            frame.conditions.insert(std::ptr::from_ref(expr) as usize, Arc::new(pred));
        }
        Ok(())
    }

    fn check_query(&self, query: &Query, frame: &mut Frame) -> Run<()> {
        let temps = self.temps(frame);
        let catalog = self.catalog(frame, &temps);
        let plan = Binder::new(&catalog).statement(query)?;
        if plan.lasting {
            frame.plans.insert(std::ptr::from_ref(query) as usize, Arc::new(plan));
        }
        Ok(())
    }
}

fn labels(nodes: &[Node], frame: &mut Frame) {
    for node in nodes {
        match &node.stmt {
            Stmt::Label(label) => {
                frame.labels.insert(label.clone());
            }
            Stmt::Block(nodes) => labels(nodes, frame),
            Stmt::Try(a, b) => {
                labels(a, frame);
                labels(b, frame);
            }
            Stmt::If(_, then, otherwise) => {
                labels(std::slice::from_ref(&**then), frame);
                if let Some(otherwise) = otherwise {
                    labels(std::slice::from_ref(&**otherwise), frame);
                }
            }
            Stmt::While(_, body) => labels(std::slice::from_ref(&**body), frame),
            _ => {}
        }
    }
}

fn check_args(args: &[Arg], frame: &Frame) -> Run<()> {
    for arg in args {
        if let Arg::Var(name) = arg
            && !name.starts_with("@@")
        {
            frame.vars.find(name)?;
        }
    }
    Ok(())
}

fn check_exec(exec: &Exec, frame: &Frame) -> Run<()> {
    if let Some(name) = &exec.returns {
        frame.vars.find(name)?;
    }
    match &exec.target {
        Target::Text(args) => check_args(args, frame)?,
        Target::Var(name) => {
            frame.vars.find(name)?;
        }
        Target::Proc(_) => {}
    }
    for arg in &exec.args {
        check_args(std::slice::from_ref(&arg.value), frame)?;
    }
    Ok(())
}
