//! Writes the types and values of result sets and output parameters (MS-TDS 2.2.5).
//!
//! Answers for bytes that a client can read: a value that its column cannot hold is an error here, never a truncation. (That the
//! server cut it short would be a fault of the simulation, and must be loud.)

use crate::codepage;
use crate::decode::{swap_guid, time_length};
use crate::types::{Column, Date, Time, Type, Value};

/// Latin1_General, case-insensitive: SQL_Latin1_General_CP1_CI_AS, the default of an English installation.
pub(crate) const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// A value does not fit the column it was put in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The value is of another kind than its column, or too long or out of range for it.
    #[error("the value {value:?} does not fit column {column:?} of type {ty:?}")]
    DoesNotFit {
        /// The column's name.
        column: String,
        /// Its type.
        ty: Type,
        /// The value.
        value: Value,
    },
    /// A row has another number of values than its result set has columns.
    #[error("a row of {values} values in a result set of {columns} columns")]
    Width {
        /// Values given.
        values: usize,
        /// Columns announced.
        columns: usize,
    },
}

/// A name with a one-byte length (B_VARCHAR).
pub(crate) fn short_text(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    out.push(units.len() as u8);
    out.extend(units.iter().flat_map(|u| u.to_le_bytes()));
}

/// Text with a two-byte length (US_VARCHAR).
pub(crate) fn long_text(out: &mut Vec<u8>, text: &str) {
    // A token's own length is two bytes, so that 65,535 units would not fit one; SQL Server's messages end at 2,047.
    let units: Vec<u16> = text.encode_utf16().take(2047).collect();
    out.extend((units.len() as u16).to_le_bytes());
    out.extend(units.iter().flat_map(|u| u.to_le_bytes()));
}

/// UserType, flags and TYPE_INFO, as COLMETADATA and RETURNVALUE have them.
pub(crate) fn type_info(out: &mut Vec<u8>, ty: Type, nullable: bool) {
    out.extend(0u32.to_le_bytes());
    // fNullable, and usUpdateable "unknown" (MS-TDS 2.2.7.4).
    out.extend((0x0008u16 | u16::from(nullable)).to_le_bytes());
    match ty {
        Type::Bit => out.extend([0x68, 1]),
        Type::TinyInt => out.extend([0x26, 1]),
        Type::SmallInt => out.extend([0x26, 2]),
        Type::Int => out.extend([0x26, 4]),
        Type::BigInt => out.extend([0x26, 8]),
        Type::Real => out.extend([0x6D, 4]),
        Type::Float => out.extend([0x6D, 8]),
        Type::Money => out.extend([0x6E, 8]),
        Type::SmallDateTime => out.extend([0x6F, 4]),
        Type::DateTime => out.extend([0x6F, 8]),
        Type::Guid => out.extend([0x24, 16]),
        Type::Numeric { precision, scale } => {
            out.extend([0x6C, numeric_length(precision) + 1, precision, scale])
        }
        Type::Date => out.push(0x28),
        Type::Time(scale) => out.extend([0x29, scale]),
        Type::DateTime2(scale) => out.extend([0x2A, scale]),
        Type::DateTimeOffset(scale) => out.extend([0x2B, scale]),
        Type::NVarChar(n) => characters(out, 0xE7, n.saturating_mul(2)),
        Type::NChar(n) => characters(out, 0xEF, n.saturating_mul(2)),
        Type::NVarCharMax => characters(out, 0xE7, 0xFFFF),
        Type::VarChar(n) => characters(out, 0xA7, n),
        Type::Char(n) => characters(out, 0xAF, n),
        Type::VarCharMax => characters(out, 0xA7, 0xFFFF),
        Type::VarBinary(n) => sized(out, 0xA5, n),
        Type::Binary(n) => sized(out, 0xAD, n),
        Type::VarBinaryMax => sized(out, 0xA5, 0xFFFF),
        Type::Variant => {
            out.push(0x62);
            out.extend(8009u32.to_le_bytes());
        }
    }
}

fn sized(out: &mut Vec<u8>, token: u8, length: u16) {
    out.push(token);
    out.extend(length.to_le_bytes());
}

fn characters(out: &mut Vec<u8>, token: u8, length: u16) {
    sized(out, token, length);
    out.extend(COLLATION);
}

fn numeric_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    }
}

/// Appends a value; on an error nothing was appended.
pub(crate) fn value(out: &mut Vec<u8>, column: &Column, value: &Value) -> Result<(), EncodeError> {
    let before = out.len();
    if put(out, column.ty, value).is_some() {
        return Ok(());
    }
    out.truncate(before);
    Err(EncodeError::DoesNotFit { column: column.name.clone(), ty: column.ty, value: value.clone() })
}

fn put(out: &mut Vec<u8>, ty: Type, value: &Value) -> Option<()> {
    if *value == Value::Null {
        null(out, ty);
        return Some(());
    }
    match ty {
        Type::Bit => match *value {
            Value::Bit(b) => out.extend([1, u8::from(b)]),
            Value::Int(n @ 0..=1) => out.extend([1, n as u8]),
            _ => return None,
        },
        Type::TinyInt => with_length(out, &u8::try_from(int(value)?).ok()?.to_le_bytes()),
        Type::SmallInt => with_length(out, &i16::try_from(int(value)?).ok()?.to_le_bytes()),
        Type::Int => with_length(out, &i32::try_from(int(value)?).ok()?.to_le_bytes()),
        Type::BigInt => with_length(out, &int(value)?.to_le_bytes()),
        Type::Real => with_length(out, &(float(value)? as f32).to_le_bytes()),
        Type::Float => with_length(out, &float(value)?.to_le_bytes()),
        Type::Numeric { precision, scale } => with_length(out, &numeric(value, precision, scale)?),
        Type::Money => {
            let n = i64::try_from(rescale(value, 4)?).ok()?;
            with_length(out, &[((n >> 32) as i32).to_le_bytes(), (n as u32).to_le_bytes()].concat());
        }
        Type::Guid => match *value {
            Value::Guid(g) => with_length(out, &swap_guid(g)),
            _ => return None,
        },
        Type::SmallDateTime | Type::DateTime => with_length(out, &classic_datetime(ty, value)?),
        Type::Date | Type::Time(_) | Type::DateTime2(_) | Type::DateTimeOffset(_) => {
            with_length(out, &date_or_time(ty, value)?)
        }
        Type::NVarChar(n) => two_byte(out, unicode(value)?, usize::from(n) * 2, None)?,
        Type::NChar(n) => two_byte(out, unicode(value)?, usize::from(n) * 2, Some(&[b' ', 0]))?,
        Type::VarChar(n) => two_byte(out, codepage::encode(text(value)?), usize::from(n), None)?,
        Type::Char(n) => two_byte(out, codepage::encode(text(value)?), usize::from(n), Some(b" "))?,
        Type::VarBinary(n) => two_byte(out, binary(value)?.to_vec(), usize::from(n), None)?,
        Type::Binary(n) => two_byte(out, binary(value)?.to_vec(), usize::from(n), Some(&[0]))?,
        Type::NVarCharMax => chunked(out, &unicode(value)?),
        Type::VarCharMax => chunked(out, &codepage::encode(text(value)?)),
        Type::VarBinaryMax => chunked(out, binary(value)?),
        Type::Variant => variant(out, value)?,
    }
    Some(())
}

fn null(out: &mut Vec<u8>, ty: Type) {
    match ty {
        Type::NVarChar(_)
        | Type::NChar(_)
        | Type::VarChar(_)
        | Type::Char(_)
        | Type::VarBinary(_)
        | Type::Binary(_) => out.extend([0xFF; 2]),
        Type::NVarCharMax | Type::VarCharMax | Type::VarBinaryMax => out.extend([0xFF; 8]),
        Type::Variant => out.extend([0; 4]),
        _ => out.push(0),
    }
}

fn with_length(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(bytes.len() as u8);
    out.extend(bytes);
}

fn two_byte(out: &mut Vec<u8>, mut bytes: Vec<u8>, max: usize, pad: Option<&[u8]>) -> Option<()> {
    if bytes.len() > max || max > 8000 {
        return None;
    }
    if let Some(unit) = pad {
        while bytes.len() < max {
            bytes.extend(unit);
        }
    }
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend(bytes);
    Some(())
}

fn chunked(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    for chunk in bytes.chunks(u32::MAX as usize) {
        out.extend((chunk.len() as u32).to_le_bytes());
        out.extend(chunk);
    }
    out.extend(0u32.to_le_bytes());
}

fn int(value: &Value) -> Option<i64> {
    match *value {
        Value::Int(n) => Some(n),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match *value {
        Value::Float(f) if f.is_finite() => Some(f),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(t) => Some(t),
        _ => None,
    }
}

fn unicode(value: &Value) -> Option<Vec<u8>> {
    Some(text(value)?.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

fn binary(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Binary(b) => Some(b),
        _ => None,
    }
}

/// The digits of a number at another scale; `None` when some would be lost.
fn rescale(value: &Value, to: u8) -> Option<i128> {
    let (unscaled, scale) = match *value {
        Value::Decimal { unscaled, scale } => (unscaled, scale),
        Value::Int(n) => (i128::from(n), 0),
        _ => return None,
    };
    let factor = 10i128.checked_pow(u32::from(to.abs_diff(scale)))?;
    if to >= scale {
        unscaled.checked_mul(factor)
    } else {
        (unscaled % factor == 0).then_some(unscaled / factor)
    }
}

fn numeric(value: &Value, precision: u8, scale: u8) -> Option<Vec<u8>> {
    let unscaled = rescale(value, scale)?;
    if unscaled.unsigned_abs() >= 10u128.checked_pow(u32::from(precision))? {
        return None;
    }
    let mut bytes = vec![u8::from(unscaled >= 0)];
    bytes.extend(&unscaled.unsigned_abs().to_le_bytes()[..usize::from(numeric_length(precision))]);
    Some(bytes)
}

fn classic_datetime(ty: Type, value: &Value) -> Option<Vec<u8>> {
    let Value::DateTime(date, time) = *value else { return None };
    let (unit, per_day) = match ty {
        Type::SmallDateTime => (60 * Time::PER_SECOND, 1440),
        _ => (Time::PER_SECOND, 300 * 86_400),
    };
    let ticks = match ty {
        Type::SmallDateTime => (time.0 + unit / 2) / unit,
        _ => (time.0 * 300 + unit / 2) / unit,
    };
    // Rounding may reach midnight, which is the next day.
    let days = i64::from(date.0) - i64::from(Date::EPOCH_1900.0) + (ticks / per_day) as i64;
    let ticks = ticks % per_day;
    if time.0 >= Time::PER_DAY || days + i64::from(Date::EPOCH_1900.0) > i64::from(Date::LAST.0) {
        return None;
    }
    match ty {
        Type::SmallDateTime => {
            Some([u16::try_from(days).ok()?.to_le_bytes(), (ticks as u16).to_le_bytes()].concat())
        }
        // 1753-01-01 is the first day of datetime.
        _ if days >= -53_690 => Some([(days as i32).to_le_bytes(), (ticks as u32).to_le_bytes()].concat()),
        _ => None,
    }
}

fn date_or_time(ty: Type, value: &Value) -> Option<Vec<u8>> {
    let (date, time, minutes, scale) = match (ty, value) {
        (Type::Date, Value::Date(d)) => (Some(*d), None, None, 0),
        (Type::Time(scale), Value::Time(t)) => (None, Some(*t), None, scale),
        (Type::DateTime2(scale), Value::DateTime(d, t)) => (Some(*d), Some(*t), None, scale),
        (Type::DateTimeOffset(scale), Value::DateTimeOffset { date, time, minutes }) => {
            (Some(*date), Some(*time), Some(*minutes), scale)
        }
        _ => return None,
    };
    if scale > 7 || date.is_some_and(|d| d > Date::LAST) || time.is_some_and(|t| t.0 >= Time::PER_DAY) {
        return None;
    }
    let mut bytes = Vec::with_capacity(10);
    if let Some(t) = time {
        let units = t.0 / 10u64.pow(u32::from(7 - scale));
        bytes.extend(&units.to_le_bytes()[..time_length(scale)]);
    }
    if let Some(d) = date {
        bytes.extend(&d.0.to_le_bytes()[..3]);
    }
    bytes.extend(minutes.into_iter().flat_map(i16::to_le_bytes));
    Some(bytes)
}

/// A `sql_variant`: length, base type, its properties, the value (MS-TDS 2.2.5.5.4).
fn variant(out: &mut Vec<u8>, value: &Value) -> Option<()> {
    let (head, data): (Vec<u8>, Vec<u8>) = match value {
        Value::Null => (vec![], vec![]),
        Value::Bit(b) => (vec![0x32, 0], vec![u8::from(*b)]),
        Value::Int(n) => match i32::try_from(*n) {
            Ok(n) => (vec![0x38, 0], n.to_le_bytes().to_vec()),
            Err(_) => (vec![0x7F, 0], n.to_le_bytes().to_vec()),
        },
        Value::Float(_) => (vec![0x3E, 0], float(value)?.to_le_bytes().to_vec()),
        Value::Decimal { scale, .. } => (vec![0x6C, 2, 38, *scale], numeric(value, 38, *scale)?),
        Value::Guid(g) => (vec![0x24, 0], swap_guid(*g).to_vec()),
        Value::Date(_) => (vec![0x28, 0], date_or_time(Type::Date, value)?),
        Value::Time(_) => (vec![0x29, 1, 7], date_or_time(Type::Time(7), value)?),
        Value::DateTime(..) => (vec![0x2A, 1, 7], date_or_time(Type::DateTime2(7), value)?),
        Value::DateTimeOffset { .. } => (vec![0x2B, 1, 7], date_or_time(Type::DateTimeOffset(7), value)?),
        Value::Text(_) => {
            let mut head = vec![0xE7, 7];
            head.extend(COLLATION);
            head.extend(8000u16.to_le_bytes());
            (head, unicode(value)?)
        }
        Value::Binary(b) => ([vec![0xA5, 2], 8000u16.to_le_bytes().to_vec()].concat(), b.clone()),
    };
    if data.len() > 8000 {
        return None;
    }
    out.extend(((head.len() + data.len()) as u32).to_le_bytes());
    out.extend(head);
    out.extend(data);
    Some(())
}
