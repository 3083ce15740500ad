//! The world as a model for the checker: what can happen next, what must never be, and that every state drains.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use pchat_planner::facts::PoolState;
use pchat_planner::journal::Note;
use pchat_planner::plan::{Action, Next, Plan, Reason};
use pchat_planner::pool::Side;
use pchat_planner::run::Asked;
use stateright::{Model, Property};

use super::env::Env;
use super::far_end::{Rule, apply, arrive, begin, finish, tick, vouched};
use super::view::{now, plan, token};
use super::world::*;

#[derive(Clone, PartialEq)]
pub enum Event {
    /// The request arrives, and its answer too.
    Done(Msg),
    /// It begins to be carried out, which takes its time.
    Begins(Msg),
    Finishes,
    /// It arrives; the answer is lost.
    ReplyLost(Msg),
    /// It arrives and is cut off after the first of several files; the answer is lost.
    Partly(Msg),
    /// It is delayed past its caller.
    Delayed(Msg),
    /// A delayed request arrives.
    Arrives(usize),
    Crash(usize),
    Ends(usize),
    Approve(usize, String),
    /// An executor writes down what it sees of the silent side.
    Notes(usize),
    TurnField,
    Tick,
    Sleeps(usize),
    /// A delayed request arrives while an executor looks: its effect on log shipping is not seen, its record is.
    Torn(usize, usize),
    DisabledByHand,
    Returns(usize),
    CutOff(usize),
    Promotes,
    Writes,
    LateFile,
    LateFresh,
    ShareDies,
    CopyEnds,
    RestoreStarts,
    RestoreEnds,
    ReadersBack,
    Settles,
    RecoveredByHand,
    DroppedByHand,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let msg = |f: &mut std::fmt::Formatter<'_>, what: &str, m: &Msg| {
            write!(f, "{what} of executor {}, token {}, tick {}: {:?}", m.by, m.epoch.0, m.sent, m.step)
        };
        match self {
            Event::Done(m) => msg(f, "request", m),
            Event::Begins(m) => msg(f, "request that takes long", m),
            Event::Finishes => write!(f, "what takes long is done"),
            Event::ReplyLost(m) => msg(f, "request without reply", m),
            Event::Partly(m) => msg(f, "request cut off after its first file", m),
            Event::Delayed(m) => msg(f, "delayed request", m),
            Event::Arrives(k) => write!(f, "delayed request {k} arrives"),
            Event::Crash(i) => write!(f, "executor {i} crashes and is started again"),
            Event::Ends(i) => {
                write!(f, "executor {i} ends by itself and is started again with the field turned")
            }
            Event::Approve(i, d) => write!(f, "{d} is approved for executor {i}"),
            Event::Notes(i) => write!(f, "executor {i} writes down what it sees of the silent side"),
            Event::TurnField => write!(f, "the field is turned"),
            Event::Tick => write!(f, "a tick passes"),
            Event::Sleeps(i) => write!(f, "a tick passes in which executor {i} is suspended"),
            Event::Torn(k, i) => {
                write!(f, "delayed request {k} arrives while executor {i} looks, which acts by what it saw")
            }
            Event::DisabledByHand => write!(f, "somebody disables log shipping's jobs by hand"),
            Event::Returns(k) => write!(f, "partner {k} answers again"),
            Event::CutOff(k) => write!(f, "partner {k} is cut off"),
            Event::Promotes => write!(f, "the mirror promotes itself"),
            Event::Writes => write!(f, "the other side stores a message"),
            Event::LateFile => write!(f, "a late file appears"),
            Event::LateFresh => write!(f, "a file appears that was begun just now"),
            Event::ShareDies => write!(f, "the share dies"),
            Event::CopyEnds => write!(f, "the copy job ends"),
            Event::RestoreStarts => write!(f, "the restore job starts"),
            Event::RestoreEnds => write!(f, "the restore job ends"),
            Event::ReadersBack => write!(f, "readers come back"),
            Event::Settles => write!(f, "chat servers connect"),
            Event::RecoveredByHand => write!(f, "somebody recovers the copy by hand"),
            Event::DroppedByHand => write!(f, "somebody drops log shipping by hand"),
        }
    }
}

/// The first state that does not drain is told; its successors say the same.
static QUIET: std::sync::OnceLock<()> = std::sync::OnceLock::new();

pub struct Check {
    pub env: Env,
    drained: Mutex<HashSet<u64>>,
}

pub fn hash(w: &World) -> u64 {
    let mut h = DefaultHasher::new();
    w.hash(&mut h);
    h.finish()
}

fn message(w: &World, i: usize, plan: &Plan) -> Option<Msg> {
    let Next::Run(step, action) = &plan.next else { return None };
    let epoch = match &action {
        Action::TakeOwnership { epoch, .. } => epoch.clone(),
        _ => w.execs[i].epoch.clone()?,
    };
    Some(Msg {
        by: i as u8,
        epoch,
        sent: w.tick,
        seen: w.peers,
        silent: w.silent,
        step: *step,
        action: action.clone(),
        back: w.journal.transition.as_ref().is_some_and(|t| t.back),
    })
}

/// What an executor does before it plans: it looks, and knows its own token again.
fn look(w: &mut World, i: usize) {
    let owner = w.journal.owner.as_ref().map(|o| o.epoch.clone());
    let mine = token(w, i);
    let e = &mut w.execs[i];
    if e.first_look.is_none() {
        e.first_look = Some(owner.clone());
    }
    if owner.as_ref() == Some(&mine) {
        e.epoch = Some(mine);
        e.tokens += 1;
    }
}

/// Whether an executor waits for the answer to what is being carried out.
fn busy(w: &World, i: usize) -> bool {
    w.running.as_ref().is_some_and(|m| usize::from(m.by) == i && w.execs[i].epoch.as_ref() == Some(&m.epoch))
}

fn answered(w: &mut World, msg: &Msg) {
    let at = now(w);
    let Some(transition) = w.journal.transition.as_ref().map(|t| t.id) else { return };
    let e = &mut w.execs[usize::from(msg.by)];
    e.asked.retain(|a| a.transition == transition && a.step != msg.step);
    // Only these are ever asked about; the rest would only multiply states.
    use pchat_planner::plan::StepId::{CopyBackups, DisconnectSessions, SetActiveServers};
    if matches!(msg.step, CopyBackups | DisconnectSessions | SetActiveServers) {
        e.asked.push(Asked { transition, step: msg.step, at });
        e.asked.sort_by_key(|a| a.step);
    }
}

impl Check {
    pub fn new(env: Env) -> Check {
        Check { env, drained: Mutex::new(HashSet::new()) }
    }

    fn message(&self, w: &World, i: usize, plan: &Plan) -> Option<Msg> {
        message(w, i, plan)
            .filter(|m| self.env.has(Rule::Resume) || !matches!(m.action, Action::ResumeLogShipping { .. }))
    }

    /// A tick passes, in which each executor that runs looks, but for `asleep`.
    fn tick(&self, w: &mut World, asleep: Option<usize>) {
        for i in (0..w.execs.len()).filter(|i| asleep != Some(*i)) {
            if w.execs[i].first_look.is_some() {
                look(w, i);
            }
        }
        tick(&self.env, w, asleep);
    }

    /// A look before planning, as each executor takes it.
    fn looked(&self, w: &World, i: usize) -> World {
        let mut w = w.clone();
        look(&mut w, i);
        w
    }

    fn files_event(&self, w: &World, out: &mut Vec<Event>) {
        if let Some(s) = &w.shipping {
            if s.copy_running || (s.copy_enabled && w.left.job_runs > 0 && self.uncopied(w)) {
                out.push(Event::CopyEnds);
            }
            if s.restore_running {
                out.push(Event::RestoreEnds);
            } else if s.restore_enabled && w.left.job_runs > 0 && w.db.copy != Copy::Online {
                out.push(Event::RestoreStarts);
            }
        }
        if w.left.late > 0
            && w.share_up
            && w.files.iter().any(|f| f.share == Look::Absent && f.folder == Look::Absent)
        {
            out.push(Event::LateFile);
            if w.peers.iter().any(|p| p.writes()) {
                out.push(Event::LateFresh);
            }
        }
        if w.left.shares > 0 && w.share_up {
            out.push(Event::ShareDies);
        }
    }

    fn uncopied(&self, w: &World) -> bool {
        w.share_up && w.files.iter().any(|f| f.share == Look::Whole && f.folder == Look::Absent)
    }

    fn late(&self, w: &mut World, fresh: bool) -> Option<()> {
        let tick = w.tick;
        let f = w.files.iter_mut().find(|f| f.share == Look::Absent && f.folder == Look::Absent)?;
        f.share = Look::Whole;
        f.born = fresh.then_some(tick);
        w.left.late -= 1;
        Some(())
    }

    fn happen(&self, mut w: World, event: Event) -> Option<World> {
        match event {
            Event::Done(msg) => {
                look(&mut w, usize::from(msg.by));
                if w.running.is_some() && self.env.has(Rule::Lock) {
                    w.note(Bad::IntoTheLock);
                }
                if arrive(&self.env, &mut w, &msg) {
                    answered(&mut w, &msg);
                    look(&mut w, usize::from(msg.by));
                }
            }
            Event::Begins(msg) => {
                look(&mut w, usize::from(msg.by));
                w.left.longs -= 1;
                if !begin(&self.env, &mut w, msg) {
                    return None;
                }
            }
            Event::Finishes => {
                let msg = w.running.take()?;
                let waited = w.execs[usize::from(msg.by)].epoch.as_ref() == Some(&msg.epoch);
                if finish(&self.env, &mut w, &msg) && waited {
                    answered(&mut w, &msg);
                }
            }
            Event::ReplyLost(msg) => {
                look(&mut w, usize::from(msg.by));
                w.left.lost -= 1;
                arrive(&self.env, &mut w, &msg);
            }
            Event::Partly(mut msg) => {
                look(&mut w, usize::from(msg.by));
                w.left.lost -= 1;
                if let Action::ApplyLogs { files, .. } = &mut msg.action {
                    files.truncate(1);
                }
                arrive(&self.env, &mut w, &msg);
            }
            Event::Delayed(msg) => {
                look(&mut w, usize::from(msg.by));
                w.left.delays -= 1;
                w.net.push(msg);
            }
            Event::Arrives(k) => {
                let msg = w.net.remove(k);
                arrive(&self.env, &mut w, &msg);
            }
            Event::Crash(i) => {
                w.left.crashes -= 1;
                let e = &w.execs[i];
                let life = e.life + 1;
                w.execs[i] =
                    Exec { declared: e.declared, life, started: w.tick, ..super::env::exec(e.declared) };
            }
            Event::Ends(i) => {
                w.left.ends -= 1;
                look(&mut w, i);
                let e = &w.execs[i];
                let (life, over) = (e.life + 1, e.epoch.clone().or(e.over.clone()));
                let said = self.env.has(Rule::SaysEnded) && w.running.is_none();
                let mine = e.epoch.clone();
                if let Some(o) = w.journal.owner.as_mut().filter(|o| said && mine.as_ref() == Some(&o.epoch))
                {
                    o.ended = true;
                }
                let e = &w.execs[i];
                w.execs[i] = Exec { life, over, started: w.tick, ..super::env::exec(e.declared.other()) };
            }
            Event::Approve(i, digest) => {
                w.left.approvals -= 1;
                look(&mut w, i);
                w.execs[i].approvals.push(digest);
            }
            Event::Notes(i) => {
                look(&mut w, i);
                let note = plan(&self.env, &w, i).note?;
                let silence = match note {
                    Note::Keep { silence, .. } => Some(silence),
                    Note::Forget(_) => None,
                };
                w.lived = silence.as_ref().is_some_and(|s| !s.signs.is_empty());
                if self.env.has(Rule::SilenceKept) {
                    w.journal.silence = silence;
                }
            }
            Event::TurnField => {
                w.left.turns -= 1;
                w.execs[0].declared = w.execs[0].declared.other();
            }
            Event::Tick => {
                w.left.ticks -= 1;
                self.tick(&mut w, None);
            }
            Event::Sleeps(i) => {
                w.left.sleeps -= 1;
                self.tick(&mut w, Some(i));
            }
            Event::Torn(k, i) => {
                w.left.torn -= 1;
                let before = w.shipping;
                let late = w.net.remove(k);
                arrive(&self.env, &mut w, &late);
                look(&mut w, i);
                let mut seen = w.clone();
                seen.shipping = before;
                let p = plan(&self.env, &seen, i);
                if let Some(msg) = self.message(&seen, i, &p)
                    && arrive(&self.env, &mut w, &msg)
                {
                    answered(&mut w, &msg);
                    look(&mut w, i);
                }
            }
            Event::DisabledByHand => {
                w.left.disables -= 1;
                let s = w.shipping.as_mut()?;
                (s.copy_enabled, s.restore_enabled) = (false, false);
            }
            Event::Returns(k) => {
                w.left.returns -= 1;
                w.lived = false;
                w.peers[k] = match w.peers[k] {
                    Peer::MirrorCutOff => Peer::Mirror,
                    _ => Peer::Serves,
                };
            }
            Event::CutOff(k) => {
                w.left.cuts -= 1;
                w.peers[k] = if w.peers[k] == Peer::Serves { Peer::CutOff } else { Peer::MirrorCutOff };
                w.silent[k] = w.tick;
            }
            Event::Promotes => {
                w.left.promotions -= 1;
                w.peers[1] = if w.peers[1] == Peer::Mirror { Peer::Serves } else { Peer::CutOff };
            }
            Event::Writes => {
                w.left.writes -= 1;
                w.last_write = Some(now(&w).duration_since(super::common::t(0)).as_secs());
            }
            Event::LateFile => self.late(&mut w, false)?,
            Event::LateFresh => self.late(&mut w, true)?,
            Event::ShareDies => {
                w.left.shares -= 1;
                w.share_up = false;
            }
            Event::CopyEnds => {
                let up = w.share_up;
                let s = w.shipping.as_mut()?;
                if !s.copy_running {
                    w.left.job_runs -= 1;
                }
                s.copy_running = false;
                s.copied = Some((w.tick, up));
                for f in
                    w.files.iter_mut().filter(|f| up && f.share == Look::Whole && f.folder == Look::Absent)
                {
                    f.folder = Look::Whole;
                }
            }
            Event::RestoreStarts => {
                w.left.job_runs -= 1;
                w.shipping.as_mut()?.restore_running = true;
            }
            Event::RestoreEnds => {
                w.shipping.as_mut()?.restore_running = false;
                for i in 0..w.files.len() {
                    if w.files[i].folder == Look::Whole {
                        apply(&self.env, &mut w, i);
                    }
                }
            }
            Event::ReadersBack => {
                w.left.readers -= 1;
                w.readers = true;
            }
            Event::Settles => w.settled = true,
            Event::RecoveredByHand => {
                w.left.hand -= 1;
                w.db.copy = Copy::Online;
            }
            Event::DroppedByHand => {
                w.left.hand -= 1;
                w.shipping = None;
            }
        }
        Some(w)
    }

    /// Whether the operator alone, with faults stopped and each named stop's remedy carried out, brings this world to the declared end.
    fn drains(&self, start: &World) -> Result<(), String> {
        let mut seen = Vec::new();
        let mut w = start.clone();
        w.net.clear();
        let mut remedies = 0;
        for _ in 0..120 {
            let h = hash(&w);
            if self.drained.lock().is_ok_and(|d| d.contains(&h)) {
                break;
            }
            if !seen.contains(&h) {
                seen.push(h);
            }
            match self.drain_step(&mut w, &mut remedies)? {
                false => continue,
                true => {
                    self.ended(&w)?;
                    break;
                }
            }
        }
        if !self.drained.lock().is_ok_and(|d| d.contains(&hash(&w))) && self.ended(&w).is_err() {
            return Err(format!("it goes on and on, with {:?}", plan(&self.env, &w, 0).rule));
        }
        if let Ok(mut d) = self.drained.lock() {
            d.extend(seen);
        }
        Ok(())
    }

    /// One fair round; true when every executor has converged.
    fn drain_step(&self, w: &mut World, remedies: &mut u8) -> Result<bool, String> {
        let mut moved = false;
        if w.running.is_some() {
            *w = self.happen(w.clone(), Event::Finishes).ok_or("it does not end")?;
            moved = true;
        }
        if let Some(s) = w.shipping {
            if s.copy_running {
                *w = self.happen(w.clone(), Event::CopyEnds).ok_or("copy")?;
                moved = true;
            }
            if s.restore_running {
                *w = self.happen(w.clone(), Event::RestoreEnds).ok_or("restore")?;
                moved = true;
            }
        }
        if w.ours_active && !w.settled {
            w.settled = true;
            moved = true;
        }
        let mut waits = false;
        let mut stop = None;
        for i in 0..w.execs.len() {
            *w = self.looked(w, i);
            let p = plan(&self.env, w, i);
            match &p.next {
                Next::Run(..) => {
                    if let Some(msg) = self.message(w, i, &p) {
                        let before = hash(w);
                        *w = self.happen(w.clone(), Event::Done(msg)).ok_or("nothing happened")?;
                        moved |= hash(w) != before;
                    } else if self.env.has(Rule::Resume) {
                        return Err(format!("an action without a token: {:?}", p.next));
                    }
                }
                Next::Wait { .. } => waits = true,
                Next::Blocked(s) => stop = stop.or(Some((i, s.clone()))),
                Next::Converged => {}
            }
        }
        if moved {
            return Ok(false);
        }
        if let Some((i, s)) = stop {
            *remedies += 1;
            if *remedies > 12 {
                return Err(format!("no remedy helps: {s:#?}"));
            }
            remedy(w, i, s.reason, s.digest.clone());
            return Ok(false);
        }
        if waits {
            self.tick(w, None);
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether an executor waits for a run that has ended and said so.
    fn waits_for_nobody(&self, w: &World) -> bool {
        let Some(owner) = &w.journal.owner else { return false };
        let ended = w.execs.iter().any(|e| e.over.as_ref() == Some(&owner.epoch));
        ended
            && w.running.is_none()
            && (0..w.execs.len()).any(|i| {
                let p = plan(&self.env, &self.looked(w, i), i);
                matches!(p.rule, Reason::OwnedByAnother | Reason::IntentConflict)
            })
    }

    /// What the end must look like.
    fn ended(&self, w: &World) -> Result<(), String> {
        let open = w.journal.transition.as_ref().is_some_and(|t| t.is_open());
        let down =
            w.shipping.is_some_and(|s| w.db.copy != Copy::Online && !(s.copy_enabled && s.restore_enabled));
        let wants_backup = w.execs.iter().any(|e| e.declared == Side::Backup);
        let there = w.pool == PoolState::FailedOver
            && w.db.copy == Copy::Online
            && w.ours_active
            && w.mirrored
            && w.shipping.is_none();
        match () {
            () if open => Err("the transition is still open".into()),
            () if wants_backup && !there => Err(format!("it says converged, and is not: {w:#?}")),
            () if !wants_backup && down && w.pool == PoolState::Normal => {
                Err("the pool is left unprotected: log shipping's jobs are disabled".into())
            }
            () => Ok(()),
        }
    }
}

/// What a person does about a stop, as its remedy says.
fn remedy(w: &mut World, i: usize, reason: Reason, digest: Option<String>) {
    match reason {
        Reason::PlannedSwitchoverNeeded => {
            for k in 0..2 {
                if w.peers[k] == Peer::Serves {
                    (w.peers[k], w.silent[k]) = (Peer::Dead, w.tick);
                }
            }
        }
        Reason::LogShippingSourceUnknown => w.source_declared = true,
        Reason::CentralManagementUnavailable => w.store_ok = true,
        Reason::FailbackNeeded => w.execs[i].declared = Side::Backup,
        Reason::IntentConflict => w.execs[i].declared = w.execs[i].declared.other(),
        _ => w.execs[i].approvals.extend(digest),
    }
}

impl Model for Check {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        self.env.start.clone()
    }

    fn actions(&self, w: &World, out: &mut Vec<Event>) {
        if w.bad != 0 {
            return;
        }
        for i in 0..w.execs.len() {
            if w.left.crashes > 0 {
                out.push(Event::Crash(i));
            }
            if busy(w, i) {
                continue;
            }
            let seen = self.looked(w, i);
            let p = plan(&self.env, &seen, i);
            if let Some(msg) = self.message(&seen, i, &p) {
                let long = matches!(msg.action, Action::ApplyLogs { .. } | Action::EstablishMirror { .. });
                if w.left.longs > 0 && long && w.running.is_none() {
                    out.push(Event::Begins(msg.clone()));
                }
                if w.left.lost > 0 {
                    out.push(Event::ReplyLost(msg.clone()));
                    if matches!(&msg.action, Action::ApplyLogs { files, .. } if files.len() > 1) {
                        out.push(Event::Partly(msg.clone()));
                    }
                }
                if w.left.delays > 0 {
                    out.push(Event::Delayed(msg.clone()));
                }
                out.push(Event::Done(msg));
            } else if let (Next::Blocked(stop), true) = (&p.next, w.left.approvals > 0)
                && let Some(d) = stop.digest.clone().filter(|d| !w.execs[i].approvals.contains(d))
            {
                out.push(Event::Approve(i, d));
            }
            let notes = self.env.notes && w.db.copy != Copy::Online && p.note.is_some();
            // Without the rule nothing stands there, and the same note would be written again and again.
            if notes && (self.env.has(Rule::SilenceKept) || !w.lived) {
                out.push(Event::Notes(i));
            }
            if w.left.ends > 0 {
                out.push(Event::Ends(i));
            }
            if w.left.sleeps > 0 {
                out.push(Event::Sleeps(i));
            }
            if w.left.torn > 0 {
                out.extend((0..w.net.len()).map(|k| Event::Torn(k, i)));
            }
        }
        out.extend((0..w.net.len()).map(Event::Arrives));
        if w.running.is_some() {
            out.push(Event::Finishes);
        }
        self.files_event(w, out);
        let l = &w.left;
        let mut may = |n: u8, ok: bool, event| {
            if n > 0 && ok {
                out.push(event);
            }
        };
        for k in 0..2 {
            let p = w.peers[k];
            may(l.returns, matches!(p, Peer::Dead | Peer::CutOff | Peer::MirrorCutOff), Event::Returns(k));
            may(l.cuts, matches!(p, Peer::Serves | Peer::Mirror), Event::CutOff(k));
        }
        may(l.promotions, matches!(w.peers[1], Peer::Mirror | Peer::MirrorCutOff), Event::Promotes);
        may(l.writes, w.peers.iter().any(|p| p.writes()), Event::Writes);
        may(l.turns, true, Event::TurnField);
        may(l.disables, w.shipping.is_some() && w.db.copy != Copy::Online, Event::DisabledByHand);
        may(l.ticks, true, Event::Tick);
        may(l.readers, w.db.copy == Copy::Standby && !w.readers, Event::ReadersBack);
        may(l.hand, w.db.copy != Copy::Online, Event::RecoveredByHand);
        may(l.hand, w.shipping.is_some_and(|s| !s.copy_running && !s.restore_running), Event::DroppedByHand);
        may(1, w.ours_active && !w.settled, Event::Settles);
    }

    fn next_state(&self, w: &World, event: Event) -> Option<World> {
        self.happen(w.clone(), event)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! never {
            ($name:literal, $bad:expr) => {
                Property::<Self>::always($name, |_, w| w.bad & $bad as u16 == 0)
            };
        }
        vec![
            never!("never two sides but through the hole that is documented", Bad::TwoSides),
            never!("never recover over a file that could be applied", Bad::OverApplicable),
            never!("the true loss lies in the interval", Bad::OutsideInterval),
            never!("only the owner of the open transition has effects", Bad::Unfenced),
            never!("a mirror's commits are given up by a person only", Bad::MirrorGivenUp),
            never!("never sooner than silentFor", Bad::TooSoon),
            never!("a stale copy is used by a person's word only", Bad::StaleCopyUsed),
            never!("evidence before destruction", Bad::NoEvidence),
            never!("live users are never disconnected", Bad::UsersKilled),
            never!("a sign of life is given up by a person only", Bad::LifeForgotten),
            never!("an owner that lives is not taken over from", Bad::Displaced),
            never!("a failover is called off only where log shipping runs", Bad::Unprotected),
            never!("nothing is sent while the lock is held", Bad::IntoTheLock),
            Property::<Self>::always("nobody waits for a run that has ended", |check, w| {
                !check.waits_for_nobody(w)
            }),
            Property::<Self>::always("the journal vouches for what was recovered", |_, w| vouched(w)),
            Property::<Self>::always("every state drains", |check, w| {
                !check.env.drains
                    || w.bad != 0
                    || match check.drains(w) {
                        Ok(()) => true,
                        Err(why) => {
                            if QUIET.set(()).is_ok() {
                                println!("does not drain: {why}");
                            }
                            false
                        }
                    }
            }),
        ]
    }
}
