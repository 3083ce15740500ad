//! Becoming the one owner of a transition, closing it, and holding the pool's lock for a cmdlet.

use pchat_planner::journal::Epoch;

use super::guard::{DROP_OWNER, MARK, OVER_THE_LAST, UNLOCK, WRITE_TRANSITION, Warrant, with_transition};
use super::{Batch, silence};

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
        .then(
            r#"
DECLARE @lock nvarchar(255), @owner sysname, @head nvarchar(100);
SELECT @lock = N'persistentchat.io/' + d.name FROM sys.databases AS d WHERE d.name = @db;
SET @owner = @lock + N'/owner';
SET @head = N'{"epoch":"' + @epoch + N'",';
SELECT APPLOCK_MODE(N'db_owner', @lock, N'Session') AS mode,
       (SELECT COUNT(*) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @owner
           AND LEFT(CONVERT(nvarchar(3700), e.value), LEN(@head)) = @head) AS owned;
"#,
        )
        .then(UNLOCK)
}
