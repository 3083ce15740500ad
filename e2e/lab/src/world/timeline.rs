//! The lab's account of its service times: what the far ends worked on, and for how long.
//!
//! Answers for the critical path of a run (the restores in order, the recovery, the cmdlets) against which a
//! benchmark holds the wall time. It must count only fixed service times, never waits of a client.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An operation that takes a fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// RESTORE LOG of one file.
    RestoreLog,
    /// RESTORE DATABASE from a full backup.
    RestoreFull,
    /// RESTORE DATABASE WITH RECOVERY.
    Recovery,
    /// BACKUP LOG or DATABASE.
    Backup,
    /// RESTORE HEADERONLY or FILELISTONLY of one file.
    Header,
    /// One file copied by the copy job.
    CopyFile,
    /// Wait before an Agent job that was asked for begins.
    JobStart,
    /// A cmdlet that only reads.
    ReadCmdlet,
    /// A cmdlet that changes something.
    SetCmdlet,
    /// Install-CsMirrorDatabase.
    MirrorSeeding,
    /// A listing of a folder.
    Listing,
}

impl Operation {
    /// Whether nothing can go on beside it in a failover.
    fn critical(self) -> bool {
        use Operation::{MirrorSeeding, Recovery, RestoreFull, RestoreLog, SetCmdlet};
        matches!(self, RestoreLog | RestoreFull | Recovery | SetCmdlet | MirrorSeeding)
    }
}

/// One finished operation.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub operation: Operation,
    /// `host\instance`, or the shell's host.
    pub server: String,
    /// Statement or cmdlet, shortened, with its object.
    pub what: String,
    /// Begin in UTC.
    pub begin: Timestamp,
    /// The fixed service time in milliseconds.
    pub service_ms: u64,
    /// What it really took at the far end, in microseconds: this machine may be slower than the scenario.
    pub took_us: u64,
    /// Asked for over the wire; the lab's own jobs and set-up are not on a client's path.
    pub by_client: bool,
}

/// All operations since the last mark.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    entries: Vec<Entry>,
    mutating: u64,
}

impl Timeline {
    /// Notes a finished operation.
    pub fn note(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Counts one statement or cmdlet of a client that changed something or meant to.
    pub fn mutated(&mut self) {
        self.mutating += 1;
    }

    /// Mutating statements and cmdlets of clients since the mark.
    pub fn mutations(&self) -> u64 {
        self.mutating
    }

    /// Forgets everything: the next count starts here.
    pub fn mark(&mut self) {
        *self = Timeline::default();
    }

    /// The entries since the mark.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn critical(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.by_client && e.operation.critical())
    }

    /// The sum of the fixed service times that a failover cannot overlap.
    pub fn critical_path(&self) -> Duration {
        Duration::from_millis(self.critical().map(|e| e.service_ms).sum())
    }

    /// The same as the far ends really took.
    pub fn critical_path_measured(&self) -> Duration {
        Duration::from_micros(self.critical().map(|e| e.took_us).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_critical_path_leaves_out_reads_and_the_labs_own_jobs() {
        let entry = |operation, by_client| Entry {
            operation,
            server: "s".into(),
            what: String::new(),
            begin: Timestamp::UNIX_EPOCH,
            service_ms: 40,
            took_us: 41_000,
            by_client,
        };
        let mut t = Timeline::default();
        t.note(entry(Operation::RestoreLog, true));
        t.note(entry(Operation::RestoreLog, false));
        t.note(entry(Operation::Header, true));
        t.note(entry(Operation::Recovery, true));
        assert_eq!(t.critical_path(), Duration::from_millis(80));
        assert_eq!(t.critical_path_measured(), Duration::from_millis(82));
        t.mark();
        assert!(t.entries().is_empty() && t.mutations() == 0);
    }
}
