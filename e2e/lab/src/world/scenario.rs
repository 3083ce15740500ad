//! The scenario file: what the two data centres are like at the start.
//!
//! Answers for the YAML form, its defaults (the pool of the documentation's drawings) and for refusing what
//! cannot be built. It must never hold state: a scenario is read once.

use super::clock::Clock;
use super::instance::Side;
use super::timeline::Operation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A scenario, as `--scenario FILE` gives it. Everything has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// Seed of all guids, ports and random choices; printed at the start.
    pub seed: u64,
    /// Name of the chat database.
    pub database: String,
    /// FQDN of the chat pool.
    pub pool: String,
    /// The site of the primary database.
    pub primary: Site,
    /// The site of the backup database.
    pub backup: Site,
    /// Host of the management shell; its site is the backup's.
    pub shell: Shell,
    /// What the SQL Servers offer of TLS.
    pub encryption: Encryption,
    /// SQL Server version as `major.minor.build`.
    pub version: String,
    /// Clocks of SQL Servers that are wrong or stand in another zone than UTC, by host.
    pub clocks: BTreeMap<String, Clock>,
    /// Login that the manifest's Secret names; it is sysadmin everywhere.
    pub sql_login: Login,
    /// Log shipping.
    pub log_shipping: LogShipping,
    /// Milliseconds between two messages of each active chat server; 0 for none.
    pub message_every_ms: u64,
    /// Seconds after which a change of the management store is in a server's replica.
    pub replication_delay_ms: u64,
    /// Whether the management store can be written.
    pub store_writable: bool,
    /// The primary and its mirror are dead from the start.
    pub primary_dead: bool,
    /// Steps of the printed runbook (1 to 7) that were done by hand before.
    pub runbook_done: u8,
    /// Fixed times of the far ends' operations.
    pub service_times: ServiceTimes,
    /// How long both partners must be silent, as the manifest declares it.
    pub silent_for: String,
    /// One-way latency of the clients' network in milliseconds.
    pub latency_ms: f64,
}

/// What a SQL Server offers and demands of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Encryption {
    /// No certificate: everything goes in clear.
    None,
    /// TLS for the login, and for everything where the client asks for it: SQL Server's default.
    #[default]
    OnRequest,
    /// "Force Encryption".
    Forced,
}

/// One data centre.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Site {
    /// Its name.
    pub name: String,
    /// SQL Server of the database.
    pub database: String,
    /// SQL Server of its mirror; empty for none.
    pub mirror: String,
    /// Instance name on both; empty for the default instance.
    pub instance: String,
    /// Chat servers.
    pub chat_servers: Vec<String>,
}

/// The management shell's host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shell {
    /// Front End that offers `/OcsPowerShell`.
    pub host: String,
    /// Account that may use it, `DOMAIN\name`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Language mode of the endpoint: only commands, no script text.
    pub no_language: bool,
}

/// A SQL login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// Log shipping at the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LogShipping {
    /// UNC path of the backup share.
    pub share: String,
    /// Host of the share.
    pub share_host: String,
    /// Copy folder on the backup server.
    pub folder: String,
    /// Log backups that exist at the start.
    pub backups: u32,
    /// How many of them are copied.
    pub copied: u32,
    /// How many of them are restored on the backup.
    pub restored: u32,
    /// Minutes between two of the backups made up for the start.
    pub backup_every_min: u32,
    /// Messages in each of them.
    pub messages_per_backup: u32,
    /// Seconds between two runs of each of the three jobs, where it is given.
    pub job_every_s: Option<u64>,
    /// Seconds between two runs of the backup job while the lab runs; 0 for none.
    pub backup_every_s: u64,
    /// Seconds between two runs of the copy job.
    pub copy_every_s: u64,
    /// Seconds between two runs of the restore job.
    pub restore_every_s: u64,
    /// The secondary is restored WITH STANDBY.
    pub standby: bool,
    /// Monitor server; empty: the backup instance monitors itself.
    pub monitor: String,
    /// UNC path of the share from which a mirror is seeded, on the same host.
    pub seed_share: String,
}

/// Fixed durations in milliseconds of what the far ends do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceTimes {
    /// RESTORE LOG of one file.
    pub restore_log_ms: u64,
    /// RESTORE DATABASE from a full backup.
    pub restore_full_ms: u64,
    /// RESTORE DATABASE WITH RECOVERY.
    pub recovery_ms: u64,
    /// BACKUP LOG or DATABASE.
    pub backup_ms: u64,
    /// One header read.
    pub header_ms: u64,
    /// One file copied by the copy job.
    pub copy_file_ms: u64,
    /// Wait before a started job runs.
    pub job_start_ms: u64,
    /// A reading cmdlet.
    pub read_cmdlet_ms: u64,
    /// A changing cmdlet.
    pub set_cmdlet_ms: u64,
    /// Seeding of a mirror.
    pub mirror_seeding_ms: u64,
    /// One folder listed.
    pub listing_ms: u64,
    /// How long a listing or a file access hangs on a dead host.
    pub dead_share_ms: u64,
}

impl ServiceTimes {
    /// The time of an operation.
    pub fn of(&self, operation: Operation) -> Duration {
        Duration::from_millis(match operation {
            Operation::RestoreLog => self.restore_log_ms,
            Operation::RestoreFull => self.restore_full_ms,
            Operation::Recovery => self.recovery_ms,
            Operation::Backup => self.backup_ms,
            Operation::Header => self.header_ms,
            Operation::CopyFile => self.copy_file_ms,
            Operation::JobStart => self.job_start_ms,
            Operation::ReadCmdlet => self.read_cmdlet_ms,
            Operation::SetCmdlet => self.set_cmdlet_ms,
            Operation::MirrorSeeding => self.mirror_seeding_ms,
            Operation::Listing => self.listing_ms,
        })
    }
}

impl Default for ServiceTimes {
    fn default() -> Self {
        ServiceTimes {
            restore_log_ms: 20,
            restore_full_ms: 100,
            recovery_ms: 100,
            backup_ms: 20,
            header_ms: 1,
            copy_file_ms: 5,
            job_start_ms: 50,
            read_cmdlet_ms: 20,
            set_cmdlet_ms: 50,
            mirror_seeding_ms: 200,
            listing_ms: 1,
            dead_share_ms: 2_000,
        }
    }
}

impl Default for Site {
    fn default() -> Self {
        Site::of("Taipei", "tp")
    }
}

impl Site {
    fn of(name: &str, code: &str) -> Site {
        Site {
            name: name.into(),
            database: format!("sql-{code}1.contoso.com"),
            mirror: format!("sql-{code}2.contoso.com"),
            instance: "PCHAT".into(),
            chat_servers: (1..=2).map(|n| format!("pc-{code}{n}.contoso.com")).collect(),
        }
    }
}

impl Default for Shell {
    fn default() -> Self {
        Shell {
            host: "fe-ks1.contoso.com".into(),
            user: r"CONTOSO\pchat-operator".into(),
            password: "Shell-Pa55w.rd".into(),
            no_language: false,
        }
    }
}

impl Default for LogShipping {
    fn default() -> Self {
        LogShipping {
            share: r"\\files\pchat-logs".into(),
            share_host: "files.contoso.com".into(),
            folder: r"D:\LogShip".into(),
            backups: 37,
            copied: 24,
            restored: 20,
            backup_every_min: 5,
            messages_per_backup: 10,
            job_every_s: None,
            backup_every_s: 5,
            copy_every_s: 900,
            restore_every_s: 900,
            standby: false,
            monitor: String::new(),
            seed_share: r"\\files\pchat-seed".into(),
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            seed: 0,
            database: "mgc".into(),
            pool: "chat.contoso.com".into(),
            primary: Site::default(),
            backup: Site::of("Kaohsiung", "ks"),
            shell: Shell::default(),
            encryption: Encryption::default(),
            version: "11.0.7001".into(),
            clocks: BTreeMap::new(),
            sql_login: Login { name: "pchat_operator".into(), password: "Sql-Pa55w.rd".into() },
            log_shipping: LogShipping::default(),
            message_every_ms: 100,
            replication_delay_ms: 300,
            store_writable: true,
            primary_dead: false,
            runbook_done: 0,
            service_times: ServiceTimes::default(),
            silent_for: "2s".into(),
            latency_ms: 0.0,
        }
    }
}

impl Scenario {
    /// Reads a scenario from YAML. The error names line and field.
    pub fn from_yaml(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario = if text.trim().is_empty() {
            Scenario::default()
        } else {
            serde_yaml::from_str(text).map_err(|e| e.to_string())?
        };
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        self.version_numbers()?;
        let l = &self.log_shipping;
        if !(l.restored <= l.copied && l.copied <= l.backups) {
            return Err(format!(
                "logShipping: restored ({}) <= copied ({}) <= backups ({}) must hold",
                l.restored, l.copied, l.backups
            ));
        }
        for (field, path) in [("share", &l.share), ("seedShare", &l.seed_share)] {
            if !path.starts_with(r"\\") {
                return Err(format!(
                    r"logShipping.{field}: expected a UNC path, \\server\share, found {path}"
                ));
            }
        }
        if self.runbook_done > 7 {
            return Err(format!("runbookDone: the runbook has steps 1 to 7, found {}", self.runbook_done));
        }
        for (host, clock) in &self.clocks {
            clock.check().map_err(|e| format!("clocks.{host}.{e}"))?;
            if !self.sql_hosts().iter().any(|(known, _)| known == host) {
                return Err(format!("clocks.{host}: no SQL Server of that name"));
            }
        }
        if self.primary.database.is_empty() || self.backup.database.is_empty() {
            return Err("primary.database and backup.database: a host is needed".into());
        }
        Ok(())
    }

    /// The version as numbers.
    pub fn version_numbers(&self) -> Result<(i32, i32, i32), String> {
        let parts: Vec<i32> = self.version.split('.').filter_map(|p| p.parse().ok()).collect();
        match parts[..] {
            [major, minor, build] if (10..=15).contains(&major) => Ok((major, minor, build)),
            _ => Err(format!(
                "version: expected for example 11.0.7001 (10.50 to 15.0), found {}",
                self.version
            )),
        }
    }

    /// The site of a side.
    pub fn site(&self, side: Side) -> &Site {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }

    /// All SQL Server hosts, database before mirror, primary side first.
    pub fn sql_hosts(&self) -> Vec<(String, Side)> {
        [(&self.primary, Side::Primary), (&self.backup, Side::Backup)]
            .into_iter()
            .flat_map(|(s, side)| [(s.database.clone(), side), (s.mirror.clone(), side)])
            .filter(|(host, _)| !host.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_or_an_impossible_number_is_refused_by_name() {
        assert!(Scenario::from_yaml("").is_ok());
        assert!(Scenario::from_yaml("mesageEveryMs: 3").unwrap_err().contains("mesageEveryMs"));
        let e = Scenario::from_yaml("logShipping: {backups: 3, copied: 4}").unwrap_err();
        assert!(e.contains("copied (4) <= backups (3)"), "{e}");
        assert!(Scenario::from_yaml("version: '9.0.1'").is_err());
        let clock = |c: &str| Scenario::from_yaml(&format!("clocks: {{{c}}}"));
        assert!(clock("sql-tp1.contoso.com: {zoneMin: -210, aheadS: 60}").is_ok());
        assert!(clock("sql-tp1.contoso.com: {zoneMin: 61}").unwrap_err().contains("multiple of 15"));
        assert!(clock("sql-tp9.contoso.com: {}").unwrap_err().contains("sql-tp9"));
    }
}
