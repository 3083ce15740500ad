//! Reads result sets by column name, checking types: nothing that a server sends can end the program.

use jiff::civil::{self, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use pchat_planner::lsn::{Fork, Lsn};
use tiberius::{ColumnData, Row};
use uuid::Uuid;

use crate::outside;

/// What does not fit in an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct Misread {
    /// Column or set.
    pub column: String,
    /// What was found.
    pub what: String,
}

impl Misread {
    /// Shorthand.
    pub fn new(column: &str, what: impl Into<String>) -> Self {
        Misread { column: column.to_owned(), what: what.into() }
    }
}

/// A result set.
#[derive(Debug, Default)]
pub struct Set {
    columns: Vec<String>,
    rows: Vec<Record>,
}

impl Set {
    /// An empty set with these columns.
    pub fn new(columns: impl Iterator<Item = String>) -> Self {
        Set { columns: columns.collect(), rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(Record(row));
    }

    /// Whether it has this column (names compare as in T-SQL, without case).
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c.eq_ignore_ascii_case(column))
    }

    /// The names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Its rows.
    pub fn rows(&self) -> &[Record] {
        &self.rows
    }
}

/// One row.
#[derive(Debug)]
pub struct Record(Row);

/// What is NULL, or does not fit, is not known: one odd column is no reason to know nothing.
pub fn if_told<T>(read: Result<Option<T>, Misread>) -> Option<T> {
    read.unwrap_or_else(|misread| {
        tracing::debug!(%misread, "a column is not understood and counts as not told");
        None
    })
}

impl Record {
    fn data(&self, column: &str) -> Result<&ColumnData<'static>, Misread> {
        let at = self.0.columns().iter().position(|c| c.name().eq_ignore_ascii_case(column));
        let at = at.ok_or_else(|| Misread::new(column, "is not in the answer"))?;
        self.0.get_column_data(at).map_err(|e| Misread::new(column, e.to_string()))
    }

    fn wrong(column: &str, wanted: &str, data: &ColumnData<'_>) -> Misread {
        let kind = format!("{data:?}");
        let kind = kind.split('(').next().unwrap_or_default().to_owned();
        Misread::new(column, format!("{wanted} was expected, {kind} came"))
    }

    /// A text as it may be shown, compared and sent back, without trailing blanks (many of these columns are `nchar`).
    pub fn text(&self, column: &str) -> Result<Option<String>, Misread> {
        Ok(self.verbatim(column)?.map(|text| outside::value(&text)))
    }

    /// A text as the server sent it, without trailing blanks. It must never be shown, and is no part of a path.
    pub fn verbatim(&self, column: &str) -> Result<Option<String>, Misread> {
        match self.data(column)? {
            ColumnData::String(text) => Ok(text.as_ref().map(|t| t.trim_end().to_owned())),
            other => Err(Self::wrong(column, "a text", other)),
        }
    }

    /// A whole number of any width, or a bit.
    pub fn int(&self, column: &str) -> Result<Option<i64>, Misread> {
        Ok(match self.data(column)? {
            ColumnData::U8(n) => n.map(i64::from),
            ColumnData::I16(n) => n.map(i64::from),
            ColumnData::I32(n) => n.map(i64::from),
            ColumnData::I64(n) => *n,
            ColumnData::Bit(b) => b.map(i64::from),
            ColumnData::F32(n) => n.map(|n| n as i64),
            ColumnData::F64(n) => n.map(|n| n as i64),
            ColumnData::Numeric(n) => match n {
                Some(n) if n.scale() == 0 => Some(
                    i64::try_from(n.value()).map_err(|_| Misread::new(column, "the number is too large"))?,
                ),
                Some(n) => Some(
                    i64::try_from(n.int_part())
                        .map_err(|_| Misread::new(column, "the number is too large"))?,
                ),
                None => None,
            },
            other => return Err(Self::wrong(column, "a number", other)),
        })
    }

    /// A bit.
    pub fn bit(&self, column: &str) -> Result<Option<bool>, Misread> {
        Ok(self.int(column)?.map(|n| n != 0))
    }

    /// A log sequence number, `numeric(25,0)`.
    pub fn lsn(&self, column: &str) -> Result<Option<Lsn>, Misread> {
        match self.data(column)? {
            ColumnData::Numeric(None) => Ok(None),
            ColumnData::Numeric(Some(n)) if n.scale() == 0 && n.value() >= 0 => {
                Ok(Some(Lsn(n.value().unsigned_abs())))
            }
            other => Err(Self::wrong(column, "a numeric(25,0)", other)),
        }
    }

    /// A uniqueidentifier.
    pub fn guid(&self, column: &str) -> Result<Option<Uuid>, Misread> {
        match self.data(column)? {
            ColumnData::Guid(guid) => Ok(*guid),
            other => Err(Self::wrong(column, "a uniqueidentifier", other)),
        }
    }

    /// A recovery fork.
    pub fn fork(&self, column: &str) -> Result<Option<Fork>, Misread> {
        Ok(self.guid(column)?.map(Fork))
    }

    /// A `datetime`: the wall clock of whoever wrote it.
    pub fn wall_clock(&self, column: &str) -> Result<Option<DateTime>, Misread> {
        let local = match self.data(column)? {
            ColumnData::DateTime(None) | ColumnData::DateTime2(None) | ColumnData::SmallDateTime(None) => {
                return Ok(None);
            }
            ColumnData::DateTime(Some(value)) => {
                let nanos = i64::from(value.seconds_fragments()) * 10_000_000 / 3;
                after(civil::date(1900, 1, 1), i64::from(value.days()), nanos)
            }
            ColumnData::DateTime2(Some(value)) => {
                let scale = 10i64.checked_pow(9u32.saturating_sub(u32::from(value.time().scale())));
                let nanos = i64::try_from(value.time().increments())
                    .ok()
                    .zip(scale)
                    .and_then(|(n, s)| n.checked_mul(s));
                nanos.and_then(|nanos| after(civil::date(1, 1, 1), i64::from(value.date().days()), nanos))
            }
            other => return Err(Self::wrong(column, "a datetime", other)),
        };
        local.map(Some).ok_or_else(|| Misread::new(column, "the date is out of range"))
    }

    /// A `datetime` in the server's local time, turned into UTC with the zone that the server has now.
    pub fn local_time(&self, column: &str, zone: Offset) -> Result<Option<Timestamp>, Misread> {
        let Some(local) = self.wall_clock(column)? else { return Ok(None) };
        let utc = zone.to_timestamp(local);
        utc.map(Some).map_err(|_| Misread::new(column, "the date is out of range"))
    }

    /// As `text`, with NULL as an error.
    pub fn need_text(&self, column: &str) -> Result<String, Misread> {
        self.text(column)?.ok_or_else(|| null(column))
    }

    /// As `int`, with NULL as an error.
    pub fn need_int(&self, column: &str) -> Result<i64, Misread> {
        self.int(column)?.ok_or_else(|| null(column))
    }

    /// As `guid`, with NULL as an error.
    pub fn need_guid(&self, column: &str) -> Result<Uuid, Misread> {
        self.guid(column)?.ok_or_else(|| null(column))
    }

    /// A UTC time that a batch wrote as text (`CONVERT(.., 126)`).
    pub fn need_utc(&self, column: &str) -> Result<Timestamp, Misread> {
        let text = self.need_text(column)?;
        utc(&text).ok_or_else(|| Misread::new(column, format!("{text:?} is not a time")))
    }
}

fn null(column: &str) -> Misread {
    Misread::new(column, "is NULL")
}

/// A day counted from `epoch`, and nanoseconds of that day.
fn after(epoch: civil::Date, days: i64, nanos: i64) -> Option<DateTime> {
    let days = SignedDuration::from_secs(days.checked_mul(86_400)?);
    let since = days.checked_add(SignedDuration::from_nanos(nanos))?;
    epoch.to_datetime(civil::Time::midnight()).checked_add(since).ok()
}

/// Reads `yyyy-mm-ddThh:mi:ss[.fff]` as UTC.
pub fn utc(text: &str) -> Option<Timestamp> {
    let local: DateTime = text.strip_suffix('Z').unwrap_or(text).parse().ok()?;
    Offset::UTC.to_timestamp(local).ok()
}

/// Writes a time as a `datetime2(3)` parameter expects it (style 126).
pub fn datetime2(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// The zone of a server, from the seconds by which its local clock is ahead of its UTC clock. Zones are
/// multiples of a quarter of an hour; the two clocks are not read at quite the same moment.
pub fn zone(seconds_ahead: i64) -> Option<Offset> {
    let quarters = (seconds_ahead as f64 / 900.0).round() as i64;
    Offset::from_seconds(i32::try_from(quarters.checked_mul(900)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_to_the_far_end_and_back() {
        let at: Timestamp = "2026-11-22T23:41:07.123Z".parse().unwrap();
        assert_eq!(datetime2(at), "2026-11-22T23:41:07.123");
        assert_eq!(utc(&datetime2(at)), Some(at));
        assert_eq!(utc("2026-11-22T23:41:07"), Some("2026-11-22T23:41:07Z".parse().unwrap()));
        assert_eq!(utc("yesterday"), None);
    }

    #[test]
    fn a_datetime_is_counted_from_1900_in_three_hundredths() {
        let noon = after(civil::date(1900, 1, 1), 46_346, 12 * 3600 * 300 * 10_000_000 / 3).unwrap();
        assert_eq!(noon.to_string(), "2026-11-22T12:00:00");
        assert_eq!(after(civil::date(1900, 1, 1), i64::MAX, 0), None);
    }

    #[test]
    fn zones_are_rounded_to_a_quarter_of_an_hour() {
        assert_eq!(zone(28_799), zone(28_801));
        assert_eq!(zone(20_700).unwrap().seconds(), 20_700);
        assert_eq!(zone(i64::MAX), None);
    }
}
