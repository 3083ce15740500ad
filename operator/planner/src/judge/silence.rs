//! What is kept at the far end of a side that does not answer, and for how long it counts.
//!
//! A run knows only its own looks; the next one begins anew. So the oldest beginning of the silence and the signs of life in it
//! stand beside the journal. They count until the side is seen to serve or to be stopped, and not for ever: a record that nobody
//! has renewed for a day belongs to another disaster.

use jiff::SignedDuration;

use crate::judge::evidence::Evidence;
use crate::judge::times::there;
use crate::model::facts::InstanceState;
use crate::model::journal::{Note, Silence};
use crate::model::pool::{Mode, Side};
use crate::words::{after, whole_second};

/// A record of silence counts for this long after the last look in it.
pub const LAPSES: SignedDuration = SignedDuration::from_hours(24);

/// While nothing else changes the record is renewed this often.
const RENEW: SignedDuration = SignedDuration::from_secs(30);

/// Signs of life that are kept: the record must fit into an extended property, and one is as good as many.
const MOST_SIGNS: usize = 4;

/// Forks whose ends are kept, for the same reason.
const MOST_FORKS: usize = 16;

/// The record that counts.
pub(crate) fn standing(state: &InstanceState) -> Option<&Silence> {
    state.journal.silence.as_ref().filter(|s| after(s.until, LAPSES) > state.clock)
}

/// What is to be written now.
pub(crate) fn note(e: &Evidence) -> Option<Note> {
    let there_now = e.state.journal.silence.as_ref();
    if e.pool.mode != Mode::Enforce {
        return None;
    }
    if e.other.serves.is_some() || e.other.stopped_at.is_some() {
        return there_now.map(|s| Note::Forget(s.clone()));
    }
    if e.pool.active != Side::Backup || e.copy.is_recovered() || !e.other.quiet {
        return None;
    }
    let far = |t| whole_second(there(t, e.ahead));
    let mut silence = Silence {
        rev: there_now.map_or(0, |s| s.rev.saturating_add(1)),
        since: far(e.other.silent_since?),
        until: far(e.other.silent_until?),
        found: e.times.found_first(e.other.silent_since?).iter().copied().take(MOST_FORKS).collect(),
        signs: Vec::new(),
    };
    let before = standing(e.state);
    if let Some(before) = before {
        silence.since = silence.since.min(before.since);
        silence.until = silence.until.max(before.until);
        silence.signs.clone_from(&before.signs);
        // What this run found first may have come after the beginning that another run knew.
        silence.found.clone_from(&before.found);
    }
    let known = |s: &Silence| e.sign.as_ref().is_none_or(|sign| s.signs.iter().any(|k| k.file == sign.file));
    if !known(&silence) && silence.signs.len() < MOST_SIGNS {
        silence.signs.extend(e.sign.clone());
    }
    let worth = before.is_none_or(|before| {
        silence.since < before.since
            || silence.signs != before.signs
            || silence.until.duration_since(before.until) >= RENEW
    });
    worth.then(|| Note::Keep { over: there_now.cloned(), silence })
}
