//! Reads the answer of the state batch into [`InstanceState`].
//!
//! What is NULL, or does not fit, is unknown by itself, never zero or no, and takes nothing else along. Only without the clock,
//! or without a set of the answer, nothing can be said at all.

use jiff::tz::Offset;
use jiff::{Timestamp, civil};
use pchat_planner::facts::{
    Agent, Database, DatabaseState, Endpoint, InstanceState, Job, Mirroring, MirroringState, Recovered,
    RestoredBackup, Role, RunningRestore, Secondary, ServerNames, Session, UserAccess,
};
use pchat_planner::journal::{Journal, Owner, Silence, Transition};
use pchat_planner::lsn::{Fork, Position};
use uuid::Uuid;

use crate::outside;
use crate::sql::batches::state::SETS;
use crate::sql::connection::Answer;
use crate::sql::rows::{Misread, Record, Set, if_told, zone};

/// The state, and what else the look brought.
#[derive(Clone, Debug)]
pub struct Read {
    /// For the planner.
    pub state: InstanceState,
}

/// Reads a whole answer to the question about `asked`, the chat database.
pub fn read(answer: &Answer, asked: &str) -> Result<Read, Misread> {
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

    let restored = one(set("restore_file")?)?.and_then(last_restored);
    let mirroring = one(set("mirroring_guid")?)?.map(mirroring);
    let recovered = one(set("recovery_fork_guid")?)?.and_then(recovered);
    let redo = one(set("redo_files")?)?;
    let database =
        one(set("database_name")?)?.map(|r| database(r, asked, redo, recovered, mirroring, restored));

    let jobs = set("job_id")?.rows().iter().filter_map(|r| job(r, zone)).collect::<Vec<_>>();
    let secondary = one(set("secondary_id")?)?.map(|r| secondary(r, &jobs));
    let ships_logs = one(set("ships_logs")?)?.and_then(|r| if_told(r.int("ships_logs"))).unwrap_or(0) > 0;
    let restore = set("restoring_session")?.rows().first().map(running);
    let sessions = set("spid")?
        .rows()
        .iter()
        .map(session)
        .filter(|s| !restore.as_ref().is_some_and(|r| s.id == r.session && s.id != 0))
        .collect();
    let (journal, journal_damage) = journal(set("property")?);
    let around = set("agent_sessions")?.rows().first();
    let agent = around.map_or(Agent::Unknown, agent);
    let endpoint = endpoint(set("endpoint_name")?, around);
    let holder = set("lock_session")?.rows().first().map(holder);

    Ok(Read {
        state: InstanceState {
            server_name: server.text("server_name")?.unwrap_or_default(),
            version: if_told(server.text("version")).unwrap_or_default(),
            clock: server.need_utc("now_utc")?,
            sysadmin: if_told(server.bit("is_sysadmin")).unwrap_or(false),
            database,
            secondary,
            ships_logs,
            sessions,
            restore,
            agent,
            endpoint,
            journal,
            journal_damage,
            names: names(server),
            holder,
        },
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
    asked: &str,
    redo: Option<&Record>,
    recovered: Option<Recovered>,
    mirroring: Option<Mirroring>,
    last_restored: Option<RestoredBackup>,
) -> Database {
    let state = match if_told(row.int("state")) {
        Some(0) => DatabaseState::Online,
        Some(1) => DatabaseState::Restoring,
        Some(2) => DatabaseState::Recovering,
        Some(3) => DatabaseState::RecoveryPending,
        Some(4) => DatabaseState::Suspect,
        Some(5) => DatabaseState::Emergency,
        Some(6) => DatabaseState::Offline,
        Some(_) | None => DatabaseState::Unknown,
    };
    let standby = if_told(row.bit("is_in_standby"));
    let position = match (state, standby) {
        (DatabaseState::Online, Some(true)) => standby_position(last_restored.as_ref()),
        (DatabaseState::Online, None) => Err("whether it is in STANDBY is not told".to_owned()),
        (DatabaseState::Online, Some(false)) => Err("it is ONLINE: it waits for no log".to_owned()),
        _ => redo.map_or_else(|| Err("sys.master_files shows no file of it".to_owned()), redo_position),
    };
    Database {
        name: if_told(row.text("database_name")).unwrap_or_else(|| asked.to_owned()),
        state,
        standby,
        read_only: if_told(row.bit("is_read_only")),
        user_access: match if_told(row.int("user_access")) {
            Some(0) => UserAccess::Multi,
            Some(1) => UserAccess::Single,
            Some(2) => UserAccess::Restricted,
            Some(_) | None => UserAccess::Unknown,
        },
        position,
        recovered: recovered.filter(|_| state == DatabaseState::Online && standby == Some(false)),
        mirroring,
        last_restored,
    }
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

fn recovered(row: &Record) -> Option<Recovered> {
    Some(Recovered {
        fork: if_told(row.fork("recovery_fork_guid"))?,
        from_fork: if_told(row.fork("first_recovery_fork_guid")),
        fork_point: if_told(row.lsn("fork_point_lsn")),
    })
}

/// The row alone tells that there is a session.
fn mirroring(row: &Record) -> Mirroring {
    Mirroring {
        guid: if_told(row.guid("mirroring_guid")).unwrap_or_default(),
        role: match if_told(row.int("mirroring_role")) {
            Some(1) => Role::Principal,
            Some(2) => Role::Mirror,
            Some(_) | None => Role::Unknown,
        },
        state: match if_told(row.int("mirroring_state")) {
            Some(0) => MirroringState::Suspended,
            Some(1) => MirroringState::Disconnected,
            Some(2) => MirroringState::Synchronizing,
            Some(3) => MirroringState::PendingFailover,
            Some(4) => MirroringState::Synchronized,
            Some(5) => MirroringState::Unsynchronized,
            Some(other) => MirroringState::Other(u8::try_from(other).unwrap_or(u8::MAX)),
            None => MirroringState::Unknown,
        },
        partner_instance: if_told(row.text("mirroring_partner_instance")),
        partner_address: if_told(row.text("mirroring_partner_name")),
    }
}

/// The offset that the clock had when a backup began, from `backupset.time_zone`: quarters of an hour, 127 for unknown.
fn own_zone(quarters: i64) -> Option<Offset> {
    (-48..=48).contains(&quarters).then(|| zone(quarters * 900))?
}

/// Without LSN, fork and time msdb's history says nothing.
fn last_restored(row: &Record) -> Option<RestoredBackup> {
    let last_lsn = if_told(row.lsn("last_lsn"))?;
    let fork = if_told(row.fork("last_recovery_fork_guid"))?;
    let zone = if_told(row.int("time_zone")).and_then(own_zone);
    let started = if_told(row.wall_clock("backup_start_date"))?;
    // A sentence can name it so; no file is called that.
    let file =
        if_told(row.text("restore_file")).unwrap_or_else(|| "a backup that msdb does not name".to_owned());
    Some(RestoredBackup { file, last_lsn, fork, started, zone })
}

/// A job that log shipping names and msdb does not have was deleted. Jobs of which it is not known for how many databases they
/// work count as shared.
fn secondary(row: &Record, jobs: &[Job]) -> Secondary {
    let text = |column| if_told(row.text(column)).filter(|text| !text.is_empty());
    let job = |column| {
        let id = if_told(row.guid(column))?;
        jobs.iter().find(|j| j.id == id).cloned()
    };
    Secondary {
        id: if_told(row.guid("secondary_id")).unwrap_or_default(),
        primary_server: text("primary_server").unwrap_or_else(|| "an unnamed primary".to_owned()),
        share: text("backup_source_directory").unwrap_or_default(),
        folder: text("backup_destination_directory").unwrap_or_default(),
        monitor_server: text("monitor_server").unwrap_or_default(),
        copy_job: job("copy_job_id"),
        restore_job: job("restore_job_id"),
        last_copied: text("last_copied_file"),
        last_restored: text("last_restored_file"),
        shared: if_told(row.int("databases")).is_none_or(|n| n > 1),
    }
}

/// A job counts as running from the request on: Agent starts it in its own time.
fn job(row: &Record, zone: Offset) -> Option<Job> {
    let time = |column| if_told(row.local_time(column, zone));
    let stopped = time("stop_execution_date");
    let since = time("start_execution_date").or_else(|| time("run_requested_date"));
    let running = stopped.is_none() && since.is_some();
    let ended = stopped.or_else(|| ended(row, zone));
    // 5 is "unknown": it has not run, or Agent was not there to see the end.
    let outcome = match if_told(row.int("last_run_outcome")) {
        Some(1) => Some(Ok(())),
        Some(0) => {
            let told = if_told(row.text("last_outcome_message"));
            Some(Err(told.unwrap_or_else(|| "it failed".to_owned())))
        }
        Some(3) => Some(Err("it was cancelled".to_owned())),
        _ => None,
    };
    let id = if_told(row.guid("job_id"))?;
    Some(Job {
        id,
        name: if_told(row.text("name")).unwrap_or_else(|| format!("job {id}")),
        enabled: if_told(row.bit("enabled")),
        running,
        since: since.filter(|_| running),
        last_run: ended.zip(outcome),
    })
}

/// `sysjobservers` tells start and duration as the digits `yyyymmdd`, `hhmmss` and `[h]hmmss`.
fn ended(row: &Record, zone: Offset) -> Option<Timestamp> {
    let number = |column| if_told(row.int(column));
    let date = number("last_run_date").filter(|d| *d > 0)?;
    let (time, duration) = (number("last_run_time")?, number("last_run_duration"));
    let parts = |n: i64| (n / 10_000, n / 100 % 100, n % 100);
    let small = |n: i64| i8::try_from(n).unwrap_or(-1);
    let ((year, month, day), (hour, minute, second)) = (parts(date), parts(time));
    let start = civil::Date::new(i16::try_from(year).unwrap_or(-1), small(month), small(day))
        .and_then(|d| Ok(d.to_datetime(civil::Time::new(small(hour), small(minute), small(second), 0)?)))
        .and_then(|local| zone.to_timestamp(local))
        .ok()?;
    let (hours, minutes, seconds) = parts(duration.unwrap_or(0).clamp(0, 99_999_999));
    let length = jiff::SignedDuration::from_secs(hours * 3600 + minutes * 60 + seconds);
    start.checked_add(length).ok()
}

fn session(row: &Record) -> Session {
    let text = |column| if_told(row.text(column)).unwrap_or_default();
    let (host, program, login) = (text("hostname"), text("program_name"), text("loginame"));
    Session { id: id(row, "spid"), host, program, login }
}

/// What a server calls itself now; each name may be NULL.
fn names(row: &Record) -> ServerNames {
    let name =
        |column| if_told(row.text(column)).map(|n| n.trim().to_owned()).filter(|n: &String| !n.is_empty());
    ServerNames {
        configured: name("server_name"),
        current: name("name_now"),
        machine: name("machine_name"),
        instance: name("instance_name"),
        physical: name("physical_name"),
        started: name("started"),
    }
}

/// Who holds the pool's lock. The row alone tells that somebody does; without a number it is one of several.
fn holder(row: &Record) -> Session {
    let text = |column| if_told(row.text(column)).unwrap_or_default();
    let (host, program, login) = (text("host_name"), text("program_name"), text("login_name"));
    Session { id: id(row, "lock_session"), host, program, login }
}

fn running(row: &Record) -> RunningRestore {
    let percent = if_told(row.int("per_cent")).unwrap_or(0).clamp(0, 100);
    RunningRestore {
        session: id(row, "restoring_session"),
        command: if_told(row.text("command")).unwrap_or_else(|| "RESTORE or BACKUP".to_owned()),
        percent: u8::try_from(percent).unwrap_or(100),
    }
}

/// What cannot be seen for lack of a right looks like what is not there: only who has the right is told that there is none.
fn agent(row: &Record) -> Agent {
    /// `SERVERPROPERTY('EngineEdition')` of an Express edition.
    const EXPRESS: i64 = 4;
    let number = |column| if_told(row.int(column));
    match (number("agent_sessions"), number("engine_edition"), number("sees_sessions")) {
        (Some(sessions), ..) if sessions > 0 => Agent::Runs,
        (_, Some(EXPRESS), _) => Agent::NotOffered,
        (Some(_), _, Some(1)) => Agent::Stopped,
        _ => Agent::Unknown,
    }
}

fn endpoint(set: &Set, around: Option<&Record>) -> Endpoint {
    /// `sys.database_mirroring_endpoints.role`: witness, and no partner.
    const WITNESS: i64 = 2;
    let Some(row) = set.rows().first() else {
        let seen = around.and_then(|row| if_told(row.int("sees_endpoints")));
        return if seen == Some(1) { Endpoint::Missing } else { Endpoint::Unknown };
    };
    let name = if_told(row.text("endpoint_name")).unwrap_or_default();
    match (if_told(row.int("endpoint_state")), if_told(row.int("endpoint_role"))) {
        (Some(0), Some(WITNESS)) => Endpoint::WitnessOnly(name),
        (Some(0), Some(_)) => Endpoint::Started(name),
        (Some(0), None) | (None, _) => Endpoint::Unknown,
        (Some(other), _) => {
            let state =
                if_told(row.text("endpoint_state_desc")).unwrap_or_else(|| format!("in state {other}"));
            Endpoint::NotStarted(name, state)
        }
    }
}

fn id(row: &Record, column: &str) -> i32 {
    if_told(row.int(column)).and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
}

/// A property that can't be read, or whose name is not told, may hold anything: nothing is concluded beside it.
fn journal(set: &Set) -> (Journal, Option<String>) {
    let mut journal = Journal::default();
    let mut damage = Vec::new();
    for row in set.rows() {
        let Some(name) = if_told(row.text("property")) else {
            damage.push("an extended property of ours in master has no name".to_owned());
            continue;
        };
        let text = outside::json(&if_told(row.verbatim("text")).unwrap_or_default());
        let read = if name.ends_with("/owner") {
            serde_json::from_str::<Owner>(&text).map(|o| journal.owner = Some(o))
        } else if name.ends_with("/silence") {
            serde_json::from_str::<Silence>(&text).map(|s| journal.silence = Some(s))
        } else {
            serde_json::from_str::<Transition>(&text).map(|t| journal.transition = Some(t))
        };
        if let Err(error) = read {
            let begin: String = text.chars().take(60).collect();
            damage.push(format!("extended property {name} in master can't be read ({error}): {begin:?}"));
        }
    }
    (journal, (!damage.is_empty()).then(|| damage.join("; ")))
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
