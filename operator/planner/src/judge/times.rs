//! When a backup began, in UTC, as far as that can be known.
//!
//! A header tells the wall clock of the server that made the backup, and no zone. What is in UTC beside it tells the zone: the
//! stamp that log shipping puts into a file's name (`<database>_yyyymmddhhmmss.trn`), and msdb's `time_zone` of what was
//! restored last. One file's word counts only where no other of the same server contradicts it. A time that lies behind the look
//! that found the backup can't be true. Where nothing agrees the time is unknown, and whoever needs it does without.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::judge::chain::{self, Link};
use crate::model::facts::{BackupSet, Backups, Database, Grown, RestoredBackup};
use crate::model::lsn::{Fork, Lsn};
use crate::words::{after, base_name};

/// Zones are multiples of this.
const QUARTER_S: i64 = 900;
/// The name is made shortly before the backup begins, by the same clock; a job on a busy server may take its time between.
const BESIDE_S: i64 = 150;
/// No zone is further from UTC.
const FURTHEST_S: i64 = 14 * 3600;
/// Daylight saving moves a zone by so much at most.
const SAVING_S: i64 = 3600;

/// What is told of a backup, and of where it is found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// File, base name.
    pub name: &'a str,
    /// The server that made it, if a header tells.
    pub server: Option<&'a str>,
    /// Its start by that server's wall clock.
    pub local: DateTime,
    /// The zone of just this backup, if msdb tells.
    pub zone: Option<Offset>,
    /// Fork at its end.
    pub fork: Fork,
    /// End of its log.
    pub last_lsn: Lsn,
}

impl<'a> Told<'a> {
    /// What a set in a file tells.
    pub fn of(name: &'a str, set: &'a BackupSet) -> Self {
        let BackupSet { server, started, fork, last_lsn, .. } = set;
        Told { name, server: Some(server), local: *started, zone: None, fork: *fork, last_lsn: *last_lsn }
    }
}

impl<'a> From<&'a Link> for Told<'a> {
    fn from(l: &'a Link) -> Self {
        Told {
            name: &l.file.name,
            server: Some(&l.server),
            local: l.started,
            zone: None,
            fork: l.fork,
            last_lsn: l.file.last_lsn,
        }
    }
}

/// The start of a backup. What tells it may differ by seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Not before this.
    pub earliest: Timestamp,
    /// Not after this, by its own clock.
    pub latest: Timestamp,
    /// Where the time comes from, to stand behind `start of FILE, `.
    pub source: String,
}

/// What tells the zones of the servers that made backups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times<'a> {
    servers: BTreeMap<String, Server<'a>>,
    grown: &'a [Grown],
    /// The share's listing is proved now.
    listed: bool,
    database: String,
}

#[derive(Clone, Debug, Default)]
struct Server<'a> {
    /// As it calls itself.
    name: &'a str,
    /// By the names of its files: the local start of a backup, and the offset that its stamp makes of it.
    stamped: Vec<(DateTime, i64)>,
    /// The offsets that count, with the number of files that tell them.
    offsets: BTreeMap<i64, usize>,
    /// By msdb, of what was restored last.
    msdb: Option<i64>,
    /// Names and msdb tell different zones: neither is believed.
    disputed: bool,
}

impl<'a> Times<'a> {
    /// Gathers what the names of the files of `db`, and its history, tell.
    pub fn of(backups: Option<&'a Backups>, db: &Database) -> Times<'a> {
        let mut it = Times { database: db.name.to_lowercase(), ..Times::default() };
        let Some(backups) = backups else { return it };
        (it.grown, it.listed) = (&backups.grown, backups.share.value().is_some());
        let restored = db.last_restored.as_ref();
        for (name, set) in chain::sets(backups, &db.name) {
            let stamped = it.stamp(name).filter(|_| set.position == 1);
            let server = it.servers.entry(set.server.to_lowercase()).or_default();
            server.name = &set.server;
            if let Some(offset) = stamped.and_then(|stamp| offset(set.started, stamp)) {
                server.stamped.push((set.started, offset));
            }
            let last = restored.filter(|r| (r.last_lsn, r.fork) == (set.last_lsn, set.fork));
            if let Some(zone) = last.and_then(|r| r.zone) {
                server.msdb = Some(i64::from(zone.seconds()));
            }
        }
        it.servers.values_mut().for_each(Server::settle);
        it
    }

    /// When the backup began. An error says why that is unknown.
    pub fn start(&self, told: &Told) -> Result<Start, String> {
        let server = told.server.and_then(|name| self.servers.get(&name.to_lowercase()));
        let stamp = self.stamp(told.name);
        let own = stamp.and_then(|stamp| offset(told.local, stamp));
        let msdb = told.zone.map(|zone| i64::from(zone.seconds()));
        let who = server.map_or("the server that made it", |s| s.name);
        let disputed = || format!("the names of {who}'s files and msdb tell different time zones");
        if server.is_some_and(|s| s.disputed) {
            return Err(disputed());
        }
        let (offset, source) = match (msdb, own.filter(|o| server.is_none_or(|s| s.counts(*o)))) {
            (Some(zone), Some(own)) if zone != own => {
                return Err(disputed());
            }
            (Some(zone), _) => (zone, "with the time zone that msdb tells".to_owned()),
            (None, Some(own)) => (own, "by the UTC time in its name".to_owned()),
            (None, None) => match server.and_then(|s| s.nearest(told.local)) {
                Some((offset, Some(files))) => (
                    offset,
                    format!(
                        "in the time zone of {who} that {} with a UTC time in the name {}",
                        crate::words::count(files, "file"),
                        if files == 1 { "tells" } else { "tell" }
                    ),
                ),
                Some((offset, None)) => (offset, format!("in the time zone of {who} that msdb tells")),
                None => {
                    return Err(format!(
                        "{} was begun in a time zone that nothing tells, neither the names of {who}'s files nor msdb",
                        told.name
                    ));
                }
            },
        };
        let start = utc(told.local, offset)
            .ok_or_else(|| format!("the header of {} tells an impossible time", told.name))?;
        // The name is older than the backup. A stamp that is far off is somebody else's.
        let stamp = stamp.filter(|s| s.duration_since(start).as_secs().abs() <= BESIDE_S);
        Ok(Start {
            earliest: stamp.map_or(start, |s| s.min(start)),
            latest: stamp.map_or(start, |s| s.max(start)),
            source,
        })
    }

    /// The end of the first look that found log of this fork up to this LSN, in the executor's clock: no such log is younger.
    pub fn found(&self, told: &Told) -> Option<Timestamp> {
        self.grown.iter().find(|g| g.holds(told.fork, told.last_lsn)).map(|g| g.seen)
    }

    /// Whether a look at the share that began at or after `since` did not find this log, and a later one did.
    pub fn appeared(&self, since: Timestamp, told: &Told) -> bool {
        let later = |g: &Grown| g.before.is_some_and(|before| before >= since);
        let Some(first) = self.grown.iter().position(later) else { return false };
        // What is behind the first entry is known only while that one is kept.
        first > 0 && !self.grown[first - 1].holds(told.fork, told.last_lsn)
    }

    /// How far the log reached that was found by the first look at the share that began at or after `since`, or before; nothing where
    /// no such look was proved.
    pub fn found_first(&self, since: Timestamp) -> &[(Fork, Lsn)] {
        let later = |g: &Grown| g.before.is_some_and(|before| before >= since);
        let first = self.grown.iter().position(later).unwrap_or(self.grown.len());
        match first.checked_sub(1).and_then(|i| self.grown.get(i)) {
            Some(g) if self.listed || first < self.grown.len() => &g.ends,
            _ => &[],
        }
    }

    fn stamp(&self, name: &str) -> Option<Timestamp> {
        let name = name.to_lowercase();
        let digits = name.strip_prefix(self.database.as_str())?.strip_prefix('_')?.strip_suffix(".trn")?;
        let whole = digits.len() == 14 && digits.bytes().all(|b| b.is_ascii_digit());
        let time = whole.then(|| DateTime::strptime("%Y%m%d%H%M%S", digits).ok())??;
        Offset::UTC.to_timestamp(time).ok()
    }
}

impl Server<'_> {
    /// One offset, and those that daylight saving makes of it, told by more than one file each; or the word of the only file.
    fn settle(&mut self) {
        let mut told: BTreeMap<i64, usize> = BTreeMap::new();
        for (_, offset) in &self.stamped {
            *told.entry(*offset).or_default() += 1;
        }
        let alone = self.stamped.len() == 1;
        let most = told.iter().max_by_key(|(_, files)| **files).map(|(offset, _)| *offset);
        let near = |a: i64, b: i64| (a - b).abs() <= SAVING_S;
        told.retain(|offset, files| (alone || *files > 1) && most.is_some_and(|most| near(most, *offset)));
        self.disputed =
            !told.is_empty() && self.msdb.is_some_and(|msdb| !told.keys().any(|offset| near(*offset, msdb)));
        self.stamped.retain(|(_, offset)| told.contains_key(offset));
        self.stamped.sort_unstable();
        self.offsets = told;
    }

    fn counts(&self, offset: i64) -> bool {
        self.offsets.contains_key(&offset)
    }

    /// The offset of the stamped backup that lies nearest, and how many files tell it; else msdb's.
    fn nearest(&self, local: DateTime) -> Option<(i64, Option<usize>)> {
        let far = |other: &DateTime| other.duration_since(local).abs();
        let nearest = self.stamped.iter().min_by_key(|(other, _)| far(other));
        match nearest {
            Some((_, offset)) => Some((*offset, self.offsets.get(offset).copied())),
            None => self.msdb.map(|offset| (offset, None)),
        }
    }
}

/// The offset that makes of a wall clock the time in a name: a multiple of a quarter of an hour, but for what lies between.
fn offset(local: DateTime, stamp: Timestamp) -> Option<i64> {
    let ahead = utc(local, 0)?.duration_since(stamp).as_secs();
    let offset = (ahead as f64 / QUARTER_S as f64).round() as i64 * QUARTER_S;
    (offset.abs() <= FURTHEST_S && (ahead - offset).abs() <= BESIDE_S).then_some(offset)
}

fn utc(local: DateTime, offset_s: i64) -> Option<Timestamp> {
    let offset = Offset::from_seconds(i32::try_from(offset_s).ok()?).ok()?;
    offset.to_timestamp(local).ok()
}

/// What is told of the backup that was restored last.
pub(crate) fn restored<'a>(backups: Option<&'a Backups>, db: &Database, r: &'a RestoredBackup) -> Told<'a> {
    let sets = backups.map(|b| chain::sets(b, &db.name)).unwrap_or_default();
    let set = sets.into_iter().find(|(_, s)| (s.last_lsn, s.fork) == (r.last_lsn, r.fork));
    Told {
        name: base_name(&r.file),
        server: set.map(|(_, s)| s.server.as_str()),
        local: r.started,
        zone: r.zone,
        fork: r.fork,
        last_lsn: r.last_lsn,
    }
}

/// When the backup began that was restored last into `db`, if that is known.
pub fn last_restored(backups: Option<&Backups>, db: &Database) -> Option<Timestamp> {
    let r = db.last_restored.as_ref()?;
    Times::of(backups, db).start(&restored(backups, db, r)).ok().map(|s| s.earliest)
}

/// How far the far end's clock is ahead of the executor's, by a look that began at `at` and was told `clock`. What the way there
/// takes looks the same as two seconds.
pub(crate) fn ahead(clock: Timestamp, at: Timestamp) -> SignedDuration {
    let ahead = clock.duration_since(at);
    if ahead.abs() <= SignedDuration::from_secs(2) { SignedDuration::ZERO } else { ahead }
}

/// `t` of the executor's clock, in a clock that is `ahead`.
pub(crate) fn there(t: Timestamp, ahead: SignedDuration) -> Timestamp {
    after(t, ahead)
}
