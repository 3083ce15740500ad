//! CONVERT: from any kind of value to any type.

use super::text::{
    hex_text, parse_guid, parse_hex, parse_numeric, plain, power, rescale, swap_guid, truncate,
};
use super::{Result, Way, way};
use crate::error::SqlError;
use crate::time::{DATETIME_DAYS, DAY, Ticks, in_range, parse_clock};
use crate::types::{MAX, Ty, Value};

/// Converts a value whose static type is not known: that of the value itself.
pub fn convert(value: Value, to: Ty, style: i64) -> Result<Value> {
    let from = value.own_type();
    convert_from(value, from, to, style)
}

/// CONVERT(to, value, style); `from` is the static type, for the messages.
pub fn convert_from(value: Value, from: Ty, to: Ty, style: i64) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let from = if from == Ty::Variant { value.own_type() } else { from };
    if way(from, to) == Way::Never {
        return Err(SqlError::new(529, &[&from.name(), &to.name()]));
    }
    match to {
        Ty::Variant => Ok(value),
        Ty::Bit | Ty::TinyInt | Ty::SmallInt | Ty::Int | Ty::BigInt => to_integer(&value, from, to),
        Ty::Numeric(p, s) => to_numeric(&value, from, p, s),
        Ty::Real | Ty::Float => to_float(&value, from, to),
        Ty::Date | Ty::Time(_) | Ty::SmallDateTime | Ty::DateTime | Ty::DateTime2(_) => {
            to_time(&value, from, to)
        }
        Ty::Guid => to_guid(value),
        Ty::Binary(n) | Ty::VarBinary(n) => {
            let mut bytes = to_binary(value, from, style)?;
            if n != MAX {
                bytes.truncate(n as usize);
                if matches!(to, Ty::Binary(_)) {
                    bytes.resize(n as usize, 0);
                }
            }
            Ok(Value::Binary(bytes))
        }
        Ty::Char(n) | Ty::VarChar(n) | Ty::NChar(n) | Ty::NVarChar(n) => {
            to_text(value, from, to, n, style).map(Value::Text)
        }
    }
}

fn failed(value: &Value, from: Ty, to: Ty) -> SqlError {
    SqlError::new(245, &[&from.name(), &plain(value), &to.name()])
}

fn overflow(from: Ty, to: Ty) -> SqlError {
    let what = if from.is_integer() { "expression" } else { from.name() };
    SqlError::new(8115, &[&what, &to.name()])
}

fn to_integer(value: &Value, from: Ty, to: Ty) -> Result<Value> {
    let i: i128 = match value {
        Value::Int(i) => i128::from(*i),
        Value::Numeric(d, s) => d / power(*s),
        Value::Float(f) => f.trunc() as i128,
        // datetime rounds to the nearer day.
        Value::Time(t) => i128::from((t.0 + DAY / 2).div_euclid(DAY) - DATETIME_DAYS),
        Value::Text(t) => match t.trim() {
            "" => 0,
            t if to == Ty::Bit && t.eq_ignore_ascii_case("true") => 1,
            t if to == Ty::Bit && t.eq_ignore_ascii_case("false") => 0,
            t => t.parse().map_err(|_| failed(value, from, to))?,
        },
        Value::Binary(b) => {
            // Only the last bytes count; the sign is that of the whole word.
            let tail = &b[b.len().saturating_sub(8)..];
            let wide = tail.iter().fold(0u64, |a, x| (a << 8) | u64::from(*x));
            match to {
                Ty::Int => i128::from(wide as u32 as i32),
                Ty::SmallInt => i128::from(wide as u16 as i16),
                Ty::TinyInt => i128::from(wide as u8),
                _ => i128::from(wide as i64),
            }
        }
        _ => return Err(failed(value, from, to)),
    };
    let range = match to {
        Ty::Bit => return Ok(Value::Int(i64::from(i != 0))),
        Ty::TinyInt => 0..=255,
        Ty::SmallInt => i128::from(i16::MIN)..=i128::from(i16::MAX),
        Ty::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if !range.contains(&i) {
        return Err(match (value, to) {
            (Value::Text(t), Ty::Int) => SqlError::custom(
                248,
                16,
                1,
                format!("The conversion of the {} value '{t}' overflowed an int column.", from.name()),
            ),
            (_, Ty::TinyInt | Ty::SmallInt) if from.is_integer() || from.is_text() => {
                SqlError::new(220, &[&to.name(), &i])
            }
            _ => overflow(from, to),
        });
    }
    Ok(Value::Int(i as i64))
}

fn to_numeric(value: &Value, from: Ty, p: u8, s: u8) -> Result<Value> {
    let to = Ty::Numeric(p, s);
    let bad = || SqlError::new(8114, &[&from.name(), &"numeric"]);
    let (digits, scale) = match value {
        Value::Int(i) => (i128::from(*i), 0),
        Value::Numeric(d, f) => (*d, *f),
        Value::Float(f) => {
            let scaled = f * 10f64.powi(i32::from(s));
            if !scaled.is_finite() || scaled.abs() >= 1e38 {
                return Err(overflow(from, to));
            }
            (scaled.round() as i128, s)
        }
        Value::Text(t) => parse_numeric(t).ok_or_else(bad)?,
        Value::Time(t) => {
            let days = (t.0 - DATETIME_DAYS * DAY) as f64 / DAY as f64;
            ((days * 10f64.powi(i32::from(s))).round() as i128, s)
        }
        _ => return Err(bad()),
    };
    match rescale(digits, scale, s) {
        Some(d) if p >= 38 || d.abs() < power(p) => Ok(Value::Numeric(d, s)),
        _ => Err(overflow(from, to)),
    }
}

fn to_float(value: &Value, from: Ty, to: Ty) -> Result<Value> {
    let f = match value {
        Value::Int(i) => *i as f64,
        Value::Numeric(d, s) => *d as f64 / power(*s) as f64,
        Value::Float(f) => *f,
        Value::Text(t) if t.trim().is_empty() => 0.0,
        Value::Text(t) => {
            let parsed = t.trim().parse::<f64>().ok().filter(|f| f.is_finite());
            parsed.ok_or_else(|| SqlError::new(8114, &[&from.name(), &to.name()]))?
        }
        Value::Time(t) => (t.0 - DATETIME_DAYS * DAY) as f64 / DAY as f64,
        _ => return Err(failed(value, from, to)),
    };
    Ok(Value::Float(if to == Ty::Real { f64::from(f as f32) } else { f }))
}

fn to_time(value: &Value, from: Ty, to: Ty) -> Result<Value> {
    let out_of_range = || SqlError::new(242, &[&from.name(), &to.name()]);
    let base = DATETIME_DAYS * DAY;
    let ticks = match value {
        // A time becomes a time of 1900-01-01.
        Value::Time(t) if matches!(from, Ty::Time(_)) && !matches!(to, Ty::Time(_)) => base + t.of_day(),
        Value::Time(t) => t.0,
        Value::Int(i) => i.checked_mul(DAY).and_then(|t| t.checked_add(base)).ok_or_else(out_of_range)?,
        Value::Numeric(..) | Value::Float(_) => {
            let Value::Float(days) = to_float(value, from, Ty::Float)? else { return Err(out_of_range()) };
            if days.abs() > 4e6 {
                return Err(out_of_range());
            }
            base + (days * DAY as f64).round() as i64
        }
        Value::Text(t) if matches!(to, Ty::Time(_)) && parse_clock(t.trim()).is_some() => {
            parse_clock(t.trim()).unwrap_or_default()
        }
        Value::Text(t) => Ticks::parse(t).ok_or_else(|| SqlError::new(241, &[]))?.0,
        Value::Binary(b) if b.len() == 8 => {
            let days = i32::from_be_bytes([b[0], b[1], b[2], b[3]]);
            Ticks::from_datetime_parts(days, u32::from_be_bytes([b[4], b[5], b[6], b[7]])).0
        }
        _ => return Err(failed(value, from, to)),
    };
    let t = Ticks(ticks);
    let t = match to {
        Ty::Date => Ticks(ticks.div_euclid(DAY) * DAY),
        Ty::Time(s) => Ticks(Ticks(t.of_day()).to_scale(s).0.rem_euclid(DAY)),
        Ty::SmallDateTime => Ticks((ticks + DAY / 2880).div_euclid(DAY / 1440) * (DAY / 1440)),
        Ty::DateTime => t.to_datetime(),
        Ty::DateTime2(s) => t.to_scale(s),
        _ => t,
    };
    // datetime begins in 1753.
    let first = if matches!(to, Ty::DateTime) { 639_905 * DAY } else { 0 };
    if !in_range(t.0) || t.0 < first {
        return Err(out_of_range());
    }
    Ok(Value::Time(t))
}

fn to_guid(value: Value) -> Result<Value> {
    match &value {
        Value::Guid(_) => Ok(value),
        Value::Text(t) => parse_guid(t).map(Value::Guid).ok_or_else(|| SqlError::new(8169, &[])),
        Value::Binary(b) => {
            let mut bytes = [0; 16];
            let n = b.len().min(16);
            bytes[..n].copy_from_slice(&b[..n]);
            Ok(Value::Guid(swap_guid(bytes)))
        }
        _ => Err(SqlError::new(8169, &[])),
    }
}

fn to_binary(value: Value, from: Ty, style: i64) -> Result<Vec<u8>> {
    Ok(match value {
        Value::Binary(b) => b,
        Value::Guid(g) => swap_guid(g).to_vec(),
        Value::Text(t) if style == 1 || style == 2 => {
            let hex = if style == 1 { t.strip_prefix("0x") } else { Some(t.as_str()) };
            hex.and_then(parse_hex).ok_or_else(|| SqlError::new(8114, &[&from.name(), &"varbinary"]))?
        }
        Value::Text(t) if matches!(from, Ty::Char(_) | Ty::VarChar(_)) => {
            t.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        }
        Value::Text(t) => t.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Value::Int(i) => match from {
            Ty::Bit | Ty::TinyInt => vec![i as u8],
            Ty::SmallInt => (i as i16).to_be_bytes().to_vec(),
            Ty::Int => (i as i32).to_be_bytes().to_vec(),
            _ => i.to_be_bytes().to_vec(),
        },
        Value::Time(t) => {
            let (days, thirds) = t.datetime_parts();
            [days.to_be_bytes(), thirds.to_be_bytes()].concat()
        }
        other => return Err(failed(&other, from, Ty::VarBinary(1))),
    })
}

fn to_text(value: Value, from: Ty, to: Ty, limit: i32, style: i64) -> Result<String> {
    let wide = matches!(to, Ty::NChar(_) | Ty::NVarChar(_));
    let mut text = match &value {
        Value::Text(t) => t.clone(),
        Value::Time(t) => {
            let no_style = || SqlError::new(281, &[&style, &from.name()]);
            match from {
                Ty::Time(s) => t.format_time(s),
                Ty::Date if style == 0 => t.format(23, 0).ok_or_else(no_style)?,
                Ty::DateTime2(s) if style == 0 => t.format(121, s).ok_or_else(no_style)?,
                Ty::DateTime2(s) => t.format(style, s).ok_or_else(no_style)?,
                _ => t.format(style, 3).ok_or_else(no_style)?,
            }
        }
        Value::Binary(b) if style == 1 || style == 2 => {
            let hex = hex_text(b);
            if style == 1 { format!("0x{hex}") } else { hex }
        }
        Value::Binary(b) if wide => {
            let units: Vec<u16> =
                b.chunks(2).map(|c| u16::from_le_bytes([c[0], c.get(1).copied().unwrap_or(0)])).collect();
            String::from_utf16_lossy(&units)
        }
        Value::Binary(b) => b.iter().map(|b| char::from(*b)).collect(),
        other => plain(other),
    };
    if limit == MAX {
        return Ok(text);
    }
    let limit = limit as usize;
    let length = text.encode_utf16().count();
    if length > limit {
        match value {
            Value::Int(_) if !wide && from != Ty::BigInt => return Ok("*".to_owned()),
            Value::Int(_) | Value::Numeric(..) | Value::Float(_) => return Err(overflow(from, to)),
            Value::Guid(_) => {
                let text = "Insufficient result space to convert uniqueidentifier value to char.";
                return Err(SqlError::custom(8170, 16, 2, text));
            }
            _ => truncate(&mut text, limit),
        }
    } else if matches!(to, Ty::Char(_) | Ty::NChar(_)) {
        text.extend(std::iter::repeat_n(' ', limit - length));
    }
    Ok(text)
}
