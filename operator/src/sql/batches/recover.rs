//! The point of no return, and what may have to be mended right after it.

use pchat_planner::lsn::Position;
use pchat_planner::pool::LogSource;

use super::guard::{
    MARK, NOT_BUSY, NOT_MIRRORED, OVER_THE_LAST, REMARK, STANDS_AT, UNLOCK, WAITS_FOR_LOG, WRITE_TRANSITION,
    Warrant, with_transition,
};
use super::sessions::END_SESSIONS;
use super::{Batch, at_position};

/// Share and folder are listed again under the lock. It may take a minute on a dead share, so the clock and
/// the owner are read after it. One that fails proves nothing, and its error does not end the batch.
const LIST_AGAIN: &str = r"
DECLARE @shared TABLE (name nvarchar(512) NOT NULL, depth int NOT NULL, is_file int NOT NULL);
DECLARE @copied TABLE (name nvarchar(512) NOT NULL, depth int NOT NULL, is_file int NOT NULL);
INSERT INTO @shared (name, depth, is_file) EXEC master.sys.xp_dirtree @share, 1, 1;
IF @@ERROR <> 0 RETURN;
INSERT INTO @copied (name, depth, is_file) EXEC master.sys.xp_dirtree @folder, 1, 1;
IF @@ERROR <> 0 RETURN;
";

/// Nothing is there that was not judged, whatever its name (but a copy on its way of a file that was), and the listing of the share
/// works: an empty one proves nothing, and neither does the folder, where copies outlive the share. `@must` is empty where no file has
/// to be there.
const NOTHING_NEW: &str = r"
IF @must <> N'' AND NOT EXISTS (SELECT 1 FROM @shared AS t WHERE t.is_file = 1 AND t.name = @must)
BEGIN SET @m = LEFT(@must, 300); RAISERROR(N'PCHAT|NOTLAST|the share no longer shows %s', 16, 25, @m); RETURN; END;
SET @m = NULL;
SELECT TOP (1) @m = LEFT(t.name, 300) FROM (SELECT name, is_file FROM @shared UNION ALL SELECT name, is_file FROM @copied) AS t
 WHERE t.is_file = 1 AND ISNULL(CHARINDEX(N'/' + t.name + N'/', @known), 0) = 0
   AND NOT (t.name LIKE N'%.wrk' AND CHARINDEX(N'/' + LEFT(t.name, LEN(t.name) - 4) + N'.trn/', @known) > 0);
IF @m IS NOT NULL BEGIN RAISERROR(N'PCHAT|NOTLAST|%s was not there when this was planned', 16, 25, @m); RETURN; END;
";

/// Log shipping would go on restoring what this makes impossible.
const LOG_SHIPPING_QUIET: &str = r"
IF EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases AS d
             JOIN msdb.dbo.log_shipping_secondary AS s ON CASE WHEN s.secondary_id <> d.secondary_id THEN 0 ELSE 1 END = 1
             JOIN msdb.dbo.sysjobs AS j ON CASE WHEN j.job_id <> s.restore_job_id THEN 0 ELSE 1 END = 1
            WHERE CASE WHEN d.secondary_database <> @db OR j.enabled = 0 THEN 0 ELSE 1 END = 1)
BEGIN RAISERROR(N'PCHAT|LOGSHIPPING|the restore job of %s is enabled', 16, 20, @db); RETURN; END;
";

/// Lists once more, journals the recovery point, recovers: in one batch.
///
/// Without the record written first, a lost reply would leave an ONLINE copy that nobody can vouch for.
/// `known` are all names that were judged, separated by `/`: the one character that no file system takes in a name. (A share on
/// Linux takes `|`, and two known names with one between them would vouch for a third.)
pub fn recover(
    warrant: &Warrant,
    at: Position,
    source: Option<&LogSource>,
    known: &[String],
    must: Option<&str>,
    transition: &str,
) -> Batch {
    let parameters = |b: Batch| {
        let b = with_transition(at_position(b, at), transition);
        let Some(source) = source else { return b };
        let mut list = String::from("/");
        for name in known.iter().filter(|name| !name.contains('/')) {
            list.push_str(name);
            list.push('/');
        }
        b.with("share", "nvarchar(500)", source.share.as_str())
            .with("folder", "nvarchar(500)", source.folder.as_str())
            .with("known", "nvarchar(max)", list.as_str())
            .with("must", "nvarchar(512)", must.unwrap_or_default())
    };
    let between = if source.is_some() { LIST_AGAIN } else { "" };
    let mut batch = warrant.guarded_after("RecoverDatabase", parameters, between);
    if source.is_some() {
        batch = batch.then(NOTHING_NEW);
    }
    batch
        .then(WAITS_FOR_LOG)
        .then(NOT_MIRRORED)
        .then(LOG_SHIPPING_QUIET)
        .then(NOT_BUSY)
        .then(STANDS_AT)
        .then(OVER_THE_LAST)
        .then(MARK)
        .then(WRITE_TRANSITION)
        .then("IF @standby = 1\nBEGIN")
        .then(END_SESSIONS)
        .then("END;")
        .then("RESTORE DATABASE @db WITH RECOVERY;\nIF @@ERROR <> 0 RETURN;")
        .then("SELECT d.state, d.is_in_standby, d.is_read_only, d.user_access FROM sys.databases AS d WHERE d.name = @db;")
        .then(REMARK)
        .then(UNLOCK)
}

/// SINGLE_USER and RESTRICTED_USER are logged and travel in the log, for example in a tail that was saved
/// by hand.
pub fn set_multi_user(warrant: &Warrant) -> Batch {
    warrant
        .guarded("SetMultiUser", |b| b)
        .then(
            r"
IF NOT EXISTS (SELECT 1 FROM sys.databases AS d WHERE d.name = @db AND d.state = 0 AND d.is_in_standby = 0 AND d.user_access <> 0)
BEGIN RAISERROR(N'PCHAT|STATE|%s is not ONLINE in SINGLE_USER or RESTRICTED_USER', 16, 15, @db); RETURN; END;
",
        )
        .then(MARK)
        .then(
            r"
DECLARE @sql nvarchar(400);
SET @sql = N'ALTER DATABASE ' + QUOTENAME(@db) + N' SET MULTI_USER WITH NO_WAIT';
EXEC (@sql);
IF @@ERROR <> 0 RETURN;
SELECT d.user_access FROM sys.databases AS d WHERE d.name = @db;
",
        )
        .then(UNLOCK)
}
