//! SQL Server Agent: jobs, their activity and their history.
//!
//! Answers for when a job runs and what msdb shows of it (sysjobs, sysjobactivity, sysjobhistory). What the
//! log-shipping jobs do is in `shipping_jobs`. A job starts late and ends in its own time; it must never be
//! run from inside the statement that asked for it.

use super::error::{SqlError, agent_error, raise};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Log shipping's backup job of the primary database entry with this id.
    Backup(Uuid),
    /// Log shipping's copy job of this secondary id.
    Copy(Uuid),
    /// Log shipping's restore job of this secondary id.
    Restore(Uuid),
    /// Log shipping's alert job: it only looks.
    Alert,
    /// A job that somebody made by hand; the lab does not run its steps.
    Other,
}

impl Work {
    /// The job category.
    pub fn category(&self) -> &'static str {
        match self {
            Work::Backup(_) => "Log Shipping Backup",
            Work::Copy(_) => "Log Shipping Copy",
            Work::Restore(_) => "Log Shipping Restore",
            Work::Alert => "Log Shipping Alert",
            Work::Other => "[Uncategorized (Local)]",
        }
    }
}

/// How the run of a job stands in `sysjobactivity`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Activity {
    pub requested: Option<Timestamp>,
    pub source: Option<&'static str>,
    pub started: Option<Timestamp>,
    pub stopped: Option<Timestamp>,
    pub history: Option<i32>,
    /// Due now, waiting for the Agent's start delay.
    pub pending: Option<Timestamp>,
    /// sp_stop_job was asked for.
    pub stopping: bool,
    /// The session of the running step.
    pub spid: Option<i32>,
    /// Its step hangs: it ends only when it is stopped.
    pub hangs: bool,
}

impl Activity {
    /// Started and not stopped.
    pub fn running(&self) -> bool {
        self.started.is_some() && self.stopped.is_none()
    }
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    pub id: Uuid,
    pub name: String,
    pub enabled: bool,
    pub work: Work,
    pub description: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub version: i32,
    /// Interval of its schedule; none means it runs only when it is started.
    pub every: Option<Duration>,
    pub next_run: Option<Timestamp>,
    pub activity: Activity,
}

/// A row of `sysjobhistory` (the job outcome, step 0).
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub instance: i32,
    pub job: Uuid,
    pub succeeded: bool,
    pub canceled: bool,
    pub message: String,
    pub began: Timestamp,
    pub took: Duration,
}

/// The Agent of one instance.
#[derive(Clone, Debug, Serialize)]
pub struct Agent {
    /// The service runs.
    pub running: bool,
    pub started: Timestamp,
    /// `syssessions.session_id` of the present run of the service.
    pub session: i32,
    pub jobs: Vec<Job>,
    pub history: Vec<Run>,
    next_instance: i32,
}

impl Agent {
    /// An Agent that has been running since `started`.
    pub fn new(started: Timestamp) -> Agent {
        Agent { running: true, started, session: 1, jobs: vec![], history: vec![], next_instance: 1 }
    }

    /// The job with this id.
    pub fn job(&self, id: Uuid) -> Option<&Job> {
        self.jobs.iter().find(|j| j.id == id)
    }

    /// The job with this id.
    pub fn job_mut(&mut self, id: Uuid) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|j| j.id == id)
    }

    /// Resolves `@job_id` or `@job_name` as msdb's procedures do.
    pub fn resolve(&self, id: Option<Uuid>, name: Option<&str>) -> Result<Uuid, SqlError> {
        match (id, name) {
            (Some(id), None) => match self.job(id) {
                Some(j) => Ok(j.id),
                None => Err(raise(14262, &[&"@job_id", &id.to_string().to_uppercase()])),
            },
            (None, Some(name)) => match self.jobs.iter().find(|j| j.name.eq_ignore_ascii_case(name)) {
                Some(j) => Ok(j.id),
                None => Err(raise(14262, &[&"@job_name", &name])),
            },
            _ => Err(raise(14294, &[&"@job_id", &"@job_name"])),
        }
    }

    /// Adds a job.
    pub fn add(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Removes a job; a running one is let go on to its end by whoever runs it.
    pub fn remove(&mut self, id: Uuid) {
        self.jobs.retain(|j| j.id != id);
        self.history.retain(|r| r.job != id);
    }

    /// `sp_start_job`: refused when the Agent is down or the job already runs.
    pub fn request_start(
        &mut self,
        id: Uuid,
        user: &str,
        now: Timestamp,
        delay: Duration,
    ) -> Result<(), SqlError> {
        if !self.running {
            return Err(agent_error(
                "SQLServerAgent is not currently running so it cannot be notified of this action.",
            ));
        }
        let Some(job) = self.job_mut(id) else { return Ok(()) };
        if job.activity.running() || job.activity.pending.is_some() {
            return Err(agent_error(&format!(
                "Request to run job {} (from User {user}) refused because the job is already running from a request by User {user}.",
                job.name
            )));
        }
        let begin = now.checked_add(delay).unwrap_or(now);
        job.activity = Activity {
            requested: Some(now),
            source: Some("User"),
            pending: Some(begin),
            ..Activity::default()
        };
        Ok(())
    }

    /// `sp_stop_job`: the session to be ended, where the step runs already.
    pub fn request_stop(&mut self, id: Uuid, user: &str) -> Result<Option<i32>, SqlError> {
        let Some(job) = self.job_mut(id) else { return Ok(None) };
        if !job.activity.running() && job.activity.pending.is_none() {
            return Err(agent_error(&format!(
                "Request to stop job {} (from User {user}) refused because the job is not currently running.",
                job.name
            )));
        }
        job.activity.stopping = true;
        job.activity.pending = None;
        Ok(job.activity.spid.filter(|_| job.activity.running()))
    }

    /// The step of a job hangs since `since`.
    pub fn hang(&mut self, id: Uuid, since: Timestamp) {
        if let Some(job) = self.job_mut(id) {
            job.activity = Activity {
                requested: Some(since),
                source: Some("Scheduler"),
                started: Some(since),
                hangs: true,
                ..Activity::default()
            };
        }
    }

    /// The jobs whose time has come, marked as running; the caller runs them.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(Uuid, Work)> {
        if !self.running {
            return vec![];
        }
        let stopped = |job: &&Job| job.activity.hangs && job.activity.stopping;
        if let Some(id) = self.jobs.iter().find(stopped).map(|job| job.id) {
            self.finish(id, Err("The step was ended where it stood.".into()), now);
        }
        let mut due = vec![];
        for job in &mut self.jobs {
            if job.activity.running() {
                continue;
            }
            let asked = job.activity.pending.is_some_and(|t| t <= now);
            let scheduled =
                job.enabled && job.activity.pending.is_none() && job.next_run.is_some_and(|t| t <= now);
            if !(asked || scheduled) {
                continue;
            }
            if scheduled {
                job.activity =
                    Activity { requested: Some(now), source: Some("Scheduler"), ..Activity::default() };
            }
            if job.next_run.is_some_and(|t| t <= now) {
                job.next_run = job.every.and_then(|e| now.checked_add(e).ok());
            }
            job.activity.pending = None;
            job.activity.started = Some(now);
            job.activity.stopped = None;
            due.push((job.id, job.work.clone()));
        }
        due
    }

    /// Notes the end of a run.
    pub fn finish(&mut self, id: Uuid, result: Result<String, String>, now: Timestamp) {
        let instance = self.next_instance;
        let Some(job) = self.job_mut(id) else { return };
        let began = job.activity.started.unwrap_or(now);
        job.activity.stopped = Some(now);
        job.activity.hangs = false;
        job.activity.history = Some(instance);
        let canceled = std::mem::take(&mut job.activity.stopping);
        let message = match &result {
            Ok(m) => format!("The job succeeded.  {m}"),
            Err(m) => format!("The job failed.  {m}"),
        };
        let took = Duration::try_from(now.duration_since(began)).unwrap_or_default();
        self.next_instance += 1;
        let succeeded = result.is_ok() && !canceled;
        self.history.push(Run { instance, job: id, succeeded, canceled, message, began, took });
        // msdb keeps 1,000 rows and 100 a job by default (sp_set_sqlagent_properties).
        if self.history.len() > 1000 {
            self.history.remove(0);
        }
    }

    /// The service stops with its host: nothing runs any more, and nothing was noted.
    pub fn crash(&mut self) {
        self.running = false;
    }

    /// The service starts again: a new session, activity begins empty.
    pub fn restart(&mut self, now: Timestamp) {
        self.running = true;
        self.started = now;
        self.session += 1;
        for job in &mut self.jobs {
            job.activity = Activity::default();
            job.next_run = job.every.and_then(|e| now.checked_add(e).ok());
        }
    }

    /// Last run of a job.
    pub fn last_run(&self, id: Uuid) -> Option<&Run> {
        self.history.iter().rev().find(|r| r.job == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> (Agent, Uuid) {
        let t = Timestamp::UNIX_EPOCH;
        let mut a = Agent::new(t);
        let id = Uuid::from_u128(1);
        a.add(Job {
            id,
            name: "LSCopy_SQL-TP1_mgc".into(),
            enabled: true,
            work: Work::Copy(id),
            description: String::new(),
            created: t,
            modified: t,
            version: 1,
            every: Some(Duration::from_secs(60)),
            next_run: Some(t + Duration::from_secs(60)),
            activity: Activity::default(),
        });
        (a, id)
    }

    #[test]
    fn a_job_that_was_asked_for_starts_late_and_only_once() {
        let (mut a, id) = agent();
        let t = Timestamp::UNIX_EPOCH;
        a.request_start(id, "sa", t, Duration::from_secs(2)).expect("accepted");
        assert_eq!(a.request_start(id, "sa", t, Duration::ZERO).unwrap_err().number, 22022);
        assert!(a.take_due(t).is_empty(), "not before the start delay");
        let later = t + Duration::from_secs(2);
        assert_eq!(a.take_due(later).len(), 1);
        assert!(a.job(id).expect("there").activity.running());
        a.finish(id, Ok(String::new()), later);
        assert!(a.take_due(later).is_empty());
        assert!(a.last_run(id).expect("noted").succeeded);
    }

    #[test]
    fn a_disabled_job_runs_when_it_is_started_but_not_by_its_schedule() {
        let (mut a, id) = agent();
        a.job_mut(id).expect("there").enabled = false;
        let due = Timestamp::UNIX_EPOCH + Duration::from_secs(90);
        assert!(a.take_due(due).is_empty());
        a.request_start(id, "sa", due, Duration::ZERO).expect("accepted");
        assert_eq!(a.take_due(due).len(), 1);
    }
}
