//! Where a database stands in its log: sequence numbers and recovery forks.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A log sequence number as SQL Server's catalog shows it: `numeric(25,0)`.
///
/// Serialised as a decimal string, because JSON numbers lose digits beyond 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u128);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Lsn {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map(Lsn).map_err(serde::de::Error::custom)
    }
}

/// A recovery fork: the identity that a database's log takes on each time it is recovered
/// (`recovery_fork_guid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fork(pub Uuid);

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The next log record that a restoring database needs (`redo_start_lsn`, `redo_start_fork_guid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// First LSN that is not applied yet.
    pub lsn: Lsn,
    /// Fork of the log that was applied last.
    pub fork: Fork,
}
