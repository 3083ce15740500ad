//! Conversion, comparison and pattern matching of values, with the documented error numbers.
//!
//! What may be converted into what, and which type wins, follows the pages "CAST and CONVERT" (chart of
//! implicit conversions) and "Data type precedence". Comparison is that of a case-insensitive,
//! accent-sensitive collation: trailing blanks do not count.

use crate::error::SqlError;
use crate::time::{DATETIME_DAYS, DAY, Ticks, in_range, parse_clock};
use crate::types::{MAX, Ty, Value};
use std::cmp::Ordering;

/// Result of a conversion.
pub type Result<T> = std::result::Result<T, SqlError>;

/// Position in the order of precedence; the higher type wins.
fn rank(ty: Ty) -> u8 {
    match ty {
        Ty::Variant => 30,
        Ty::DateTime2(_) => 28,
        Ty::DateTime => 27,
        Ty::SmallDateTime => 26,
        Ty::Date => 25,
        Ty::Time(_) => 24,
        Ty::Float => 23,
        Ty::Real => 22,
        Ty::Numeric(..) => 21,
        Ty::BigInt => 18,
        Ty::Int => 17,
        Ty::SmallInt => 16,
        Ty::TinyInt => 15,
        Ty::Bit => 14,
        Ty::Guid => 9,
        Ty::NVarChar(_) => 8,
        Ty::NChar(_) => 7,
        Ty::VarChar(_) => 6,
        Ty::Char(_) => 5,
        Ty::VarBinary(_) => 4,
        Ty::Binary(_) => 3,
    }
}

/// Precision and scale of a number type as `numeric`.
pub fn precision(ty: Ty) -> (u8, u8) {
    match ty {
        Ty::Numeric(p, s) => (p, s),
        Ty::Bit => (1, 0),
        Ty::TinyInt => (3, 0),
        Ty::SmallInt => (5, 0),
        Ty::Int => (10, 0),
        _ => (19, 0),
    }
}

/// How one type becomes another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Without CAST.
    Implicit,
    /// Only with CAST: 257 otherwise.
    Explicit,
    /// Never: 206 or 529.
    Never,
}

/// How `from` becomes `to`.
pub fn way(from: Ty, to: Ty) -> Way {
    use Way::{Explicit, Implicit, Never};
    let new_time = |t: Ty| matches!(t, Ty::Date | Ty::Time(_) | Ty::DateTime2(_));
    match (from, to) {
        (a, b) if rank(a) == rank(b) => Implicit,
        (_, Ty::Variant) => Implicit,
        (Ty::Variant, _) => Explicit,
        (a, b) if a.is_text() && b.is_text() => Implicit,
        (a, b) if a.is_text() && b.is_binary() => Explicit,
        (a, _) if a.is_text() => Implicit,
        (a, b) if a.is_binary() && b.is_binary() => Implicit,
        (a, Ty::Float | Ty::Real) if a.is_binary() => Never,
        (a, b) if a.is_binary() && new_time(b) => Explicit,
        (a, _) if a.is_binary() => Implicit,
        (Ty::Guid, b) if b.is_text() || b.is_binary() => Implicit,
        (Ty::Guid, _) | (_, Ty::Guid) => Never,
        (a, b) if a.is_number() && b.is_number() => Implicit,
        (a, b) if a.is_number() && (b.is_text() || b.is_binary()) => Implicit,
        (a, Ty::DateTime | Ty::SmallDateTime) if a.is_number() => Implicit,
        (a, _) if a.is_number() => Never,
        (Ty::Date, Ty::Time(_)) | (Ty::Time(_), Ty::Date) => Never,
        (a, b) if a.is_time() && b.is_time() => Implicit,
        (a, b) if a.is_time() && b.is_text() => Implicit,
        (a, b) if a.is_time() && b.is_binary() => Explicit,
        (Ty::DateTime | Ty::SmallDateTime, b) if b.is_number() => Explicit,
        _ => Never,
    }
}

/// May a value of `from` be stored in `to` without CAST? 257 and 206 otherwise.
pub fn check_assign(from: Ty, to: Ty) -> Result<()> {
    match way(from, to) {
        Way::Implicit => Ok(()),
        Way::Explicit => Err(SqlError::new(257, &[&from.name(), &to.name()])),
        Way::Never => Err(clash(from, to)),
    }
}

/// 206 between two types.
pub fn clash(a: Ty, b: Ty) -> SqlError {
    SqlError::new(206, &[&a.name(), &b.name()])
}

/// The type in which two operands meet (UNION, CASE, comparison): the higher by precedence.
pub fn common(a: Ty, b: Ty) -> Result<Ty> {
    let (high, low) = if rank(a) >= rank(b) { (a, b) } else { (b, a) };
    match way(low, high) {
        Way::Implicit => {}
        Way::Explicit => return Err(SqlError::new(257, &[&low.name(), &high.name()])),
        Way::Never => return Err(clash(a, b)),
    }
    Ok(match (high, low) {
        (Ty::Numeric(..), l) if l.is_number() => {
            let ((p, s), (q, t)) = (precision(high), precision(l));
            let scale = s.max(t);
            Ty::Numeric(((p - s).max(q - t) + scale).min(38), scale)
        }
        (h, l) if (h.is_text() && l.is_text()) || (h.is_binary() && l.is_binary()) => {
            let (m, n) = (h.length().unwrap_or(1), l.length().unwrap_or(1));
            let length = if m == MAX || n == MAX { MAX } else { m.max(n) };
            let varying = !matches!(l, Ty::Char(_) | Ty::NChar(_) | Ty::Binary(_));
            match h {
                Ty::NChar(_) if varying => Ty::NVarChar(length),
                Ty::Char(_) if varying => Ty::VarChar(length),
                Ty::Binary(_) if varying => Ty::VarBinary(length),
                h => h.with_length(length),
            }
        }
        (Ty::DateTime2(s), Ty::DateTime2(t) | Ty::Time(t)) => Ty::DateTime2(s.max(t)),
        (h, _) => h,
    })
}

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

/// Cuts a text to so many UTF-16 units, never through a character.
pub fn truncate(text: &mut String, units: usize) {
    let mut count = 0;
    for (i, c) in text.char_indices() {
        count += c.len_utf16();
        if count > units {
            text.truncate(i);
            return;
        }
    }
}

/// Text of a value under style 0; NULL is `NULL`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Numeric(d, s) => numeric_text(*d, *s),
        Value::Float(f) => float_text(*f),
        Value::Text(t) => t.clone(),
        Value::Time(t) => t.format(121, 7).unwrap_or_default(),
        Value::Guid(g) => guid_text(g),
        Value::Binary(b) => format!("0x{}", hex_text(b)),
    }
}

/// Style 0 of float: at most six digits, exponent where the number is very large or small.
fn float_text(f: f64) -> String {
    if f == 0.0 {
        return "0".to_owned();
    }
    let exponent = f.abs().log10().floor() as i32;
    let trim = |s: String| {
        if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s }
    };
    if (-5..15).contains(&exponent) {
        let decimals = (5 - exponent).clamp(0, 17) as usize;
        let rounded = if exponent > 5 { f } else { format!("{f:.decimals$}").parse().unwrap_or(f) };
        if rounded.abs() >= 1e6 {
            let mantissa = trim(format!("{:.5}", f / 10f64.powi(exponent)));
            return format!("{mantissa}e+{exponent:03}");
        }
        return trim(format!("{rounded:.decimals$}"));
    }
    let mantissa = trim(format!("{:.5}", f / 10f64.powi(exponent)));
    format!("{mantissa}e{}{:03}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn numeric_text(d: i128, scale: u8) -> String {
    if scale == 0 {
        return d.to_string();
    }
    let (magnitude, unit) = (d.unsigned_abs(), power(scale).unsigned_abs());
    let sign = if d < 0 { "-" } else { "" };
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = usize::from(scale))
}

fn hex_text(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02X}");
        out
    })
}

/// Bytes of a hexadecimal text of even length.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// Guid as upper-case text.
pub fn guid_text(g: &[u8; 16]) -> String {
    let hex = hex_text(g);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Guid of a text, with or without braces.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&i| bytes[i] != b'-') {
        return None;
    }
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    parse_hex(&hex)?.try_into().ok()
}

/// Between the order of a guid's text and that of its storage (first three groups little-endian).
pub fn swap_guid(g: [u8; 16]) -> [u8; 16] {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.map(|i: usize| g[i])
}

/// Ten to the power of a scale.
pub fn power(scale: u8) -> i128 {
    10i128.pow(u32::from(scale.min(38)))
}

/// Digits and scale of a decimal text.
pub fn parse_numeric(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || fraction.len() > 38 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some((if negative { -value } else { value }, fraction.len() as u8))
}

/// Digits at another scale, rounded half away from zero; `None` on overflow.
pub fn rescale(digits: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return digits.checked_mul(power(to - from));
    }
    let unit = power(from - to);
    let half = if digits < 0 { -unit / 2 } else { unit / 2 };
    Some(digits.checked_add(half)? / unit)
}

/// A text as the collation compares it.
pub fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

/// Order of two values of one type; `None` when either is NULL.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => {
            let trim = |b: &[u8]| b.iter().rposition(|x| *x != 0).map_or(0, |i| i + 1);
            a[..trim(a)].cmp(&b[..trim(b)])
        }
        (Value::Guid(a), Value::Guid(b)) => guid_order(*a).cmp(&guid_order(*b)),
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
            if a.is_ascii() && b.is_ascii() {
                let lower = |s: &str| s.bytes().map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
                if a.eq_ignore_ascii_case(b) { Ordering::Equal } else { lower(a).cmp(&lower(b)) }
            } else {
                fold(a).cmp(&fold(b))
            }
        }
        (Value::Numeric(x, s), Value::Numeric(y, t)) => {
            let scale = *s.max(t);
            match (rescale(*x, *s, scale), rescale(*y, *t, scale)) {
                (Some(x), Some(y)) => x.cmp(&y),
                _ => number(a).partial_cmp(&number(b))?,
            }
        }
        (Value::Int(x), Value::Numeric(..)) => return compare(&Value::Numeric(i128::from(*x), 0), b),
        (Value::Numeric(..), Value::Int(y)) => return compare(a, &Value::Numeric(i128::from(*y), 0)),
        (Value::Float(_), _) | (_, Value::Float(_)) => number(a).partial_cmp(&number(b))?,
        // sql_variant: values of unlike families are ordered by family.
        (a, b) => rank(a.own_type()).cmp(&rank(b.own_type())),
    })
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int(i) => *i as f64,
        Value::Numeric(d, s) => *d as f64 / power(*s) as f64,
        Value::Float(f) => *f,
        _ => f64::NAN,
    }
}

/// uniqueidentifier compares its last group first (SqlGuid.CompareTo).
fn guid_order(g: [u8; 16]) -> [u8; 16] {
    let stored = swap_guid(g);
    [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3].map(|i: usize| stored[i])
}

/// Order for ORDER BY and GROUP BY: NULL first, equal to NULL.
pub fn order(a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare(a, b).unwrap_or(Ordering::Equal),
    }
}

/// One element of a LIKE pattern.
enum Piece {
    Any,
    One,
    Char(char),
    Set(bool, Vec<(char, char)>),
}

fn pieces(pattern: &str, escape: Option<char>) -> Vec<Piece> {
    let chars: Vec<char> = pattern.to_lowercase().chars().collect();
    let escape = escape.and_then(|c| c.to_lowercase().next());
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        if Some(c) == escape && i < chars.len() {
            out.push(Piece::Char(chars[i]));
            i += 1;
            continue;
        }
        match c {
            '%' => out.push(Piece::Any),
            '_' => out.push(Piece::One),
            '[' => {
                let end = chars[i..].iter().skip(1).position(|c| *c == ']').map(|p| i + 1 + p);
                let Some(end) = end else {
                    // An opening bracket that is never closed matches nothing.
                    out.push(Piece::Set(false, Vec::new()));
                    return out;
                };
                let negated = chars[i] == '^';
                let inside = &chars[i + usize::from(negated)..end];
                let mut ranges = Vec::new();
                let mut k = 0;
                while k < inside.len() {
                    if k + 2 < inside.len() && inside[k + 1] == '-' {
                        ranges.push((inside[k], inside[k + 2]));
                        k += 3;
                    } else {
                        ranges.push((inside[k], inside[k]));
                        k += 1;
                    }
                }
                out.push(Piece::Set(negated, ranges));
                i = end + 1;
            }
            c => out.push(Piece::Char(c)),
        }
    }
    out
}

/// LIKE. With `unicode` (nchar, nvarchar) trailing blanks of the text count, otherwise they do not (LIKE page).
pub fn like(text: &str, pattern: &str, escape: Option<char>, unicode: bool) -> bool {
    let pieces = pieces(pattern, escape);
    let chars: Vec<char> = text.to_lowercase().chars().collect();
    if wild(&chars, &pieces) {
        return true;
    }
    let trimmed = chars.iter().rposition(|c| *c != ' ').map_or(0, |i| i + 1);
    !unicode && trimmed < chars.len() && wild(&chars[..trimmed], &pieces)
}

fn wild(text: &[char], pieces: &[Piece]) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to go on when a match fails: after the last %, one character further.
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match pieces.get(p) {
            None if t == text.len() => return true,
            None => false,
            Some(Piece::Any) => {
                p += 1;
                back = Some((p, t));
                continue;
            }
            Some(piece) => match (piece, text.get(t)) {
                (_, None) => false,
                (Piece::Char(c), Some(x)) => c == x,
                (Piece::Set(negated, ranges), Some(x)) => {
                    ranges.iter().any(|(a, b)| a <= x && x <= b) != *negated
                }
                (_, Some(_)) => true,
            },
        };
        if step {
            t += 1;
            p += 1;
        } else {
            match back {
                Some((after, from)) if from < text.len() => {
                    back = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsns_keep_all_their_digits() {
        let text = "9999999999999999999999999";
        let lsn = convert(Value::text(text), Ty::Numeric(25, 0), 0).unwrap();
        assert_eq!(lsn, Value::lsn(9_999_999_999_999_999_999_999_999));
        assert_eq!(convert(lsn, Ty::NVarChar(40), 0).unwrap(), Value::text(text));
    }

    #[test]
    fn text_compares_without_case_and_trailing_blanks() {
        assert_eq!(compare(&"MGC  ".into(), &"mgc".into()), Some(Ordering::Equal));
        assert_eq!(compare(&"É".into(), &"é ".into()), Some(Ordering::Equal));
        assert_eq!(compare(&Value::Null, &"x".into()), None);
    }

    #[test]
    fn like_knows_classes_escapes_and_significant_blanks() {
        assert!(like("LSRestore_x", "lsrestore[_]%", None, true));
        assert!(!like("LSRestoreAx", "LSRestore[_]%", None, true));
        assert!(like("50%", "50!%", Some('!'), true));
        assert!(!like("sa  ", "sa", None, true) && like("sa  ", "sa", None, false));
        assert!(like("b", "[^a]", None, true) && !like("x", "[", None, true));
        assert!(!like(&"a".repeat(3000), &"%a".repeat(40).replace("%a%a%a", "%a%b%a"), None, true));
    }

    #[test]
    fn a_guid_is_stored_with_its_first_groups_swapped() {
        let g = parse_guid("{6F9619FF-8B86-D011-B42D-00C04FC964FF}").unwrap();
        let binary = convert(Value::Guid(g), Ty::Binary(16), 0).unwrap();
        assert_eq!(plain(&binary), "0xFF19966F868B11D0B42D00C04FC964FF");
        assert_eq!(convert(binary, Ty::Guid, 0).unwrap(), Value::Guid(g));
    }

    #[test]
    fn wrong_conversions_have_their_numbers() {
        let number = |v: Value, from, to| convert_from(v, from, to, 0).unwrap_err().number;
        assert_eq!(number("mgc".into(), Ty::NVarChar(3), Ty::Int), 245);
        assert_eq!(number("x".into(), Ty::NVarChar(1), Ty::Guid), 8169);
        assert_eq!(number("yesterday".into(), Ty::NVarChar(9), Ty::DateTime), 241);
        assert_eq!(number(Value::Int(300), Ty::Int, Ty::TinyInt), 220);
        assert_eq!(number(Value::Int(5), Ty::Int, Ty::Guid), 529);
        assert_eq!(common(Ty::Guid, Ty::Int).unwrap_err().number, 206);
    }
}
