//! What was observed, by whom and when.
//!
//! A fact is known, or it is unknown for a reason, or it is still being looked for. An unreachable server is not a missing database, and
//! an empty listing is not an empty folder.

mod backups;
mod database;
mod instance;
mod shell;
mod shipping;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use self::backups::*;
pub use self::database::*;
pub use self::instance::*;
pub use self::shell::*;
pub use self::shipping::*;
use crate::model::pool::InstanceId;

/// A value with its source and time, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact<T> {
    /// It was read.
    Known {
        /// What was read.
        value: T,
        /// Where: host\instance and view, or cmdlet.
        source: String,
        /// When the reading began.
        at: Timestamp,
    },
    /// It could not be read.
    Unknown {
        /// A sentence with object, cause and, where there is one, the server's number.
        why: String,
        /// Where it was looked for.
        source: String,
        /// When the look began.
        at: Timestamp,
    },
    /// It was not looked at yet, or not since that was demanded; somebody is at it.
    Pending {
        /// What is being looked at.
        source: String,
        /// Since when.
        since: Timestamp,
    },
}

impl<T> Fact<T> {
    /// The value, if known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Fact::Known { value, .. } => Some(value),
            Fact::Unknown { .. } | Fact::Pending { .. } => None,
        }
    }

    /// Why it is unknown, if it is.
    pub fn why(&self) -> Option<&str> {
        match self {
            Fact::Known { .. } | Fact::Pending { .. } => None,
            Fact::Unknown { why, .. } => Some(why),
        }
    }

    /// When the look began that this fact comes from. One that is under way has shown nothing yet: it is older than any demand.
    pub fn at(&self) -> Timestamp {
        match self {
            Fact::Known { at, .. } | Fact::Unknown { at, .. } => *at,
            Fact::Pending { .. } => Timestamp::MIN,
        }
    }

    /// What is being looked at and since when, if it was not seen yet.
    pub fn pending(&self) -> Option<(&str, Timestamp)> {
        match self {
            Fact::Pending { source, since } => Some((source, *since)),
            Fact::Known { .. } | Fact::Unknown { .. } => None,
        }
    }

    /// Whether it was not seen yet.
    pub fn is_pending(&self) -> bool {
        matches!(self, Fact::Pending { .. })
    }

    /// Where it was looked for.
    pub fn source(&self) -> &str {
        match self {
            Fact::Known { source, .. } | Fact::Unknown { source, .. } | Fact::Pending { source, .. } => {
                source
            }
        }
    }
}

/// Whether a server answers at all. The difference decides whether a failover may be forced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Contact {
    /// Logged in and asked.
    Answers,
    /// Something is alive there, but it could not be asked: a refused connection or login, a failed TLS
    /// handshake, SQL Browser without the instance, a query that failed or hung.
    Unusable {
        /// A sentence with host, cause and remedy.
        detail: String,
    },
    /// Logged in, and the login may not see what it asked for. As alive as an unusable one.
    Denied {
        /// What was denied: the server's words with its number.
        detail: String,
    },
    /// Nothing came back at all.
    Silent {
        /// Start of the first look of an unbroken series of silent ones.
        since: Timestamp,
        /// End of the last look of that series: nothing is known of what came after it.
        until: Timestamp,
        /// Number of looks in the series.
        tries: u32,
        /// What was tried, for example `no answer from 10.1.1.11:1433 in 3 s`.
        detail: String,
    },
    /// It was not looked at yet, or not since that was demanded; it is being asked.
    Pending {
        /// Since when.
        since: Timestamp,
    },
}

/// One SQL Server instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceFacts {
    /// Whether it answers.
    pub contact: Contact,
    /// Start of the look that `contact` comes from.
    pub at: Timestamp,
    /// The login that it is asked with.
    pub login: String,
    /// Its state; unknown unless it answers.
    pub state: Fact<InstanceState>,
}

/// Everything observed in one pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// Each declared instance.
    pub instances: BTreeMap<InstanceId, InstanceFacts>,
    /// Files and headers; unknown while there is nowhere to look, or nobody to ask.
    pub backups: Fact<Backups>,
    /// The management shell.
    pub shell: ShellFacts,
}
