//! Keeps the state file in step with what was seen: written when something in it changed, and only then.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pchat_planner::facts::Facts;
use pchat_planner::journal::Epoch;
use pchat_planner::pool::Pool;

use super::scribe::{PATIENCE, Scribe, within};
use super::state_file::{Approval, Found, StateFile, Stored};
use crate::report::journal;
use crate::report::words::millis;

/// The state file of a run, or none where the run keeps none.
#[derive(Debug)]
pub struct Keeper {
    path: Option<PathBuf>,
    scribe: Option<Scribe>,
    stored: Stored,
    changed: bool,
    told: bool,
}

impl Keeper {
    /// Opens the file, takes over what it holds and latches `approvals`. The sentence, if any, is for the user.
    pub fn open(
        file: Option<StateFile>,
        pool: &Pool,
        executor: &str,
        approvals: &[String],
        now: Timestamp,
    ) -> (Keeper, Option<String>) {
        let path = file.as_ref().map(|file| file.path().to_owned());
        let found = path.as_deref().map(|path| found(path, pool, now));
        let (stored, notice) = found.map_or((None, None), |found| (found.stored, found.notice));
        let mut stored = stored.unwrap_or_else(|| Stored::new(&pool.fqdn, &pool.database, executor, now));
        stored.executor = executor.to_owned();
        let keeper = Keeper { path, scribe: file.map(Scribe::of), stored, changed: false, told: false };
        (keeper.with_approvals(approvals), notice)
    }

    /// Latches `approvals` as well.
    pub fn with_approvals(mut self, approvals: &[String]) -> Keeper {
        for digest in approvals {
            if !self.stored.approvals.iter().any(|known| known.digest.eq_ignore_ascii_case(digest)) {
                self.stored.approvals.push(Approval { digest: digest.to_lowercase(), transition: None });
            }
        }
        self.changed |= !approvals.is_empty();
        self
    }

    /// Only `approvals` count from now on: others were taken back.
    pub fn with_only(mut self, approvals: &[String]) -> Keeper {
        self.stored.approvals.retain(|known| approvals.iter().any(|a| known.digest.eq_ignore_ascii_case(a)));
        self.with_approvals(approvals)
    }

    /// Where the file is.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Who runs.
    pub fn executor(&self) -> &str {
        &self.stored.executor
    }

    /// Every digest that a person accepted and that may still count.
    pub fn approvals(&self) -> Vec<String> {
        self.stored.approvals.iter().map(|approval| approval.digest.clone()).collect()
    }

    /// The token of the last run that kept this file, if that run is known to be over.
    pub fn over(&self) -> Option<Epoch> {
        self.stored.ended.clone()
    }

    /// The run that owned the pool by `epoch` ends by itself: nothing is sent with that token any more.
    pub fn end(&mut self, epoch: &Epoch) {
        self.changed |= self.stored.ended.as_ref() != Some(epoch);
        self.stored.ended = Some(epoch.clone());
    }

    /// Takes in the journal at the far end. Approvals of a transition that is over are dropped, and so is the end of a run
    /// once another one owns the pool.
    pub fn see(&mut self, facts: &Facts) {
        let Some(journal) = journal(facts) else { return };
        if let Some(transition) = &journal.transition {
            let before = self.stored.approvals.clone();
            if transition.is_open() {
                for approval in &mut self.stored.approvals {
                    approval.transition = approval.transition.or(Some(transition.id));
                }
            }
            self.stored.approvals.retain(|approval| {
                approval.transition.is_none_or(|id| id == transition.id && transition.is_open())
            });
            self.changed |= before != self.stored.approvals;
        }
        if let (Some(ended), Some(owner)) = (&self.stored.ended, &journal.owner)
            && *ended != owner.epoch
        {
            self.stored.ended = None;
            self.changed = true;
        }
        // The owner's mark moves with every batch; it alone is no reason to write.
        let same = self.stored.journal.as_ref().is_some_and(|stored| {
            stored.transition == journal.transition
                && stored.silence == journal.silence
                && stored.owner.as_ref().map(|o| &o.epoch) == journal.owner.as_ref().map(|o| &o.epoch)
        });
        if !same {
            self.stored.journal = Some(journal.clone());
            self.changed = true;
        }
    }

    /// Puts the report in.
    pub fn put_report(&mut self, report: serde_yaml::Value) {
        self.stored.report = Some(report);
        self.changed = true;
    }

    /// Has what changed written, and does not wait for it. A sentence for the user comes back the first time that it can't be
    /// written.
    pub fn save(&mut self, now: Timestamp) -> Option<String> {
        let scribe = self.scribe.as_ref()?;
        let trouble = scribe.trouble();
        if self.changed || trouble.is_some() {
            self.stored.written = millis(now);
            scribe.write(self.stored.clone());
            self.changed = false;
        }
        trouble.filter(|_| !std::mem::replace(&mut self.told, true))
    }

    /// The same at the end of a run: waits for what is still to be written, but not for ever.
    pub fn finish(&mut self, now: Timestamp) -> Option<String> {
        let told = self.save(now);
        let scribe = self.scribe.as_ref()?;
        if !scribe.finish(PATIENCE) {
            let path = self.path.as_deref().unwrap_or(Path::new("")).display();
            return Some(format!(
                "The state file {path} is not written after {} s: its folder does not answer. Nothing is lost: the journal on the \
                 backup instance is what counts. Name another file with --state.",
                PATIENCE.as_secs()
            ));
        }
        told.or_else(|| scribe.trouble().filter(|_| !self.told))
    }
}

/// What stands in the file, if its folder tells in time.
fn found(path: &Path, pool: &Pool, now: Timestamp) -> Found {
    let (file, fqdn, database) = (StateFile::new(path.to_owned()), pool.fqdn.clone(), pool.database.clone());
    within(PATIENCE, move || file.load(&fqdn, &database, now)).unwrap_or_else(|| Found {
        stored: None,
        notice: Some(format!(
            "The state file {} can't be read: its folder has not answered in {} s. The run goes on without it: the journal on \
             the backup instance is what counts.",
            path.display(),
            PATIENCE.as_secs()
        )),
    })
}
