//! The lab's backup media: real files with headers, log records or pages, and an end mark.
//!
//! Answers for writing backup sets to a file and reading them back, and for telling apart the four ways
//! in which a file can be bad (not a backup, header cut off, set never finished, damaged). The format is
//! lines of JSON: one of the media, then per set a header, its content, and an end line with a check sum.
//! It must never repair: a reader gets exactly what a torn file still holds.

use super::database::{Record, Row};
use super::lsn::Lsn;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hasher};
use uuid::Uuid;

const MAGIC: &str = "PCHAT-LAB-MTF 1";

/// What kind of backup a set holds (`BackupType` of HEADERONLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A full database backup.
    Full,
    /// A transaction log backup.
    Log,
}

/// The header of one backup set: what `RESTORE HEADERONLY` tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    pub kind: Kind,
    pub name: Option<String>,
    pub description: Option<String>,
    pub set_guid: Uuid,
    pub user: String,
    pub server: String,
    pub machine: String,
    pub database: String,
    pub database_created: Timestamp,
    pub software: (i32, i32, i32),
    pub compatibility: u8,
    pub first: Lsn,
    pub last: Lsn,
    pub checkpoint: Lsn,
    pub database_backup: Lsn,
    /// By the clock of the server that made it, as the next one.
    pub started: Timestamp,
    pub finished: Timestamp,
    /// The zone in which that server's wall clock stood, in minutes.
    #[serde(default)]
    pub zone_min: i32,
    pub first_fork: Uuid,
    pub fork: Uuid,
    pub fork_point: Option<Lsn>,
    pub family: Uuid,
    pub binding: Uuid,
    pub recovery_model: String,
    pub single_user: bool,
    pub checksum: bool,
    pub copy_only: bool,
    pub force_offline: bool,
    pub begins_log_chain: bool,
    pub damaged: bool,
}

/// One backup set as found in a file.
#[derive(Clone, Debug)]
pub struct Set {
    /// Its header; of an unfinished set the server shows no more than its type and start.
    pub header: Header,
    /// Log records of a log backup, in LSN order.
    pub records: Vec<Record>,
    /// Rows of a full backup.
    pub rows: Vec<Row>,
    /// The end mark is missing: the backup was cut off while it was being written.
    pub incomplete: bool,
    /// The end mark is there and its check sum does not fit.
    pub corrupt: bool,
    /// Bytes of the set in the file.
    pub size: u64,
}

/// Why a file cannot be read as backup media at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing in it (message 3254).
    Empty,
    /// It starts as something else (3242).
    NotMedia,
    /// It starts right and ends within the first header (3241).
    Malformed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Set(Box<Header>),
    Rec(Record),
    Row(Row),
    End { check: String },
}

/// The text of one set, ready to be written; `new_media` puts the media line in front.
pub fn render(header: &Header, records: &[Record], rows: &[Row], new_media: bool) -> String {
    let mut body = String::new();
    let mut push = |line: &Line| {
        // Serialising plain structs of text and numbers cannot fail.
        if let Ok(text) = serde_json::to_string(line) {
            body.push_str(&text);
            body.push('\n');
        }
    };
    push(&Line::Set(Box::new(header.clone())));
    records.iter().for_each(|r| push(&Line::Rec(r.clone())));
    rows.iter().for_each(|r| push(&Line::Row(r.clone())));
    let check = check_of(body.as_bytes());
    let mut text = if new_media { format!("{MAGIC}\n") } else { String::new() };
    text.push_str(&body);
    if let Ok(end) = serde_json::to_string(&Line::End { check }) {
        text.push_str(&end);
        text.push('\n');
    }
    text
}

/// Reads all sets of a file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Set>, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    let text = String::from_utf8_lossy(bytes);
    if !text.starts_with(&MAGIC[..MAGIC.len().min(text.len())]) {
        return Err(Unreadable::NotMedia);
    }
    let mut sets: Vec<Set> = Vec::new();
    let mut open: Option<(Set, String)> = None;
    for line in text.split_inclusive('\n').skip(1) {
        // A line without its end, or half a JSON text, is where the writer died.
        let parsed = line.strip_suffix('\n').and_then(|l| serde_json::from_str::<Line>(l).ok());
        match (parsed, open.take()) {
            (Some(Line::Set(header)), before) => {
                sets.extend(before.map(|(set, _)| set));
                let set = Set {
                    header: *header,
                    records: vec![],
                    rows: vec![],
                    incomplete: true,
                    corrupt: false,
                    size: line.len() as u64,
                };
                open = Some((set, line.to_owned()));
            }
            (Some(Line::Rec(r)), Some((mut set, mut body))) => {
                set.records.push(r);
                set.size += line.len() as u64;
                body.push_str(line);
                open = Some((set, body));
            }
            (Some(Line::Row(r)), Some((mut set, mut body))) => {
                set.rows.push(r);
                set.size += line.len() as u64;
                body.push_str(line);
                open = Some((set, body));
            }
            (Some(Line::End { check }), Some((mut set, body))) => {
                set.incomplete = false;
                set.corrupt = check != check_of(body.as_bytes());
                sets.push(set);
            }
            (_, Some((mut set, _))) => {
                // Rubbish inside a set whose file goes on behind it is damage, at the end it is a torn file.
                set.corrupt = line.ends_with('\n');
                set.incomplete = !set.corrupt;
                sets.push(set);
                break;
            }
            (_, None) => break,
        }
    }
    sets.extend(open.map(|(set, _)| set));
    if sets.is_empty() { Err(Unreadable::Malformed) } else { Ok(sets) }
}

fn check_of(body: &[u8]) -> String {
    let mut h = DefaultHasher::new();
    h.write(body);
    format!("{:016x}", h.finish())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A log backup header from `first` to `last` on `fork`.
    pub fn header(first: Lsn, last: Lsn, fork: Uuid) -> Header {
        let t = Timestamp::UNIX_EPOCH;
        Header {
            kind: Kind::Log,
            name: Some("mgc log".into()),
            description: None,
            set_guid: Uuid::nil(),
            user: "sa".into(),
            server: r"SQL-TP1\PCHAT".into(),
            machine: "SQL-TP1".into(),
            database: "mgc".into(),
            database_created: t,
            software: (11, 0, 7001),
            compatibility: 110,
            first,
            last,
            checkpoint: first,
            database_backup: first,
            started: t,
            finished: t,
            zone_min: 0,
            first_fork: fork,
            fork,
            fork_point: None,
            family: Uuid::nil(),
            binding: Uuid::nil(),
            recovery_model: "FULL".into(),
            single_user: false,
            checksum: false,
            copy_only: false,
            force_offline: false,
            begins_log_chain: false,
            damaged: false,
        }
    }

    #[test]
    fn every_cut_of_a_file_is_told_apart_and_none_reads_as_whole() {
        let head = header(Lsn::new(41, 1), Lsn::new(41, 9), Uuid::nil());
        let text = render(&head, &[], &[], true);
        assert!(!parse(text.as_bytes()).expect("whole")[0].incomplete);
        for cut in 0..text.len() {
            match parse(&text.as_bytes()[..cut]) {
                Err(Unreadable::Empty) => assert_eq!(cut, 0),
                Err(_) => assert!(cut <= text.find("\n{\"end").expect("end") + 1),
                Ok(sets) => assert!(sets.iter().all(|s| s.incomplete), "cut at {cut} reads as whole"),
            }
        }
    }

    #[test]
    fn two_sets_in_one_file_keep_their_order_and_a_changed_byte_is_damage() {
        let (a, b) = (Lsn::new(41, 1), Lsn::new(41, 9));
        let first = render(&header(a, b, Uuid::nil()), &[], &[], true);
        let second = render(&header(b, b.plus(5), Uuid::nil()), &[], &[], false);
        let both = format!("{first}{second}");
        let sets = parse(both.as_bytes()).expect("readable");
        assert_eq!(sets.iter().map(|s| s.header.first).collect::<Vec<_>>(), [a, b]);
        let hurt = both.replacen("mgc log", "mgc lug", 1);
        assert!(parse(hurt.as_bytes()).expect("readable")[0].corrupt);
        assert_eq!(parse(b"MZ something else").unwrap_err(), Unreadable::NotMedia);
    }
}
