//! Judges which log backups apply, in which order, and where the chain ends.
//!
//! LSN and recovery fork decide, as the headers tell them; names decide nothing, not even which unreadable file can't be
//! needed any more. Never answers "nothing is left" for what could not be read.
//!
//! A set applies at position p if `FirstLSN <= p < LastLSN`, it starts on p's fork, and it does not leave that fork
//! before p (4305, 4326 and 4330 are what SQL Server answers otherwise). Files that leave the fork open more than one
//! course; the courses are all returned, and a person chooses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::judge::files::{Held, held, join, unreadable};
use crate::model::facts::{BackupSet, Backups};
use crate::model::lsn::{Fork, Lsn, Position};
use crate::model::plan::LogFile;

/// A torn file must have been found unchanged for this long before it counts as the end of the chain.
pub const TORN_STABLE: SignedDuration = SignedDuration::from_secs(10);

/// So long is waited at most for files to settle that are written or replaced again and again; then a person is asked.
pub const RESTLESS_MOST: SignedDuration = SignedDuration::from_secs(30);

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

/// A set that continues the chain by its header and that RESTORE could not read to its end, wherever it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// File.
    pub name: String,
    /// The server's words.
    pub what: String,
    /// Files behind it that need it.
    pub behind: Vec<String>,
}

/// What the unreadable files of a course mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// There is none, or one torn file, and a dying server leaves one behind: it is the end of the chain.
    Settled,
    /// One may still be being written: it is looked at again then.
    Wait(Timestamp),
    /// More than a dying server leaves behind, or they do not come to rest: a person is asked.
    Ask,
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
    /// The set at the end that can't be restored.
    pub broken: Option<Broken>,
    /// Unreadable files that may lie behind the end.
    pub torn: Vec<Torn>,
    /// Files that somebody was writing.
    pub in_use: Vec<String>,
    /// Since when each look has found a file that may still be being written.
    pub restless: Option<Timestamp>,
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

    /// What the files mean that could not be read, by the look that began at `looked`. That time has passed since then shows
    /// nothing, only that they were found so again. Each file is judged by its own two looks: one that turns up later starts no
    /// clock of another.
    pub fn unread(&self, looked: Timestamp) -> Unread {
        let settles = |t: &Torn| crate::words::after(t.since, TORN_STABLE);
        let young = || self.torn.iter().map(settles).filter(|at| *at > looked);
        let settled = self.torn.len() - young().count();
        let restless = |most| self.restless.is_none_or(|since| looked.duration_since(since) >= most);
        if settled > 1
            || (self.restless.is_some() && restless(RESTLESS_MOST) && young().next().is_some())
            || (!self.in_use.is_empty() && restless(TORN_STABLE))
        {
            return Unread::Ask;
        }
        let in_use = self.restless.filter(|_| !self.in_use.is_empty());
        let in_use = in_use.map(|since| crate::words::after(since, TORN_STABLE));
        young().chain(in_use).max().map_or(Unread::Settled, Unread::Wait)
    }

    /// Names of everything that is given up if this course is taken, as far as it could not be read.
    pub fn given_up(&self) -> Vec<String> {
        let broken = self.broken.iter().map(|b| &b.name);
        let torn = self.torn.iter().map(|t| &t.name);
        let all = broken.chain(torn).chain(&self.in_use).chain(self.unknown.iter().map(|(name, _)| name));
        all.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// Nothing applicable is left behind the links, and that is known.
    pub fn known_end(&self) -> bool {
        !self.unseen
            && self.gap.is_none()
            && self.broken.is_none()
            && self.left_out.is_empty()
            && self.unknown.is_empty()
            && self.in_use.is_empty()
            && self.choices.is_empty()
    }
}

/// The readable log backups of the database named `database`, each with the file that holds it.
pub fn sets<'a>(backups: &'a Backups, database: &str) -> Vec<(&'a str, &'a BackupSet)> {
    held(backups, database).into_iter().map(|h| (h.name, h.set)).collect()
}

/// Everything that could be restored, in the order of the log, for a copy whose position nobody knows. Where two places hold a
/// set, it is there once.
pub fn untried(backups: &Backups, database: &str) -> Vec<LogFile> {
    let mut all: Vec<Held> = held(backups, database).into_iter().filter(|h| !h.is_damaged()).collect();
    all.sort_by_key(|h| (h.set.last_lsn, h.set.first_lsn));
    all.dedup_by_key(|h| h.set.id);
    all.iter().map(|h| log_file(backups, h)).collect()
}

fn log_file(backups: &Backups, held: &Held) -> LogFile {
    let Held { name, set, in_folder, on_share } = *held;
    let folder = join(&backups.source.folder, name);
    let share = join(&backups.source.share, name);
    let (path, fallback) = if in_folder { (folder, on_share.then_some(share)) } else { (share, None) };
    LogFile {
        name: name.to_owned(),
        path,
        fallback,
        set: set.position,
        first_lsn: set.first_lsn,
        last_lsn: set.last_lsn,
        size: set.size,
    }
}

/// Every course from `from` through the files. Never empty. Sets on `own` (the fork that an already recovered copy is
/// on) are its own log backups and none of the chain.
pub fn judge(backups: &Backups, database: &str, from: Position, own: Option<Fork>) -> Vec<Course> {
    let all = held(backups, database);
    let family =
        all.iter().find(|h| h.set.first_fork == from.fork || h.set.fork == from.fork).map(|h| h.set.family);
    let (mut candidates, mut damaged): (Vec<Held>, Vec<Held>) = all
        .iter()
        .filter(|h| {
            family.is_none_or(|f| h.set.family == f)
                && own.is_none_or(|o| h.set.first_fork != o && h.set.fork != o)
        })
        .partition(|h| !h.is_damaged());
    let order = |h: &Held| (h.set.first_lsn, h.set.last_lsn);
    candidates.sort_by(|a, b| (order(a), a.name).cmp(&(order(b), b.name)));
    // What can be read elsewhere is none.
    damaged.retain(|d| !candidates.iter().any(|h| h.set.id == d.set.id));
    let mut out = Vec::new();
    let walk = Walk { backups, sets: &candidates };
    walk.go(walk.trail(from), &mut out);
    for course in &mut out {
        unreadable(backups, &all, from, course);
        walk.breaks(&damaged, course);
    }
    out
}

struct Walk<'a> {
    backups: &'a Backups,
    sets: &'a [Held<'a>],
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

impl<'a> Walk<'a> {
    fn all(&self) -> impl Iterator<Item = &'a BackupSet> {
        self.sets.iter().map(|h| h.set)
    }

    /// A start at `at`, which knows from the files that cross forks which forks lie beside it for good: those that its own
    /// fork came from, and those that parted before it.
    fn trail(&self, at: Position) -> Trail {
        let mut path = BTreeSet::from([at.fork]);
        loop {
            let known = path.len();
            for s in self.all().filter(|s| s.first_fork != s.fork) {
                if path.contains(&s.fork) && s.fork_point.is_some_and(|p| p <= at.lsn) {
                    path.insert(s.first_fork);
                }
            }
            if path.len() == known {
                break;
            }
        }
        let parted: BTreeSet<Fork> = self
            .all()
            .filter(|s| path.contains(&s.first_fork) && !path.contains(&s.fork))
            .filter(|s| s.first_fork != at.fork || s.fork_point.is_some_and(|p| p < at.lsn))
            .map(|s| s.fork)
            .collect();
        let (next, open, links, choices) = (0, Vec::new(), Vec::new(), Vec::new());
        let mut t = Trail { at, next, open, links, choices, left: BTreeMap::new(), path: path.clone() };
        t.leave(path.into_iter().filter(|f| *f != at.fork));
        t.leave(self.descendants(&parted, at.fork));
        t
    }

    fn go(&self, mut t: Trail, out: &mut Vec<Course>) {
        loop {
            while let Some(h) = self.sets.get(t.next).filter(|h| h.set.first_lsn <= t.at.lsn) {
                if h.set.last_lsn > t.at.lsn {
                    t.open.push(t.next);
                }
                t.next += 1;
            }
            t.open.retain(|i| {
                self.sets[*i].set.last_lsn > t.at.lsn && !t.left.contains_key(&self.sets[*i].set.fork)
            });
            let straight = t
                .open
                .iter()
                .copied()
                .filter(|i| continues(self.sets[*i].set, t.at))
                .max_by_key(|i| (self.sets[*i].set.last_lsn, std::cmp::Reverse(*i)));
            let turns: Vec<usize> =
                t.open.iter().copied().filter(|i| leaves(self.sets[*i].set, t.at)).collect();
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
        let files: Vec<String> = turns.iter().map(|i| self.sets[*i].name.to_owned()).collect();
        let forks: BTreeSet<Fork> = turns.iter().map(|i| self.sets[*i].set.fork).collect();
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
                .filter(|i| self.sets[*i].set.fork == *fork)
                .max_by_key(|i| self.sets[*i].set.last_lsn)
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
            for s in self.all() {
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
        let Held { set, in_folder, .. } = self.sets[i];
        t.links.push(Link {
            file: log_file(self.backups, &self.sets[i]),
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
            let Held { name, set: s, .. } = self.sets[i];
            Stray { name: name.to_owned(), first_lsn: s.first_lsn, fork: s.fork }
        };
        let gap =
            (t.next..self.sets.len()).find(|i| !t.left.contains_key(&self.sets[*i].set.fork)).map(stray);
        let mut left_out: BTreeMap<Fork, Vec<String>> = BTreeMap::new();
        for (i, Held { name, set: s, .. }) in self.sets.iter().enumerate() {
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
            broken: None,
            torn: Vec::new(),
            in_use: Vec::new(),
            restless: None,
            unknown: Vec::new(),
            unseen: false,
        }
    }

    /// Tells whether one of the sets that can't be restored is what the end of a course waits for: then what lies behind it is
    /// no gap of its own.
    fn breaks(&self, damaged: &[Held], course: &mut Course) {
        let end = course.end;
        let next = |h: &&Held| {
            let s = h.set;
            s.first_lsn <= end.lsn && s.last_lsn > end.lsn && (continues(s, end) || leaves(s, end))
        };
        let Some(broken) = damaged.iter().filter(next).max_by_key(|h| h.set.last_lsn) else { return };
        let words = self.backups.damaged.iter().find(|d| d.set == broken.set.id).map(|d| d.what.clone());
        let mut behind: Vec<&Held> = self.sets.iter().chain(damaged).collect();
        behind.retain(|h| h.set.first_lsn > end.lsn && h.set.fork == broken.set.fork);
        behind.sort_by_key(|h| h.set.first_lsn);
        course.broken = Some(Broken {
            name: broken.name.to_owned(),
            what: words.unwrap_or_default(),
            behind: behind.into_iter().map(|h| h.name.to_owned()).collect(),
        });
        course.gap = None;
    }
}
