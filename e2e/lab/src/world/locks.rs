//! Application locks (sp_getapplock).
//!
//! Answers for who holds which lock: per database of the caller's context and principal, owned by the session. A session's locks go when it
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

/// The database principal that a lock is asked for under: locks of two of them are two locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum LockPrincipal {
    Public,
    Dbo,
    DbOwner,
}

impl LockPrincipal {
    /// The principal of a `@DbPrincipal` text.
    pub fn parse(text: &str) -> Option<LockPrincipal> {
        match text.to_ascii_lowercase().as_str() {
            "public" => Some(LockPrincipal::Public),
            "dbo" => Some(LockPrincipal::Dbo),
            "db_owner" => Some(LockPrincipal::DbOwner),
            _ => None,
        }
    }

    /// `sys.database_principals.principal_id`, which `sys.dm_tran_locks` shows.
    pub fn id(self) -> i32 {
        match self {
            LockPrincipal::Public => 0,
            LockPrincipal::Dbo => 1,
            LockPrincipal::DbOwner => 16_384,
        }
    }

    /// Whether only administrators are members of it in `master`.
    pub fn administrators_only(self) -> bool {
        self != LockPrincipal::Public
    }
}

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockName {
    pub database: i32,
    pub principal: LockPrincipal,
    /// Compared byte by byte: `mgc` and `MGC` are two locks.
    pub resource: String,
}

/// One held application lock.
#[derive(Clone, Debug, Serialize)]
pub struct AppLock {
    #[serde(flatten)]
    pub name: LockName,
    pub spid: i32,
    pub mode: LockMode,
    /// How often it was taken.
    pub count: u32,
}

impl Instance {
    /// Whether a session could be granted an application lock now.
    pub fn could_lock(&self, name: &LockName, spid: i32, mode: LockMode) -> bool {
        let mut same = self.locks.iter().filter(|l| l.name == *name);
        !same.any(|l| l.spid != spid && !l.mode.compatible(mode))
    }

    /// Takes an application lock if that is possible now; returns false when it would have to wait.
    pub fn try_lock(&mut self, name: &LockName, spid: i32, mode: LockMode) -> bool {
        if !self.could_lock(name, spid, mode) {
            return false;
        }
        match self.locks.iter_mut().find(|l| l.name == *name && l.spid == spid) {
            Some(lock) => {
                lock.count += 1;
                if mode == LockMode::Exclusive {
                    lock.mode = mode;
                }
            }
            None => self.locks.push(AppLock { name: name.clone(), spid, mode, count: 1 }),
        }
        true
    }

    /// Releases an application lock once; false when the session does not hold it.
    pub fn unlock(&mut self, name: &LockName, spid: i32) -> bool {
        let mine = |l: &AppLock| l.name == *name && l.spid == spid;
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
        let name =
            |database, principal, resource: &str| LockName { database, principal, resource: resource.into() };
        let x = name(1, LockPrincipal::DbOwner, "x");
        assert!(i.try_lock(&x, a, LockMode::Exclusive));
        assert!(!i.try_lock(&x, b, LockMode::Exclusive));
        let other = name(1, LockPrincipal::DbOwner, "X");
        assert!(i.try_lock(&other, b, LockMode::Exclusive), "resources are compared byte by byte");
        assert!(
            i.try_lock(&name(4, LockPrincipal::DbOwner, "x"), b, LockMode::Exclusive),
            "locks are per database"
        );
        assert!(
            i.try_lock(&name(1, LockPrincipal::Public, "x"), b, LockMode::Exclusive),
            "and per principal"
        );
        i.close_session(a);
        assert!(i.try_lock(&x, b, LockMode::Exclusive));
    }
}
