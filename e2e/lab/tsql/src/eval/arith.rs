//! Arithmetic, with the result types of "Precision, scale, and length".

use crate::ast::Arith;
use crate::convert::{check_assign, common, convert_from, power, precision, rescale, truncate};
use crate::error::SqlError;
use crate::time::{DATETIME_DAYS, DAY, Ticks};
use crate::types::{MAX, Ty, Value};

type Result<T> = std::result::Result<T, SqlError>;

/// 8115 for an expression.
pub(crate) fn overflow(ty: &str) -> SqlError {
    SqlError::new(8115, &[&"expression", &ty])
}

/// Type to which both operands are converted, and type of the result. Errors: 8117, 402, 206.
pub(crate) fn types(op: Arith, a: Ty, b: Ty) -> Result<(Ty, Ty, Ty)> {
    let same = |t: Ty| Ok((t, t, t));
    let invalid = |t: Ty| SqlError::new(8117, &[&t.name(), &op.title()]);
    if op == Arith::Add && (a.is_text() && b.is_text() || a.is_binary() && b.is_binary()) {
        let ty = common(a, b)?;
        let limit = if matches!(ty, Ty::NVarChar(_) | Ty::NChar(_)) { 4000 } else { 8000 };
        let length = match (a.length(), b.length()) {
            (Some(m), Some(n)) if m != MAX && n != MAX => (m + n).min(limit),
            _ => MAX,
        };
        let varying = match ty {
            Ty::NChar(_) | Ty::NVarChar(_) => Ty::NVarChar(length),
            Ty::Char(_) | Ty::VarChar(_) => Ty::VarChar(length),
            other => Ty::VarBinary(other.with_length(length).length().unwrap_or(MAX)),
        };
        return Ok((a, b, varying));
    }
    let dated = |t: Ty| matches!(t, Ty::DateTime | Ty::SmallDateTime);
    if matches!(op, Arith::Add | Arith::Sub) && (dated(a) || dated(b)) {
        let ty = common(a, b)?;
        return if dated(ty) { same(ty) } else { Err(SqlError::new(206, &[&a.name(), &b.name()])) };
    }
    let ty = common(a, b)?;
    if !ty.is_number() {
        return Err(if a.name() == b.name() {
            invalid(ty)
        } else {
            SqlError::new(402, &[&a.name(), &b.name(), &op.title()])
        });
    }
    if matches!(op, Arith::And | Arith::Or | Arith::Xor) {
        return if ty.is_integer() {
            same(ty)
        } else {
            Err(SqlError::new(402, &[&a.name(), &b.name(), &op.title()]))
        };
    }
    match ty {
        Ty::Bit => Err(invalid(ty)),
        Ty::Numeric(..) => {
            let side = |t: Ty| if t.is_number() { t } else { ty };
            let (a, b) = (side(a), side(b));
            let ((p, s), (q, t)) = (wide(a), wide(b));
            let (digits, scale) = match op {
                Arith::Add | Arith::Sub => ((p - s).max(q - t) + s.max(t) + 1, s.max(t)),
                Arith::Mul => (p + q + 1, s + t),
                Arith::Div => {
                    let scale = (s + q + 1).max(6);
                    (p - s + t + scale, scale)
                }
                _ => ((p - s).min(q - t) + s.max(t), s.max(t)),
            };
            let result = if digits <= 38 {
                Ty::Numeric(digits as u8, scale as u8)
            } else {
                let whole = digits - scale;
                let scale = scale.min((38 - whole).max(scale.min(6)));
                Ty::Numeric(38, scale as u8)
            };
            let fixed = |t: Ty| {
                let (p, s) = precision(t);
                Ty::Numeric(p, s)
            };
            Ok((fixed(a), fixed(b), result))
        }
        ty => same(ty),
    }
}

fn wide(ty: Ty) -> (i32, i32) {
    let (p, s) = precision(ty);
    (p.into(), s.into())
}

/// `a op b` in the result type `ty`. Errors: 8134, 8115, 220.
pub(crate) fn apply(op: Arith, a: Value, b: Value, ty: Ty) -> Result<Value> {
    let by_zero = || SqlError::new(8134, &[]);
    let divides = matches!(op, Arith::Div | Arith::Mod);
    Ok(match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (Value::Text(mut a), Value::Text(b)) => {
            a.push_str(&b);
            if let Some(n) = ty.length()
                && n != MAX
            {
                truncate(&mut a, n as usize);
            }
            Value::Text(a)
        }
        (Value::Binary(a), Value::Binary(b)) => Value::Binary([a, b].concat()),
        (Value::Int(a), Value::Int(b)) => {
            if divides && b == 0 {
                return Err(by_zero());
            }
            let (x, y) = (i128::from(a), i128::from(b));
            let result = match op {
                Arith::Add => x + y,
                Arith::Sub => x - y,
                Arith::Mul => x * y,
                Arith::Div => x / y,
                Arith::Mod => x % y,
                Arith::And => x & y,
                Arith::Or => x | y,
                Arith::Xor => x ^ y,
            };
            convert_from(Value::Numeric(result, 0), Ty::Numeric(38, 0), ty, 0)
                .map_err(|_| overflow(ty.name()))?
        }
        (Value::Numeric(x, s), Value::Numeric(y, t)) => {
            if divides && y == 0 {
                return Err(by_zero());
            }
            let out = if let Ty::Numeric(_, s) = ty { s } else { 0 };
            let top = s.max(t);
            let both = || rescale(x, s, top).zip(rescale(y, t, top));
            let (digits, scale) = match op {
                Arith::Mul => (x.checked_mul(y), s + t),
                Arith::Div => {
                    // x/10^s / (y/10^t) at scale `out`.
                    let shift = i32::from(out) + i32::from(t) - i32::from(s);
                    let scaled = if shift >= 0 {
                        x.checked_mul(power(shift.min(38) as u8))
                    } else {
                        Some(x / power(-shift as u8))
                    };
                    (scaled.map(|n| n / y), out)
                }
                Arith::Add => (both().and_then(|(x, y)| x.checked_add(y)), top),
                Arith::Sub => (both().and_then(|(x, y)| x.checked_sub(y)), top),
                _ => (both().and_then(|(x, y)| x.checked_rem(y)), top),
            };
            let digits = digits.ok_or_else(|| overflow(ty.name()))?;
            convert_from(Value::Numeric(digits, scale), Ty::Numeric(38, scale), ty, 0)
                .map_err(|_| overflow(ty.name()))?
        }
        (Value::Float(x), Value::Float(y)) => {
            if divides && y == 0.0 {
                return Err(by_zero());
            }
            let result = match op {
                Arith::Add => x + y,
                Arith::Sub => x - y,
                Arith::Mul => x * y,
                Arith::Div => x / y,
                _ => x % y,
            };
            if !result.is_finite() {
                return Err(overflow(ty.name()));
            }
            Value::Float(result)
        }
        (Value::Time(x), Value::Time(y)) => {
            let base = DATETIME_DAYS * DAY;
            let ticks = match op {
                Arith::Add => x.0 + (y.0 - base),
                _ => x.0 - (y.0 - base),
            };
            convert_from(Value::Time(Ticks(ticks)), ty, ty, 0)
                .map_err(|_| SqlError::new(517, &[&ty.name()]))?
        }
        (a, b) => {
            return Err(SqlError::new(402, &[&a.own_type().name(), &b.own_type().name(), &op.title()]));
        }
    })
}

/// `@x += value`: computes in the types of both and converts back to the variable's.
pub(crate) fn compound(op: Arith, old: Value, to: Ty, new: Value, from: Ty) -> Result<Value> {
    let (a, b, ty) = types(op, to, from)?;
    let result = apply(op, convert_from(old, to, a, 0)?, convert_from(new, from, b, 0)?, ty)?;
    check_assign(ty, to)?;
    convert_from(result, ty, to, 0)
}
