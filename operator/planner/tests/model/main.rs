//! The exhaustive check: the real planner against every order of events that small worlds allow.
//!
//! Each environment takes a few liberties and is explored to the end; a product of all would not finish. The larger ones
//! are ignored by default: `cargo test -p pchat-planner --test model -- --include-ignored --nocapture` prints the number of
//! states of each.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod env;
mod far_end;
mod rules;
mod view;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use check::Check;
use env::*;
use pchat_planner::facts::PoolState;
use pchat_planner::pool::Side;
use world::*;

/// Explores an environment until a property fails (`wanted`, or any) or there is nothing left; the property and the way there.
pub fn explore(env: Env, wanted: Option<&'static str>) -> Option<(&'static str, String)> {
    let name = env.name;
    let until = wanted.map_or(HasDiscoveries::AnyFailures, |w| HasDiscoveries::AnyOf([w].into()));
    let checker = Check::new(env).checker().threads(1).finish_when(until).spawn_bfs().join();
    println!("{name}: {} states", checker.unique_state_count());
    let mut found: Vec<(&'static str, String)> = checker
        .discoveries()
        .into_iter()
        .filter(|(property, _)| wanted.is_none_or(|w| w == *property))
        .map(|(property, path)| {
            let events: Vec<String> = path.into_actions().iter().map(|e| format!("  {e:?}")).collect();
            (property, events.join("\n"))
        })
        .collect();
    found.sort();
    found.pop()
}

fn holds(env: Env) {
    let name = env.name;
    if let Some((property, path)) = explore(env, None) {
        panic!("{name}: not so: {property}\n{path}");
    }
}

fn env(name: &'static str, start: Vec<World>) -> Env {
    Env { name, files: files(), start, without: &[], limit: false, notes: false, drains: true }
}

fn with(mut w: World, f: impl FnOnce(&mut World)) -> World {
    f(&mut w);
    w
}

#[test]
fn crashes_and_lost_replies_lead_to_the_same_end() {
    let w = with(disaster(), |w| {
        w.left = Budget { crashes: 1, lost: 2, job_runs: 2, ticks: 1, ..Budget::default() };
    });
    holds(env("crashes and lost replies", vec![w]));
}

#[test]
fn every_prefix_of_the_printed_runbook_is_taken_over() {
    let starts = (0..=7u8).flat_map(|n| {
        [false, true].map(|declared| {
            with(by_hand(n), |w| {
                w.source_declared = declared;
                w.left =
                    Budget { crashes: 1, lost: 1, delays: 1, ticks: 1, approvals: 1, ..Budget::default() };
            })
        })
    });
    holds(env("prefixes by hand", starts.collect()));
}

#[test]
fn a_run_that_follows_its_own_ended_run_is_not_harmed_by_what_that_one_left_on_its_way() {
    let left = Budget { ends: 2, delays: 2, lost: 1, ticks: 1, ..Budget::default() };
    holds(env("ended runs", vec![with(disaster(), |w| w.left = left)]));
}

#[test]
fn requests_delayed_past_their_caller_do_nothing_wrong() {
    let w = with(hidden(disaster()), |w| {
        w.left = Budget { delays: 2, late: 1, ticks: 1, turns: 1, ..Budget::default() };
    });
    let mut e = env("delayed requests", vec![w]);
    e.files.push(file(300, 400));
    holds(e);
}

#[test]
fn a_primary_that_returns_or_was_only_cut_off() {
    let dead = with(hidden(disaster()), |w| {
        w.left = Budget { returns: 1, delays: 1, ticks: 1, late: 1, ..Budget::default() };
    });
    let cut = with(hidden(disaster()), |w| {
        w.peers = [Peer::CutOff, Peer::Dead];
        w.left =
            Budget { returns: 1, writes: 1, late: 1, ticks: 1, delays: 1, approvals: 1, ..Budget::default() };
    });
    let blinks = with(disaster(), |w| {
        w.peers = [Peer::Serves, Peer::Mirror];
        w.left = Budget { cuts: 2, returns: 1, ticks: 2, ..Budget::default() };
    });
    let mut e = env("returning primary", vec![dead, cut, blinks]);
    e.files.push(file(300, 400));
    holds(e);
}

#[test]
fn a_side_that_was_seen_to_live_is_not_forgotten() {
    let w = with(hidden(disaster()), |w| {
        w.peers = [Peer::CutOff, Peer::Dead];
        w.left = Budget { late: 1, ticks: 1, crashes: 1, approvals: 1, ..Budget::default() };
    });
    let mut e = env("signs of life", vec![w]);
    (e.notes, e.drains) = (true, false);
    e.files.push(file(300, 400));
    holds(e);
}

#[test]
fn a_mirror_that_answers_or_promotes_itself() {
    let starts = [Peer::Mirror, Peer::MirrorCutOff].map(|mirror| {
        with(disaster(), |w| {
            w.peers = [Peer::Dead, mirror];
            w.left = Budget {
                promotions: 1,
                cuts: 1,
                returns: 1,
                ticks: 1,
                approvals: 1,
                delays: 1,
                ..Budget::default()
            };
        })
    });
    holds(env("mirror", starts.into()));
}

#[test]
fn gaps_torn_files_and_late_ones() {
    let torn_last = with(placed(disaster(), Look::Torn, Look::Absent), |_| {});
    let gap = with(placed(disaster(), Look::Whole, Look::Absent), |w| {
        w.files[2] = FileAt { share: Look::Absent, folder: Look::Absent, born: None };
    });
    let torn_middle = with(placed(disaster(), Look::Whole, Look::Absent), |w| w.files[2].share = Look::Torn);
    let starts = [torn_last, gap, torn_middle].map(|w| {
        with(w, |w| {
            w.left = Budget {
                late: 1,
                delays: 1,
                approvals: 1,
                job_runs: 1,
                shares: 1,
                ticks: 1,
                ..Budget::default()
            };
        })
    });
    let mut e = env("gaps and torn files", starts.into());
    e.files.push(file(300, 400));
    holds(e);
}

#[test]
fn an_old_online_copy_and_a_copy_recovered_by_hand() {
    let old = with(disaster(), |w| {
        w.db = Db { copy: Copy::Online, ..w.db };
        w.left = Budget { approvals: 1, crashes: 1, returns: 1, lost: 1, ticks: 1, ..Budget::default() };
    });
    let by_hand = with(disaster(), |w| {
        w.left = Budget { hand: 2, delays: 1, lost: 1, approvals: 1, ticks: 1, ..Budget::default() };
    });
    holds(env("online copies", vec![old, by_hand]));
}

#[test]
fn readers_of_a_standby_copy_come_back() {
    let w = with(disaster(), |w| {
        w.db.copy = Copy::Standby;
        w.readers = true;
        w.left = Budget { readers: 3, delays: 1, lost: 1, crashes: 1, ..Budget::default() };
    });
    let nothing_left = with(w.clone(), |w| w.db = Db { lsn: 300, last: Some(2), ..w.db });
    holds(env("standby", vec![w, nothing_left]));
}

fn two(second: Side, left: Budget) -> Vec<World> {
    vec![with(disaster(), |w| {
        w.execs.push(exec(second));
        w.left = left;
    })]
}

#[test]
fn two_executors_never_harm() {
    holds(env("two executors", two(Side::Backup, Budget { delays: 1, sleeps: 2, ..Budget::default() })));
}

/// A gap in the chain, at which the owner stands and waits for a person.
fn gap(second: Side, left: Budget) -> Vec<World> {
    two(second, left)
        .into_iter()
        .map(|w| with(w, |w| w.files[2] = FileAt { share: Look::Torn, folder: Look::Torn, born: None }))
        .collect()
}

#[test]
fn an_owner_that_acts_or_waits_lives_and_one_that_ended_is_not_waited_for() {
    for second in [Side::Backup, Side::Primary] {
        let left = Budget { longs: 1, ticks: 3, ..Budget::default() };
        holds(env("long actions", two(second, left)));
        let left = Budget { ends: 1, ticks: 2, sleeps: 1, ..Budget::default() };
        holds(env("at a stop", gap(second, left)));
    }
}

#[test]
fn a_look_that_a_late_request_tears_leaves_the_pool_protected() {
    let left = Budget { delays: 1, turns: 2, torn: 1, disables: 1, ..Budget::default() };
    let mut e = env("torn looks", vec![with(disaster(), |w| w.left = left)]);
    // What a person disables, a person enables.
    e.drains = false;
    holds(e);
}

#[test]
fn opposite_intents_never_harm() {
    let left = Budget { delays: 1, sleeps: 2, approvals: 1, ..Budget::default() };
    holds(env("opposite intents", two(Side::Primary, left)));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn two_executors_and_lost_replies() {
    let left = Budget { delays: 1, lost: 1, longs: 1, ticks: 1, sleeps: 2, ..Budget::default() };
    holds(env("two executors, lost replies", two(Side::Backup, left)));
}

#[test]
#[ignore = "minutes; run with --include-ignored"]
fn opposite_intents_for_longer() {
    let left = Budget { delays: 1, ticks: 1, sleeps: 2, approvals: 1, turns: 1, ..Budget::default() };
    holds(env("opposite intents, longer", two(Side::Primary, left)));
}

#[test]
fn a_store_that_cannot_be_written_and_a_declared_limit() {
    let w = with(disaster(), |w| {
        w.store_ok = false;
        w.left = Budget { approvals: 1, crashes: 1, lost: 1, delays: 1, ..Budget::default() };
    });
    let damaged = with(w.clone(), |w| {
        (w.store_ok, w.peers) = (true, [Peer::Damaged, Peer::Damaged]);
        w.left.approvals = 2;
    });
    let refused = with(damaged.clone(), |w| w.peers = [Peer::Refuses, Peer::Dead]);
    let deaf = with(w.clone(), |w| (w.store_ok, w.deaf) = (true, true));
    let mut e = env("store and limit", vec![w, damaged, refused, deaf]);
    e.limit = true;
    holds(e);
}

#[test]
fn two_forks_at_one_lsn() {
    let w = with(placed(placed(disaster(), Look::Whole, Look::Absent), Look::Whole, Look::Absent), |w| {
        w.left = Budget { approvals: 1, lost: 1, delays: 1, crashes: 1, ..Budget::default() };
    });
    let mut e = env("forks", vec![w]);
    e.files.push(file(300, 400));
    e.files.push(FileDef { first: 300, last: 420, first_fork: 0, fork: 2, point: Some(300) });
    holds(e);
}

#[test]
fn a_finished_failover_is_not_touched_again() {
    let w = with(by_hand(7), |w| {
        w.source_declared = true;
        w.left = Budget { crashes: 1, ticks: 2, ..Budget::default() };
    });
    assert_eq!(w.pool, PoolState::FailedOver);
    let p = view::plan(&env("steady", vec![]), &w, 0);
    assert!(matches!(p.next, pchat_planner::plan::Next::Converged), "{:#?}", p.next);
}
