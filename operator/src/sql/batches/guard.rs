//! What every mutating batch checks at the far end before it does anything, and the journal's two
//! properties.
//!
//! The order matters: first the lock, then the expiry, then the owner, then the state. What was checked
//! before waiting is worth nothing. The lock is an application lock in `master`, named after the database as
//! `sys.databases` spells it (`sp_getapplock` compares binary: `MGC` and `mgc` would be two locks), and
//! nobody waits for it: a second executor must not queue a mutation behind a restore of 40 minutes. It belongs to
//! `db_owner` of `master`, which only administrators are: under `public` any login could hold the pool up with it.
//!
//! A check refuses on NULL. No parameter may be NULL (what may be absent travels as an empty text), and what is compared with
//! a column is worded so that only a true comparison passes: `IF a <> b` lets a NULL through. What must not be there counts as there
//! until a comparison is true that says otherwise: `CASE WHEN a <> b THEN 0 ELSE 1 END = 1`.
//!
//! `RAISERROR` does not end a batch, so each is followed by RETURN; its arguments must be variables; names
//! never stand in its format, where a `%` would count.

use pchat_planner::journal::{Epoch, Transition};

use super::{Batch, Param};

/// Said aloud at the head of each batch: the defaults of driver and login are not known.
pub const SESSION: &str = "SET NOCOUNT ON; SET XACT_ABORT OFF; SET IMPLICIT_TRANSACTIONS OFF;\n";

/// Longest JSON of a transition, in UTF-16 units: an extended property holds 7,500 bytes.
pub const LONGEST_TRANSITION: usize = 3_700;

/// First half: right place, database there, lock taken. Declares what the rest uses.
pub const LOCK: &str = r"
DECLARE @lock nvarchar(255), @owner nvarchar(255), @story nvarchar(255), @held nvarchar(3700), @head nvarchar(100), @mark nvarchar(1000),
        @now datetime2(3), @rc int, @m nvarchar(400), @n int;
IF CASE WHEN DB_NAME() = N'master' AND @@TRANCOUNT = 0 THEN 1 ELSE 0 END = 0
BEGIN RAISERROR(N'PCHAT|CONTEXT|', 16, 10); RETURN; END;
SELECT @lock = N'persistentchat.io/' + d.name FROM sys.databases AS d WHERE d.name = @db;
IF @lock IS NULL BEGIN RAISERROR(N'PCHAT|NODB|%s', 16, 11, @db); RETURN; END;
SET @owner = @lock + N'/owner';
SET @story = @lock + N'/journal';
EXEC @rc = sys.sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'db_owner';
IF @rc IS NULL OR @rc < 0
BEGIN
  SELECT @n = COUNT(DISTINCT s.session_id), @m = MIN(N'session ' + CONVERT(nvarchar(12), s.session_id) + N' of '
         + ISNULL(s.program_name, N'an unknown program') + N' on ' + ISNULL(s.host_name, N'an unknown host') + N' holds the lock')
    FROM sys.dm_tran_locks AS l JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id
   WHERE l.resource_type = N'APPLICATION' AND l.request_status = N'GRANT'
     AND CHARINDEX(N':[' + LEFT(@lock, 32) + N']:', l.resource_description) > 0;
  IF @n > 1 SET @m = N'one of ' + CONVERT(nvarchar(12), @n) + N' sessions holds the lock; the server shows only the beginning of its name';
  IF @m IS NULL SET @m = N'sp_getapplock returned ' + ISNULL(CONVERT(nvarchar(12), @rc), N'nothing');
  SET @m = LEFT(@m, 300);
  RAISERROR(N'PCHAT|LOCKED|%s', 16, 12, @m); RETURN; END;
";

/// Second half: not too late by the far end's own clock; and who owns the pool.
pub const EXPIRY: &str = r"
SET @now = SYSUTCDATETIME();
IF CASE WHEN @now <= @not_after THEN 1 ELSE 0 END = 0
BEGIN SET @m = CONVERT(nvarchar(30), @now, 126); RAISERROR(N'PCHAT|EXPIRED|it is %s there', 16, 13, @m); RETURN; END;
SELECT @held = CONVERT(nvarchar(3700), e.value) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @owner;
";

/// The owner's token is this run's. `@head` is how the property begins while it is.
const OWNED: &str = r#"
SET @head = N'{"epoch":"' + @epoch + N'",';
IF CASE WHEN LEFT(@held, LEN(@head)) = @head THEN 1 ELSE 0 END = 0
BEGIN SET @m = LEFT(ISNULL(@held, N'nobody'), 300); RAISERROR(N'PCHAT|FENCED|%s', 16, 14, @m); RETURN; END;
"#;

/// The owner's token is what this run saw at its first look, or there was none (an empty text) and is none.
const SWAPPABLE: &str = r#"
SET @head = N'{"epoch":"' + @expected + N'",';
IF CASE WHEN @expected = N'' AND @held IS NULL THEN 1 WHEN @expected <> N'' AND LEFT(@held, LEN(@head)) = @head THEN 1 ELSE 0 END = 0
BEGIN SET @m = LEFT(ISNULL(@held, N'nobody'), 300); RAISERROR(N'PCHAT|FENCED|%s', 16, 14, @m); RETURN; END;
"#;

/// Writes the owner with a fresh mark. After the state checks: a refusal changes nothing. A late request of a run that is over does
/// not bring it to life again.
pub const MARK: &str = r#"
SET @mark = N'{"epoch":"' + @epoch + N'","executor":"' + @executor + N'","mark":"' + CONVERT(nvarchar(30), @now, 126)
          + CASE WHEN @held LIKE N'%,"ended":true}' AND CHARINDEX(N'{"epoch":"' + @epoch + N'",', @held) = 1 THEN N'Z","ended":true}' ELSE N'Z"}' END;
IF @held IS NULL EXEC master.sys.sp_addextendedproperty @name = @owner, @value = @mark;
ELSE EXEC master.sys.sp_updateextendedproperty @name = @owner, @value = @mark;
IF @@ERROR <> 0 RETURN;
"#;

/// What ends a batch that may have run for long: the mark is renewed when it is older than a sixth of the lapse. The lock, which
/// told until now that its owner lives, is freed next.
pub const REMARK: &str = r#"
SET @now = SYSUTCDATETIME();
IF SUBSTRING(@mark, CHARINDEX(N'","mark":"', @mark) + 10, 19) < CONVERT(nvarchar(19), DATEADD(SECOND, -20, @now), 126)
BEGIN
  SET @mark = N'{"epoch":"' + @epoch + N'","executor":"' + @executor + N'","mark":"' + CONVERT(nvarchar(30), @now, 126)
            + CASE WHEN @mark LIKE N'%,"ended":true}' THEN N'Z","ended":true}' ELSE N'Z"}' END;
  EXEC master.sys.sp_updateextendedproperty @name = @owner, @value = @mark;
END;
"#;

/// Writes beside the mark that its run is over: whoever comes next need not wait for the mark to lapse.
pub const ENDED: &str = r#"
SET @mark = N'{"epoch":"' + @epoch + N'","executor":"' + @executor + N'","mark":"' + CONVERT(nvarchar(30), @now, 126) + N'Z","ended":true}';
EXEC master.sys.sp_updateextendedproperty @name = @owner, @value = @mark;
IF @@ERROR <> 0 RETURN;
"#;

/// The transition stands at the far end as it was when this was planned: a delayed batch must not put back an older text, and
/// with it lose the recovery record. Before `MARK`, for a refusal changes nothing. Without a text before it (an empty one), none of
/// this transition may stand there.
pub const OVER_THE_LAST: &str = r"
DECLARE @was nvarchar(3700);
SELECT @was = CONVERT(nvarchar(3700), e.value) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @story;
IF CASE WHEN @before = N'' AND (@was IS NULL OR LEFT(@was, LEN(@same)) <> @same) THEN 1
        WHEN @before <> N'' AND LEFT(@was, LEN(@before)) = @before THEN 1 ELSE 0 END = 0
BEGIN RAISERROR(N'PCHAT|STATE|the transition of %s was written meanwhile', 16, 15, @db); RETURN; END;
";

/// Writes the transition and reads it back: what follows may destroy what it records.
pub const WRITE_TRANSITION: &str = r"
IF EXISTS (SELECT 1 FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @story)
     EXEC master.sys.sp_updateextendedproperty @name = @story, @value = @transition;
ELSE EXEC master.sys.sp_addextendedproperty @name = @story, @value = @transition;
IF @@ERROR <> 0 RETURN;
IF NOT EXISTS (SELECT 1 FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @story
    AND CONVERT(nvarchar(3700), e.value) = @transition AND DATALENGTH(CONVERT(nvarchar(3700), e.value)) = DATALENGTH(@transition))
BEGIN RAISERROR(N'PCHAT|EVIDENCE|the transition was written but does not read back', 16, 19); RETURN; END;
";

/// Removes the owner: no delayed batch of this run passes the epoch check any more.
pub const DROP_OWNER: &str = r"
EXEC master.sys.sp_dropextendedproperty @name = @owner;
IF @@ERROR <> 0 RETURN;
";

/// Last: frees the lock after success. After an error the connection is closed instead.
pub const UNLOCK: &str = r"
EXEC sys.sp_releaseapplock @Resource = @lock, @LockOwner = N'Session', @DbPrincipal = N'db_owner';
";

/// The database is waiting for log: RESTORING, or in STANDBY. Declares `@standby`.
pub const WAITS_FOR_LOG: &str = r"
DECLARE @state int, @standby bit;
SELECT @state = d.state, @standby = ISNULL(d.is_in_standby, 0) FROM sys.databases AS d WHERE d.name = @db;
IF @state IS NULL OR NOT (@state = 1 OR (@state = 0 AND @standby = 1))
BEGIN RAISERROR(N'PCHAT|STATE|%s is in state %d, neither RESTORING nor STANDBY', 16, 15, @db, @state); RETURN; END;
";

/// The database does not serve: what brings log shipping back would go on restoring into a recovered one.
pub const NOT_SERVING: &str = r"
IF NOT EXISTS (SELECT 1 FROM sys.databases AS d WHERE d.name = @db AND (d.state <> 0 OR d.is_in_standby = 1))
BEGIN RAISERROR(N'PCHAT|STATE|%s is ONLINE or does not tell its state', 16, 15, @db); RETURN; END;
";

/// The database serves: what is destroyed or closed next is of no use to a copy that waits for log.
pub const SERVES: &str = r"
IF NOT EXISTS (SELECT 1 FROM sys.databases AS d WHERE d.name = @db AND d.state = 0 AND d.is_in_standby = 0)
BEGIN RAISERROR(N'PCHAT|STATE|%s is not ONLINE', 16, 15, @db); RETURN; END;
";

/// It is not part of a mirroring session: its row, which every database has (sys.database_mirroring), tells nothing of one.
pub const NOT_MIRRORED: &str = r"
IF NOT EXISTS (SELECT 1 FROM sys.database_mirroring AS x
                WHERE x.database_id = DB_ID(@db) AND x.mirroring_guid IS NULL AND x.mirroring_role IS NULL AND x.mirroring_state IS NULL)
BEGIN RAISERROR(N'PCHAT|MIRRORED|%s', 16, 18, @db); RETURN; END;
";

/// No other session restores or backs it up: such a session holds the database lock.
pub const NOT_BUSY: &str = r"
SELECT @n = MIN(ISNULL(CONVERT(int, r.session_id), 0)) FROM sys.dm_exec_requests AS r
 WHERE CASE WHEN r.session_id = @@SPID OR (r.command NOT LIKE N'RESTORE%' AND r.command NOT LIKE N'BACKUP%') THEN 0 ELSE 1 END = 1
   AND EXISTS (SELECT 1 FROM sys.dm_tran_locks AS l WHERE CASE WHEN l.resource_type <> N'DATABASE' OR l.resource_database_id <> DB_ID(@db)
        OR l.request_session_id <> r.session_id THEN 0 ELSE 1 END = 1);
IF @n IS NOT NULL BEGIN RAISERROR(N'PCHAT|BUSY|session %d restores or backs up %s', 16, 17, @n, @db); RETURN; END;
";

/// It stands exactly where the plan begins. In STANDBY `redo_start_lsn` is NULL (sys.master_files: only while
/// RESTORING or RECOVERY_PENDING), and msdb's restore history tells; what is NULL there too is a refusal.
pub const STANDS_AT: &str = r"
DECLARE @lo numeric(25,0), @hi numeric(25,0), @forks int, @there binary(16), @blank int;
SET @blank = 0;
IF @state = 1
  SELECT @lo = MIN(f.redo_start_lsn), @hi = MAX(f.redo_start_lsn), @forks = COUNT(DISTINCT f.redo_start_fork_guid),
         @there = MIN(CONVERT(binary(16), f.redo_start_fork_guid)),
         @blank = SUM(CASE WHEN f.redo_start_lsn IS NULL OR f.redo_start_fork_guid IS NULL THEN 1 ELSE 0 END)
    FROM sys.master_files AS f WHERE f.database_id = DB_ID(@db) AND f.type = 0 AND f.state IN (1, 3);
ELSE
  SELECT TOP (1) @lo = b.last_lsn, @hi = b.last_lsn, @forks = 1, @there = CONVERT(binary(16), b.last_recovery_fork_guid)
    FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id
   WHERE h.destination_database_name = @db AND h.restore_type IN (N'L', N'D', N'I') ORDER BY h.restore_history_id DESC;
SET @m = ISNULL(CONVERT(nvarchar(40), @lo), N'an unknown LSN');
IF CASE WHEN @blank = 0 AND @lo = @redo AND @hi = @redo THEN 1 ELSE 0 END = 0 BEGIN RAISERROR(N'PCHAT|LSN|%s stands at %s', 16, 16, @db, @m); RETURN; END;
IF CASE WHEN @forks = 1 AND @there = CONVERT(binary(16), @fork) THEN 1 ELSE 0 END = 0 BEGIN RAISERROR(N'PCHAT|FORK|%s', 16, 26, @db); RETURN; END;
";

/// Nobody knows where it stands: it is in STANDBY, and msdb remembers no restore of it, or not enough of the last one. Whatever
/// tells a position is a refusal, for then that position is to be held against the plan.
pub const STANDS_NOWHERE: &str = r"
DECLARE @lo numeric(25,0);
SELECT TOP (1) @lo = CASE WHEN b.last_recovery_fork_guid IS NULL OR b.backup_start_date IS NULL THEN NULL ELSE b.last_lsn END
  FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id
 WHERE h.destination_database_name = @db AND h.restore_type IN (N'L', N'D', N'I') ORDER BY h.restore_history_id DESC;
SET @m = ISNULL(CONVERT(nvarchar(40), @lo), N'its own LSN');
IF @state IS NULL OR @state <> 0 OR @standby IS NULL OR @standby <> 1 OR @lo IS NOT NULL
BEGIN RAISERROR(N'PCHAT|LSN|%s stands at %s', 16, 16, @db, @m); RETURN; END;
";

/// Who asks, for which database, and until when the far end may start on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warrant {
    /// The chat database.
    pub database: String,
    /// The token of the owner that this run is.
    pub epoch: Epoch,
    /// Who it is, for a person.
    pub executor: String,
    /// In the far end's clock.
    pub not_after: jiff::Timestamp,
}

impl Warrant {
    fn open(&self, name: &'static str) -> Batch {
        Batch::new(name)
            .with("db", "sysname", self.database.as_str())
            .with("epoch", "nvarchar(64)", self.epoch.0.as_str())
            .with("executor", "nvarchar(400)", json_text(&self.executor).as_str())
            .with("not_after", "datetime2(3)", crate::sql::rows::datetime2(self.not_after).as_str())
    }

    /// A batch with the whole guard for the pool's owner. `parameters` adds the batch's own.
    pub fn guarded(&self, name: &'static str, parameters: impl FnOnce(Batch) -> Batch) -> Batch {
        parameters(self.open(name)).nothing_missing().then(LOCK).then(EXPIRY).then(OWNED)
    }

    /// As [`Warrant::guarded`], with `between` run under the lock, before the clock and the owner are read.
    pub fn guarded_after(
        &self,
        name: &'static str,
        parameters: impl FnOnce(Batch) -> Batch,
        between: &str,
    ) -> Batch {
        parameters(self.open(name)).nothing_missing().then(LOCK).then(between).then(EXPIRY).then(OWNED)
    }

    /// A batch of a run that need not own the pool.
    pub fn unowned(&self, name: &'static str, parameters: impl FnOnce(Batch) -> Batch) -> Batch {
        parameters(self.open(name)).nothing_missing().then(LOCK).then(EXPIRY)
    }

    /// A batch that becomes the owner in place of `expected`.
    pub fn swapping(
        &self,
        name: &'static str,
        expected: Option<&Epoch>,
        parameters: impl FnOnce(Batch) -> Batch,
    ) -> Batch {
        let batch = self.open(name).with("expected", "nvarchar(64)", expected.map_or("", |e| e.0.as_str()));
        parameters(batch).nothing_missing().then(LOCK).then(EXPIRY).then(SWAPPABLE)
    }
}

/// The transition as it will stand in the property.
///
/// # Errors
/// When it is longer than the property can hold; a record that was cut off would prove nothing.
pub fn transition_text(transition: &Transition) -> Result<String, String> {
    let text =
        serde_json::to_string(transition).map_err(|e| format!("the transition can't be written ({e})"))?;
    let length = text.encode_utf16().count();
    if length > LONGEST_TRANSITION {
        return Err(format!(
            "the record of the transition has {length} characters, an extended property takes {LONGEST_TRANSITION}; shorten the paths of share and folder"
        ));
    }
    Ok(text)
}

/// Adds the transition, and the heads by which [`OVER_THE_LAST`] knows the text that it is written over.
pub(super) fn with_transition(batch: Batch, text: &str) -> Batch {
    let (same, before) = heads(text);
    batch
        .with("transition", "nvarchar(3700)", Param::from(text))
        .with("same", "nvarchar(100)", same.as_str())
        .with("before", "nvarchar(100)", before.as_deref().unwrap_or_default())
}

/// How every text of the same transition begins, and how the one before this begins, if there must be one.
fn heads(text: &str) -> (String, Option<String>) {
    let Some(end) = text.find(',') else { return (text.chars().take(90).collect(), None) };
    let same = text[..=end].to_owned();
    let number = text[end + 1..].strip_prefix("\"rev\":").and_then(|rest| rest.split([',', '}']).next());
    let before = number.and_then(|n| n.parse::<u32>().ok()).and_then(|n| n.checked_sub(1));
    let before = before.map(|n| format!("{same}\"rev\":{n},"));
    (same, before)
}

/// A text as it stands between the quotes of a JSON string, cut to what a mark needs.
pub(super) fn json_text(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
    let quoted = serde_json::Value::String(short).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_properties_of_the_longest_database_fit_into_sysname() {
        let behind =
            LOCK.split("N'").filter_map(|text| text.split('\'').next()).filter(|text| text.starts_with('/'));
        for name in behind.map(|behind| format!("persistentchat.io/{}{behind}", "n".repeat(100))) {
            assert!(name.len() <= 128, "{name} has {}", name.len());
        }
    }

    #[test]
    fn a_text_names_the_one_that_it_is_written_over() {
        let of = |rev: u32| heads(&format!(r#"{{"id":"7f","rev":{rev},"intent":"backup"}}"#));
        assert_eq!(of(0), (r#"{"id":"7f","#.to_owned(), None));
        assert_eq!(of(10), (r#"{"id":"7f","#.to_owned(), Some(r#"{"id":"7f","rev":9,"#.to_owned())));
    }

    #[test]
    fn a_transition_begins_with_its_id_and_number() {
        let transition: Transition = serde_json::from_str(
            r#"{"id":"00000000-0000-0000-0000-00000000007a","rev":3,"intent":"backup","phase":"Open","opened":"2026-11-22T23:00:00Z"}"#,
        )
        .unwrap();
        let text = transition_text(&transition).unwrap();
        assert!(text.starts_with(r#"{"id":"00000000-0000-0000-0000-00000000007a","rev":3,"#), "{text}");
    }
}
