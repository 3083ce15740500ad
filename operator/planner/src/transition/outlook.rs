//! What if the side that serves were lost now? The one place where a failover is imagined.
//!
//! The same planner is asked, with the other side silent for as long as the declaration demands: `observe`, `plan` and the
//! condition `FailoverReady` tell its answer, and none of them imagines anything of its own.

use jiff::{SignedDuration, Timestamp};

use crate::judge::ownership;
use crate::judge::readiness::{self, Check};
use crate::model::facts::{Contact, Fact, Facts, PoolState};
use crate::model::plan::{Hazard, Loss, Next, Plan, Reason, Stop};
use crate::model::pool::BACKUP;
use crate::model::pool::{Pool, Side};
use crate::model::run::Run;

/// The answer in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// The pool is being moved to this side already.
    Moving(Side),
    /// The pool uses the backup side: moving it back is a failback, and this is what else stands in its way.
    Failback(Option<Stop>),
    /// Something that it depends on was not looked at yet; what, in words.
    Looking(String),
    /// A failover would stop here.
    Stops(Stop),
    /// A failover would ask for an approval of all this.
    Asks(Vec<Hazard>),
    /// A failover would go through.
    Goes,
}

/// What a loss of the side that serves would meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The side that the pool would move to.
    pub to: Side,
    /// The answer in short.
    pub answer: Foreseen,
    /// What would be lost, were it now; nothing is known of it where nothing was judged.
    pub loss: Loss,
    /// What a failover to the backup side needs, thing by thing; empty when that is where the pool is.
    pub checks: Vec<Check>,
}

/// Looks ahead.
pub fn outlook(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Outlook {
    let state = facts.instances.get(&BACKUP).and_then(|far| far.state.value());
    let to = match facts.shell.pool_state.value() {
        Some((_, PoolState::Normal)) => Side::Backup,
        Some((_, PoolState::FailedOver)) => Side::Primary,
        // An ONLINE database there may be the one that serves.
        None if state.and_then(|state| state.database.as_ref()).is_some_and(|db| db.serves()) => {
            pool.active.other()
        }
        None => Side::Backup,
    };
    let readable = state.filter(|state| state.journal_damage.is_none());
    if let Some(open) = readable.and_then(ownership::open) {
        let checks = if to == Side::Backup { readiness::checks(pool, facts, now) } else { Vec::new() };
        return Outlook {
            to: open.intent,
            answer: Foreseen::Moving(open.intent),
            loss: Loss::default(),
            checks,
        };
    }
    let turned = Pool { active: to, ..pool.clone() };
    // What was approved for another question is no answer to this one.
    let run = Run { approvals: Vec::new(), ..run.clone() };
    if to == Side::Primary {
        let plan = crate::transition::next::plan(&turned, facts, &run, now);
        let stop = match plan.next {
            Next::Blocked(stop) => Some(stop),
            _ => None,
        };
        return Outlook { to, answer: Foreseen::Failback(stop), loss: Loss::default(), checks: Vec::new() };
    }
    let (imagined, then) = without(pool, facts, to.other(), now);
    let Plan { next, hazards, loss, .. } = crate::transition::next::plan(&turned, &imagined, &run, then);
    let answer = match next {
        Next::Blocked(stop) => Foreseen::Stops(stop),
        Next::Wait { reason: Reason::Looking, message, .. } => Foreseen::Looking(message),
        _ if !hazards.is_empty() => Foreseen::Asks(hazards),
        _ => Foreseen::Goes,
    };
    Outlook { to, answer, loss, checks: readiness::checks(pool, facts, now) }
}

/// The facts as they would be, had `side` fallen silent now and stayed so; and the moment at which that is long enough.
fn without(pool: &Pool, facts: &Facts, side: Side, now: Timestamp) -> (Facts, Timestamp) {
    let mut imagined = facts.clone();
    let wait = pool.silent_for.saturating_add(SignedDuration::from_secs(60));
    let then = crate::words::after(now, wait);
    for (_, seen) in imagined.instances.iter_mut().filter(|(id, _)| id.side == side) {
        let detail = "imagined".to_owned();
        seen.contact = Contact::Silent { since: now, until: then, tries: 3, detail: detail.clone() };
        seen.at = then;
        seen.state = Fact::Unknown { why: detail, source: String::new(), at: then };
    }
    (imagined, then)
}
