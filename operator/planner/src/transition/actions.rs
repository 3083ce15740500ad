//! What each pending step needs now: the action that carries it on, what it waits for, or what stops it.
//!
//! Builds actions and nothing else does. Each carries the state that it was planned from, and a transition in it is the next
//! writing of the one that stands at the far end.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::judge::chain;
use crate::judge::copy;
use crate::judge::evidence::Evidence;
use crate::judge::files;
use crate::judge::other_side::FRESH;
use crate::judge::ownership::Ownership;
use crate::judge::service::{MIRROR_GRACE, Mirror, Servers};
use crate::model::facts::{Contact, PoolState, Secondary, UserAccess};
use crate::model::journal::{Epoch, Phase, Recovery, Shipping, Transition};
use crate::model::plan::{Action, LogFile, Next, StepId};
use crate::model::pool::BACKUP;
use crate::model::pool::Side;
use crate::say::stops;
use crate::transition::next::Pass;
use crate::transition::table::{Decision, Stage, row};
use crate::words::{after, time};

/// Most files in one batch: a lost reply leaves at most this much to re-read, and the owner's mark is renewed by each.
pub const BATCH_FILES: usize = 24;
/// A batch ends at the file with which it reaches this size, for the same reason.
pub const BATCH_BYTES: u64 = 1 << 30;

impl Pass<'_> {
    /// An approval is written at the far end before anything rests on it. Under a new token, as each taking: a delayed copy of this
    /// batch would otherwise put the transition back to what it is now.
    pub(crate) fn latch(&self) -> Option<Action> {
        let Ownership::Mine(epoch) = &self.e.ownership else { return None };
        // So is that it goes forward again after it was being called off.
        (self.e.accepted == Some(false) || self.e.open.is_some_and(|t| t.back))
            .then(|| self.take(Some(epoch.clone()), self.e.run.next_epoch.clone()))
    }

    pub(crate) fn take(&self, expected: Option<Epoch>, epoch: Epoch) -> Action {
        let e = &self.e;
        let mut transition = e.open.map(Transition::next).unwrap_or(Transition {
            rev: 0,
            id: self.fresh_id(),
            intent: Side::Backup,
            phase: Phase::Open,
            back: false,
            opened: e.state.clock,
            evidence: None,
            approval: None,
            accepted: None,
            recovery: None,
        });
        transition.back = false;
        if e.accepted == Some(false) {
            transition.approval = Some(e.digest.clone());
            transition.accepted = Some(crate::judge::hazards::cover(e.at, &e.hazards));
        }
        Action::TakeOwnership { expected, epoch, transition }
    }

    /// The same, to call the transition off.
    pub(crate) fn take_back(&self, expected: Option<Epoch>) -> Action {
        let mut action = self.take(expected, self.e.run.next_epoch.clone());
        if let Action::TakeOwnership { transition, .. } = &mut action {
            transition.back = true;
        }
        action
    }

    /// The run's new id; another one where that was used already (the taking had its effect, its reply was lost, and somebody
    /// else took over and closed it before this run looked).
    pub(crate) fn fresh_id(&self) -> Uuid {
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
    pub(crate) fn step(&self, id: StepId) -> Option<(Next, StepId)> {
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
                let job = e.copy_helps()?.id;
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

    pub(crate) fn quiesce(&self) -> Next {
        let e = &self.e;
        let id = StepId::QuiesceLogShipping;
        match (e.unquiesced(), e.open, &e.state.secondary) {
            (Some(s), Some(open), _) => {
                let transition = Transition { evidence: Some(shipping(e, s)), ..open.next() };
                Next::Run(id, Action::QuiesceLogShipping { secondary: s.id, transition })
            }
            (_, _, Some(Secondary { restore_job: Some(job), .. })) => {
                self.wait(id, stops::job_running(job), None)
            }
            _ => self.wait(id, "log shipping is being looked at again".into(), None),
        }
    }

    pub(crate) fn apply(&self) -> Option<(Next, StepId)> {
        let e = &self.e;
        let id = StepId::ApplyLogs;
        if let Some(restore) = e.state.restore.as_ref() {
            return Some((self.wait(id, stops::restore_running(e, restore), None), id));
        }
        let Ok(from) = e.db.position else {
            return Some((self.find_position(), id));
        };
        let links = match e.course() {
            Some(c) if e.accepted.is_some() => c.links.as_slice(),
            Some(c) => c.safe_links(),
            None => &[],
        };
        if !links.is_empty() {
            if e.db.in_standby()
                && !e.state.sessions.is_empty()
                && e.asked(StepId::DisconnectSessions).is_none()
            {
                return Some((
                    Next::Run(StepId::DisconnectSessions, Action::DisconnectSessions),
                    StepId::DisconnectSessions,
                ));
            }
            return Some((Next::Run(id, Action::ApplyLogs { from, files: batch(links) }), id));
        }
        match row(e, Stage::Recovery) {
            Some(row) if row.decision != Decision::Go => Some((self.told(row, Some(id)), id)),
            Some(_) => None,
            None => Some((Next::Blocked(stops::database_unusable(e, "was not judged")), id)),
        }
    }

    /// Where nobody knows where a STANDBY copy stands: the server knows, and tells it by what it refuses.
    fn find_position(&self) -> Next {
        let e = &self.e;
        let id = StepId::ApplyLogs;
        if !e.nowhere() {
            return Next::Blocked(stops::position_unknown(e));
        }
        let files = e.untried();
        if !files.is_empty() && !e.listing_first() {
            return Next::Run(id, Action::FindPosition { files });
        }
        match row(e, Stage::Recovery).filter(|r| r.decision != Decision::Go) {
            Some(row) => self.told(row, Some(id)),
            None if e.accepted.is_some() => Next::Run(id, Action::LeaveStandby),
            None => Next::Blocked(stops::position_unknown(e)),
        }
    }

    pub(crate) fn recover(&self) -> Option<(Next, StepId)> {
        let e = &self.e;
        let id = StepId::RecoverDatabase;
        if let Some(row) =
            row(e, Stage::Recovery).filter(|r| r.decision != Decision::Go && !e.copy.is_recovered())
        {
            return Some((self.told(row, Some(id)), id));
        }
        if e.closed() {
            let why = match (e.db.user_access, e.db.read_only) {
                (UserAccess::Single | UserAccess::Restricted, _) => {
                    return Some((Next::Run(id, Action::SetMultiUser), id));
                }
                (UserAccess::Unknown, _) => {
                    "is ONLINE, and the server does not tell who may connect (user_access is NULL)"
                }
                (_, None) => {
                    "is ONLINE, and the server does not tell whether read-only (is_read_only is NULL)"
                }
                _ => "is ONLINE but read-only",
            };
            return Some((Next::Blocked(stops::database_unusable(e, why)), id));
        }
        if let Some(restore) = e.state.restore.as_ref() {
            return Some((self.wait(id, stops::restore_running(e, restore), None), id));
        }
        if e.now.duration_since(e.other.looked_at) > FRESH {
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
            unread: Recovery::unread(&e.loss.unread),
        };
        let action = Action::RecoverDatabase {
            at,
            source: e.source.clone(),
            known: backups.map(files::names).unwrap_or_default(),
            must: backups.and_then(|b| files::must(b, last.as_deref())),
            transition: Transition { phase: Phase::Recovering, recovery: Some(recovery), ..open.next() },
        };
        Some((Next::Run(id, action), id))
    }

    pub(crate) fn pool_state(&self) -> Next {
        let e = &self.e;
        // A copy that nobody vouches for was judged at the start; its loss is judged here.
        if let Some(row) = row(e, Stage::Recovery)
            .filter(|r| matches!(r.decision, Decision::Stop(_)) && !e.copy.is_recovered())
        {
            return self.told(row, Some(StepId::SetPoolState));
        }
        match e.facts.shell.pool_state.value() {
            None if e.facts.shell.pool_state.is_pending() => e.look_first(Some(StepId::SetPoolState)),
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
    pub(crate) fn store(&self, step: StepId) -> Option<Next> {
        match self.e.facts.shell.store_writable.value() {
            Some(Err(why)) => Some(Next::Blocked(stops::store(step, why))),
            None if self.e.facts.shell.store_writable.is_pending() => Some(self.e.look_first(Some(step))),
            _ => None,
        }
    }

    pub(crate) fn active_servers(&self) -> Next {
        let e = &self.e;
        let id = StepId::SetActiveServers;
        match (e.servers(), e.facts.shell.servers.value()) {
            (Servers::Waiting(missing, until), _) => {
                self.wait(id, format!("the chat servers are set; {missing}"), Some(until))
            }
            (Servers::Unseen, _) => e.look_first(Some(id)),
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

    pub(crate) fn mirror(&self) -> Next {
        let e = &self.e;
        let id = StepId::EstablishMirror;
        match e.mirror() {
            Mirror::Unseen => e.look_first(Some(id)),
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
                Some(_) if matches!(e.facts.shell.contact, Contact::Pending { .. }) => e.look_first(Some(id)),
                Some(_) if e.facts.shell.contact != Contact::Answers => Next::Blocked(stops::shell(e, id)),
                Some(share) => {
                    Next::Run(id, Action::EstablishMirror { principal: BACKUP, share: share.clone() })
                }
            },
        }
    }

    pub(crate) fn remove(&self) -> Next {
        let e = &self.e;
        let id = StepId::RemoveLogShipping;
        let (Some(s), Some(open)) = (&e.state.secondary, e.open) else {
            return self.wait(id, "log shipping is being looked at again".into(), None);
        };
        if let Some(job) = s.jobs().find(|j| j.running) {
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

    pub(crate) fn release(&self) -> Next {
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
                unread: Recovery::unread(&e.loss.unread),
            });
        }
        Next::Run(StepId::ReleaseOwnership, Action::ReleaseOwnership { transition })
    }
}

/// What log shipping knows, to be written before it is touched.
fn shipping(e: &Evidence, s: &Secondary) -> Shipping {
    let position = e.db.position.as_ref().ok();
    Shipping {
        source: e.source.clone().unwrap_or_else(|| crate::model::pool::LogSource {
            share: s.share.clone(),
            folder: s.folder.clone(),
        }),
        secondary_id: s.id,
        primary_server: s.primary_server.clone(),
        copy_job: s.copy_job.as_ref().map(|j| j.id),
        restore_job: s.restore_job.as_ref().map(|j| j.id),
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
