//! Points in time as SQL Server has them: 100 ns steps on the proleptic Gregorian calendar, no zone.
//!
//! Reads and writes the texts that CONVERT documents (CAST and CONVERT page, "Date and time styles").
//! It never consults a clock; "now" comes from the host.

/// Steps of 100 ns since 0001-01-01T00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub i64);

/// 100 ns steps a second.
pub const SECOND: i64 = 10_000_000;
/// 100 ns steps a day.
pub const DAY: i64 = 86_400 * SECOND;
/// 1970-01-01 in days since 0001-01-01.
const UNIX_DAYS: i64 = 719_162;
/// 1900-01-01 in days since 0001-01-01: day 0 of `datetime`.
pub const DATETIME_DAYS: i64 = 693_595;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, 1 to 9999.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month.
    pub day: i64,
}

/// Days since 0001-01-01 of a civil date (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub fn days_of(c: Civil) -> i64 {
    let y = if c.month <= 2 { c.year - 1 } else { c.year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (c.month + if c.month > 2 { -3 } else { 9 }) + 2) / 5 + c.day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 306
}

/// Civil date of a number of days since 0001-01-01.
pub fn civil_of(days: i64) -> Civil {
    let z = days + 306;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Civil { year: yoe + era * 400 + i64::from(month <= 2), month, day: doy - (153 * mp + 2) / 5 + 1 }
}

/// Is the year one that the type range 0001 to 9999 holds?
pub fn in_range(ticks: i64) -> bool {
    (0..3_652_059 * DAY).contains(&ticks)
}

impl Ticks {
    /// From microseconds since 1970 UTC.
    pub fn from_unix_micros(micros: i64) -> Ticks {
        Ticks(UNIX_DAYS * DAY + micros * 10)
    }

    /// To microseconds since 1970 UTC, cut.
    pub fn to_unix_micros(self) -> i64 {
        (self.0 - UNIX_DAYS * DAY).div_euclid(10)
    }

    /// From calendar and clock; the caller answers for their range.
    pub fn from_civil(c: Civil, hour: i64, minute: i64, second: i64) -> Ticks {
        Ticks(days_of(c) * DAY + (hour * 3600 + minute * 60 + second) * SECOND)
    }

    /// The calendar day.
    pub fn civil(self) -> Civil {
        civil_of(self.0.div_euclid(DAY))
    }

    /// 100 ns steps since midnight.
    pub fn of_day(self) -> i64 {
        self.0.rem_euclid(DAY)
    }

    /// Rounded to the 1/300 s of `datetime`.
    pub fn to_datetime(self) -> Ticks {
        let day = self.0.div_euclid(DAY);
        let thirds = (self.of_day() * 3 + 50_000) / 100_000;
        Ticks(day * DAY + (thirds * 100_000 + 1) / 3)
    }

    /// Rounded to `scale` digits of a second.
    pub fn to_scale(self, scale: u8) -> Ticks {
        let step = 10i64.pow(7 - u32::from(scale.min(7)));
        Ticks((self.0 + step / 2).div_euclid(step) * step)
    }

    /// `datetime`'s wire form: days since 1900-01-01 and 1/300 s since midnight.
    pub fn datetime_parts(self) -> (i32, u32) {
        let rounded = self.to_datetime();
        let days = rounded.0.div_euclid(DAY) - DATETIME_DAYS;
        (days as i32, ((rounded.of_day() * 3 + 50_000) / 100_000) as u32)
    }

    /// From `datetime`'s wire form.
    pub fn from_datetime_parts(days: i32, thirds: u32) -> Ticks {
        Ticks((i64::from(days) + DATETIME_DAYS) * DAY + (i64::from(thirds) * 100_000 + 1) / 3)
    }

    /// Text as CONVERT makes it, or `None` for a style that is not known for times. `digits` are the
    /// fractional digits that the type shows under ISO styles.
    pub fn format(self, style: i64, digits: u8) -> Option<String> {
        let Civil { year, month, day } = self.civil();
        let seconds = self.of_day() / SECOND;
        let (h, mi, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let frac = self.fraction(digits);
        let twelve = if h % 12 == 0 { 12 } else { h % 12 };
        let half = if h < 12 { "AM" } else { "PM" };
        Some(match style {
            0 | 100 => {
                format!("{} {day:>2} {year} {twelve:>2}:{mi:02}{half}", MONTHS[(month as usize - 1).min(11)])
            }
            20 | 120 => format!("{year:04}-{month:02}-{day:02} {h:02}:{mi:02}:{s:02}"),
            21 | 25 | 121 => format!("{year:04}-{month:02}-{day:02} {h:02}:{mi:02}:{s:02}{frac}"),
            126 => {
                format!("{year:04}-{month:02}-{day:02}T{h:02}:{mi:02}:{s:02}{}", self.iso_fraction(digits))
            }
            127 => {
                format!("{year:04}-{month:02}-{day:02}T{h:02}:{mi:02}:{s:02}{}Z", self.iso_fraction(digits))
                    .trim_end_matches('Z')
                    .to_owned()
            }
            112 => format!("{year:04}{month:02}{day:02}"),
            23 => format!("{year:04}-{month:02}-{day:02}"),
            111 => format!("{year:04}/{month:02}/{day:02}"),
            101 => format!("{month:02}/{day:02}/{year:04}"),
            103 => format!("{day:02}/{month:02}/{year:04}"),
            104 => format!("{day:02}.{month:02}.{year:04}"),
            8 | 108 => format!("{h:02}:{mi:02}:{s:02}"),
            14 | 114 => format!("{h:02}:{mi:02}:{s:02}:{:03}", self.of_day() % SECOND / 10_000),
            _ => return None,
        })
    }

    /// Text as PRINT of a `time` has it.
    pub fn format_time(self, digits: u8) -> String {
        let seconds = self.of_day() / SECOND;
        format!("{:02}:{:02}:{:02}{}", seconds / 3600, seconds / 60 % 60, seconds % 60, self.fraction(digits))
    }

    fn fraction(self, digits: u8) -> String {
        if digits == 0 {
            return String::new();
        }
        // A type's digits show its value exactly, but for datetime: 2/300 s is .00666.. and prints as .007.
        let step = 10i64.pow(7 - u32::from(digits.min(7)));
        let shown = ((self.of_day() % SECOND + step / 2) / step).min(SECOND / step - 1);
        format!(".{shown:0width$}", width = usize::from(digits.min(7)))
    }

    fn iso_fraction(self, digits: u8) -> String {
        // Styles 126 and 127 leave the fraction out when it is zero (CAST and CONVERT page).
        if self.of_day() % SECOND == 0 { String::new() } else { self.fraction(digits) }
    }

    /// Reads the unambiguous forms (`yyyymmdd`, `yyyy-mm-dd`, with ` hh:mm:ss.fff` or `Thh:mm:ss`, a
    /// trailing `Z`), `mm/dd/yyyy` as us_english does, and a bare time.
    pub fn parse(text: &str) -> Option<Ticks> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Ticks(DATETIME_DAYS * DAY));
        }
        let (date, clock) = match text.find(['T', ' ']) {
            Some(i) => (text.get(..i)?, Some(text.get(i + 1..)?.trim().trim_end_matches('Z'))),
            None if text.contains(':') => ("19000101", Some(text)),
            None => (text, None),
        };
        let ticks = days_of(parse_date(date)?) * DAY + clock.map_or(Some(0), parse_clock)?;
        in_range(ticks).then_some(Ticks(ticks))
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|c| c.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn parse_date(text: &str) -> Option<Civil> {
    let (year, month, day) = if text.len() == 8 && text.bytes().all(|c| c.is_ascii_digit()) {
        (number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?)
    } else {
        let mut parts = text.split(['-', '/', '.']);
        let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        if a.len() == 4 {
            (number(a)?, number(b)?, number(c)?)
        } else if c.len() == 4 {
            (number(c)?, number(a)?, number(b)?)
        } else {
            return None;
        }
    };
    let civil = Civil { year, month, day };
    let plausible = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (plausible && civil_of(days_of(civil)) == civil).then_some(civil)
}

/// `hh:mm[:ss[.fffffff]]` in 100 ns steps.
pub fn parse_clock(text: &str) -> Option<i64> {
    let (clock, frac) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?)?;
    let minute = number(parts.next()?)?;
    let second = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || frac.len() > 7 {
        return None;
    }
    let fraction = if frac.is_empty() { 0 } else { number(&format!("{frac:0<7}"))? };
    Some((hour * 3600 + minute * 60 + second) * SECOND + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_survives_the_round_trip() {
        for days in (0..3_652_059).step_by(7) {
            assert_eq!(days_of(civil_of(days)), days);
        }
        assert_eq!(days_of(Civil { year: 1900, month: 1, day: 1 }), DATETIME_DAYS);
        assert_eq!(days_of(Civil { year: 1970, month: 1, day: 1 }), UNIX_DAYS);
    }

    #[test]
    fn datetime_keeps_thirds_of_a_hundredth() {
        let t = Ticks::parse("2026-01-02 03:04:05.678").unwrap().to_datetime();
        assert_eq!(t.format(121, 3).unwrap(), "2026-01-02 03:04:05.677");
        let t = Ticks::parse("2026-11-22 23:41:07.999").unwrap().to_datetime();
        assert_eq!(t.format(121, 3).unwrap(), "2026-11-22 23:41:08.000");
        let t = Ticks::parse("20261122 00:00:00.004").unwrap().to_datetime();
        assert_eq!(t.format(121, 3).unwrap(), "2026-11-22 00:00:00.003");
        let (days, thirds) = t.datetime_parts();
        assert_eq!(Ticks::from_datetime_parts(days, thirds), t);
    }

    #[test]
    fn a_day_that_does_not_exist_is_no_date() {
        assert_eq!(Ticks::parse("2026-02-30"), None);
        assert_eq!(Ticks::parse("yesterday"), None);
        assert!(Ticks::parse("2024-02-29T23:59:59.9999999Z").is_some());
    }
}
