//! msdb's job procedures.
//!
//! Answers for starting, stopping, changing, showing and deleting the Agent's jobs. Starting returns at once:
//! the job begins when the Agent gets to it.

use super::LabHost;
use super::catalog_msdb::date_and_time;
use super::procs::{id, int, refused, send_rows, text};
use super::values::{guid, time};
use crate::world::World;
use crate::world::agent::Job;
use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::timeline::Operation;
use pchat_tsql::host::{Call, Returned};
use pchat_tsql::{Event, Sink, Value, schema};
use uuid::Uuid;

/// Calls one of them.
pub fn call(host: &mut LabHost, call: &Call, name: &str, out: &mut dyn Sink) -> Result<Returned, Failure> {
    if name == "sp_help_job" {
        return help(host, call, out);
    }
    let (server, login) = (host.server, host.login.clone());
    let mut w = host.world.lock();
    let job = match w.servers[server].agent.resolve(id(call, "@job_id"), text(call, "@job_name").as_deref()) {
        Ok(job) => job,
        Err(e) => return refused(e),
    };
    let done: Result<Option<SqlError>, SqlError> = match name {
        "sp_start_job" => start(&mut w, server, job, &login).map(|n| quiet(call).map_or(Some(n), |()| None)),
        "sp_stop_job" => {
            let title = w.servers[server].agent.job(job).map(|j| j.name.clone()).unwrap_or_default();
            let s = &mut w.servers[server];
            s.agent.request_stop(job, &login).map(|spid| {
                if let Some(x) = spid.and_then(|spid| s.sessions.get(&spid)) {
                    x.killed.cancel();
                }
                Some(raise(14254, &[&title]))
            })
        }
        "sp_update_job" => update(&mut w, server, job, call).map(|()| None),
        _ => {
            w.servers[server].agent.remove(job);
            Ok(None)
        }
    };
    match done {
        Ok(note) => {
            drop(w);
            note.into_iter().for_each(|n| out.send(Event::Message(n)));
            Ok(Returned::default())
        }
        Err(e) => refused(e),
    }
}

fn quiet(call: &Call) -> Option<()> {
    (int(call, "@output_flag") == Some(0)).then_some(())
}

fn start(w: &mut World, server: usize, job: Uuid, login: &str) -> Result<SqlError, SqlError> {
    let (now, delay) = (w.now(), w.service_time(Operation::JobStart));
    let agent = &mut w.servers[server].agent;
    agent.request_start(job, login, now, delay)?;
    let title = agent.job(job).map(|j| j.name.clone()).unwrap_or_default();
    Ok(raise(14243, &[&title]))
}

fn update(w: &mut World, server: usize, job: Uuid, call: &Call) -> Result<(), SqlError> {
    let now = w.now();
    let agent = &mut w.servers[server].agent;
    let new_name = text(call, "@new_name");
    if let Some(name) = &new_name
        && agent.jobs.iter().any(|j| j.name.eq_ignore_ascii_case(name) && j.id != job)
    {
        return Err(raise(14261, &[&"@new_name", name]));
    }
    let enabled = int(call, "@enabled");
    if enabled.is_some_and(|e| !(0..=1).contains(&e)) {
        return Err(raise(14266, &[&"@enabled", &"0, 1"]));
    }
    let Some(job) = agent.job_mut(job) else { return Ok(()) };
    if let Some(e) = enabled {
        job.enabled = e == 1;
    }
    if let Some(name) = new_name {
        job.name = name;
    }
    if let Some(text) = text(call, "@description") {
        job.description = text;
    }
    job.modified = now;
    job.version += 1;
    Ok(())
}

fn help(host: &mut LabHost, call: &Call, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let version = pchat_tsql::Host::version(host);
    let (wanted, title) = (id(call, "@job_id"), text(call, "@job_name"));
    let aspect = text(call, "@job_aspect").map(|a| a.to_ascii_uppercase());
    if aspect.as_deref().is_some_and(|a| a != "JOB") {
        return Err(vec![unsupported("sp_help_job with an aspect other than JOB")]);
    }
    let w = host.world.lock();
    let agent = &w.servers[host.server].agent;
    let one = if wanted.is_some() || title.is_some() {
        match agent.resolve(wanted, title.as_deref()) {
            Ok(job) => Some(job),
            Err(e) => return refused(e),
        }
    } else {
        None
    };
    if one.is_some() && aspect.is_none() {
        return Err(vec![unsupported("sp_help_job of one job without @job_aspect = 'JOB'")]);
    }
    let columns = schema::result_set("sp_help_job", 1, version).unwrap_or_default();
    let mut rows = vec![];
    for job in agent.jobs.iter().filter(|j| one.is_none_or(|o| o == j.id)) {
        rows.push(schema::row_lenient(&columns, &job_row(&w, host.server, job)).map_err(|e| vec![e])?);
    }
    drop(w);
    send_rows(out, columns, rows);
    Ok(Returned::default())
}

fn job_row(w: &World, server: usize, job: &Job) -> Vec<(&'static str, Value)> {
    let s = &w.servers[server];
    let last = s.agent.last_run(job.id);
    let (last_date, last_time) = date_and_time(s.clock, last.map(|r| r.began));
    let (next_date, next_time) = date_and_time(s.clock, job.next_run.filter(|_| job.enabled));
    vec![
        ("job_id", guid(job.id)),
        ("originating_server", s.name().into()),
        ("name", job.name.as_str().into()),
        ("enabled", job.enabled.into()),
        ("description", job.description.as_str().into()),
        ("start_step_id", Value::Int(1)),
        ("category", job.work.category().into()),
        ("owner", "sa".into()),
        ("date_created", time(s.clock.local(job.created))),
        ("date_modified", time(s.clock.local(job.modified))),
        ("version_number", job.version.into()),
        ("last_run_date", last_date),
        ("last_run_time", last_time),
        ("last_run_outcome", Value::Int(last.map_or(5, |r| i64::from(r.succeeded)))),
        ("next_run_date", next_date),
        ("next_run_time", next_time),
        ("next_run_schedule_id", Value::Int(i64::from(job.every.is_some()))),
        // 1 executing, 4 idle.
        ("current_execution_status", Value::Int(if job.activity.running() { 1 } else { 4 })),
        (
            "current_execution_step",
            if job.activity.running() { "1 (Log shipping step)" } else { "0 (unknown)" }.into(),
        ),
        ("current_retry_attempt", Value::Int(0)),
        ("has_step", Value::Int(1)),
        ("has_schedule", Value::Int(i64::from(job.every.is_some()))),
        ("has_target", Value::Int(1)),
        ("type", Value::Int(1)),
    ]
}
