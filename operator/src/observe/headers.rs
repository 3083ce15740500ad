//! Headers of backups: which to ask for, many in one round trip, and what each answer makes of its file.
//!
//! Torn, in use, gone and unknown are four different facts. Every file is asked, whatever its name. A header that was read
//! whole is kept, for log shipping writes a file once; but files that may grow (a job that appends) are asked at each look, and
//! so is a file about which an action failed. Everything else is asked again at each look, torn files that have settled in turn.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::chain::TORN_STABLE;
use pchat_planner::facts::{BackupKind, BackupSet, Header};
use pchat_planner::lsn::Lsn;

use crate::sql::batches::files::{MOST_HEADERS, headers as headers_batch};
use crate::sql::connection::{Answer, Connection, ServerError};
use crate::sql::explain::{FileFault, explain, file_fault};
use crate::sql::rows::{Misread, Record, if_told};

/// Torn files that have settled and are asked again at one look: each failing header costs a round trip of its own, and there
/// may be as many as a job that fails leaves in a night.
const TORN_AGAIN: usize = 16;

/// Headers by path, and since when a torn file has been found unchanged.
#[derive(Debug, Default)]
pub struct Cache {
    read: HashMap<String, Arc<[BackupSet]>>,
    torn: HashMap<String, Torn>,
}

#[derive(Clone, Debug)]
struct Torn {
    what: String,
    /// The whole sets before it.
    sets: Arc<[BackupSet]>,
    since: Timestamp,
    asked: Timestamp,
}

impl Torn {
    fn header(&self) -> Header {
        let Torn { what, sets, since, .. } = self.clone();
        if sets.is_empty() { Header::Torn { what, since } } else { Header::Partly { sets, what, since } }
    }

    fn settled(&self, at: Timestamp) -> bool {
        at.duration_since(self.since) >= TORN_STABLE
    }
}

impl Cache {
    /// Forgets files that are no longer there: under the same name something else may come.
    pub fn retain(&mut self, directory: &str, names: &[String]) {
        let present: HashSet<String> = names.iter().map(|n| path(directory, n)).collect();
        let gone = |p: &String| parent(p) == trimmed(directory) && !present.contains(p);
        self.read.retain(|p, _| !gone(p));
        self.torn.retain(|p, _| !gone(p));
    }

    /// Keeps these sets, which somebody else holds, too, for a path that was read.
    pub fn keep(&mut self, path: String, sets: &Arc<[BackupSet]>) {
        self.read.insert(path, Arc::clone(sets));
    }

    /// Lets a path be asked anew: what is known of it may not be so.
    pub fn forget(&mut self, path: &str) {
        self.read.remove(path);
    }

    /// The set that was read at this position of a path.
    pub fn set_at(&self, path: &str, position: u16) -> Option<&BackupSet> {
        let sets = self.read.get(path).or_else(|| self.torn.get(path).map(|t| &t.sets))?;
        sets.iter().find(|s| s.position == position)
    }

    /// Paths that are known well enough not to be asked at the look that begins at `at`. A set is appended to a file that holds
    /// several already, or to the last one: by its LSN, never by its name.
    fn known(&self, directory: &str, names: &[String], at: Timestamp) -> HashMap<String, Header> {
        let last = |sets: &Arc<[BackupSet]>| sets.iter().map(|s| s.last_lsn).max();
        let mut read = Vec::with_capacity(names.len());
        let mut torn: Vec<(String, &Torn)> = Vec::new();
        for path in names.iter().map(|name| path(directory, name)) {
            match (self.read.get(&path), self.torn.get(&path)) {
                (Some(sets), _) => read.push((path, sets)),
                (None, Some(t)) if t.settled(at) => torn.push((path, t)),
                _ => {}
            }
        }
        let mut newest: HashMap<&str, Option<Lsn>> = HashMap::new();
        for (_, sets) in &read {
            let of = newest.entry(sets.first().map_or("", |s| s.database.as_str())).or_default();
            *of = last(sets).max(*of);
        }
        let older = |sets: &Arc<[BackupSet]>| matches!(&sets[..], [only] if newest.get(only.database.as_str()).is_some_and(|n| Some(only.last_lsn) < *n));
        let kept = read.iter().filter(|(_, sets)| older(sets));
        torn.sort_by_key(|(_, t)| t.asked);
        let later = torn.into_iter().skip(TORN_AGAIN).map(|(path, t)| (path, t.header()));
        kept.map(|(path, sets)| (path.clone(), Header::Read(Arc::clone(sets)))).chain(later).collect()
    }

    fn judge(&mut self, path: &str, verdict: Verdict, at: Timestamp) -> Option<Header> {
        if let Verdict::Torn(what, sets) = verdict {
            self.read.remove(path);
            let sets: Arc<[BackupSet]> = sets.into();
            let same = |t: &&Torn| t.what == what && t.sets == sets;
            let since = self.torn.get(path).filter(same).map_or(at, |t| t.since);
            let torn = Torn { what, sets, since, asked: at };
            let header = torn.header();
            self.torn.insert(path.to_owned(), torn);
            return Some(header);
        }
        self.torn.remove(path);
        match verdict {
            Verdict::Read(sets) => {
                let sets: Arc<[BackupSet]> = match self.read.get(path) {
                    Some(known) if **known == *sets => Arc::clone(known),
                    _ => sets.into(),
                };
                self.read.insert(path.to_owned(), Arc::clone(&sets));
                Some(Header::Read(sets))
            }
            other => {
                self.read.remove(path);
                match other {
                    Verdict::InUse => Some(Header::InUse),
                    Verdict::Unknown(why) => Some(Header::Unknown(why)),
                    Verdict::Gone | Verdict::Torn(..) | Verdict::Read(_) => None,
                }
            }
        }
    }
}

enum Verdict {
    Read(Vec<BackupSet>),
    /// What is wrong, behind these whole sets.
    Torn(String, Vec<BackupSet>),
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
    let mut known = cache.known(directory, names, at);
    for name in names {
        match known.remove(&path(directory, name)) {
            Some(header) => out.push((name.clone(), Some(header))),
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
        Some(FileFault::Torn) => Verdict::Torn(told.what, Vec::new()),
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
            Ok(None) => {
                return Ok(Verdict::Torn("the backup is unfinished (no LSNs in its header)".into(), sets));
            }
            // It may be whole: one column that is not told makes this file unknown, and neither torn nor the others.
            Err(misread) => return Ok(Verdict::Unknown(format!("its header does not tell all ({misread})"))),
        }
    }
    if sets.is_empty() {
        return Ok(Verdict::Torn("the file holds no backup".into(), sets));
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
    fn a_torn_file_is_torn_since_it_was_first_found_so() {
        let mut cache = Cache::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let torn = |what: &str| Verdict::Torn(what.into(), Vec::new());
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

    fn set(first: u128, last: u128) -> BackupSet {
        let none = uuid::Uuid::nil();
        BackupSet {
            id: uuid::Uuid::from_u128(last),
            position: 1,
            kind: BackupKind::Log,
            database: "mgc".into(),
            family: none,
            first_lsn: Lsn(first),
            last_lsn: Lsn(last),
            first_fork: pchat_planner::lsn::Fork(none),
            fork: pchat_planner::lsn::Fork(none),
            fork_point: None,
            started: jiff::civil::DateTime::ZERO,
            finished: jiff::civil::DateTime::ZERO,
            server: "s".into(),
            size: 1,
        }
    }

    #[test]
    fn a_file_that_may_grow_is_asked_again_and_its_lsn_tells_which() {
        let mut cache = Cache::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let names: Vec<String> = ["z", "b", "a"].map(String::from).into();
        let several = vec![set(10, 20), BackupSet { position: 2, ..set(20, 30) }];
        for (name, sets) in [("z", vec![set(30, 40)]), ("b", several), ("a", vec![set(40, 50)])] {
            cache.judge(&path("s", name), Verdict::Read(sets), at(1));
        }
        let known = |cache: &Cache| cache.known("s", &names, at(2)).into_keys().collect::<Vec<_>>();
        assert_eq!(known(&cache), [r"s\z"], "a is the last of the log, b holds two");
        cache.forget(r"s\z");
        assert!(known(&cache).is_empty(), "what an action stumbled over is asked anew");
    }

    #[test]
    fn many_torn_files_are_asked_in_turn_and_a_young_one_always() {
        let mut cache = Cache::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let names: Vec<String> = (0..40).map(|n| format!("{n:02}.trn")).collect();
        for (n, name) in names.iter().enumerate() {
            let torn = Verdict::Torn("3241".into(), Vec::new());
            cache.judge(&path("s", name), torn, at(n as i64));
        }
        let now = at(42);
        let kept = cache.known("s", &names, now);
        let asked: Vec<&String> = names.iter().filter(|n| !kept.contains_key(&path("s", n))).collect();
        assert_eq!(asked.len(), TORN_AGAIN + 7, "{asked:?}");
        assert!(asked.contains(&&names[0]) && asked.contains(&&names[39]) && !asked.contains(&&names[20]));
    }
}
