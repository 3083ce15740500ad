//! The decision table of a forced failover, and the evidence that it is read against.
//!
//! [`TABLE`] is the policy, whole: read it beside the table of the documentation. The first row that applies decides. Rows of
//! the first stage stop before anything is touched; rows of the second stop before the point of no return, after what can be
//! applied was applied. A row whose hazard a person accepted does not apply. Nothing outside this file decides whether a
//! failover may be forced.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::chain::{self, Course, Unread};
use crate::copy::{self, Copy};
use crate::facts::{Database, Facts, InstanceState, PoolState, Secondary};
use crate::journal::{Life, Run, Transition};
pub use crate::life::LIFE_SLACK;
use crate::lsn::{Lsn, Position};
use crate::other_side::OtherSide;
use crate::ownership::{self, Ownership};
use crate::plan::{Hazard, LogFile, Loss, Reason, StepId};
use crate::pool::{LogSource, Pool, Side};
use crate::times::{self, Times};
use crate::{hazards, life, loss, readiness, silence, words};

/// When a row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is touched, and again before each step up to the point of no return.
    Start,
    /// When nothing more can be applied, before the point of no return.
    Recovery,
    /// At any time; it stops nothing.
    Always,
}

/// What a row decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A named stop.
    Stop(Reason),
    /// Look again later.
    Wait(Reason),
    /// Said, and gone on.
    Warn(Reason),
    /// Recover.
    Go,
}

/// One row of the table.
pub struct Row {
    /// Its name, for tests and sentences.
    pub id: &'static str,
    /// The evidence, as the documentation words it.
    pub evidence: &'static str,
    /// When it is read.
    pub stage: Stage,
    /// What it decides.
    pub decision: Decision,
    /// Whether it applies.
    pub(crate) applies: fn(&Evidence) -> bool,
}

use Decision::{Go, Stop, Wait, Warn};

/// The decision table of a forced failover.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    Row { id: "other-side-serves", stage: Stage::Start, decision: Stop(Reason::PlannedSwitchoverNeeded),
          evidence: "the other side serves (principal ONLINE, on either partner)",
          applies: |e| e.other.serves.is_some() && !e.copy.is_online() },
    Row { id: "not-looked-at-yet", stage: Stage::Start, decision: Wait(Reason::Looking),
          evidence: "a partner of the other side, or what a question would have to hold, was not looked at yet",
          applies: |e| e.looks_first() },
    Row { id: "mirror-holds-commits", stage: Stage::Start, decision: Stop(Reason::MirrorHoldsCommits),
          evidence: "primary silent, mirror answers as mirror",
          applies: |e| e.stands(Reason::MirrorHoldsCommits) },
    Row { id: "primary-damaged", stage: Stage::Start, decision: Stop(Reason::PrimaryDamaged),
          evidence: "instance answers, database damaged (SUSPECT, RECOVERY_PENDING)",
          applies: |e| e.stands(Reason::PrimaryDamaged) },
    Row { id: "primary-may-be-alive", stage: Stage::Start, decision: Stop(Reason::PrimaryMayBeAlive),
          evidence: "alive but unusable (login, TLS, browser, refused connection)",
          applies: |e| e.stands(Reason::PrimaryMayBeAlive) && e.other.may_be_alive() },
    Row { id: "life-after-silence", stage: Stage::Start, decision: Stop(Reason::PrimaryMayBeAlive),
          evidence: "a backup that started after silence began appears",
          applies: |e| e.life_after_silence && e.stands(Reason::PrimaryMayBeAlive) },
    Row { id: "silence-too-short", stage: Stage::Start, decision: Wait(Reason::SilenceTooShort),
          evidence: "both partners silent for less than silentFor",
          applies: |e| e.other.serves.is_none() && e.other.too_young(e.pool, e.now).is_some() },
    Row { id: "both-sides-online", stage: Stage::Start, decision: Stop(Reason::BothSidesOnline),
          evidence: "ONLINE at the backup without our record and the other side serves",
          applies: |e| e.stands(Reason::BothSidesOnline) },
    Row { id: "stale-copy", stage: Stage::Start, decision: Stop(Reason::StaleCopySuspected),
          evidence: "ONLINE at the backup, provenance not proved",
          applies: |e| e.stands(Reason::StaleCopySuspected) },
    Row { id: "source-unknown", stage: Stage::Start, decision: Stop(Reason::LogShippingSourceUnknown),
          evidence: "log shipping gone, source neither recorded nor declared",
          applies: |e| e.copy == Copy::Restoring && e.source.is_none() },
    Row { id: "not-listed-yet", stage: Stage::Recovery, decision: Wait(Reason::Looking),
          evidence: "share or copy folder not listed yet",
          applies: |e| e.listing_first() },
    Row { id: "position-unknown", stage: Stage::Recovery, decision: Stop(Reason::DatabaseUnusable),
          evidence: "STANDBY, msdb has lost its history, and no readable file applies",
          applies: |e| e.nowhere() && e.stands(Reason::DatabaseUnusable) },
    Row { id: "backup-damaged", stage: Stage::Recovery, decision: Stop(Reason::BackupDamaged),
          evidence: "the next file's header can be read and its body can't, wherever it lies",
          applies: |e| e.stands(Reason::BackupDamaged) },
    Row { id: "log-chain-gap", stage: Stage::Recovery, decision: Stop(Reason::LogChainGap),
          evidence: "a file missing or unreadable with readable ones behind it (gap)",
          applies: |e| e.stands(Reason::LogChainGap) },
    Row { id: "fork-ambiguous", stage: Stage::Recovery, decision: Stop(Reason::ForkAmbiguous),
          evidence: "the next file changes the fork, alone or beside another at the same LSN",
          applies: |e| e.stands(Reason::ForkAmbiguous) },
    Row { id: "backups-unknown", stage: Stage::Recovery, decision: Stop(Reason::BackupsUnknown),
          evidence: "listing or headers unknown (unreachable, denied), or more than one file torn",
          applies: |e| e.stands(Reason::BackupsUnknown) },
    Row { id: "torn-not-stable", stage: Stage::Recovery, decision: Wait(Reason::WaitingForFarEnd),
          evidence: "last file torn or unreadable, and not stable yet",
          applies: |e| e.settles().is_some() },
    Row { id: "loss-above-limit", stage: Stage::Recovery, decision: Stop(Reason::LossAboveLimit),
          evidence: "loss above maxDataLossMinutes, or unknown while it is set",
          applies: |e| e.stands(Reason::LossAboveLimit) },
    Row { id: "pool-unknown", stage: Stage::Recovery, decision: Stop(Reason::PoolUnknown),
          evidence: "the management shell answers and knows no such pool",
          applies: |e| e.stands(Reason::PoolUnknown) },
    Row { id: "cmdlet-missing", stage: Stage::Recovery, decision: Stop(Reason::CmdletMissing),
          evidence: "the management shell answers and does not offer a cmdlet without which nobody is served",
          applies: |e| e.stands(Reason::CmdletMissing) },
    Row { id: "chat-servers-unknown", stage: Stage::Recovery, decision: Stop(Reason::ChatServersUnknown),
          evidence: "the topology does not know a chat server that is declared for the backup side",
          applies: |e| e.stands(Reason::ChatServersUnknown) },
    Row { id: "chain-complete", stage: Stage::Recovery, decision: Go,
          evidence: "chain complete to the last file",
          applies: |e| e.course().is_some_and(|c| c.known_end() && c.torn.is_empty()) },
    Row { id: "torn-last", stage: Stage::Recovery, decision: Go,
          evidence: "one file torn or unreadable, stable, nothing readable behind it",
          applies: |e| e.course().is_some_and(|c| c.known_end() && !c.torn.is_empty()) },
    Row { id: "accepted", stage: Stage::Recovery, decision: Go,
          evidence: "a person accepted every hazard at this point or an earlier one",
          applies: |e| e.accepted.is_some() && e.at.is_some() },
    Row { id: "store-not-writable", stage: Stage::Always, decision: Warn(Reason::CentralManagementUnavailable),
          evidence: "Central Management Store not writable",
          applies: |e| matches!(e.facts.shell.store_writable.value(), Some(Err(_))) },
];

/// Everything that the table is read against, gathered once.
pub(crate) struct Evidence<'a> {
    pub pool: &'a Pool,
    pub facts: &'a Facts,
    pub run: &'a Run,
    pub now: Timestamp,
    /// State of the backup instance.
    pub state: &'a InstanceState,
    /// The copy there.
    pub db: &'a Database,
    /// The open transition.
    pub open: Option<&'a Transition>,
    pub ownership: Ownership,
    pub other: OtherSide,
    pub copy: Copy,
    /// Where log backups are to be looked for, by the order: discovered, recorded, declared.
    pub source: Option<LogSource>,
    /// A backup began after the other side fell silent, as this run sees or an earlier one saw.
    pub life_after_silence: bool,
    /// The newest one that this run sees.
    pub sign: Option<Life>,
    pub times: Times<'a>,
    /// How far the far end's clock is ahead of the executor's.
    pub ahead: SignedDuration,
    pub courses: Vec<Course>,
    /// Which of the courses is taken (or shown first, while none is chosen).
    pub chosen: usize,
    /// Each course's digest, loss and recovery point.
    pub digests: Vec<(String, Loss)>,
    /// Recovery point of the chosen course, or of the ONLINE copy.
    pub at: Option<Position>,
    pub hazards: BTreeSet<Hazard>,
    pub digest: String,
    pub loss: Loss,
    /// `Some(written)`: a person accepted the hazards; whether that stands at the far end yet.
    pub accepted: Option<bool>,
}

impl<'a> Evidence<'a> {
    pub fn gather(
        pool: &'a Pool,
        facts: &'a Facts,
        run: &'a Run,
        now: Timestamp,
        state: &'a InstanceState,
        db: &'a Database,
    ) -> Self {
        let open = ownership::open(state);
        let copy = copy::judge(facts, db, open);
        let other = OtherSide::look(pool, facts, Side::Primary, now);
        let backups = facts.backups.value();
        let mut courses = Vec::new();
        if let (Copy::Restoring, Some(backups), Ok(position)) = (&copy, backups, &db.position) {
            courses = chain::judge(backups, &db.name, *position, None);
        }
        let times = Times::of(backups, db);
        let ahead = facts.instances.get(&crate::next::BACKUP).map(|f| times::ahead(state.clock, f.at));
        let ahead = ahead.unwrap_or_default();
        let recorded = silence::standing(state).filter(|_| other.stopped_at.is_none() && !other.unseen);
        let sign = backups.filter(|_| other.serves.is_none()).and_then(|b| {
            let since = other.silent_since?;
            life::Watch { times: &times, recorded, since, ahead, now }.sign(b, &db.name, &other)
        });
        let kept = recorded.filter(|_| other.serves.is_none()).and_then(|r| r.signs.last());
        let living = match (&sign, kept) {
            (Some(sign), _) => Some(life::sentence(sign, false, now)),
            (None, Some(kept)) => Some(life::sentence(kept, true, now)),
            (None, None) => None,
        };
        let mut e = Evidence {
            pool,
            facts,
            run,
            now,
            state,
            db,
            open,
            ownership: ownership::judge(state, run, pool.active),
            source: source(pool, state, open),
            life_after_silence: living.is_some(),
            sign,
            times,
            ahead,
            other,
            copy,
            courses,
            chosen: 0,
            digests: Vec::new(),
            at: None,
            hazards: BTreeSet::new(),
            digest: String::new(),
            loss: Loss::default(),
            accepted: None,
        };
        let mut common = e.common_hazards();
        // One danger for a side that lives, whatever it goes on writing.
        common.extend(living.map(|sentence| Hazard {
            reason: Reason::PrimaryMayBeAlive,
            subject: format!("{}/backups", Side::Primary),
            lsn: None,
            fork: None,
            sentence,
        }));
        e.choose(common);
        e
    }

    /// When a torn file may count as the end of the chain, if it was not looked at late enough yet.
    pub fn settles(&self) -> Option<Timestamp> {
        match self.course()?.unread(self.facts.backups.at()) {
            Unread::Wait(until) => Some(until),
            Unread::Settled | Unread::Ask => None,
        }
    }

    /// Picks the course that a person accepted, or the first; computes hazards, digest and loss of each.
    fn choose(&mut self, common: BTreeSet<Hazard>) {
        let courses: Vec<Option<Course>> = if self.courses.is_empty() {
            vec![None]
        } else {
            self.courses.iter().cloned().map(Some).collect()
        };
        let here = words::instance(self.pool, crate::next::BACKUP);
        let mut first = None;
        for (i, course) in courses.iter().enumerate() {
            let mut set = common.clone();
            let at = match course {
                Some(c) => {
                    set.extend(hazards::of_course(
                        c,
                        &format!("{} on {here}", self.db.name),
                        self.facts.backups.at(),
                    ));
                    Some(c.end)
                }
                None if self.copy.is_online() => copy::fork_point(self.db),
                None => self.db.position.as_ref().ok().copied(),
            };
            let judge = loss::Judge {
                db: self.db,
                backups: self.facts.backups.value(),
                times: &self.times,
                other: &self.other,
                ahead: self.ahead,
                now: self.now,
            };
            let record = self.state.journal.transition.as_ref().and_then(|t| t.recovery.as_ref());
            let loss = match record.filter(|r| self.copy.is_recovered() && copy::is_of(self.db, r)) {
                Some(record) => loss::recorded(record, &self.other),
                None if self.copy.is_online() => judge.of_online_copy(),
                None => judge.ahead_of(course.as_ref()),
            };
            if self.copy == Copy::Restoring {
                set.extend(self.unread_backups(at));
                set.extend(self.unknown_position());
            }
            set.extend(self.above_limit(&loss, at));
            let digest = hazards::digest(self.pool, self.state.journal.transition.as_ref(), at, &set);
            let accepted = hazards::accepted(self.run, self.open, at, &set, &digest)
                .or_else(|| self.accepted_earlier(at?, &set).then_some(false));
            self.digests.push((digest.clone(), loss.clone()));
            if first.is_none() || (accepted.is_some() && self.accepted.is_none()) {
                first = Some(i);
                self.chosen = i;
                self.at = at;
                self.hazards = set;
                self.digest = digest;
                self.loss = loss;
                self.accepted = accepted;
            }
        }
    }

    /// Whether a person accepted these dangers at an earlier point of the way to `at`: a side that is cut off ships on while the
    /// question is read.
    fn accepted_earlier(&self, at: Position, hazards: &BTreeSet<Hazard>) -> bool {
        if self.run.approvals.is_empty() || hazards.is_empty() {
            return false;
        }
        let sets = self.facts.backups.value().map(|b| chain::sets(b, &self.db.name)).unwrap_or_default();
        let ends = sets.iter().filter(|(_, s)| s.fork == at.fork).map(|(_, s)| s.last_lsn);
        let stood = self.db.position.iter().filter(|p| p.fork == at.fork).map(|p| p.lsn);
        let earlier: BTreeSet<Lsn> = ends.chain(stood).filter(|lsn| *lsn < at.lsn).collect();
        earlier.into_iter().any(|lsn| {
            let then = Position { lsn, ..at };
            let shown: BTreeSet<Hazard> = hazards.iter().map(|h| hazards::as_it_stood(h, at, then)).collect();
            let last = self.state.journal.transition.as_ref();
            let digest = hazards::digest(self.pool, last, Some(then), &shown);
            hazards::accepted(self.run, None, Some(then), &shown, &digest).is_some()
        })
    }

    fn common_hazards(&self) -> BTreeSet<Hazard> {
        let mut set = BTreeSet::new();
        if let Ownership::Conflict(owner) = &self.ownership {
            set.insert(ownership::hazard(owner, self.pool.active));
        }
        if self.copy.is_recovered() {
            return set;
        }
        set.extend(self.other.hazards.iter().cloned());
        if self.copy == Copy::Restoring {
            set.extend(readiness::hazards(self.pool, self.facts, self.now));
        }
        let at = copy::fork_point(self.db);
        let here = words::instance(self.pool, crate::next::BACKUP);
        if let Copy::Unproved(why) = &self.copy {
            set.insert(Hazard {
                reason: Reason::StaleCopySuspected,
                subject: self.db.name.clone(),
                lsn: at.map(|p| p.lsn),
                fork: at.map(|p| p.fork),
                sentence: format!(
                    "{} on {here} is ONLINE, and nothing proves that it holds all that was shipped ({why}); using it gives up \
                     what it lacks",
                    self.db.name
                ),
            });
        }
        if let (true, Some(id)) = (self.copy.is_online(), self.other.serves) {
            let there = words::instance(self.pool, id);
            set.insert(Hazard {
                reason: Reason::BothSidesOnline,
                subject: there.to_lowercase(),
                lsn: at.map(|p| p.lsn),
                fork: at.map(|p| p.fork),
                sentence: format!(
                    "{0} is ONLINE on {there} and on {here}; going on gives up {there} with everything that was stored there since \
                     the copy was recovered",
                    self.db.name
                ),
            });
        }
        set
    }

    /// The copy is in STANDBY, and neither the server nor msdb tells where it stands.
    pub fn nowhere(&self) -> bool {
        self.copy == Copy::Restoring && self.db.standby == Some(true) && self.db.position.is_err()
    }

    /// What the server could still be asked to restore, to tell by it where the copy stands.
    pub fn untried(&self) -> Vec<LogFile> {
        let backups = self.facts.backups.value().filter(|_| self.asked(StepId::ApplyLogs).is_none());
        backups.map(|b| chain::untried(b, &self.db.name)).unwrap_or_default()
    }

    /// Nobody knows where the copy stands, and so nobody knows whether a file is missing before the others.
    fn unknown_position(&self) -> Option<Hazard> {
        if !self.nowhere() || !self.untried().is_empty() {
            return None;
        }
        Some(Hazard {
            reason: Reason::DatabaseUnusable,
            subject: self.db.name.clone(),
            lsn: None,
            fork: None,
            sentence: format!(
                "where {} on {} stands in its log is {}, and no log backup that can be read applies there; it is taken out of \
                 STANDBY without one, and then the server tells",
                self.db.name,
                words::instance(self.pool, crate::next::BACKUP),
                self.position_text()
            ),
        })
    }

    /// Files that could not be looked at all.
    fn unread_backups(&self, at: Option<Position>) -> Option<Hazard> {
        let why = self.facts.backups.why()?;
        self.source.as_ref()?;
        Some(Hazard {
            reason: Reason::BackupsUnknown,
            subject: "all".into(),
            lsn: at.map(|p| p.lsn),
            fork: at.map(|p| p.fork),
            sentence: format!("log backups could not be read: {why}; whatever they hold is given up"),
        })
    }

    fn above_limit(&self, loss: &Loss, at: Option<Position>) -> Option<Hazard> {
        let limit = self.pool.max_data_loss?;
        if self.copy.is_recovered() || self.other.serves.is_some() {
            return None;
        }
        let sentence = match loss.at_most() {
            Some(d) if d <= limit => return None,
            Some(d) => format!(
                "up to {} of messages are lost; {} are allowed",
                words::duration(d),
                words::duration(limit)
            ),
            None => format!(
                "how much is lost is {}; at most {} are allowed",
                if loss.safe_until.is_none() { &loss.safe_source } else { &loss.end_source },
                words::duration(limit)
            ),
        };
        Some(Hazard {
            reason: Reason::LossAboveLimit,
            subject: "maxDataLossMinutes".into(),
            lsn: at.map(|p| p.lsn),
            fork: at.map(|p| p.fork),
            sentence,
        })
    }

    /// Whether a hazard of this kind stands, and nobody accepted the lot.
    pub fn stands(&self, reason: Reason) -> bool {
        self.accepted.is_none() && self.hazards.iter().any(|h| h.reason == reason)
    }

    /// The course that is taken, or shown.
    pub fn course(&self) -> Option<&Course> {
        self.courses.get(self.chosen)
    }

    /// The pool's state, if known.
    pub fn pool_state(&self) -> Option<PoolState> {
        self.facts.shell.pool_state.value().map(|(_, s)| *s)
    }

    /// The first row of `stage` that applies.
    pub fn row(&self, stage: Stage) -> Option<&'static Row> {
        TABLE.iter().find(|r| r.stage == stage && (r.applies)(self))
    }
}

fn source(pool: &Pool, state: &InstanceState, open: Option<&Transition>) -> Option<LogSource> {
    let discovered = state.secondary.as_ref().and_then(Secondary::source);
    let recorded = || open.and_then(|t| t.evidence.as_ref()).map(|e| e.source.clone());
    discovered.or_else(recorded).or_else(|| pool.log_source.clone())
}
