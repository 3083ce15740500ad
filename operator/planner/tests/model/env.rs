//! Environments: which world the checker starts from, and which liberties misfortune has in it.

use pchat_planner::facts::PoolState;
use pchat_planner::journal::Journal;
use pchat_planner::pool::Side;

use super::far_end::Rule;
use super::world::*;

/// A log backup by its header.
#[derive(Clone, Copy, Debug)]
pub struct FileDef {
    pub first: u16,
    pub last: u16,
    pub first_fork: u8,
    pub fork: u8,
    pub point: Option<u16>,
}

pub const fn file(first: u16, last: u16) -> FileDef {
    FileDef { first, last, first_fork: 0, fork: 0, point: None }
}

#[derive(Clone, Debug)]
pub struct Env {
    pub name: &'static str,
    pub files: Vec<FileDef>,
    pub start: Vec<World>,
    /// Rules taken out, to see the check find it.
    pub without: &'static [Rule],
    /// Whether `maxDataLossMinutes` is declared.
    pub limit: bool,
    /// Runs write down what they see of a silent side.
    pub notes: bool,
    /// Check from each state that the operator alone drains it.
    pub drains: bool,
}

impl Env {
    /// Whether a rule holds here.
    pub fn has(&self, rule: Rule) -> bool {
        !self.without.contains(&rule)
    }
}

pub fn exec(declared: Side) -> Exec {
    Exec {
        declared,
        life: 0,
        tokens: 0,
        epoch: None,
        first_look: None,
        over: None,
        held: None,
        slept: false,
        approvals: Vec::new(),
        asked: Vec::new(),
        started: 0,
    }
}

fn at(share: Look, folder: Look) -> FileAt {
    FileAt { share, folder, born: None }
}

/// Primary site dead for long, three files: one applied, one in the folder, one on the share only.
pub fn disaster() -> World {
    use Look::{Absent, Whole};
    World {
        tick: 1,
        peers: [Peer::Dead, Peer::Dead],
        silent: [0, 0],
        last_write: None,
        share_up: true,
        files: vec![at(Whole, Whole), at(Whole, Whole), at(Whole, Absent)],
        db: Db { copy: Copy::Restoring, lsn: 100, fork: 0, last: Some(0), ours: false },
        shipping: Some(Shipping {
            copy_enabled: true,
            restore_enabled: true,
            copy_running: false,
            restore_running: false,
            copied: None,
            last_restored: 0,
        }),
        journal: Journal::default(),
        pool: PoolState::Normal,
        ours_active: false,
        settled: false,
        deaf: false,
        readers: false,
        mirrored: false,
        store_ok: true,
        lived: false,
        source_declared: false,
        execs: vec![exec(Side::Backup)],
        net: Vec::new(),
        running: None,
        left: Budget::default(),
        bad: 0,
    }
}

pub fn files() -> Vec<FileDef> {
    vec![file(50, 100), file(100, 200), file(200, 300)]
}

/// Adds a file that is not there yet.
pub fn hidden(mut w: World) -> World {
    w.files.push(at(Look::Absent, Look::Absent));
    w
}

/// Adds a file that looks like this on the share.
pub fn placed(mut w: World, share: Look, folder: Look) -> World {
    w.files.push(at(share, folder));
    w
}

/// The printed runbook done by hand up to and with step `n`.
pub fn by_hand(n: u8) -> World {
    let mut w = disaster();
    if n >= 1 {
        w.shipping = None;
    }
    if n >= 2 {
        w.files[2].folder = Look::Whole;
    }
    if n >= 3 {
        w.db = Db { lsn: 300, last: Some(2), ..w.db };
    }
    if n >= 4 {
        w.db.copy = Copy::Online;
    }
    if n >= 5 {
        w.pool = PoolState::FailedOver;
    }
    if n >= 6 {
        w.mirrored = true;
    }
    if n >= 7 {
        (w.ours_active, w.settled) = (true, true);
    }
    w
}
