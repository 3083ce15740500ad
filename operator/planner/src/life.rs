//! Signs of life of a side that does not answer: what it still writes to the share.
//!
//! A backup that began after the silence did shows a side that lives while it is not seen. Its time counts only as far as it can be
//! true: what a look found already can't have begun after it. Where the time is unknown, log that came to the share after the
//! silence began is one, or a copy that came late; a person can tell.

use jiff::{SignedDuration, Timestamp};

use crate::chain;
use crate::facts::Backups;
use crate::times::{Start, Times, Told, there};
use crate::words::{after, time};

/// A backup that began this shortly after the first silent look is no sign of life: the look takes time itself, headers tell
/// whole seconds, and clocks differ. A producer whose clock is further behind is seen to live only once its silence has lasted
/// longer than that; one whose clock is ahead is told from a living one by the look that found its files already.
pub const LIFE_SLACK: SignedDuration = SignedDuration::from_secs(15);

/// A sign of life.
pub(crate) struct Sign {
    /// In words.
    pub sentence: String,
}

/// The newest sign of life after `since`, which is in the executor's clock; the far end's is `ahead` of it.
pub(crate) fn sign(
    backups: &Backups,
    database: &str,
    times: &Times,
    since: Timestamp,
    ahead: SignedDuration,
    now: Timestamp,
) -> Option<Sign> {
    let late = after(since, LIFE_SLACK);
    let mut newest: Option<(Option<Timestamp>, Sign)> = None;
    for (name, set) in chain::sets(backups, database) {
        let told = Told::of(name, set);
        let (at, sentence) = match times.start(&told) {
            Ok(Start { latest, .. }) => {
                if latest <= there(late, ahead) || times.found(&told).is_some_and(|found| found <= late) {
                    continue;
                }
                let began = time(latest, now);
                let why = format!(
                    "{name} was begun by {} at {began}, after the other side fell silent: it may still be serving",
                    set.server
                );
                (Some(latest), why)
            }
            Err(unknown) => {
                if !times.appeared(since, &told) {
                    continue;
                }
                let why = format!(
                    "{name} of {} came after the other side fell silent and holds log that was not there before: it may still be \
                     serving, unless somebody brought the file late ({unknown})",
                    set.server
                );
                (None, why)
            }
        };
        if newest.as_ref().is_none_or(|(before, _)| *before < at) {
            newest = Some((at, Sign { sentence }));
        }
    }
    newest.map(|(_, sign)| sign)
}
