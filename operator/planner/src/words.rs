//! How times, durations, counts and names are said: by the planner, in a report and in a status alike.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::model::facts::{Database, DatabaseState, Session};
use crate::model::pool::{InstanceId, Pool};

/// `a` later by `d`; the end of time where that does not exist.
pub fn after(a: Timestamp, d: SignedDuration) -> Timestamp {
    a.checked_add(d).unwrap_or(if d.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// `t` without its fraction of a second.
pub fn whole_second(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// `23:41:07 UTC`, with the date when it is not that of `now`.
pub fn time(t: Timestamp, now: Timestamp) -> String {
    let (z, n) = (t.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let clock = z.strftime("%H:%M:%S UTC");
    if z.date() == n.date() { clock.to_string() } else { format!("{} {clock}", z.date()) }
}

/// `3 min 12 s`, in whole seconds.
pub fn duration(d: SignedDuration) -> String {
    let s = d.as_secs().max(0);
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, ..) => format!("{d} d"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

/// `host\instance` of a declared instance.
pub fn instance(pool: &Pool, id: InstanceId) -> String {
    match pool.instance(id) {
        Some(i) => i.to_string(),
        None => format!("the {} side's undeclared mirror", id.side),
    }
}

/// The state of a database, as the server words it.
pub fn state_word(db: &Database) -> &'static str {
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
pub fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// `3 files`, `1 file`.
pub fn count<N: From<u8> + PartialEq + Display>(n: N, one: &str) -> String {
    if n == N::from(1) { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match &names[..] {
        [] => "none".into(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The same of three at most, for a sentence that many names would bury: `a, b, c and 4 more`.
pub fn few<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    match names.split_at_checked(3) {
        Some((first, rest)) if !rest.is_empty() => {
            let more = format!("{} more", rest.len());
            list(first.iter().map(AsRef::as_ref).chain([more.as_str()]))
        }
        _ => list(names),
    }
}
/// A session that holds the pool's lock.
pub fn holder(session: &Session) -> String {
    if session.id == 0 {
        return "a session that the server does not tell from others (it shows only the beginning of a lock's name)".into();
    }
    let or = |text: &str, unknown: &str| if text.is_empty() { unknown.to_owned() } else { text.to_owned() };
    format!(
        "session {} of {} on {} (login {})",
        session.id,
        or(&session.program, "an unknown program"),
        or(&session.host, "an unknown host"),
        or(&session.login, "unknown")
    )
}
