//! What can be said of each file on the share, in the copy folder, or in both: which backup sets it holds and where, and
//! what could not be read of it.
//!
//! A copy is never newer than its original: where the original can be read, a copy that can't be read hides nothing. The
//! other way round it may. No name says where a file lies in the log.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::judge::chain::{Course, Torn};
use crate::model::facts::{BackupFile, BackupKind, BackupSet, Backups, Header};
use crate::model::lsn::Position;
use crate::words::base_name;

/// A log backup set, with the places in which the file of that name holds it at that position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    /// File.
    pub name: &'a str,
    /// What its header tells.
    pub set: &'a BackupSet,
    /// RESTORE may read it in the copy folder.
    pub in_folder: bool,
    /// RESTORE may read it on the share.
    pub on_share: bool,
}

impl Held<'_> {
    /// No place is left from which it could be restored.
    pub fn is_damaged(&self) -> bool {
        !self.in_folder && !self.on_share
    }
}

/// The log backup sets of the database named `database`. What share and folder hold under one name is told apart set by set.
pub(crate) fn held<'a>(backups: &'a Backups, database: &str) -> Vec<Held<'a>> {
    let database = database.to_lowercase();
    let ours = |s: &&BackupSet| s.kind == BackupKind::Log && s.database.to_lowercase() == database;
    let whole = |directory: &str, name: &str, s: &BackupSet| {
        let here = |path: &str| path == join(directory, name);
        !backups.damaged.iter().any(|d| d.set == s.id && d.position == s.position && here(&d.path))
    };
    let mut out = Vec::new();
    for (name, file) in backups.files.iter().filter(|(name, _)| original(name).is_none()) {
        let of = |place: &'a Option<Header>| place.as_ref().map(Header::sets).unwrap_or_default();
        let (on_share, in_folder) = (of(&file.on_share), of(&file.in_folder));
        let share = &backups.source.share;
        for set in in_folder.iter().filter(ours) {
            out.push(Held {
                name,
                set,
                in_folder: whole(&backups.source.folder, name, set),
                on_share: on_share.contains(set) && whole(share, name, set),
            });
        }
        for set in on_share.iter().filter(ours).filter(|s| !in_folder.contains(s)) {
            out.push(Held { name, set, in_folder: false, on_share: whole(share, name, set) });
        }
    }
    out
}

/// Adds to a course the files that could not be read: nobody knows which log they hold.
pub(crate) fn unreadable(backups: &Backups, held: &[Held], from: Position, course: &mut Course) {
    course.restless = backups.restless;
    for (name, file) in &backups.files {
        let plight = match original(name) {
            Some(original) => unfinished(original, file, backups, held, from),
            None => plight(file, backups),
        };
        match plight {
            None => {}
            Some(Plight::Torn(what, since)) => {
                course.torn.push(Torn { name: name.clone(), what: what.to_owned(), since });
            }
            Some(Plight::InUse) => course.in_use.push(name.clone()),
            Some(Plight::Unknown(why)) => course.unknown.push((name.clone(), why.to_owned())),
        }
    }
    for (what, path) in [(&backups.share, &backups.source.share), (&backups.folder, &backups.source.folder)] {
        if let Some(why) = what.why() {
            course.unknown.push((path.clone(), why.to_owned()));
        }
        course.unseen |= what.is_pending();
    }
}

enum Plight<'a> {
    Torn(&'a str, Timestamp),
    InUse,
    Unknown(&'a str),
}

/// What keeps a header from telling all of its file.
fn of(header: &Header) -> Option<Plight<'_>> {
    match header {
        Header::Read(_) => None,
        Header::Partly { what, since, .. } | Header::Torn { what, since } => Some(Plight::Torn(what, *since)),
        Header::InUse => Some(Plight::InUse),
        Header::Unknown(why) => Some(Plight::Unknown(why)),
    }
}

/// What could not be read of a file; `None`: nothing.
fn plight<'a>(file: &'a BackupFile, backups: &Backups) -> Option<Plight<'a>> {
    match (&file.on_share, &file.in_folder) {
        (None, None) => None,
        (Some(original), copy) => match (of(original)?, copy.as_ref().and_then(of)) {
            // Both are the same torn file; the younger look decides whether it is settled.
            (Plight::Torn(what, since), Some(Plight::Torn(_, copied))) => {
                Some(Plight::Torn(what, since.max(copied)))
            }
            (plight, _) => Some(plight),
        },
        (None, Some(copy)) => match of(copy)? {
            Plight::Torn(..) if backups.share.is_pending() => None,
            Plight::Torn(..) if backups.share.value().is_none() => {
                Some(Plight::Unknown("its copy is torn, and the share can't be read"))
            }
            plight => Some(plight),
        },
    }
}

/// What a file under its unfinished name may hold that nothing else does.
fn unfinished<'a>(
    original: &str,
    file: &'a BackupFile,
    backups: &Backups,
    held: &[Held],
    from: Position,
) -> Option<Plight<'a>> {
    const WHAT: &str = "log shipping has not finished it: that is what the ending .wrk means";
    // The copy job writes a copy under this name until it is whole: the original tells everything.
    let whole = |f: &BackupFile| {
        [&f.on_share, &f.in_folder].into_iter().flatten().any(|h| matches!(h, Header::Read(_)))
    };
    let stem = original.to_lowercase();
    let original = backups.files.iter().find(|(name, _)| {
        name.rsplit_once('.').is_some_and(|(s, _)| s.to_lowercase() == stem) && self::original(name).is_none()
    });
    if original.is_some_and(|(_, f)| whole(f)) {
        return None;
    }
    let places: Vec<&Header> = [&file.on_share, &file.in_folder].into_iter().flatten().collect();
    if let [header] = places[..]
        && let Some(plight @ (Plight::InUse | Plight::Unknown(_))) = of(header)
    {
        return Some(plight);
    }
    let known = |s: &BackupSet| {
        s.kind != BackupKind::Log
            || s.fork == from.fork && s.last_lsn <= from.lsn
            || held.iter().any(|h| h.set.id == s.id && !h.is_damaged())
    };
    if places.iter().all(|h| matches!(h, Header::Read(sets) if sets.iter().all(known))) {
        return None;
    }
    let since = |h: &&Header| match h {
        Header::Torn { since, .. } | Header::Partly { since, .. } => Some(*since),
        _ => None,
    };
    Some(Plight::Torn(WHAT, places.iter().filter_map(since).max().unwrap_or(Timestamp::MIN)))
}

/// The name without its ending, of a file that log shipping's copy job has not finished.
fn original(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    ending.eq_ignore_ascii_case("wrk").then_some(stem)
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    format!("{}\\{name}", directory.trim_end_matches(['\\', '/']))
}

/// Every name that was listed, sorted: each was judged, or is told with the reason why not.
pub fn names(backups: &Backups) -> Vec<String> {
    let listed = [backups.share.value(), backups.folder.value()].into_iter().flatten().flatten();
    let all: BTreeSet<&String> = listed.chain(backups.files.keys()).chain(backups.aside.keys()).collect();
    all.into_iter().cloned().collect()
}

/// A file that must turn up when the share is listed again: the preferred one if it is there, else the last by name that
/// holds log, else the last by name. The folder proves nothing about the share, which may have died since.
pub fn must(backups: &Backups, preferred: Option<&str>) -> Option<String> {
    let on_share = backups.share.value()?;
    let preferred = preferred.map(base_name).map(str::to_lowercase);
    let holds_log = |name: &&String| {
        let header = backups.files.get(*name).and_then(|f| f.on_share.as_ref());
        header.is_some_and(|h| h.sets().iter().any(|s| s.kind == BackupKind::Log))
    };
    on_share
        .iter()
        .find(|n| preferred.as_ref().is_some_and(|p| n.to_lowercase() == *p))
        .or_else(|| on_share.iter().filter(holds_log).max())
        .or_else(|| on_share.iter().max())
        .cloned()
}
