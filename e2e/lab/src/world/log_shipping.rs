//! Log shipping's configuration in one instance's msdb.
//!
//! Answers for the rows that the `sp_*_log_shipping_*` procedures make, change and remove, with their
//! documented errors; the jobs they make are the Agent's. It must never touch the database itself: dropping
//! log shipping leaves a RESTORING copy RESTORING.

use super::World;
use super::agent::{Activity, Job, Work};
use super::instance::Side;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
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

impl World {
    /// Registers log shipping on primary, its mirror and backup, with jobs that run by schedule.
    pub fn register_log_shipping(&mut self, now: Timestamp) -> Result<Uuid, String> {
        let l = self.scenario.log_shipping.clone();
        let name = self.scenario.database.clone();
        let (principal, backup) = self.roles()?;
        let primary_name = self.servers[principal].name();
        let backup_name = self.servers[backup].name();
        let monitor = if l.monitor.is_empty() { backup_name.clone() } else { l.monitor.clone() };
        let every = |s: u64| Some(Duration::from_secs(l.job_every_s.unwrap_or(s))).filter(|d| !d.is_zero());
        for server in [Some(principal), self.mirror_of(Side::Primary)].into_iter().flatten() {
            let (id, job) = (self.new_guid(), self.new_guid());
            self.add_job(
                server,
                job,
                format!("LSBackup_{name}"),
                Work::Backup(id),
                every(l.backup_every_s),
                now,
            );
            self.servers[server].shipping.primaries.push(Primary {
                id,
                database: name.clone(),
                backup_directory: l.share.clone(),
                backup_share: l.share.clone(),
                retention_min: 4320,
                backup_job: job,
                monitor: monitor.clone(),
                threshold_min: 60,
                threshold_alert: 14_420,
                alert_enabled: true,
                history_min: 5760,
                compression: 2,
                last_file: None,
                last_date: None,
                secondaries: vec![(backup_name.clone(), name.clone())],
            });
        }
        let (id, copy, restore) = (self.new_guid(), self.new_guid(), self.new_guid());
        self.add_job(
            backup,
            copy,
            format!("LSCopy_{primary_name}_{name}"),
            Work::Copy(id),
            every(l.copy_every_s),
            now,
        );
        self.add_job(
            backup,
            restore,
            format!("LSRestore_{primary_name}_{name}"),
            Work::Restore(id),
            every(l.restore_every_s),
            now,
        );
        let shipping = &mut self.servers[backup].shipping;
        shipping.secondaries.push(Secondary {
            id,
            primary_server: primary_name,
            primary_database: name.clone(),
            source: l.share.clone(),
            destination: l.folder.clone(),
            retention_min: 4320,
            copy_job: copy,
            restore_job: restore,
            monitor,
            last_copied: None,
            last_copied_date: None,
        });
        shipping.databases.push(SecondaryDatabase {
            database: name,
            secondary: id,
            restore_delay_min: 0,
            restore_all: true,
            standby: l.standby,
            disconnect_users: false,
            block_size: -1,
            buffer_count: -1,
            max_transfer_size: -1,
            threshold_min: 45,
            threshold_alert: 14_420,
            alert_enabled: true,
            history_min: 5760,
            last_restored: None,
            last_restored_date: None,
            last_latency_min: None,
        });
        Ok(id)
    }

    /// Adds a job with a schedule; its first run is one interval from now.
    pub fn add_job(
        &mut self,
        server: usize,
        id: Uuid,
        name: String,
        work: Work,
        every: Option<Duration>,
        now: Timestamp,
    ) {
        let next_run = every.and_then(|e| Timestamp::now().checked_add(e).ok());
        self.servers[server].agent.add(Job {
            id,
            name,
            enabled: true,
            description: format!("{} job.", work.category()),
            work,
            created: now,
            modified: now,
            version: 1,
            every,
            next_run,
            activity: Activity::default(),
        });
    }
}
