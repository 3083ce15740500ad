//! Binds function calls: built-in functions, aggregates, window functions, and those with rules of their own.

use super::expr::{compared, together};
use super::{Binder, Clause, Result, Scope, Typed, assigned, converted, meet};
use crate::ast::{Call, Cmp, Expr, OrderItem};
use crate::convert::{Way, way};
use crate::error::SqlError;
use crate::eval::functions::{Function, Param, Ret, find};
use crate::eval::time_unit;
use crate::host::Version;
use crate::plan::{AggKind, Aggregate, Ex, Pred, Window, WindowKind};
use crate::types::{MAX, Ty, Value};

fn unknown(name: &str) -> SqlError {
    SqlError::new(195, &[&name.to_lowercase(), &"built-in function name"]).with_state(10)
}

fn arity(name: &str, min: usize, max: usize, given: usize) -> Result<()> {
    let name = name.to_lowercase();
    match given {
        n if n >= min && n <= max => Ok(()),
        _ if min == max => Err(SqlError::new(174, &[&name, &min])),
        _ => Err(SqlError::new(189, &[&name, &min, &max])),
    }
}

impl<'q> Binder<'_, 'q> {
    pub(super) fn call(&mut self, scope: &Scope<'_>, call: &'q Call) -> Result<Typed> {
        let name = call.name.as_str();
        let version = self.catalog.version;
        if let Some(over) = &call.over {
            return self.window(scope, call, &over.0, &over.1);
        }
        match name {
            "COUNT" | "COUNT_BIG" | "SUM" | "AVG" | "MIN" | "MAX" => return self.aggregate(scope, call),
            "STRING_AGG" if version >= Version::V2017 => return self.aggregate(scope, call),
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" => {
                return Err(SqlError::custom(
                    10753,
                    15,
                    1,
                    format!("The function '{}' must have an OVER clause.", name.to_lowercase()),
                ));
            }
            _ => {}
        }
        if call.star || call.distinct {
            return Err(SqlError::near(if call.star { "*" } else { "DISTINCT" }));
        }
        match name {
            "ISNULL" => {
                arity(name, 2, 2, call.args.len())?;
                let (a, b) = (self.value(scope, &call.args[0])?, self.value(scope, &call.args[1])?);
                meet(&a, &b)?;
                // The type of the first argument, whatever the second is.
                let ty = if a.is_null() { b.ty } else { a.ty };
                let nullable = a.nullable && b.nullable;
                let missing = Pred::IsNull(a.ex.clone());
                let other = assigned(b, ty)?;
                let ex = Ex::Case(vec![(missing, other)], Box::new(converted(a, ty)));
                Ok(Typed { ex, ty, nullable })
            }
            "COALESCE" => {
                if call.args.len() < 2 {
                    return Err(SqlError::near(")"));
                }
                let values = self.values(scope, &call.args)?;
                if values.iter().all(Typed::is_null) {
                    return Err(SqlError::custom(
                        4127,
                        16,
                        1,
                        "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
                    ));
                }
                let nullable = values.iter().all(|v| v.nullable);
                let (ty, mut values) = together(values)?;
                let last = values.pop().unwrap_or(Ex::Const(Value::Null));
                let arms =
                    values.into_iter().map(|v| (Pred::Not(Box::new(Pred::IsNull(v.clone()))), v)).collect();
                Ok(Typed { ex: Ex::Case(arms, Box::new(last)), ty, nullable })
            }
            "NULLIF" => {
                arity(name, 2, 2, call.args.len())?;
                let (a, b) = (self.value(scope, &call.args[0])?, self.value(scope, &call.args[1])?);
                let ty = a.ty;
                let same = compared(Cmp::Eq, a.clone(), b)?;
                let ex = Ex::Case(vec![(same, Ex::Const(Value::Null))], Box::new(a.ex));
                Ok(Typed { ex, ty, nullable: true })
            }
            "IIF" if version >= Version::V2012 => {
                arity(name, 3, 3, call.args.len())?;
                let test = self.pred(scope, &call.args[0])?;
                let results = self.values(scope, &call.args[1..])?;
                if results.iter().all(Typed::is_null) {
                    return Err(SqlError::new(8133, &[]));
                }
                let (ty, mut results) = together(results)?;
                let last = results.pop().unwrap_or(Ex::Const(Value::Null));
                let first = results.pop().unwrap_or(Ex::Const(Value::Null));
                Ok(Typed { ex: Ex::Case(vec![(test, first)], Box::new(last)), ty, nullable: true })
            }
            "DATEADD" | "DATEDIFF" | "DATEDIFF_BIG" | "DATEPART" | "DATENAME" => self.date(scope, call),
            _ => {
                let function = find(name, version).ok_or_else(|| unknown(name))?;
                let args = self.values(scope, &call.args)?;
                self.called(function, args)
            }
        }
    }

    fn values(&mut self, scope: &Scope<'_>, args: &'q [Expr]) -> Result<Vec<Typed>> {
        args.iter().map(|e| self.value(scope, e)).collect()
    }

    /// DATEADD and its kin: the unit is a word, not a value.
    fn date(&mut self, scope: &Scope<'_>, call: &'q Call) -> Result<Typed> {
        let function = find(&call.name, self.catalog.version).ok_or_else(|| unknown(&call.name))?;
        arity(&call.name, function.min, function.max, call.args.len())?;
        let unit = match &call.args[0] {
            Expr::Name(parts) if parts.len() == 1 => time_unit(&parts[0])
                .ok_or_else(|| SqlError::new(155, &[&parts[0], &call.name.to_lowercase()]))?,
            _ => return Err(SqlError::new(1023, &[&1, &call.name.to_lowercase()])),
        };
        let mut args = vec![Typed { ex: Ex::Const(Value::Int(unit)), ty: Ty::Int, nullable: false }];
        for e in &call.args[1..] {
            args.push(self.value(scope, e)?);
        }
        self.called(function, args)
    }

    /// A built-in function over bound arguments: 174, 189 for their number, 8116 for their types.
    pub(super) fn called(&mut self, function: &'static Function, args: Vec<Typed>) -> Result<Typed> {
        arity(function.name, function.min, function.max, args.len())?;
        let mut first = None;
        let mut last = Ty::Int;
        let nullable = args.iter().any(|a| a.nullable) || !function.strict || self.catalog.host.withholds();
        let mut bound = Vec::with_capacity(args.len());
        for (i, arg) in args.into_iter().enumerate() {
            let param = function.params[i.min(function.params.len() - 1)];
            let to = match param {
                Param::Any => arg.ty,
                Param::Is(ty) => ty,
                Param::Text if arg.ty.is_text() => arg.ty,
                Param::Text => Ty::NVarChar(if arg.ty.is_number() { 40 } else { 4000 }),
                Param::Number if arg.ty.is_number() && arg.ty != Ty::Bit => arg.ty,
                Param::Number => Ty::Float,
                Param::Time if arg.ty.is_time() => arg.ty,
                Param::Time => Ty::DateTime,
            };
            let allowed = match param {
                // DATALENGTH takes anything.
                Param::Is(Ty::VarBinary(_)) => way(arg.ty, to) != Way::Never,
                _ => way(arg.ty, to) == Way::Implicit || arg.ty == Ty::Variant && param == Param::Any,
            };
            if !arg.is_null() && !allowed {
                let name = function.name.to_lowercase();
                return Err(SqlError::new(8116, &[&arg.ty.name(), &(i + 1), &name]));
            }
            first.get_or_insert(to);
            last = to;
            bound.push(converted(arg, to));
        }
        let first = first.unwrap_or(Ty::Int);
        let varying = |ty: Ty, n: i32| match ty {
            Ty::Char(_) | Ty::VarChar(_) => Ty::VarChar(n),
            _ => Ty::NVarChar(n),
        };
        let ty = match function.ret {
            Ret::Is(ty) => ty,
            Ret::First => first,
            Ret::Last => last,
            Ret::FirstText => varying(first, first.length().unwrap_or(MAX)),
            Ret::LongText => match first.length() {
                Some(MAX) => varying(first, MAX),
                _ if matches!(first, Ty::Char(_) | Ty::VarChar(_)) => Ty::VarChar(8000),
                _ => Ty::NVarChar(4000),
            },
        };
        Ok(Typed { ex: Ex::Call(function, bound), ty, nullable })
    }

    fn aggregate(&mut self, scope: &Scope<'_>, call: &'q Call) -> Result<Typed> {
        let forbidden = match self.clause {
            Clause::Where => Some(147),
            Clause::On => Some(1015),
            Clause::GroupBy => Some(144),
            Clause::Aggregate => Some(130),
            Clause::Free => None,
        };
        if let Some(number) = forbidden {
            return Err(SqlError::new(number, &[]));
        }
        self.clause = Clause::Aggregate;
        let bound = self.aggregate_body(scope, call);
        self.clause = Clause::Free;
        let (aggregate, ty, nullable) = bound?;
        // The same aggregate twice is one column.
        let at = match self.aggregates.iter().position(|a| *a == aggregate) {
            Some(at) => at,
            None => {
                self.aggregates.push(aggregate);
                self.aggregates.len() - 1
            }
        };
        Ok(Typed { ex: Ex::Agg(at), ty, nullable })
    }

    fn aggregate_body(&mut self, scope: &Scope<'_>, call: &'q Call) -> Result<(Aggregate, Ty, bool)> {
        let name = call.name.as_str();
        let wanted = if name == "STRING_AGG" { 2 } else { usize::from(!call.star) };
        arity(name, wanted, wanted, call.args.len())?;
        let arg = match call.args.first() {
            Some(e) => Some(self.value(scope, e)?),
            None => None,
        };
        if arg.as_ref().is_some_and(|a| holds_subquery(&a.ex)) {
            return Err(SqlError::new(130, &[]));
        }
        let invalid = |ty: Ty| SqlError::new(8117, &[&ty.name(), &name.to_lowercase()]);
        let mut separator = None;
        let (kind, ty) = match (name, &arg) {
            ("COUNT", _) => (AggKind::Count, Ty::Int),
            ("COUNT_BIG", _) => (AggKind::Count, Ty::BigInt),
            ("MIN" | "MAX", Some(a)) => {
                // uniqueidentifier has had MIN and MAX since 2012 only.
                let old_guid = a.ty == Ty::Guid && self.catalog.version < Version::V2012;
                if a.ty == Ty::Bit || old_guid {
                    return Err(invalid(a.ty));
                }
                (if name == "MIN" { AggKind::Min } else { AggKind::Max }, a.ty)
            }
            ("STRING_AGG", Some(a)) => {
                let text = self.value(scope, &call.args[1])?;
                separator = Some(assigned(text, Ty::NVarChar(MAX))?);
                let narrow = matches!(a.ty, Ty::Char(_) | Ty::VarChar(_));
                (AggKind::StringAgg, if narrow { Ty::VarChar(8000) } else { Ty::NVarChar(4000) })
            }
            (_, Some(a)) => {
                let sum = name == "SUM";
                let ty = match a.ty {
                    Ty::TinyInt | Ty::SmallInt | Ty::Int => Ty::Int,
                    Ty::BigInt => Ty::BigInt,
                    Ty::Numeric(_, s) => Ty::Numeric(38, if sum { s } else { s.max(6) }),
                    Ty::Real | Ty::Float => Ty::Float,
                    ty => return Err(invalid(ty)),
                };
                (if sum { AggKind::Sum } else { AggKind::Avg }, ty)
            }
            (_, None) => return Err(SqlError::near("*")),
        };
        let mut order = Vec::new();
        for item in &call.within {
            order.push((self.value(scope, &item.expr)?.ex, item.descending));
        }
        let arg = match arg {
            Some(a) if kind == AggKind::StringAgg && !a.ty.is_text() => {
                Some(assigned(a, Ty::NVarChar(4000))?)
            }
            Some(a) => Some(a.ex),
            None => None,
        };
        let aggregate = Aggregate { kind, arg, distinct: call.distinct, ty, separator, order };
        Ok((aggregate, ty, kind != AggKind::Count))
    }

    fn window(
        &mut self,
        scope: &Scope<'_>,
        call: &'q Call,
        partition: &'q [Expr],
        order: &'q [OrderItem],
    ) -> Result<Typed> {
        if self.clause != Clause::Free {
            return Err(SqlError::new(4108, &[]));
        }
        let (kind, ty) = match call.name.as_str() {
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" => {
                arity(&call.name, 0, 0, call.args.len())?;
                if order.is_empty() {
                    return Err(SqlError::new(4112, &[&call.name.to_lowercase()]));
                }
                let kind = match call.name.as_str() {
                    "RANK" => WindowKind::Rank,
                    "DENSE_RANK" => WindowKind::DenseRank,
                    _ => WindowKind::RowNumber,
                };
                (kind, Ty::BigInt)
            }
            "COUNT" | "COUNT_BIG" | "SUM" | "AVG" | "MIN" | "MAX" if !call.distinct && order.is_empty() => {
                let (aggregate, ty, _) = self.aggregate_body(scope, call)?;
                (WindowKind::Aggregate(aggregate), ty)
            }
            // Running totals and frames are not played.
            _ => return Err(SqlError::new(156, &[&"OVER"])),
        };
        let mut parts = Vec::new();
        for e in partition {
            parts.push(self.value(scope, e)?.ex);
        }
        let mut keys = Vec::new();
        for item in order {
            keys.push((self.value(scope, &item.expr)?.ex, item.descending));
        }
        self.windows.push(Window { kind, partition: parts, order: keys });
        Ok(Typed { ex: Ex::Window(self.windows.len() - 1), ty, nullable: false })
    }
}

fn holds_subquery(ex: &Ex) -> bool {
    let mut found = false;
    let _ = ex.clone().walk(0, &mut |e, _| {
        found |= matches!(e, Ex::Scalar(_));
        Ok(false)
    });
    found
}
