//! The loss interval, and where its ends come from.

mod common;

use common::*;
use jiff::SignedDuration;
use pchat_planner::facts::*;
use pchat_planner::plan::*;

#[test]
fn safe_until_is_the_start_of_the_last_backup_in_the_chain() {
    assert_eq!(Case::disaster().plan().loss.safe_until, Some(t(300)), "planned");
    assert_eq!(Case::disaster().owned().applied().plan().loss.safe_until, Some(t(300)), "applied");
}

#[test]
fn history_of_another_restore_says_nothing() {
    let mut c = Case::disaster().owned().applied();
    c.db().position = Ok(pos(301));
    let loss = c.plan().loss;
    assert_eq!(loss.safe_until, None);
    assert!(loss.safe_source.starts_with("unknown"));
}

#[test]
fn silence_is_a_lower_bound_and_never_an_end() {
    let loss = Case::disaster().plan().loss;
    assert_eq!((loss.at_most_until, loss.at_least_until, loss.at_most()), (None, Some(t(510)), None));
    assert!(loss.end_source.starts_with("unknown"));
}

#[test]
fn both_partners_seen_stopped_is_an_end() {
    let mut c = Case::disaster();
    c.facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Suspect))));
    assert_eq!(c.plan().loss.at_most_until, None, "the silent mirror may have taken over");
    let mut mirror = database(DatabaseState::Restoring);
    mirror.mirroring = on(Role::Mirror);
    c.facts.instances.insert(PM, answers("SQL-TP2", Some(mirror)));
    let loss = c.plan().loss;
    // The look began at 1000; what was stored while it ran is inside the interval.
    assert_eq!(loss.at_most_until, Some(t(1001)));
    assert_eq!(loss.at_most(), Some(SignedDuration::from_secs(701)));
}

fn host(id: pchat_planner::pool::InstanceId) -> &'static str {
    if id == P { "SQL-TP1\\PCHAT" } else { "SQL-TP2\\PCHAT" }
}

#[test]
fn a_database_that_a_login_does_not_see_is_not_one_that_does_not_serve() {
    let mut c = Case::disaster();
    for id in [P, PM] {
        c.facts.instances.insert(id, answers(host(id), None));
    }
    let plan = c.plan();
    assert_eq!(plan.loss.at_most_until, None);
    assert_eq!(plan.rule, Reason::PrimaryMayBeAlive);
}

#[test]
fn a_known_loss_within_the_limit_needs_nobody() {
    let mut c = Case::disaster().owned().applied();
    for id in [P, PM] {
        c.facts.instances.insert(id, answers(host(id), Some(database(DatabaseState::Suspect))));
    }
    let reasons = |c: &Case| c.plan().hazards.iter().map(|h| h.reason).collect::<Vec<_>>();
    c.pool.max_data_loss = Some(SignedDuration::from_secs(701));
    assert!(!reasons(&c).contains(&Reason::LossAboveLimit));
    c.pool.max_data_loss = Some(SignedDuration::from_secs(700));
    assert!(reasons(&c).contains(&Reason::LossAboveLimit));
}

#[test]
fn after_the_recovery_the_record_speaks() {
    let mut c = Case::disaster().owned().applied();
    let Some(Action::RecoverDatabase { transition, .. }) = action(&c.plan()).cloned() else { panic!() };
    *c.journal() = transition;
    c = c.online(300);
    c.facts.backups = unknown("the share is dead now");
    c.facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Online))));
    let loss = c.plan().loss;
    assert_eq!(
        (loss.safe_until, loss.at_least_until, loss.at_most_until),
        (Some(t(300)), Some(t(510)), None)
    );
}
