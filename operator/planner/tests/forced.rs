//! A forced failover, step by step, on hand-made facts.

mod common;

use std::collections::BTreeMap;

use common::*;
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::*;
use pchat_planner::pool::Side;

fn step(case: &Case) -> StepId {
    match case.plan().next {
        Next::Run(id, _) => id,
        other => panic!("no step runs: {other:#?}"),
    }
}

#[test]
fn the_steps_follow_each_other_until_nothing_is_left() {
    let mut c = Case::disaster();
    assert_eq!(step(&c), StepId::TakeOwnership);
    let Some(Action::TakeOwnership { expected: None, epoch, transition }) = action(&c.plan()).cloned() else {
        panic!()
    };
    c.b().journal = Journal {
        owner: Some(Owner { epoch, executor: "here".into(), mark: t(1000), ended: false }),
        transition: Some(transition),
        silence: None,
    };
    let Some(Action::QuiesceLogShipping { transition, .. }) = action(&c.plan()).cloned() else { panic!() };
    assert_eq!(transition.evidence.as_ref().unwrap().redo, Some(Lsn(100)));
    c = c.owned();
    let Some(Action::ApplyLogs { from, files }) = action(&c.plan()).cloned() else {
        panic!("{:#?}", c.plan().next)
    };
    assert_eq!((from, files.len()), (pos(100), 2));
    assert_eq!(files[0].path, format!(r"D:\copy\{}", name(1)));
    assert_eq!(files[0].fallback.as_deref(), Some(&*format!(r"\\files\pchat-logs\{}", name(1))));
    c = c.applied();
    let Some(Action::RecoverDatabase { at, known: judged, must, transition, .. }) =
        action(&c.plan()).cloned()
    else {
        panic!("{:#?}", c.plan().next)
    };
    assert_eq!(at, pos(300));
    assert_eq!(judged, [name(0), name(1), name(2)]);
    assert_eq!(must, Some(name(2)));
    let record = transition.recovery.clone().unwrap();
    assert_eq!((record.lsn, record.safe_until, record.at_most_until), (Lsn(300), Some(t(300)), None));
    *c.journal() = transition;
    c = c.online(300);
    assert_eq!(step(&c), StepId::SetPoolState);
    c = c.pool_is(PoolState::FailedOver);
    assert_eq!(step(&c), StepId::SetActiveServers);
    let ours = c.pool.backup.active_servers.clone();
    c.facts.shell.servers = known(Servers {
        identity: "x".into(),
        active: vec![ours[1].to_uppercase(), ours[0].clone()],
        inactive: vec![],
    });
    assert!(matches!(c.plan().next, Next::Wait { step: Some(StepId::SetActiveServers), .. }));
    c.facts.shell.replicated = known(ours.iter().map(|s| (s.clone(), true)).collect::<BTreeMap<_, _>>());
    for (id, host) in [(60, "PC-KS1"), (61, "pc-ks2.contoso.com")] {
        c.b().sessions.push(Session { id, host: host.into(), program: "chat".into(), login: "x".into() });
    }
    assert_eq!(step(&c), StepId::EstablishMirror);
    c.db().mirroring = on(Role::Principal);
    let mut far = database(DatabaseState::Restoring);
    far.mirroring = on(Role::Mirror);
    c.facts.instances.insert(BM, answers("SQL-KS2", Some(far)));
    assert_eq!(step(&c), StepId::RemoveLogShipping);
    c.b().secondary = None;
    let Some(Action::ReleaseOwnership { transition }) = action(&c.plan()).cloned() else { panic!() };
    assert_eq!(transition.phase, Phase::Closed);
    c.b().journal = Journal { transition: Some(transition), ..Journal::default() };
    let plan = c.plan();
    assert_eq!((plan.next, plan.rule), (Next::Converged, Reason::AsDeclared));
    assert_eq!(plan.direction, Direction::Steady(Side::Backup));
}

/// A login that may not see and one that may see but not act are the same thing to do for a person.
#[test]
fn a_login_without_rights_on_the_backup_instance_is_told_with_the_statement_that_grants_them() {
    let told = |c: &Case| match c.plan().next {
        Next::Blocked(stop) if stop.reason == Reason::RightsMissing => {
            format!("{} {}", stop.message, stop.remedy)
        }
        other => panic!("{other:#?}"),
    };
    let mut c = Case::disaster();
    c.facts.instances.get_mut(&B).unwrap().login = "o'neil]".into();
    c.b().sysadmin = false;
    let lacks = told(&c);
    let backup = c.facts.instances.get_mut(&B).unwrap();
    backup.contact =
        Contact::Denied { detail: "the login lacks a right (error 229: The SELECT ...).".into() };
    backup.state = unknown("denied");
    let denied = told(&c);
    assert!(denied.contains("error 229"), "{denied}");
    for told in [lacks, denied] {
        for word in [r"sql-ks1.contoso.com\PCHAT", "o'neil]", "N'o''neil]'", "sysadmin"] {
            assert!(told.contains(word), "{word} is not in: {told}");
        }
    }
}

/// Denied is alive.
#[test]
fn a_primary_that_denies_its_state_is_not_taken_for_dead() {
    let mut c = Case::disaster();
    c.facts.instances.get_mut(&P).unwrap().contact = Contact::Denied { detail: "error 229".into() };
    assert_eq!(c.plan().rule, Reason::PrimaryMayBeAlive);
}
