//! Reads the answer of the state batch into [`InstanceState`].
//!
//! What is NULL is unknown with its reason, never zero or no; what does not fit is an error that names the
//! column.

use jiff::tz::Offset;
use jiff::{Timestamp, civil};
use pchat_planner::facts::{
    Database, DatabaseState, InstanceState, Job, Mirroring, MirroringState, Recovered, RestoredBackup, Role,
    RunningRestore, Secondary, Session, UserAccess,
};
use pchat_planner::journal::{Journal, Owner, Transition};
use pchat_planner::lsn::{Fork, Position};
use uuid::Uuid;

use crate::sql::batches::state::SETS;
use crate::sql::connection::Answer;
use crate::sql::rows::{Misread, Record, Set, zone};

/// The state, and what else the look brought.
#[derive(Clone, Debug)]
pub struct Read {
    /// For the planner.
    pub state: InstanceState,
    /// The server's time zone, for times that it tells in local time.
    pub zone: Offset,
}

/// Reads a whole answer.
pub fn read(answer: &Answer) -> Result<Read, Misread> {
    let set = |name: &str| -> Result<&Set, Misread> {
        let at = SETS.iter().position(|s| *s == name).unwrap_or(usize::MAX);
        answer
            .sets
            .get(at)
            .filter(|s| s.has(name))
            .ok_or_else(|| Misread::new(name, "the set is not in the answer"))
    };
    let server = one(set("server_name")?)?.ok_or_else(|| Misread::new("server_name", "no row"))?;
    let zone = zone(server.need_int("seconds_ahead")?)
        .ok_or_else(|| Misread::new("seconds_ahead", "is no time zone"))?;

    let restored = one(set("restore_file")?)?.map(|r| last_restored(r, zone)).transpose()?.flatten();
    let mirroring = one(set("mirroring_guid")?)?.map(mirroring).transpose()?;
    let recovered = one(set("recovery_fork_guid")?)?.map(recovered).transpose()?.flatten();
    let redo = one(set("redo_files")?)?;
    let database =
        one(set("database_name")?)?.map(|r| database(r, redo, recovered, mirroring, restored)).transpose()?;

    let jobs = set("job_id")?.rows().iter().map(|r| job(r, zone)).collect::<Result<Vec<_>, _>>()?;
    let secondary = one(set("secondary_id")?)?.map(|r| secondary(r, &jobs)).transpose()?;
    let ships_logs = one(set("ships_logs")?)?.map(|r| r.need_int("ships_logs")).transpose()?.unwrap_or(0) > 0;
    let restore = set("restoring_session")?.rows().first().map(running).transpose()?;
    let sessions = set("spid")?
        .rows()
        .iter()
        .map(session)
        .filter(|s| !matches!((s, &restore), (Ok(s), Some(r)) if s.id == r.session))
        .collect::<Result<_, _>>()?;
    let (journal, journal_damage) = journal(set("property")?)?;

    Ok(Read {
        state: InstanceState {
            server_name: server.text("server_name")?.unwrap_or_default(),
            version: server.need_text("version")?,
            clock: server.need_utc("now_utc")?,
            sysadmin: server.bit("is_sysadmin")?.unwrap_or(false),
            database,
            secondary,
            ships_logs,
            sessions,
            restore,
            journal,
            journal_damage,
        },
        zone,
    })
}

fn one(set: &Set) -> Result<Option<&Record>, Misread> {
    match set.rows() {
        [] => Ok(None),
        [row] => Ok(Some(row)),
        rows => Err(Misread::new("rows", format!("{} where at most one was expected", rows.len()))),
    }
}

fn database(
    row: &Record,
    redo: Option<&Record>,
    recovered: Option<Recovered>,
    mirroring: Option<Mirroring>,
    last_restored: Option<RestoredBackup>,
) -> Result<Database, Misread> {
    let state = match row.need_int("state")? {
        0 => DatabaseState::Online,
        1 => DatabaseState::Restoring,
        2 => DatabaseState::Recovering,
        3 => DatabaseState::RecoveryPending,
        4 => DatabaseState::Suspect,
        5 => DatabaseState::Emergency,
        6 => DatabaseState::Offline,
        other => return Err(Misread::new("state", format!("{other} is no state of a SQL Server database"))),
    };
    let standby = row.need_bit("is_in_standby")?;
    let position = match (state, standby) {
        (DatabaseState::Online, true) => standby_position(last_restored.as_ref()),
        (DatabaseState::Online, false) => Err("it is ONLINE: it waits for no log".to_owned()),
        _ => redo.map_or_else(|| Err("sys.master_files shows no file of it".to_owned()), redo_position),
    };
    Ok(Database {
        name: row.need_text("database_name")?,
        state,
        standby,
        read_only: row.need_bit("is_read_only")?,
        user_access: match row.need_int("user_access")? {
            0 => UserAccess::Multi,
            1 => UserAccess::Single,
            2 => UserAccess::Restricted,
            other => return Err(Misread::new("user_access", format!("{other} is not documented"))),
        },
        position,
        recovered: recovered.filter(|_| state == DatabaseState::Online && !standby),
        mirroring,
        last_restored,
    })
}

fn redo_position(row: &Record) -> Result<Position, String> {
    let read = || -> Result<Result<Position, String>, Misread> {
        let (files, known) = (row.need_int("redo_files")?, row.need_int("redo_known")?);
        let (Some(low), Some(high)) = (row.lsn("redo_min")?, row.lsn("redo_max")?) else {
            return Ok(Err("sys.master_files tells no redo_start_lsn (NULL)".into()));
        };
        if files != known || low != high {
            return Ok(Err(format!("its data files stand at different LSNs, {low} to {high}")));
        }
        if row.need_int("redo_forks")? != 1 {
            return Ok(Err("its data files stand on different recovery forks".into()));
        }
        let text = row.need_text("redo_fork")?;
        let fork = Uuid::parse_str(&text).map_err(|_| Misread::new("redo_fork", "is no uniqueidentifier"))?;
        Ok(Ok(Position { lsn: low, fork: Fork(fork) }))
    };
    read().map_err(|e| e.to_string()).and_then(|p| p)
}

/// In STANDBY `redo_start_lsn` is NULL; the last restore that msdb remembers says where the copy stands.
fn standby_position(last: Option<&RestoredBackup>) -> Result<Position, String> {
    last.map(|b| Position { lsn: b.last_lsn, fork: b.fork })
        .ok_or_else(|| "it is in STANDBY, and msdb remembers no restore of it".to_owned())
}

fn recovered(row: &Record) -> Result<Option<Recovered>, Misread> {
    let Some(fork) = row.fork("recovery_fork_guid")? else { return Ok(None) };
    let from_fork = row.fork("first_recovery_fork_guid")?;
    Ok(Some(Recovered { fork, from_fork, fork_point: row.lsn("fork_point_lsn")? }))
}

fn mirroring(row: &Record) -> Result<Mirroring, Misread> {
    Ok(Mirroring {
        guid: row.need_guid("mirroring_guid")?,
        role: match row.need_int("mirroring_role")? {
            1 => Role::Principal,
            2 => Role::Mirror,
            other => return Err(Misread::new("mirroring_role", format!("{other} is not documented"))),
        },
        state: match row.need_int("mirroring_state")? {
            0 => MirroringState::Suspended,
            1 => MirroringState::Disconnected,
            2 => MirroringState::Synchronizing,
            3 => MirroringState::PendingFailover,
            4 => MirroringState::Synchronized,
            5 => MirroringState::Unsynchronized,
            other => MirroringState::Other(u8::try_from(other).unwrap_or(u8::MAX)),
        },
        partner_instance: row.text("mirroring_partner_instance")?,
    })
}

/// The offset that the clock had when a backup began, from `backupset.time_zone`: quarters of an hour, 127 for unknown.
fn own_zone(quarters: i64) -> Option<Offset> {
    (-48..=48).contains(&quarters).then(|| zone(quarters * 900))?
}

fn last_restored(row: &Record, zone: Offset) -> Result<Option<RestoredBackup>, Misread> {
    let (Some(last_lsn), Some(fork)) = (row.lsn("last_lsn")?, row.fork("last_recovery_fork_guid")?) else {
        return Ok(None);
    };
    let own = row.int("time_zone")?.and_then(own_zone);
    let Some(started) = row.local_time("backup_start_date", own.unwrap_or(zone))? else { return Ok(None) };
    let file = row.text("restore_file")?.unwrap_or_default();
    Ok(Some(RestoredBackup { file, last_lsn, fork, started, zoned: own.is_some() }))
}

fn secondary(row: &Record, jobs: &[Job]) -> Result<Secondary, Misread> {
    let job = |column: &str| -> Result<Job, Misread> {
        let id = row.need_guid(column)?;
        let found = jobs.iter().find(|j| j.id == id).cloned();
        found.ok_or_else(|| Misread::new(column, format!("job {id} is not in msdb.dbo.sysjobs")))
    };
    Ok(Secondary {
        id: row.need_guid("secondary_id")?,
        primary_server: row.need_text("primary_server")?,
        share: row.need_text("backup_source_directory")?,
        folder: row.need_text("backup_destination_directory")?,
        monitor_server: row.text("monitor_server")?.unwrap_or_default(),
        copy_job: job("copy_job_id")?,
        restore_job: job("restore_job_id")?,
        last_copied: row.text("last_copied_file")?.filter(|f| !f.is_empty()),
        last_restored: row.text("last_restored_file")?.filter(|f| !f.is_empty()),
        shared: row.need_int("databases")? > 1,
    })
}

/// A job counts as running from the request on: Agent starts it in its own time.
fn job(row: &Record, zone: Offset) -> Result<Job, Misread> {
    let requested = row.local_time("run_requested_date", zone)?;
    let started = row.local_time("start_execution_date", zone)?;
    let stopped = row.local_time("stop_execution_date", zone)?;
    let running = stopped.is_none() && (started.is_some() || requested.is_some());
    let ended = match stopped {
        Some(at) => Some(at),
        None => ended(row, zone)?,
    };
    // 5 is "unknown": it has not run, or Agent was not there to see the end.
    let outcome = match row.int("last_run_outcome")? {
        Some(1) => Some(Ok(())),
        Some(0) => Some(Err(row.text("last_outcome_message")?.unwrap_or_else(|| "it failed".to_owned()))),
        Some(3) => Some(Err("it was cancelled".to_owned())),
        _ => None,
    };
    Ok(Job {
        id: row.need_guid("job_id")?,
        name: row.need_text("name")?,
        enabled: row.need_bit("enabled")?,
        running,
        last_run: ended.zip(outcome),
    })
}

/// `sysjobservers` tells start and duration as the digits `yyyymmdd`, `hhmmss` and `[h]hmmss`.
fn ended(row: &Record, zone: Offset) -> Result<Option<Timestamp>, Misread> {
    let (date, time, duration) =
        (row.int("last_run_date")?, row.int("last_run_time")?, row.int("last_run_duration")?);
    let (Some(date), Some(time)) = (date.filter(|d| *d > 0), time) else { return Ok(None) };
    let parts = |n: i64| (n / 10_000, n / 100 % 100, n % 100);
    let small = |n: i64| i8::try_from(n).unwrap_or(-1);
    let ((year, month, day), (hour, minute, second)) = (parts(date), parts(time));
    let start = civil::Date::new(i16::try_from(year).unwrap_or(-1), small(month), small(day))
        .and_then(|d| Ok(d.to_datetime(civil::Time::new(small(hour), small(minute), small(second), 0)?)))
        .and_then(|local| zone.to_timestamp(local))
        .map_err(|_| Misread::new("last_run_date", format!("{date} {time} is no time")))?;
    let (hours, minutes, seconds) = parts(duration.unwrap_or(0).clamp(0, 99_999_999));
    let length = jiff::SignedDuration::from_secs(hours * 3600 + minutes * 60 + seconds);
    Ok(start.checked_add(length).ok())
}

fn session(row: &Record) -> Result<Session, Misread> {
    Ok(Session {
        id: id(row, "spid")?,
        host: row.text("hostname")?.unwrap_or_default(),
        program: row.text("program_name")?.unwrap_or_default(),
        login: row.text("loginame")?.unwrap_or_default(),
    })
}

fn running(row: &Record) -> Result<RunningRestore, Misread> {
    Ok(RunningRestore {
        session: id(row, "restoring_session")?,
        command: row.need_text("command")?,
        percent: u8::try_from(row.int("per_cent")?.unwrap_or(0).clamp(0, 100)).unwrap_or(100),
    })
}

fn id(row: &Record, column: &str) -> Result<i32, Misread> {
    i32::try_from(row.need_int(column)?).map_err(|_| Misread::new(column, "is no session number"))
}

fn journal(set: &Set) -> Result<(Journal, Option<String>), Misread> {
    let mut journal = Journal::default();
    let mut damage = Vec::new();
    for row in set.rows() {
        let name = row.need_text("property")?;
        let text = row.text("text")?.unwrap_or_default();
        let read = if name.ends_with("/owner") {
            serde_json::from_str::<Owner>(&text).map(|o| journal.owner = Some(o))
        } else {
            serde_json::from_str::<Transition>(&text).map(|t| journal.transition = Some(t))
        };
        if let Err(error) = read {
            let begin: String = text.chars().take(60).collect();
            damage.push(format!("extended property {name} in master can't be read ({error}): {begin:?}"));
        }
    }
    Ok((journal, (!damage.is_empty()).then(|| damage.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_a_backup_is_in_quarters_of_an_hour_and_may_be_unknown() {
        let hours = |quarters| own_zone(quarters).map(|zone| f64::from(zone.seconds()) / 3600.0);
        assert_eq!((hours(-20), hours(22), hours(0)), (Some(-5.0), Some(5.5), Some(0.0)));
        assert_eq!((hours(127), hours(-49)), (None, None));
    }
}
