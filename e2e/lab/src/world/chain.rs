//! The rules of the backup chain: what a log backup holds, and which one a restoring copy takes next.
//!
//! Answers for LSN and fork arithmetic of BACKUP LOG, RESTORE LOG and RESTORE DATABASE (RESTORE Statements,
//! HEADERONLY `FirstLSN`/`LastLSN`/`ForkPointLSN`; sys.master_files `redo_start_lsn`). It works on one copy
//! and one backup set and must know neither files nor sessions.

use super::backup_file::{Header, Kind, Set};
use super::clock::Clock;
use super::database::{Database, Record, Row, State};
use super::error::{SqlError, raise};
use jiff::Timestamp;
use uuid::Uuid;

/// Who makes a backup and how: the parts of a header that do not come from the database.
#[derive(Clone, Debug)]
pub struct Author {
    pub server: String,
    pub machine: String,
    pub user: String,
    pub clock: Clock,
    pub software: (i32, i32, i32),
    pub name: Option<String>,
    pub description: Option<String>,
    pub checksum: bool,
    pub copy_only: bool,
    /// NORECOVERY: the copy goes RESTORING with this backup (a tail).
    pub tail: bool,
}

/// Builds the next log backup of `db` and moves its backed-up mark (unless copy-only).
pub fn log_backup(db: &mut Database, author: &Author, set: Uuid, now: Timestamp) -> (Header, Vec<Record>) {
    let first = db.backed_up_to;
    // A log backup ends behind the records of its own begin, so it is never empty.
    if db.writable() {
        db.next = db.next.plus(1);
    }
    let last = db.next;
    let first_fork = db.fork_at(first);
    let header = Header {
        kind: Kind::Log,
        first,
        last,
        checkpoint: last,
        first_fork,
        fork: db.fork,
        // The first way that parts from the first fork: beyond it no other copy of that fork may follow.
        fork_point: db.forks.iter().find(|f| first <= f.lsn).map(|f| f.lsn),
        force_offline: author.tail,
        begins_log_chain: false,
        ..header(db, author, set, now)
    };
    let records = db.log.iter().filter(|r| r.lsn >= first && r.lsn < last).cloned().collect();
    if !author.copy_only {
        db.backed_up_to = last;
        let keep = db.mirroring.as_ref().and_then(|m| m.sent_to).unwrap_or(last);
        db.truncate_log(keep);
    }
    if author.tail {
        db.state = State::Restoring;
    }
    (header, records)
}

/// Builds a full backup of `db`.
pub fn full_backup(db: &mut Database, author: &Author, set: Uuid, now: Timestamp) -> (Header, Vec<Row>) {
    let first = db.next;
    db.next = db.next.plus(2);
    let header = Header {
        kind: Kind::Full,
        first,
        last: db.next,
        checkpoint: first,
        begins_log_chain: db.base.is_none(),
        ..header(db, author, set, now)
    };
    if !author.copy_only {
        if db.base.is_none() {
            db.backed_up_to = first;
        }
        db.base = Some(first);
    }
    (header, db.rows())
}

fn header(db: &Database, author: &Author, set: Uuid, now: Timestamp) -> Header {
    Header {
        kind: Kind::Full,
        name: author.name.clone(),
        description: author.description.clone(),
        set_guid: set,
        user: author.user.clone(),
        server: author.server.clone(),
        machine: author.machine.clone(),
        database: db.name.clone(),
        database_created: db.created,
        software: author.software,
        compatibility: u8::try_from(author.software.0 * 10).unwrap_or(100).min(150),
        first: db.next,
        last: db.next,
        checkpoint: db.next,
        database_backup: db.base.unwrap_or_default(),
        started: author.clock.utc(now),
        finished: author.clock.utc(now),
        zone_min: author.clock.zone_min,
        first_fork: db.fork,
        fork: db.fork,
        fork_point: None,
        family: db.family,
        binding: db.guid,
        recovery_model: db.model.name().replace('_', "-"),
        single_user: db.access == super::database::Access::Single,
        checksum: author.checksum,
        copy_only: author.copy_only,
        force_offline: false,
        begins_log_chain: false,
        damaged: false,
    }
}

/// Whether `set` can be applied to `db` now; the error is the one RESTORE LOG gives.
pub fn check_log(db: &Database, set: &Set) -> Result<(), SqlError> {
    let h = &set.header;
    if h.family != db.family {
        return Err(raise(3154, &[&db.name]));
    }
    if h.first > db.next {
        return Err(raise(4305, &[&h.first, &db.next]));
    }
    if h.last < db.next || (h.last == db.next && h.first < h.last) {
        return Err(raise(4326, &[&h.last, &db.next]));
    }
    // On the file's path the copy must stand on its first fork and not beyond the fork point, or already
    // on its last fork behind that point.
    let before_point = db.fork == h.first_fork && h.fork_point.is_none_or(|p| db.next <= p);
    let behind_point = db.fork == h.fork && h.fork_point.is_some_and(|p| db.next > p);
    if !(before_point || behind_point) {
        return Err(raise(4330, &[]));
    }
    Ok(())
}

/// Rolls `db` forward with `set`, which [`check_log`] accepted; the state is set by the caller.
pub fn apply_log(db: &mut Database, set: &Set) {
    let from = db.next;
    for record in set.records.iter().filter(|r| r.lsn >= from) {
        db.replay(record);
    }
    if let Some(point) = set.header.fork_point
        && db.fork == set.header.first_fork
    {
        db.forks.push(super::database::Fork { lsn: point, from: db.fork, to: set.header.fork });
    }
    db.next = set.header.last;
    db.fork = set.header.fork;
    // What came in by a log backup is in one: after recovery the next backup starts here.
    db.backed_up_to = db.next;
    db.truncate_log(db.next);
}

/// Makes the content and log position of `db` those of the full backup `set`.
pub fn apply_full(db: &mut Database, set: &Set) {
    let h = &set.header;
    db.tables.clear();
    db.log.clear();
    db.forks.clear();
    for Row(table, id, cells) in &set.rows {
        db.next_row = db.next_row.max(id + 1);
        db.tables.entry(table.clone()).or_default().insert(*id, cells.clone());
    }
    db.family = h.family;
    db.next = h.last;
    db.fork = h.fork;
    db.backed_up_to = h.last;
    db.base = Some(h.first);
    db.standby = None;
    db.read_only = false;
    db.last_commit = Some(h.finished);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::database::{Cell, Change};
    use crate::world::lsn::Lsn;

    fn author() -> Author {
        Author {
            server: r"SQL-TP1\PCHAT".into(),
            machine: "SQL-TP1".into(),
            user: "sa".into(),
            clock: Clock::default(),
            software: (11, 0, 7001),
            name: None,
            description: None,
            checksum: false,
            copy_only: false,
            tail: false,
        }
    }

    fn set(header: Header, records: Vec<Record>, rows: Vec<Row>) -> Set {
        Set { header, records, rows, incomplete: false, corrupt: false, size: 0 }
    }

    /// A primary with a full backup restored to a second copy.
    fn pair() -> (Database, Database) {
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];
        let mut a = Database::new(5, "mgc", Lsn::new(41, 1), Timestamp::UNIX_EPOCH, ids);
        let (h, rows) = full_backup(&mut a, &author(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        let mut b = a.clone();
        apply_full(&mut b, &set(h, vec![], rows));
        b.state = State::Restoring;
        (a, b)
    }

    fn say(db: &mut Database, n: i64) {
        let row = Row("t".into(), db.next_row, vec![Cell::Int(n)]);
        db.commit(Change::Put(row), Timestamp::UNIX_EPOCH);
    }

    fn log(db: &mut Database) -> Set {
        let (h, r) = log_backup(db, &author(), Uuid::new_v4(), Timestamp::UNIX_EPOCH);
        set(h, r, vec![])
    }

    #[test]
    fn the_chain_takes_each_backup_once_and_in_order() {
        let (mut a, mut b) = pair();
        let sets: Vec<Set> = (0..3)
            .map(|n| {
                say(&mut a, n);
                log(&mut a)
            })
            .collect();
        assert_eq!(check_log(&b, &sets[1]).unwrap_err().number, 4305);
        for s in &sets {
            check_log(&b, s).expect("in order");
            apply_log(&mut b, s);
            assert_eq!(check_log(&b, s).unwrap_err().number, 4326);
        }
        assert_eq!(a.tables, b.tables);
        assert_eq!(a.next, b.next);
    }

    #[test]
    fn after_a_forced_service_only_one_of_two_successors_can_be_used() {
        let (mut a, mut b) = pair();
        say(&mut a, 1);
        let common = log(&mut a);
        apply_log(&mut b, &common);
        // The mirror had the same log up to here; the principal writes two more that it never sends.
        let mut mirror = a.clone();
        say(&mut a, 2);
        say(&mut a, 3);
        say(&mut a, 4);
        mirror.recover(Uuid::from_u128(9));
        say(&mut mirror, 5);
        let (old, promoted) = (log(&mut a), log(&mut mirror));
        assert_eq!(old.header.first, promoted.header.first);
        assert_eq!(promoted.header.first_fork, old.header.fork);
        assert_eq!(promoted.header.fork_point, Some(common.header.last));
        assert!(check_log(&b, &old).is_ok() && check_log(&b, &promoted).is_ok());
        let mut wrong = b.clone();
        apply_log(&mut wrong, &old);
        say(&mut mirror, 6);
        let mut later = log(&mut mirror);
        later.header.first = promoted.header.first;
        later.header.first_fork = promoted.header.first_fork;
        later.header.fork_point = promoted.header.fork_point;
        assert_eq!(check_log(&wrong, &later).unwrap_err().number, 4330);
        apply_log(&mut b, &promoted);
        assert_eq!(b.fork, mirror.fork);
        assert!(check_log(&b, &old).is_err());
    }

    #[test]
    fn the_first_backup_after_recovery_names_both_forks() {
        let (mut a, mut b) = pair();
        say(&mut a, 1);
        apply_log(&mut b, &log(&mut a));
        let (point, old) = (b.next, b.fork);
        b.recover(Uuid::from_u128(7));
        say(&mut b, 2);
        let s = log(&mut b);
        assert_eq!((s.header.first, s.header.fork_point), (point, Some(point)));
        assert_eq!((s.header.first_fork, s.header.fork), (old, b.fork));
        let s = log(&mut b);
        assert_eq!((s.header.first_fork, s.header.fork_point), (b.fork, None));
    }

    /// Whatever is offered in whatever order, what is accepted brings exactly the content that its author had: forks,
    /// gaps and repeats included. The seed is printed and taken back from `PCHAT_SEED`.
    #[test]
    fn what_the_chain_accepts_is_always_what_its_author_had() {
        let seed: u64 = std::env::var("PCHAT_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| u64::from(std::process::id()) * 104_729 + 1);
        println!("PCHAT_SEED={seed}");
        let mut state = seed;
        let mut roll = |sides: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % sides as u64) as usize
        };
        let (mut applied, mut crossed) = (0, 0);
        for _ in 0..40 {
            let (first, target) = pair();
            let mut authors = vec![first];
            let mut sets: Vec<(Set, std::collections::BTreeMap<_, _>)> = vec![];
            for n in 0..60 {
                let at = roll(authors.len());
                match roll(12) {
                    0 if authors.len() < 4 => {
                        let mut forked = authors[at].clone();
                        forked.recover(Uuid::from_u128(1000 + n));
                        authors.push(forked);
                    }
                    1..=4 => {
                        let set = log(&mut authors[at]);
                        sets.push((set, authors[at].tables.clone()));
                    }
                    _ => say(&mut authors[at], n as i64),
                }
            }
            let mut copy = target;
            for _ in 0..400 {
                if sets.is_empty() {
                    break;
                }
                let (set, content) = &sets[roll(sets.len())];
                let before = copy.fork;
                match check_log(&copy, set) {
                    Ok(()) => {
                        apply_log(&mut copy, set);
                        assert_eq!(copy.tables, *content, "the copy is not what its author had");
                        assert_eq!((copy.next, copy.fork), (set.header.last, set.header.fork));
                        applied += 1;
                        crossed += usize::from(copy.fork != before);
                    }
                    Err(e) => assert!(matches!(e.number, 4305 | 4326 | 4330), "{e}"),
                }
            }
        }
        assert!(applied > 40 && crossed > 0, "the dice did too little: {applied} applied, {crossed} forks");
    }
}
