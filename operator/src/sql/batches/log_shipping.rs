//! Log shipping's secondary side: quieten it, start its copy job, let it run again, drop it.
//!
//! Jobs are disabled, never stopped: `sp_stop_job` ends `sqllogship.exe` where it stands. Dropping comes
//! last and destroys the only record of share, folder and last files, so that record is written first.

use uuid::Uuid;

use super::Batch;
use super::guard::{
    MARK, NOT_SERVING, OVER_THE_LAST, SERVES, UNLOCK, WRITE_TRANSITION, Warrant, with_transition,
};

/// The secondary is still the one that was planned for, and its jobs serve no other database.
const AS_PLANNED: &str = r"
DECLARE @found uniqueidentifier, @copy uniqueidentifier, @restore uniqueidentifier, @monitor sysname;
SELECT @found = s.secondary_id, @copy = s.copy_job_id, @restore = s.restore_job_id, @monitor = s.monitor_server
  FROM msdb.dbo.log_shipping_secondary AS s JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id
 WHERE d.secondary_database = @db AND s.secondary_id = @secondary;
IF @found IS NULL
BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|%s is not the secondary that was planned for', 16, 20, @db); RETURN; END;
IF EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases AS d WHERE d.secondary_id = @secondary AND d.secondary_database <> @db)
BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|the copy and restore jobs of %s serve another database too', 16, 20, @db); RETURN; END;
";

/// A job that is gone is not set; one that does not tell whether it is enabled is.
const SET_JOBS: &str = r"
IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs AS j WHERE j.job_id = @copy AND ISNULL(j.enabled, 1 - @enabled) <> @enabled)
  EXEC msdb.dbo.sp_update_job @job_id = @copy, @enabled = @enabled;
IF @@ERROR <> 0 RETURN;
IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs AS j WHERE j.job_id = @restore AND ISNULL(j.enabled, 1 - @enabled) <> @enabled)
  EXEC msdb.dbo.sp_update_job @job_id = @restore, @enabled = @enabled;
IF @@ERROR <> 0 RETURN;
SELECT j.job_id, j.enabled FROM msdb.dbo.sysjobs AS j WHERE j.job_id IN (@copy, @restore);
";

/// A job counts as running from the request on: Agent starts it in its own time.
const RUNS: &str = "CASE WHEN a.session_id <> (SELECT MAX(x.session_id) FROM msdb.dbo.syssessions AS x) THEN 0 ELSE 1 END = 1 AND a.stop_execution_date IS NULL \
     AND (a.start_execution_date IS NOT NULL OR a.run_requested_date IS NOT NULL)";

/// Writes the transition with its evidence, then disables (or, called off and not recovered, enables) both jobs.
pub fn set_jobs(warrant: &Warrant, secondary: Uuid, transition: &str, enabled: bool) -> Batch {
    let name = if enabled { "ResumeLogShipping" } else { "QuiesceLogShipping" };
    warrant
        .guarded(name, |b| {
            with_transition(b, transition).with("secondary", "uniqueidentifier", secondary).with(
                "enabled",
                "tinyint",
                i32::from(enabled),
            )
        })
        .then(AS_PLANNED)
        .then(if enabled { NOT_SERVING } else { "" })
        .then(OVER_THE_LAST)
        .then(MARK)
        .then(WRITE_TRANSITION)
        .then(SET_JOBS)
        .then(UNLOCK)
}

/// Starts the copy job, unless it runs already. `sp_start_job` starts a disabled job too.
pub fn start_copy(warrant: &Warrant, job: Uuid) -> Batch {
    warrant
        .guarded("StartCopy", |b| b.with("job", "uniqueidentifier", job))
        .then(
            r"
IF NOT EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary AS s
                 JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id
                 JOIN msdb.dbo.sysjobs AS j ON j.job_id = s.copy_job_id
                WHERE d.secondary_database = @db AND s.copy_job_id = @job)
BEGIN RAISERROR(N'PCHAT|JOB|the copy job of %s is not the one that was planned for', 16, 22, @db); RETURN; END;
",
        )
        .then(MARK)
        .then(&format!(
            "SET @n = 0;\nSELECT @n = COUNT(*) FROM msdb.dbo.sysjobactivity AS a WHERE a.job_id = @job AND {RUNS};\n\
             IF @n = 0 EXEC @rc = msdb.dbo.sp_start_job @job_id = @job;\nIF @@ERROR <> 0 RETURN;\nSELECT @n AS running_before;"
        ))
        .then(UNLOCK)
}

/// Writes the transition with its evidence, then drops log shipping.
///
/// Dropping also asks the monitor server, and hangs where that is dead. `monitors_down` is
/// `|server|server|`; `@ignoreremotemonitor` leaves the rows there behind, which the caller reports.
pub fn remove(
    warrant: &Warrant,
    secondary: Uuid,
    last_restored: Option<&str>,
    transition: &str,
    monitors_down: &str,
    any_monitor_down: bool,
) -> Batch {
    warrant
        .guarded("RemoveLogShipping", |b| {
            with_transition(b, transition)
                .with("secondary", "uniqueidentifier", secondary)
                .with("last_restored", "nvarchar(500)", last_restored.unwrap_or_default())
                .with("down", "nvarchar(4000)", monitors_down)
                .with("any_down", "int", i32::from(any_monitor_down))
        })
        .then(AS_PLANNED)
        .then(
            r"
IF NOT EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases AS d
                WHERE d.secondary_database = @db AND d.secondary_id = @secondary AND ISNULL(d.last_restored_file, N'') = @last_restored)
BEGIN RAISERROR(N'PCHAT|EVIDENCE|log shipping of %s restored another file meanwhile', 16, 19, @db); RETURN; END;
",
        )
        .then(&format!(
            "IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobactivity AS a\n            \
             WHERE CASE WHEN a.job_id <> @copy AND a.job_id <> @restore THEN 0 ELSE 1 END = 1 AND {RUNS})\n\
             BEGIN RAISERROR(N'PCHAT|BUSY|a log-shipping job of %s is running', 16, 17, @db); RETURN; END;"
        ))
        .then(SERVES)
        .then(OVER_THE_LAST)
        .then(MARK)
        .then(WRITE_TRANSITION)
        .then(
            r"
SET @n = 0;
IF ISNULL(@monitor, N'') <> ISNULL(@@SERVERNAME, N'') AND (@any_down = 1 OR CHARINDEX(N'|' + @monitor + N'|', @down) > 0) SET @n = 1;
IF @n = 1 EXEC @rc = master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = @db, @ignoreremotemonitor = 1;
ELSE EXEC @rc = master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = @db;
IF @@ERROR <> 0 RETURN;
IF EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases AS d WHERE d.secondary_database = @db)
BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|%s is still registered, the procedure returned %d', 16, 20, @db, @rc); RETURN; END;
SELECT @monitor AS monitor_server, @n AS monitor_ignored;
",
        )
        .then(UNLOCK)
}
