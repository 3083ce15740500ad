//! Each rule taken out once: the check finds what it protects from, and says how it comes about.

use pchat_planner::pool::Side;

use super::env::*;
use super::far_end::Rule;
use super::world::*;
use super::{env, explore, two, with};

fn found(without: &'static [Rule], property: &'static str, mut e: Env) {
    assert!(explore(e.clone(), Some(property)).is_none(), "it fails with every rule in place");
    e.without = without;
    let Some((_, path)) = explore(e, Some(property)) else {
        panic!("nobody misses {without:?}");
    };
    println!("without {without:?}, not so: {property}\n{path}");
}

fn one(w: World, left: Budget) -> Env {
    env("rule", vec![with(w, |w| w.left = left)])
}

const TWO_SIDES: &str = "never two sides but through the hole that is documented";
const OVER: &str = "never recover over a file that could be applied";
const VOUCHED: &str = "the journal vouches for what was recovered";
const DRAINS: &str = "every state drains";

#[test]
fn expiry_keeps_a_delayed_recovery_from_a_primary_that_is_back() {
    let left = Budget { returns: 1, delays: 1, ticks: 1, ..Budget::default() };
    found(&[Rule::Expiry], TWO_SIDES, one(disaster(), left));
}

#[test]
fn the_token_keeps_a_displaced_executor_from_acting() {
    let e = env("rule", two(Side::Backup, Budget { delays: 1, ..Budget::default() }));
    found(&[Rule::Token], "only the owner of the open transition has effects", e);
}

#[test]
fn an_owner_that_is_gone_keeps_delayed_requests_from_a_closed_transition() {
    let left = Budget { delays: 1, turns: 1, ..Budget::default() };
    let without = &[Rule::OwnerRemoved, Rule::Rotate];
    found(without, "only the owner of the open transition has effects", one(disaster(), left));
}

fn late(left: Budget) -> Env {
    let mut e = one(hidden(disaster()), Budget { late: 1, ..left });
    e.files.push(file(300, 400));
    e
}

#[test]
fn listing_again_finds_the_file_that_came_between() {
    found(&[Rule::ListAgain], OVER, late(Budget { delays: 1, ..Budget::default() }));
}

#[test]
fn the_exact_position_keeps_the_record_true() {
    found(&[Rule::ExactPosition, Rule::ListAgain], VOUCHED, late(Budget { delays: 1, ..Budget::default() }));
}

#[test]
fn a_transition_is_not_put_back_to_what_it_was() {
    let e = env("rule", two(Side::Primary, Budget { delays: 1, approvals: 1, ..Budget::default() }));
    found(&[Rule::ExactJournal], VOUCHED, e);
}

#[test]
fn the_record_comes_before_the_restore() {
    found(&[Rule::RecordFirst], VOUCHED, one(disaster(), Budget::default()));
}

#[test]
fn evidence_comes_before_destruction() {
    found(&[Rule::EvidenceFirst], "evidence before destruction", one(disaster(), Budget::default()));
}

#[test]
fn only_readers_are_disconnected() {
    let readers = with(disaster(), |w| (w.db.copy, w.readers) = (Copy::Standby, true));
    let left = Budget { delays: 1, ..Budget::default() };
    found(&[Rule::KillOnlyReaders], "live users are never disconnected", one(readers, left));
}

#[test]
fn an_empty_listing_is_not_an_empty_share() {
    let left = Budget { shares: 1, ..Budget::default() };
    found(&[Rule::EmptyIsUnknown], OVER, one(disaster(), left));
}

#[test]
fn silence_must_last() {
    let blinks = with(disaster(), |w| w.peers = [Peer::Serves, Peer::Dead]);
    let left = Budget { cuts: 1, ticks: 1, ..Budget::default() };
    found(&[Rule::SilentFor], "never sooner than silentFor", one(blinks, left));
}

#[test]
fn a_side_that_serves_is_never_given_up() {
    let serves = with(disaster(), |w| w.peers = [Peer::Serves, Peer::Dead]);
    found(&[Rule::ServingSeen], TWO_SIDES, one(serves, Budget::default()));
}

#[test]
fn a_mirror_that_answers_is_not_passed_over() {
    let mirror = with(disaster(), |w| w.peers = [Peer::Dead, Peer::Mirror]);
    found(
        &[Rule::MirrorSeen],
        "a mirror's commits are given up by a person only",
        one(mirror, Budget::default()),
    );
}

#[test]
fn an_online_copy_must_prove_where_it_comes_from() {
    let old = with(disaster(), |w| w.db.copy = Copy::Online);
    found(&[Rule::Provenance], "a stale copy is used by a person's word only", one(old, Budget::default()));
}

#[test]
fn what_is_safe_ends_where_the_last_backup_began() {
    found(&[Rule::StartOfBackup], "the true loss lies in the interval", one(disaster(), Budget::default()));
}

#[test]
fn two_runs_that_take_over_at_each_look_never_end() {
    let e = env("rule", two(Side::Backup, Budget::default()));
    found(&[Rule::FirstLook], DRAINS, e);
}

#[test]
fn a_failover_called_off_leaves_the_pool_protected() {
    let left = Budget { turns: 1, ..Budget::default() };
    found(&[Rule::Resume], DRAINS, one(disaster(), left));
}

#[test]
fn what_is_kept_of_a_silence_tells_the_next_run_that_the_side_lives() {
    let cut = with(hidden(disaster()), |w| w.peers = [Peer::CutOff, Peer::Dead]);
    let mut e = one(cut, Budget { late: 1, ticks: 1, crashes: 1, ..Budget::default() });
    e.files.push(file(300, 400));
    (e.notes, e.drains) = (true, false);
    found(&[Rule::SilenceKept], "a sign of life is given up by a person only", e);
}

const FENCED: &str = "only the owner of the open transition has effects";
const ALIVE: &str = "an owner that lives is not taken over from";
const PROTECTED: &str = "a failover is called off only where log shipping runs";

#[test]
fn the_lock_keeps_a_take_over_out_while_a_request_is_carried_out() {
    let left = Budget { longs: 1, delays: 1, ..Budget::default() };
    found(&[Rule::Lock], FENCED, env("rule", two(Side::Backup, left)));
}

#[test]
fn a_held_lock_is_seen_and_nothing_is_sent_into_it() {
    let left = Budget { longs: 1, ticks: 2, ..Budget::default() };
    found(
        &[Rule::LockIsLife],
        "nothing is sent while the lock is held",
        env("rule", two(Side::Primary, left)),
    );
}

#[test]
fn a_run_that_waits_renews_its_mark() {
    let left = Budget { ticks: 2, ..Budget::default() };
    found(&[Rule::Renew], ALIVE, env("rule", super::gap(Side::Backup, left)));
}

#[test]
fn a_batch_that_took_long_renews_the_mark_before_it_frees_the_lock() {
    let left = Budget { longs: 1, ticks: 2, ..Budget::default() };
    found(&[Rule::Remark], ALIVE, env("rule", two(Side::Primary, left)));
}

#[test]
fn a_run_that_ends_says_so() {
    let left = Budget { ends: 1, ..Budget::default() };
    let e = env("rule", super::gap(Side::Primary, left));
    found(&[Rule::SaysEnded], "nobody waits for a run that has ended", e);
}

#[test]
fn what_went_forward_is_refused_once_a_failover_is_being_called_off() {
    let left = Budget { delays: 1, turns: 1, ..Budget::default() };
    found(&[Rule::Rotate], FENCED, one(disaster(), left));
}

#[test]
fn a_release_sees_itself_that_log_shipping_runs() {
    let left = Budget { delays: 1, turns: 1, disables: 1, ..Budget::default() };
    let mut e = one(disaster(), left);
    e.drains = false;
    found(&[Rule::ReleaseLooks], PROTECTED, e);
    let left = Budget { delays: 1, turns: 1, torn: 1, ..Budget::default() };
    found(&[Rule::ReleaseLooks, Rule::Rotate], PROTECTED, one(disaster(), left));
}
