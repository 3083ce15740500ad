//! What a server takes the time to be: its clock may be wrong, and its wall stands in a zone.
//!
//! The world keeps true UTC. Whatever a server tells or stamps goes through here once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Clock {
    /// Seconds by which its UTC is ahead of the truth.
    pub ahead_s: i64,
    /// Its zone: minutes by which its wall clock is ahead of its UTC.
    pub zone_min: i32,
}

impl Clock {
    /// What it takes UTC to be at `at`.
    pub fn utc(self, at: Timestamp) -> Timestamp {
        at.checked_add(SignedDuration::from_secs(self.ahead_s)).unwrap_or(at)
    }

    /// Its wall clock at `at`, written as though it were UTC.
    pub fn local(self, at: Timestamp) -> Timestamp {
        wall(self.utc(at), self.zone_min)
    }

    /// What is wrong with it, if anything (`time_zone` of msdb.dbo.backupset counts quarters of an hour, -48 to 48).
    pub fn check(self) -> Result<(), String> {
        if self.zone_min % 15 != 0 || self.zone_min.abs() > 12 * 60 {
            return Err(format!("zoneMin: expected a multiple of 15 up to 720, found {}", self.zone_min));
        }
        Ok(())
    }
}

/// A time in UTC on a wall that is so many minutes ahead, written as though it were UTC.
pub fn wall(utc: Timestamp, zone_min: i32) -> Timestamp {
    utc.checked_add(SignedDuration::from_mins(i64::from(zone_min))).unwrap_or(utc)
}
