//! Values outside of queries: of SET, IF, PRINT, and the arguments of statements.

use super::temps::BothTemps;
use super::{Frame, Raised, Run, Session};
use crate::ast::{Arg, Expr};
use crate::bind::{Binder, Catalog, assigned};
use crate::convert::{check_assign, convert_from};
use crate::eval::{self, Ctx, NOWHERE};
use crate::host::Host;
use crate::types::{MAX, Ty, Value};
use std::sync::Arc;

impl<H: Host> Session<H> {
    pub(super) fn catalog<'f>(&'f self, frame: &'f Frame, temps: &'f BothTemps<'f>) -> Catalog<'f> {
        Catalog {
            host: &self.host,
            version: frame.batch.version,
            database: &self.database,
            vars: &frame.vars,
            temps,
        }
    }

    pub(super) fn temps<'f>(&'f self, frame: &'f Frame) -> BothTemps<'f> {
        BothTemps { session: &self.temps, batch: &frame.tables }
    }

    /// Value and type of an expression outside of any query. Errors of binding are those of compiling.
    pub(super) fn scalar(&self, expr: &Expr, frame: &Frame) -> Run<(Value, Ty)> {
        let temps = self.temps(frame);
        let bound = Binder::new(&self.catalog(frame, &temps)).scalar(expr).map_err(Raised::compile)?;
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        Ok((eval::value(&bound.ex, &cx, &NOWHERE)?, bound.ty))
    }

    pub(super) fn scalar_as(&self, expr: &Expr, to: Ty, frame: &Frame) -> Run<Value> {
        let temps = self.temps(frame);
        let bound = Binder::new(&self.catalog(frame, &temps)).scalar(expr).map_err(Raised::compile)?;
        let ex = assigned(bound, to).map_err(Raised::compile)?;
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        let value = eval::value(&ex, &cx, &NOWHERE)?;
        // Text that needed no conversion may still be longer than the variable.
        Ok(convert_from(value, to, to, 0)?)
    }

    pub(super) fn holds(&self, expr: &Expr, frame: &Frame) -> Run<bool> {
        let key = std::ptr::from_ref(expr) as usize;
        let temps = self.temps(frame);
        let pred = match frame.conditions.get(&key) {
            Some(pred) => Arc::clone(pred),
            None => {
                Arc::new(Binder::new(&self.catalog(frame, &temps)).condition(expr).map_err(Raised::compile)?)
            }
        };
        let cx = Ctx::new(&self.host, &frame.values, &self.state, &temps);
        Ok(eval::truth(&pred, &cx, &NOWHERE)? == Some(true))
    }

    /// Value and type of a constant, variable or word.
    pub(super) fn argument(&self, arg: &Arg, frame: &Frame) -> Run<(Value, Ty)> {
        match arg {
            Arg::Lit(value, ty) => Ok((value.clone(), *ty)),
            Arg::Word(word) => {
                Ok((Value::text(word), Ty::NVarChar(word.encode_utf16().count().max(1) as i32)))
            }
            Arg::Default => Ok((Value::Null, Ty::Int)),
            Arg::Var(name) if name.starts_with("@@") => self.scalar(&Expr::Var(name.clone()), frame),
            Arg::Var(name) => {
                let (slot, ty) = frame.vars.find(name).map_err(Raised::compile)?;
                Ok((frame.values.borrow()[slot].clone(), ty))
            }
        }
    }

    /// Text of an argument; NULL is empty.
    pub(super) fn argument_text(&self, arg: &Arg, frame: &Frame) -> Run<Option<String>> {
        let (value, ty) = self.argument(arg, frame)?;
        check_assign(ty, Ty::NVarChar(MAX))?;
        let value = convert_from(value, ty, Ty::NVarChar(MAX), 0)?;
        Ok(value.as_text().map(str::to_owned))
    }
}
