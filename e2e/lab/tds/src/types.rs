//! The columns, types and values that pass between a simulated server and the wire.
//!
//! Answers for what a SQL Server value *is* to this crate; never for its bytes (see [`crate::encode`] and [`crate::decode`]) and never
//! for conversion between SQL types: a value that does not fit its column is an error, not a cast.

/// The declared type of a column or parameter (MS-TDS 2.2.5.4).
///
/// Lengths are characters for the Unicode types and bytes for the others, as in T-SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `bit`
    Bit,
    /// `tinyint`, 0 to 255
    TinyInt,
    /// `smallint`
    SmallInt,
    /// `int`
    Int,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `float`
    Float,
    /// `numeric(precision, scale)`; `decimal` is the same on the wire but for its token
    Numeric {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `money` and, as a parameter, `smallmoney`; a numeric of scale 4
    Money,
    /// `nchar(n)`
    NChar(u16),
    /// `nvarchar(n)`
    NVarChar(u16),
    /// `nvarchar(max)`
    NVarCharMax,
    /// `char(n)`, code page 1252
    Char(u16),
    /// `varchar(n)`, code page 1252
    VarChar(u16),
    /// `varchar(max)`, code page 1252
    VarCharMax,
    /// `binary(n)`
    Binary(u16),
    /// `varbinary(n)`
    VarBinary(u16),
    /// `varbinary(max)`
    VarBinaryMax,
    /// `uniqueidentifier`
    Guid,
    /// `smalldatetime`
    SmallDateTime,
    /// `datetime`, exact to 1/300 s
    DateTime,
    /// `datetime2(scale)`
    DateTime2(u8),
    /// `date`
    Date,
    /// `time(scale)`
    Time(u8),
    /// `datetimeoffset(scale)`
    DateTimeOffset(u8),
    /// `sql_variant`: each value carries its own type
    Variant,
}

/// A column of a result set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; empty for an unnamed expression. At most 128 characters reach the wire.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether NULL may stand in it.
    pub nullable: bool,
}

impl Column {
    /// A nullable column.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self { name: name.into(), ty, nullable: true }
    }
}

/// A value. Its type is that of the column or parameter it stands in.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// A `bit`.
    Bit(bool),
    /// Any of the integer types.
    Int(i64),
    /// A `real` or `float`.
    Float(f64),
    /// A `numeric` or `money`: `unscaled` divided by ten to the power of `scale`.
    Decimal {
        /// All digits, without the point.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u8,
    },
    /// Any of the character types.
    Text(String),
    /// Any of the binary types.
    Binary(Vec<u8>),
    /// A `uniqueidentifier` in the order in which it is written down, not the wire's.
    Guid([u8; 16]),
    /// A `date`.
    Date(Date),
    /// A `time`.
    Time(Time),
    /// A `datetime`, `smalldatetime` or `datetime2`.
    DateTime(Date, Time),
    /// A `datetimeoffset`.
    DateTimeOffset {
        /// The date in UTC.
        date: Date,
        /// The time in UTC.
        time: Time,
        /// Minutes to add for the local time.
        minutes: i16,
    },
}

/// A day, counted from 0001-01-01, which is day 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u32);

impl Date {
    /// The day from which `datetime` counts, 1900-01-01.
    pub const EPOCH_1900: Date = Date(693_595);
    /// The day from which Unix time counts, 1970-01-01.
    pub const EPOCH_1970: Date = Date(719_162);
    /// The last day of the calendar, 9999-12-31.
    pub const LAST: Date = Date(3_652_058);
}

/// A time of day in units of 100 ns since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// Units in a second.
    pub const PER_SECOND: u64 = 10_000_000;
    /// Units in a day; every valid time is below.
    pub const PER_DAY: u64 = 86_400 * Self::PER_SECOND;
}

/// An error or information message of a server (the ERROR and INFO tokens).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The number by which clients tell one from another.
    pub number: i32,
    /// The state, 1 if nothing else is documented.
    pub state: u8,
    /// The severity. Up to 10 it is information, above it an error; 20 and more end the connection.
    pub class: u8,
    /// The sentence.
    pub text: String,
    /// The procedure in which it was raised, or empty.
    pub procedure: String,
    /// The line in the batch or procedure, from 1.
    pub line: u32,
}

impl Message {
    /// An error of severity 16 in line 1.
    pub fn error(number: i32, text: impl Into<String>) -> Self {
        Self { number, state: 1, class: 16, text: text.into(), procedure: String::new(), line: 1 }
    }

    /// Information (severity 0), as PRINT gives.
    pub fn info(number: i32, text: impl Into<String>) -> Self {
        Self { class: 0, ..Self::error(number, text) }
    }

    /// The same message with another severity.
    pub fn with_class(self, class: u8) -> Self {
        Self { class, ..self }
    }

    /// Whether clients see an error in it.
    pub fn is_error(&self) -> bool {
        self.class > 10
    }
}
