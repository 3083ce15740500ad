//! Application locks (sp_getapplock).
//!
//! Answers for who holds which lock: per database of the caller's context, owned by the session. A session's locks go when it
//! does; this module must never free them otherwise.

use super::instance::Instance;
use serde::Serialize;

/// Modes of an application lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum LockMode {
    Shared,
    Update,
    IntentShared,
    IntentExclusive,
    Exclusive,
}

impl LockMode {
    /// The mode of a `@LockMode` text.
    pub fn parse(text: &str) -> Option<LockMode> {
        use LockMode::*;
        [Shared, Update, IntentShared, IntentExclusive, Exclusive]
            .into_iter()
            .find(|m| m.name().eq_ignore_ascii_case(text))
    }

    /// The name that APPLOCK_MODE returns.
    pub fn name(self) -> &'static str {
        match self {
            LockMode::Shared => "Shared",
            LockMode::Update => "Update",
            LockMode::IntentShared => "IntentShared",
            LockMode::IntentExclusive => "IntentExclusive",
            LockMode::Exclusive => "Exclusive",
        }
    }

    /// Lock compatibility (Transaction Locking and Row Versioning Guide).
    fn compatible(self, other: LockMode) -> bool {
        use LockMode::*;
        match (self, other) {
            (Exclusive, _) | (_, Exclusive) | (Update, Update) => false,
            (IntentShared, _) | (_, IntentShared) => true,
            (IntentExclusive, o) | (o, IntentExclusive) => o == IntentExclusive,
            _ => true,
        }
    }
}

/// One held application lock.
#[derive(Clone, Debug, Serialize)]
pub struct AppLock {
    pub database: i32,
    /// Compared byte by byte: `mgc` and `MGC` are two locks.
    pub resource: String,
    pub spid: i32,
    pub mode: LockMode,
    /// How often it was taken.
    pub count: u32,
}

impl Instance {
    /// Takes an application lock if that is possible now; returns false when it would have to wait.
    pub fn try_lock(&mut self, database: i32, resource: &str, spid: i32, mode: LockMode) -> bool {
        let same = |l: &&AppLock| l.database == database && l.resource == resource;
        if self.locks.iter().filter(same).any(|l| l.spid != spid && !l.mode.compatible(mode)) {
            return false;
        }
        let mine = |l: &&mut AppLock| l.database == database && l.resource == resource && l.spid == spid;
        match self.locks.iter_mut().find(mine) {
            Some(lock) => {
                lock.count += 1;
                if mode == LockMode::Exclusive {
                    lock.mode = mode;
                }
            }
            None => {
                self.locks.push(AppLock { database, resource: resource.to_owned(), spid, mode, count: 1 });
            }
        }
        true
    }

    /// Releases an application lock once; false when the session does not hold it.
    pub fn unlock(&mut self, database: i32, resource: &str, spid: i32) -> bool {
        let mine = |l: &AppLock| l.database == database && l.resource == resource && l.spid == spid;
        let Some(at) = self.locks.iter().position(mine) else { return false };
        self.locks[at].count -= 1;
        if self.locks[at].count == 0 {
            self.locks.remove(at);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::instance::Side;
    use jiff::Timestamp;

    #[test]
    fn an_exclusive_application_lock_has_one_owner_and_goes_with_its_session() {
        let mut i =
            Instance::new("sql-ks1", None, Side::Backup, (11, 0, 7001), vec![], Timestamp::UNIX_EPOCH);
        let a = i.open_session("sa", "h", "p", Timestamp::UNIX_EPOCH);
        let b = i.open_session("sa", "h", "p", Timestamp::UNIX_EPOCH);
        assert!(i.try_lock(1, "x", a, LockMode::Exclusive));
        assert!(!i.try_lock(1, "x", b, LockMode::Exclusive));
        assert!(i.try_lock(1, "X", b, LockMode::Exclusive), "resources are compared byte by byte");
        assert!(i.try_lock(4, "x", b, LockMode::Exclusive), "locks are per database");
        i.close_session(a);
        assert!(i.try_lock(1, "x", b, LockMode::Exclusive));
    }
}
