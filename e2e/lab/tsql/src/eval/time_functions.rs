//! Date functions ("Date and Time Data Types and Functions").

use super::{Ctx, Result};
use crate::error::SqlError;
use crate::time::{Civil, DAY, SECOND, Ticks, civil_of, days_of, in_range};
use crate::types::Value;

/// Units by number, each with its spellings.
const UNITS: [&[&str]; 13] = [
    &["year", "yy", "yyyy"],
    &["quarter", "qq", "q"],
    &["month", "mm", "m"],
    &["dayofyear", "dy", "y"],
    &["day", "dd", "d"],
    &["week", "wk", "ww"],
    &["weekday", "dw"],
    &["hour", "hh"],
    &["minute", "mi", "n"],
    &["second", "ss", "s"],
    &["millisecond", "ms"],
    &["microsecond", "mcs"],
    &["nanosecond", "ns"],
];

/// Number of a unit's name.
pub(crate) fn unit(name: &str) -> Option<i64> {
    UNITS.iter().position(|u| u.iter().any(|n| n.eq_ignore_ascii_case(name))).map(|i| i as i64)
}

/// 100 ns steps of a unit of fixed length.
fn length(unit: i64) -> i64 {
    match unit {
        5 => 7 * DAY,
        3 | 4 | 6 => DAY,
        7 => 3600 * SECOND,
        8 => 60 * SECOND,
        9 => SECOND,
        10 => SECOND / 1000,
        _ => 10,
    }
}

/// The server's local time.
pub(super) fn local(cx: &Ctx<'_>) -> Ticks {
    Ticks(cx.now().0 + i64::from(cx.host.utc_offset_minutes()) * 60 * SECOND)
}

fn parts(args: &[Value], i: usize) -> (i64, Ticks) {
    (args[0].as_int().unwrap_or(0), args.get(i).and_then(Value::as_time).unwrap_or_default())
}

pub(super) fn add(args: &[Value]) -> Result<Value> {
    let (unit, t) = parts(args, 2);
    let n = args[1].as_int().unwrap_or(0);
    let overflow = || SqlError::new(517, &[&"datetime"]);
    if i32::try_from(n).is_err() {
        return Err(SqlError::new(8115, &[&"expression", &"int"]));
    }
    let ticks = match unit {
        0..=2 => {
            let months = n * [12, 3, 1][unit as usize];
            let c = t.civil();
            let total = c.year * 12 + c.month - 1 + months;
            let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
            if !(1..=9999).contains(&year) {
                return Err(overflow());
            }
            // The last day of a shorter month stands in for a day that it does not have.
            let mut day = c.day;
            while civil_of(days_of(Civil { year, month, day })).month != month {
                day -= 1;
            }
            days_of(Civil { year, month, day }) * DAY + t.of_day()
        }
        12 => t.0 + n / 100,
        unit => n.checked_mul(length(unit)).and_then(|d| t.0.checked_add(d)).ok_or_else(overflow)?,
    };
    if in_range(ticks) { Ok(Value::Time(Ticks(ticks))) } else { Err(overflow()) }
}

/// Counts the boundaries of the unit that lie between two times.
pub(super) fn difference(args: &[Value], big: bool) -> Result<Value> {
    let (unit, a) = parts(args, 1);
    let (_, b) = parts(args, 2);
    let (ca, cb) = (a.civil(), b.civil());
    let count = match unit {
        0 => cb.year - ca.year,
        1 => (cb.year * 4 + (cb.month - 1) / 3) - (ca.year * 4 + (ca.month - 1) / 3),
        2 => (cb.year * 12 + cb.month) - (ca.year * 12 + ca.month),
        // Weeks begin on Sunday here whatever DATEFIRST says; 0001-01-01 was a Monday.
        5 => (b.0 + DAY).div_euclid(7 * DAY) - (a.0 + DAY).div_euclid(7 * DAY),
        12 => b.0.checked_sub(a.0).and_then(|d| d.checked_mul(100)).ok_or_else(|| SqlError::new(535, &[]))?,
        unit => b.0.div_euclid(length(unit)) - a.0.div_euclid(length(unit)),
    };
    if !big && i32::try_from(count).is_err() {
        return Err(SqlError::new(535, &[]));
    }
    Ok(Value::Int(count))
}

pub(super) fn part(args: &[Value]) -> Result<Value> {
    let (unit, t) = parts(args, 1);
    Ok(Value::Int(extract(unit, t)))
}

pub(super) fn named_part(unit: i64, args: &[Value]) -> Result<Value> {
    Ok(Value::Int(extract(unit, args[0].as_time().unwrap_or_default())))
}

fn extract(unit: i64, t: Ticks) -> i64 {
    let c = t.civil();
    let first = days_of(Civil { year: c.year, month: 1, day: 1 });
    let day = t.0.div_euclid(DAY);
    match unit {
        0 => c.year,
        1 => (c.month - 1) / 3 + 1,
        2 => c.month,
        3 => day - first + 1,
        4 => c.day,
        5 => (day + 1).div_euclid(7) - (first + 1).div_euclid(7) + 1,
        6 => (day + 1).rem_euclid(7) + 1,
        7 => t.of_day() / (3600 * SECOND),
        8 => t.of_day() / (60 * SECOND) % 60,
        9 => t.of_day() / SECOND % 60,
        10 => t.of_day() % SECOND / 10_000,
        11 => t.of_day() % SECOND / 10,
        _ => t.of_day() % SECOND * 100,
    }
}

pub(super) fn name(args: &[Value]) -> Result<Value> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let (unit, t) = parts(args, 1);
    let n = extract(unit, t);
    Ok(match unit {
        2 => MONTHS[(n - 1).clamp(0, 11) as usize].into(),
        6 => DAYS[(n - 1).clamp(0, 6) as usize].into(),
        _ => n.to_string().into(),
    })
}
