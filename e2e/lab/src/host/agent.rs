//! Runs the Agent's jobs in their own time, beside every client.
//!
//! Answers for the durations of the jobs' steps and for their sessions, which show in `sysprocesses` and take part in
//! locking as any other. A job of a host that dies is gone without a trace; it must never outlive its host.

use super::media::{Copying, Rolling};
use crate::world::agent::Work;
use crate::world::timeline::Operation;
use crate::world::{Shared, files};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Looks for due jobs until the lab ends, and lets replicas and mirrors catch up.
pub async fn run(world: Shared) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for (server, job, work) in due(&world) {
            tokio::spawn(execute(world.clone(), server, job, work));
        }
    }
}

fn due(world: &Shared) -> Vec<(usize, Uuid, Work)> {
    let mut guard = world.lock();
    let w = &mut *guard;
    let now = w.now();
    let reach = &w.reach;
    w.store.replicate(now, false, |host| reach.alive(host));
    for key in (0..w.servers.len()).filter_map(|s| w.chat_key(s)).collect::<Vec<_>>() {
        w.ship_log(key);
    }
    let mut all = vec![];
    for (n, s) in w.servers.iter_mut().enumerate() {
        if w.reach.alive(&s.host) {
            all.extend(s.agent.take_due(now).into_iter().map(|(job, work)| (n, job, work)));
        }
    }
    all
}

/// One run of one job on one life of its host.
struct Run {
    world: Shared,
    server: usize,
    spid: i32,
}

impl Run {
    async fn spend(&self, begin: Instant, operation: Operation, what: String) {
        let (time, server) = {
            let w = self.world.lock();
            (w.service_time(operation), w.servers[self.server].address())
        };
        super::sleep_until(begin + time).await;
        self.world.lock().note(operation, server, what, begin.elapsed(), false);
    }
}

async fn execute(world: Shared, server: usize, job: Uuid, work: Work) {
    let (spid, serial, life, ended) = {
        let mut w = world.lock();
        let now = w.now();
        let host = w.servers[server].machine();
        let s = &mut w.servers[server];
        let spid =
            s.open_session("NT SERVICE\\SQLSERVERAGENT", &host, "Microsoft SQL Server Log Shipping", now);
        let (serial, ended) =
            s.sessions.get(&spid).map_or_else(Default::default, |x| (x.serial, x.killed.clone()));
        if let Some(j) = s.agent.job_mut(job) {
            j.activity.spid = Some(spid);
        }
        (spid, serial, s.agent.session, ended)
    };
    let run = Run { world, server, spid };
    // KILL, sp_stop_job and the death of the host end the step where it stands, as they end sqllogship.exe.
    let result = tokio::select! {
        result = step(&run, work) => result,
        () = ended.cancelled() => Err("The step was ended where it stood.".to_owned()),
    };
    let mut w = run.world.lock();
    let now = w.now();
    let s = &mut w.servers[server];
    s.close_own(spid, serial);
    if s.agent.running && s.agent.session == life {
        s.agent.finish(job, result, now);
    }
}

async fn step(run: &Run, work: Work) -> Result<String, String> {
    match work {
        Work::Backup(id) => backup(run, id).await,
        Work::Copy(id) => copy(run, id).await,
        Work::Restore(id) => restore(run, id).await,
        Work::Alert | Work::Other => Ok(String::new()),
    }
}

fn told(f: crate::world::error::Failure) -> String {
    f.first().map_or_else(String::new, |e| format!("{} (Error: {})", e.text, e.number))
}

async fn backup(run: &Run, id: Uuid) -> Result<String, String> {
    let begin = Instant::now();
    let (request, writing) = {
        let mut w = run.world.lock();
        let Some(request) = w.backup_job(run.server, id)? else {
            return Ok("The backup operation was not performed: the database is not ONLINE here.".into());
        };
        let writing = w.begin_backup(run.server, run.spid, request.clone()).map_err(told)?;
        (request, writing)
    };
    let copying = Copying::new(&run.world, writing);
    run.spend(begin, Operation::Backup, format!("BACKUP LOG to {}", request.path)).await;
    copying.finish().map_err(told)?;
    run.world.lock().backup_job_done(run.server, id, &request.path);
    Ok(format!("Backed up {}.", files::base_name(&request.path)))
}

async fn copy(run: &Run, id: Uuid) -> Result<String, String> {
    let found = run.world.lock().copy_job(run.server, id)?;
    for next in &found {
        let begin = Instant::now();
        run.world.lock().copy_begin(next)?;
        run.spend(begin, Operation::CopyFile, format!("copy of {}", next.name)).await;
        run.world.lock().copy_finish(run.server, id, next)?;
    }
    Ok(format!("Number of files copied: {}.", found.len()))
}

async fn restore(run: &Run, id: Uuid) -> Result<String, String> {
    let mut count = 0;
    let found = run.world.lock().restore_job(run.server, id)?;
    for path in found {
        let begin = Instant::now();
        let running = {
            let mut w = run.world.lock();
            let Some(request) = w.restore_job_step(run.server, id, &path)? else { continue };
            if let Some(key) = w.restore_job_ends_readers(run.server, id) {
                w.end_sessions_in(key);
            }
            w.begin_restore(run.server, run.spid, request).map_err(told)?
        };
        let verb = running.request.verb();
        let rolling = Rolling::new(&run.world, running);
        show(run, Some(verb));
        run.spend(begin, Operation::RestoreLog, format!("{verb} from {path}")).await;
        show(run, None);
        rolling.finish().map_err(told)?;
        run.world.lock().restore_job_done(run.server, id, &path);
        count += 1;
    }
    Ok(format!("Number of log backup files restored: {count}."))
}

fn show(run: &Run, command: Option<&str>) {
    let mut w = run.world.lock();
    let started = w.now();
    let service = w.service_time(Operation::RestoreLog);
    let s = &mut w.servers[run.server];
    let database = s.databases.iter().find(|d| d.held_by == Some(run.spid)).map_or(0, |d| d.id);
    if let Some(x) = s.sessions.get_mut(&run.spid) {
        x.request = command.map(|c| crate::world::instance::Request {
            command: c.to_owned(),
            started,
            database,
            service_ms: u64::try_from(service.as_millis()).unwrap_or(u64::MAX),
        });
    }
}
