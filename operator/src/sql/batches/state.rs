//! The whole state of an instance in one round trip.
//!
//! Several sets, in a fixed order, each known by its first column. It must work in every state of the
//! database and without log shipping, so nothing names the database in three parts (927 at compile time
//! would end the whole batch), and nothing fails where there are no rows.

use super::Batch;
use crate::sql::bounded::Bounds;

/// First columns of the sets, in order.
pub const SETS: [&str; 15] = [
    "server_name",
    "database_name",
    "mirroring_guid",
    "redo_files",
    "recovery_fork_guid",
    "restore_file",
    "secondary_id",
    "job_id",
    "ships_logs",
    "spid",
    "restoring_session",
    "property",
    "agent_sessions",
    "endpoint_name",
    "lock_session",
];

const STATE: &str = r"
DECLARE @id int, @lock nvarchar(255), @now datetime2(3), @free int;
SET @now = SYSUTCDATETIME();
SET @id = DB_ID(@db);
SET @lock = N'persistentchat.io/' + @db;
SELECT @lock = N'persistentchat.io/' + d.name FROM sys.databases AS d WHERE d.database_id = @id;

SELECT CONVERT(nvarchar(128), @@SERVERNAME) AS server_name, CONVERT(nvarchar(128), SERVERPROPERTY(N'ProductVersion')) AS version,
       CONVERT(nvarchar(30), @now, 126) AS now_utc, DATEDIFF(SECOND, GETUTCDATE(), GETDATE()) AS seconds_ahead,
       IS_SRVROLEMEMBER(N'sysadmin') AS is_sysadmin, DB_NAME() AS context_name,
       CONVERT(nvarchar(128), SERVERPROPERTY(N'ServerName')) AS name_now, CONVERT(nvarchar(128), SERVERPROPERTY(N'MachineName')) AS machine_name,
       CONVERT(nvarchar(128), SERVERPROPERTY(N'InstanceName')) AS instance_name,
       CONVERT(nvarchar(128), SERVERPROPERTY(N'ComputerNamePhysicalNetBIOS')) AS physical_name,
       (SELECT CONVERT(nvarchar(30), d.create_date, 126) FROM sys.databases AS d WHERE d.name = N'tempdb') AS started;

SELECT d.name AS database_name, d.state, d.is_in_standby, d.is_read_only, d.user_access FROM sys.databases AS d WHERE d.database_id = @id;

SELECT x.mirroring_guid, x.mirroring_role, x.mirroring_state, x.mirroring_partner_instance, x.mirroring_partner_name
  FROM sys.database_mirroring AS x WHERE x.database_id = @id AND x.mirroring_guid IS NOT NULL;

SELECT COUNT(*) AS redo_files, COUNT(f.redo_start_lsn) AS redo_known, MIN(f.redo_start_lsn) AS redo_min, MAX(f.redo_start_lsn) AS redo_max,
       COUNT(DISTINCT f.redo_start_fork_guid) AS redo_forks, MIN(CONVERT(nvarchar(36), f.redo_start_fork_guid)) AS redo_fork
  FROM sys.master_files AS f WHERE f.database_id = @id AND f.type = 0 AND f.state IN (1, 3);

SELECT r.recovery_fork_guid, r.first_recovery_fork_guid, r.fork_point_lsn FROM sys.database_recovery_status AS r WHERE r.database_id = @id;

SELECT TOP (1) m.physical_device_name AS restore_file, b.last_lsn, b.last_recovery_fork_guid, b.backup_start_date,
       b.time_zone
  FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id
  LEFT JOIN msdb.dbo.backupmediafamily AS m ON m.media_set_id = b.media_set_id
 WHERE h.destination_database_name = @db AND h.restore_type IN (N'L', N'D', N'I') ORDER BY h.restore_history_id DESC;

SELECT s.secondary_id, s.primary_server, s.backup_source_directory, s.backup_destination_directory, s.monitor_server,
       s.copy_job_id, s.restore_job_id, s.last_copied_file, d.last_restored_file,
       (SELECT COUNT(*) FROM msdb.dbo.log_shipping_secondary_databases AS o WHERE o.secondary_id = s.secondary_id) AS databases
  FROM msdb.dbo.log_shipping_secondary AS s JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id
 WHERE d.secondary_database = @db;

SELECT j.job_id, j.name, j.enabled, a.run_requested_date, a.start_execution_date, a.stop_execution_date,
       v.last_run_outcome, v.last_outcome_message, v.last_run_date, v.last_run_time, v.last_run_duration
  FROM msdb.dbo.sysjobs AS j
  JOIN msdb.dbo.log_shipping_secondary AS s ON s.copy_job_id = j.job_id OR s.restore_job_id = j.job_id
  JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id
  LEFT JOIN msdb.dbo.sysjobactivity AS a ON a.job_id = j.job_id AND a.session_id = (SELECT MAX(x.session_id) FROM msdb.dbo.syssessions AS x)
  LEFT JOIN msdb.dbo.sysjobservers AS v ON v.job_id = j.job_id
 WHERE d.secondary_database = @db;

SELECT COUNT(*) AS ships_logs FROM msdb.dbo.log_shipping_primary_databases AS p WHERE p.primary_database = @db;

SELECT DISTINCT CONVERT(int, p.spid) AS spid, p.hostname, p.program_name, p.loginame
  FROM sys.sysprocesses AS p JOIN sys.dm_exec_sessions AS u ON u.session_id = p.spid AND u.is_user_process = 1
 WHERE p.spid <> @@SPID AND @id IS NOT NULL
   AND (p.dbid = @id OR EXISTS (SELECT 1 FROM sys.dm_tran_locks AS l
         WHERE l.resource_type = N'DATABASE' AND l.resource_database_id = @id AND l.request_session_id = p.spid));

SELECT DISTINCT CONVERT(int, r.session_id) AS restoring_session, r.command, CONVERT(int, r.percent_complete) AS per_cent
  FROM sys.dm_exec_requests AS r JOIN sys.dm_tran_locks AS l ON l.request_session_id = r.session_id
 WHERE l.resource_type = N'DATABASE' AND l.resource_database_id = @id AND (r.command LIKE N'RESTORE%' OR r.command LIKE N'BACKUP%');

SELECT e.name AS property, CONVERT(nvarchar(3750), e.value) AS text FROM master.sys.extended_properties AS e
 WHERE e.class = 0 AND e.name IN (@lock + N'/owner', @lock + N'/journal', @lock + N'/silence');

SELECT (SELECT COUNT(*) FROM sys.sysprocesses AS a WHERE a.program_name LIKE N'SQLAgent%') AS agent_sessions,
       CONVERT(int, SERVERPROPERTY(N'EngineEdition')) AS engine_edition, HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') AS sees_sessions,
       HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION') AS sees_endpoints;

SELECT e.name AS endpoint_name, e.state AS endpoint_state, e.state_desc AS endpoint_state_desc, e.role AS endpoint_role
  FROM sys.database_mirroring_endpoints AS e;

IF DB_NAME() = N'master' AND IS_SRVROLEMEMBER(N'sysadmin') = 1 SET @free = APPLOCK_TEST(N'db_owner', @lock, N'Exclusive', N'Session');
SELECT CASE WHEN a.sessions = 1 THEN a.session_id END AS lock_session, CASE WHEN a.sessions = 1 THEN a.host_name END AS host_name,
       CASE WHEN a.sessions = 1 THEN a.program_name END AS program_name, CASE WHEN a.sessions = 1 THEN a.login_name END AS login_name
  FROM (SELECT COUNT(DISTINCT s.session_id) AS sessions, MIN(CONVERT(int, s.session_id)) AS session_id, MIN(s.host_name) AS host_name,
               MIN(s.program_name) AS program_name, MIN(s.login_name) AS login_name
          FROM sys.dm_tran_locks AS l JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id
         WHERE l.resource_type = N'APPLICATION' AND l.resource_database_id = DB_ID(N'master') AND l.request_status = N'GRANT'
           AND CHARINDEX(N':[' + LEFT(@lock, 32) + N']:', l.resource_description) > 0 AND s.session_id <> @@SPID) AS a
 WHERE @free = 0 OR (@free IS NULL AND a.sessions > 0);
";

/// Reads everything that the planner wants of an instance.
///
/// Whether another session holds the pool's lock, the lock itself is asked: `sys.dm_tran_locks` shows the first 32 characters of its name
/// and a hash, so that locks of databases whose names begin alike can't be told apart there. That view only says who it is, where one
/// session alone comes into question. APPLOCK_TEST is for members of `db_owner`, which every sysadmin is in `master`; for others the view
/// has to do.
///
/// SQL Server Agent is known by the sessions that it always has: the name of
/// its service is a localised one, and `sys.dm_server_services` is not in 2008 R2 before SP1.
pub fn state(database: &str) -> Batch {
    Batch::new("State").expecting(Bounds::STATE).with("db", "sysname", database).then(STATE)
}
