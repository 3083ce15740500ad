//! Signs of life of a side that does not answer: what it still writes to the share.
//!
//! A backup that began after the silence did shows a side that lives while it is not seen. It is held against the oldest beginning
//! of the silence that any run knows of. Its time counts only as far as it can be true: what a look found already can't have begun
//! after it. Where the time is unknown, log that came to the share after the silence began is one, or a copy that came late; a
//! person can tell.

use jiff::{SignedDuration, Timestamp};

use crate::judge::chain;
use crate::judge::other_side::OtherSide;
use crate::judge::times::{Start, Times, Told, there};
use crate::model::facts::Backups;
use crate::model::journal::{Life, Silence};
use crate::words::{after, time, whole_second};

/// A backup that began this shortly after the first silent look is no sign of life: the look takes time itself, headers tell
/// whole seconds, and clocks differ. A producer whose clock is further behind is seen to live only once its silence has lasted
/// longer than that; one whose clock is ahead is told from a living one by the look that found its files already.
pub const LIFE_SLACK: SignedDuration = SignedDuration::from_secs(15);

/// Names are cut to this: what is kept must fit into an extended property.
const MOST_CHARS: usize = 100;

/// A silence, and what is known of the clocks.
pub(crate) struct Watch<'a> {
    pub times: &'a Times<'a>,
    /// What runs before this one saw of it.
    pub recorded: Option<&'a Silence>,
    /// When it began for this run, by the executor's clock.
    pub since: Timestamp,
    /// How far the far end's clock is ahead of the executor's.
    pub ahead: SignedDuration,
    pub now: Timestamp,
}

impl Watch<'_> {
    /// Its oldest known beginning, by the executor's clock.
    fn oldest(&self) -> Timestamp {
        let recorded = self.recorded.map(|r| there(r.since, -self.ahead));
        recorded.map_or(self.since, |r| r.min(self.since))
    }

    /// The newest sign of life among these files. What a fenced database of the other side wrote last is its tail, and none.
    pub fn sign(&self, backups: &Backups, database: &str, other: &OtherSide) -> Option<Life> {
        let late = after(self.oldest(), LIFE_SLACK);
        let sets = chain::sets(backups, database).into_iter();
        let sets = sets.filter(|(_, set)| !other.wrote_its_tail(&set.server));
        let signs = sets.filter_map(|(name, set)| {
            let told = Told::of(name, set);
            let known = self.recorded.map(|r| r.found.as_slice()).filter(|found| !found.is_empty());
            let new = known.map(|found| !found.iter().any(|(f, end)| *f == set.fork && set.last_lsn <= *end));
            let began = match self.times.start(&told) {
                Ok(Start { latest, .. }) => {
                    let found = self.times.found(&told).is_some_and(|found| found <= late);
                    (latest > there(late, self.ahead) && !found && new != Some(false))
                        .then_some(Some(latest))?
                }
                Err(_) => (new == Some(true) || self.times.appeared(self.oldest(), &told)).then_some(None)?,
            };
            let seen = whole_second(there(self.now, self.ahead));
            let short = |text: &str| text.chars().take(MOST_CHARS).collect::<String>();
            Some(Life { file: short(name), server: short(&set.server), began: began.map(whole_second), seen })
        });
        signs.max_by_key(|s| s.began)
    }
}

/// What a sign of life means, in words.
pub(crate) fn sentence(sign: &Life, earlier: bool, now: Timestamp) -> String {
    let Life { file, server, began, seen } = sign;
    let by = if earlier { format!(", which a run saw at {}", time(*seen, now)) } else { String::new() };
    match began {
        Some(at) => format!(
            "{file} was begun by {server} at {}, after the other side fell silent{by}: it may still be serving",
            time(*at, now)
        ),
        None => format!(
            "{file} of {server} came after the other side fell silent and holds log that was not there before{by}: it may still be \
             serving, unless somebody brought the file late (when it was begun is not known)"
        ),
    }
}
