//! What the copy on the backup instance is: still being restored, recovered by us, or ONLINE with or without proof
//! of where it comes from.
//!
//! An ONLINE database counts as the recovered one only with provenance. No file proves nothing.

use crate::judge::chain::{self, Course};
use crate::model::facts::{Database, DatabaseState, Facts, PoolState};
use crate::model::journal::{Recovery, Transition};
use crate::model::lsn::Position;

/// State of the backup instance's copy, as far as the transition is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// RESTORING or STANDBY: logs can be applied.
    Restoring,
    /// ONLINE, and the open transition's own record names its fork point: closes everything before it.
    Vouched,
    /// ONLINE, and the pool uses it: what is left is the rest of the runbook.
    Delivered,
    /// ONLINE, and a readable file ends exactly at its fork point, with none beyond.
    Proved,
    /// ONLINE, and nothing proves that it holds everything that was shipped; the reason in words.
    Unproved(String),
    /// ONLINE, and what would tell where it comes from was not looked at yet.
    Unjudged,
    /// In a state that no step goes on from; which, in words.
    Unusable(String),
    /// Being recovered by the server right now.
    Recovering,
}

impl Copy {
    /// Whether the steps up to and with RecoverDatabase are closed by outcome.
    pub fn is_recovered(&self) -> bool {
        matches!(self, Copy::Vouched | Copy::Delivered)
    }

    /// Whether it is ONLINE at all.
    pub fn is_online(&self) -> bool {
        matches!(self, Copy::Vouched | Copy::Delivered | Copy::Proved | Copy::Unproved(_) | Copy::Unjudged)
    }
}

/// Where an ONLINE copy left the fork that it was shipped on, if its log tells.
pub(crate) fn fork_point(db: &Database) -> Option<Position> {
    let r = db.recovered.as_ref()?;
    Some(Position { lsn: r.fork_point?, fork: r.from_fork? })
}

/// Whether an ONLINE copy was recovered as this record says. Its log forgets where once a log backup of it has passed the fork
/// (`fork_point_lsn` is NULL then); what msdb restored last still tells, as long as the copy has left that fork.
pub(crate) fn is_of(db: &Database, record: &Recovery) -> bool {
    let recorded = (record.lsn, record.fork);
    match fork_point(db) {
        Some(point) => (point.lsn, point.fork) == recorded,
        None => {
            db.recovered.as_ref().is_some_and(|r| r.fork != record.fork)
                && db.last_restored.as_ref().is_some_and(|r| (r.last_lsn, r.fork) == recorded)
        }
    }
}

/// Judges the copy. `open` is the open transition, if there is one.
pub(crate) fn judge(facts: &Facts, db: &Database, open: Option<&Transition>) -> Copy {
    match db.state {
        DatabaseState::Restoring if db.mirroring.is_some() => {
            Copy::Unusable("is a mirror or waits for its partner".into())
        }
        DatabaseState::Restoring => Copy::Restoring,
        DatabaseState::Online if db.in_standby() => Copy::Restoring,
        // A copy that waits for log and one that was recovered are ONLINE alike: which it is decides everything.
        DatabaseState::Online if db.standby.is_none() => {
            Copy::Unusable("is ONLINE, and the server does not tell whether in STANDBY".into())
        }
        DatabaseState::Online => online(facts, db, open),
        DatabaseState::Recovering => Copy::Recovering,
        DatabaseState::RecoveryPending => Copy::Unusable("is RECOVERY_PENDING".into()),
        DatabaseState::Suspect => Copy::Unusable("is SUSPECT".into()),
        DatabaseState::Emergency => Copy::Unusable("is in EMERGENCY".into()),
        DatabaseState::Offline => Copy::Unusable("is OFFLINE".into()),
        DatabaseState::Unknown => Copy::Unusable("is in a state that the server does not tell".into()),
    }
}

fn online(facts: &Facts, db: &Database, open: Option<&Transition>) -> Copy {
    if open.and_then(|t| t.recovery.as_ref()).is_some_and(|record| is_of(db, record)) {
        return Copy::Vouched;
    }
    if facts.shell.pool_state.is_pending() {
        return Copy::Unjudged;
    }
    if facts.shell.pool_state.value().is_some_and(|(_, s)| *s == PoolState::FailedOver) {
        return Copy::Delivered;
    }
    let Some(point) = fork_point(db) else {
        return Copy::Unproved("its log does not tell where it was recovered".into());
    };
    if facts.backups.is_pending() {
        return Copy::Unjudged;
    }
    let Some(backups) = facts.backups.value() else {
        let why = facts.backups.why().unwrap_or("they were not read");
        return Copy::Unproved(format!("no log backup can be held against it: {why}"));
    };
    if backups.share.is_pending() || backups.folder.is_pending() {
        return Copy::Unjudged;
    }
    let own = db.recovered.as_ref().map(|r| r.fork);
    let ends_there = chain::sets(backups, &db.name)
        .iter()
        .any(|(_, s)| s.last_lsn == point.lsn && s.fork == point.fork && s.first_lsn < s.last_lsn);
    let beyond: Vec<String> = chain::judge(backups, &db.name, point, own).iter().flat_map(beyond).collect();
    match (ends_there, beyond.is_empty()) {
        (true, true) => Copy::Proved,
        (_, false) => Copy::Unproved(format!("files go beyond it: {}", beyond.join(", "))),
        (false, true) => Copy::Unproved(format!("no readable log backup ends at LSN {}", point.lsn)),
    }
}

/// Files that a course holds behind its start, or may hold.
fn beyond(course: &Course) -> Vec<String> {
    let readable = course.links.iter().map(|l| l.file.name.clone());
    let strays = course.gap.iter().map(|s| s.name.clone()).chain(course.left_out.values().flatten().cloned());
    let unknown = course.unknown.iter().map(|(what, why)| format!("{what} ({why})"));
    let broken = course.broken.iter().map(|b| b.name.clone());
    let in_use = course.in_use.iter().map(|name| format!("{name} (in use)"));
    // One is what a server that died leaves behind.
    let torn = course.torn.iter().filter(|_| course.torn.len() > 1).map(|t| format!("{} (torn)", t.name));
    readable.chain(strays).chain(unknown).chain(broken).chain(in_use).chain(torn).collect()
}
