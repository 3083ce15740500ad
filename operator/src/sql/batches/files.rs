//! Looking at directories and at the headers of backups, through the server's own eyes: as its service
//! account, which is who will have to read them.

use super::Batch;
use crate::sql::bounded::Bounds;

/// Most headers asked for in one round trip.
pub const MOST_HEADERS: usize = 32;

/// Lists one directory. `xp_dirtree` gives no rows for a denied or dead path just as for an empty one;
/// `xp_fileexist` tells at least whether the directory is there.
///
/// First set: `is_directory`. Second: `name` of each file.
pub fn list(path: &str) -> Batch {
    Batch::new("ListDirectory").expecting(Bounds::LISTING).with("path", "nvarchar(500)", path).then(
        r"
DECLARE @exists TABLE (is_file int NULL, is_directory int NULL, parent_exists int NULL);
DECLARE @listed TABLE (name nvarchar(512) NOT NULL, depth int NOT NULL, is_file int NOT NULL);
INSERT INTO @exists (is_file, is_directory, parent_exists) EXEC master.sys.xp_fileexist @path;
INSERT INTO @listed (name, depth, is_file) EXEC master.sys.xp_dirtree @path, 1, 1;
SELECT e.is_directory FROM @exists AS e;
SELECT t.name FROM @listed AS t WHERE t.is_file = 1;
",
    )
}

/// Reads one backup set to its end without restoring it.
pub fn verify(path: &str, position: u16) -> Batch {
    Batch::new("VerifyBackup")
        .with("file", "nvarchar(520)", path)
        .with("set", "int", i32::from(position))
        .then("RESTORE VERIFYONLY FROM DISK = @file WITH FILE = @set;")
}

/// Reads the headers of these files. A RESTORE HEADERONLY that fails has no result set at all, so a marker
/// stands before and after each.
///
/// Sets: `opens` k, the header's, `closes` k with `err`; then the next.
pub fn headers(paths: &[&str]) -> Batch {
    let mut batch = Batch::new("ReadHeaders").expecting(Bounds::HEADERS);
    for (k, path) in paths.iter().enumerate() {
        batch = batch.with(&format!("file{k}"), "nvarchar(520)", *path);
    }
    for k in 0..paths.len() {
        batch = batch.then(&format!(
            "SELECT {k} AS opens;\nRESTORE HEADERONLY FROM DISK = @file{k};\nSELECT {k} AS closes, @@ERROR AS err;"
        ));
    }
    batch
}
