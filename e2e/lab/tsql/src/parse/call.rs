//! CASE, CAST, CONVERT and function calls.

use super::{Parser, Result};
use crate::ast::{Call, Expr};
use crate::host::Version;

impl Parser {
    pub(super) fn case(&mut self) -> Result<Expr> {
        self.need("CASE")?;
        let operand = if self.is("WHEN") { None } else { Some(Box::new(self.value()?)) };
        let mut arms = Vec::new();
        while self.eat("WHEN") {
            let test = if operand.is_some() { self.value()? } else { self.condition()? };
            self.need("THEN")?;
            arms.push((test, self.value()?));
        }
        if arms.is_empty() {
            return self.fail();
        }
        let otherwise = if self.eat("ELSE") { Some(Box::new(self.value()?)) } else { None };
        self.need("END")?;
        Ok(Expr::Case { operand, arms, otherwise })
    }

    pub(super) fn cast(&mut self, lenient: bool) -> Result<Expr> {
        self.next();
        self.in_parens(|p| {
            let value = Box::new(p.value()?);
            p.need("AS")?;
            Ok(Expr::Cast { value, ty: p.ty(30)?, style: None, lenient })
        })
    }

    pub(super) fn convert(&mut self, lenient: bool) -> Result<Expr> {
        self.next();
        self.in_parens(|p| {
            let ty = p.ty(30)?;
            p.need_op(",")?;
            let value = Box::new(p.value()?);
            let style = if p.eat_op(",") { Some(Box::new(p.value()?)) } else { None };
            Ok(Expr::Cast { value, ty, style, lenient })
        })
    }

    pub(super) fn call(&mut self, name: String) -> Result<Expr> {
        self.next();
        let mut call = plain_call(name);
        self.need_op("(")?;
        let aggregate = matches!(
            call.name.as_str(),
            "COUNT" | "COUNT_BIG" | "SUM" | "MIN" | "MAX" | "AVG" | "STRING_AGG"
        );
        if aggregate && self.is_op("*") && call.name.starts_with("COUNT") {
            self.next();
            call.star = true;
        } else if !self.is_op(")") {
            if aggregate {
                call.distinct = self.eat("DISTINCT");
                if !call.distinct {
                    self.eat("ALL");
                }
            }
            // IIF is the one function whose first argument is a condition.
            let iif = call.name == "IIF" && self.version >= Version::V2012;
            if iif {
                call.args.push(self.condition()?);
                self.need_op(",")?;
            }
            call.args.extend(self.list(|p| p.value())?);
        }
        self.need_op(")")?;
        if call.name == "STRING_AGG" && self.eat("WITHIN") {
            self.need("GROUP")?;
            call.within = self.in_parens(|p| p.order_by())?;
        }
        if self.eat("OVER") {
            call.over = Some(self.in_parens(|p| {
                let mut parts = Vec::new();
                if p.eat("PARTITION") {
                    p.need("BY")?;
                    parts = p.list(|p| p.value())?;
                }
                let order = if p.is("ORDER") { p.order_by()? } else { Vec::new() };
                Ok((parts, order))
            })?);
        }
        Ok(Expr::Call(Box::new(call)))
    }
}

/// A call without arguments.
pub(super) fn plain_call(name: String) -> Call {
    Call { name, args: Vec::new(), star: false, distinct: false, over: None, within: Vec::new() }
}
