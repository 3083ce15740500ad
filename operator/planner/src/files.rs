//! What can be said of a file in the copy folder, on the share, or in both: readable, torn, unknown, and by its name.
//!
//! A torn copy proves nothing while the original can't be looked at.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::chain::{Course, Torn};
use crate::facts::{BackupFile, BackupSet, Backups, Header};
use crate::lsn::Position;
use crate::words::base_name;

/// Adds to a course the files that could not be read and may lie behind its end.
pub(crate) fn unreadable(
    backups: &Backups,
    sets: &[(&str, &BackupSet)],
    from: Position,
    course: &mut Course,
) {
    // Files are stamped when they begin, and the chain is without holes: what bears an older stamp than a file
    // that it has passed can't be needed any more.
    let passed = course
        .links
        .iter()
        .filter_map(|l| stamp(&l.file.name))
        .chain(
            sets.iter()
                .filter(|(_, s)| s.fork == from.fork && s.last_lsn <= from.lsn)
                .filter_map(|(n, _)| stamp(n)),
        )
        .max();
    for (name, file) in &backups.files {
        if stamp(name).is_some_and(|s| passed.is_some_and(|p| s < p)) {
            continue;
        }
        match plight(file, backups) {
            None => {}
            Some(Plight::Torn(what, since)) => {
                course.torn.push(Torn { name: name.clone(), what: what.to_owned(), since });
            }
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
    Unknown(&'a str),
}

/// What is wrong with a file that is readable in neither place; `None`: nothing, or it was skipped.
fn plight<'a>(file: &'a BackupFile, backups: &Backups) -> Option<Plight<'a>> {
    let places = [file.in_folder.as_ref(), file.on_share.as_ref()];
    if readable(file).is_some() || places.iter().flatten().any(|h| matches!(h, Header::Skipped)) {
        return None;
    }
    let mut torn = None;
    for header in places.into_iter().flatten() {
        match header {
            Header::Unknown(why) => return Some(Plight::Unknown(why)),
            Header::InUse => return Some(Plight::Unknown("somebody is writing it")),
            Header::Torn { what, since } => {
                torn = Some(torn.map_or((what, *since), |(w, s): (&String, Timestamp)| (w, s.max(*since))));
            }
            Header::Read(_) | Header::Skipped => {}
        }
    }
    // A torn copy proves nothing while the original can't be looked at.
    match torn {
        Some(_) if file.on_share.is_none() && backups.share.is_pending() => None,
        Some(_) if file.on_share.is_none() && backups.share.value().is_none() => {
            Some(Plight::Unknown("its copy is torn, and the share can't be read"))
        }
        Some((what, since)) => Some(Plight::Torn(what, since)),
        None => Some(Plight::Unknown("its header was not read")),
    }
}

/// The sets of a file, copy folder first, and whether they come from there.
pub(crate) fn readable(file: &BackupFile) -> Option<(&[BackupSet], bool)> {
    match (&file.in_folder, &file.on_share) {
        (Some(Header::Read(sets)), _) => Some((sets, true)),
        (_, Some(Header::Read(sets))) => Some((sets, false)),
        _ => None,
    }
}

/// The fourteen digits before `.trn`: log shipping names files `<database>_yyyymmddhhmmss.trn`.
fn stamp(name: &str) -> Option<u64> {
    let stem = base_name(name);
    let stem =
        stem.get(..stem.len().checked_sub(4)?).filter(|_| stem.to_ascii_lowercase().ends_with(".trn"))?;
    let digits = stem.get(stem.len().checked_sub(14)?..)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    format!("{}\\{name}", directory.trim_end_matches(['\\', '/']))
}

/// Every `.trn` name that was listed or judged, sorted.
pub fn names(backups: &Backups) -> Vec<String> {
    let listed = [backups.share.value(), backups.folder.value()].into_iter().flatten().flatten();
    let all: BTreeSet<&String> =
        listed.chain(backups.files.keys()).filter(|n| n.to_lowercase().ends_with(".trn")).collect();
    all.into_iter().cloned().collect()
}

/// A file that must turn up when the share is listed again: the preferred one if it is there, else the last by name.
/// The folder proves nothing about the share, which may have died since.
pub fn must(backups: &Backups, preferred: Option<&str>) -> Option<String> {
    let on_share = backups.share.value()?.iter().filter(|n| n.to_lowercase().ends_with(".trn"));
    let preferred = preferred.map(base_name).map(str::to_lowercase);
    on_share
        .clone()
        .find(|n| preferred.as_ref().is_some_and(|p| n.to_lowercase() == *p))
        .or_else(|| on_share.max())
        .cloned()
}
