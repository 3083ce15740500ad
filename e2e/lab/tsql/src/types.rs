//! The types and values of T-SQL that the lab's servers speak.
//!
//! A type carries what column metadata needs (length, precision, scale); a value carries only its
//! content, so that rows are cheap to make. This module knows nothing of conversion or comparison
//! (`convert`) and never guesses: a type name that is not listed is error 2715.

use crate::error::SqlError;
use crate::time::Ticks;
use std::fmt;

/// Length of a `(max)` type.
pub const MAX: i32 = -1;

/// A data type with its length (characters; bytes for binary types; [`MAX`] for `max`), precision or scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// `bit`; values are `Int(0)` and `Int(1)`.
    Bit,
    /// `tinyint`, 0 to 255.
    TinyInt,
    /// `smallint`.
    SmallInt,
    /// `int`.
    Int,
    /// `bigint`.
    BigInt,
    /// `numeric(precision, scale)`; `decimal` is the same type.
    Numeric(u8, u8),
    /// `real`.
    Real,
    /// `float`.
    Float,
    /// `date`.
    Date,
    /// `time(scale)`.
    Time(u8),
    /// `smalldatetime`: whole minutes.
    SmallDateTime,
    /// `datetime`: steps of 1/300 s.
    DateTime,
    /// `datetime2(scale)`.
    DateTime2(u8),
    /// `uniqueidentifier`.
    Guid,
    /// `binary(n)`.
    Binary(i32),
    /// `varbinary(n)`.
    VarBinary(i32),
    /// `char(n)`.
    Char(i32),
    /// `varchar(n)`.
    VarChar(i32),
    /// `nchar(n)`.
    NChar(i32),
    /// `nvarchar(n)`; `sysname` is `nvarchar(128)`, `ntext` is carried as `nvarchar(max)`.
    NVarChar(i32),
    /// `sql_variant`: the base type is that of the value.
    Variant,
}

/// `sysname`.
pub const SYSNAME: Ty = Ty::NVarChar(128);

impl Ty {
    /// The type's name without length, as error messages print it.
    pub fn name(self) -> &'static str {
        match self {
            Ty::Bit => "bit",
            Ty::TinyInt => "tinyint",
            Ty::SmallInt => "smallint",
            Ty::Int => "int",
            Ty::BigInt => "bigint",
            Ty::Numeric(..) => "numeric",
            Ty::Real => "real",
            Ty::Float => "float",
            Ty::Date => "date",
            Ty::Time(_) => "time",
            Ty::SmallDateTime => "smalldatetime",
            Ty::DateTime => "datetime",
            Ty::DateTime2(_) => "datetime2",
            Ty::Guid => "uniqueidentifier",
            Ty::Binary(_) => "binary",
            Ty::VarBinary(_) => "varbinary",
            Ty::Char(_) => "char",
            Ty::VarChar(_) => "varchar",
            Ty::NChar(_) => "nchar",
            Ty::NVarChar(_) => "nvarchar",
            Ty::Variant => "sql_variant",
        }
    }

    /// Is it one of the four character types?
    pub fn is_text(self) -> bool {
        matches!(self, Ty::Char(_) | Ty::VarChar(_) | Ty::NChar(_) | Ty::NVarChar(_))
    }

    /// Is it a type whose values are `Value::Int`?
    pub fn is_integer(self) -> bool {
        matches!(self, Ty::Bit | Ty::TinyInt | Ty::SmallInt | Ty::Int | Ty::BigInt)
    }

    /// Is it a type to calculate with?
    pub fn is_number(self) -> bool {
        self.is_integer() || matches!(self, Ty::Numeric(..) | Ty::Real | Ty::Float)
    }

    /// Is it a type of dates or times?
    pub fn is_time(self) -> bool {
        matches!(self, Ty::Date | Ty::Time(_) | Ty::SmallDateTime | Ty::DateTime | Ty::DateTime2(_))
    }

    /// Is it `binary` or `varbinary`?
    pub fn is_binary(self) -> bool {
        matches!(self, Ty::Binary(_) | Ty::VarBinary(_))
    }

    /// Declared length of a character or binary type.
    pub fn length(self) -> Option<i32> {
        match self {
            Ty::Char(n) | Ty::VarChar(n) | Ty::NChar(n) | Ty::NVarChar(n) => Some(n),
            Ty::Binary(n) | Ty::VarBinary(n) => Some(n),
            _ => None,
        }
    }

    /// The same type with another length; types without a length stay as they are.
    pub fn with_length(self, n: i32) -> Ty {
        match self {
            Ty::Char(_) => Ty::Char(n),
            Ty::VarChar(_) => Ty::VarChar(n),
            Ty::NChar(_) => Ty::NChar(n),
            Ty::NVarChar(_) => Ty::NVarChar(n),
            Ty::Binary(_) => Ty::Binary(n),
            Ty::VarBinary(_) => Ty::VarBinary(n),
            other => other,
        }
    }

    /// Type of a name and its arguments as written in DECLARE, CREATE TABLE or CAST. `default_length` is
    /// the length of a character or binary type written without one: 1 in a declaration, 30 in CAST.
    /// Errors: 2715 for an unknown type, 131 and 192 for sizes that do not exist.
    pub fn from_name(name: &str, arguments: &[i32], default_length: i32) -> Result<Ty, SqlError> {
        let one = arguments.first().copied();
        let sized = |limit: i32| -> Result<i32, SqlError> {
            match one.unwrap_or(default_length) {
                MAX => Ok(MAX),
                n if n >= 1 && n <= limit => Ok(n),
                n => Err(SqlError::new(131, &[&"", &n.to_string(), &"type", &name, &limit.to_string()])),
            }
        };
        let fixed = |limit: i32| match sized(limit)? {
            MAX => Err(SqlError::near("max")),
            n => Ok(n),
        };
        let scale = || match one.unwrap_or(7) {
            n @ 0..=7 => Ok(n as u8),
            n => Err(SqlError::new(1002, &[&"", &n.to_string()])),
        };
        Ok(match name.to_ascii_lowercase().as_str() {
            "bit" => Ty::Bit,
            "tinyint" => Ty::TinyInt,
            "smallint" => Ty::SmallInt,
            "int" | "integer" => Ty::Int,
            "bigint" => Ty::BigInt,
            "numeric" | "decimal" | "dec" => {
                let (p, s) = (one.unwrap_or(18), arguments.get(1).copied().unwrap_or(0));
                if !(1..=38).contains(&p) || !(0..=p).contains(&s) {
                    return Err(SqlError::new(192, &[]));
                }
                Ty::Numeric(p as u8, s as u8)
            }
            "real" => Ty::Real,
            "float" => Ty::Float,
            "date" => Ty::Date,
            "time" => Ty::Time(scale()?),
            "smalldatetime" => Ty::SmallDateTime,
            "datetime" => Ty::DateTime,
            "datetime2" => Ty::DateTime2(scale()?),
            "uniqueidentifier" => Ty::Guid,
            "binary" => Ty::Binary(fixed(8000)?),
            "varbinary" => Ty::VarBinary(sized(8000)?),
            "char" => Ty::Char(fixed(8000)?),
            "varchar" => Ty::VarChar(sized(8000)?),
            "nchar" => Ty::NChar(fixed(4000)?),
            "nvarchar" => Ty::NVarChar(sized(4000)?),
            "sysname" => SYSNAME,
            "ntext" => Ty::NVarChar(MAX),
            "text" => Ty::VarChar(MAX),
            "sql_variant" => Ty::Variant,
            _ => return Err(SqlError::new(2715, &[&"1", &name])),
        })
    }

    /// Type of a text such as `nvarchar(128)` or `numeric(25,0)`, as the reference tables write it.
    pub fn parse(text: &str) -> Result<Ty, SqlError> {
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        if name.eq_ignore_ascii_case("sysname") {
            return Ok(SYSNAME);
        }
        let arguments: Option<Vec<i32>> = rest
            .trim_end_matches(')')
            .split(',')
            .filter(|a| !a.trim().is_empty())
            .map(|a| if a.trim().eq_ignore_ascii_case("max") { Some(MAX) } else { a.trim().parse().ok() })
            .collect();
        let unknown = || SqlError::new(2715, &[&"1", &text]);
        // A reference row without a length (`nvarchar`) says nothing about it: the longest is safe.
        let long = if matches!(name, "nvarchar" | "varchar" | "varbinary") { MAX } else { 1 };
        Ty::from_name(name.trim(), &arguments.ok_or_else(unknown)?, long)
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Numeric(p, s) => write!(f, "numeric({p},{s})"),
            Ty::Time(s) | Ty::DateTime2(s) => write!(f, "{}({s})", self.name()),
            other => match other.length() {
                Some(MAX) => write!(f, "{}(max)", other.name()),
                Some(n) => write!(f, "{}({n})", other.name()),
                None => f.write_str(other.name()),
            },
        }
    }
}

/// A value. Which kinds occur under which [`Ty`]: integers and `bit` are `Int`; `numeric` is `Numeric` with
/// the scale of the type; all date and time types are `Time`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// An integer or a bit.
    Int(i64),
    /// Unscaled digits and scale: LSNs are `Numeric(lsn, 0)`.
    Numeric(i128, u8),
    /// `real` and `float`.
    Float(f64),
    /// Any character type.
    Text(String),
    /// A point in time; for `time`, on the first day of year 1.
    Time(Ticks),
    /// A guid in the order of its text.
    Guid([u8; 16]),
    /// Any binary type.
    Binary(Vec<u8>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// An LSN, `numeric(25,0)`.
    pub fn lsn(lsn: u128) -> Value {
        i128::try_from(lsn).map_or(Value::Null, |lsn| Value::Numeric(lsn, 0))
    }

    /// Is it NULL?
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Its text, where it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its whole number, where it is a number that fits; fractions are cut.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Numeric(d, s) => i64::try_from(d / 10i128.pow(u32::from(*s))).ok(),
            _ => None,
        }
    }

    /// Its time, where it is one.
    pub fn as_time(&self) -> Option<Ticks> {
        match self {
            Value::Time(t) => Some(*t),
            _ => None,
        }
    }

    /// Its guid, where it is one.
    pub fn as_guid(&self) -> Option<[u8; 16]> {
        match self {
            Value::Guid(g) => Some(*g),
            _ => None,
        }
    }

    /// The type that a value has of itself, as `sql_variant` would keep it.
    pub fn own_type(&self) -> Ty {
        match self {
            Value::Null => Ty::Variant,
            Value::Int(i) if i32::try_from(*i).is_ok() => Ty::Int,
            Value::Int(_) => Ty::BigInt,
            Value::Numeric(_, s) => Ty::Numeric(38, *s),
            Value::Float(_) => Ty::Float,
            Value::Text(t) => Ty::NVarChar(match t.encode_utf16().count() {
                n @ 0..=4000 => (n as i32).max(1),
                _ => MAX,
            }),
            Value::Time(_) => Ty::DateTime2(7),
            Value::Guid(_) => Ty::Guid,
            Value::Binary(b) => Ty::VarBinary(if b.len() <= 8000 { (b.len() as i32).max(1) } else { MAX }),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Value {
        Value::Int(i)
    }
}
impl From<i32> for Value {
    fn from(i: i32) -> Value {
        Value::Int(i.into())
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Int(b.into())
    }
}
impl From<f64> for Value {
    fn from(f: f64) -> Value {
        Value::Float(f)
    }
}
impl From<Ticks> for Value {
    fn from(t: Ticks) -> Value {
        Value::Time(t)
    }
}
impl From<[u8; 16]> for Value {
    fn from(g: [u8; 16]) -> Value {
        Value::Guid(g)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Value {
        v.map_or(Value::Null, Into::into)
    }
}

/// A row: one value a column.
pub type Row = Vec<Value>;

/// A column of a result set or table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name; empty for an expression without alias.
    pub name: String,
    /// Type.
    pub ty: Ty,
    /// May it hold NULL?
    pub nullable: bool,
}

impl Column {
    /// A column that may hold NULL.
    pub fn new(name: impl Into<String>, ty: Ty) -> Column {
        Column { name: name.into(), ty, nullable: true }
    }
}

/// Columns and rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rowset {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Row>,
}
