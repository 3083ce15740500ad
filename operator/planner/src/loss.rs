//! What a forced failover loses, as an interval with its sources. Unknown is said as unknown.
//!
//! Safe until the start of the last backup in the chain: what was stored before a log backup began is in it. The upper
//! end is known only when the other side was seen stopped; silence is not an end, a side that is cut off goes on writing.

use jiff::Timestamp;

use crate::chain::{self, Course};
use crate::copy;
use crate::facts::{Backups, Database};
use crate::journal::Recovery;
use crate::other_side::OtherSide;
use crate::plan::Loss;
use crate::words::time;

/// Loss if the copy were recovered at the end of `course`.
pub(crate) fn ahead(db: &Database, course: Option<&Course>, other: &OtherSide, now: Timestamp) -> Loss {
    let last = course.and_then(|c| c.links.last()).map(|l| (l.started, l.file.name.clone(), false));
    let restored = || {
        let r = db.last_restored.as_ref()?;
        // msdb remembers another restore than the one the database stands at: then it says nothing.
        db.position.as_ref().ok().filter(|p| p.lsn == r.last_lsn)?;
        Some((r.started, crate::words::base_name(&r.file).to_owned(), r.zoned))
    };
    interval(last.or_else(restored), other, now)
}

/// Loss of a copy that is ONLINE already: it ends at its fork point.
pub(crate) fn of_online_copy(
    db: &Database,
    backups: Option<&Backups>,
    other: &OtherSide,
    now: Timestamp,
) -> Loss {
    let safe = copy::fork_point(db).and_then(|point| {
        let file = backups.and_then(|b| {
            chain::sets(b, &db.name)
                .into_iter()
                .find(|(_, s)| s.last_lsn == point.lsn && s.fork == point.fork)
                .map(|(name, s)| (s.started, name.to_owned(), false))
        });
        let msdb = || {
            let r = db.last_restored.as_ref().filter(|r| r.last_lsn == point.lsn && r.fork == point.fork)?;
            Some((r.started, crate::words::base_name(&r.file).to_owned(), r.zoned))
        };
        msdb().filter(|(_, _, zoned)| *zoned).or(file).or_else(msdb)
    });
    interval(safe, other, now)
}

/// Loss as the journal recorded it before recovering. A side that serves again stores again.
pub(crate) fn recorded(r: &Recovery, other: &OtherSide) -> Loss {
    let at_most_until = r.at_most_until.filter(|_| other.serves.is_none());
    Loss {
        safe_until: r.safe_until,
        safe_source: match &r.last_file {
            Some(f) => format!("the recovery record: start of {f}, the last backup applied"),
            None => "the recovery record".into(),
        },
        at_most_until,
        at_least_until: r.silent_since,
        end_source: match (at_most_until, r.silent_since) {
            _ if other.serves.is_some() => "unknown: the other side serves again".into(),
            (Some(_), _) => "the recovery record: the other side was seen stopped".into(),
            (None, Some(_)) => {
                "unknown: the other side was silent, which does not say when it stopped".into()
            }
            (None, None) => "unknown: the other side was never seen stopped".into(),
        },
    }
}

/// `safe`: when the last backup began, its file, and whether the offset of that time is known.
fn interval(safe: Option<(Timestamp, String, bool)>, other: &OtherSide, now: Timestamp) -> Loss {
    let (safe_until, safe_source) = match safe {
        Some((t, file, true)) => (Some(t), format!("start of {file}, with the time zone that msdb tells")),
        Some((t, file, false)) => {
            (Some(t), format!("start of {file}, its time taken to be in the backup instance's time zone"))
        }
        None => (None, "unknown: no header or history tells when the last applied backup began".into()),
    };
    let end_source = match (other.stopped_at, other.silent_since) {
        (Some(t), _) => format!("the other side was seen not to serve by {}", time(t, now)),
        (None, Some(t)) => {
            format!(
                "unknown: the other side is silent since {}, which does not say when it stopped",
                time(t, now)
            )
        }
        (None, None) => "unknown: the other side was not seen stopped".into(),
    };
    Loss {
        safe_until,
        safe_source,
        at_most_until: other.stopped_at,
        at_least_until: if other.stopped_at.is_some() { None } else { other.silent_since },
        end_source,
    }
}
