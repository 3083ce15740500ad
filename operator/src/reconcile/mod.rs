//! The driver: observe, plan, act, report, over and over, until there is nothing to do or a named stop.
//!
//! It decides nothing that the planner decides and remembers nothing that can be observed. What it adds is how
//! to go about it: pauses, tries, the wish to stop, the state file. An action that was begun is seen to its end,
//! and what it changed is observed, never concluded from its answer.

mod alive;
mod backoff;
mod identity;
mod interrupt;
mod keeper;
mod scribe;
mod state_file;
mod tries;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::{Contact, Database, Fact, Facts, InstanceFacts};
use pchat_planner::ownership::RENEW;
use pchat_planner::plan::{Action, Next, Plan, Reason, StepId, StepState};
use pchat_planner::pool::{InstanceId, Mode, Pool, Side};
use pchat_planner::run::Run;

pub use self::backoff::Backoff;
pub use self::identity::{Identity, default_executor, default_host};
pub use self::interrupt::{Interrupt, Interrupter, channel as interrupts};
pub use self::keeper::Keeper;
pub use self::state_file::StateFile;
use self::tries::Tries;
use crate::far_end::{ActError, FarEnd, Freshness, Order, Sign, Turn};
use crate::observe::HOME;
use crate::report::words::millis;
use crate::report::{Halt, Record, Report, View, journal};
use crate::sql::refusal::RefusalCode;

/// Pauses while waiting: the backup instance is asked at least this often.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long a run that was asked to stop still looks at what its last action has changed.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// How long writing down what was seen may hold up a run that waits or ends.
const NOTE: Duration = Duration::from_secs(5);

/// What could not be written down is tried again after this.
const NOTE_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// The planner, as the driver calls it.
pub type Planner<'a> = &'a (dyn Fn(&Pool, &Facts, &Run, Timestamp) -> Plan + Sync);

/// How a run goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long to stay at a stop before giving up.
    pub stay: Duration,
    /// How long nothing at the far ends may move, while it is waited for, before that is a stop.
    pub patience: Duration,
    /// The clock; tests bring their own.
    pub clock: fn() -> Timestamp,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { stay: Duration::ZERO, patience: Duration::from_secs(30 * 60), clock: Timestamp::now }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The far end is as declared.
    Converged,
    /// It stopped.
    Halted(Halt),
    /// It was asked to stop and did, at a safe point.
    Interrupted,
    /// There is something to do, and `mode` does not allow doing it.
    NotEnforced,
}

/// A run that is over.
#[derive(Debug)]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// What was seen last; nothing, if the run was interrupted before its first look ended.
    pub last: Option<(Facts, Plan)>,
    /// What it saw and did.
    pub record: Record,
    /// The state file's keeper, for the report to be put in; what it holds of the end is still to be saved.
    pub keeper: Keeper,
}

/// One run of one pool.
pub struct Driver<'a, F> {
    pool: &'a Pool,
    far: &'a F,
    planner: Planner<'a>,
    report: &'a dyn Report,
    interrupt: Interrupt,
    settings: Settings,
    identity: Identity,
    keeper: Keeper,
    record: Record,
    tries: Tries,
    poll: Backoff,
    /// What the far ends looked like when something last moved, and when that was.
    still: Option<(Moved, Timestamp)>,
    /// Until when the run stays at the stop that it is at: another one is only what comes after something has moved.
    staying: Option<Timestamp>,
    last: Option<(Facts, Plan)>,
    /// Nothing is concluded from looks that are older than this.
    doubt: Option<Timestamp>,
    /// The side that was told by halves, and when that was first seen.
    uneven: Option<(Side, Timestamp)>,
    /// When a note was last written or tried, and whether a failure was told.
    noted: (Option<Timestamp>, bool),
    /// When the last log backups were applied, or the run began, until the files were looked at again: some may have grown since.
    applied: Option<Timestamp>,
    /// The turn to act that was waited for, while what to do with it is planned again.
    turn: Option<Turn>,
}

/// What tells that something has moved.
type Moved = (Reason, Vec<(StepId, StepState, Option<(u64, u64)>)>, usize);

impl<'a, F: FarEnd> Driver<'a, F> {
    /// A run that has not looked yet. `keeper` brings its name and the approvals.
    pub fn new(
        pool: &'a Pool,
        far: &'a F,
        planner: Planner<'a>,
        report: &'a dyn Report,
        interrupt: Interrupt,
        settings: Settings,
        keeper: Keeper,
    ) -> Self {
        let begun = (settings.clock)();
        Driver {
            record: Record::new(keeper.executor().to_owned(), begun),
            identity: Identity::new(keeper.executor().to_owned(), keeper.approvals(), keeper.over()),
            tries: Tries::default(),
            poll: Backoff::new(POLL.0, POLL.1),
            still: None,
            staying: None,
            last: None,
            doubt: Some(begun),
            uneven: None,
            noted: (None, false),
            applied: Some(begun),
            turn: None,
            pool,
            far,
            planner,
            report,
            interrupt,
            settings,
            keeper,
        }
    }

    /// Runs until converged, stopped or interrupted.
    pub fn run(self) -> impl Future<Output = Outcome> {
        // On the heap: a future holds what it takes by value twice.
        Box::new(self).go()
    }

    async fn go(mut self: Box<Self>) -> Outcome {
        // What the looks at hand show to be done is begun at once: each action is guarded at the far end.
        let mut demand = Freshness::LATEST;
        loop {
            // What the last action brought about is worth a short look even when it is time to stop.
            let grace = if self.record.steps.is_empty() { Duration::ZERO } else { LAST_LOOK };
            let looked = {
                let interrupt = &mut self.interrupt;
                let look = async {
                    tokio::select! {
                        biased;
                        facts = self.far.observe(demand) => Some(facts),
                        () = async { interrupt.wait().await; tokio::time::sleep(grace).await } => None,
                    }
                };
                alive::beside(self.far, self.identity.run(), look).await
            };
            let Some(facts) = looked else { return self.over(Ending::Interrupted).await };
            self.show_life(&facts).await;
            self.identity.learn(self.pool, &facts);
            let plan = (self.planner)(self.pool, &facts, self.identity.run(), self.now());
            if let Some(newer) = self.doubted(&facts, &plan.next) {
                demand = newer;
                continue;
            }
            let next = self.take_in(facts, plan);
            demand = Freshness::LATEST;
            let halt = match next {
                Next::Converged => return self.over(Ending::Converged).await,
                _ if self.interrupt.asked() => return self.over(Ending::Interrupted).await,
                Next::Blocked(stop) => Some(Halt::Planned(stop)),
                Next::Wait { reason: Reason::Looking, .. } if self.pool.mode != Mode::Enforce => None,
                _ if self.pool.mode != Mode::Enforce => return self.over(Ending::NotEnforced).await,
                Next::Wait { reason, message, step, until } => {
                    if reason == Reason::OwnedByAnother {
                        // What another executor does is known here from looks that may be older than that.
                        self.doubt = Some(Timestamp::MAX);
                    }
                    let still = self.still_for(until);
                    if still.is_none() {
                        self.report.waiting(&self.view());
                    }
                    still.map(|since| Halt::Stalled { reason, step, message, since })
                }
                Next::Run(step, action) => match self.tries.exhausted(step, &action, self.effect_of(step)) {
                    Some(halt) => Some(halt),
                    None => {
                        demand = self.carry_out(step, &action).await;
                        continue;
                    }
                },
            };
            self.turn = None;
            match halt {
                None => self.pause(self.until()).await,
                Some(halt) if self.stays(&halt) => self.pause(self.staying).await,
                Some(halt) => {
                    // What stopped this run is to be known to the next one.
                    self.noted.0 = None;
                    self.note().await;
                    return self.over(Ending::Halted(halt)).await;
                }
            }
        }
    }

    /// What must be looked at anew before `next` is told or done, if anything. That all is done, or that something is wrong,
    /// is never concluded from looks that are older than the run; nor is the other side dead by such looks when the database
    /// is recovered, or nothing left to apply by looks from before the last log backup was applied.
    fn doubted(&mut self, facts: &Facts, next: &Next) -> Option<Freshness> {
        if let Some(newer) = self.doubted_side(facts, next) {
            return Some(newer);
        }
        let concludes = match next {
            Next::Converged | Next::Blocked(_) => true,
            Next::Run(StepId::RecoverDatabase, _) => {
                let begun = self.record.started;
                let older = facts.instances.iter().any(|(id, seen)| id.side != HOME.side && seen.at < begun);
                let others = older.then_some(begun);
                let backups = self.applied.take().filter(|applied| facts.backups.at() < *applied);
                let newer = others.or(backups).is_some();
                return newer.then_some(Freshness { others, backups, ..Freshness::LATEST });
            }
            Next::Wait { reason: Reason::Looking, .. } => false,
            Next::Run(..) | Next::Wait { .. } => self.pool.mode != Mode::Enforce,
        };
        let since = self.doubt.take_if(|_| concludes)?.min(self.now());
        let Facts { shell, backups, instances } = facts;
        // What is pending has shown nothing, and the planner concludes nothing from it.
        let seen = instances.values().filter(|seen| !seen.state.is_pending()).map(|seen| seen.at);
        let rest = [
            at(&shell.pool_state),
            at(&shell.servers),
            at(&shell.store_writable),
            at(backups),
            backups.value().and_then(|b| at(&b.share)),
            backups.value().and_then(|b| at(&b.folder)),
        ];
        let older = seen.chain(rest.into_iter().flatten()).any(|at| at < since);
        // A run that acts stays at its stop and can tell what it looks at. Any other comes to the same end again and again.
        let patient = !(matches!(next, Next::Blocked(_)) && self.pool.mode == Mode::Enforce);
        older.then(|| Freshness { patient, ..Freshness::all_since(since) })
    }

    /// A look takes its time, and the two ends of a side are looked at one after the other: what changes meanwhile is told by halves.
    /// A mirroring session that has just begun is not known at the end that was read first; of a side that has just come back one end
    /// answers, or its host and not yet its server. So such a side is looked at once more before the run stops over it.
    fn doubted_side(&mut self, facts: &Facts, next: &Next) -> Option<Freshness> {
        let side = match next {
            // What is looked at meanwhile was asked for here.
            Next::Wait { reason: Reason::Looking, .. } => return None,
            Next::Blocked(stop)
                if matches!(stop.reason, Reason::MirrorUnavailable | Reason::DatabaseUnusable) =>
            {
                Some(HOME.side)
            }
            Next::Blocked(_) => Some(HOME.side.other()).filter(|side| told_by_halves(facts, *side)),
            _ => None,
        };
        self.uneven = self.uneven.filter(|(before, _)| Some(*before) == side);
        let now = (self.settings.clock)();
        let first = self.uneven.map_or(now, |(_, since)| since);
        // Kept, not only compared: of a clock that was set back, the looks from now on are newer than this.
        let (side, since) = (side?, first.min(now));
        self.uneven = Some((side, since));
        let older = ends_of(facts, side)
            .filter(|(id, seen)| *id != HOME && !matches!(seen.contact, Contact::Pending { .. }))
            .any(|(_, seen)| seen.at < since);
        let newer = Some(since);
        older.then(|| match side == HOME.side {
            true => Freshness { mirror: newer, ..Freshness::LATEST },
            false => Freshness { others: newer, ..Freshness::LATEST },
        })
    }

    /// Recorded and told.
    fn take_in(&mut self, facts: Facts, plan: Plan) -> Next {
        let now = self.now();
        let transition = journal(&facts).and_then(|j| j.transition.as_ref()).map(|t| t.id);
        self.record.see(&plan, transition, now);
        self.keeper.see(&facts);
        self.save();
        let steps = plan.steps.iter().map(|s| (s.id, s.state.clone(), s.progress)).collect();
        let moved: Moved = (plan.rule, steps, self.record.applied.len());
        if self.still.as_ref().is_none_or(|(before, _)| *before != moved) {
            self.still = Some((moved, now));
            self.staying = None;
            self.poll.reset();
        }
        let next = plan.next.clone();
        self.last = Some((facts, plan));
        self.report.planned(&self.view());
        next
    }

    async fn carry_out(&mut self, step: StepId, action: &Action) -> Freshness {
        if let Some(pause) = self.tries.take_pause() {
            tokio::select! { () = tokio::time::sleep(pause) => {}, () = self.interrupt.wait() => return Freshness::LATEST }
            // What was planned before the pause is planned again after it.
            return Freshness::LATEST;
        }
        let turn = match self.turn.take() {
            Some(turn) => turn,
            None => {
                let interrupt = &mut self.interrupt;
                let turn = async {
                    tokio::select! { turn = self.far.turn() => Some(turn), () = interrupt.wait() => None }
                };
                match alive::beside(self.far, self.identity.run(), turn).await {
                    Some(turn) => turn,
                    None => return Freshness::LATEST,
                }
            }
        };
        if turn.waited {
            self.turn = Some(Turn { waited: false, ..turn });
            let others = (step == StepId::RecoverDatabase).then(|| self.now());
            return Freshness { others, ..Freshness::LATEST };
        }
        // Without a token of its own the order is refused at the far end, as it should be.
        let epoch = self.identity.token_for(action).unwrap_or(&self.identity.run().next_epoch).clone();
        self.identity.sending(action);
        self.record.begin(step, self.now());
        self.report.started(step, &self.view());
        let order = Order { step, action, epoch: &epoch, executor: &self.record.executor };
        let report = self.report;
        let progress = move |progress| report.progress(step, &progress);
        let acting = self.far.act(order, &progress);
        let told = alive::beside(self.far, self.identity.run(), acting).await;
        drop(turn);
        let ended = self.now();
        match told {
            Ok(done) => {
                if let Action::ApplyLogs { .. } = action {
                    self.applied = Some(ended);
                }
                let transition = self.record.transition;
                self.identity.confirmed(step, action, transition, ended);
                self.record.confirm(step, action, &done);
                self.tries.confirmed(step, action);
                self.report.confirmed(step, &self.view());
                Freshness::after(action, ended)
            }
            Err(ActError::Refused { refusal, .. }) if refusal.code == RefusalCode::Locked => {
                // Taken between the look and the request. The next look tells by whom, and that is waited for.
                self.tries.locked();
                Freshness::LATEST
            }
            Err(error) => {
                self.record.fail(step, &error, ended);
                self.report.failed(step, &error, &self.view());
                let demand = after_failure(action, &error, ended);
                self.tries.failed(step, error);
                demand
            }
        }
    }

    /// Since when nothing has moved, if that is too long. A wait for a known moment is not.
    fn still_for(&self, until: Option<Timestamp>) -> Option<Timestamp> {
        let (_, since) = self.still.as_ref()?;
        let now = self.now();
        let patience = SignedDuration::try_from(self.settings.patience).unwrap_or(SignedDuration::MAX);
        (now.duration_since(*since) >= patience && until.is_none_or(|until| until <= now)).then_some(*since)
    }

    /// Whether the run stays at `halt` for now.
    fn stays(&mut self, halt: &Halt) -> bool {
        let now = self.now();
        if self.pool.mode != Mode::Enforce {
            return false;
        }
        let until = *self
            .staying
            .get_or_insert_with(|| now.checked_add(self.settings.stay).unwrap_or(Timestamp::MAX));
        if now >= until {
            return false;
        }
        if let Halt::Failing { step, .. } | Halt::WithoutEffect { step, .. } = halt {
            self.tries.one_more(*step);
        }
        self.report.staying(halt, until, &self.view());
        true
    }

    /// Waits for news, for `until` at the longest, or for the wish to stop.
    async fn pause(&mut self, until: Option<Timestamp>) {
        let left = until.and_then(|until| Duration::try_from(until.duration_since(self.now())).ok());
        let at_most = left.map_or(self.poll.pause(), |left| left.min(self.poll.pause()));
        self.note().await;
        tokio::select! { () = self.far.news(at_most) => {}, () = self.interrupt.wait() => {} }
    }

    /// Writes down what the latest plan wants to be known to the next run. Only while nothing of this run is under way: both would
    /// want the pool's lock.
    async fn note(&mut self) {
        let Some(note) = self.last.as_ref().and_then(|(_, plan)| plan.note.clone()) else { return };
        let now = self.now();
        if self.noted.0.is_some_and(|at| now.duration_since(at) < NOTE_AGAIN) {
            return;
        }
        self.noted.0 = Some(now);
        let writing = tokio::time::timeout(NOTE, self.far.note(&note, &self.record.executor));
        let why = match writing.await {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => format!("no answer in {} s", NOTE.as_secs()),
        };
        if !std::mem::replace(&mut self.noted.1, true) {
            let why = why.trim_end_matches('.');
            self.report.notice(&format!(
                "What this run sees of the silent side could not be written down on {} ({why}). Another run would not know it.",
                self.pool.backup.database
            ));
        }
    }

    fn until(&self) -> Option<Timestamp> {
        match self.last.as_ref().map(|(_, plan)| &plan.next) {
            Some(Next::Wait { until: Some(until), .. }) if *until > self.now() => Some(*until),
            _ => None,
        }
    }

    fn effect_of(&self, step: StepId) -> &str {
        let steps = self.last.as_ref().map_or(&[][..], |(_, plan)| &plan.steps);
        steps.iter().find(|s| s.id == step).map_or("", |s| s.effect.as_str())
    }

    fn save(&mut self) {
        if let Some(trouble) = self.keeper.save(self.now()) {
            self.report.notice(&trouble);
        }
    }

    fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    fn view(&self) -> View<'_> {
        let last = self.last.as_ref();
        View {
            pool: self.pool,
            facts: last.map(|(facts, _)| facts),
            plan: last.map(|(_, plan)| plan),
            record: &self.record,
            now: self.now(),
        }
    }

    /// Renews the mark of a run that owns the open transition, when it was seen to grow old.
    async fn show_life(&self, facts: &Facts) {
        let Some(owner) = self.identity.owns(facts) else { return };
        let clock = facts.instances.get(&HOME).and_then(|f| f.state.value()).map(|state| state.clock);
        if clock.is_some_and(|clock| clock.duration_since(owner.mark) >= RENEW) {
            // Where it can't be written the next look tries again.
            let _ = self.far.sign(Sign::Lives, &owner.epoch, self.identity.executor()).await;
        }
    }

    async fn over(mut self, ending: Ending) -> Outcome {
        let owns = self.last.as_ref().and_then(|(facts, _)| self.identity.owns(facts));
        if let Some(owner) = owns {
            // Whoever comes next waits for the mark to lapse where this does not arrive.
            let sign = self.far.sign(Sign::Ended, &owner.epoch, self.identity.executor());
            let _ = tokio::time::timeout(LAST_LOOK, sign).await;
        }
        self.record.ended = Some(millis(self.now()));
        if let Some(epoch) = &self.identity.run().epoch {
            self.keeper.end(epoch);
        }
        Outcome { ending, last: self.last, record: self.record, keeper: self.keeper }
    }
}

/// What was seen of the instances of a side.
fn ends_of(facts: &Facts, side: Side) -> impl Iterator<Item = (InstanceId, &InstanceFacts)> {
    facts.instances.iter().filter(move |(id, _)| id.side == side).map(|(id, seen)| (*id, seen))
}

/// Neither a side that is silent nor one that serves.
fn told_by_halves(facts: &Facts, side: Side) -> bool {
    let serves = |(_, seen): (InstanceId, &InstanceFacts)| {
        seen.state.value().and_then(|state| state.database.as_ref()).is_some_and(Database::serves)
    };
    let silent = |(_, seen): (InstanceId, &InstanceFacts)| matches!(seen.contact, Contact::Silent { .. });
    !ends_of(facts, side).all(silent) && !ends_of(facts, side).any(serves)
}

/// When a fact was looked at, if it was.
fn at<T>(fact: &Fact<T>) -> Option<Timestamp> {
    (!fact.is_pending()).then(|| fact.at())
}

/// What must be looked at again after `error`: that which the plan had wrong.
fn after_failure(action: &Action, error: &ActError, at: Timestamp) -> Freshness {
    let again = Freshness { backups: Some(at), ..Freshness::LATEST };
    match (action, error) {
        (_, ActError::Refused { refusal, .. }) => match refusal.code {
            RefusalCode::NotLast | RefusalCode::Position | RefusalCode::LogShipping | RefusalCode::Fork => {
                again
            }
            // Somebody else may have gone further than what is known from the looks in the background.
            _ => Freshness { shell: Some(at), mirror: Some(at), ..Freshness::LATEST },
        },
        (_, ActError::NotSent { .. }) => Freshness::LATEST,
        (Action::ApplyLogs { .. } | Action::RecoverDatabase { .. }, _) => again,
        // Why it failed may be told by something else than what it was to change.
        (Action::SetPoolState { .. } | Action::SetActiveServers { .. }, _) => {
            Freshness { shell: Some(at), ..Freshness::LATEST }
        }
        _ => Freshness::after(action, at),
    }
}
