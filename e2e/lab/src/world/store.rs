//! The Central Management Store: what the pool's cmdlets read and write.
//!
//! Answers for pool state, active servers and their replication to each chat server's local replica, late. It
//! must never let a reader of a replica see what has not been replicated to it.

use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `PoolState` of Set-CsPersistentChatState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PoolState {
    Normal,
    FailedOver,
}

impl PoolState {
    /// The enum's text.
    pub fn name(self) -> &'static str {
        match self {
            PoolState::Normal => "Normal",
            PoolState::FailedOver => "FailedOver",
        }
    }
}

/// What the cmdlets set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    pub state: PoolState,
    pub active: Vec<String>,
}

/// A server's local replica.
#[derive(Clone, Debug, Serialize)]
pub struct Replica {
    pub settings: Settings,
    /// Version of the store that it holds.
    pub version: u64,
    pub updated: Timestamp,
}

/// The store and its replicas.
#[derive(Clone, Debug, Serialize)]
pub struct Store {
    pub writable: bool,
    pub settings: Settings,
    /// All chat servers of the pool, in the topology's order.
    pub members: Vec<String>,
    pub version: u64,
    pub changed: Timestamp,
    pub delay: Duration,
    pub replicas: BTreeMap<String, Replica>,
}

impl Store {
    /// A store whose replicas are all up to date.
    pub fn new(members: Vec<String>, active: Vec<String>, delay: Duration, now: Timestamp) -> Store {
        let settings = Settings { state: PoolState::Normal, active };
        let replica = Replica { settings: settings.clone(), version: 1, updated: now };
        let replicas = members.iter().map(|m| (m.clone(), replica.clone())).collect();
        Store { writable: true, settings, members, version: 1, changed: now, delay, replicas }
    }

    /// Changes the settings; false when the store cannot be written.
    pub fn change(&mut self, now: Timestamp, f: impl FnOnce(&mut Settings)) -> bool {
        if !self.writable {
            return false;
        }
        let before = self.settings.clone();
        f(&mut self.settings);
        if self.settings != before {
            self.version += 1;
            self.changed = now;
        }
        true
    }

    /// Brings the replicas of the servers that `reachable` names up to date, once the delay has passed (or
    /// at once when `asked`).
    pub fn replicate(&mut self, now: Timestamp, asked: bool, reachable: impl Fn(&str) -> bool) {
        let due = self.changed.checked_add(self.delay).unwrap_or(now) <= now;
        if !(due || asked) {
            return;
        }
        for (server, replica) in &mut self.replicas {
            if replica.version < self.version && reachable(server) {
                *replica = Replica { settings: self.settings.clone(), version: self.version, updated: now };
            }
        }
    }

    /// Whether a server's replica holds the present version.
    pub fn up_to_date(&self, server: &str) -> Option<bool> {
        self.replicas.get(server).map(|r| r.version == self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reaches_a_replica_late_and_a_dead_server_not_at_all() {
        let t = Timestamp::UNIX_EPOCH;
        let names = || vec!["pc-ks1".to_owned(), "pc-tp1".to_owned()];
        let mut s = Store::new(names(), names(), Duration::from_secs(3), t);
        assert!(s.change(t, |x| x.state = PoolState::FailedOver));
        s.replicate(t + Duration::from_secs(2), false, |_| true);
        assert_eq!(s.replicas["pc-ks1"].settings.state, PoolState::Normal);
        s.replicate(t + Duration::from_secs(3), false, |n| n != "pc-tp1");
        assert_eq!(s.up_to_date("pc-ks1"), Some(true));
        assert_eq!(s.up_to_date("pc-tp1"), Some(false));
        s.writable = false;
        assert!(!s.change(t, |x| x.state = PoolState::Normal));
    }
}
