//! What can be seen in a calm week is told then; what would leave users unserved stops before the point of no return.

mod common;

use common::*;
use pchat_planner::facts::*;
use pchat_planner::outlook::Foreseen;
use pchat_planner::plan::*;
use pchat_planner::pool::Side;
use pchat_planner::readiness::{Check, HANGS, Verdict, checks};

/// The primary side serves and is to go on so.
fn calm() -> Case {
    Case::disaster().with(|c| {
        c.pool.active = Side::Primary;
        let mut principal = database(DatabaseState::Online);
        principal.mirroring = on(Role::Principal);
        let mut mirror = database(DatabaseState::Restoring);
        mirror.mirroring = on(Role::Mirror);
        c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(principal)));
        c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", Some(mirror)));
        state_of(c.facts.instances.get_mut(&P).unwrap()).ships_logs = true;
    })
}

fn state(c: &mut Case, id: pchat_planner::pool::InstanceId) -> &mut InstanceState {
    state_of(c.facts.instances.get_mut(&id).unwrap())
}

fn found(c: &Case, name: &str) -> Check {
    let all = checks(&c.pool, &c.facts, c.now);
    all.into_iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"))
}

fn outlook(c: &Case) -> pchat_planner::outlook::Outlook {
    pchat_planner::outlook(&c.pool, &c.facts, &c.run, c.now)
}

/// What a fault makes of which check, and words that must be told: host, object, remedy.
type Fault = (&'static str, Verdict, Reason, fn(&mut Case), &'static [&'static str]);

const FAULTS: &[Fault] = &[
    (
        "SQL Server Agent",
        Verdict::Warned,
        Reason::AgentStopped,
        |c| c.b().agent = Agent::Stopped,
        &["sql-ks1.contoso.com\\PCHAT", "SQLAgent$PCHAT", "on the share itself"],
    ),
    (
        "SQL Server Agent",
        Verdict::Warned,
        Reason::AgentStopped,
        |c| state(c, P).agent = Agent::Stopped,
        &["sql-tp1.contoso.com\\PCHAT", "no log backup is made"],
    ),
    (
        "SQL Server Agent",
        Verdict::Warned,
        Reason::AgentStopped,
        |c| c.b().agent = Agent::NotOffered,
        &["Express"],
    ),
    (
        "Log shipping",
        Verdict::Warned,
        Reason::LogShippingUnhealthy,
        |c| {
            let job = c.b().secondary.as_mut().unwrap().restore_job.as_mut().unwrap();
            (job.running, job.since) = (true, Some(t(1000) - HANGS - jiff::SignedDuration::from_secs(1)));
        },
        &[
            "restore job LSRestore on sql-ks1",
            "has been running since",
            "sp_stop_job @job_name = N'LSRestore'",
        ],
    ),
    (
        "Log shipping",
        Verdict::Warned,
        Reason::LogShippingUnhealthy,
        |c| c.b().secondary.as_mut().unwrap().copy_job.as_mut().unwrap().enabled = Some(false),
        &["copy job LSCopy on sql-ks1", "disabled", "sp_update_job @job_name = N'LSCopy', @enabled = 1"],
    ),
    (
        "Log shipping",
        Verdict::Held,
        Reason::LogShippingUnhealthy,
        |c| c.b().secondary = None,
        &["no log shipping for mgc"],
    ),
    (
        "Mirror",
        Verdict::Warned,
        Reason::MirrorLeftover,
        |c| state(c, BM).database = Some(database(DatabaseState::Restoring)),
        &["mgc stands on sql-ks2.contoso.com\\PCHAT (RESTORING)", "DROP DATABASE [mgc]"],
    ),
    (
        "Mirror",
        Verdict::Warned,
        Reason::MirrorUnavailable,
        |c| drop(c.facts.instances.insert(BM, silent(500))),
        &["sql-ks2.contoso.com\\PCHAT can't be asked"],
    ),
    (
        "Mirroring endpoints",
        Verdict::Warned,
        Reason::MirrorEndpointUnusable,
        |c| c.b().endpoint = Endpoint::Missing,
        &["sql-ks1.contoso.com\\PCHAT has no database mirroring endpoint", "CREATE ENDPOINT"],
    ),
    (
        "Mirroring endpoints",
        Verdict::Warned,
        Reason::MirrorEndpointUnusable,
        |c| state(c, BM).endpoint = Endpoint::NotStarted("Mirroring".into(), "STOPPED".into()),
        &["Mirroring on sql-ks2.contoso.com\\PCHAT is STOPPED", "STATE = STARTED"],
    ),
    (
        "Share for seeding",
        Verdict::Warned,
        Reason::MirrorShareNeeded,
        |c| c.pool.seed_share = None,
        &["mirroring.seedShare"],
    ),
    (
        "Cmdlets",
        Verdict::Warned,
        Reason::CmdletMissing,
        |c| _ = c.facts.shell.cmdlets.insert("Install-CsMirrorDatabase".into(), false),
        &["does not offer Install-CsMirrorDatabase", "role"],
    ),
    (
        "Cmdlets",
        Verdict::Held,
        Reason::CmdletMissing,
        |c| _ = c.facts.shell.cmdlets.insert("Set-CsPersistentChatActiveServer".into(), false),
        &["does not offer Set-CsPersistentChatActiveServer", "nobody is served"],
    ),
    (
        "Chat servers",
        Verdict::Held,
        Reason::ChatServersUnknown,
        |c| c.pool.backup.active_servers[1] = "pc-ks9.contoso.com".into(),
        &["pc-ks9.contoso.com", "pc-ks1.contoso.com", "backup.chatServers"],
    ),
    (
        "Management shell",
        Verdict::Held,
        Reason::PoolUnknown,
        |c| {
            c.facts.shell.pool_state = unknown("the shell knows no such pool");
            c.facts.shell.other_pools = Some(vec!["service:other.contoso.com".into()]);
        },
        &["knows no pool chat.contoso.com", "other.contoso.com", "pool.fqdn"],
    ),
    (
        "Management shell",
        Verdict::Warned,
        Reason::ManagementShellUnavailable,
        |c| {
            c.facts.shell.contact = Contact::Unusable { detail: "no answer from fe-ks1".into() };
            c.facts.shell.pool_state = unknown("not asked");
        },
        &["fe-ks1", "recovers the database"],
    ),
    (
        "Central Management Store",
        Verdict::Warned,
        Reason::CentralManagementUnavailable,
        |c| c.facts.shell.store_writable = known(Err("no active master".into())),
        &["no active master", "Invoke-CsManagementServerFailover"],
    ),
    (
        "Backup instance",
        Verdict::Held,
        Reason::RightsMissing,
        |c| c.b().sysadmin = false,
        &["sysadmin", "sql-ks1.contoso.com\\PCHAT"],
    ),
    (
        "Log backups",
        Verdict::Held,
        Reason::BackupsUnknown,
        |c| c.files().share = unknown("the network path was not found"),
        &[r"can't read \\files\pchat-logs", "service account"],
    ),
];

#[test]
fn nothing_is_wrong_with_a_healthy_pool() {
    let case = calm();
    for check in checks(&case.pool, &case.facts, case.now) {
        assert_eq!(check.answer, Verdict::Passed, "{check:?}");
    }
    assert_eq!(outlook(&case).answer, Foreseen::Goes);
}

#[test]
fn each_thing_that_is_wrong_is_told_in_a_calm_week_with_object_and_remedy() {
    for (name, answer, reason, fault, words) in FAULTS {
        let case = calm().with(fault);
        let check = found(&case, name);
        assert_eq!((check.answer, check.troubles[0].reason), (*answer, *reason), "{check:?}");
        let told: String = check.troubles.iter().map(|trouble| trouble.text()).collect();
        for word in *words {
            assert!(told.contains(word), "{name}: {word:?} is not told in {told}");
        }
        assert!(outlook(&case).checks.contains(&check), "{name}: not in the outlook");
        // What holds a failover up is no surprise of the disaster, and what does not hold it up lets it go.
        let goes = outlook(&case).answer == Foreseen::Goes;
        assert_eq!(goes, *answer == Verdict::Warned, "{name}: {:?}", outlook(&case).answer);
    }
}

#[test]
fn what_may_not_be_seen_is_unknown_and_not_wrong() {
    let case = calm().with(|c| {
        c.b().agent = Agent::Unknown;
        c.b().endpoint = Endpoint::Unknown;
        c.facts.shell.cmdlets.clear();
        c.facts.shell.servers = known(Servers { identity: "x".into(), active: vec![], inactive: vec![] });
    });
    for name in ["SQL Server Agent", "Mirroring endpoints", "Cmdlets", "Chat servers"] {
        assert_eq!(found(&case, name).answer, Verdict::Unknown, "{name}");
    }
    assert_eq!(outlook(&case).answer, Foreseen::Goes);
}

/// What a failover has done itself is no fault of the pool.
#[test]
fn jobs_that_a_failover_has_disabled_are_not_told_as_disabled() {
    let case = Case::disaster().owned();
    assert_eq!(found(&case, "Log shipping").answer, Verdict::Passed);
    assert_eq!(case.plan().warnings, []);
}

#[test]
fn what_would_leave_users_unserved_stops_before_the_database_is_recovered_and_a_person_may_know_better() {
    let held = FAULTS.iter().filter(|(_, answer, reason, ..)| {
        *answer == Verdict::Held
            && matches!(reason, Reason::CmdletMissing | Reason::ChatServersUnknown | Reason::PoolUnknown)
    });
    let mut seen = 0;
    for (_, _, reason, fault, words) in held {
        seen += 1;
        // The logs are applied all the same.
        let early = Case::disaster().owned().with(fault).plan();
        assert!(matches!(early.next, Next::Run(StepId::ApplyLogs, _)), "{reason:?}: {:?}", early.next);
        let case = Case::disaster().owned().applied().with(fault);
        let Next::Blocked(stop) = case.plan().next else { panic!("{reason:?}: {:?}", case.plan().next) };
        assert_eq!((stop.reason, stop.step), (*reason, Some(StepId::RecoverDatabase)));
        for word in *words {
            assert!(stop.message.contains(word) || stop.remedy.contains(word), "{word:?}: {stop:?}");
        }
        assert!(stop.remedy.contains("goes on by itself"), "{}", stop.remedy);
        // Put right, it goes on; approved, it is written down and goes on.
        let right = Case::disaster().owned().applied().plan();
        assert!(matches!(right.next, Next::Run(StepId::RecoverDatabase, _)), "{:?}", right.next);
        let digest = stop.digest.expect("an approval resolves it");
        let approved = case.clone().with(|c| c.run.approvals.push(digest)).plan();
        assert!(matches!(approved.next, Next::Run(StepId::TakeOwnership, _)), "{:?}", approved.next);
    }
    assert_eq!(seen, 3);
}

#[test]
fn what_only_hurts_a_later_step_is_told_before_and_holds_nothing_up() {
    for (name, answer, reason, fault, _) in FAULTS {
        let told = matches!(
            *name,
            "SQL Server Agent" | "Cmdlets" | "Mirror" | "Mirroring endpoints" | "Share for seeding"
        );
        if *answer != Verdict::Warned || !told {
            continue;
        }
        // In the disaster the primary side tells nothing any more.
        let case = Case::disaster().owned().applied();
        let mut broken = case.clone();
        broken.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", None));
        fault(&mut broken);
        broken.facts.instances.insert(P, silent(500));
        let plan = broken.plan();
        assert!(matches!(plan.next, Next::Run(StepId::RecoverDatabase, _)), "{name}: {:?}", plan.next);
        if broken.facts != case.facts || broken.pool != case.pool {
            assert!(plan.warnings.iter().any(|(told, _)| told == reason), "{name}: {:?}", plan.warnings);
        }
    }
}

#[test]
fn a_management_shell_that_can_not_be_asked_does_not_hold_the_database_up() {
    let case = Case::disaster().owned().applied().with(|c| {
        c.facts.shell.contact =
            Contact::Silent { since: t(500), until: t(1000), tries: 3, detail: "no answer".into() };
        c.facts.shell.pool_state = unknown("no answer");
        c.facts.shell.servers = unknown("no answer");
    });
    assert!(matches!(case.plan().next, Next::Run(StepId::RecoverDatabase, _)), "{:?}", case.plan().next);
}

/// An approval that was given for a server covers that server.
#[test]
fn another_unknown_server_is_another_question() {
    let case = |server: &str| {
        let server = server.to_owned();
        Case::disaster().owned().applied().with(|c| c.pool.backup.active_servers[1] = server)
    };
    let digest = case("pc-ks9.contoso.com").plan().digest;
    let plan = case("pc-ks8.contoso.com").with(|c| c.run.approvals.push(digest)).plan();
    assert!(matches!(plan.next, Next::Blocked(_)), "{:?}", plan.next);
}

/// What is imagined in a calm week is what happens in the disaster.
#[test]
fn a_failover_meets_what_was_imagined_of_it() {
    let states: [fn(&mut Case); 6] = [
        |_| {},
        |c| *c = c.clone().with_files([(name(0), whole(set(50, 100))), (name(2), whole(set(200, 300)))]),
        |c| c.pool.max_data_loss = Some(jiff::SignedDuration::from_mins(1)),
        |c| c.pool.backup.active_servers[0] = "pc-ks9.contoso.com".into(),
        |c| c.b().sysadmin = false,
        |c| c.facts.backups = unknown("the share hangs"),
    ];
    for (n, change) in states.into_iter().enumerate() {
        let imagined = outlook(&calm().with(change)).answer;
        let real = Case::disaster().with(change).plan();
        match (imagined, real.next) {
            (Foreseen::Stops(a), Next::Blocked(b)) => assert_eq!(a.reason, b.reason, "{n}"),
            (Foreseen::Asks(asked), _) => {
                let reasons = |hazards: &[Hazard]| hazards.iter().map(|h| h.reason).collect::<Vec<_>>();
                assert_eq!(reasons(&asked), reasons(&real.hazards), "{n}");
            }
            (Foreseen::Goes, Next::Run(..)) => assert_eq!(real.hazards, [], "{n}"),
            other => panic!("{n}: {other:?}"),
        }
    }
}

/// Which word is declared changes nothing in what a loss of the side in use would meet.
#[test]
fn the_answer_does_not_depend_on_the_declared_word() {
    let primary = calm();
    let backup = calm().with(|c| c.pool.active = Side::Backup);
    assert_eq!(outlook(&primary), outlook(&backup));
    let over = calm().pool_is(PoolState::FailedOver);
    assert!(matches!(outlook(&over).answer, Foreseen::Failback(_)));
    assert_eq!(outlook(&over).checks, []);
}
