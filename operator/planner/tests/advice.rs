//! What a person is told to type: complete, quoted, and never against the side that serves the pool.

mod common;

use common::*;
use pchat_planner::advice::{Advice, AdviceKind};
use pchat_planner::facts::*;
use pchat_planner::journal::Journal;
use pchat_planner::plan::*;
use pchat_planner::pool::Side;

fn of(c: &Case, kind: AdviceKind) -> Vec<Advice> {
    c.plan().advice.into_iter().filter(|a| a.kind == kind).collect()
}

fn lines(c: &Case, kind: AdviceKind) -> Vec<String> {
    of(c, kind).into_iter().flat_map(|a| a.lines).collect()
}

/// The pool lives on the backup side, and the old primary is back, mirrored, with its backup job.
fn returned() -> Case {
    Case::disaster().online(300).with(|c| {
        c.facts.shell.pool_state = known(("service:chat.contoso.com".into(), PoolState::FailedOver));
        let mut old = database(DatabaseState::Online);
        old.mirroring = on(Role::Principal);
        let mut facts = answers("SQL-TP1\\PCHAT", Some(old));
        state_of(&mut facts).ships_logs = true;
        c.facts.instances.insert(P, facts);
    })
}

#[test]
fn a_returned_old_primary_is_fenced_in_an_order_that_no_statement_of_it_refuses() {
    let advice = of(&returned(), AdviceKind::FenceOldPrimary);
    assert_eq!(advice.len(), 1);
    assert_eq!(advice[0].host, r"sql-tp1.contoso.com\PCHAT");
    let typed = &advice[0].lines;
    assert_eq!(typed.len(), 3, "{typed:?}");
    assert!(typed[0].contains("sp_update_job") && typed[0].contains("N'mgc'"), "{typed:?}");
    assert_eq!(typed[1], "ALTER DATABASE [mgc] SET PARTNER OFF;");
    assert_eq!(typed[2], "ALTER DATABASE [mgc] SET OFFLINE WITH ROLLBACK IMMEDIATE;");
    let (_, told) = &returned().plan().warnings[0];
    for line in typed {
        assert!(told.contains(&format!("\n\t{line}\n")), "{line} does not stand alone in: {told}");
    }
}

#[test]
fn no_advice_takes_out_of_service_what_serves_the_pool_or_may() {
    let silent = |change: fn(&mut Case)| {
        let mut case = returned();
        change(&mut case);
        let plan = case.plan();
        let told = plan.warnings.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(of(&case, AdviceKind::FenceOldPrimary), [], "{told}");
        assert!(!told.contains("OFFLINE"), "{told}");
    };
    // The pool's state is not told: the open transition alone vouches for the copy.
    silent(|c| {
        let plan = Case::disaster().owned().applied().plan();
        let Next::Run(_, Action::RecoverDatabase { transition, .. }) = plan.next else { panic!("{plan:?}") };
        c.b().journal.transition = Some(transition);
        c.facts.shell.pool_state = known(("service:chat.contoso.com".into(), PoolState::Normal));
    });
    silent(|c| {
        let plan = Case::disaster().owned().applied().plan();
        let Next::Run(_, Action::RecoverDatabase { transition, .. }) = plan.next else { panic!("{plan:?}") };
        c.b().journal.transition = Some(transition);
        c.facts.shell.pool_state = unknown("dead");
    });
    // The dead primary's name was pointed at the survivor.
    silent(|c| state_of(c.facts.instances.get_mut(&P).unwrap()).server_name = "sql-ks1\\pchat".into());
}

#[test]
fn the_tail_goes_to_the_real_share_under_a_new_name_and_mirroring_ends_first() {
    let damaged = |state| {
        Case::disaster().with(|c| {
            let db = Database { name: "m]g'c".into(), ..database(state) };
            c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(db)));
        })
    };
    for state in [DatabaseState::Suspect, DatabaseState::RecoveryPending] {
        let mut case = damaged(state);
        let typed = [
            "ALTER DATABASE [m]]g'c] SET PARTNER OFF;",
            r"BACKUP LOG [m]]g'c] TO DISK = N'\\files\pchat-logs\mgc_20261122230201.trn' WITH NO_TRUNCATE, NORECOVERY;",
        ];
        assert_eq!(lines(&case, AdviceKind::SaveTail), typed);
        case.pool.primary.mirror = None;
        case.facts.instances.remove(&PM);
        assert_eq!(lines(&case, AdviceKind::SaveTail), typed[1..]);
        // The same state is told in the same words, whatever the time.
        let before = case.plan();
        case.now = t(1020);
        assert_eq!(case.plan().advice, before.advice);
    }
    // BACKUP is not allowed in EMERGENCY, whatever its options.
    let emergency = damaged(DatabaseState::Emergency);
    assert_eq!(lines(&emergency, AdviceKind::SaveTail), Vec::<String>::new());
    assert!(!format!("{:?}", emergency.plan()).contains("BACKUP LOG"));
}

#[test]
fn a_mirror_without_its_principal_is_told_to_be_forced_and_one_with_it_is_not() {
    for (state, force) in [(MirroringState::Disconnected, " -Force"), (MirroringState::Synchronized, "")] {
        let case = Case::disaster().with(|c| {
            let mut db = database(DatabaseState::Restoring);
            db.mirroring = on(Role::Mirror).map(|m| Mirroring { state, ..m });
            c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", Some(db)));
        });
        let line = format!(
            "Invoke-CsDatabaseFailover -PoolFqdn chat.contoso.com -DatabaseType PersistentChat -NewPrincipal Mirror{force}"
        );
        assert_eq!(lines(&case, AdviceKind::FailOverWithinSite), [line]);
    }
}

#[test]
fn the_pool_is_told_by_hand_only_when_it_is_to_live_on_the_recovered_copy() {
    let told = |c: &Case| lines(c, AdviceKind::SetPoolState).len();
    let mut case = Case::disaster().owned().online(300);
    case.facts.shell.pool_state = unknown("dead");
    assert_eq!(told(&case), 0, "nothing vouches for the copy");
    let plan = Case::disaster().owned().applied().plan();
    let Next::Run(_, Action::RecoverDatabase { transition, .. }) = plan.next else { panic!("{plan:?}") };
    case.b().journal.transition = Some(transition);
    assert_eq!(told(&case), 1);
    case.b().journal = Journal::default();
    case.pool.active = Side::Primary;
    assert_eq!(told(&case), 0, "the pool is to stay where it is");
}

#[test]
fn a_mirrored_copy_is_taken_out_of_its_session_only_when_its_partner_is_seen_not_to_serve() {
    let case = |partner: InstanceFacts| {
        Case::disaster().with(|c| {
            c.db().mirroring = on(Role::Mirror);
            c.facts.instances.insert(BM, partner);
        })
    };
    let told = |c: &Case| lines(c, AdviceKind::RemoveMirroring).len();
    assert_eq!(told(&case(answers("SQL-KS2\\PCHAT", Some(database(DatabaseState::Online))))), 0);
    assert_eq!(told(&case(silent(600))), 0);
    assert_eq!(told(&case(answers("SQL-KS2\\PCHAT", None))), 1);
}

/// What is printed to be typed is made in one module, whose kinds are typed by scenarios. A statement in any other sentence would be
/// one that nobody tried.
#[test]
fn no_sentence_but_advice_holds_a_statement_or_a_cmdlet_that_changes_something() {
    let typed = [
        "ALTER ",
        "BACKUP LOG",
        "RESTORE LOG",
        "RESTORE DATABASE",
        "EXEC ",
        "CREATE ",
        "DROP ",
        " sp_",
        "DBCC ",
        "Invoke-Cs",
        "Set-Cs",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![
        root.join("src"),
        root.join("../src/report"),
        root.join("../src/sql/explain"),
        root.join("../src/observe"),
    ];
    let mut files = vec![
        root.join("../src/powershell/mod.rs"),
        root.join("../src/sql/refusal.rs"),
        root.join("../src/sql/connect.rs"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 30, "the sources are there");
    // A name by itself is no statement, and neither is what a check asked.
    let names = |line: &str| !line.trim().contains(' ') || line.contains("source: \"");
    for file in files.iter().filter(|file| !file.ends_with("say/advice.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//") && !names(l)) {
            let found = typed.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}: {line}", file.display());
        }
    }
}
