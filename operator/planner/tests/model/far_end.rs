//! The far ends: what a request does when it arrives, behind the guards of the batches.

use pchat_planner::facts::PoolState;
use pchat_planner::journal::{Epoch, Owner, Phase, Transition};
use pchat_planner::plan::{Action, LogFile};

use super::env::Env;
use super::view::{name_of, now, pos};
use super::world::*;

/// A guard of the far end, or something that the planner rests on, which can be taken out to see the check miss it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A request past its expiry does nothing.
    Expiry,
    /// Only the owner's token passes.
    Token,
    /// The recovering batch lists again.
    ListAgain,
    /// The exact position is compared.
    ExactPosition,
    /// A transition is written only over the one that it was planned from.
    ExactJournal,
    /// The record is written before the RESTORE.
    RecordFirst,
    /// Shipping is written before log shipping is touched.
    EvidenceFirst,
    /// Releasing removes the owner.
    OwnerRemoved,
    /// Sessions are ended only of a copy that waits for log.
    KillOnlyReaders,
    /// A listing that can't be proved is unknown, not empty.
    EmptyIsUnknown,
    /// Both partners must have been silent for `silentFor`.
    SilentFor,
    /// A side that serves is seen to serve.
    ServingSeen,
    /// A mirror that answers is seen to answer.
    MirrorSeen,
    /// An ONLINE copy needs provenance.
    Provenance,
    /// A run takes over only from the owner of its first look.
    FirstLook,
    /// Log shipping runs again when a failover is called off.
    Resume,
    /// What is safe ends at the start of a backup.
    StartOfBackup,
    /// What a run saw of a silent side stands at the far end.
    SilenceKept,
    /// One request at a time is carried out.
    Lock,
    /// Whoever holds the lock is seen, and is a sign of life.
    LockIsLife,
    /// A run that waits renews its mark.
    Renew,
    /// A batch that took long renews the mark before it frees the lock.
    Remark,
    /// A run that ends before its transition says so.
    SaysEnded,
    /// A transition is called off under a new token.
    Rotate,
    /// A release looks under the lock whether what it claims is so.
    ReleaseLooks,
}

/// Applies a request; false if it was refused.
pub fn arrive(env: &Env, w: &mut World, msg: &Msg) -> bool {
    let on = |rule| env.has(rule);
    let cmdlet = matches!(
        msg.action,
        Action::SetPoolState { .. } | Action::SetActiveServers { .. } | Action::EstablishMirror { .. }
    );
    let owner = w.journal.owner.as_ref().map(|o| o.epoch.clone());
    let open = w.journal.transition.as_ref().is_some_and(|t| t.is_open());
    if on(Rule::Lock) && !cmdlet && w.running.is_some() {
        return false;
    }
    if on(Rule::Expiry) && !cmdlet && w.tick > msg.sent {
        return false;
    }
    let mut displaced = false;
    if let Action::TakeOwnership { expected, transition, .. } = &msg.action {
        if *expected != owner {
            return false;
        }
        displaced = expected.as_ref().is_some_and(|e| lives(w, msg, e)) && transition.accepted.is_none();
    } else if !cmdlet && on(Rule::Token) && owner.as_ref() != Some(&msg.epoch) {
        return false;
    }
    if on(Rule::ExactJournal)
        && let Some(new) = written(&msg.action)
    {
        let before = w.journal.transition.as_ref().filter(|t| t.id == new.id).map(|t| t.rev + 1);
        if before.unwrap_or(0) != new.rev {
            return false;
        }
    }
    let back = w.journal.transition.as_ref().is_some_and(|t| t.back);
    let before = w.clone();
    if !effect(env, w, msg) {
        *w = before;
        return false;
    }
    if displaced {
        w.note(Bad::Displaced);
    }
    if !cmdlet && !matches!(msg.action, Action::TakeOwnership { .. }) {
        if owner.as_ref() != Some(&msg.epoch) || !open || back != msg.back {
            w.note(Bad::Unfenced);
        }
        mark(w, &msg.epoch);
    }
    true
}

/// Whether the owner with this token lives, is another executor than the sender, and is not the one that the sender found first.
fn lives(w: &World, msg: &Msg, owner: &Epoch) -> bool {
    let by = usize::from(msg.by);
    let found = w.execs[by].first_look.as_ref() == Some(&Some(owner.clone())) && w.execs[by].epoch.is_none();
    let same = w.journal.transition.as_ref().is_some_and(|t| t.is_open() && t.intent == w.execs[by].declared);
    let open = w.journal.transition.as_ref().is_some_and(|t| t.is_open());
    let victim = |(i, e): (usize, &Exec)| i != by && e.epoch.as_ref() == Some(owner) && !e.slept;
    open && !(found && same) && w.execs.iter().enumerate().any(victim)
}

/// Renews the mark of the owner with this token.
fn mark(w: &mut World, epoch: &Epoch) {
    let mark = now(w);
    if let Some(o) = w.journal.owner.as_mut().filter(|o| o.epoch == *epoch) {
        o.mark = mark;
    }
}

/// A request begins to be carried out: false if it is refused.
pub fn begin(env: &Env, w: &mut World, msg: Msg) -> bool {
    let owner = w.journal.owner.as_ref().map(|o| o.epoch.clone());
    if owner.as_ref() != Some(&msg.epoch) || !arrive(env, &mut w.clone(), &msg) {
        return false;
    }
    mark(w, &msg.epoch);
    w.running = Some(msg);
    true
}

/// It ends; false if there was nothing to be done any more.
pub fn finish(env: &Env, w: &mut World, msg: &Msg) -> bool {
    let before = w.clone();
    if !effect(env, w, msg) {
        *w = before;
        return false;
    }
    let owner = w.journal.owner.as_ref().map(|o| o.epoch.clone());
    if owner.as_ref() != Some(&msg.epoch) {
        w.note(Bad::Unfenced);
    }
    if env.has(Rule::Remark) {
        mark(w, &msg.epoch);
    }
    true
}

/// A tick passes. Whoever waits renews its mark and sees who holds the lock, but for `asleep`.
pub fn tick(env: &Env, w: &mut World, asleep: Option<usize>) {
    w.tick += 1;
    let owner = w.journal.owner.as_ref().map(|o| o.epoch.clone());
    let (at, locked) = (now(w), w.running.is_some());
    for i in 0..w.execs.len() {
        w.execs[i].slept = asleep == Some(i);
        if asleep == Some(i) {
            continue;
        }
        if let (true, Some(owner), Some(_)) = (locked, &owner, &w.execs[i].first_look) {
            w.execs[i].held = Some((owner.clone(), at));
        }
        if let (false, true, Some(epoch)) = (locked, env.has(Rule::Renew), w.execs[i].epoch.clone()) {
            mark(w, &epoch);
        }
    }
}

/// The transition that an action writes.
fn written(action: &Action) -> Option<&Transition> {
    match action {
        Action::TakeOwnership { transition, .. }
        | Action::QuiesceLogShipping { transition, .. }
        | Action::ResumeLogShipping { transition, .. }
        | Action::RecoverDatabase { transition, .. }
        | Action::RemoveLogShipping { transition, .. }
        | Action::ReleaseOwnership { transition } => Some(transition),
        _ => None,
    }
}

fn effect(env: &Env, w: &mut World, msg: &Msg) -> bool {
    let on = |rule| env.has(rule);
    let mark = now(w);
    let waits = w.db.copy != Copy::Online;
    match &msg.action {
        Action::TakeOwnership { epoch, transition, .. } => {
            let executor = format!("executor {}", msg.by);
            w.journal.owner = Some(Owner { epoch: epoch.clone(), executor, mark, ended: false });
            w.journal.transition = Some(transition.clone());
            true
        }
        Action::QuiesceLogShipping { transition, .. } => {
            let Some(s) = w.shipping.as_mut() else { return false };
            (s.copy_enabled, s.restore_enabled) = (false, false);
            if on(Rule::EvidenceFirst) {
                w.journal.transition = Some(transition.clone());
            } else {
                w.note(Bad::NoEvidence);
            }
            true
        }
        Action::ResumeLogShipping { transition, .. } => {
            let Some(s) = w.shipping.as_mut() else { return false };
            (s.copy_enabled, s.restore_enabled) = (true, true);
            w.journal.transition = Some(transition.clone());
            true
        }
        Action::StartCopy { .. } => {
            let Some(s) = w.shipping.as_mut() else { return false };
            s.copy_running = true;
            true
        }
        Action::ApplyLogs { from, files } => {
            let busy = w.shipping.is_some_and(|s| s.restore_running);
            if !waits || busy || (on(Rule::ExactPosition) && *from != pos(&w.db)) {
                return false;
            }
            if w.db.copy == Copy::Standby {
                w.readers = false;
            }
            files.iter().take_while(|f| restore(env, w, f)).count() > 0
        }
        // The model's copy always tells where it stands.
        Action::FindPosition { .. } | Action::LeaveStandby => false,
        Action::DisconnectSessions => {
            if !waits && on(Rule::KillOnlyReaders) {
                return false;
            }
            if !waits {
                w.note(Bad::UsersKilled);
            }
            w.readers = false;
            true
        }
        Action::RecoverDatabase { .. } => recover(env, w, msg),
        Action::SetMultiUser => w.db.copy == Copy::Online,
        Action::SetPoolState { state, .. } => {
            if !w.store_ok {
                return false;
            }
            let accepted = w.journal.transition.as_ref().is_some_and(|t| t.accepted.is_some());
            let theirs = *state == PoolState::FailedOver && w.pool == PoolState::Normal && !w.db.ours;
            if theirs && stale(env, w) && !accepted {
                w.note(Bad::StaleCopyUsed);
            }
            w.pool = *state;
            true
        }
        Action::SetActiveServers { .. } => {
            if !w.store_ok {
                return false;
            }
            w.ours_active = true;
            true
        }
        Action::EstablishMirror { .. } => {
            w.mirrored = w.db.copy == Copy::Online;
            w.mirrored
        }
        Action::RemoveLogShipping { transition, .. } => {
            let idle = w.shipping.is_some_and(|s| !s.copy_running && !s.restore_running);
            if !idle {
                return false;
            }
            if on(Rule::EvidenceFirst) {
                w.journal.transition = Some(transition.clone());
            }
            if w.journal.transition.as_ref().is_none_or(|t| t.evidence.is_none()) {
                w.note(Bad::NoEvidence);
            }
            w.shipping = None;
            true
        }
        Action::ReleaseOwnership { transition } => {
            let down = w.shipping.is_some_and(|s| !s.copy_enabled || !s.restore_enabled);
            if transition.phase == Phase::CalledOff && waits && down {
                if on(Rule::ReleaseLooks) {
                    return false;
                }
                w.note(Bad::Unprotected);
            }
            w.journal.transition = Some(transition.clone());
            if on(Rule::OwnerRemoved) {
                w.journal.owner = None;
            }
            true
        }
    }
}

/// RESTORE LOG, by SQL Server's own rules: 3201, 3241, 4305, 4326, 4330.
fn restore(env: &Env, w: &mut World, file: &LogFile) -> bool {
    let Some(i) = (0..w.files.len()).find(|i| name_of(*i) == file.name) else { return false };
    let there = |path: &str| {
        if path.starts_with('\\') {
            w.share_up && w.files[i].share == Look::Whole
        } else {
            w.files[i].folder == Look::Whole
        }
    };
    if !there(&file.path) && !file.fallback.as_deref().is_some_and(there) {
        return false;
    }
    apply(env, w, i)
}

/// Applies file `i` if its LSNs and forks allow it.
pub fn apply(env: &Env, w: &mut World, i: usize) -> bool {
    let d = env.files[i];
    let fits = d.first <= w.db.lsn && d.last > w.db.lsn;
    let fork = d.first_fork == w.db.fork && d.point.is_none_or(|p| w.db.lsn <= p);
    if w.db.copy == Copy::Online || !fits || !fork {
        return false;
    }
    w.db = Db { copy: Copy::Restoring, lsn: d.last, fork: d.fork, last: Some(i as u8), ..w.db };
    if let Some(s) = w.shipping.as_mut() {
        s.last_restored = i as u8;
    }
    true
}

/// Whether file `i` could be applied where the copy stands.
fn applicable(env: &Env, w: &World, i: usize) -> bool {
    let d = env.files[i];
    let whole = w.files[i].share == Look::Whole || w.files[i].folder == Look::Whole;
    whole
        && d.first <= w.db.lsn
        && d.last > w.db.lsn
        && d.first_fork == w.db.fork
        && d.point.is_none_or(|p| w.db.lsn <= p)
}

/// The copy lacks something that was shipped and is there.
pub fn stale(env: &Env, w: &World) -> bool {
    (0..w.files.len()).any(|i| applicable(env, w, i))
}

fn recover(env: &Env, w: &mut World, msg: &Msg) -> bool {
    let on = |rule| env.has(rule);
    let Action::RecoverDatabase { at, source, known, must, transition } = &msg.action else { return false };
    if on(Rule::ListAgain) && source.is_some() {
        let listed: Vec<String> = (0..w.files.len())
            .filter(|i| {
                (w.share_up && w.files[*i].share != Look::Absent) || w.files[*i].folder != Look::Absent
            })
            .map(name_of)
            .collect();
        let on_share = |m: &String| {
            w.share_up && (0..w.files.len()).any(|i| name_of(i) == *m && w.files[i].share != Look::Absent)
        };
        if must.as_ref().is_some_and(|m| !on_share(m)) || listed.iter().any(|n| !known.contains(n)) {
            return false;
        }
    }
    let quiet = w.shipping.is_none_or(|s| !s.restore_enabled && !s.restore_running);
    if w.db.copy == Copy::Online || !quiet || (on(Rule::ExactPosition) && *at != pos(&w.db)) {
        return false;
    }
    if on(Rule::RecordFirst) {
        w.journal.transition = Some(transition.clone());
    }
    let t = transition;
    let accepted = t.accepted.is_some();
    if msg.seen.contains(&Peer::Serves) || (w.peers.contains(&Peer::Serves) && w.tick > msg.sent) {
        w.note(Bad::TwoSides);
    }
    if msg.seen.contains(&Peer::Mirror) && !accepted {
        w.note(Bad::MirrorGivenUp);
    }
    let since = msg.silent[0].max(msg.silent[1]);
    if msg.seen.iter().all(|p| p.silent()) && since >= msg.sent && !accepted {
        w.note(Bad::TooSoon);
    }
    if w.lived && !accepted {
        w.note(Bad::LifeForgotten);
    }
    if stale(env, w) && !accepted {
        w.note(Bad::OverApplicable);
    }
    if let Some(r) = &t.recovery {
        // What is lost first stands right behind the recovery point; what is lost last was written last.
        let first = super::common::t(i64::from(w.db.lsn));
        let last = super::common::t(w.last_write.unwrap_or(WRITTEN));
        if r.safe_until.is_some_and(|s| s > first) || r.at_most_until.is_some_and(|m| m < last) {
            w.note(Bad::OutsideInterval);
        }
    }
    w.readers = false;
    w.db = Db { copy: Copy::Online, ours: true, ..w.db };
    true
}

/// The journal vouches for what the operator recovered, until the transition is closed.
pub fn vouched(w: &World) -> bool {
    let Some(t) = w.journal.transition.as_ref() else { return !w.db.ours };
    let record = t.recovery.as_ref().is_some_and(|r| r.lsn.0 == u128::from(w.db.lsn));
    // Once the pool uses the copy nobody needs to vouch for it any more.
    !w.db.ours || t.phase == Phase::Closed || record || w.pool == PoolState::FailedOver
}
