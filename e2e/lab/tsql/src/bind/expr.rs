//! Binds values and conditions.

use super::{Binder, Result, Scope, Typed, cast, converted, meet};
use crate::ast::{Cmp, Expr, Query};
use crate::convert::{common, way};
use crate::error::SqlError;
use crate::eval::arith;
use crate::eval::functions::find;
use crate::plan::{Ex, Plan, Pred};
use crate::types::{MAX, Ty, Value};
use std::sync::Arc;

impl<'q> Binder<'_, 'q> {
    pub(super) fn value(&mut self, scope: &Scope<'_>, expr: &'q Expr) -> Result<Typed> {
        Ok(match expr {
            Expr::Lit(value, ty) => {
                Typed { ex: Ex::Const(value.clone()), ty: *ty, nullable: value.is_null() }
            }
            Expr::Null => Typed::null(),
            Expr::Default => return Err(SqlError::new(156, &[&"DEFAULT"])),
            Expr::Var(name) if name.starts_with("@@") => {
                let Some(function) = find(&name.to_ascii_uppercase(), self.catalog.version) else {
                    return Err(SqlError::new(137, &[name]));
                };
                self.called(function, Vec::new())?
            }
            Expr::Var(name) => {
                let (slot, ty) = self.catalog.vars.find(name)?;
                Typed { ex: Ex::Var(slot), ty, nullable: true }
            }
            Expr::Name(parts) => self.column(scope, parts)?,
            Expr::Neg(inner) => {
                let inner = self.value(scope, inner)?;
                if !inner.ty.is_number() || inner.ty == Ty::Bit {
                    return Err(SqlError::new(8117, &[&inner.ty.name(), &"minus"]));
                }
                let ty = if inner.ty == Ty::TinyInt { Ty::SmallInt } else { inner.ty };
                Typed { ty, nullable: inner.nullable, ex: Ex::Neg(Box::new(inner.ex)) }
            }
            Expr::BitNot(inner) => {
                let inner = self.value(scope, inner)?;
                if !inner.ty.is_integer() {
                    return Err(SqlError::new(8117, &[&inner.ty.name(), &"'~'"]));
                }
                let ex = match inner.ty {
                    // A bit and a byte have no sign to flip.
                    Ty::Bit | Ty::TinyInt => {
                        let ones = Ex::Const(Value::Int(if inner.ty == Ty::Bit { 1 } else { 255 }));
                        Ex::Arith(crate::ast::Arith::Xor, Box::new(inner.ex), Box::new(ones), inner.ty)
                    }
                    _ => Ex::BitNot(Box::new(inner.ex)),
                };
                Typed { ex, ..inner }
            }
            Expr::Arith(op, a, b) => {
                let (mut a, mut b) = (self.value(scope, a)?, self.value(scope, b)?);
                if a.is_null() {
                    a.ty = b.ty;
                } else if b.is_null() {
                    b.ty = a.ty;
                }
                let (left, right, ty) = arith::types(*op, a.ty, b.ty)?;
                let nullable = a.nullable || b.nullable;
                let (a, b) = (Box::new(converted(a, left)), Box::new(converted(b, right)));
                Typed { ex: Ex::Arith(*op, a, b, ty), ty, nullable }
            }
            Expr::Case { operand, arms, otherwise } => {
                self.case(scope, operand.as_deref(), arms, otherwise.as_deref())?
            }
            Expr::Cast { value, ty, style, lenient } => {
                let value = self.value(scope, value)?;
                let style = match style {
                    Some(style) => Some(converted(self.value(scope, style)?, Ty::Int)),
                    None => None,
                };
                cast(value, *ty, style, *lenient)?
            }
            Expr::Call(call) => self.call(scope, call)?,
            Expr::Scalar(query) => {
                let plan = self.subquery(scope, query)?;
                let ty = single(&plan)?;
                Typed { ex: Ex::Scalar(Arc::new(plan)), ty, nullable: true }
            }
            Expr::XmlValue(query, ty) => {
                let plan = self.subquery(scope, query)?;
                let inner = Typed { ex: Ex::Scalar(Arc::new(plan)), ty: Ty::NVarChar(MAX), nullable: true };
                let Some(function) = find(".VALUE", self.catalog.version) else {
                    return Err(SqlError::near("value"));
                };
                let text = self.called(function, vec![inner])?;
                cast(text, *ty, None, false)?
            }
            condition => {
                debug_assert!(condition.is_condition());
                return Err(SqlError::near("="));
            }
        })
    }

    fn column(&mut self, scope: &Scope<'_>, parts: &[String]) -> Result<Typed> {
        let name = &parts[parts.len() - 1];
        let qualifier = parts.len().checked_sub(2).map(|i| &parts[i]);
        let mut seen = false;
        let (mut at, mut depth) = (Some(scope), 0);
        while let Some(scope) = at {
            let mut hit = None;
            for (i, c) in scope.columns.iter().enumerate() {
                if qualifier.is_some_and(|q| !c.qualifier.eq_ignore_ascii_case(q)) {
                    continue;
                }
                seen = true;
                if c.column.name.eq_ignore_ascii_case(name) {
                    if hit.is_some() {
                        return Err(SqlError::new(209, &[name]));
                    }
                    hit = Some((i, c));
                }
            }
            if let Some((i, c)) = hit {
                return Ok(Typed { ex: Ex::Col(depth, i), ty: c.column.ty, nullable: c.column.nullable });
            }
            at = scope.up;
            depth += 1;
        }
        match qualifier {
            Some(_) if !seen => Err(SqlError::new(4104, &[&parts.join(".")])),
            _ => Err(SqlError::new(207, &[name])),
        }
    }

    fn case(
        &mut self,
        scope: &Scope<'_>,
        operand: Option<&'q Expr>,
        arms: &'q [(Expr, Expr)],
        otherwise: Option<&'q Expr>,
    ) -> Result<Typed> {
        let mut tests = Vec::with_capacity(arms.len());
        let mut results = Vec::with_capacity(arms.len() + 1);
        for (test, result) in arms {
            tests.push(match operand {
                None => self.pred(scope, test)?,
                Some(operand) => {
                    let (a, b) = (self.value(scope, operand)?, self.value(scope, test)?);
                    compared(Cmp::Eq, a, b)?
                }
            });
            results.push(self.value(scope, result)?);
        }
        results.push(match otherwise {
            Some(e) => self.value(scope, e)?,
            None => Typed::null(),
        });
        if results.iter().all(Typed::is_null) {
            return Err(SqlError::new(8133, &[]));
        }
        let (ty, mut results) = together(results)?;
        let last = results.pop().unwrap_or(Ex::Const(Value::Null));
        let arms = tests.into_iter().zip(results).collect();
        Ok(Typed { ex: Ex::Case(arms, Box::new(last)), ty, nullable: true })
    }

    pub(super) fn pred(&mut self, scope: &Scope<'_>, expr: &'q Expr) -> Result<Pred> {
        let negate = |negated: bool, p: Pred| if negated { Pred::Not(Box::new(p)) } else { p };
        Ok(match expr {
            Expr::And(list) => Pred::And(list.iter().map(|e| self.pred(scope, e)).collect::<Result<_>>()?),
            Expr::Or(list) => Pred::Or(list.iter().map(|e| self.pred(scope, e)).collect::<Result<_>>()?),
            Expr::Not(e) => Pred::Not(Box::new(self.pred(scope, e)?)),
            Expr::Compare(op, a, b) => {
                let (a, b) = (self.value(scope, a)?, self.value(scope, b)?);
                compared(*op, a, b)?
            }
            Expr::IsNull(e, negated) => negate(*negated, Pred::IsNull(self.value(scope, e)?.ex)),
            Expr::Like { value, pattern, escape, negated } => {
                let (value, pattern) = (self.value(scope, value)?, self.value(scope, pattern)?);
                let escape = match escape {
                    Some(e) => Some(self.value(scope, e)?.ex),
                    None => None,
                };
                let wide = |t: &Typed| matches!(t.ty, Ty::NChar(_) | Ty::NVarChar(_));
                let unicode = wide(&value) || wide(&pattern);
                let text = |t: Typed| -> Result<Ex> {
                    if t.is_null() || t.ty.is_text() {
                        return Ok(t.ex);
                    }
                    if way(t.ty, Ty::NVarChar(MAX)) != crate::convert::Way::Implicit {
                        return Err(SqlError::new(8116, &[&t.ty.name(), &1, &"like"]));
                    }
                    Ok(converted(t, Ty::NVarChar(MAX)))
                };
                let (value, pattern) = (text(value)?, text(pattern)?);
                negate(*negated, Pred::Like { value, pattern, escape, unicode })
            }
            Expr::Between { value, low, high, negated } => {
                let (low, high) = (self.value(scope, low)?, self.value(scope, high)?);
                let value = self.value(scope, value)?;
                let both = vec![compared(Cmp::Ge, value.clone(), low)?, compared(Cmp::Le, value, high)?];
                negate(*negated, Pred::And(both))
            }
            Expr::InList { value, list, negated } => {
                let value = self.value(scope, value)?;
                let mut any = Vec::with_capacity(list.len());
                for e in list {
                    let item = self.value(scope, e)?;
                    any.push(compared(Cmp::Eq, value.clone(), item)?);
                }
                negate(*negated, Pred::Or(any))
            }
            Expr::InQuery { value, query, negated } => {
                let value = self.value(scope, value)?;
                let plan = self.subquery(scope, query)?;
                let from = single(&plan)?;
                let to = if value.is_null() { from } else { common(value.ty, from)? };
                let value = converted(value, to);
                negate(*negated, Pred::InQuery { value, plan: Arc::new(plan), from, to })
            }
            Expr::Exists(query) => Pred::Exists(Arc::new(self.subquery(scope, query)?)),
            value => {
                self.value(scope, value)?;
                return Err(SqlError::new(4145, &[&")"]));
            }
        })
    }

    fn subquery(&mut self, scope: &Scope<'_>, query: &'q Query) -> Result<Plan> {
        let mut inner = self.nested();
        let plan = inner.query(Some(scope), query, false)?;
        self.lasting &= inner.lasting;
        Ok(plan)
    }
}

/// The type of a subquery's only column; 116 when it has more.
fn single(plan: &Plan) -> Result<Ty> {
    match &plan.columns[..] {
        [column] => Ok(column.ty),
        _ => Err(SqlError::new(116, &[])),
    }
}

/// A comparison in the type where both sides meet.
pub(super) fn compared(op: Cmp, a: Typed, b: Typed) -> Result<Pred> {
    let ty = meet(&a, &b)?;
    if a.ty.is_text() && b.ty.is_text() {
        // Comparing pads and folds anyway.
        return Ok(Pred::Compare(op, a.ex, b.ex));
    }
    Ok(Pred::Compare(op, converted(a, ty), converted(b, ty)))
}

/// Values in the type where all of them meet.
pub(super) fn together(values: Vec<Typed>) -> Result<(Ty, Vec<Ex>)> {
    let mut ty = None;
    for v in values.iter().filter(|v| !v.is_null()) {
        ty = Some(match ty {
            None => v.ty,
            Some(t) => common(t, v.ty)?,
        });
    }
    let ty = ty.unwrap_or(Ty::Int);
    Ok((ty, values.into_iter().map(|v| converted(v, ty)).collect()))
}
