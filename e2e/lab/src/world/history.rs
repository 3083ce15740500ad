//! msdb's record of backups and restores of one instance.
//!
//! Answers for `backupset`, `backupmediafamily` and `restorehistory`. It must note only what was done: a
//! recovery without a backup set leaves no row.

use super::backup_file::Header;
use jiff::Timestamp;
use serde::Serialize;

/// A backup set that this instance made or restored.
#[derive(Clone, Debug, Serialize)]
pub struct SetRow {
    pub id: i32,
    pub media: i32,
    pub position: i32,
    pub path: String,
    pub size: u64,
    pub header: Header,
}

/// A restore from a backup set.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreRow {
    pub id: i32,
    pub at: Timestamp,
    pub database: String,
    pub user: String,
    pub set: i32,
    pub kind: char,
    pub replace: bool,
    pub recovery: bool,
}

/// The history tables.
#[derive(Clone, Debug, Default, Serialize)]
pub struct History {
    pub sets: Vec<SetRow>,
    pub restores: Vec<RestoreRow>,
}

impl History {
    /// Notes a set by its guid and returns its `backup_set_id`.
    pub fn note_set(&mut self, header: &Header, path: &str, position: i32, size: u64) -> i32 {
        if let Some(known) = self.sets.iter().rev().find(|s| s.header.set_guid == header.set_guid) {
            return known.id;
        }
        let id = self.sets.len() as i32 + 1;
        let media = self.sets.iter().find(|s| s.path == path).map_or(id, |s| s.media);
        self.sets.push(SetRow { id, media, position, path: path.to_owned(), size, header: header.clone() });
        id
    }

    /// Notes a restore.
    pub fn note_restore(&mut self, mut row: RestoreRow) {
        row.id = self.restores.last().map_or(1, |r| r.id + 1);
        self.restores.push(row);
    }
}
