//! How far the log in share and folder reached at each look: what was found already, and what came later.
//!
//! A header's clock may be wrong; that a look found a backup, and that the one before did not, is certain.

use std::sync::Arc;

use jiff::Timestamp;
use pchat_planner::chain;
use pchat_planner::facts::{Backups, Grown};

/// Entries kept. What grew before them is as good as forgotten.
const MOST: usize = 64;

/// What a series of looks has found so far.
#[derive(Debug, Default)]
pub struct Growth {
    grown: Arc<[Grown]>,
    /// Start of the last look at which the share's listing was proved.
    proved: Option<Timestamp>,
}

impl Growth {
    /// Takes in a look.
    pub fn take(
        &mut self,
        backups: &Backups,
        database: &str,
        began: Timestamp,
        ended: Timestamp,
    ) -> Arc<[Grown]> {
        let mut ends = self.grown.last().map(|g| g.ends.clone()).unwrap_or_default();
        let mut further = false;
        for (_, set) in chain::sets(backups, database) {
            match ends.iter_mut().find(|(fork, _)| *fork == set.fork) {
                Some((_, end)) if set.last_lsn <= *end => continue,
                Some((_, end)) => *end = set.last_lsn,
                None => ends.push((set.fork, set.last_lsn)),
            }
            further = true;
        }
        if further {
            let kept = self.grown.len().saturating_sub(MOST - 1);
            let grown = Grown { before: self.proved, seen: ended, ends };
            self.grown = self.grown[kept..].iter().cloned().chain([grown]).collect();
        }
        if backups.share.value().is_some() {
            self.proved = Some(began);
        }
        Arc::clone(&self.grown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pchat_planner::facts::{BackupFile, BackupKind, BackupSet, Fact, Header};
    use pchat_planner::lsn::{Fork, Lsn};
    use pchat_planner::pool::LogSource;
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A look that finds one backup up to each of these LSNs.
    fn found(lsns: &[u128], listed: bool) -> Backups {
        let set = |lsn| BackupSet {
            id: Uuid::nil(),
            position: 1,
            kind: BackupKind::Log,
            database: "mgc".into(),
            family: Uuid::nil(),
            first_lsn: Lsn(0),
            last_lsn: Lsn(lsn),
            first_fork: Fork(Uuid::nil()),
            fork: Fork(Uuid::nil()),
            fork_point: None,
            started: jiff::civil::date(2026, 11, 22).at(0, 0, 0, 0),
            finished: jiff::civil::date(2026, 11, 22).at(0, 0, 0, 0),
            server: String::new(),
            size: 0,
        };
        let file = |lsn| BackupFile { on_share: Some(Header::Read([set(lsn)].into())), in_folder: None };
        let names = Fact::Known { value: Vec::new(), source: String::new(), at: at(0) };
        let why = Fact::Unknown { why: "dead".into(), source: String::new(), at: at(0) };
        Backups {
            source: LogSource { share: String::new(), folder: String::new() },
            share: if listed { names.clone() } else { why },
            folder: names,
            files: lsns.iter().map(|lsn| (lsn.to_string(), file(*lsn))).collect::<BTreeMap<_, _>>(),
            grown: Arc::default(),
            aside: BTreeMap::new(),
            restless: None,
            damaged: Vec::new(),
        }
    }

    #[test]
    fn what_came_later_is_told_with_the_last_look_that_would_have_shown_it() {
        let mut growth = Growth::default();
        let looks: [(i64, &[u128], bool); 6] = [
            (10, &[100], false),
            (20, &[100, 200], true),
            (30, &[200], true),
            (40, &[200], false),
            (50, &[300], true),
            (60, &[100], true),
        ];
        for (began, lsns, listed) in looks {
            growth.take(&found(lsns, listed), "MGC", at(began), at(began + 2));
        }
        let told: Vec<_> = growth.grown.iter().map(|g| (g.before, g.seen, g.ends[0].1)).collect();
        let expected = [(None, 12, 100), (None, 22, 200), (Some(30), 52, 300)]
            .map(|(before, seen, lsn): (Option<i64>, _, _)| (before.map(at), at(seen), Lsn(lsn)));
        assert_eq!(told, expected, "a share that can't be listed proves nothing");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut growth = Growth::default();
        for lsn in 0..200 {
            growth.take(&found(&[lsn], true), "mgc", at(1), at(2));
        }
        assert_eq!(growth.grown.len(), MOST);
        assert!(growth.grown[MOST - 1].holds(Fork(Uuid::nil()), Lsn(199)));
    }
}
