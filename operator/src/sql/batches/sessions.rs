//! Sessions: ending readers of a STANDBY copy, ending a restore of our own, watching one.

use super::Batch;
use super::guard::{MARK, NOT_BUSY, UNLOCK, WAITS_FOR_LOG, Warrant};

/// Ends every user session that is in the database or holds a lock on it. Runs only behind a state check
/// under the lock: a late copy of it must not end the users of a recovered database.
///
/// 6101 and 6106 mean that the session is gone already. KILL, unlike RESTORE, may stand in TRY/CATCH. It
/// takes a literal only, so the number is put together at the far end from an int.
pub const END_SESSIONS: &str = r"
DECLARE @spid int, @kill nvarchar(100), @why int, @until datetime2(3);
DECLARE @s TABLE (spid int NOT NULL);
INSERT INTO @s (spid)
SELECT DISTINCT p.spid FROM sys.sysprocesses AS p JOIN sys.dm_exec_sessions AS u ON u.session_id = p.spid AND u.is_user_process = 1
 WHERE p.spid <> @@SPID AND (p.dbid = DB_ID(@db) OR EXISTS (SELECT 1 FROM sys.dm_tran_locks AS l
        WHERE l.resource_type = N'DATABASE' AND l.resource_database_id = DB_ID(@db) AND l.request_session_id = p.spid));
SELECT @spid = MIN(s.spid) FROM @s AS s;
WHILE @spid IS NOT NULL
BEGIN
  SET @kill = N'KILL ' + CONVERT(nvarchar(11), @spid);
  BEGIN TRY EXEC (@kill); END TRY
  BEGIN CATCH
    SET @why = ERROR_NUMBER();
    IF @why NOT IN (6101, 6106) BEGIN RAISERROR(N'PCHAT|SESSIONS|KILL %d failed with error %d', 16, 21, @spid, @why); RETURN; END;
  END CATCH;
  SELECT @spid = MIN(s.spid) FROM @s AS s WHERE s.spid > @spid;
END;
SET @until = DATEADD(SECOND, 10, SYSUTCDATETIME());
WHILE SYSUTCDATETIME() < @until AND EXISTS (SELECT 1 FROM sys.sysprocesses AS p JOIN @s AS s ON s.spid = p.spid WHERE p.dbid = DB_ID(@db))
  WAITFOR DELAY '00:00:00.100';
";

/// Ends the reader sessions of a copy that still waits for log.
pub fn disconnect(warrant: &Warrant) -> Batch {
    warrant
        .guarded("DisconnectSessions", |b| b)
        .then(WAITS_FOR_LOG)
        .then(NOT_BUSY)
        .then(MARK)
        .then(END_SESSIONS)
        .then("SELECT COUNT(*) AS ended FROM @s;")
        .then("SELECT DISTINCT p.spid FROM sys.sysprocesses AS p WHERE p.dbid = DB_ID(@db) AND p.spid <> @@SPID;")
        .then(UNLOCK)
}

/// Who this connection is at the far end: number and login time name a session for good.
pub fn identity() -> Batch {
    Batch::new("Identity").then(
        "SELECT CONVERT(int, s.session_id) AS spid, CONVERT(nvarchar(30), s.login_time, 126) AS login_time \
         FROM sys.dm_exec_sessions AS s WHERE s.session_id = @@SPID;",
    )
}

/// Ends one session of this program, if it is still the same one. Numbers are used again.
pub fn kill_own(spid: i32, login_time: &str, program: &str) -> Batch {
    Batch::new("KillOwn")
        .with("spid", "int", spid)
        .with("since", "nvarchar(30)", login_time)
        .with("program", "nvarchar(128)", program)
        .then(
            r"
DECLARE @kill nvarchar(100), @n int;
SELECT @n = COUNT(*) FROM sys.dm_exec_sessions AS s
 WHERE s.session_id = @spid AND CONVERT(nvarchar(30), s.login_time, 126) = @since AND s.program_name = @program;
IF @n = 1
BEGIN
  SET @kill = N'KILL ' + CONVERT(nvarchar(11), @spid);
  EXEC (@kill);
END;
SELECT @n AS found;
",
        )
}

/// How far a restore is: the database's position, and per cent of the running statement.
pub fn progress(database: &str, spid: i32) -> Batch {
    Batch::new("Progress").with("db", "sysname", database).with("spid", "int", spid).then(
        r"
SELECT MIN(f.redo_start_lsn) AS redo_start_lsn FROM sys.master_files AS f WHERE f.database_id = DB_ID(@db) AND f.type = 0 AND f.state IN (1, 3);
SELECT CONVERT(nvarchar(32), r.command) AS command, CONVERT(int, r.percent_complete) AS per_cent FROM sys.dm_exec_requests AS r WHERE r.session_id = @spid;
",
    )
}
