//! Puts the plan together: which direction, which steps, and exactly one thing that comes next.
//!
//! Total: whatever the facts are, there is an answer. It decides nothing about danger (`policy`), chain (`chain`) or
//! ownership (`ownership`); it asks them in order.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::chain;
use crate::copy::{self, Copy};
use crate::facts::{Contact, Facts, InstanceState, PoolState, Secondary, UserAccess};
use crate::journal::{Epoch, Evidence as Shipping, Phase, Recovery, Run, Transition};
use crate::other_side::FRESH;
use crate::ownership::{LAPSE, Ownership};
use crate::plan::{Action, Direction, LogFile, Loss, Next, Plan, Reason, Step, StepId, StepState, Stop};
use crate::policy::{Decision, Evidence, Row, Stage, TABLE};
use crate::pool::{InstanceId, Partner, Pool, Side};
use crate::steps::{self, MIRROR_GRACE, Mirror, Servers};
use crate::stops;
use crate::words::{after, instance, time};

/// The instance that everything happens on, and where the journal stands.
pub(crate) const BACKUP: InstanceId = InstanceId::new(Side::Backup, Partner::Database);
/// Its own mirror.
pub(crate) const BACKUP_MIRROR: InstanceId = InstanceId::new(Side::Backup, Partner::Mirror);

/// Most files in one batch: a lost reply leaves at most this much to re-read, and the owner's mark is renewed by each.
pub const BATCH_FILES: usize = 24;
/// A batch ends at the file with which it reaches this size, for the same reason.
pub const BATCH_BYTES: u64 = 1 << 30;

/// What a pool still needs, and why. See the crate's documentation.
pub fn plan(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Plan {
    match survey(pool, facts, run, now) {
        Err(stop) => bare(direction_wanted(pool), Next::Blocked(stop)),
        Ok(e) => Planner { e }.plan(),
    }
}

/// The row of the decision table that decides before the point of no return, if the pool is to move to the backup side and can be
/// judged. For reports and tests.
pub fn deciding_row(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Option<&'static Row> {
    let e = survey(pool, facts, run, now).ok()?;
    if pool.active != Side::Backup || e.copy.is_recovered() {
        return None;
    }
    e.row(Stage::Start).or_else(|| e.row(Stage::Recovery))
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
        next,
        loss: Loss { safe_source: "not judged".into(), end_source: "not judged".into(), ..Loss::default() },
        hazards: Vec::new(),
        digest: String::new(),
        warnings: Vec::new(),
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

/// The backup instance must be there to be judged at all.
fn survey<'a>(pool: &'a Pool, facts: &'a Facts, run: &'a Run, now: Timestamp) -> Result<Evidence<'a>, Stop> {
    let here = instance(pool, BACKUP);
    let found = facts.instances.get(&BACKUP);
    let why = match found.map(|f| (&f.contact, &f.state)) {
        None => "it was not looked at yet".to_owned(),
        Some((Contact::Silent { detail, .. } | Contact::Unusable { detail }, _)) => detail.clone(),
        Some((Contact::Answers, state)) => state.why().unwrap_or_default().to_owned(),
    };
    let state: &InstanceState =
        match found.filter(|f| f.contact == Contact::Answers).and_then(|f| f.state.value()) {
            Some(state) => state,
            None => return Err(stops::backup_unreachable(&here, &why)),
        };
    if !state.sysadmin {
        return Err(stops::rights_missing(&here));
    }
    if let Some(damage) = &state.journal_damage {
        return Err(stops::journal_damaged(&here, &pool.database, damage));
    }
    match &state.database {
        Some(db) => Ok(Evidence::gather(pool, facts, run, now, state, db)),
        None => Err(stops::database_missing(&here, &pool.database)),
    }
}

struct Planner<'a> {
    e: Evidence<'a>,
}

impl Planner<'_> {
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
            (Side::Primary, Some(_)) => self.call_off(),
            (Side::Primary, None) => self.steady_primary(),
        }
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
        Plan {
            direction,
            steps,
            rule: rule(&next),
            next,
            loss: e.loss.clone(),
            hazards: e.hazards.iter().cloned().collect(),
            digest: e.digest.clone(),
            warnings: self.warnings(direction),
        }
    }

    fn warnings(&self, direction: Direction) -> Vec<(Reason, String)> {
        let e = &self.e;
        let mut out = Vec::new();
        if direction == Direction::ForcedFailover {
            for row in TABLE.iter().filter(|r| r.stage == Stage::Always && (r.applies)(e)) {
                if let (Decision::Warn(reason), Some(Err(why))) =
                    (row.decision, e.facts.shell.store_writable.value())
                {
                    out.push((reason, stops::store_sentence(why)));
                }
            }
        }
        if e.copy.is_recovered()
            && let Some(id) = e.other.serves
        {
            out.push((Reason::BothSidesOnline, stops::old_primary_returned(e, id)));
        }
        if e.copy.is_recovered()
            && let Servers::Late(missing) = e.servers()
        {
            out.push((Reason::WaitingForFarEnd, stops::servers_late(e, &missing)));
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
        let ours = closed
            .and_then(|t| t.recovery.as_ref())
            .is_some_and(|r| copy::fork_point(self.e.db).is_some_and(|p| p.lsn == r.lsn && p.fork == r.fork));
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
            // Whether the pool already uses an ONLINE copy decides what that copy is.
            if e.copy.is_online() && e.pool_state().is_none() {
                return (Next::Blocked(stops::shell(e, StepId::SetPoolState)), Some(StepId::SetPoolState));
            }
            if let Some(row) = e.row(Stage::Start) {
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
                until: Some(e.here(after(owner.mark, LAPSE))),
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

    fn told(&self, row: &Row, step: Option<StepId>) -> Next {
        match row.decision {
            Decision::Wait(reason) => Next::Wait {
                reason,
                message: stops::row(&self.e, row),
                step,
                until: self
                    .e
                    .other
                    .too_young(self.e.pool, self.e.now)
                    .filter(|_| reason == Reason::SilenceTooShort)
                    .or_else(|| self.e.course().and_then(|c| c.settles(self.e.now))),
            },
            Decision::Stop(reason) | Decision::Warn(reason) => {
                Next::Blocked(stops::of_row(&self.e, row, reason, step))
            }
            Decision::Go => self.wait(StepId::RecoverDatabase, "nothing stops the failover".into(), None),
        }
    }

    fn wait(&self, step: StepId, message: String, until: Option<Timestamp>) -> Next {
        Next::Wait { reason: Reason::WaitingForFarEnd, message, step: Some(step), until }
    }

    /// An approval is written at the far end before anything rests on it. Under a new token, as each taking: a delayed copy of this
    /// batch would otherwise put the transition back to what it is now.
    fn latch(&self) -> Option<Action> {
        let Ownership::Mine(epoch) = &self.e.ownership else { return None };
        (self.e.accepted == Some(false))
            .then(|| self.take(Some(epoch.clone()), self.e.run.next_epoch.clone()))
    }

    fn take(&self, expected: Option<Epoch>, epoch: Epoch) -> Action {
        let e = &self.e;
        let mut transition = e.open.map(Transition::next).unwrap_or(Transition {
            rev: 0,
            id: self.fresh_id(),
            intent: Side::Backup,
            phase: Phase::Open,
            opened: e.state.clock,
            evidence: None,
            approval: None,
            accepted: None,
            recovery: None,
        });
        if e.accepted == Some(false) {
            transition.approval = Some(e.digest.clone());
            transition.accepted = Some(crate::hazards::cover(e.at, &e.hazards));
        }
        Action::TakeOwnership { expected, epoch, transition }
    }

    /// The run's new id; another one where that was used already (the taking had its effect, its reply was lost, and somebody
    /// else took over and closed it before this run looked).
    fn fresh_id(&self) -> Uuid {
        let new = self.e.run.next_transition;
        match self.e.state.journal.transition.as_ref().filter(|t| t.id == new) {
            None => new,
            Some(used) => {
                let hash = Sha256::digest(format!("{} {} {}", used.id, used.rev, used.opened));
                Uuid::from_bytes(std::array::from_fn(|i| hash[i]))
            }
        }
    }

    /// What a pending step needs now; `None` lets the next one go on beside it.
    fn step(&self, id: StepId) -> Option<(Next, StepId)> {
        let e = &self.e;
        let here = |next| Some((next, id));
        match id {
            StepId::TakeOwnership => {
                let expected = match &e.ownership {
                    Ownership::Free(epoch) | Ownership::Takeable(epoch) => epoch.clone(),
                    Ownership::Conflict(owner) | Ownership::StandBy(owner) => Some(owner.epoch.clone()),
                    Ownership::Mine(_) => return None,
                };
                here(Next::Run(id, self.take(expected, e.run.next_epoch.clone())))
            }
            StepId::QuiesceLogShipping => here(self.quiesce()),
            StepId::CopyBackups => {
                let job = e.copy_helps()?.copy_job.id;
                here(Next::Run(id, Action::StartCopy { job }))
            }
            StepId::ApplyLogs => self.apply(),
            StepId::DisconnectSessions => here(Next::Run(id, Action::DisconnectSessions)),
            StepId::RecoverDatabase => self.recover(),
            StepId::SetPoolState => here(self.pool_state()),
            StepId::SetActiveServers => here(self.active_servers()),
            StepId::EstablishMirror => here(self.mirror()),
            StepId::RemoveLogShipping => here(self.remove()),
            StepId::ReleaseOwnership => here(self.release()),
            StepId::ResumeLogShipping => None,
        }
    }

    fn quiesce(&self) -> Next {
        let e = &self.e;
        let id = StepId::QuiesceLogShipping;
        match (e.unquiesced(), e.open, &e.state.secondary) {
            (Some(s), Some(open), _) => {
                let transition = Transition { evidence: Some(shipping(e, s)), ..open.next() };
                Next::Run(id, Action::QuiesceLogShipping { secondary: s.id, transition })
            }
            (_, _, Some(s)) => self.wait(id, stops::job_running(&s.restore_job), None),
            (_, _, None) => self.wait(id, "log shipping is being looked at again".into(), None),
        }
    }

    fn apply(&self) -> Option<(Next, StepId)> {
        let e = &self.e;
        let id = StepId::ApplyLogs;
        if let Some(restore) = e.state.restore.as_ref() {
            return Some((self.wait(id, stops::restore_running(e, restore), None), id));
        }
        let Ok(from) = e.db.position else {
            return Some((Next::Blocked(stops::position_unknown(e)), id));
        };
        let links = match e.course() {
            Some(c) if e.accepted.is_some() => c.links.as_slice(),
            Some(c) => c.safe_links(),
            None => &[],
        };
        if !links.is_empty() {
            if e.db.standby && !e.state.sessions.is_empty() && e.asked(StepId::DisconnectSessions).is_none() {
                return Some((
                    Next::Run(StepId::DisconnectSessions, Action::DisconnectSessions),
                    StepId::DisconnectSessions,
                ));
            }
            return Some((Next::Run(id, Action::ApplyLogs { from, files: batch(links) }), id));
        }
        match e.row(Stage::Recovery) {
            Some(row) if row.decision != Decision::Go => Some((self.told(row, Some(id)), id)),
            Some(_) => None,
            None => Some((Next::Blocked(stops::database_unusable(e, "was not judged")), id)),
        }
    }

    fn recover(&self) -> Option<(Next, StepId)> {
        let e = &self.e;
        let id = StepId::RecoverDatabase;
        if let Some(row) =
            e.row(Stage::Recovery).filter(|r| r.decision != Decision::Go && !e.copy.is_recovered())
        {
            return Some((self.told(row, Some(id)), id));
        }
        if e.closed() {
            return if e.db.user_access != UserAccess::Multi {
                Some((Next::Run(id, Action::SetMultiUser), id))
            } else {
                Some((Next::Blocked(stops::database_unusable(e, "is ONLINE but read-only")), id))
            };
        }
        if let Some(restore) = e.state.restore.as_ref() {
            return Some((self.wait(id, stops::restore_running(e, restore), None), id));
        }
        if after(e.other.looked_at, FRESH) < e.now {
            let message = format!(
                "the last look at the other side began at {}; it is looked at again first",
                time(e.other.looked_at, e.now)
            );
            return Some((self.wait(id, message, None), id));
        }
        let (Some(at), Some(open)) = (e.at, e.open) else {
            return Some((Next::Blocked(stops::position_unknown(e)), id));
        };
        let backups = e.facts.backups.value();
        let last = e.db.last_restored.as_ref().map(|r| r.file.clone());
        let recovery = Recovery {
            lsn: at.lsn,
            fork: at.fork,
            last_file: last.as_deref().map(|f| crate::words::base_name(f).to_owned()),
            safe_until: e.loss.safe_until,
            at_most_until: e.loss.at_most_until,
            silent_since: e.loss.at_least_until,
        };
        let action = Action::RecoverDatabase {
            at,
            source: e.source.clone(),
            known: backups.map(chain::names).unwrap_or_default(),
            must: backups.and_then(|b| chain::must(b, last.as_deref())),
            transition: Transition { phase: Phase::Recovering, recovery: Some(recovery), ..open.next() },
        };
        Some((Next::Run(id, action), id))
    }

    fn pool_state(&self) -> Next {
        let e = &self.e;
        // A copy that nobody vouches for was judged at the start; its loss is judged here.
        if let Some(row) = e
            .row(Stage::Recovery)
            .filter(|r| matches!(r.decision, Decision::Stop(_)) && !e.copy.is_recovered())
        {
            return self.told(row, Some(StepId::SetPoolState));
        }
        match e.facts.shell.pool_state.value() {
            None => Next::Blocked(stops::shell(e, StepId::SetPoolState)),
            Some((identity, _)) => self.store(StepId::SetPoolState).unwrap_or_else(|| {
                let identity = identity.clone();
                Next::Run(
                    StepId::SetPoolState,
                    Action::SetPoolState { identity, state: PoolState::FailedOver },
                )
            }),
        }
    }

    /// A stop while the store can't be written.
    fn store(&self, step: StepId) -> Option<Next> {
        match self.e.facts.shell.store_writable.value() {
            Some(Err(why)) => Some(Next::Blocked(stops::store(step, why))),
            _ => None,
        }
    }

    fn active_servers(&self) -> Next {
        let e = &self.e;
        let id = StepId::SetActiveServers;
        match (e.servers(), e.facts.shell.servers.value()) {
            (Servers::Waiting(missing, until), _) => {
                self.wait(id, format!("the chat servers are set; {missing}"), Some(until))
            }
            (_, Some(servers)) => self.store(id).unwrap_or_else(|| {
                let action = Action::SetActiveServers {
                    identity: servers.identity.clone(),
                    servers: e.pool.backup.active_servers.clone(),
                };
                Next::Run(id, action)
            }),
            (_, None) => Next::Blocked(stops::shell(e, id)),
        }
    }

    fn mirror(&self) -> Next {
        let e = &self.e;
        let id = StepId::EstablishMirror;
        match e.mirror() {
            Mirror::Seeding(why) => self.wait(id, why, None),
            Mirror::Silent(why) => Next::Blocked(stops::mirror_unavailable(e, &why)),
            Mirror::Unhealthy(why) => {
                match e.asked(id).map(|at| after(at, MIRROR_GRACE)).filter(|t| *t > e.now) {
                    Some(until) => self.wait(id, why, Some(until)),
                    None => Next::Blocked(stops::mirror_unavailable(e, &why)),
                }
            }
            Mirror::Absent | Mirror::Done | Mirror::NotDeclared => match &e.pool.seed_share {
                None => Next::Blocked(stops::mirror_share_needed(e)),
                Some(_) if e.facts.shell.contact != Contact::Answers => Next::Blocked(stops::shell(e, id)),
                Some(share) => {
                    Next::Run(id, Action::EstablishMirror { principal: BACKUP, share: share.clone() })
                }
            },
        }
    }

    fn remove(&self) -> Next {
        let e = &self.e;
        let id = StepId::RemoveLogShipping;
        let (Some(s), Some(open)) = (&e.state.secondary, e.open) else {
            return self.wait(id, "log shipping is being looked at again".into(), None);
        };
        if let Some(job) = [&s.copy_job, &s.restore_job].into_iter().find(|j| j.running) {
            return self.wait(id, stops::job_running(job), None);
        }
        let evidence =
            open.evidence.clone().filter(|v| v.secondary_id == s.id).unwrap_or_else(|| shipping(e, s));
        Next::Run(
            id,
            Action::RemoveLogShipping {
                secondary: s.id,
                last_restored: s.last_restored.clone(),
                transition: Transition { evidence: Some(evidence), ..open.next() },
            },
        )
    }

    fn release(&self) -> Next {
        let e = &self.e;
        let Some(open) = e.open else { return Next::Converged };
        let mut transition = Transition { phase: Phase::Closed, ..open.next() };
        // Also a copy that was recovered by hand is known again by its fork point.
        if let (None, Some(p)) = (&transition.recovery, copy::fork_point(e.db)) {
            transition.recovery = Some(Recovery {
                lsn: p.lsn,
                fork: p.fork,
                last_file: None,
                safe_until: e.loss.safe_until,
                at_most_until: e.loss.at_most_until,
                silent_since: e.loss.at_least_until,
            });
        }
        Next::Run(StepId::ReleaseOwnership, Action::ReleaseOwnership { transition })
    }

    fn call_off(&self) -> Plan {
        let e = &self.e;
        let Some(open) = e.open else { return self.steady_primary() };
        let idle = e.state.secondary.as_ref().filter(|s| !s.copy_job.enabled || !s.restore_job.enabled);
        let resumes = !e.copy.is_online();
        let steps = stops::call_off_steps(e, idle.is_some() && resumes);
        let act = |id, action| (Next::Run(id, action), Some(id));
        let (next, at) = match (self.displaced(), &e.ownership) {
            (Some(next), _) => (next, Some(StepId::TakeOwnership)),
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
                        transition: Transition { phase: Phase::CalledOff, ..open.next() },
                    },
                ),
            },
            (None, Ownership::Free(epoch) | Ownership::Takeable(epoch)) => {
                act(StepId::TakeOwnership, self.take(epoch.clone(), e.run.next_epoch.clone()))
            }
            (None, Ownership::Conflict(o) | Ownership::StandBy(o)) => {
                act(StepId::TakeOwnership, self.take(Some(o.epoch.clone()), e.run.next_epoch.clone()))
            }
        };
        self.finish(Direction::CallOff, steps, next, at)
    }
}

/// What log shipping knows, to be written before it is touched.
fn shipping(e: &Evidence, s: &Secondary) -> Shipping {
    let position = e.db.position.as_ref().ok();
    Shipping {
        source: crate::pool::LogSource { share: s.share.clone(), folder: s.folder.clone() },
        secondary_id: s.id,
        primary_server: s.primary_server.clone(),
        copy_job: s.copy_job.id,
        restore_job: s.restore_job.id,
        last_copied: s.last_copied.clone(),
        last_restored: s.last_restored.clone(),
        redo: position.map(|p| p.lsn),
        fork: position.map(|p| p.fork),
    }
}

fn batch(links: &[chain::Link]) -> Vec<LogFile> {
    let mut bytes = 0u64;
    let mut out = Vec::new();
    for link in links.iter().take(BATCH_FILES) {
        out.push(link.file.clone());
        bytes = bytes.saturating_add(link.file.size);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    out
}
