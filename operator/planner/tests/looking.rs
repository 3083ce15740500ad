//! What is still being looked at is waited for by what needs it, and by nothing else.

mod common;

use common::*;
use jiff::SignedDuration;
use pchat_planner::facts::*;
use pchat_planner::plan::*;
use pchat_planner::pool::Side;

fn waits_for(plan: &Plan, what: &str) {
    match &plan.next {
        Next::Wait { reason: Reason::Looking, message, .. } => assert!(message.contains(what), "{message}"),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_share_that_hangs_holds_up_the_recovery_and_not_what_lies_in_the_copy_folder() {
    let hanging = |since| Case::disaster().owned().with(move |c| c.files().share = pending(since));
    waits_for(&hanging(995).plan(), r"share \\files\pchat-logs is being listed since");
    let mut case = hanging(980);
    assert!(matches!(action(&case.plan()), Some(Action::ApplyLogs { .. })), "{:?}", case.plan().next);
    case = case.applied();
    waits_for(&case.plan(), "is being listed");
    let applied = case.plan().steps.into_iter().find(|step| step.id == StepId::ApplyLogs).unwrap();
    assert_ne!(applied.state, StepState::Done, "{}", applied.why);
    case.files().share = known(vec![name(0)]);
    assert!(matches!(action(&case.plan()), Some(Action::RecoverDatabase { .. })));
}

#[test]
fn nothing_is_begun_on_a_share_that_may_still_show_a_living_side_and_no_longer_than_a_moment() {
    let hanging = |since| Case::disaster().with(move |c| c.files().share = pending(since));
    waits_for(&hanging(995).plan(), "is being listed");
    assert!(matches!(action(&hanging(980).plan()), Some(Action::TakeOwnership { .. })));
}

#[test]
fn a_question_is_asked_when_all_that_it_could_hold_is_known() {
    let asked = |share: Fact<Vec<String>>| {
        Case::disaster()
            .with(|c| {
                c.facts.instances.get_mut(&P).unwrap().contact =
                    Contact::Unusable { detail: "refused".into() };
            })
            .with(|c| c.files().share = share)
            .plan()
    };
    waits_for(&asked(pending(900)), "is being listed");
    let plan = asked(unknown("it does not answer"));
    assert!(matches!(&plan.next, Next::Blocked(stop) if stop.digest.is_some()), "{:?}", plan.next);
}

/// What was approved is held against everything: with half of it unseen another way could look harmless.
#[test]
fn an_approval_is_not_acted_upon_while_a_listing_is_under_way() {
    let case = Case::disaster().owned().with(|c| {
        c.files().share = pending(900);
        c.run.approvals.push("0000-0000".into());
    });
    waits_for(&case.plan(), "is being listed");
}

#[test]
fn the_database_part_never_waits_for_the_shell_and_the_shells_part_does() {
    let hanging = |c: &mut Case| {
        c.facts.shell = ShellFacts {
            contact: Contact::Pending { since: t(800) },
            pool_state: pending(800),
            servers: pending(800),
            replicated: pending(800),
            store_writable: pending(800),
            cmdlets: Default::default(),
            other_pools: None,
        };
    };
    let case = Case::disaster().with(hanging);
    assert!(matches!(action(&case.plan()), Some(Action::TakeOwnership { .. })), "{:?}", case.plan().next);
    let case = Case::disaster().owned().applied().with(hanging);
    assert!(matches!(action(&case.plan()), Some(Action::RecoverDatabase { .. })), "{:?}", case.plan().next);
    waits_for(&Case::disaster().owned().applied().vouched(300).with(hanging).plan(), "is being asked");
}

#[test]
fn a_copy_is_not_called_stale_before_what_proves_it_was_looked_at() {
    for look in [
        (|c: &mut Case| c.facts.shell.pool_state = pending(900)) as fn(&mut Case),
        |c| c.files().share = pending(900),
        |c| c.files().folder = pending(900),
    ] {
        let plan = Case::disaster().online(300).with(look).plan();
        waits_for(&plan, "");
        assert!(plan.hazards.is_empty(), "{:?}", plan.hazards);
        let turned = Case::disaster().owned().online(300).with(look).with(|c| c.pool.active = Side::Primary);
        waits_for(&turned.plan(), "");
    }
}

#[test]
fn a_pool_is_not_called_as_declared_before_both_sides_and_the_shell_were_looked_at() {
    let steady = || Case::disaster().with(|c| c.pool.active = Side::Primary);
    assert_eq!(steady().plan().next, Next::Converged);
    waits_for(&steady().with(|c| c.facts.shell.pool_state = pending(990)).plan(), "something");
    waits_for(&steady().with(|c| drop(c.facts.instances.insert(P, being_asked(990)))).plan(), "sql-tp1");
    // A share that hangs says nothing about that.
    assert_eq!(steady().with(|c| c.files().share = pending(990)).plan().next, Next::Converged);
}

#[test]
fn the_surviving_side_that_is_being_asked_is_not_unreachable() {
    let case = Case::disaster().with(|c| drop(c.facts.instances.insert(B, being_asked(998))));
    waits_for(&case.plan(), r"sql-ks1.contoso.com\PCHAT is being asked since");
}

#[test]
fn a_wait_for_a_listing_ends_when_patience_does() {
    let case = Case::disaster().owned().with(|c| c.files().share = pending(995));
    match case.plan().next {
        Next::Wait { until, .. } => {
            assert_eq!(until, Some(t(995) + SignedDuration::from_secs(10)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mirror_is_neither_built_nor_called_healthy_before_its_other_end_was_looked_at() {
    let served = || {
        Case::disaster().owned().applied().vouched(300).pool_is(PoolState::FailedOver).with(|c| {
            let servers = c.pool.backup.active_servers.clone();
            for host in &servers {
                let (program, login) = ("chat".into(), "x".into());
                c.b().sessions.push(Session { id: 60, host: host.clone(), program, login });
            }
            c.facts.shell.replicated = known(servers.iter().map(|s| (s.clone(), true)).collect());
            c.facts.shell.servers =
                known(Servers { identity: "1".into(), active: servers, inactive: Vec::new() });
        })
    };
    assert!(
        matches!(action(&served().plan()), Some(Action::EstablishMirror { .. })),
        "{:?}",
        served().plan()
    );
    let asked = |c: &mut Case| drop(c.facts.instances.insert(BM, being_asked(990)));
    waits_for(&served().with(asked).plan(), "sql-ks2");
    waits_for(&served().with(asked).with(|c| c.db().mirroring = on(Role::Principal)).plan(), "sql-ks2");
}
