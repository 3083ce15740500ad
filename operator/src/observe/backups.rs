//! One look at share or copy folder: what is there, and what the headers say. A share that hangs does not hold up the folder.
//!
//! An empty list is not an empty directory: `xp_dirtree` answers a denied, dead or mistyped path with no
//! rows. A listing counts only when something in it proves it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pchat_planner::chain::TORN_STABLE;
use pchat_planner::facts::{BackupFile, BackupKind, BackupSet, Backups, Damaged, Fact, Header};
use pchat_planner::pool::LogSource;

use super::damage::{Damage, FileTrouble};
use super::headers::{Cache, path, read_all};
use crate::outside;
use crate::sql::batches::files::list;
use crate::sql::connect::{ConnectError, connect};
use crate::sql::connection::Connection;
use crate::sql::explain::explain;
use crate::sql::rows::{Misread, Record};
use crate::sql::target::{Deadlines, Target};

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub source: LogSource,
    /// Log shipping itself names the copy folder now and never put a file there: then it may be empty. An empty share proves nothing
    /// in any case: what is to be copied may lie there unseen.
    pub folder_may_be_empty: bool,
    /// The chat database.
    pub database: String,
    /// Base names, lower case, of files that log shipping or msdb once had in these places.
    pub known: BTreeSet<String>,
}

/// Which of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Where the other side puts its backups.
    Share,
    /// Where log shipping copies them to.
    Folder,
}

/// Headers that either place has read: the copy of a file says the same, and is kept once.
pub type Twins = Arc<Mutex<HashMap<String, Arc<[BackupSet]>>>>;

/// What a series of looks at one place remembers: its connection after clean answers, and headers.
#[derive(Debug)]
pub struct Place {
    connection: Option<Connection>,
    cache: Cache,
    twins: Twins,
    damage: Damage,
    /// Since when each look has found a file that may still be being written.
    restless: Option<Timestamp>,
}

/// What a look at one place brought.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Names, or why they are not known.
    pub names: Fact<Vec<String>>,
    /// What the headers tell.
    pub headers: BTreeMap<String, Header>,
    /// Since when each look has found a file that may still be being written.
    pub restless: Option<Timestamp>,
    /// Sets that can't be restored, by the headers of this look.
    pub damaged: Vec<Damaged>,
}

struct Listing {
    names: Result<Vec<String>, String>,
    headers: BTreeMap<String, Header>,
}

/// What both places show, each as of its own look; share first.
pub fn both(
    source: &LogSource,
    [share, folder]: [Fact<Vec<String>>; 2],
    [on_share, in_folder]: [&BTreeMap<String, Header>; 2],
) -> Backups {
    let mut files: BTreeMap<String, BackupFile> = BTreeMap::new();
    let none = || BackupFile { on_share: None, in_folder: None };
    for (name, header) in on_share {
        files.entry(name.clone()).or_insert_with(none).on_share = Some(header.clone());
    }
    for (name, header) in in_folder {
        files.entry(name.clone()).or_insert_with(none).in_folder = Some(header.clone());
    }
    let mut aside = BTreeMap::new();
    files.retain(|name, file| match set_aside(name, file) {
        Some(why) => aside.insert(name.clone(), why).is_some(),
        None => true,
    });
    Backups {
        source: source.clone(),
        share,
        folder,
        files,
        grown: Arc::default(),
        aside,
        restless: None,
        damaged: Vec::new(),
    }
}

/// Endings of what lies beside backups and is none: a file with such a name counts only if its header says that it is one.
const NO_BACKUPS: [&str; 16] = [
    "tuf", "txt", "ini", "db", "md", "htm", "html", "xml", "csv", "sql", "ps1", "cmd", "bat", "lnk", "url",
    "json",
];

fn is_odd(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| NO_BACKUPS.contains(&ending.as_str()))
}

/// Why a file is not counted among the log backups, if nobody gives a backup such a name and no header in it tells otherwise.
fn set_aside(name: &str, file: &BackupFile) -> Option<String> {
    if !is_odd(name) {
        return None;
    }
    let why = |h: &Header| match h {
        Header::Read(_) | Header::Partly { .. } => None,
        Header::Torn { what, .. } => {
            Some(format!("its header can't be read: {}", what.trim_end_matches('.')))
        }
        Header::InUse => Some("it is in use".into()),
        Header::Unknown(why) => {
            Some(format!("its header could not be asked for: {}", why.trim_end_matches('.')))
        }
    };
    let mut reasons = [&file.on_share, &file.in_folder].into_iter().flatten().map(why);
    let first = reasons.next()??;
    if reasons.any(|reason| reason.is_none()) {
        return None;
    }
    let kind =
        if name.to_lowercase().ends_with(".tuf") { "undo file of a STANDBY copy, by its name; " } else { "" };
    Some(format!("{kind}{first}"))
}

impl Place {
    /// A place that was not looked at yet.
    pub fn new(twins: Twins) -> Self {
        Place { connection: None, cache: Cache::default(), twins, damage: Damage::default(), restless: None }
    }

    /// Closes the connection; the headers stay.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Looks once. `troubles` is what actions stumbled over since the last look.
    pub async fn look(
        &mut self,
        target: &Target,
        which: Which,
        wanted: &Wanted,
        deadlines: &Deadlines,
        troubles: Vec<FileTrouble>,
    ) -> Contents {
        let at = Timestamp::now();
        let (directory, may_be_empty) = match which {
            Which::Share => (&wanted.source.share, false),
            Which::Folder => (&wanted.source.folder, wanted.folder_may_be_empty),
        };
        for trouble in troubles {
            self.damage.take_in(trouble, directory, &mut self.cache);
        }
        let mut listing = self.list(target, directory, wanted, deadlines, may_be_empty).await;
        self.share_with_twin(directory, &mut listing.headers);
        let source = format!("{}, xp_dirtree {directory}", target.display);
        let names = match listing.names {
            Ok(value) => Fact::Known { value, source, at },
            Err(why) => Fact::Unknown { why, source, at },
        };
        let headers = listing.headers;
        let damaged = self.damage.standing(target, deadlines, directory, &headers).await;
        let moves = |h: &Header| match h {
            Header::Torn { since, .. } | Header::Partly { since, .. } => {
                at.duration_since(*since) < TORN_STABLE
            }
            Header::InUse => true,
            Header::Read(_) | Header::Unknown(_) => false,
        };
        let moving = headers.iter().any(|(name, header)| !is_odd(name) && moves(header));
        self.restless = moving.then(|| self.restless.unwrap_or(at));
        Contents { names, headers, restless: self.restless, damaged }
    }

    /// Holds what the other place has read of the same name and is equal, instead of a second one.
    fn share_with_twin(&mut self, directory: &str, headers: &mut BTreeMap<String, Header>) {
        let mut twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, header) in headers {
            let Header::Read(own) = header else { continue };
            let twin = twins.entry(name.to_lowercase()).or_insert_with(|| Arc::clone(own));
            if Arc::ptr_eq(own, twin) {
                continue;
            }
            if own == twin {
                *own = Arc::clone(twin);
                self.cache.keep(path(directory, name), own);
            }
        }
        // Whom nobody else holds any more is gone from both places.
        twins.retain(|_, sets| Arc::strong_count(sets) > 1);
    }

    async fn list(
        &mut self,
        target: &Target,
        directory: &str,
        wanted: &Wanted,
        deadlines: &Deadlines,
        may_be_empty: bool,
    ) -> Listing {
        let failed = |why: String| Listing { names: Err(why), headers: BTreeMap::new() };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match connect(target, deadlines).await {
                Ok(connection) => connection,
                Err(ConnectError::Silent(why) | ConnectError::Unusable(why)) => return failed(why),
            },
        };
        let answer = match connection.ask(&list(directory), deadlines.files).await {
            Ok(answer) => answer,
            Err(lost) => {
                return failed(format!(
                    "{} did not list {directory}: {lost}. Check that the path can be reached from there.",
                    target.display
                ));
            }
        };
        if let Some(error) = &answer.error {
            let told = explain(error);
            return failed(format!(
                "{} could not list {directory}: {} {}",
                target.display, told.what, told.remedy
            ));
        }
        let (is_directory, names) = match read_listing(&answer.sets) {
            Ok(read) => read,
            Err(misread) => return failed(format!("the listing of {directory} can't be read ({misread})")),
        };
        self.cache.retain(directory, &names);
        let headers = self.headers(&mut connection, directory, &names, deadlines).await;
        if connection.is_clean() {
            self.connection = Some(connection);
        }
        match prove(directory, is_directory, &names, &headers, wanted, may_be_empty, &target.display) {
            Ok(()) => Listing { names: Ok(names), headers },
            Err(why) => Listing { names: Err(why), headers },
        }
    }

    async fn headers(
        &mut self,
        connection: &mut Connection,
        directory: &str,
        names: &[String],
        deadlines: &Deadlines,
    ) -> BTreeMap<String, Header> {
        let (asked, refused): (Vec<_>, Vec<_>) =
            names.iter().cloned().partition(|n| outside::file_name(n).is_ok());
        let read = read_all(connection, directory, &asked, &mut self.cache, deadlines.files).await;
        // A file that is gone between listing and reading is not there.
        let read = read.into_iter().filter_map(|(name, header)| Some((name, header?)));
        let refused = refused.iter().map(|name| {
            let why = outside::file_name(name).err().unwrap_or_default();
            (outside::value(name), Header::Unknown(why))
        });
        refused.chain(read).collect()
    }
}

fn read_listing(sets: &[crate::sql::rows::Set]) -> Result<(bool, Vec<String>), Misread> {
    let [exists, names] = sets else {
        return Err(Misread::new("is_directory", format!("{} result sets", sets.len())));
    };
    let is_directory = match exists.rows().first() {
        Some(row) => row.bit("is_directory")?.unwrap_or(false),
        None => false,
    };
    // The server compares them with its own once more, see `recover`.
    let name = |row: &Record| row.verbatim("name")?.ok_or_else(|| Misread::new("name", "is NULL"));
    let names = names.rows().iter().map(name).collect::<Result<_, _>>()?;
    Ok((is_directory, names))
}

/// Whether a listing shows what is there: the directory exists, and the list holds a file that log shipping
/// or msdb knows of, or a log backup of this database that could be read; or it may hold nothing of ours.
fn prove(
    directory: &str,
    is_directory: bool,
    names: &[String],
    headers: &BTreeMap<String, Header>,
    wanted: &Wanted,
    may_be_empty: bool,
    display: &str,
) -> Result<(), String> {
    const REMEDY: &str =
        "Check the path, and that SQL Server's service account there may list it and read its files.";
    if !is_directory {
        return Err(format!("{display} sees no directory {directory}. {REMEDY}"));
    }
    let known = names.iter().any(|n| wanted.known.contains(&n.to_lowercase()));
    let ours = headers
        .values()
        .flat_map(Header::sets)
        .any(|s| s.kind == BackupKind::Log && s.database.to_lowercase() == wanted.database.to_lowercase());
    if known || ours || may_be_empty {
        return Ok(());
    }
    Err(match names.len() {
        0 => format!("{display} lists no file in {directory}: an empty list proves nothing. {REMEDY}"),
        count => format!(
            "{display} lists {count} files in {directory}, none of them known or readable as a log backup of {}. {REMEDY}",
            wanted.database
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(known: &[&str]) -> Wanted {
        Wanted {
            source: LogSource { share: r"\\f\s".into(), folder: r"D:\c".into() },
            folder_may_be_empty: known.is_empty(),
            database: "mgc".into(),
            known: known.iter().map(|k| (*k).to_owned()).collect(),
        }
    }

    #[test]
    fn an_empty_list_is_unknown_once_a_file_was_there() {
        let nothing = BTreeMap::new();
        let prove = |is_directory, names: &[&str], known: &[&str], may_be_empty| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            prove(r"\\f\s", is_directory, &names, &nothing, &wanted(known), may_be_empty, "s").is_ok()
        };
        assert!(!prove(true, &[], &["a.trn"], false));
        assert!(!prove(false, &["a.trn"], &["a.trn"], false));
        assert!(!prove(true, &["foreign.trn"], &["a.trn"], false));
        assert!(!prove(true, &["foreign.trn"], &[], false));
        assert!(
            !prove(true, &[], &[], false),
            "log shipping that never copied anything proves no empty share"
        );
        assert!(prove(true, &["A.TRN"], &["a.trn"], false));
        assert!(prove(true, &[], &[], true));
        assert!(!prove(false, &[], &[], true), "where there is no directory nothing is empty");
    }

    #[test]
    fn what_is_no_backup_by_name_and_by_header_is_told_and_not_counted() {
        let torn =
            || Some(Header::Torn { what: "malformed (error 3241).".into(), since: Timestamp::UNIX_EPOCH });
        let file = |on_share, in_folder| BackupFile { on_share, in_folder };
        assert!(set_aside("desktop.INI", &file(torn(), None)).unwrap().contains("3241"));
        assert!(set_aside("mgc_undo.tuf", &file(None, Some(Header::InUse))).unwrap().contains("STANDBY"));
        for name in ["tail.bak", "tail", "MGC.TRN", "mgc.wrk", "save.log"] {
            assert_eq!(set_aside(name, &file(torn(), None)), None, "{name} may be a backup");
        }
        let read = Some(Header::Read(Vec::new().into()));
        assert_eq!(set_aside("tail.txt", &file(torn(), read)), None, "the header decides");
    }
}
