//! Log shipping's configuration in one instance's msdb.
//!
//! Answers for the rows that the `sp_*_log_shipping_*` procedures make, change and remove, with their
//! documented errors; the jobs they make are the Agent's. It must never touch the database itself: dropping
//! log shipping leaves a RESTORING copy RESTORING.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// `log_shipping_primary_databases` with its monitor row.
#[derive(Clone, Debug, Serialize)]
pub struct Primary {
    pub id: Uuid,
    pub database: String,
    pub backup_directory: String,
    pub backup_share: String,
    pub retention_min: i32,
    pub backup_job: Uuid,
    pub monitor: String,
    pub threshold_min: i32,
    pub threshold_alert: i32,
    pub alert_enabled: bool,
    pub history_min: i32,
    pub compression: u8,
    pub last_file: Option<String>,
    pub last_date: Option<Timestamp>,
    /// `log_shipping_primary_secondaries`: server and database.
    pub secondaries: Vec<(String, String)>,
}

/// `log_shipping_secondary`.
#[derive(Clone, Debug, Serialize)]
pub struct Secondary {
    pub id: Uuid,
    pub primary_server: String,
    pub primary_database: String,
    pub source: String,
    pub destination: String,
    pub retention_min: i32,
    pub copy_job: Uuid,
    pub restore_job: Uuid,
    pub monitor: String,
    pub last_copied: Option<String>,
    pub last_copied_date: Option<Timestamp>,
}

/// `log_shipping_secondary_databases` with its monitor row.
#[derive(Clone, Debug, Serialize)]
pub struct SecondaryDatabase {
    pub database: String,
    pub secondary: Uuid,
    pub restore_delay_min: i32,
    pub restore_all: bool,
    /// STANDBY instead of NORECOVERY.
    pub standby: bool,
    pub disconnect_users: bool,
    pub block_size: i32,
    pub buffer_count: i32,
    pub max_transfer_size: i32,
    pub threshold_min: i32,
    pub threshold_alert: i32,
    pub alert_enabled: bool,
    pub history_min: i32,
    pub last_restored: Option<String>,
    pub last_restored_date: Option<Timestamp>,
    pub last_latency_min: Option<i32>,
}

/// All log-shipping rows of one instance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LogShipping {
    pub primaries: Vec<Primary>,
    pub secondaries: Vec<Secondary>,
    pub databases: Vec<SecondaryDatabase>,
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl LogShipping {
    /// The primary entry of a database.
    pub fn primary(&self, database: &str) -> Option<&Primary> {
        self.primaries.iter().find(|p| same(&p.database, database))
    }

    /// The primary entry of a database.
    pub fn primary_mut(&mut self, database: &str) -> Option<&mut Primary> {
        self.primaries.iter_mut().find(|p| same(&p.database, database))
    }

    /// The secondary entry for a primary.
    pub fn secondary(&self, server: &str, database: &str) -> Option<&Secondary> {
        self.secondaries
            .iter()
            .find(|s| same(&s.primary_server, server) && same(&s.primary_database, database))
    }

    /// The secondary entry with this id.
    pub fn secondary_mut(&mut self, id: Uuid) -> Option<&mut Secondary> {
        self.secondaries.iter_mut().find(|s| s.id == id)
    }

    /// The secondary database with this name.
    pub fn database(&self, name: &str) -> Option<&SecondaryDatabase> {
        self.databases.iter().find(|d| same(&d.database, name))
    }

    /// The secondary database with this name.
    pub fn database_mut(&mut self, name: &str) -> Option<&mut SecondaryDatabase> {
        self.databases.iter_mut().find(|d| same(&d.database, name))
    }

    /// Removes a secondary database; returns the jobs to delete when its secondary went with it.
    pub fn drop_database(&mut self, name: &str) -> Option<Vec<Uuid>> {
        let at = self.databases.iter().position(|d| same(&d.database, name))?;
        let gone = self.databases.remove(at);
        if self.databases.iter().any(|d| d.secondary == gone.secondary) {
            return Some(vec![]);
        }
        Some(self.drop_secondary(gone.secondary))
    }

    /// Removes a secondary entry; returns its copy and restore jobs.
    pub fn drop_secondary(&mut self, id: Uuid) -> Vec<Uuid> {
        let Some(at) = self.secondaries.iter().position(|s| s.id == id) else { return vec![] };
        let gone = self.secondaries.remove(at);
        vec![gone.copy_job, gone.restore_job]
    }
}
