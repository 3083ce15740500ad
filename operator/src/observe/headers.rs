//! Headers of backups: which to ask for, many in one round trip, and what each answer makes of its file.
//!
//! Torn, in use, gone and unknown are four different facts. A header that was read whole is kept: log
//! shipping writes a file once. Everything else is asked again at each look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use pchat_planner::facts::{BackupKind, BackupSet, Header};

use crate::sql::batches::files::{MOST_HEADERS, headers as headers_batch};
use crate::sql::connection::{Answer, Connection, ServerError};
use crate::sql::explain::{FileFault, explain, file_fault};
use crate::sql::rows::{Misread, Record, if_told};

/// Files this much older than the last one restored are not asked for. Their names tell it: two producers
/// share a directory, and a day is more than their clocks can be apart.
const LONG_APPLIED_S: i64 = 24 * 3600;

/// Headers by path, and since when a torn file has been found unchanged.
#[derive(Debug, Default)]
pub struct Cache {
    read: HashMap<String, Arc<[BackupSet]>>,
    torn: HashMap<String, (String, Timestamp)>,
}

impl Cache {
    /// Forgets files that are no longer there: under the same name something else may come.
    pub fn retain(&mut self, directory: &str, names: &[String]) {
        let present: std::collections::HashSet<String> = names.iter().map(|n| path(directory, n)).collect();
        let gone = |p: &String| parent(p) == trimmed(directory) && !present.contains(p);
        self.read.retain(|p, _| !gone(p));
        self.torn.retain(|p, _| !gone(p));
    }

    /// Keeps these sets, which somebody else holds, too, for a path that was read.
    pub fn keep(&mut self, path: String, sets: &Arc<[BackupSet]>) {
        self.read.insert(path, Arc::clone(sets));
    }

    fn judge(&mut self, path: &str, verdict: Verdict, at: Timestamp) -> Option<Header> {
        if let Verdict::Torn(what) = verdict {
            let (known, since) = self.torn.get(path).cloned().unwrap_or_else(|| (what.clone(), at));
            let since = if known == what { since } else { at };
            self.torn.insert(path.to_owned(), (what.clone(), since));
            return Some(Header::Torn { what, since });
        }
        self.torn.remove(path);
        match verdict {
            Verdict::Read(sets) => {
                let sets: Arc<[BackupSet]> = sets.into();
                self.read.insert(path.to_owned(), Arc::clone(&sets));
                Some(Header::Read(sets))
            }
            Verdict::InUse => Some(Header::InUse),
            Verdict::Unknown(why) => Some(Header::Unknown(why)),
            Verdict::Gone | Verdict::Torn(_) => None,
        }
    }
}

enum Verdict {
    Read(Vec<BackupSet>),
    Torn(String),
    InUse,
    Gone,
    Unknown(String),
}

/// `directory\name`, as the planner joins them too.
pub fn path(directory: &str, name: &str) -> String {
    format!("{}\\{name}", trimmed(directory))
}

fn trimmed(directory: &str) -> &str {
    directory.trim_end_matches(['\\', '/'])
}

fn parent(path: &str) -> &str {
    path.rsplit_once('\\').map_or("", |(directory, _)| directory)
}

/// Whether a name lies long before that of the last file restored. Only names that log shipping gives
/// (`<database>_yyyymmddhhmmss.trn`) can be told apart so.
pub fn long_applied(name: &str, last_restored: Option<&str>) -> bool {
    let (Some(this), Some(last)) = (stamp(name), last_restored.and_then(stamp)) else { return false };
    last.duration_since(this).as_secs() > LONG_APPLIED_S
}

fn stamp(name: &str) -> Option<Timestamp> {
    let base = name.rsplit(['\\', '/']).next()?;
    let stem = base.get(..base.len().checked_sub(4)?)?;
    let digits = stem.get(stem.len().checked_sub(14)?..)?;
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// Reads the headers of these files of one directory, as far as they are not known. What a broken or hung
/// connection leaves open is unknown.
pub async fn read_all(
    connection: &mut Connection,
    directory: &str,
    names: &[String],
    cache: &mut Cache,
    within: Duration,
) -> Vec<(String, Option<Header>)> {
    let at = Timestamp::now();
    let mut out = Vec::with_capacity(names.len());
    let mut asked = Vec::new();
    for name in names {
        match cache.read.get(&path(directory, name)) {
            Some(sets) => out.push((name.clone(), Some(Header::Read(Arc::clone(sets))))),
            None => asked.push(name.clone()),
        }
    }
    let mut alone = Vec::new();
    for chunk in asked.chunks(MOST_HEADERS) {
        for (name, verdict) in read_some(connection, directory, chunk, within).await {
            match verdict {
                Some(verdict) => {
                    let header = cache.judge(&path(directory, &name), verdict, at);
                    out.push((name, header));
                }
                None => alone.push(name),
            }
        }
    }
    // Only the first error of an answer is told; who failed with another one is asked again by himself.
    for name in alone {
        let mut verdicts = read_some(connection, directory, std::slice::from_ref(&name), within).await;
        let verdict = verdicts.pop().and_then(|(_, v)| v);
        let verdict = verdict.unwrap_or_else(|| Verdict::Unknown("the server told no reason".into()));
        let header = cache.judge(&path(directory, &name), verdict, at);
        out.push((name, header));
    }
    out
}

/// One round trip. `None`: it failed, and the answer does not tell why.
async fn read_some(
    connection: &mut Connection,
    directory: &str,
    names: &[String],
    within: Duration,
) -> Vec<(String, Option<Verdict>)> {
    let all = |verdict: &dyn Fn() -> Verdict| names.iter().map(|n| (n.clone(), Some(verdict()))).collect();
    let paths: Vec<String> = names.iter().map(|n| path(directory, n)).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    match connection.ask(&headers_batch(&paths), within).await {
        Ok(answer) => match sort_out(&answer, names.len()) {
            Ok(verdicts) => names.iter().cloned().zip(verdicts).collect(),
            Err(misread) => {
                all(&|| Verdict::Unknown(format!("its header has an unexpected form ({misread})")))
            }
        },
        Err(lost) => all(&|| Verdict::Unknown(format!("its header was not read: {lost}"))),
    }
}

/// Puts sets, markers and the first error of an answer together.
fn sort_out(answer: &Answer, files: usize) -> Result<Vec<Option<Verdict>>, Misread> {
    let mut verdicts: Vec<Option<Verdict>> = (0..files).map(|_| None).collect();
    let mut open: Option<(usize, Option<&[Record]>)> = None;
    let mut first_failed = None;
    for set in &answer.sets {
        if set.has("opens") {
            let row = set.rows().first().ok_or_else(|| Misread::new("opens", "no row"))?;
            open = usize::try_from(row.need_int("opens")?).ok().filter(|k| *k < files).map(|k| (k, None));
        } else if set.has("closes") {
            let row = set.rows().first().ok_or_else(|| Misread::new("closes", "no row"))?;
            let failed = row.need_int("err")? != 0;
            let Some((k, rows)) = open.take() else { continue };
            if failed {
                first_failed.get_or_insert(k);
            } else {
                verdicts[k] = Some(sets(rows.unwrap_or_default())?);
            }
        } else if let Some((_, rows)) = &mut open {
            *rows = Some(set.rows());
        }
    }
    // The batch may also have ended in the middle of a file.
    let first_failed = first_failed.or_else(|| open.map(|(k, _)| k));
    if let Some(error) = &answer.error {
        let at = first_failed.or_else(|| (files == 1).then_some(0));
        if let Some(k) = at.filter(|k| verdicts[*k].is_none()) {
            verdicts[k] = Some(fault(error));
        }
    }
    Ok(verdicts)
}

fn fault(error: &ServerError) -> Verdict {
    let told = explain(error);
    match file_fault(error) {
        Some(FileFault::Torn) => Verdict::Torn(told.what),
        Some(FileFault::InUse) => Verdict::InUse,
        Some(FileFault::Gone) => Verdict::Gone,
        Some(FileFault::Unknown) | None => Verdict::Unknown(format!("{} {}", told.what, told.remedy)),
    }
}

fn sets(rows: &[Record]) -> Result<Verdict, Misread> {
    let mut sets = Vec::with_capacity(rows.len());
    for row in rows {
        match set(row) {
            Ok(Some(set)) => sets.push(set),
            Ok(None) => return Ok(Verdict::Torn("the backup is unfinished (no LSNs in its header)".into())),
            // It may be whole: one column that is not told makes this file unknown, and neither torn nor the others.
            Err(misread) => return Ok(Verdict::Unknown(format!("its header does not tell all ({misread})"))),
        }
    }
    if sets.is_empty() {
        return Ok(Verdict::Torn("the file holds no backup".into()));
    }
    Ok(Verdict::Read(sets))
}

/// `None`: unfinished. A row without error whose LSNs are NULL, named `*** INCOMPLETE ***`.
fn set(row: &Record) -> Result<Option<BackupSet>, Misread> {
    let (first_lsn, last_lsn) = (row.lsn("FirstLSN")?, row.lsn("LastLSN")?);
    let unfinished = if_told(row.text("BackupName")).is_some_and(|name| name == "*** INCOMPLETE ***");
    if unfinished || (first_lsn.is_none() && last_lsn.is_none()) {
        return Ok(None);
    }
    fn told<T>(column: &str, value: Option<T>) -> Result<T, Misread> {
        value.ok_or_else(|| Misread::new(column, "is NULL"))
    }
    let (first_lsn, last_lsn) = (told("FirstLSN", first_lsn)?, told("LastLSN", last_lsn)?);
    let started = told("BackupStartDate", row.wall_clock("BackupStartDate")?)?;
    let finished = told("BackupFinishDate", row.wall_clock("BackupFinishDate")?)?;
    Ok(Some(BackupSet {
        // Documented to be NULL at times; it only tells sets apart.
        id: if_told(row.guid("BackupSetGUID")).unwrap_or_default(),
        position: u16::try_from(row.need_int("Position")?)
            .map_err(|_| Misread::new("Position", "is out of range"))?,
        kind: match row.need_int("BackupType")? {
            2 => BackupKind::Log,
            1 => BackupKind::Full,
            other => BackupKind::Other(u8::try_from(other).unwrap_or(u8::MAX)),
        },
        database: row.need_text("DatabaseName")?,
        family: row.need_guid("FamilyGUID")?,
        first_lsn,
        last_lsn,
        first_fork: row
            .fork("FirstRecoveryForkID")?
            .ok_or_else(|| Misread::new("FirstRecoveryForkID", "is NULL"))?,
        fork: row.fork("RecoveryForkID")?.ok_or_else(|| Misread::new("RecoveryForkID", "is NULL"))?,
        fork_point: row.lsn("ForkPointLSN")?,
        started,
        finished,
        server: if_told(row.text("ServerName")).unwrap_or_else(|| "an unnamed server".to_owned()),
        size: if_told(row.int("BackupSize")).and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_log_shipping_a_day_before_the_last_restored_are_skipped() {
        let last = Some(r"D:\copy\mgc_20261122234107.trn");
        assert!(long_applied("mgc_20261121234106.trn", last));
        assert!(!long_applied("mgc_20261121234107.trn", last));
        assert!(!long_applied("mgc_20261123000000.trn", last));
        assert!(!long_applied("tail.trn", last));
        assert!(!long_applied("ü_2026112123410.trn", last));
        assert!(!long_applied("mgc_20261101000000.trn", None));
    }

    #[test]
    fn a_torn_file_is_torn_since_it_was_first_found_so() {
        let mut cache = Cache::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let torn = |what: &str| Verdict::Torn(what.into());
        let since = |h: Option<Header>| match h {
            Some(Header::Torn { since, .. }) => since,
            other => panic!("{other:?}"),
        };
        assert_eq!(since(cache.judge(r"s\a.trn", torn("3241"), at(1))), at(1));
        assert_eq!(since(cache.judge(r"s\a.trn", torn("3241"), at(9))), at(1));
        assert_eq!(since(cache.judge(r"s\a.trn", torn("unfinished"), at(12))), at(12));
        cache.judge(r"s\a.trn", Verdict::InUse, at(13));
        assert_eq!(since(cache.judge(r"s\a.trn", torn("unfinished"), at(14))), at(14));
        cache.retain("s", &[]);
        assert_eq!(since(cache.judge(r"s\a.trn", torn("unfinished"), at(20))), at(20));
    }
}
