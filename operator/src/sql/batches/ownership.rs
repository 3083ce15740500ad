//! Becoming the one owner of a transition, showing that the owner lives or is over, closing the transition, and holding the
//! pool's lock for a cmdlet.

use pchat_planner::journal::Epoch;

use super::guard::{
    DROP_OWNER, ENDED, MARK, OVER_THE_LAST, REMARK, UNLOCK, WRITE_TRANSITION, Warrant, with_transition,
};
use super::{Batch, silence};

/// What a release claims is seen under its own lock: the look that it was planned from may be older than a late request of ours.
/// Called off, a copy that waits for log has both jobs enabled; closed, the database serves and nothing ships to it any more.
const AS_CLAIMED: &str = r#"
IF CHARINDEX(N',"phase":"CalledOff",', @transition) > 0
BEGIN
  SELECT TOP (1) @m = LEFT(ISNULL(j.name, N'without a name'), 300) FROM msdb.dbo.log_shipping_secondary_databases AS d
    JOIN msdb.dbo.log_shipping_secondary AS s ON CASE WHEN s.secondary_id <> d.secondary_id THEN 0 ELSE 1 END = 1
    JOIN msdb.dbo.sysjobs AS j ON CASE WHEN j.job_id <> s.copy_job_id AND j.job_id <> s.restore_job_id THEN 0 ELSE 1 END = 1
   WHERE CASE WHEN d.secondary_database <> @db OR j.enabled = 1 THEN 0 ELSE 1 END = 1
     AND NOT EXISTS (SELECT 1 FROM sys.databases AS x WHERE x.name = @db AND x.state = 0 AND ISNULL(x.is_in_standby, 0) = 0);
  IF @m IS NOT NULL BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|job %s is disabled', 16, 20, @m); RETURN; END;
END;
IF CHARINDEX(N',"phase":"Closed",', @transition) > 0
BEGIN
  IF NOT EXISTS (SELECT 1 FROM sys.databases AS d WHERE d.name = @db AND d.state = 0 AND d.is_in_standby = 0)
  BEGIN RAISERROR(N'PCHAT|STATE|%s is not ONLINE', 16, 15, @db); RETURN; END;
  SELECT @n = COUNT(*) FROM msdb.dbo.log_shipping_secondary_databases AS d
   WHERE CASE WHEN d.secondary_database <> @db THEN 0 ELSE 1 END = 1;
  IF @n > 0 BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|log shipping of %s is still registered', 16, 20, @db); RETURN; END;
END;
IF @transition NOT LIKE N'%,"phase":"Closed",%' AND @transition NOT LIKE N'%,"phase":"CalledOff",%'
BEGIN RAISERROR(N'PCHAT|STATE|the transition of %s would stay open without an owner', 16, 15, @db); RETURN; END;
"#;

/// Compare-and-swap of the owner's token, and the transition as it is to stand.
pub fn take(warrant: &Warrant, expected: Option<&Epoch>, transition: &str) -> Batch {
    warrant
        .swapping("TakeOwnership", expected, |b| with_transition(b, transition))
        .then(OVER_THE_LAST)
        .then(MARK)
        .then(WRITE_TRANSITION)
        .then("SELECT @now AS now_utc;")
        .then(UNLOCK)
}

/// Renews the mark, and changes nothing else: its run waits, and lives.
pub fn renew(warrant: &Warrant) -> Batch {
    warrant.guarded("RenewMark", |b| b).then(MARK).then("SELECT @now AS now_utc;").then(UNLOCK)
}

/// Writes that the run is over, which has ended before its transition did.
pub fn end(warrant: &Warrant) -> Batch {
    warrant.guarded("EndRun", |b| b).then(ENDED).then("SELECT @now AS now_utc;").then(UNLOCK)
}

/// Closes the transition and removes the owner.
pub fn release(warrant: &Warrant, transition: &str) -> Batch {
    release_with(warrant, transition, "")
}

/// The same where the pool has moved: what was seen of the side that it left is over, too.
pub fn release_delivered(warrant: &Warrant, transition: &str) -> Batch {
    release_with(warrant, transition, silence::DROP)
}

fn release_with(warrant: &Warrant, transition: &str, more: &str) -> Batch {
    warrant
        .guarded("ReleaseOwnership", |b| with_transition(b, transition))
        .then(AS_CLAIMED)
        .then(OVER_THE_LAST)
        .then(WRITE_TRANSITION)
        .then(more)
        .then(DROP_OWNER)
        .then("SELECT @now AS now_utc;")
        .then(UNLOCK)
}

/// Takes the pool's lock and keeps it until [`free`], or for as long as the connection lives. A cmdlet has no guard of its own:
/// this narrows, and cannot close, the window in which another executor acts beside it.
pub fn hold(warrant: &Warrant) -> Batch {
    warrant.guarded("HoldPoolLock", |b| b).then(MARK).then("SELECT @now AS now_utc;")
}

/// Whether the connection still holds the lock and the run still owns the pool; then the lock is freed.
pub fn free(warrant: &Warrant) -> Batch {
    Batch::new("FreePoolLock")
        .with("db", "sysname", warrant.database.as_str())
        .with("epoch", "nvarchar(64)", warrant.epoch.0.as_str())
        .with("executor", "nvarchar(400)", super::guard::json_text(&warrant.executor).as_str())
        .then(
            r#"
DECLARE @lock nvarchar(255), @owner sysname, @head nvarchar(100), @mark nvarchar(1000), @now datetime2(3);
SELECT @lock = N'persistentchat.io/' + d.name FROM sys.databases AS d WHERE d.name = @db;
SET @owner = @lock + N'/owner';
SET @head = N'{"epoch":"' + @epoch + N'",';
SELECT APPLOCK_MODE(N'db_owner', @lock, N'Session') AS mode,
       (SELECT COUNT(*) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @owner
           AND LEFT(CONVERT(nvarchar(3700), e.value), LEN(@head)) = @head) AS owned;
SELECT @mark = CONVERT(nvarchar(1000), e.value) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @owner
   AND LEFT(CONVERT(nvarchar(3700), e.value), LEN(@head)) = @head AND APPLOCK_MODE(N'db_owner', @lock, N'Session') = N'Exclusive';
"#,
        )
        .then(REMARK)
        .then(UNLOCK)
}
