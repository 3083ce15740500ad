//! What a mirrored pair must keep, by hand and by dice.

use super::*;
use crate::world::database::{Cell, Change, Row};
use crate::world::scenario::Scenario;

/// A small generator; the seed is printed and taken back from `PCHAT_SEED`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn without_force_a_pair_never_has_two_principals_and_never_loses_what_it_acknowledged() {
    let seed = std::env::var("PCHAT_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    println!("PCHAT_SEED={seed}");
    let mut dice = Dice(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::from_yaml("logShipping: {backups: 1, copied: 0, restored: 0}").expect("valid");
    let mut w = World::build(scenario, dir.path()).expect("a world");
    let pair = [0, 1].map(|s| w.chat_key(s).expect("mgc"));
    let hosts = pair.map(|k| w.servers[k.server].host.clone());
    let mut acknowledged: Vec<u64> =
        w.existing(pair[0]).expect("there").tables["tblChat"].keys().copied().collect();
    let mut taken_over = 0;
    for step in 0..2000 {
        let alive = |w: &World, n: usize| w.reach.alive(&hosts[n]);
        let serving: Vec<usize> =
            (0..2).filter(|n| alive(&w, *n) && w.existing(pair[*n]).is_ok_and(|d| d.writable())).collect();
        assert!(serving.len() <= 1, "two principals in step {step}");
        match (dice.roll(10), serving.first()) {
            (0..=4, Some(n)) => {
                let row = w.existing(pair[*n]).expect("there").next_row;
                let put = Change::Put(Row("tblChat".into(), row, vec![Cell::Int(step)]));
                w.commit(pair[*n], put).expect("writable");
                acknowledged.push(row);
            }
            (5, _) => {
                let n = dice.roll(2) as usize;
                if alive(&w, 1 - n) {
                    w.set_dead(&hosts[n], true);
                }
            }
            (6, _) => hosts.iter().for_each(|h| w.set_dead(h, false)),
            (7, _) => {
                let n = dice.roll(2) as usize;
                taken_over += usize::from(alive(&w, n) && w.promote_mirror(pair[n]).is_ok());
            }
            (8, Some(n)) => {
                // Refused unless synchronized.
                let _refused = w.partner_failover(pair[*n]);
            }
            _ => {}
        }
        let serving = (0..2).find(|n| alive(&w, *n) && w.existing(pair[*n]).is_ok_and(|d| d.writable()));
        if let Some(n) = serving {
            let rows = &w.existing(pair[n]).expect("there").tables["tblChat"];
            let lost = acknowledged.iter().find(|r| !rows.contains_key(r));
            assert_eq!(lost, None, "lost in step {step}");
        }
    }
    assert!(acknowledged.len() > 100 && taken_over > 5, "the dice did too little: {taken_over}");
}

#[test]
fn a_mirror_that_missed_commits_takes_over_by_force_only_and_on_a_new_fork() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut w = World::build(Scenario::default(), dir.path()).expect("a world");
    let (principal, mirror) = (w.chat_key(0).expect("mgc"), w.chat_key(1).expect("mgc"));
    w.set_dead("sql-tp2.contoso.com", true);
    w.commit(principal, Change::Put(Row("tblChat".into(), 9999, vec![]))).expect("it runs exposed");
    w.set_dead("sql-tp1.contoso.com", true);
    w.set_dead("sql-tp2.contoso.com", false);
    assert_eq!(w.promote_mirror(mirror).unwrap_err().number, 1422);
    let before = w.existing(mirror).expect("there").fork;
    w.force_service(mirror).expect("forced");
    let db = w.existing(mirror).expect("there");
    assert!(db.writable() && db.fork != before && !db.tables["tblChat"].contains_key(&9999));
    w.set_dead("sql-tp1.contoso.com", false);
    assert_eq!(w.existing(principal).expect("there").state, State::Restoring);
    assert_eq!(w.mirror_state(mirror), Some(MirrorState::Suspended), "until it is resumed");
}
