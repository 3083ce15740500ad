//! Who this run is: its name, its tokens, what it asked for and what a person accepted.
//!
//! Fills in [`Run`], the planner's view of an executor. A token counts as this run's own only when this run
//! made it and it was seen, or confirmed, at the far end.

use jiff::Timestamp;
use pchat_planner::facts::Facts;
use pchat_planner::journal::{Epoch, Owner};
use pchat_planner::plan::{Action, StepId};
use pchat_planner::pool::Pool;
use pchat_planner::run::{Asked, Run};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::observe::HOME;
use crate::report::journal;

/// One run of an executor.
#[derive(Clone, Debug)]
pub struct Identity {
    run: Run,
    /// Tokens that were sent without a confirmed answer: each may still turn up as the owner's.
    attempted: Vec<Epoch>,
}

impl Identity {
    /// A new run by `executor`, with the digests that a person accepted and the token of the run before it that is over.
    pub fn new(executor: String, approvals: Vec<String>, over: Option<Epoch>) -> Self {
        Identity {
            run: Run {
                executor,
                epoch: None,
                next_epoch: fresh_epoch(),
                next_transition: Uuid::nil(),
                first_look: None,
                over,
                held: None,
                approvals,
                asked: Vec::new(),
            },
            attempted: Vec::new(),
        }
    }

    /// Who it is, for a person.
    pub fn executor(&self) -> &str {
        &self.run.executor
    }

    /// What the planner is to know of this run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The token to present with `action`: the one it takes over with, or the one that this run owns.
    pub fn token_for<'a>(&'a self, action: &'a Action) -> Option<&'a Epoch> {
        match action {
            Action::TakeOwnership { epoch, .. } => Some(epoch),
            _ => self.run.epoch.as_ref(),
        }
    }

    /// Takes in what was observed: the owner at the first look, an own token whose confirmation was lost, and
    /// which transition would be the next.
    pub fn learn(&mut self, pool: &Pool, facts: &Facts) {
        let Some(journal) = journal(facts) else { return };
        let home = facts.instances.get(&HOME).and_then(|f| f.state.value());
        if let (Some(owner), Some(state)) = (&journal.owner, home.filter(|state| state.holder.is_some())) {
            self.run.held = Some((owner.epoch.clone(), state.clock));
        }
        let owner = journal.owner.as_ref().map(|owner| owner.epoch.clone());
        if self.run.first_look.is_none() {
            self.run.first_look = Some(owner.clone());
        }
        if let Some(seen) = owner
            && self.attempted.contains(&seen)
        {
            self.run.epoch = Some(seen);
        }
        self.run.next_transition = next_transition(pool, journal.transition.as_ref().map(|t| t.id));
    }

    /// The token by which this run owns the open transition, as it was seen.
    pub fn owns<'f>(&'f self, facts: &'f Facts) -> Option<&'f Owner> {
        let journal = journal(facts)?;
        let owner = journal.owner.as_ref()?;
        let open = journal.transition.as_ref().is_some_and(|t| t.is_open());
        (open && self.run.epoch.as_ref() == Some(&owner.epoch)).then_some(owner)
    }

    /// `action` is about to be sent.
    pub fn sending(&mut self, action: &Action) {
        if let Action::TakeOwnership { epoch, .. } = action
            && *epoch == self.run.next_epoch
        {
            // A delayed copy of this request may land later, so the token is never offered again.
            self.attempted.push(epoch.clone());
            self.run.next_epoch = fresh_epoch();
        }
    }

    /// The far end confirmed `action` at `at`, with the journal in `transition`.
    pub fn confirmed(&mut self, step: StepId, action: &Action, transition: Option<Uuid>, at: Timestamp) {
        let transition = match action {
            Action::TakeOwnership { epoch, transition, .. } => {
                self.run.epoch = Some(epoch.clone());
                Some(transition.id)
            }
            _ => transition,
        };
        if let Some(transition) = transition {
            self.run.asked.retain(|asked| asked.transition == transition && asked.step != step);
            self.run.asked.push(Asked { transition, step, at });
        }
    }
}

fn fresh_epoch() -> Epoch {
    Epoch(Uuid::new_v4().to_string())
}

/// The id of the transition that follows `previous`.
///
/// Made from the pool and its predecessor instead of by chance: an approval names the transition, and a person
/// who is asked by one run answers to the next, perhaps on another machine.
fn next_transition(pool: &Pool, previous: Option<Uuid>) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"persistentchat.io transition\0");
    hash.update(pool.fqdn.to_lowercase());
    hash.update([0]);
    hash.update(pool.database.as_bytes());
    hash.update([0]);
    hash.update(previous.unwrap_or(Uuid::nil()).as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Name of this process for the owner's mark: host and process id.
pub fn default_executor() -> String {
    format!("{}, process {}", default_host(), std::process::id())
}

/// Name of this host; in Kubernetes that of the pod.
pub fn default_host() -> String {
    std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unnamed host".into())
}
