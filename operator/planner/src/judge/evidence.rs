//! The evidence: everything that a decision about the pool rests on, gathered once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::judge::chain::{self, Course, Unread};
use crate::judge::copy::{self, Copy};
use crate::judge::other_side::OtherSide;
use crate::judge::ownership::{self, Ownership};
use crate::judge::times::{self, Times};
use crate::judge::{hazards, life, loss, readiness, silence};
use crate::model::facts::{Database, Facts, InstanceState, PoolState, Secondary};
use crate::model::journal::{Life, Transition};
use crate::model::lsn::{Lsn, Position};
use crate::model::plan::{Hazard, LogFile, Loss, Reason, StepId};
use crate::model::pool::{BACKUP, LogSource, Pool, Side};
use crate::model::run::Run;
use crate::words;

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
    /// Each course's digest, with the loss and the hazards that it accepts.
    pub digests: Vec<(String, Loss, BTreeSet<Hazard>)>,
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
        let ahead = facts.instances.get(&BACKUP).map(|f| times::ahead(state.clock, f.at));
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
        let here = words::instance(self.pool, BACKUP);
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
            self.digests.push((digest.clone(), loss.clone(), set.clone()));
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
        let here = words::instance(self.pool, BACKUP);
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
                words::instance(self.pool, BACKUP),
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
}

fn source(pool: &Pool, state: &InstanceState, open: Option<&Transition>) -> Option<LogSource> {
    let discovered = state.secondary.as_ref().and_then(Secondary::source);
    let recorded = || open.and_then(|t| t.evidence.as_ref()).map(|e| e.source.clone());
    discovered.or_else(recorded).or_else(|| pool.log_source.clone())
}
