//! What the side that the pool is to leave looks like: serving, half alive, damaged or silent.
//!
//! Fails closed: whatever answers and is not plainly silent is a danger of two writable sides until a person says
//! otherwise. Silence is judged by the executor's clock, from the first look of an unbroken series, and it is made of looks: a
//! clock that went on while nobody looked is no silence.

use jiff::{SignedDuration, Timestamp};

use crate::judge::identity;
use crate::model::facts::{Contact, DatabaseState, Facts, InstanceState, Role};
use crate::model::plan::{Hazard, Reason};
use crate::model::pool::{InstanceId, Partner, Pool, Side};
use crate::words::{after, instance, time};

/// Before the point of no return, both partners must have been looked at this recently.
pub const FRESH: SignedDuration = SignedDuration::from_secs(30);

/// The next look at a silent partner ends by then. Until it does, silence is taken to last; a clock that has gone on for longer
/// than this since the last look was set, or the executor was asleep.
pub(crate) const NEXT_LOOK: SignedDuration = SignedDuration::from_secs(10);

/// Looks that a silence of this length must be made of: as many as end in that time, and three at most.
pub(crate) fn least_looks(silent_for: SignedDuration) -> u32 {
    match silent_for.as_secs() {
        ..10 => 1,
        10..20 => 2,
        _ => 3,
    }
}

/// The other side, summed up over both partners.
#[derive(Clone, Debug)]
pub(crate) struct OtherSide {
    /// The partner that serves users, if one does.
    pub serves: Option<InstanceId>,
    /// What keeps a failover from being forced, unless a person accepts it.
    pub hazards: Vec<Hazard>,
    /// The later of the partners' first silences; `None` when none is silent.
    pub silent_since: Option<Timestamp>,
    /// The earlier of the ends of the silent partners' last looks.
    pub silent_until: Option<Timestamp>,
    /// The smaller number of looks that a silent partner's silence is made of.
    pub looks: u32,
    /// Every declared partner is silent.
    pub quiet: bool,
    /// A partner was not looked at yet, which is no silence, however late the clock says it is.
    pub unseen: bool,
    /// What the instances that are fenced call themselves: RESTORING (but for a mirror) or OFFLINE, which no accident brings back.
    pub fenced: Vec<String>,
    /// When every partner had answered that it does not serve: nothing was stored after this.
    pub stopped_at: Option<Timestamp>,
    /// Start of the older of the two looks.
    pub looked_at: Timestamp,
    /// What was seen, in words.
    pub seen: String,
}

impl OtherSide {
    /// Until when silence must still be waited for, if it is too young.
    pub fn too_young(&self, pool: &Pool, now: Timestamp) -> Option<Timestamp> {
        if self.unseen {
            return Some(after(now, pool.silent_for));
        }
        let (since, until) = (self.silent_since?, self.silent_until?);
        let lasted = now.min(after(until, NEXT_LOOK)).duration_since(since);
        let enough = lasted >= pool.silent_for && self.looks >= least_looks(pool.silent_for);
        (!enough).then(|| after(since, pool.silent_for).max(after(now, SignedDuration::from_secs(1))))
    }

    /// Whether something there answers that may serve again.
    pub fn may_be_alive(&self) -> bool {
        self.hazards.iter().any(|hazard| hazard.reason == Reason::PrimaryMayBeAlive)
    }

    /// Whether a backup that this server wrote is no sign of life: what a fenced one wrote last is its tail.
    pub fn wrote_its_tail(&self, server: &str) -> bool {
        self.fenced.iter().any(|name| !name.is_empty() && name.eq_ignore_ascii_case(server))
    }

    /// Judges the partners on `side`. A partner declared absent counts as silent.
    pub fn look(pool: &Pool, facts: &Facts, side: Side, now: Timestamp) -> Self {
        let mut it = OtherSide {
            serves: None,
            hazards: Vec::new(),
            silent_since: None,
            silent_until: None,
            looks: u32::MAX,
            quiet: true,
            unseen: false,
            fenced: Vec::new(),
            stopped_at: None,
            looked_at: now,
            seen: String::new(),
        };
        let mut seen = Vec::new();
        let mut stopped = Vec::new();
        // One partner that log shipping knows vouches for both.
        let known = [Partner::Database, Partner::Mirror].into_iter().any(|partner| {
            let found = facts.instances.get(&InstanceId::new(side, partner)).and_then(|f| f.state.value());
            found.is_some_and(|state| identity::meant_instead(facts, state).is_none())
        });
        for partner in [Partner::Database, Partner::Mirror] {
            let id = InstanceId::new(side, partner);
            if pool.instance(id).is_none() {
                continue;
            }
            let name = instance(pool, id);
            let Some(f) = facts.instances.get(&id) else {
                (it.unseen, it.quiet) = (true, false);
                seen.push(format!("{name} was not looked at yet"));
                stopped.push(None);
                continue;
            };
            if !matches!(f.contact, Contact::Pending { .. }) {
                it.looked_at = it.looked_at.min(f.at);
            }
            it.quiet &= matches!(f.contact, Contact::Silent { .. });
            match (&f.contact, f.state.value()) {
                (Contact::Pending { .. }, _) => {
                    it.unseen = true;
                    seen.push(format!("{name} was not looked at yet"));
                    stopped.push(None);
                }
                (Contact::Silent { since, until, tries, detail }, _) => {
                    it.silent_since = Some(it.silent_since.map_or(*since, |s| s.max(*since)));
                    it.silent_until = Some(it.silent_until.map_or(*until, |u| u.min(*until)));
                    it.looks = it.looks.min(*tries);
                    seen.push(format!(
                        "{name} does not answer ({detail}; {} since {})",
                        crate::words::count(*tries as usize, "look"),
                        time(*since, now)
                    ));
                    stopped.push(None);
                }
                (Contact::Unusable { detail } | Contact::Denied { detail }, _) => {
                    let detail = detail.trim_end_matches('.');
                    it.alive(id, format!("{name} is alive but can't be asked: {detail}"), &mut seen);
                    stopped.push(None);
                }
                (Contact::Answers, None) => {
                    let why = f.state.why().unwrap_or("its state was not read").trim_end_matches('.');
                    it.alive(id, format!("{name} answers but can't be asked: {why}"), &mut seen);
                    stopped.push(None);
                }
                (Contact::Answers, Some(state)) => {
                    let meant = if known { None } else { identity::meant_instead(facts, state) };
                    stopped
                        .push(it.answers(pool, id, &name, state, meant, &mut seen).then_some(f.state.at()));
                }
            }
        }
        if it.serves.is_some() {
            it.hazards.clear();
        }
        // The database may have stopped while the answer was on its way.
        if !stopped.is_empty() {
            let all: Option<Vec<Timestamp>> = stopped.into_iter().collect();
            it.stopped_at = all.and_then(|a| a.into_iter().max()).map(|t| after(t, FRESH).min(now));
        }
        it.seen = seen.join("; ");
        it
    }

    /// Takes in a partner that answered; true if it is certain that it does not serve. `meant`: the server that it would have to be.
    fn answers(
        &mut self,
        pool: &Pool,
        id: InstanceId,
        name: &str,
        state: &InstanceState,
        meant: Option<&str>,
        seen: &mut Vec<String>,
    ) -> bool {
        let mgc = &pool.database;
        let Some(db) = &state.database else {
            // Whether there is none, or the login may not see it, looks the same.
            self.alive(id, format!("{name} answers and shows no database {mgc}"), seen);
            return false;
        };
        if db.serves() {
            seen.push(format!("{mgc} on {name} is ONLINE"));
            self.serves.get_or_insert(id);
            return false;
        }
        // A partner that does not serve and does not tell its role is taken for the mirror that it may be.
        if let Some(session) = db.mirroring.as_ref().filter(|m| m.role != Role::Principal) {
            let sentence = format!(
                "{name} answers as the mirror of {mgc} and may hold messages that were never shipped; recovering the backup \
                 gives them up"
            );
            seen.push(format!("{mgc} on {name} is a mirror"));
            self.hazard(Reason::MirrorHoldsCommits, id, sentence);
            if session.state.may_be_connected() {
                let sentence =
                    format!("{name} is connected to its principal: that is alive, and may serve users");
                self.hazard(Reason::PrimaryMayBeAlive, id, sentence);
            }
            return true;
        }
        let word = crate::words::state_word(db);
        match db.state {
            DatabaseState::Suspect | DatabaseState::RecoveryPending | DatabaseState::Emergency => {
                seen.push(format!("{mgc} on {name} is {word}"));
                let sentence = format!(
                    "{mgc} on {name} is {word}: the end of its log may still be saved; recovering the backup without it gives that up"
                );
                self.hazard(Reason::PrimaryDamaged, id, sentence);
            }
            // A principal that shows such a state is on its way to another one.
            DatabaseState::Restoring | DatabaseState::Offline if db.mirroring.is_none() => {
                if let Some(meant) = meant {
                    let what = format!(
                        "{name} answers, and {mgc} there is {word}; but log backups come from {meant}, of which that tells nothing"
                    );
                    self.alive(id, what, seen);
                    return false;
                }
                seen.push(format!("{mgc} on {name} is {word}: it can't be written to"));
                self.fenced.push(state.server_name.clone());
            }
            _ => {
                self.alive(id, format!("{name} answers, and {mgc} there is {word}"), seen);
            }
        }
        !matches!(db.state, DatabaseState::Recovering | DatabaseState::Unknown)
    }

    fn alive(&mut self, id: InstanceId, what: String, seen: &mut Vec<String>) {
        let sentence = format!("{what}; if it comes back to serving, two sides are written to");
        seen.push(what);
        self.hazard(Reason::PrimaryMayBeAlive, id, sentence);
    }

    fn hazard(&mut self, reason: Reason, id: InstanceId, sentence: String) {
        let subject =
            format!("{}/{}", id.side, if id.partner == Partner::Database { "database" } else { "mirror" });
        self.hazards.push(Hazard { reason, subject, lsn: None, fork: None, sentence });
    }
}
