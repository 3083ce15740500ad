//! Judges which log backups apply, in which order, and where the chain ends.
//!
//! LSN and recovery fork decide, as the headers tell them; names only say which unreadable file lies before a
//! point that the chain has already passed. Never answers "nothing is left" for what could not be read.
//!
//! A set applies at position p if `FirstLSN <= p < LastLSN`, it starts on p's fork, and it does not leave that fork
//! before p (4305, 4326 and 4330 are what SQL Server answers otherwise). Files that leave the fork open more than one
//! course; the courses are all returned, and a person chooses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::facts::{BackupKind, BackupSet, Backups, Header};
use crate::files::{join, readable, unreadable};
use crate::lsn::{Fork, Lsn, Position};
use crate::plan::LogFile;

/// A torn file must have been found unchanged for this long before it counts as the end of the chain.
pub const TORN_STABLE: SignedDuration = SignedDuration::from_secs(10);

/// More courses than this are not told apart: a share with so many forks needs a person anyway.
const MAX_COURSES: usize = 6;

/// One file to apply, with what the loss and the copying need to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What RESTORE gets.
    pub file: LogFile,
    /// When the backup began, by its server's wall clock: everything stored before it is in the chain up to and with this set.
    pub started: DateTime,
    /// The server that made it.
    pub server: String,
    /// Fork at its end.
    pub fork: Fork,
    /// Whether it is whole in the copy folder.
    pub in_folder: bool,
}

/// A readable set that does not connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// File.
    pub name: String,
    /// Where it begins.
    pub first_lsn: Lsn,
    /// Fork at its end.
    pub fork: Fork,
}

/// A file that can't be read to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// File.
    pub name: String,
    /// The server's words.
    pub what: String,
    /// Since when it has been found so.
    pub since: Timestamp,
}

/// The place where a course took one of several forks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index into the links: those before it are common to every course.
    pub index: usize,
    /// Position at which the forks part.
    pub at: Position,
    /// The fork that this course takes.
    pub fork: Fork,
    /// Files that leave the current fork there.
    pub files: Vec<String>,
}

/// One way through the files, from the database's position to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Files in the order in which they apply.
    pub links: Vec<Link>,
    /// Where the database would stand after them.
    pub end: Position,
    /// Decisions on the way that nobody but a person may take.
    pub choices: Vec<Choice>,
    /// The first readable set behind a hole.
    pub gap: Option<Stray>,
    /// Forks that this course does not take, or can't take any more, with the files that are left out.
    pub left_out: BTreeMap<Fork, Vec<String>>,
    /// Unreadable files that may lie behind the end.
    pub torn: Vec<Torn>,
    /// What could not be read, and why.
    pub unknown: Vec<(String, String)>,
    /// A place is still being listed: what it holds is missing here.
    pub unseen: bool,
}

impl Course {
    /// Links that may be applied without a person's choice.
    pub fn safe_links(&self) -> &[Link] {
        let until = self.choices.first().map_or(self.links.len(), |c| c.index.min(self.links.len()));
        &self.links[..until]
    }

    /// When the youngest torn file will have been stable for long enough, if the look that began at `looked` was earlier: that time
    /// has passed shows nothing, only that it was found so again.
    pub fn settles(&self, looked: Timestamp) -> Option<Timestamp> {
        let at = self.torn.iter().map(|t| crate::words::after(t.since, TORN_STABLE)).max()?;
        (at > looked).then_some(at)
    }

    /// Nothing applicable is left behind the links, and that is known.
    pub fn known_end(&self) -> bool {
        !self.unseen
            && self.gap.is_none()
            && self.left_out.is_empty()
            && self.unknown.is_empty()
            && self.choices.is_empty()
    }
}

/// The readable log backups of the database named `database`, each with the file that holds it.
pub fn sets<'a>(backups: &'a Backups, database: &str) -> Vec<(&'a str, &'a BackupSet)> {
    let database = database.to_lowercase();
    let mut out = Vec::new();
    for (name, file) in &backups.files {
        for set in readable(file).map(|(sets, _)| sets).unwrap_or_default() {
            if set.kind == BackupKind::Log && set.database.to_lowercase() == database {
                out.push((name.as_str(), set));
            }
        }
    }
    out
}

/// Every course from `from` through the files. Never empty. Sets on `own` (the fork that an already recovered copy is
/// on) are its own log backups and none of the chain.
pub fn judge(backups: &Backups, database: &str, from: Position, own: Option<Fork>) -> Vec<Course> {
    let all = sets(backups, database);
    let family =
        all.iter().find(|(_, s)| s.first_fork == from.fork || s.fork == from.fork).map(|(_, s)| s.family);
    let mut candidates: Vec<(&str, &BackupSet)> = all
        .into_iter()
        .filter(|(_, s)| {
            family.is_none_or(|f| s.family == f) && own.is_none_or(|o| s.first_fork != o && s.fork != o)
        })
        .collect();
    candidates.sort_by(|a, b| (a.1.first_lsn, a.1.last_lsn, a.0).cmp(&(b.1.first_lsn, b.1.last_lsn, b.0)));
    let mut out = Vec::new();
    let walk = Walk { backups, sets: &candidates };
    walk.go(walk.trail(from), &mut out);
    for course in &mut out {
        unreadable(backups, &candidates, from, course);
    }
    out
}

struct Walk<'a> {
    backups: &'a Backups,
    sets: &'a [(&'a str, &'a BackupSet)],
}

#[derive(Clone)]
struct Trail {
    at: Position,
    next: usize,
    open: Vec<usize>,
    links: Vec<Link>,
    choices: Vec<Choice>,
    /// Forks that were turned away from, each with the LSN at which that happened.
    left: BTreeMap<Fork, Lsn>,
    /// The fork that this is on, and those that it came from. LSNs of any other can't be held against this one's.
    path: BTreeSet<Fork>,
}

impl Trail {
    fn leave(&mut self, forks: impl IntoIterator<Item = Fork>) {
        for fork in forks {
            self.left.entry(fork).or_insert(self.at.lsn);
        }
    }
}

fn continues(set: &BackupSet, at: Position) -> bool {
    set.fork == at.fork
        && if set.first_fork == at.fork {
            true
        } else {
            // It crosses into our fork, at a point that we have passed.
            set.fork_point.is_some_and(|point| point <= at.lsn)
        }
}

fn leaves(set: &BackupSet, at: Position) -> bool {
    set.fork != at.fork && set.first_fork == at.fork && set.fork_point.is_none_or(|point| at.lsn <= point)
}

impl Walk<'_> {
    /// A start at `at`, which knows from the files that cross forks which forks lie beside it for good: those that its own
    /// fork came from, and those that parted before it.
    fn trail(&self, at: Position) -> Trail {
        let mut path = BTreeSet::from([at.fork]);
        loop {
            let known = path.len();
            for (_, s) in self.sets.iter().filter(|(_, s)| s.first_fork != s.fork) {
                if path.contains(&s.fork) && s.fork_point.is_some_and(|p| p <= at.lsn) {
                    path.insert(s.first_fork);
                }
            }
            if path.len() == known {
                break;
            }
        }
        let parted: BTreeSet<Fork> = self
            .sets
            .iter()
            .filter(|(_, s)| path.contains(&s.first_fork) && !path.contains(&s.fork))
            .filter(|(_, s)| s.first_fork != at.fork || s.fork_point.is_some_and(|p| p < at.lsn))
            .map(|(_, s)| s.fork)
            .collect();
        let (next, open, links, choices) = (0, Vec::new(), Vec::new(), Vec::new());
        let mut t = Trail { at, next, open, links, choices, left: BTreeMap::new(), path: path.clone() };
        t.leave(path.into_iter().filter(|f| *f != at.fork));
        t.leave(self.descendants(&parted, at.fork));
        t
    }

    fn go(&self, mut t: Trail, out: &mut Vec<Course>) {
        loop {
            while let Some((_, set)) = self.sets.get(t.next).filter(|(_, s)| s.first_lsn <= t.at.lsn) {
                if set.last_lsn > t.at.lsn {
                    t.open.push(t.next);
                }
                t.next += 1;
            }
            t.open.retain(|i| {
                self.sets[*i].1.last_lsn > t.at.lsn && !t.left.contains_key(&self.sets[*i].1.fork)
            });
            let straight = t
                .open
                .iter()
                .copied()
                .filter(|i| continues(self.sets[*i].1, t.at))
                .max_by_key(|i| (self.sets[*i].1.last_lsn, std::cmp::Reverse(*i)));
            let turns: Vec<usize> =
                t.open.iter().copied().filter(|i| leaves(self.sets[*i].1, t.at)).collect();
            if !turns.is_empty() {
                return self.branch(t, straight.is_some(), &turns, out);
            }
            match straight {
                Some(i) => self.take(&mut t, i),
                None => return out.push(self.finish(t)),
            }
        }
    }

    fn branch(&self, t: Trail, straight: bool, turns: &[usize], out: &mut Vec<Course>) {
        let files: Vec<String> = turns.iter().map(|i| self.sets[*i].0.to_owned()).collect();
        let forks: BTreeSet<Fork> = turns.iter().map(|i| self.sets[*i].1.fork).collect();
        let choice = |fork| Choice { index: t.links.len(), at: t.at, fork, files: files.clone() };
        let mut stay = t.clone();
        stay.choices.push(choice(t.at.fork));
        stay.leave(self.descendants(&forks, t.at.fork));
        if straight {
            self.go(stay, out);
        } else {
            out.push(self.finish(stay));
        }
        for fork in &forks {
            if out.len() >= MAX_COURSES {
                return;
            }
            let Some(first) = turns
                .iter()
                .copied()
                .filter(|i| self.sets[*i].1.fork == *fork)
                .max_by_key(|i| self.sets[*i].1.last_lsn)
            else {
                continue;
            };
            let mut turn = t.clone();
            turn.choices.push(choice(*fork));
            let others = forks.iter().copied().filter(|f| f != fork).collect();
            turn.leave(self.descendants(&others, *fork));
            turn.leave([t.at.fork]);
            self.take(&mut turn, first);
            self.go(turn, out);
        }
    }

    /// `forks` and every fork that grew from them, except through `kept`.
    fn descendants(&self, forks: &BTreeSet<Fork>, kept: Fork) -> BTreeSet<Fork> {
        let mut all = forks.clone();
        loop {
            let before = all.len();
            for (_, s) in self.sets {
                if all.contains(&s.first_fork) && s.fork != kept {
                    all.insert(s.fork);
                }
            }
            if all.len() == before {
                return all;
            }
        }
    }

    fn take(&self, t: &mut Trail, i: usize) {
        let (name, set) = self.sets[i];
        let file = self.backups.files.get(name);
        let in_folder = matches!(file.map(|f| &f.in_folder), Some(Some(Header::Read(_))));
        let on_share = matches!(file.map(|f| &f.on_share), Some(Some(_)));
        let folder = join(&self.backups.source.folder, name);
        let share = join(&self.backups.source.share, name);
        let (path, fallback) = if in_folder { (folder, on_share.then_some(share)) } else { (share, None) };
        t.links.push(Link {
            file: LogFile {
                name: name.to_owned(),
                path,
                fallback,
                set: set.position,
                first_lsn: set.first_lsn,
                last_lsn: set.last_lsn,
                size: set.size,
            },
            started: set.started,
            server: set.server.clone(),
            fork: set.fork,
            in_folder,
        });
        t.at = Position { lsn: set.last_lsn, fork: set.fork };
        t.path.insert(set.fork);
    }

    fn finish(&self, t: Trail) -> Course {
        let stray = |i: usize| {
            let (name, s) = self.sets[i];
            Stray { name: name.to_owned(), first_lsn: s.first_lsn, fork: s.fork }
        };
        let gap = (t.next..self.sets.len()).find(|i| !t.left.contains_key(&self.sets[*i].1.fork)).map(stray);
        let mut left_out: BTreeMap<Fork, Vec<String>> = BTreeMap::new();
        for (i, (name, s)) in self.sets.iter().enumerate() {
            let turned = match t.left.get(&s.fork) {
                Some(at) => s.last_lsn > *at || !t.path.contains(&s.fork),
                None => i < t.next && !t.path.contains(&s.fork),
            };
            // Open, not left, and yet it neither continues nor leaves our fork: it grew from somewhere else.
            if turned || (t.open.contains(&i) && !t.left.contains_key(&s.fork)) {
                left_out.entry(s.fork).or_default().push((*name).to_owned());
            }
        }
        Course {
            links: t.links,
            end: t.at,
            choices: t.choices,
            gap,
            left_out,
            torn: Vec::new(),
            unknown: Vec::new(),
            unseen: false,
        }
    }
}
