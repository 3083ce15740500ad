//! Log shipping's secondary with its jobs, as `msdb` has them.

use jiff::Timestamp;
use uuid::Uuid;

/// An Agent job of log shipping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// `job_id`.
    pub id: Uuid,
    /// Name, for a person.
    pub name: String,
    /// Whether its schedules count; `None`: the server does not tell.
    pub enabled: Option<bool>,
    /// Whether it runs now.
    pub running: bool,
    /// Since when, if it does and the server tells.
    pub since: Option<Timestamp>,
    /// Outcome of its last finished run, if any: when it ended, and the error if it failed.
    pub last_run: Option<(Timestamp, Result<(), String>)>,
}

/// Log shipping's secondary side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secondary {
    /// Identity.
    pub id: Uuid,
    /// The primary that it names.
    pub primary_server: String,
    /// UNC path of the backups; empty: not told.
    pub share: String,
    /// Folder that they are copied to; empty: not told.
    pub folder: String,
    /// The monitor; dropping log shipping asks it.
    pub monitor_server: String,
    /// Copy job; `None`: msdb has no such job any more.
    pub copy_job: Option<Job>,
    /// Restore job, likewise.
    pub restore_job: Option<Job>,
    /// Last file copied, as msdb has it.
    pub last_copied: Option<String>,
    /// Last file restored, as msdb has it.
    pub last_restored: Option<String>,
    /// Whether these jobs serve another database too.
    pub shared: bool,
}

impl Secondary {
    /// Its jobs, as far as msdb has them: copy first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.copy_job.iter().chain(&self.restore_job)
    }

    /// Which of its jobs are gone, in words.
    pub fn jobs_gone(&self) -> Option<&'static str> {
        match (&self.copy_job, &self.restore_job) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("copy job"),
            (Some(_), None) => Some("restore job"),
            (None, None) => Some("copy and restore jobs"),
        }
    }

    /// Where its files are, if it tells.
    pub fn source(&self) -> Option<crate::model::pool::LogSource> {
        let told = !self.share.is_empty() && !self.folder.is_empty();
        told.then(|| crate::model::pool::LogSource { share: self.share.clone(), folder: self.folder.clone() })
    }
}
