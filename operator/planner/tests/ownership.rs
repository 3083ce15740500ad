//! Rule 5: intent is accepted once, and only one run acts.

mod common;

use common::*;
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::*;
use pchat_planner::pool::Side;
use pchat_planner::run::Asked;

/// The open transition belongs to a live `other`.
fn theirs() -> Case {
    let mut c = Case::disaster().owned();
    c.b().journal.owner =
        Some(Owner { epoch: Epoch("theirs".into()), executor: "pod-7".into(), mark: t(990), ended: false });
    c
}

#[test]
fn a_displaced_run_stands_by_until_the_mark_lapses() {
    let mut c = theirs();
    c.run.epoch = Some(Epoch("mine".into()));
    c.run.first_look = Some(Some(Epoch("someone before".into())));
    let plan = c.plan();
    assert_eq!(plan.rule, Reason::OwnedByAnother);
    assert!(matches!(plan.next, Next::Wait { until: Some(u), .. } if u == t(1111)), "{:?}", plan.next);
    c.b().clock = t(1110);
    assert!(
        matches!(action(&c.plan()), Some(Action::TakeOwnership { expected: Some(e), .. }) if e.0 == "theirs")
    );
}

#[test]
fn a_run_takes_over_at_once_only_from_the_owner_of_its_first_look() {
    let mut c = theirs();
    c.run.first_look = Some(Some(Epoch("theirs".into())));
    assert!(matches!(c.plan().next, Next::Run(StepId::TakeOwnership, _)));
    c.run.first_look = None;
    assert_eq!(
        c.plan().rule,
        Reason::OwnedByAnother,
        "a run that has not looked takes nothing from the living"
    );
}

#[test]
fn a_lost_reply_to_the_taking_does_not_make_a_run_a_stranger() {
    let mut c = theirs();
    c.run.next_epoch = Epoch("theirs".into());
    assert!(matches!(c.plan().next, Next::Run(StepId::ApplyLogs, _)), "{:#?}", c.plan().next);
}

#[test]
fn the_opposite_intent_of_a_live_owner_is_a_conflict_that_only_its_epoch_resolves() {
    let mut c = theirs();
    c.pool.active = Side::Primary;
    c.run.first_look = Some(Some(Epoch("theirs".into())));
    let Next::Blocked(stop) = c.plan().next else { panic!("{:#?}", c.plan().next) };
    assert_eq!(stop.reason, Reason::IntentConflict);
    c.run.approvals = vec![stop.digest.unwrap()];
    assert!(matches!(c.plan().next, Next::Run(StepId::TakeOwnership, _)), "{:#?}", c.plan().next);
    c.b().journal.owner.as_mut().unwrap().epoch = Epoch("a third".into());
    assert_eq!(c.plan().rule, Reason::IntentConflict, "another owner is another question");
    // Gone for two minutes, its transition may be called off by anybody.
    c.run.approvals.clear();
    c.b().clock = t(1200);
    assert!(matches!(c.plan().next, Next::Run(StepId::TakeOwnership, _)));
}

#[test]
fn an_owner_whose_run_is_known_to_be_over_is_taken_over_from_whatever_it_wanted() {
    for active in [Side::Primary, Side::Backup] {
        let mut c = theirs();
        c.pool.active = active;
        c.run.over = Some(Epoch("theirs".into()));
        assert!(
            matches!(action(&c.plan()), Some(Action::TakeOwnership { expected: Some(e), .. }) if e.0 == "theirs"),
            "{:#?}",
            c.plan().next
        );
        assert!(c.plan().hazards.is_empty(), "nobody is displaced");
        c.run.over = Some(Epoch("another".into()));
        assert!(action(&c.plan()).is_none(), "the end of one run says nothing of another");
    }
}

#[test]
fn turned_back_before_the_recovery_log_shipping_runs_again_first() {
    let mut c = Case::disaster().owned();
    c.pool.active = Side::Primary;
    assert_eq!(c.plan().direction, Direction::CallOff);
    let Some(Action::TakeOwnership { transition, expected, .. }) = action(&c.plan()).cloned() else {
        panic!("what went forward and is late must be refused first: {:#?}", c.plan().next)
    };
    assert_eq!((transition.back, transition.is_open(), expected), (true, true, Some(Epoch("mine".into()))));
    *c.journal() = transition;
    let Some(Action::ResumeLogShipping { transition, .. }) = action(&c.plan()).cloned() else { panic!() };
    assert!(transition.is_open(), "a crash before the jobs are enabled must leave somebody in charge");
    let s = c.b().secondary.as_mut().unwrap();
    jobs(s).for_each(|j| j.enabled = Some(true));
    let Some(Action::ReleaseOwnership { transition }) = action(&c.plan()).cloned() else { panic!() };
    assert_eq!(transition.phase, Phase::CalledOff);
    assert_eq!(transition.evidence, None, "it explains no job that somebody disables later");
    // Turned again, it goes forward under another token.
    c.pool.active = Side::Backup;
    let Some(Action::TakeOwnership { transition, .. }) = action(&c.plan()).cloned() else {
        panic!("{:#?}", c.plan().next)
    };
    assert!(!transition.back);
}

/// A request of ours took effect after its transition was called off.
#[test]
fn jobs_that_a_transition_of_ours_left_disabled_are_told_and_enabled_by_the_next_run() {
    let mut c = Case::disaster().owned();
    c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(database(DatabaseState::Online))));
    c.journal().phase = Phase::CalledOff;
    c.b().journal.owner = None;
    let Next::Blocked(stop) = c.plan().next else { panic!("{:#?}", c.plan().next) };
    assert_eq!(stop.reason, Reason::PlannedSwitchoverNeeded);
    let (_, disabled) = c.b().disabled_by_us().expect("its own record explains them");
    assert_eq!(disabled, ["LSCopy", "LSRestore"]);

    c.pool.active = Side::Primary;
    let plan = c.plan();
    let Some(Action::TakeOwnership { transition, expected: None, .. }) = action(&plan).cloned() else {
        panic!("{:#?}", plan.next)
    };
    assert_eq!((plan.direction, transition.back, transition.is_open()), (Direction::CallOff, true, true));
    c.b().journal.owner =
        Some(Owner { epoch: Epoch("mine".into()), executor: "here".into(), mark: t(1000), ended: false });
    *c.journal() = transition;
    assert!(matches!(action(&c.plan()), Some(Action::ResumeLogShipping { .. })), "{:#?}", c.plan().next);
    // Somebody else's log shipping, or nobody's record, explains nothing.
    c.journal().phase = Phase::CalledOff;
    c.b().journal.owner = None;
    c.journal().evidence = None;
    assert_eq!(c.plan().next, Next::Converged);
}

fn holder() -> Session {
    Session { id: 77, host: "laptop-2".into(), program: "pchat-operator".into(), login: "pchat".into() }
}

#[test]
fn a_held_lock_is_a_sign_of_life_and_nothing_is_sent_into_it() {
    for active in [Side::Backup, Side::Primary] {
        let mut c = theirs();
        c.pool.active = active;
        c.b().clock = t(5000);
        assert!(action(&c.plan()).is_some(), "the mark lapsed long ago");
        c.b().holder = Some(holder());
        let plan = c.plan();
        match (active, plan.next) {
            (Side::Backup, Next::Wait { reason: Reason::OwnedByAnother, message, .. }) => {
                assert!(message.contains("session 77") && message.contains("laptop-2"), "{message}");
            }
            (Side::Primary, Next::Blocked(stop)) => assert_eq!(stop.reason, Reason::IntentConflict),
            (_, next) => panic!("{next:#?}"),
        }
        // Seen held a moment ago, it still tells that its owner lives.
        c.b().holder = None;
        c.run.held = Some((Epoch("theirs".into()), t(4990)));
        assert!(action(&c.plan()).is_none(), "{:#?}", c.plan().next);
        c.run.held = Some((Epoch("another".into()), t(4990)));
        assert!(action(&c.plan()).is_some());
    }
    // Also a run that owns the pool, or that nobody stands in the way of, waits for whoever acts.
    for mut c in [Case::disaster().owned(), Case::disaster()] {
        c.b().holder = Some(holder());
        assert_eq!(c.plan().rule, Reason::OwnedByAnother);
    }
}

#[test]
fn an_owner_whose_run_says_that_it_ended_is_not_waited_for() {
    for active in [Side::Primary, Side::Backup] {
        let mut c = theirs();
        c.pool.active = active;
        c.run.epoch = Some(Epoch("mine".into()));
        assert!(action(&c.plan()).is_none());
        c.b().journal.owner.as_mut().unwrap().ended = true;
        assert!(
            matches!(action(&c.plan()), Some(Action::TakeOwnership { expected: Some(e), .. }) if e.0 == "theirs"),
            "{:#?}",
            c.plan().next
        );
    }
}

#[test]
fn a_side_that_serves_again_calls_the_failover_off() {
    let mut c = Case::disaster().owned();
    c.facts.instances.insert(PM, answers("SQL-TP2", Some(database(DatabaseState::Online))));
    assert_eq!(c.plan().direction, Direction::CallOff);
    c.journal().back = true;
    assert!(matches!(action(&c.plan()), Some(Action::ResumeLogShipping { .. })), "{:#?}", c.plan().next);
}

#[test]
fn turned_back_after_the_recovery_the_failover_is_finished_and_then_a_failback_is_asked_for() {
    let mut c = Case::disaster().owned().applied().vouched(300);
    c.pool.active = Side::Primary;
    assert!(matches!(c.plan().next, Next::Run(StepId::SetPoolState, _)), "{:#?}", c.plan().next);
    c = c.pool_is(PoolState::FailedOver);
    c.journal().phase = Phase::Closed;
    assert_eq!(c.plan().rule, Reason::FailbackNeeded);
}

#[test]
fn after_the_recovery_nothing_that_is_observed_reopens_an_earlier_step() {
    let mut c = Case::disaster().owned().applied().vouched(300);
    c.facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Online))));
    c.files().files.insert(name(5), whole(set(300, 400)));
    c.b().sessions.push(Session { id: 60, host: "PC-KS1".into(), program: "chat".into(), login: "x".into() });
    let plan = c.plan();
    assert!(matches!(plan.next, Next::Run(StepId::SetPoolState, _)), "{:#?}", plan.next);
    assert!(plan.warnings.iter().any(|(r, _)| *r == Reason::BothSidesOnline));
    assert!(plan.steps.iter().take(6).all(|s| s.state == StepState::Done), "{:#?}", plan.steps);
}

#[test]
fn a_finished_failover_is_left_alone() {
    let mut c = Case::disaster().owned().applied().vouched(300).pool_is(PoolState::FailedOver);
    c.journal().phase = Phase::Closed;
    let plan = c.plan();
    assert_eq!((plan.next, plan.rule), (Next::Converged, Reason::AsDeclared));
    assert_eq!(plan.direction, Direction::Steady(Side::Backup));
    assert!(plan.warnings.iter().any(|(r, _)| *r == Reason::MirrorUnavailable), "drift is told, not fought");
}

/// A log backup of the recovered copy has passed the fork: its log does not tell any more where that was.
fn backed_up(mut c: Case) -> Case {
    c.db().recovered = Some(Recovered { fork: fork(0xB), from_fork: None, fork_point: None });
    c
}

#[test]
fn a_copy_that_was_backed_up_since_its_recovery_is_still_the_one_that_was_recovered() {
    let mut under_way = backed_up(Case::disaster().owned().applied().vouched(300));
    assert!(
        matches!(under_way.plan().next, Next::Run(StepId::SetPoolState, _)),
        "{:#?}",
        under_way.plan().next
    );
    under_way.db().last_restored.as_mut().unwrap().last_lsn = Lsn(200);
    assert_eq!(under_way.plan().rule, Reason::StaleCopySuspected, "msdb tells of another restore");

    let mut over = Case::disaster().owned().applied().vouched(300).pool_is(PoolState::FailedOver);
    over.journal().phase = Phase::Closed;
    assert_eq!(backed_up(over).plan().next, Next::Converged, "drift is told, not fought");
}

#[test]
fn the_recovery_waits_for_a_fresh_look_at_the_other_side() {
    let mut c = Case::disaster().owned().applied();
    assert!(matches!(c.plan().next, Next::Run(StepId::RecoverDatabase, _)));
    c.facts.instances.get_mut(&PM).unwrap().at = t(970);
    assert_eq!(c.plan().rule, Reason::WaitingForFarEnd);
}

#[test]
fn the_copy_job_is_started_once_and_restoring_never_waits_for_it() {
    let files = [(name(0), whole(set(50, 100))), (name(1), shared(set(100, 200)))];
    let mut c = Case::disaster().owned().with_files(files);
    assert!(matches!(c.plan().next, Next::Run(StepId::CopyBackups, _)), "{:#?}", c.plan().next);
    let transition = c.run.next_transition;
    c.run.asked.push(Asked { transition, step: StepId::CopyBackups, at: t(1000) });
    assert!(matches!(c.plan().next, Next::Run(StepId::ApplyLogs, _)), "it starts in its own time");
    c.run.asked.clear();
    c.b().secondary.as_mut().unwrap().copy_job.as_mut().unwrap().last_run =
        Some((t(950), Err("the share is dead".into())));
    assert!(matches!(c.plan().next, Next::Run(StepId::ApplyLogs, _)), "a failed run is not repeated");
}

#[test]
fn readers_that_come_back_do_not_starve_the_restore() {
    let mut c = Case::disaster().owned();
    c.db().state = DatabaseState::Online;
    c.db().standby = Some(true);
    c.b().sessions.push(Session { id: 60, host: "report".into(), program: "x".into(), login: "x".into() });
    assert!(matches!(c.plan().next, Next::Run(StepId::DisconnectSessions, _)));
    let transition = c.run.next_transition;
    c.run.asked.push(Asked { transition, step: StepId::DisconnectSessions, at: t(1000) });
    assert!(matches!(c.plan().next, Next::Run(StepId::ApplyLogs, _)));
}
