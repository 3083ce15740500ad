//! Applying log backups.
//!
//! RESTORE is never inside TRY/CATCH (CATCH sees 3013 only) and its errors do not end the batch: each is
//! followed by a look at `@@ERROR`. What slips through the guard SQL Server refuses itself (4305 gap, 4326
//! already applied, 4330 fork), and none of these does harm.

use pchat_planner::lsn::Position;

use super::guard::{
    MARK, NOT_BUSY, NOT_MIRRORED, REMARK, STANDS_AT, STANDS_NOWHERE, UNLOCK, WAITS_FOR_LOG, Warrant,
};
use super::sessions::END_SESSIONS;
use super::{Batch, at_position};

/// Most files in one batch: parameters are limited to 2,100, and a mark is renewed between batches.
pub const MOST_FILES: usize = 64;

/// Restores these (path, position in the file) in order, beginning where the database stands.
///
/// The answer has one row `restored, redo_start_lsn, redo_start_lsn_max, fork` for each file that was
/// restored.
pub fn apply(warrant: &Warrant, from: Position, files: &[(&str, u16)]) -> Batch {
    let mut batch = warrant
        .guarded("ApplyLogs", |mut b| {
            b = at_position(b, from);
            for (k, (path, set)) in files.iter().enumerate() {
                b = b.with(&format!("file{k}"), "nvarchar(520)", *path).with(
                    &format!("set{k}"),
                    "int",
                    i32::from(*set),
                );
            }
            b
        })
        .then(WAITS_FOR_LOG)
        .then(NOT_MIRRORED)
        .then(NOT_BUSY)
        .then(STANDS_AT)
        .then(MARK)
        // Readers come back faster than two batches follow each other: in STANDBY they are ended right here.
        .then("IF @standby = 1\nBEGIN")
        .then(END_SESSIONS)
        .then("END;");
    for k in 0..files.len() {
        batch = batch.then(&restore_one(k));
    }
    batch.then(REMARK).then(UNLOCK)
}

fn restore_one(k: usize) -> String {
    format!(
        "RESTORE LOG @db FROM DISK = @file{k} WITH FILE = @set{k}, NORECOVERY;\n\
         IF @@ERROR <> 0 RETURN;\n\
         SELECT {k} AS restored, MIN(f.redo_start_lsn) AS redo_start_lsn, MAX(f.redo_start_lsn) AS redo_start_lsn_max, \
         MIN(CONVERT(nvarchar(36), f.redo_start_fork_guid)) AS fork \
         FROM sys.master_files AS f WHERE f.database_id = DB_ID(@db) AND f.type = 0 AND f.state IN (1, 3);"
    )
}

/// Tries one backup set on a STANDBY copy that stands nobody knows where: RESTORE refuses what does not continue it (4305, 4326).
/// The answer has the row of [`apply`] where it was restored.
pub fn find(warrant: &Warrant, path: &str, set: u16) -> Batch {
    let file = |b: Batch| b.with("file0", "nvarchar(520)", path).with("set0", "int", i32::from(set));
    nowhere(warrant, "FindPosition", file).then(&restore_one(0)).then(UNLOCK)
}

/// Takes a STANDBY copy that stands nobody knows where out of STANDBY: RESTORING, it tells its position. Nothing is applied and
/// nothing recovered (RESTORE without FROM needs RECOVERY, NORECOVERY or STANDBY to be said).
pub fn leave_standby(warrant: &Warrant) -> Batch {
    nowhere(warrant, "LeaveStandby", |b| b)
        .then("RESTORE DATABASE @db WITH NORECOVERY;\nIF @@ERROR <> 0 RETURN;")
        .then(UNLOCK)
}

fn nowhere(warrant: &Warrant, name: &'static str, parameters: impl FnOnce(Batch) -> Batch) -> Batch {
    warrant
        .guarded(name, parameters)
        .then(WAITS_FOR_LOG)
        .then(NOT_MIRRORED)
        .then(NOT_BUSY)
        .then(STANDS_NOWHERE)
        .then(MARK)
        .then(END_SESSIONS)
}
