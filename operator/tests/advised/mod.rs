//! Every statement that a person is told to type, out of states in which it is printed, with a name that breaks out of careless quoting.

use std::collections::BTreeSet;

use pchat_planner::advice::{Advice, AdviceKind, Tool};
use pchat_planner::facts::*;
use pchat_planner::pool::Side;
use pchat_planner::readiness::{HANGS, checks};

use crate::common::*;

/// What a plan and the checks of a calm week say is to be typed.
fn told(case: &Case) -> Vec<Advice> {
    let troubles = checks(&case.pool, &case.facts, case.now).into_iter().flat_map(|check| check.troubles);
    case.plan().advice.into_iter().chain(troubles.flat_map(|trouble| trouble.advice)).collect()
}

fn damage(name: &str) -> String {
    let of =
        |what: &str| format!("extended property persistentchat.io/{name}/{what} in master can't be read");
    ["owner", "journal", "silence"].map(of).join("; ")
}

/// The pool is `name`'s, and the change is made.
fn case(name: &str, change: impl FnOnce(&mut Case)) -> Case {
    Case::disaster().with(|c| {
        name.clone_into(&mut c.pool.database);
        name.clone_into(&mut c.db().name);
        change(c);
        for far in c.facts.instances.values_mut() {
            if let Fact::Known { value: state, .. } = &mut far.state
                && let Some(db) = &mut state.database
            {
                name.clone_into(&mut db.name);
            }
        }
    })
}

fn state(c: &mut Case, id: pchat_planner::pool::InstanceId) -> &mut InstanceState {
    state_of(c.facts.instances.get_mut(&id).expect("a declared instance"))
}

/// Each with its kind.
pub fn statements(name: &str) -> Vec<(AdviceKind, String)> {
    let first = |c: &mut Case| {
        let secondary = c.b().secondary.as_mut().expect("log shipping");
        let (copy, restore) = (secondary.copy_job.as_mut(), secondary.restore_job.as_mut());
        let (copy, restore) = (copy.expect("a job"), restore.expect("a job"));
        for job in [&mut *copy, &mut *restore] {
            job.name = format!("{name} {}", job.name);
        }
        (copy.running, copy.since) = (true, Some(t(900) - HANGS));
        restore.enabled = Some(false);
        c.b().endpoint = Endpoint::WitnessOnly(name.to_owned());
        state(c, BM).endpoint = Endpoint::NotStarted(name.to_owned(), "STOPPED".into());
        state(c, BM).database = Some(database(DatabaseState::Online));
        c.b().names.configured = Some(name.to_owned());
        // A calm week: what restarts a service or takes a database away is told in no other.
        c.pool.active = Side::Primary;
        *c = c.clone().pool_is(PoolState::Normal);
        c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(database(DatabaseState::Online))));
    };
    let cases = [
        case(name, first),
        case(name, |c| c.b().endpoint = Endpoint::Missing),
        case(name, |c| {
            c.b().sysadmin = false;
            name.clone_into(&mut c.facts.instances.get_mut(&B).expect("declared").login);
        }),
        case(name, |c| c.b().journal_damage = Some(damage(name))),
        case(name, |c| {
            let suspect = Some(database(DatabaseState::Suspect));
            c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", suspect));
        }),
        case(name, |c| {
            *c = c.clone().online(300).pool_is(PoolState::FailedOver);
            let mut old = database(DatabaseState::Online);
            old.mirroring = on(Role::Principal);
            c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(old)));
            state(c, P).ships_logs = true;
        }),
        case(name, |c| c.db().state = DatabaseState::Offline),
        case(name, |c| {
            *c = c.clone().owned().with_files([]);
            let db = c.db();
            (db.state, db.standby, db.last_restored) = (DatabaseState::Online, Some(true), None);
            db.position = Err("msdb remembers no restore of it".into());
        }),
        case(name, |c| {
            c.db().mirroring = on(Role::Mirror);
            c.facts.instances.insert(BM, answers("SQL-KS2\\PCHAT", None));
        }),
    ];
    let advice = cases.iter().flat_map(told).filter(|advice| advice.tool == Tool::QueryWindow);
    advice.flat_map(|a| a.lines.into_iter().map(move |line| (a.kind, line))).collect()
}

/// But those of the management shell, and a session that goes on, whose statement has the form of one that ends.
#[test]
fn every_kind_of_statement_is_there() {
    let there: BTreeSet<AdviceKind> = statements("m]g'c").into_iter().map(|(kind, _)| kind).collect();
    let elsewhere = [
        AdviceKind::FailOverWithinSite,
        AdviceKind::ResumeMirroring,
        AdviceKind::MoveManagementStore,
        AdviceKind::SetPoolState,
        AdviceKind::ShowReplication,
    ];
    let due: BTreeSet<AdviceKind> =
        AdviceKind::ALL.into_iter().filter(|kind| !elsewhere.contains(kind)).collect();
    assert_eq!(there, due);
}
