//! How the planner says times, durations and names, so that every sentence says them alike.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::facts::{Database, DatabaseState};
use crate::pool::{InstanceId, Pool};

/// `a` later by `d`; the end of time where that does not exist.
pub(crate) fn after(a: Timestamp, d: SignedDuration) -> Timestamp {
    a.checked_add(d).unwrap_or(if d.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// `t` without its fraction of a second.
pub(crate) fn whole(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// `23:41:07 UTC`, with the date when it is not that of `now`.
pub(crate) fn time(t: Timestamp, now: Timestamp) -> String {
    let (z, n) = (t.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let clock = format!("{:02}:{:02}:{:02} UTC", z.hour(), z.minute(), z.second());
    if z.date() == n.date() { clock } else { format!("{} {clock}", z.date()) }
}

/// `3 min 12 s`, as a person says it.
pub(crate) fn duration(d: SignedDuration) -> String {
    let s = d.as_secs().max(0);
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

/// `host\instance` of a declared instance.
pub(crate) fn instance(pool: &Pool, id: InstanceId) -> String {
    match pool.instance(id) {
        Some(i) => i.to_string(),
        None => format!("the {} side's undeclared mirror", id.side),
    }
}

/// The state of a database, as the server words it.
pub(crate) fn state_word(db: &Database) -> &'static str {
    match db.state {
        DatabaseState::Online if db.in_standby() => "in STANDBY",
        DatabaseState::Online => "ONLINE",
        DatabaseState::Restoring => "RESTORING",
        DatabaseState::Recovering => "RECOVERING",
        DatabaseState::RecoveryPending => "RECOVERY_PENDING",
        DatabaseState::Suspect => "SUSPECT",
        DatabaseState::Emergency => "in EMERGENCY",
        DatabaseState::Offline => "OFFLINE",
        DatabaseState::Unknown => "in a state that the server does not tell",
    }
}

/// The last component of a Windows or UNC path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// `3 files`, `1 file`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Names in a row, shortened when there are many.
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let mut out = names.iter().take(3).map(|n| n.as_ref().to_owned()).collect::<Vec<_>>().join(", ");
    if names.len() > 3 {
        out.push_str(&format!(" and {} more", names.len() - 3));
    }
    out
}
