//! What is still being looked at: never a stop, never absent, and never safe.
//!
//! Before the point of no return a share that hangs is waited for as long as its own deadline; steps that need only what lies in
//! the copy folder go on without it after a moment. A question is asked when all that it could hold is known.

use jiff::{SignedDuration, Timestamp};

use crate::judge::copy::Copy;
use crate::judge::evidence::Evidence;
use crate::judge::service::{Mirror, Servers};
use crate::model::facts::{Contact, Fact, Facts};
use crate::model::plan::{Next, Reason, StepId};
use crate::model::pool::Pool;
use crate::words::{after, instance, time};

/// For so long even what does without a listing waits for it: a living side would show by the files that it writes.
pub const LISTING_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// A look that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looking {
    /// What is done, for example `share \\files\logs is being listed`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// Every look whose result is not there yet, or not as new as it must be.
pub fn looking(pool: &Pool, facts: &Facts) -> Vec<Looking> {
    let mut out: Vec<Looking> = Vec::new();
    let mut add = |what: String, since: Timestamp| {
        if out.iter().all(|known| known.what != what) {
            out.push(Looking { what, since });
        }
    };
    for id in pool.instances() {
        if let Some(Contact::Pending { since }) = facts.instances.get(&id).map(|seen| &seen.contact) {
            add(format!("{} is being asked", instance(pool, id)), *since);
        }
    }
    match &facts.backups {
        Fact::Pending { source, since } => add(format!("{source} are being listed"), *since),
        Fact::Known { value, .. } => {
            for (name, place, path) in [
                ("share", &value.share, &value.source.share),
                ("copy folder", &value.folder, &value.source.folder),
            ] {
                if let Fact::Pending { since, .. } = place {
                    add(format!("{name} {path} is being listed"), *since);
                }
            }
        }
        Fact::Unknown { .. } => {}
    }
    let shell = &facts.shell;
    let facts = [
        shell.pool_state.pending(),
        shell.servers.pending(),
        shell.replicated.pending(),
        shell.store_writable.pending(),
    ];
    for (source, since) in facts.into_iter().flatten() {
        add(format!("{source} is being asked"), since);
    }
    out
}

/// All of them in words, with the moments at which they began.
pub(crate) fn words(pool: &Pool, facts: &Facts, now: Timestamp) -> String {
    let all: Vec<String> = looking(pool, facts)
        .into_iter()
        .map(|look| format!("{} since {}", look.what, time(look.since, now)))
        .collect();
    if all.is_empty() { "not everything was looked at yet".into() } else { all.join("; ") }
}

/// Waiting for looks.
pub(crate) fn wait(
    pool: &Pool,
    facts: &Facts,
    now: Timestamp,
    step: Option<StepId>,
    until: Option<Timestamp>,
) -> Next {
    Next::Wait { reason: Reason::Looking, message: words(pool, facts, now), step, until }
}

impl Evidence<'_> {
    /// Since when share or copy folder are being listed for the first time, if they are.
    pub fn listing_since(&self) -> Option<Timestamp> {
        self.source.as_ref()?;
        match &self.facts.backups {
            Fact::Pending { since, .. } => Some(*since),
            Fact::Known { value, .. } => {
                let places = [value.share.pending(), value.folder.pending()];
                places.into_iter().flatten().map(|(_, since)| since).min()
            }
            Fact::Unknown { .. } => None,
        }
    }

    /// Until when a listing is waited for by everything.
    pub fn listing_patience(&self) -> Option<Timestamp> {
        self.listing_since().map(|since| after(since, LISTING_PATIENCE)).filter(|until| *until > self.now)
    }

    /// Whether looks that are under way must end before anything is touched or asked.
    pub fn looks_first(&self) -> bool {
        if self.other.serves.is_some() && !self.copy.is_online() {
            return false;
        }
        // Hazards, and what was accepted of them, are held against the whole of what can be known.
        let question = !self.hazards.is_empty()
            || !self.run.approvals.is_empty()
            || self.open.is_some_and(|t| t.accepted.is_some());
        self.other.unseen || self.listing_patience().is_some() || (question && self.listing_since().is_some())
    }

    /// Whether listings that are under way must end before the point of no return.
    pub fn listing_first(&self) -> bool {
        self.copy == Copy::Restoring && self.listing_since().is_some()
    }

    /// Whether it is too early to say that a pool is as declared.
    pub fn looks_before_rest(&self) -> bool {
        let shell = &self.facts.shell;
        self.other.unseen
            || shell.pool_state.is_pending()
            || (self.copy.is_online()
                && (matches!(self.servers(), Servers::Unseen) || matches!(self.mirror(), Mirror::Unseen)))
    }

    /// Waits for looks, at `step`.
    pub fn look_first(&self, step: Option<StepId>) -> Next {
        wait(self.pool, self.facts, self.now, step, self.listing_patience())
    }
}
