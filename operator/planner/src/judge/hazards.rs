//! The dangers that only a person may accept, all at once, and the digest that names them.
//!
//! An approval covers the set of hazards that it named, and any subset of it at the same or a later LSN. It never
//! depends on times, counts, order or epochs (but for the one hazard that is about an owner). What it covered is kept
//! in the open transition, so that the question is not asked again by a smaller set.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::judge::chain::{Course, Unread};
use crate::model::journal::{Accepted, Transition};
use crate::model::lsn::Position;
use crate::model::plan::{Hazard, Reason};
use crate::model::pool::Pool;
use crate::model::run::Run;

/// Files that can't be read are hazards of their own up to so many: what is accepted must fit into the journal.
const FILE_BY_FILE: usize = 20;

/// Hazards of one course, by the look at the files that began at `looked`.
pub(crate) fn of_course(course: &Course, database: &str, looked: Timestamp) -> Vec<Hazard> {
    let mut out = Vec::new();
    for choice in course.choices.iter().filter(|c| c.fork != c.at.fork) {
        out.push(Hazard {
            reason: Reason::ForkAmbiguous,
            subject: "follows".into(),
            lsn: Some(choice.at.lsn),
            fork: Some(choice.fork),
            sentence: format!("{database} follows fork {} from LSN {} on", choice.fork, choice.at.lsn),
        });
    }
    // One hazard for a fork, not for each of its files: a side that is cut off goes on writing them.
    for (fork, files) in &course.left_out {
        out.push(Hazard {
            reason: Reason::ForkAmbiguous,
            subject: "left out".into(),
            lsn: Some(course.end.lsn),
            fork: Some(*fork),
            sentence: format!(
                "{database} takes another way than recovery fork {fork} to LSN {}: what only {} holds is given up",
                course.end.lsn,
                files.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        });
    }
    if let Some(broken) = &course.broken {
        let behind = match &broken.behind[..] {
            [] => String::new(),
            [file] => format!(", and with it what {file} holds"),
            files => format!(", and with it what {} hold", crate::words::few(files)),
        };
        out.push(Hazard {
            reason: Reason::BackupDamaged,
            subject: broken.name.clone(),
            lsn: Some(course.end.lsn),
            fork: Some(course.end.fork),
            sentence: format!(
                "{} can't be restored to its end ({}): {database} ends before it, at LSN {}; what it holds is given up{behind}",
                broken.name,
                broken.what.trim_end_matches('.'),
                course.end.lsn
            ),
        });
    }
    if let Some(gap) = &course.gap {
        out.push(Hazard {
            reason: Reason::LogChainGap,
            subject: gap.name.clone(),
            lsn: Some(course.end.lsn),
            fork: Some(course.end.fork),
            sentence: format!(
                "a log backup is missing: {database} ends at LSN {}, and the next readable file, {}, begins at LSN {}",
                course.end.lsn, gap.name, gap.first_lsn
            ),
        });
    }
    let mut unknown: Vec<(String, String)> = course
        .unknown
        .iter()
        .map(|(what, why)| {
            let sentence =
                format!("{what} can't be read ({why}); if it holds log backups, they are given up");
            (what.clone(), sentence)
        })
        .collect();
    let asked = course.unread(looked) == Unread::Ask;
    unknown.extend(course.in_use.iter().filter(|_| asked).map(|name| {
        let sentence = format!(
            "{name} can't be read (somebody is writing it); if it holds log backups, they are given up"
        );
        (name.clone(), sentence)
    }));
    if unknown.len() > FILE_BY_FILE {
        let first = unknown[0].1.clone();
        let names: Vec<String> = unknown.into_iter().map(|(what, _)| what).collect();
        // Who accepts them is shown them all.
        let sentence = format!(
            "{} can't be read, and what they hold is given up: for example, {first}; all of them are {}",
            crate::words::count(names.len(), "file"),
            names.join(", ")
        );
        unknown = vec![(names.join("\n"), sentence)];
    }
    // One hazard for all of them: whoever goes on leaving such files behind must not outrun the answer.
    let young =
        course.torn.iter().any(|t| crate::words::after(t.since, crate::judge::chain::TORN_STABLE) > looked);
    if asked && (course.torn.len() > 1 || young) {
        let names: Vec<&str> = course.torn.iter().map(|t| t.name.as_str()).collect();
        unknown.push(("torn".into(), torn(&names, &course.torn[0].what)));
    }
    out.extend(unknown.into_iter().map(|(subject, sentence)| Hazard {
        reason: Reason::BackupsUnknown,
        subject,
        lsn: Some(course.end.lsn),
        fork: Some(course.end.fork),
        sentence,
    }));
    out
}

/// Torn files, all by name: who accepts them is shown them all.
fn torn(names: &[&str], what: &str) -> String {
    let told = names.join(", ");
    let what = what.trim_end_matches('.');
    match names.len() {
        1 => format!(
            "{told} is torn and does not come to rest ({what}); if it holds log backups, they are given up"
        ),
        n => format!(
            "{n} files are torn, and a server that dies leaves one: {told} ({what}); if they hold log backups, they are given up"
        ),
    }
}

/// Eight hexadecimal digits, as a person can read them out. `last`: the transition in the journal, open or over.
pub(crate) fn digest(
    pool: &Pool,
    last: Option<&Transition>,
    at: Option<Position>,
    hazards: &BTreeSet<Hazard>,
) -> String {
    let mut h = Sha256::new();
    let mut part = |text: &str| {
        h.update((text.len() as u64).to_be_bytes());
        h.update(text.as_bytes());
    };
    part(&pool.fqdn.to_lowercase());
    // Before a transition is opened its id would be another one for each run. The one before it will do: what was approved for
    // that one is over with it.
    part(&last.map_or(Uuid::nil(), |t| t.id).to_string());
    part("forced failover");
    part(&at.map_or_else(String::new, |p| format!("{}@{}", p.lsn, p.fork)));
    let mut lines: Vec<String> =
        hazards.iter().map(|h| format!("{}:{:?}", key(h), h.lsn.map(|l| l.0))).collect();
    lines.sort();
    lines.dedup();
    for line in &lines {
        part(line);
    }
    let hash = h.finalize();
    format!("{:02x}{:02x}-{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

/// Kind, subject and fork of a hazard, short enough to be kept in the journal.
fn key(h: &Hazard) -> String {
    let fork = h.fork.map_or_else(String::new, |f| f.to_string());
    let hash = Sha256::digest(format!("{}\u{0}{}\u{0}{fork}", h.reason, h.subject.to_lowercase()).as_bytes());
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// What an approval of these hazards covers.
pub(crate) fn cover(at: Option<Position>, hazards: &BTreeSet<Hazard>) -> Accepted {
    Accepted { at, hazards: hazards.iter().map(|h| (key(h), h.lsn)).collect() }
}

/// Whether what was accepted earlier covers `hazards` at `at`.
pub(crate) fn covers(accepted: &Accepted, at: Option<Position>, hazards: &BTreeSet<Hazard>) -> bool {
    let later = match (accepted.at, at) {
        (Some(then), Some(now)) => now.lsn >= then.lsn,
        (None, _) => true,
        (Some(_), None) => false,
    };
    later
        && hazards.iter().all(|h| {
            let key = key(h);
            accepted.hazards.iter().any(|(k, lsn)| *k == key && *lsn <= h.lsn)
        })
}

/// A hazard that stands at the end of a course, as it was shown when the course ended at `then`.
pub(crate) fn as_it_stood(h: &Hazard, at: Position, then: Position) -> Hazard {
    Hazard { lsn: if h.lsn == Some(at.lsn) { Some(then.lsn) } else { h.lsn }, ..h.clone() }
}

/// Whether a person accepted these hazards: `Some(true)` if that is written at the far end, `Some(false)` if only the run
/// knows it so far, `None` if nobody did.
pub(crate) fn accepted(
    run: &Run,
    open: Option<&Transition>,
    at: Option<Position>,
    hazards: &BTreeSet<Hazard>,
    digest: &str,
) -> Option<bool> {
    if hazards.is_empty() {
        return None;
    }
    let kept = open.and_then(|t| t.accepted.as_ref());
    if kept.is_some_and(|a| covers(a, at, hazards)) {
        return Some(true);
    }
    run.approvals.iter().any(|a| a.trim().eq_ignore_ascii_case(digest)).then_some(false)
}
