//! The views of sessions, requests and locks.
//!
//! Answers for `sysprocesses`, `dm_exec_*` and `dm_tran_locks`. The session that asks is in them like any
//! other; a running RESTORE shows its progress from its service time.

use super::catalog::{Named, is_sysadmin};
use super::values::time;
use crate::world::World;
use crate::world::instance::{AGENT_SPID, Instance, Request, Session};
use jiff::Timestamp;
use pchat_tsql::Value;

/// The rows of one of these views, or `None`.
pub fn rows(world: &World, server: usize, asking: (i32, &str), name: &str) -> Option<Vec<Named>> {
    let s = world.servers.get(server)?;
    let now = world.now();
    let (spid, login) = asking;
    // Without VIEW SERVER STATE a session sees itself only.
    let seen = |x: &&Session| is_sysadmin(s, login) || x.login.eq_ignore_ascii_case(login);
    let mut seen: Vec<Session> = s.sessions.values().filter(seen).cloned().collect();
    // Whoever asks is executing: this very SELECT.
    for x in seen.iter_mut().filter(|x| x.spid == spid && x.request.is_none()) {
        let (started, database) = (x.last_batch, x.database);
        x.request = Some(Request { command: "SELECT".into(), started, database, service_ms: 0 });
    }
    let sessions: Vec<&Session> = seen.iter().collect();
    Some(match name {
        "sysprocesses" if !is_sysadmin(s, login) => sessions.iter().map(|x| process_row(x)).collect(),
        "sysprocesses" => {
            let own = system_processes(s).chain(agent_process(s));
            own.chain(sessions.iter().map(|x| process_row(x))).collect()
        }
        "dm_exec_sessions" => sessions.iter().map(|x| session_row(x)).collect(),
        "dm_exec_requests" => {
            sessions.iter().filter_map(|x| Some(request_row(x, x.request.as_ref()?, now))).collect()
        }
        "dm_exec_connections" => sessions
            .iter()
            .map(|x| {
                vec![
                    ("session_id", x.spid.into()),
                    ("most_recent_session_id", x.spid.into()),
                    ("connect_time", time(x.login_time)),
                    ("net_transport", "TCP".into()),
                    ("protocol_type", "TSQL".into()),
                    ("endpoint_id", Value::Int(4)),
                    ("auth_scheme", "SQL".into()),
                    ("last_read", time(x.last_batch)),
                    ("last_write", time(x.last_batch)),
                ]
            })
            .collect(),
        "dm_tran_locks" => lock_rows(s, &sessions),
        _ => return None,
    })
}

fn system_processes(s: &Instance) -> impl Iterator<Item = Named> + '_ {
    [(1, "LOG WRITER"), (7, "CHECKPOINT"), (12, "BRKR TASK")].into_iter().map(|(spid, cmd)| {
        vec![
            ("spid", Value::Int(spid)),
            ("blocked", Value::Int(0)),
            ("dbid", Value::Int(1)),
            ("login_time", time(s.started)),
            ("last_batch", time(s.started)),
            ("open_tran", Value::Int(0)),
            ("status", "background".into()),
            ("hostname", "".into()),
            ("program_name", "".into()),
            ("cmd", cmd.into()),
            ("loginame", "sa".into()),
        ]
    })
}

/// SQL Server Agent holds a session as long as it runs.
fn agent_process(s: &Instance) -> Option<Named> {
    s.agent.running.then(|| {
        vec![
            ("spid", Value::Int(AGENT_SPID.into())),
            ("blocked", Value::Int(0)),
            ("dbid", Value::Int(4)),
            ("login_time", time(s.agent.started)),
            ("last_batch", time(s.agent.started)),
            ("open_tran", Value::Int(0)),
            ("status", "sleeping".into()),
            ("hostname", s.machine().into()),
            ("program_name", "SQLAgent - Generic Refresher".into()),
            ("cmd", "AWAITING COMMAND".into()),
            ("loginame", r"NT SERVICE\SQLSERVERAGENT".into()),
        ]
    })
}

fn status(x: &Session) -> &'static str {
    if x.request.is_some() { "runnable" } else { "sleeping" }
}

/// What sp_who and sysprocesses call the session's work.
pub fn command(x: &Session) -> &str {
    x.request.as_ref().map_or("AWAITING COMMAND", |r| r.command.as_str())
}

fn process_row(x: &Session) -> Named {
    vec![
        ("spid", x.spid.into()),
        ("kpid", Value::Int(0)),
        ("blocked", Value::Int(0)),
        ("waittime", Value::Int(0)),
        ("lastwaittype", "MISCELLANEOUS".into()),
        ("dbid", x.database.into()),
        ("uid", Value::Int(1)),
        ("cpu", Value::Int(0)),
        ("physical_io", Value::Int(0)),
        ("memusage", Value::Int(2)),
        ("login_time", time(x.login_time)),
        ("last_batch", time(x.last_batch)),
        ("ecid", Value::Int(0)),
        ("open_tran", x.open_transactions.into()),
        ("status", status(x).into()),
        ("hostname", x.host.as_str().into()),
        ("program_name", x.program.as_str().into()),
        ("hostprocess", x.client_pid.to_string().into()),
        ("cmd", command(x).into()),
        ("net_library", "TCP/IP".into()),
        ("loginame", x.login.as_str().into()),
        ("request_id", Value::Int(0)),
    ]
}

fn session_row(x: &Session) -> Named {
    vec![
        ("session_id", x.spid.into()),
        ("login_time", time(x.login_time)),
        ("host_name", x.host.as_str().into()),
        ("program_name", x.program.as_str().into()),
        ("host_process_id", x.client_pid.into()),
        ("login_name", x.login.as_str().into()),
        ("original_login_name", x.login.as_str().into()),
        ("status", if x.request.is_some() { "running" } else { "sleeping" }.into()),
        ("last_request_start_time", time(x.last_batch)),
        ("last_request_end_time", time(x.last_batch)),
        ("is_user_process", Value::Int(1)),
        ("language", "us_english".into()),
        ("transaction_isolation_level", Value::Int(2)),
        ("lock_timeout", Value::Int(-1)),
        ("database_id", x.database.into()),
        ("open_transaction_count", x.open_transactions.into()),
    ]
}

fn request_row(x: &Session, r: &Request, now: Timestamp) -> Named {
    let elapsed = now.duration_since(r.started).as_millis().max(0);
    let total = i128::from(r.service_ms.max(1));
    let percent = (elapsed.min(total) * 1000 / total) as f64 / 10.0;
    let long = r.command.starts_with("RESTORE") || r.command.starts_with("BACKUP");
    vec![
        ("session_id", x.spid.into()),
        ("request_id", Value::Int(0)),
        ("start_time", time(r.started)),
        ("status", "running".into()),
        ("command", r.command.as_str().into()),
        ("database_id", r.database.into()),
        ("blocking_session_id", Value::Int(0)),
        ("open_transaction_count", x.open_transactions.into()),
        ("percent_complete", Value::Float(if long { percent } else { 0.0 })),
        (
            "estimated_completion_time",
            Value::Int(if long { i64::try_from((total - elapsed).max(0)).unwrap_or(0) } else { 0 }),
        ),
        ("total_elapsed_time", Value::Int(i64::try_from(elapsed).unwrap_or(i64::MAX))),
        ("transaction_isolation_level", Value::Int(2)),
    ]
}

fn lock_rows(s: &Instance, sessions: &[&Session]) -> Vec<Named> {
    let lock =
        |kind: &'static str, db: i32, what: &str, mode: &'static str, spid: i32, owner: &'static str| {
            vec![
                ("resource_type", kind.into()),
                ("resource_subtype", "".into()),
                ("resource_database_id", db.into()),
                ("resource_description", what.into()),
                ("request_mode", mode.into()),
                ("request_type", "LOCK".into()),
                ("request_status", "GRANT".into()),
                ("request_reference_count", Value::Int(1)),
                ("request_session_id", spid.into()),
                ("request_owner_type", owner.into()),
            ]
        };
    let mut rows: Vec<Named> = vec![];
    for x in sessions {
        // Every session holds a shared lock on the database of its context but master and tempdb.
        if x.database > 2 {
            rows.push(lock("DATABASE", x.database, "", "S", x.spid, "SHARED_TRANSACTION_WORKSPACE"));
        }
        for db in s.databases.iter().filter(|d| d.held_by == Some(x.spid)) {
            rows.push(lock("DATABASE", db.id, "", "X", x.spid, "EXCLUSIVE_TRANSACTION_WORKSPACE"));
        }
    }
    for l in s.locks.iter().filter(|l| sessions.iter().any(|x| x.spid == l.spid)) {
        use crate::world::locks::LockMode::*;
        let mode = match l.mode {
            Shared => "S",
            Update => "U",
            IntentShared => "IS",
            IntentExclusive => "IX",
            Exclusive => "X",
        };
        // The description shows the principal, the first 32 characters and a hash of the resource.
        let shown: String = l.name.resource.chars().take(32).collect();
        rows.push(lock(
            "APPLICATION",
            l.name.database,
            &format!("{}:[{shown}]:(00000000)", l.name.principal.id()),
            mode,
            l.spid,
            "SESSION",
        ));
    }
    rows
}
