//! Between the world's values, those of T-SQL and those of the wire.
//!
//! Answers for lossless mapping only; what a type cannot hold is the language's or the wire's error.

use crate::world::database::Cell;
use crate::world::lsn::Lsn;
use jiff::Timestamp;
use pchat_tds as tds;
use pchat_tsql::time::Ticks;
use pchat_tsql::types::MAX;
use pchat_tsql::{Ty, Value};
use uuid::Uuid;

/// A UTC instant as T-SQL has it (the lab's servers keep UTC as their local time).
pub fn time(at: Timestamp) -> Value {
    Value::Time(Ticks::from_unix_micros(at.as_microsecond()))
}

/// A guid.
pub fn guid(id: Uuid) -> Value {
    Value::Guid(id.into_bytes())
}

/// An LSN as `numeric(25,0)`.
pub fn lsn(lsn: Lsn) -> Value {
    Value::Numeric(lsn.0, 0)
}

/// Text or NULL.
pub fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::text)
}

/// A guid argument.
pub fn as_guid(value: &Value) -> Option<Uuid> {
    value.as_guid().map(Uuid::from_bytes)
}

/// A cell of a user table to T-SQL.
pub fn from_cell(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(i) => Value::Int(*i),
        Cell::Float(f) => Value::Float(*f),
        Cell::Text(t) => Value::Text(t.clone()),
        Cell::Time(t) => time(*t),
        Cell::Guid(g) => guid(*g),
        Cell::Bytes(b) => Value::Binary(b.clone()),
    }
}

/// A T-SQL value to a cell; `None` for a time outside the calendar of the lab's files.
pub fn to_cell(value: &Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Int(i) => Cell::Int(*i),
        Value::Numeric(..) => Cell::Int(value.as_int()?),
        Value::Float(f) => Cell::Float(*f),
        Value::Text(t) => Cell::Text(t.clone()),
        Value::Time(t) => Cell::Time(Timestamp::from_microsecond(t.to_unix_micros()).ok()?),
        Value::Guid(g) => Cell::Guid(Uuid::from_bytes(*g)),
        Value::Binary(b) => Cell::Bytes(b.clone()),
    })
}

/// A T-SQL type on the wire.
pub fn wire_type(ty: Ty) -> tds::Type {
    let short = |n: i32| u16::try_from(n.max(1)).unwrap_or(8000);
    match ty {
        Ty::Bit => tds::Type::Bit,
        Ty::TinyInt => tds::Type::TinyInt,
        Ty::SmallInt => tds::Type::SmallInt,
        Ty::Int => tds::Type::Int,
        Ty::BigInt => tds::Type::BigInt,
        Ty::Numeric(precision, scale) => tds::Type::Numeric { precision, scale },
        Ty::Real => tds::Type::Real,
        Ty::Float => tds::Type::Float,
        Ty::Date => tds::Type::Date,
        Ty::Time(s) => tds::Type::Time(s),
        Ty::SmallDateTime => tds::Type::SmallDateTime,
        Ty::DateTime => tds::Type::DateTime,
        Ty::DateTime2(s) => tds::Type::DateTime2(s),
        Ty::Guid => tds::Type::Guid,
        Ty::Binary(n) => tds::Type::Binary(short(n)),
        Ty::VarBinary(MAX) => tds::Type::VarBinaryMax,
        Ty::VarBinary(n) => tds::Type::VarBinary(short(n)),
        Ty::Char(n) => tds::Type::Char(short(n)),
        Ty::VarChar(MAX) => tds::Type::VarCharMax,
        Ty::VarChar(n) => tds::Type::VarChar(short(n)),
        Ty::NChar(n) => tds::Type::NChar(short(n)),
        Ty::NVarChar(MAX) => tds::Type::NVarCharMax,
        Ty::NVarChar(n) => tds::Type::NVarChar(short(n)),
        Ty::Variant => tds::Type::Variant,
    }
}

/// A T-SQL value of type `ty` on the wire.
pub fn to_wire(value: &Value, ty: Ty) -> tds::Value {
    match value {
        Value::Null => tds::Value::Null,
        Value::Int(i) if ty == Ty::Bit => tds::Value::Bit(*i != 0),
        Value::Int(i) => tds::Value::Int(*i),
        Value::Numeric(unscaled, scale) => tds::Value::Decimal { unscaled: *unscaled, scale: *scale },
        Value::Float(f) => tds::Value::Float(*f),
        Value::Text(t) => tds::Value::Text(t.clone()),
        Value::Time(t) => {
            let day = tds::Time::PER_DAY as i64;
            let date = tds::Date(u32::try_from(t.0.div_euclid(day)).unwrap_or(0));
            let clock = tds::Time(t.0.rem_euclid(day) as u64);
            match ty {
                Ty::Date => tds::Value::Date(date),
                Ty::Time(_) => tds::Value::Time(clock),
                _ => tds::Value::DateTime(date, clock),
            }
        }
        Value::Guid(g) => tds::Value::Guid(*g),
        Value::Binary(b) => tds::Value::Binary(b.clone()),
    }
}

/// The type of a wire parameter in T-SQL.
pub fn from_wire_type(ty: tds::Type) -> Ty {
    match ty {
        tds::Type::Bit => Ty::Bit,
        tds::Type::TinyInt => Ty::TinyInt,
        tds::Type::SmallInt => Ty::SmallInt,
        tds::Type::Int => Ty::Int,
        tds::Type::BigInt => Ty::BigInt,
        tds::Type::Real => Ty::Real,
        tds::Type::Float => Ty::Float,
        tds::Type::Numeric { precision, scale } => Ty::Numeric(precision, scale),
        tds::Type::Money => Ty::Numeric(19, 4),
        tds::Type::NChar(n) => Ty::NChar(n.into()),
        tds::Type::NVarChar(n) => Ty::NVarChar(n.into()),
        tds::Type::NVarCharMax => Ty::NVarChar(MAX),
        tds::Type::Char(n) => Ty::Char(n.into()),
        tds::Type::VarChar(n) => Ty::VarChar(n.into()),
        tds::Type::VarCharMax => Ty::VarChar(MAX),
        tds::Type::Binary(n) => Ty::Binary(n.into()),
        tds::Type::VarBinary(n) => Ty::VarBinary(n.into()),
        tds::Type::VarBinaryMax => Ty::VarBinary(MAX),
        tds::Type::Guid => Ty::Guid,
        tds::Type::SmallDateTime => Ty::SmallDateTime,
        tds::Type::DateTime => Ty::DateTime,
        tds::Type::DateTime2(s) => Ty::DateTime2(s),
        tds::Type::Date => Ty::Date,
        tds::Type::Time(s) => Ty::Time(s),
        tds::Type::DateTimeOffset(s) => Ty::DateTime2(s),
        tds::Type::Variant => Ty::Variant,
    }
}

/// A wire parameter's value in T-SQL; an offset time counts by its UTC instant.
pub fn from_wire(value: &tds::Value) -> Value {
    let at = |d: tds::Date, t: tds::Time| {
        let day = tds::Time::PER_DAY as i64;
        Value::Time(Ticks(i64::from(d.0) * day + i64::try_from(t.0).unwrap_or(0)))
    };
    match value {
        tds::Value::Null => Value::Null,
        tds::Value::Bit(b) => Value::Int((*b).into()),
        tds::Value::Int(i) => Value::Int(*i),
        tds::Value::Float(f) => Value::Float(*f),
        tds::Value::Decimal { unscaled, scale } => Value::Numeric(*unscaled, *scale),
        tds::Value::Text(t) => Value::Text(t.clone()),
        tds::Value::Binary(b) => Value::Binary(b.clone()),
        tds::Value::Guid(g) => Value::Guid(*g),
        tds::Value::Date(d) => at(*d, tds::Time(0)),
        tds::Value::Time(t) => at(tds::Date(0), *t),
        tds::Value::DateTime(d, t) => at(*d, *t),
        tds::Value::DateTimeOffset { date, time, .. } => at(*date, *time),
    }
}
