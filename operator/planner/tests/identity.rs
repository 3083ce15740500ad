//! Who the declared servers are: a clash stops before anything else, and an odd name does not.

mod common;

use common::*;
use pchat_planner::facts::*;
use pchat_planner::plan::*;
use pchat_planner::pool::{InstanceId, Side};

fn stop(c: &Case) -> Option<Stop> {
    match c.plan().next {
        Next::Blocked(stop) if matches!(stop.reason, Reason::SameServer | Reason::WrongServer) => Some(stop),
        _ => None,
    }
}

/// The primary side answers, under these names.
fn calm() -> Case {
    let mut c = Case::disaster();
    c.pool.active = Side::Primary;
    let mirrored = |state, role, partner: &str| {
        let mut db = database(state);
        db.mirroring = on(role);
        let session = db.mirroring.as_mut().unwrap();
        session.partner_instance = Some(partner.into());
        session.partner_address = Some("TCP://sql-tp2.contoso.com:5022".into());
        Some(db)
    };
    let principal = mirrored(DatabaseState::Online, Role::Principal, "SQL-TP2\\PCHAT");
    let mirror = mirrored(DatabaseState::Restoring, Role::Mirror, "SQL-TP1\\PCHAT");
    c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", principal));
    c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", mirror));
    state_of(c.facts.instances.get_mut(&P).unwrap()).ships_logs = true;
    c
}

fn named(c: &mut Case, id: InstanceId) -> &mut ServerNames {
    &mut state_of(c.facts.instances.get_mut(&id).unwrap()).names
}

fn warned(c: &Case) -> String {
    let warnings = c.plan().warnings;
    warnings.into_iter().filter(|(r, _)| *r == Reason::ServerNames).map(|(_, text)| text).collect()
}

#[test]
fn any_two_declared_ends_that_are_one_server_stop_everything() {
    let ends = [P, PM, B, BM];
    for (i, a) in ends.into_iter().enumerate() {
        for b in ends.into_iter().skip(i + 1) {
            for active in [Side::Primary, Side::Backup] {
                let mut c = calm();
                c.pool.active = active;
                assert_eq!(stop(&c), None);
                *named(&mut c, a) = names("sql-x\\PCHAT");
                *named(&mut c, b) = names("SQL-X\\pchat");
                let stop = stop(&c).unwrap_or_else(|| panic!("{a:?} is {b:?}: {:#?}", c.plan().next));
                assert_eq!((stop.reason, stop.digest), (Reason::SameServer, None));
                assert!(stop.message.contains("sql-x"), "{}", stop.message);
                let host = |id| c.pool.instance(id).unwrap().to_string();
                assert!(
                    stop.message.contains(&host(a)) && stop.message.contains(&host(b)),
                    "{}",
                    stop.message
                );
            }
        }
    }
}

#[test]
fn behind_the_point_of_no_return_a_clash_is_told_and_what_was_begun_is_finished() {
    let mut c = Case::disaster().owned().applied().vouched(300);
    let mut online = database(DatabaseState::Online);
    online.recovered = c.db().recovered;
    c.facts.instances.insert(P, answers("SQL-KS1\\PCHAT", Some(online)));
    let plan = c.plan();
    assert!(matches!(plan.next, Next::Run(StepId::SetPoolState, _)), "{:#?}", plan.next);
    assert!(plan.warnings.iter().any(|(r, _)| *r == Reason::SameServer), "{:#?}", plan.warnings);
    assert!(
        plan.warnings.iter().all(|(_, text)| !text.contains("SET OFFLINE")),
        "the server that serves is not taken OFFLINE: {:#?}",
        plan.warnings
    );
}

#[test]
fn two_hosts_of_one_name_in_two_domains_are_two_servers() {
    let mut c = calm();
    *named(&mut c, P) = ServerNames { started: Some("2026-11-01T03:00:00.123".into()), ..names("SQL1") };
    *named(&mut c, B) = ServerNames { started: Some("2026-11-02T03:00:00.456".into()), ..names("SQL1") };
    assert_eq!(stop(&c), None, "{:#?}", c.plan().next);
    assert!(warned(&c).contains("are two servers"), "{}", warned(&c));
}

#[test]
fn a_name_that_is_old_or_not_told_is_told_and_stops_nothing() {
    let mut c = calm();
    named(&mut c, P).configured = Some("TP-OLD\\PCHAT".into());
    named(&mut c, B).configured = None;
    *named(&mut c, BM) = ServerNames::default();
    assert_eq!(stop(&c), None);
    let told = warned(&c);
    for words in [
        "@@SERVERNAME still says TP-OLD\\PCHAT: the host was renamed",
        "sp_addserver N'SQL-KS1\\PCHAT'",
        "sql-ks1.contoso.com\\PCHAT is SQL-KS1\\PCHAT, and @@SERVERNAME is NULL there",
        "sql-ks2.contoso.com\\PCHAT does not tell its name",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // It serves: a restart would take it away from its users.
    assert!(!told.contains("sp_dropserver"), "{told}");
    // In a disaster nothing is restarted at all.
    let mut d = Case::disaster();
    named(&mut d, B).configured = Some("KS-OLD\\PCHAT".into());
    assert!(!warned(&d).contains("sp_dropserver") && warned(&d).contains("KS-OLD"), "{}", warned(&d));
    // Old names that are alike are no identity while the present ones differ.
    named(&mut c, PM).configured = Some("TP-OLD\\PCHAT".into());
    assert_eq!(stop(&c), None);
}

/// It stands in the new mirror's way, and is told when the mirror is due.
#[test]
fn a_session_that_is_left_on_the_new_mirror_stops_no_failover() {
    let mut c = Case::disaster();
    let mut left = database(DatabaseState::Restoring);
    left.mirroring = on(Role::Mirror);
    left.mirroring.as_mut().unwrap().partner_instance = Some("SQL-OLD\\PCHAT".into());
    c.facts.instances.insert(BM, answers("SQL-KS2\\PCHAT", Some(left)));
    assert_eq!(stop(&c), None);
    assert!(matches!(c.plan().next, Next::Run(StepId::TakeOwnership, _)), "{:#?}", c.plan().next);
}

#[test]
fn log_shipping_knows_the_primary_by_any_of_its_names() {
    // Damaged, no mirroring, nothing shipped: only the name can tell.
    let damaged = || Some(database(DatabaseState::Suspect));
    let known = [
        "SQL-TP1\\PCHAT",
        "sql-tp1\\pchat",
        "sql-tp1.contoso.com\\PCHAT",
        "SQL-TP2\\PCHAT",
        "tcp:sql-tp1.contoso.com,1433",
        "TP-OLD\\PCHAT",
        "NODE-7\\PCHAT",
    ];
    let case = |primary: &str| {
        let mut c = calm();
        c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", damaged()));
        c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", damaged()));
        named(&mut c, P).configured = Some("TP-OLD\\PCHAT".into());
        named(&mut c, P).physical = Some("NODE-7".into());
        c.b().secondary.as_mut().unwrap().primary_server = primary.into();
        c
    };
    for primary in known {
        assert_eq!(stop(&case(primary)), None, "{primary}");
    }
    for primary in ["SQL-TP9\\PCHAT", "SQL-TP1\\OTHER", "SQL-TP1"] {
        let stop = stop(&case(primary)).unwrap_or_else(|| panic!("{primary}"));
        assert_eq!(stop.reason, Reason::WrongServer);
        assert!(
            stop.message.contains(primary) && stop.message.contains("SQL-TP1\\PCHAT"),
            "{}",
            stop.message
        );
    }
    // One that does not answer, or does not tell its name, may be the one.
    let mut c = case("SQL-TP9\\PCHAT");
    c.facts.instances.insert(PM, silent(500));
    assert_eq!(stop(&c), None);
    let mut c = case("SQL-TP9\\PCHAT");
    *named(&mut c, PM) = ServerNames::default();
    assert_eq!(stop(&c), None);
    // An alias is no fault where the server itself ships the logs, or mirrors.
    let mut c = calm();
    c.b().secondary.as_mut().unwrap().primary_server = "CHATSQL".into();
    assert_eq!(stop(&c), None);
}

#[test]
fn the_partner_of_a_mirroring_session_is_the_declared_one() {
    let mut c = calm();
    let session = |c: &mut Case, id| -> Mirroring {
        let db = state_of(c.facts.instances.get_mut(&id).unwrap()).database.as_ref().unwrap();
        db.mirroring.clone().unwrap()
    };
    let other = Mirroring { guid: uuid::Uuid::from_u128(9), ..session(&mut c, PM) };
    state_of(c.facts.instances.get_mut(&PM).unwrap()).database.as_mut().unwrap().mirroring = Some(other);
    assert_eq!(stop(&c), None, "it is called so");
    *named(&mut c, PM) = names("SQL-TP7\\PCHAT");
    // Its endpoint is on the declared host.
    assert_eq!(stop(&c), None);
    let db = state_of(c.facts.instances.get_mut(&P).unwrap()).database.as_mut().unwrap();
    db.mirroring.as_mut().unwrap().partner_address = Some("TCP://elsewhere.contoso.com:5022".into());
    let stop = stop(&c).expect("another server answers as the partner");
    assert_eq!(stop.reason, Reason::WrongServer);
    assert!(stop.message.contains("SQL-TP2\\PCHAT") && stop.message.contains("SQL-TP7"), "{}", stop.message);
}
