//! What a forced failover loses, as an interval with its sources. Unknown is said as unknown.
//!
//! Safe until the start of the last backup in the chain: what was stored before a log backup began is in it. A start that can't
//! be true (in the future, later than its file was found, after the other side fell silent) is not told. The upper end is known
//! only when the other side was seen stopped; silence is not an end, a side that is cut off goes on writing.

use jiff::{SignedDuration, Timestamp};

use crate::judge::chain::{self, Course};
use crate::judge::copy;
use crate::judge::other_side::OtherSide;
use crate::judge::times::{self, Times, Told, there};
use crate::model::facts::{Backups, Database};
use crate::model::journal::Recovery;
use crate::model::plan::Loss;
use crate::words::time;

/// What a loss is judged by.
pub(crate) struct Judge<'a> {
    pub db: &'a Database,
    pub backups: Option<&'a Backups>,
    pub times: &'a Times<'a>,
    pub other: &'a OtherSide,
    /// How far the far end's clock is ahead of the executor's.
    pub ahead: SignedDuration,
    pub now: Timestamp,
}

impl Judge<'_> {
    /// Loss if the copy were recovered at the end of `course`.
    pub fn ahead_of(&self, course: Option<&Course>) -> Loss {
        let unread = course.map(Course::given_up).unwrap_or_default();
        if let Some(last) = course.and_then(|c| c.links.last()) {
            return Loss { unread, ..self.interval(Some(&Told::from(last))) };
        }
        // msdb remembers another restore than the one the database stands at: then it says nothing.
        let r = self.db.last_restored.as_ref();
        let r = r.filter(|r| self.db.position.as_ref().is_ok_and(|p| p.lsn == r.last_lsn));
        Loss { unread, ..self.interval(r.map(|r| times::restored(self.backups, self.db, r)).as_ref()) }
    }

    /// Loss of a copy that is ONLINE already: it ends at its fork point.
    pub fn of_online_copy(&self) -> Loss {
        let told = copy::fork_point(self.db).and_then(|point| {
            let r =
                self.db.last_restored.as_ref().filter(|r| (r.last_lsn, r.fork) == (point.lsn, point.fork));
            let sets = || self.backups.map(|b| chain::sets(b, &self.db.name)).unwrap_or_default();
            let file = || {
                let set = sets().into_iter().find(|(_, s)| s.last_lsn == point.lsn && s.fork == point.fork);
                set.map(|(name, set)| Told::of(name, set))
            };
            r.map(|r| times::restored(self.backups, self.db, r)).or_else(file)
        });
        self.interval(told.as_ref())
    }

    /// `last`: the last backup in the chain, if it is known.
    fn interval(&self, last: Option<&Told>) -> Loss {
        let (other, now) = (self.other, self.now);
        let (safe_until, safe_source) = match last.map(|told| self.begin(told)) {
            Some(Ok((start, source))) => (Some(start), source),
            Some(Err(why)) => (None, format!("unknown: {why}")),
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
            unread: Vec::new(),
        }
    }

    /// When a backup began, if that can be true, and where it comes from.
    fn begin(&self, told: &Told) -> Result<(Timestamp, String), String> {
        let now = self.now;
        let start = self.times.start(told)?;
        let impossible = |what: String| {
            Err(format!(
                "by its header {} began at {}, {what}: the clock of the server that made it was wrong",
                told.name,
                time(start.earliest, now)
            ))
        };
        let later = |t: Timestamp| start.earliest > there(t, self.ahead);
        if start.earliest > now || later(now) {
            return impossible("which is in the future".into());
        }
        if let Some(found) = self.times.found(told).filter(|t| later(*t)) {
            return impossible(format!("and it was found already at {}", time(found, now)));
        }
        if let Some(ended) = self.other.silent_since.or(self.other.stopped_at).filter(|t| later(*t)) {
            return impossible(format!("after the last sign of the other side at {}", time(ended, now)));
        }
        Ok((start.earliest, format!("start of {}, {}", told.name, start.source)))
    }
}

/// Loss as the journal recorded it before recovering. A side that serves again stores again.
pub(crate) fn recorded(r: &Recovery, other: &OtherSide) -> Loss {
    let at_most_until = r.at_most_until.filter(|_| other.serves.is_none());
    Loss {
        safe_until: r.safe_until.filter(|t| r.silent_since.is_none_or(|silent| *t <= silent)),
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
        unread: r.unread.clone(),
    }
}
