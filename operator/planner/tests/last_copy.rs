//! No advice overwrites, drops or cuts off what may be the last copy.

mod common;

use common::*;
use pchat_planner::advice::AdviceKind;
use pchat_planner::facts::*;
use pchat_planner::plan::*;
use pchat_planner::readiness::{Check, checks};

fn found(c: &Case, name: &str) -> Check {
    let found = checks(&c.pool, &c.facts, t(1001));
    found.into_iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"))
}

fn advised(c: &Case) -> Vec<AdviceKind> {
    let plan = c.plan();
    let of_checks = checks(&c.pool, &c.facts, t(1001)).into_iter().flat_map(|check| check.troubles);
    let of_checks = of_checks.flat_map(|trouble| trouble.advice);
    plan.advice.into_iter().chain(of_checks).map(|advice| advice.kind).collect()
}

fn state_is(state: PoolState) -> Fact<(String, PoolState)> {
    known(("service:chat.contoso.com".into(), state))
}

/// A copy that waits on the mirror's instance, and one that waits at home.
fn left(state: DatabaseState) -> Case {
    Case::disaster().with(|c| {
        c.facts.shell.pool_state = state_is(PoolState::Normal);
        drop(c.facts.instances.insert(BM, answers("SQL-KS2\\PCHAT", Some(database(state)))));
    })
}

#[test]
fn a_database_on_the_mirrors_instance_is_dropped_only_where_it_can_not_be_the_one_that_serves() {
    assert!(advised(&left(DatabaseState::Restoring)).contains(&AdviceKind::DropLeftover));
    // The pool failed over within its site, and lives there.
    for state in [DatabaseState::Online, DatabaseState::Suspect, DatabaseState::Recovering] {
        assert!(!advised(&left(state)).contains(&AdviceKind::DropLeftover), "{state:?}");
    }
    for pool in [state_is(PoolState::FailedOver), unknown("dead")] {
        let case = left(DatabaseState::Restoring).with(|c| c.facts.shell.pool_state = pool);
        assert!(!advised(&case).contains(&AdviceKind::DropLeftover));
    }
    // Its name leads to a server that is another one of the pool.
    let case = left(DatabaseState::Restoring).with(|c| {
        let serves = answers("SQL-TP1\\PCHAT", Some(database(DatabaseState::Restoring)));
        c.facts.instances.insert(P, serves.clone());
        c.facts.instances.insert(BM, serves);
    });
    assert_eq!(advised(&case), []);
    assert!(found(&case, "Mirror").troubles[0].remedy.contains("leads to its own server"));
}

#[test]
fn a_session_is_ended_at_the_copy_only_where_its_partner_is_at_rest_without_it() {
    let waits = |partner: Option<Database>| {
        Case::disaster().with(|c| {
            c.db().mirroring = on(Role::Mirror);
            drop(c.facts.instances.insert(BM, answers("SQL-KS2\\PCHAT", partner)));
        })
    };
    assert!(advised(&waits(None)).contains(&AdviceKind::RemoveMirroring));
    assert!(advised(&waits(Some(database(DatabaseState::Restoring)))).contains(&AdviceKind::RemoveMirroring));
    let principal = Database { mirroring: on(Role::Principal), ..database(DatabaseState::Restoring) };
    let on_their_way = [
        DatabaseState::Recovering,
        DatabaseState::RecoveryPending,
        DatabaseState::Suspect,
        DatabaseState::Emergency,
        DatabaseState::Unknown,
        DatabaseState::Online,
    ];
    for partner in on_their_way.map(database).into_iter().chain([principal]) {
        let case = waits(Some(partner.clone()));
        assert!(!advised(&case).contains(&AdviceKind::RemoveMirroring), "{partner:?}");
        let Next::Blocked(stop) = case.plan().next else { panic!("{:#?}", case.plan().next) };
        assert!(!stop.message.contains("remove mirroring"), "{}", stop.message);
    }
}

#[test]
fn a_copy_is_initialised_again_only_while_the_other_side_serves() {
    let remedy = |c: &Case| match found(c, "Copy").troubles.first() {
        Some(trouble) => trouble.remedy.clone(),
        None => String::new(),
    };
    let suspect = Case::disaster().with(|c| c.db().state = DatabaseState::Suspect);
    assert!(!remedy(&suspect).contains("nitialise"), "{}", remedy(&suspect));
    // Recovered by hand, and the pool does not use it yet.
    let online = Case::disaster().online(300);
    assert!(!remedy(&online).contains("nitialise"), "{}", remedy(&online));
    let calm = suspect.with(|c| {
        drop(c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(database(DatabaseState::Online)))));
    });
    assert!(remedy(&calm).contains("Initialise log shipping"), "{}", remedy(&calm));
}

#[test]
fn the_session_of_a_damaged_principal_is_not_ended_before_its_mirror_was_asked() {
    let damaged = |mirror: InstanceFacts| {
        Case::disaster().with(|c| {
            c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(database(DatabaseState::Suspect))));
            drop(c.facts.instances.insert(PM, mirror));
        })
    };
    let detail = "the login was refused".to_owned();
    let case = damaged(InstanceFacts { contact: Contact::Unusable { detail }, ..silent(0) });
    assert!(!advised(&case).contains(&AdviceKind::SaveTail));
    let told = |c: &Case| match c.plan().next {
        Next::Blocked(stop) => stop.remedy,
        other => panic!("{other:#?}"),
    };
    assert!(told(&case).contains("Make sql-tp2.contoso.com\\PCHAT answer first"), "{}", told(&case));
    // One that is gone may be gone for good: then the log is all that there is.
    let case = damaged(silent(0));
    assert!(advised(&case).contains(&AdviceKind::SaveTail));
    assert!(
        told(&case).starts_with("If sql-tp2.contoso.com\\PCHAT can be made to answer"),
        "{}",
        told(&case)
    );
}
