//! Puts the plan together: which direction, which steps, and exactly one thing that comes next.
//!
//! Total: whatever the facts are, there is an answer. It decides nothing about danger (`table`), chain (`chain`) or
//! ownership (`ownership`); it asks them in order.

use jiff::Timestamp;

use crate::judge::copy::{self, Copy};
use crate::judge::evidence::Evidence;
use crate::judge::home::home;
use crate::judge::ownership::{LAPSE, Ownership, sign_of_life};
use crate::judge::service::{Mirror, Servers};
use crate::judge::{identity, readiness, silence};
use crate::model::advice::Advice;
use crate::model::facts::{Facts, PoolState};
use crate::model::journal::{Phase, Transition};
use crate::model::plan::{Action, Direction, Loss, Next, Plan, Reason, Step, StepId, StepState};
use crate::model::pool::{BACKUP, Pool, Side};
use crate::model::run::Run;
use crate::say::advice;
use crate::say::{stops, telling};
use crate::transition::steps;
use crate::transition::table::{self, Decision, Row, Stage, TABLE};
use crate::words::after;

/// What a pool still needs, and why. See the crate's documentation.
pub fn plan(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Plan {
    if let Some(Ok(stop)) = identity::clash(pool, facts) {
        return bare(direction_wanted(pool), Next::Blocked(stop));
    }
    let mut plan = match survey(pool, facts, run, now) {
        Err(next) => bare(direction_wanted(pool), *next),
        Ok(e) => {
            let pass = Pass { e };
            unlocked(&pass.e, pass.plan())
        }
    };
    // It stands for as long as it is so, whatever else there is to say.
    plan.warnings.extend(pool.weakened.iter().map(|what| (Reason::EncryptionWeakened, what.clone())));
    plan
}

/// Nothing is sent while a session holds the pool's lock: it would be refused.
fn unlocked(e: &Evidence, mut plan: Plan) -> Plan {
    if let (Next::Run(step, _), Some(holder)) = (&plan.next, &e.state.holder) {
        plan.next = Next::Wait {
            reason: Reason::OwnedByAnother,
            message: stops::locked(e, holder),
            step: Some(*step),
            until: None,
        };
        plan.rule = rule(&plan.next);
    }
    plan
}

/// The row of the decision table that decides before the point of no return, if the pool is to move to the backup side and can be
/// judged. For reports and tests.
pub fn deciding_row(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Option<&'static Row> {
    let e = survey(pool, facts, run, now).ok()?;
    if pool.active != Side::Backup || e.copy.is_recovered() {
        return None;
    }
    table::row(&e, Stage::Start).or_else(|| table::row(&e, Stage::Recovery))
}

fn direction_wanted(pool: &Pool) -> Direction {
    match pool.active {
        Side::Primary => Direction::Steady(Side::Primary),
        Side::Backup => Direction::ForcedFailover,
    }
}

fn bare(direction: Direction, next: Next) -> Plan {
    Plan {
        direction,
        steps: Vec::new(),
        rule: rule(&next),
        advice: advised(&next),
        next,
        loss: Loss { safe_source: "not judged".into(), end_source: "not judged".into(), ..Loss::default() },
        hazards: Vec::new(),
        digest: String::new(),
        note: None,
        warnings: Vec::new(),
    }
}

fn advised(next: &Next) -> Vec<Advice> {
    match next {
        Next::Blocked(stop) => stop.advice.clone(),
        _ => Vec::new(),
    }
}

fn rule(next: &Next) -> Reason {
    match next {
        Next::Converged => Reason::AsDeclared,
        Next::Run(..) => Reason::FailoverRunning,
        Next::Wait { reason, .. } => *reason,
        Next::Blocked(stop) => stop.reason,
    }
}

/// The evidence, where there is a copy to be judged.
fn survey<'a>(
    pool: &'a Pool,
    facts: &'a Facts,
    run: &'a Run,
    now: Timestamp,
) -> Result<Evidence<'a>, Box<Next>> {
    let (state, db) = home(pool, facts, now)?;
    Ok(Evidence::gather(pool, facts, run, now, state, db))
}

/// One pass over the evidence.
pub(crate) struct Pass<'a> {
    pub e: Evidence<'a>,
}

impl Pass<'_> {
    fn plan(&self) -> Plan {
        let e = &self.e;
        if let Some(open) = e.open.filter(|t| t.intent == Side::Primary) {
            return self.finish(
                Direction::Failback,
                Vec::new(),
                Next::Blocked(stops::failback_open(e, open)),
                None,
            );
        }
        match (e.pool.active, e.open) {
            (Side::Backup, _) => self.forward(),
            // Turned back too late: what was begun is finished first.
            (Side::Primary, Some(_)) if e.copy.is_recovered() => self.forward(),
            // Whether it is too late was not seen yet.
            (Side::Primary, Some(_)) if e.copy == Copy::Unjudged => {
                self.finish(Direction::CallOff, Vec::new(), e.look_first(None), None)
            }
            (Side::Primary, Some(_)) => self.call_off(),
            (Side::Primary, None) => self.left_disabled().unwrap_or_else(|| self.steady_primary()),
        }
    }

    /// A transition of ours was called off and its record still explains why log shipping's jobs are disabled: it is opened again,
    /// to be called off as it should have been.
    fn left_disabled(&self) -> Option<Plan> {
        let e = &self.e;
        let (closed, disabled) = e.state.disabled_by_us()?;
        if e.pool_state() == Some(PoolState::FailedOver) || disabled.is_empty() || e.copy != Copy::Restoring {
            return None;
        }
        let transition =
            Transition { phase: Phase::Open, back: true, approval: None, accepted: None, ..closed.next() };
        let expected = e.state.journal.owner.as_ref().map(|o| o.epoch.clone());
        let action = Action::TakeOwnership { expected, epoch: e.run.next_epoch.clone(), transition };
        let steps = telling::call_off_steps(e, true);
        let id = StepId::TakeOwnership;
        Some(self.finish(Direction::CallOff, steps, Next::Run(id, action), Some(id)))
    }

    fn finish(&self, direction: Direction, mut steps: Vec<Step>, next: Next, at: Option<StepId>) -> Plan {
        let e = &self.e;
        let state = match next {
            Next::Blocked(_) => StepState::Blocked,
            _ => StepState::Next,
        };
        if let Some(step) = at.and_then(|id| steps.iter_mut().find(|s| s.id == id))
            && !matches!(next, Next::Converged)
        {
            step.state = state;
        }
        let mut advice = advised(&next);
        let warnings = self.warnings(direction, &mut advice);
        Plan {
            direction,
            steps,
            rule: rule(&next),
            next,
            loss: e.loss.clone(),
            hazards: e.hazards.iter().cloned().collect(),
            digest: e.digest.clone(),
            note: silence::note(e),
            warnings,
            advice,
        }
    }

    /// What must be told beside `next`; what is to be typed because of it is added to `advice`.
    fn warnings(&self, direction: Direction, advice: &mut Vec<Advice>) -> Vec<(Reason, String)> {
        let e = &self.e;
        let mut out = Vec::new();
        for note in identity::notes(e.pool, e.facts) {
            out.push((Reason::ServerNames, note.text));
            advice.extend(note.advice);
        }
        if let Some(Err(clash)) = identity::clash(e.pool, e.facts) {
            out.insert(0, clash);
        }
        if direction == Direction::ForcedFailover {
            for row in TABLE.iter().filter(|r| r.stage == Stage::Always && (r.applies)(e)) {
                if let (Decision::Warn(reason), Some(Err(why))) =
                    (row.decision, e.facts.shell.store_writable.value())
                {
                    out.push((reason, stops::store_sentence(why)));
                    advice.push(advice::move_management_store());
                }
            }
            if let (Copy::Restoring, Some(s)) = (&e.copy, &e.state.secondary)
                && let Some(jobs) = s.jobs_gone()
            {
                out.push((Reason::LogShippingIncomplete, stops::jobs_gone(e, jobs)));
            }
            if e.copy == Copy::Restoring {
                for trouble in readiness::warnings(e.pool, e.facts, e.now) {
                    out.push((trouble.reason, trouble.text()));
                    advice.extend(trouble.advice);
                }
            }
        }
        if direction == Direction::ForcedFailover
            && !e.copy.is_recovered()
            && let Some(text) = e.facts.backups.value().and_then(stops::set_aside)
        {
            out.push((Reason::BackupsUnknown, text));
        }
        if e.copy.is_recovered()
            && let Some(id) = e.other.serves.filter(|id| !identity::same(e.facts, *id, BACKUP))
        {
            out.push((Reason::BothSidesOnline, stops::old_primary_returned(e, id)));
            advice.extend(advice::fence_old_primary(e, id));
        }
        if e.copy.is_recovered()
            && let Servers::Late(missing) = e.servers()
        {
            out.push((Reason::WaitingForFarEnd, stops::servers_late(e, &missing)));
            advice.push(advice::show_replication());
        }
        if matches!(direction, Direction::Steady(Side::Backup)) {
            if let Servers::Differ(now) = e.servers() {
                out.push((Reason::WaitingForFarEnd, stops::servers_drifted(e, &now)));
            }
            if let Mirror::Absent | Mirror::Silent(_) | Mirror::Unhealthy(_) = e.mirror() {
                out.push((Reason::MirrorUnavailable, stops::not_mirrored(e)));
            }
        }
        if matches!(direction, Direction::Steady(Side::Primary)) {
            if e.other.serves.is_none() {
                out.push((Reason::PrimaryMayBeAlive, stops::primary_not_serving(e)));
            }
            if e.copy.is_online() {
                out.push((Reason::StaleCopySuspected, stops::backup_copy_online(e)));
            }
        }
        out
    }

    fn steady_primary(&self) -> Plan {
        let e = &self.e;
        let next = match e.pool_state() {
            Some(PoolState::FailedOver) => {
                let stop = stops::failback_needed(e);
                return self.finish(Direction::Failback, Vec::new(), Next::Blocked(stop), None);
            }
            _ if e.looks_before_rest() => e.look_first(None),
            Some(PoolState::Normal) => Next::Converged,
            None if e.copy.is_online() => Next::Blocked(stops::shell(e, StepId::SetPoolState)),
            None => Next::Converged,
        };
        self.finish(Direction::Steady(Side::Primary), Vec::new(), next, None)
    }

    fn forward(&self) -> Plan {
        let e = &self.e;
        // The other side is back before anything irreversible: give up, and leave the pool protected.
        if e.open.is_some() && e.other.serves.is_some() && !e.copy.is_online() {
            return self.call_off();
        }
        let steps = steps::forced(e);
        if e.open.is_none() && e.copy == Copy::Delivered && self.settled(&steps) {
            if e.looks_before_rest() {
                return self.finish(Direction::Steady(Side::Backup), steps, e.look_first(None), None);
            }
            return self.finish(Direction::Steady(Side::Backup), steps, Next::Converged, None);
        }
        let (next, at) = self.decide(&steps);
        let direction = match &next {
            Next::Blocked(stop) if stop.reason == Reason::PlannedSwitchoverNeeded => {
                Direction::PlannedSwitchover
            }
            _ => Direction::ForcedFailover,
        };
        self.finish(direction, steps, next, at)
    }

    /// Nothing open, and the pool uses the copy: as declared if every outcome holds, or if a transition of ours delivered this very
    /// copy and was closed. What changed after that was changed by a person, and is told, not fought.
    fn settled(&self, steps: &[Step]) -> bool {
        let closed = self.e.state.journal.transition.as_ref().filter(|t| t.phase == Phase::Closed);
        let ours = closed.and_then(|t| t.recovery.as_ref()).is_some_and(|r| copy::is_of(self.e.db, r));
        ours || steps.iter().all(|s| s.id == StepId::TakeOwnership || s.state != StepState::Pending)
    }

    fn decide(&self, steps: &[Step]) -> (Next, Option<StepId>) {
        let e = &self.e;
        let first = steps.iter().find(|s| s.state == StepState::Pending).map(|s| s.id);
        if let Some(next) = self.displaced() {
            return (next, Some(StepId::TakeOwnership));
        }
        if let Some(next) = self.unfit() {
            return (next, Some(StepId::RecoverDatabase));
        }
        if !e.copy.is_recovered() {
            if e.copy == Copy::Unjudged {
                return (e.look_first(Some(StepId::RecoverDatabase)), Some(StepId::RecoverDatabase));
            }
            // Whether the pool already uses an ONLINE copy decides what that copy is.
            if e.copy.is_online() && e.pool_state().is_none() {
                return (Next::Blocked(stops::shell(e, StepId::SetPoolState)), Some(StepId::SetPoolState));
            }
            if let Some(row) = table::row(e, Stage::Start) {
                return (self.told(row, first), first);
            }
        }
        if let Some(action) = self.latch() {
            return (Next::Run(StepId::TakeOwnership, action), Some(StepId::TakeOwnership));
        }
        for step in steps.iter().filter(|s| s.state == StepState::Pending) {
            if let Some((next, at)) = self.step(step.id) {
                return (next, Some(at));
            }
        }
        (Next::Converged, None)
    }

    /// A live owner that is not this run.
    fn displaced(&self) -> Option<Next> {
        let e = &self.e;
        match &e.ownership {
            Ownership::StandBy(owner) => Some(Next::Wait {
                reason: Reason::OwnedByAnother,
                message: stops::owned_by_another(e, owner),
                step: Some(StepId::TakeOwnership),
                until: Some(e.here(after(sign_of_life(e.state, e.run, owner), LAPSE))),
            }),
            Ownership::Conflict(owner) if e.stands(Reason::IntentConflict) => {
                Some(Next::Blocked(stops::intent_conflict(e, owner)))
            }
            _ => None,
        }
    }

    /// A copy that no step goes on from, or not right now.
    fn unfit(&self) -> Option<Next> {
        let e = &self.e;
        match &e.copy {
            Copy::Unusable(why) => Some(Next::Blocked(stops::database_unusable(e, why))),
            Copy::Recovering => Some(self.wait(StepId::RecoverDatabase, stops::recovering(e), None)),
            Copy::Restoring if e.state.secondary.as_ref().is_some_and(|s| s.shared) => {
                Some(Next::Blocked(stops::log_shipping_shared(e)))
            }
            _ => None,
        }
    }

    pub(crate) fn told(&self, row: &Row, step: Option<StepId>) -> Next {
        match row.decision {
            Decision::Wait(reason) => Next::Wait {
                reason,
                message: telling::row(&self.e, row),
                step,
                until: match reason {
                    Reason::Looking => self.e.listing_patience(),
                    Reason::SilenceTooShort => self.e.other.too_young(self.e.pool, self.e.now),
                    _ => self.e.settles(),
                },
            },
            Decision::Stop(reason) | Decision::Warn(reason) => {
                Next::Blocked(telling::of_row(&self.e, row, reason, step))
            }
            Decision::Go => self.wait(StepId::RecoverDatabase, "nothing stops the failover".into(), None),
        }
    }

    pub(crate) fn wait(&self, step: StepId, message: String, until: Option<Timestamp>) -> Next {
        Next::Wait { reason: Reason::WaitingForFarEnd, message, step: Some(step), until }
    }

    fn call_off(&self) -> Plan {
        let e = &self.e;
        let Some(open) = e.open else { return self.steady_primary() };
        let idle = e.state.secondary.as_ref().filter(|s| s.jobs().any(|j| j.enabled != Some(true)));
        let resumes = !e.copy.is_online();
        let steps = telling::call_off_steps(e, idle.is_some() && resumes);
        let act = |id, action| (Next::Run(id, action), Some(id));
        let (next, at) = match (self.displaced(), &e.ownership) {
            (Some(next), _) => (next, Some(StepId::TakeOwnership)),
            // Under the old token a request that went forward may still be on its way.
            (None, Ownership::Mine(epoch)) if !open.back => {
                act(StepId::TakeOwnership, self.take_back(Some(epoch.clone())))
            }
            (None, Ownership::Mine(_)) => match idle.filter(|_| resumes) {
                _ if e.copy == Copy::Recovering || e.state.restore.is_some() => (
                    self.wait(StepId::ResumeLogShipping, stops::recovering(e), None),
                    Some(StepId::ResumeLogShipping),
                ),
                Some(s) => act(
                    StepId::ResumeLogShipping,
                    Action::ResumeLogShipping { secondary: s.id, transition: open.next() },
                ),
                None => act(
                    StepId::ReleaseOwnership,
                    Action::ReleaseOwnership {
                        transition: Transition {
                            phase: Phase::CalledOff,
                            // What it explains is over once both jobs run again, which the release itself sees to.
                            evidence: open.evidence.clone().filter(|_| !resumes),
                            ..open.next()
                        },
                    },
                ),
            },
            (None, Ownership::Free(epoch) | Ownership::Takeable(epoch)) => {
                act(StepId::TakeOwnership, self.take_back(epoch.clone()))
            }
            (None, Ownership::Conflict(o) | Ownership::StandBy(o)) => {
                act(StepId::TakeOwnership, self.take_back(Some(o.epoch.clone())))
            }
        };
        self.finish(Direction::CallOff, steps, next, at)
    }
}
