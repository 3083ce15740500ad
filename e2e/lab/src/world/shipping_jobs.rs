//! What log shipping's three jobs do (sqllogship.exe: -Backup, -Copy, -Restore).
//!
//! Answers for which file a job takes next and what it notes in msdb; the durations are the runner's. The
//! jobs go by file names and last-file columns, as the real ones do, so they can be misled where those
//! mislead. They must never change LSNs or forks except through BACKUP and RESTORE.

use super::backup::Backup;
use super::database::State;
use super::files::{self, Found, base_name, join};
use super::mirroring::Role;
use super::restore::{End, Restore};
use super::{Key, World};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A file to be copied from the share.
#[derive(Clone, Debug)]
pub struct Copy {
    pub name: String,
    from: PathBuf,
    folder: String,
    to: PathBuf,
}

/// `database_yyyymmddhhmmss.trn`, in UTC.
pub fn backup_file_name(database: &str, at: Timestamp) -> String {
    format!("{database}_{}.trn", at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S"))
}

/// The UTC time in a backup file's name.
pub fn time_in_name(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_suffix(".trn")?.rsplit('_').next()?;
    jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", stamp)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|z| z.timestamp())
}

const GONE: &str = "The secondary entry of this job does not exist any more.";

/// Names of a folder that look like log backups of a database and are later than the last one.
fn pending(folder: &Path, prefix: &str, last: &str) -> impl Iterator<Item = String> {
    files::Files::list(folder).into_iter().filter(|(_, file)| *file).map(|(name, _)| name).filter(
        move |name| {
            let lower = name.to_lowercase();
            lower.starts_with(prefix) && lower.ends_with(".trn") && *lower > *last
        },
    )
}

impl World {
    /// The backup job's statement; `Ok(None)` where it has nothing to do and ends well (a mirror).
    pub fn backup_job(&self, server: usize, primary: Uuid) -> Result<Option<Backup>, String> {
        let entry = self.servers[server].shipping.primaries.iter().find(|p| p.id == primary);
        let entry = entry.ok_or("The primary entry of this job does not exist any more.")?;
        let name = entry.database.clone();
        let Some(db) = self.find(server, &name) else {
            return Err(format!("Database {name} does not exist."));
        };
        if db.mirroring.as_ref().is_some_and(|m| m.role == Role::Mirror) || db.state != State::Online {
            // 32008, a message and no failure: the mirror's job waits for its turn.
            return Ok(None);
        }
        let mut at = self.servers[server].clock.utc(self.now());
        let path = loop {
            let path = join(&entry.backup_share, &backup_file_name(&name, at));
            match self.look(server, &path) {
                Ok((_, Found::Nothing)) => break path,
                Ok(_) => at += jiff::SignedDuration::from_secs(1),
                Err(e) => return Err(format!("Could not access {}: {e}", entry.backup_share)),
            }
        };
        Ok(Some(Backup { log: true, database: name, path, overwrite: true, ..Backup::default() }))
    }

    /// Notes a finished backup of the job.
    pub fn backup_job_done(&mut self, server: usize, primary: Uuid, path: &str) {
        let now = self.now();
        let all = &mut self.servers[server].shipping.primaries;
        if let Some(entry) = all.iter_mut().find(|p| p.id == primary) {
            entry.last_file = Some(path.to_owned());
            entry.last_date = Some(now);
        }
    }

    /// The files that a run of the copy job finds uncopied, in order; those of one moment.
    pub fn copy_job(&self, server: usize, secondary: Uuid) -> Result<Vec<Copy>, String> {
        let entry = self.servers[server].shipping.secondaries.iter().find(|s| s.id == secondary);
        let entry = entry.ok_or(GONE)?;
        let place = |path: &str| match self.look(server, path) {
            Ok((real, Found::Folder)) => Ok(real),
            Ok(_) => Err(format!("Could not find {path}: {}", files::NO_PATH)),
            Err(e) => Err(format!("Could not access {path}: {e}")),
        };
        let (share, folder) = (place(&entry.source)?, place(&entry.destination)?);
        let last = entry.last_copied.as_deref().map(base_name).unwrap_or("").to_lowercase();
        let prefix = format!("{}_", entry.primary_database.to_lowercase());
        let pending = pending(&share, &prefix, &last).map(|name| Copy {
            from: share.join(&name),
            to: folder.join(&name),
            folder: entry.destination.clone(),
            name,
        });
        // The file that a backup is still writing is left for the next run.
        Ok(pending.take_while(|c| !self.files.is_busy(&c.from)).collect())
    }

    /// Copies half of the file under its `.wrk` name.
    pub fn copy_begin(&self, copy: &Copy) -> Result<(), String> {
        let bytes = std::fs::read(&copy.from).map_err(|e| format!("Could not read {}: {e}", copy.name))?;
        std::fs::write(copy.to.with_extension("wrk"), &bytes[..bytes.len() / 2])
            .map_err(|e| format!("Could not write to {}: {e}", copy.folder))
    }

    /// Completes a copy: `.wrk` becomes `.trn`, and msdb notes it.
    pub fn copy_finish(&mut self, server: usize, secondary: Uuid, copy: &Copy) -> Result<(), String> {
        let lost = |e: std::io::Error| format!("Could not copy {}: {e}", copy.name);
        let wrk = copy.to.with_extension("wrk");
        std::fs::copy(&copy.from, &wrk).map_err(lost)?;
        std::fs::rename(&wrk, &copy.to).map_err(lost)?;
        let now = self.now();
        if let Some(entry) = self.servers[server].shipping.secondary_mut(secondary) {
            entry.last_copied = Some(join(&copy.folder, &copy.name));
            entry.last_copied_date = Some(now);
        }
        Ok(())
    }

    /// The paths that a run of the restore job finds in the copy folder, in order; those of one moment.
    pub fn restore_job(&self, server: usize, secondary: Uuid) -> Result<Vec<String>, String> {
        let shipping = &self.servers[server].shipping;
        let entry = shipping.secondaries.iter().find(|s| s.id == secondary).ok_or(GONE)?;
        let target = shipping.databases.iter().find(|d| d.secondary == secondary).ok_or(GONE)?;
        let folder = match self.look(server, &entry.destination) {
            Ok((real, Found::Folder)) => real,
            _ => return Err(format!("Could not access {}.", entry.destination)),
        };
        let last = target.last_restored.as_deref().map(base_name).unwrap_or("").to_lowercase();
        let prefix = format!("{}_", entry.primary_database.to_lowercase());
        let delay = jiff::SignedDuration::from_mins(i64::from(target.restore_delay_min));
        let now = self.servers[server].clock.utc(self.now());
        let old_enough = |name: &String| time_in_name(name).is_none_or(|t| t + delay <= now);
        let names = pending(&folder, &prefix, &last).take_while(old_enough);
        Ok(names.map(|name| join(&entry.destination, &name)).collect())
    }

    /// The restore job's statement for a file; `Ok(None)` where the file lies wholly before the copy's position
    /// (the agent skips it, as on 4326).
    pub fn restore_job_step(
        &self,
        server: usize,
        secondary: Uuid,
        path: &str,
    ) -> Result<Option<Restore>, String> {
        let shipping = &self.servers[server].shipping;
        let entry = shipping.secondaries.iter().find(|s| s.id == secondary).ok_or(GONE)?;
        let target = shipping.databases.iter().find(|d| d.secondary == secondary).ok_or(GONE)?;
        let db = self.find(server, &target.database).ok_or("The secondary database does not exist.")?;
        if db.state == State::Online && db.standby.is_none() {
            return Err(format!("The secondary database {} is not in NORECOVERY or STANDBY.", db.name));
        }
        let sets = self.read_sets(server, path).map_err(|e| e.text)?;
        if sets.iter().all(|s| !s.incomplete && s.header.last <= db.next) {
            return Ok(None);
        }
        let end = if target.standby {
            End::Standby(join(&entry.destination, &format!("{}_undo.tuf", db.name)))
        } else {
            End::NoRecovery
        };
        let database = target.database.clone();
        Ok(Some(Restore {
            log: true,
            database,
            path: Some(path.to_owned()),
            position: 1,
            end,
            replace: false,
        }))
    }

    /// Notes a file that the restore job applied.
    pub fn restore_job_done(&mut self, server: usize, secondary: Uuid, path: &str) {
        let now = self.now();
        let all = &mut self.servers[server].shipping.databases;
        if let Some(d) = all.iter_mut().find(|d| d.secondary == secondary) {
            d.last_restored = Some(path.to_owned());
            d.last_restored_date = Some(now);
            let age = time_in_name(base_name(path)).map(|t| now.duration_since(t).as_mins());
            d.last_latency_min = age.and_then(|m| i32::try_from(m).ok());
        }
    }

    /// Whether readers of a STANDBY copy are to be ended before the restore job goes on.
    pub fn restore_job_ends_readers(&self, server: usize, secondary: Uuid) -> Option<Key> {
        let d = self.servers[server].shipping.databases.iter().find(|d| d.secondary == secondary)?;
        if d.disconnect_users { self.key(server, &d.database).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_name_carries_its_utc_time() {
        let t: Timestamp = "2026-11-22T23:41:07Z".parse().expect("a time");
        let name = backup_file_name("mgc", t);
        assert_eq!(name, "mgc_20261122234107.trn");
        assert_eq!(time_in_name(&name), Some(t));
        assert_eq!(time_in_name("mgc_failback.bak"), None);
    }
}
