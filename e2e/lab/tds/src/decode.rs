//! Reads the little-endian fields, types and values of what a client sent (MS-TDS 2.2.5).
//!
//! Answers for bounds: no offset or length of the client's is believed before it was held against the bytes at hand, and nothing in
//! here may panic on any input.

use crate::codepage;
use crate::types::{Date, Time, Type, Value};

/// Why a part of a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The message ends inside a field.
    #[error("the message ends inside {0}")]
    Short(&'static str),
    /// A type token that is unknown or not served.
    #[error("data type 0x{0:02X} is not known to this server")]
    Type(u8),
    /// A value that its type cannot have.
    #[error("a value is not valid for {0}")]
    Value(&'static str),
}

type Result<T> = std::result::Result<T, Malformed>;

/// A place in a message.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed::Short(what))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Malformed::Short(what))?;
        self.0 = tail;
        Ok(*head)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8> {
        Ok(self.array::<1>(what)?[0])
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// UTF-16 text of so many code units.
    pub fn text(&mut self, units: usize, what: &'static str) -> Result<String> {
        Ok(utf16(self.take(units.saturating_mul(2), what)?))
    }

    fn sized<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| Malformed::Value(what))
    }
}

/// UTF-16 as text; a lone surrogate becomes the replacement character, an odd last byte is dropped.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// A parameter's TYPE_INFO and value (TYPE_VARBYTE).
pub(crate) fn typed_value(c: &mut Cursor<'_>) -> Result<(Type, Value)> {
    let token = c.u8("a type")?;
    match token {
        0x1F => Ok((Type::Int, Value::Null)),
        0x30 => Ok((Type::TinyInt, integer(c.take(1, "tinyint")?)?)),
        0x34 => Ok((Type::SmallInt, integer(c.take(2, "smallint")?)?)),
        0x38 => Ok((Type::Int, integer(c.take(4, "int")?)?)),
        0x7F => Ok((Type::BigInt, integer(c.take(8, "bigint")?)?)),
        0x32 => Ok((Type::Bit, Value::Bit(c.u8("bit")? != 0))),
        0x3B => Ok((Type::Real, float(c.take(4, "real")?)?)),
        0x3E => Ok((Type::Float, float(c.take(8, "float")?)?)),
        0x3A => Ok((Type::SmallDateTime, datetime(c.take(4, "smalldatetime")?)?)),
        0x3D => Ok((Type::DateTime, datetime(c.take(8, "datetime")?)?)),
        0x3C => Ok((Type::Money, money(c.take(8, "money")?)?)),
        0x7A => Ok((Type::Money, money(c.take(4, "smallmoney")?)?)),
        0x24 | 0x26 | 0x68 | 0x6D..=0x6F => nullable_fixed(c, token),
        0x6A | 0x6C => numeric(c),
        0x28..=0x2B => date_or_time(c, token),
        0xA5 | 0xA7 | 0xAD | 0xAF | 0xE7 | 0xEF => variable(c, token),
        0x22 | 0x23 | 0x63 => large(c, token),
        other => Err(Malformed::Type(other)),
    }
}

fn nullable_fixed(c: &mut Cursor<'_>, token: u8) -> Result<(Type, Value)> {
    let declared = c.u8("a length")?;
    let length = c.u8("a length")?;
    let ty = match (token, declared) {
        (0x24, 16) => Type::Guid,
        (0x26, 1) => Type::TinyInt,
        (0x26, 2) => Type::SmallInt,
        (0x26, 4) => Type::Int,
        (0x26, 8) => Type::BigInt,
        (0x68, 1) => Type::Bit,
        (0x6D, 4) => Type::Real,
        (0x6D, 8) => Type::Float,
        (0x6E, 4 | 8) => Type::Money,
        (0x6F, 4) => Type::SmallDateTime,
        (0x6F, 8) => Type::DateTime,
        _ => return Err(Malformed::Value("the length of its type")),
    };
    if length == 0 {
        return Ok((ty, Value::Null));
    }
    let bytes = c.take(usize::from(length), "a value")?;
    let value = match ty {
        Type::Guid => Value::Guid(swap_guid(Cursor::sized(bytes, "uniqueidentifier")?)),
        Type::Bit => Value::Bit(bytes.first().is_some_and(|b| *b != 0)),
        Type::Real | Type::Float => float(bytes)?,
        Type::Money => money(bytes)?,
        Type::SmallDateTime | Type::DateTime => datetime(bytes)?,
        _ => integer(bytes)?,
    };
    Ok((ty, value))
}

fn integer(bytes: &[u8]) -> Result<Value> {
    Ok(Value::Int(match *bytes {
        [a] => i64::from(a),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(Cursor::sized(bytes, "an integer")?),
    }))
}

fn float(bytes: &[u8]) -> Result<Value> {
    let value = match *bytes {
        [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
        _ => f64::from_le_bytes(Cursor::sized(bytes, "float")?),
    };
    if value.is_finite() { Ok(Value::Float(value)) } else { Err(Malformed::Value("float")) }
}

/// `money` is two halves, the higher first (MS-TDS 2.2.5.5.1.2).
fn money(bytes: &[u8]) -> Result<Value> {
    let unscaled = match *bytes {
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => {
            (i64::from(i32::from_le_bytes([a, b, c, d])) << 32) | i64::from(u32::from_le_bytes([e, f, g, h]))
        }
        _ => return Err(Malformed::Value("money")),
    };
    Ok(Value::Decimal { unscaled: i128::from(unscaled), scale: 4 })
}

/// The days of `datetime` count from 1900; its times are 1/300 s, those of `smalldatetime` minutes.
fn datetime(bytes: &[u8]) -> Result<Value> {
    let (days, time) = match *bytes {
        [a, b, c, d] => (
            i64::from(u16::from_le_bytes([a, b])),
            u64::from(u16::from_le_bytes([c, d])) * 60 * Time::PER_SECOND,
        ),
        [a, b, c, d, e, f, g, h] => {
            let ticks = u64::from(u32::from_le_bytes([e, f, g, h]));
            (i64::from(i32::from_le_bytes([a, b, c, d])), (ticks * Time::PER_SECOND + 150) / 300)
        }
        _ => return Err(Malformed::Value("datetime")),
    };
    let date =
        u32::try_from(days + i64::from(Date::EPOCH_1900.0)).map(Date).ok().filter(|d| *d <= Date::LAST);
    match date {
        Some(date) if time < Time::PER_DAY => Ok(Value::DateTime(date, Time(time))),
        _ => Err(Malformed::Value("datetime")),
    }
}

fn numeric(c: &mut Cursor<'_>) -> Result<(Type, Value)> {
    let (_, precision, scale) = (c.u8("numeric")?, c.u8("numeric")?, c.u8("numeric")?);
    if !(1..=38).contains(&precision) || scale > precision {
        return Err(Malformed::Value("the precision and scale of numeric"));
    }
    let ty = Type::Numeric { precision, scale };
    let length = usize::from(c.u8("numeric")?);
    let Some((sign, digits)) = c.take(length, "numeric")?.split_first() else { return Ok((ty, Value::Null)) };
    let mut wide = [0u8; 16];
    wide.get_mut(..digits.len()).ok_or(Malformed::Value("numeric"))?.copy_from_slice(digits);
    let magnitude = i128::try_from(u128::from_le_bytes(wide)).map_err(|_| Malformed::Value("numeric"))?;
    Ok((ty, Value::Decimal { unscaled: if *sign == 0 { -magnitude } else { magnitude }, scale }))
}

fn date_or_time(c: &mut Cursor<'_>, token: u8) -> Result<(Type, Value)> {
    let scale = if token == 0x28 { 0 } else { c.u8("a scale")? };
    if scale > 7 {
        return Err(Malformed::Value("the scale of a time"));
    }
    let ty = match token {
        0x28 => Type::Date,
        0x29 => Type::Time(scale),
        0x2A => Type::DateTime2(scale),
        _ => Type::DateTimeOffset(scale),
    };
    let length = usize::from(c.u8("a length")?);
    if length == 0 {
        return Ok((ty, Value::Null));
    }
    let mut value = Cursor::new(c.take(length, "a date or time")?);
    let time = match ty {
        Type::Date => Time(0),
        _ => Time(little_endian(value.take(time_length(scale), "a time")?) * 10u64.pow(u32::from(7 - scale))),
    };
    let date = match ty {
        Type::Time(_) => Date(0),
        _ => Date(little_endian(value.take(3, "a date")?) as u32),
    };
    let minutes = match ty {
        Type::DateTimeOffset(_) => value.u16("a time zone")? as i16,
        _ => 0,
    };
    if !value.is_empty() || time.0 >= Time::PER_DAY || date > Date::LAST || minutes.abs() > 840 {
        return Err(Malformed::Value("a date or time"));
    }
    let value = match ty {
        Type::Date => Value::Date(date),
        Type::Time(_) => Value::Time(time),
        Type::DateTime2(_) => Value::DateTime(date, time),
        _ => Value::DateTimeOffset { date, time, minutes },
    };
    Ok((ty, value))
}

/// Bytes that a time of this scale takes.
pub(crate) fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, b| (sum << 8) | u64::from(*b))
}

/// Character and binary types with a two-byte length, or 0xFFFF and chunks for the `max` types (PLP, MS-TDS 2.2.5.2.3).
fn variable(c: &mut Cursor<'_>, token: u8) -> Result<(Type, Value)> {
    let max = c.u16("a length")?;
    let utf8 = match token {
        0xA5 | 0xAD => false,
        _ => is_utf8(c.take(5, "a collation")?),
    };
    let ty = match (token, max) {
        (0xA5, 0xFFFF) => Type::VarBinaryMax,
        (0xA7, 0xFFFF) => Type::VarCharMax,
        (0xE7, 0xFFFF) => Type::NVarCharMax,
        (_, 8001..) => return Err(Malformed::Value("the length of its type")),
        (0xA5, n) => Type::VarBinary(n),
        (0xAD, n) => Type::Binary(n),
        (0xA7, n) => Type::VarChar(n),
        (0xAF, n) => Type::Char(n),
        (0xE7, n) => Type::NVarChar(n / 2),
        (_, n) => Type::NChar(n / 2),
    };
    let bytes = if max == 0xFFFF {
        chunked(c)?
    } else {
        match c.u16("a length")? {
            0xFFFF => None,
            length if length > max => return Err(Malformed::Value("the length of its type")),
            length => Some(c.take(usize::from(length), "a value")?.to_vec()),
        }
    };
    Ok((ty, bytes.map_or(Ok(Value::Null), |b| characters_or_bytes(ty, b, utf8))?))
}

/// `text`, `ntext` and `image`, which old drivers still send as parameters.
fn large(c: &mut Cursor<'_>, token: u8) -> Result<(Type, Value)> {
    c.u32("a length")?;
    let utf8 = token != 0x22 && is_utf8(c.take(5, "a collation")?);
    let ty = match token {
        0x22 => Type::VarBinaryMax,
        0x23 => Type::VarCharMax,
        _ => Type::NVarCharMax,
    };
    match c.u32("a length")? {
        u32::MAX => Ok((ty, Value::Null)),
        length => Ok((ty, characters_or_bytes(ty, c.take(length as usize, "a value")?.to_vec(), utf8)?)),
    }
}

/// UTF-8 is bit 26 of a collation (MS-TDS 2.2.5.1.2).
fn is_utf8(collation: &[u8]) -> bool {
    collation.get(3).is_some_and(|b| b & 0x04 != 0)
}

fn chunked(c: &mut Cursor<'_>) -> Result<Option<Vec<u8>>> {
    if c.u64("a length")? == u64::MAX {
        return Ok(None);
    }
    // The total may be unknown or untrue; the chunks are what counts.
    let mut all = Vec::new();
    loop {
        match c.u32("a chunk")? {
            0 => return Ok(Some(all)),
            length => all.extend_from_slice(c.take(length as usize, "a chunk")?),
        }
    }
}

fn characters_or_bytes(ty: Type, bytes: Vec<u8>, utf8: bool) -> Result<Value> {
    Ok(match ty {
        Type::Binary(_) | Type::VarBinary(_) | Type::VarBinaryMax => Value::Binary(bytes),
        Type::NChar(_) | Type::NVarChar(_) | Type::NVarCharMax if bytes.len() % 2 == 1 => {
            return Err(Malformed::Value("a Unicode type"));
        }
        Type::NChar(_) | Type::NVarChar(_) | Type::NVarCharMax => Value::Text(utf16(&bytes)),
        _ if utf8 => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Value::Text(codepage::decode(&bytes)),
    })
}

/// The first three groups of a `uniqueidentifier` are little-endian on the wire; swapping is its own inverse.
pub(crate) fn swap_guid(mut guid: [u8; 16]) -> [u8; 16] {
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    guid
}
