//! The decision table, row by row: each has facts that reach exactly it, and what its remedy does un-blocks it.

mod common;

use common::*;
use jiff::SignedDuration;
use jiff::Timestamp;
use pchat_planner::facts::*;
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::*;
use pchat_planner::pool::{LogSource, Side};
use pchat_planner::table::{Decision, Stage, TABLE};

type Remedy = (&'static str, fn(&mut Case));

struct Fixture {
    row: &'static str,
    /// Reaches the row.
    case: Case,
    /// What a person (or time) does about it.
    remedies: Vec<Remedy>,
}

fn approve(c: &mut Case) {
    let digest = c.plan().digest;
    c.run.approvals.push(digest);
}

fn fixtures() -> Vec<Fixture> {
    let f = |row, case, remedies| Fixture { row, case, remedies };
    let later: fn(&mut Case) = |c| {
        c.now = t(1031);
        for id in [P, PM] {
            if let Contact::Silent { until, .. } = &mut c.facts.instances.get_mut(&id).unwrap().contact {
                *until = t(1031);
            }
        }
    };
    vec![
        f(
            "other-side-serves",
            Case::disaster().with(|c| {
                let mut db = database(DatabaseState::Online);
                db.mirroring = on(Role::Principal);
                c.facts.instances.insert(PM, answers("SQL-TP2", Some(db)));
            }),
            vec![("the other side stops for good", |c| {
                c.facts.instances.insert(PM, silent(600));
            })],
        ),
        f(
            "not-looked-at-yet",
            Case::disaster().with(|c| {
                c.facts.instances.insert(PM, being_asked(999));
            }),
            vec![("it is seen to be silent", |c| {
                c.facts.instances.insert(PM, silent(600));
            })],
        ),
        f(
            "mirror-holds-commits",
            Case::disaster().with(|c| {
                *c = mirror_left(MirroringState::Disconnected);
            }),
            vec![
                ("approved", approve),
                ("the mirror dies too", |c| {
                    c.facts.instances.insert(PM, silent(600));
                }),
            ],
        ),
        f(
            "primary-damaged",
            Case::disaster().with(|c| {
                c.facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Suspect))));
            }),
            vec![
                ("approved", approve),
                ("its server is switched off", |c| {
                    c.facts.instances.insert(P, silent(700));
                }),
            ],
        ),
        f(
            "primary-may-be-alive",
            Case::disaster().with(|c| {
                c.facts.instances.get_mut(&P).unwrap().contact =
                    Contact::Unusable { detail: "login refused (18456)".into() };
            }),
            vec![
                ("approved", approve),
                ("access fixed: it is dead", |c| {
                    c.facts.instances.insert(P, silent(700));
                }),
            ],
        ),
        f(
            "silence-too-short",
            Case::disaster().with(|c| {
                c.facts.instances.insert(PM, silent(970));
            }),
            vec![("time", later)],
        ),
        f(
            "life-after-silence",
            Case::disaster().with_files([
                (name(0), whole(set(50, 100))),
                (name(1), whole(BackupSet { started: wall(t(600)), ..set(100, 200) })),
            ]),
            vec![
                ("approved", approve),
                ("silent for as long again", |c| {
                    c.facts.instances.insert(PM, silent(700));
                }),
            ],
        ),
        f(
            "stale-copy",
            Case::disaster().online(200),
            vec![
                ("approved", approve),
                ("the files beyond it turn out to be none of it", |c| {
                    c.files().files.remove(&name(2));
                }),
            ],
        ),
        f(
            "both-sides-online",
            Case::disaster().online(300).with(|c| {
                c.facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Online))));
            }),
            vec![
                ("approved", approve),
                ("the other side is switched off", |c| {
                    c.facts.instances.insert(P, silent(700));
                }),
            ],
        ),
        f(
            "source-unknown",
            Case::disaster().with(|c| {
                c.b().secondary = None;
                c.facts.backups = unknown("there is nowhere to look");
            }),
            vec![("share and folder declared", |c| {
                let b = Case::disaster().facts.backups;
                c.pool.log_source = b.value().map(|b| b.source.clone());
                c.facts.backups = b;
            })],
        ),
        f(
            "not-listed-yet",
            Case::disaster().owned().applied().with(|c| c.files().share = pending(980)),
            vec![("it is listed", |c| c.files().share = known(vec![name(0)]))],
        ),
        f(
            "position-unknown",
            Case::disaster().owned().with(|c| {
                let db = c.db();
                (db.state, db.standby, db.last_restored) = (DatabaseState::Online, Some(true), None);
                db.position = Err("msdb remembers no restore of it".into());
                *c = c.clone().with_files([]);
            }),
            vec![
                ("approved", approve),
                ("a file to try turns up", |c| {
                    c.files().files.insert(name(3), shared(set(300, 400)));
                }),
            ],
        ),
        f(
            "backup-damaged",
            Case::disaster().owned().applied().with(|c| {
                let set = set(300, 400);
                let set_at =
                    |path| Damaged { path, position: 1, set: set.id, what: "damaged (error 3189)".into() };
                c.files().damaged = vec![set_at(format!(r"\\files\pchat-logs\{}", name(3)))];
                c.files().files.insert(name(3), shared(set));
            }),
            vec![("approved", approve), ("a whole copy takes its place", |c| c.files().damaged.clear())],
        ),
        f(
            "log-chain-gap",
            Case::disaster().owned().applied().with(|c| {
                c.files().files.insert(name(4), whole(set(400, 500)));
            }),
            vec![
                ("approved", approve),
                ("the missing file turns up", |c| {
                    c.files().files.insert(name(3), shared(set(300, 400)));
                }),
            ],
        ),
        f(
            "fork-ambiguous",
            Case::disaster().owned().applied().with(|c| {
                let turns = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(300)), ..set(300, 400) };
                c.files().files.insert(name(3), whole(turns));
            }),
            vec![
                ("approved to stay", approve),
                ("the file is taken away", |c| {
                    c.files().files.remove(&name(3));
                }),
            ],
        ),
        f(
            "backups-unknown",
            Case::disaster()
                .owned()
                .applied()
                .with(|c| c.files().share = unknown("the network path was not found (53)")),
            vec![
                ("approved", approve),
                ("the share is back", |c| {
                    c.files().share = known(vec![name(0)]);
                }),
            ],
        ),
        f(
            "torn-not-stable",
            Case::disaster().owned().applied().with(|c| {
                c.files().files.insert(name(3), torn(995));
            }),
            vec![
                ("another look, later", |c| {
                    c.now = t(1010);
                    if let Fact::Known { at, .. } = &mut c.facts.backups {
                        *at = t(1005);
                    }
                }),
                ("it turns out whole", |c| {
                    c.files().files.insert(name(3), whole(set(300, 400)));
                }),
            ],
        ),
        f(
            "loss-above-limit",
            Case::disaster()
                .owned()
                .applied()
                .with(|c| c.pool.max_data_loss = Some(SignedDuration::from_mins(1))),
            vec![
                ("approved", approve),
                ("the limit is raised", |c| {
                    c.pool.max_data_loss = None;
                }),
            ],
        ),
        f(
            "pool-unknown",
            Case::disaster().owned().applied().with(|c| {
                c.facts.shell.pool_state = unknown("the shell knows no such pool");
                c.facts.shell.other_pools = Some(vec![]);
            }),
            vec![
                ("approved", approve),
                ("the shell can't be asked any more", |c| {
                    c.facts.shell.contact = Contact::Unusable { detail: "it is restarted".into() };
                }),
            ],
        ),
        f(
            "cmdlet-missing",
            Case::disaster().owned().applied().with(|c| {
                c.facts.shell.cmdlets.insert("Set-CsPersistentChatState".into(), false);
            }),
            vec![
                ("approved", approve),
                ("offered", |c| {
                    c.facts.shell.cmdlets.insert("Set-CsPersistentChatState".into(), true);
                }),
            ],
        ),
        f(
            "chat-servers-unknown",
            Case::disaster()
                .owned()
                .applied()
                .with(|c| c.pool.backup.active_servers = vec!["pc-ks9.contoso.com".into()]),
            vec![
                ("approved", approve),
                ("corrected", |c| c.pool.backup.active_servers = vec!["pc-ks1.contoso.com".into()]),
            ],
        ),
        f("chain-complete", Case::disaster().owned().applied(), vec![]),
        f(
            "torn-last",
            Case::disaster().owned().applied().with(|c| {
                c.files().files.insert(name(3), torn(900));
            }),
            vec![],
        ),
        f(
            "accepted",
            Case::disaster().owned().applied().with(|c| {
                c.files().files.insert(name(4), whole(set(400, 500)));
                approve(c);
            }),
            vec![],
        ),
        f(
            "store-not-writable",
            Case::disaster()
                .with(|c| c.facts.shell.store_writable = known(Err("its SQL Server is dead".into()))),
            vec![("moved", |c| c.facts.shell.store_writable = known(Ok(())))],
        ),
    ]
}

fn torn(since: i64) -> BackupFile {
    let header = Header::Torn { what: "the media family is malformed (3241)".into(), since: t(since) };
    BackupFile { on_share: Some(header.clone()), in_folder: Some(header) }
}

#[test]
fn every_row_has_facts_that_reach_it_and_no_fixture_is_left_over() {
    let mut rows: Vec<&str> = TABLE.iter().map(|r| r.id).collect();
    let mut covered: Vec<&str> = fixtures().iter().map(|f| f.row).collect();
    rows.sort_unstable();
    covered.sort_unstable();
    assert_eq!(rows, covered);
}

#[test]
fn each_row_decides_as_the_table_says() {
    for f in fixtures() {
        let row = TABLE.iter().find(|r| r.id == f.row).unwrap();
        let plan = f.case.plan();
        if row.stage == Stage::Always {
            let Decision::Warn(reason) = row.decision else { panic!("{} only warns", row.id) };
            assert!(plan.warnings.iter().any(|(r, _)| *r == reason), "{}: {:#?}", f.row, plan.warnings);
            assert!(matches!(plan.next, Next::Run(..)), "{}: a warning stops nothing", f.row);
            continue;
        }
        assert_eq!(f.case.row(), Some(f.row), "{:#?}", plan.next);
        match (row.decision, &plan.next) {
            (Decision::Stop(reason), Next::Blocked(stop)) => {
                assert_eq!(stop.reason, reason, "{}", f.row);
                assert!(!stop.message.is_empty() && !stop.remedy.is_empty(), "{}", f.row);
                assert!(!stop.message.contains("  ") && !stop.remedy.contains("  "), "{}: {stop:#?}", f.row);
            }
            (Decision::Wait(reason), Next::Wait { reason: r, until, .. }) => {
                // How long a look takes is not known.
                let known = until.is_some() || reason == Reason::Looking;
                assert_eq!((*r, known), (reason, true), "{}", f.row);
            }
            (Decision::Go, Next::Run(StepId::RecoverDatabase | StepId::TakeOwnership, _)) => {}
            (decision, next) => panic!("{}: {decision:?} but {next:#?}", f.row),
        }
    }
}

#[test]
fn each_remedy_unblocks_its_row() {
    for f in fixtures() {
        let row = TABLE.iter().find(|r| r.id == f.row).unwrap();
        assert!(matches!(row.decision, Decision::Go) || !f.remedies.is_empty(), "{} has no way out", f.row);
        for (what, remedy) in f.remedies {
            let mut case = f.case.clone();
            remedy(&mut case);
            assert_ne!(case.row(), Some(f.row), "{}: still there after: {what}", f.row);
            let plan = case.plan();
            assert!(matches!(plan.next, Next::Run(..)), "{} after {what}: {:#?}", f.row, plan.next);
            assert!(
                !plan.warnings.iter().any(|(r, _)| Decision::Warn(*r) == row.decision),
                "{}: {what}",
                f.row
            );
        }
    }
}

#[test]
fn only_a_row_that_names_an_approval_offers_a_digest() {
    let none = ["other-side-serves", "source-unknown"];
    for f in fixtures() {
        if let Next::Blocked(stop) = f.case.plan().next {
            assert_eq!(stop.digest.is_none(), none.contains(&f.row), "{}", f.row);
        }
    }
}

#[test]
fn a_field_that_says_primary_is_never_a_failover() {
    for f in fixtures() {
        let mut case = f.case;
        if case.b().journal.transition.is_some() || case.db().state == DatabaseState::Online {
            continue;
        }
        case.pool.active = Side::Primary;
        let plan = case.plan();
        if f.row == "not-looked-at-yet" {
            assert_eq!(plan.rule, Reason::Looking);
            continue;
        }
        assert_eq!((plan.next, plan.rule), (Next::Converged, Reason::AsDeclared), "{}", f.row);
    }
}

#[test]
fn declared_paths_are_used_only_where_nothing_better_is_known() {
    let mut case = Case::disaster();
    case.pool.log_source = Some(LogSource { share: r"\\elsewhere\x".into(), folder: r"E:\x".into() });
    case = case.owned().applied();
    let plan = case.plan();
    let Some(Action::RecoverDatabase { source: Some(source), .. }) = action(&plan) else {
        panic!("{:#?}", plan.next)
    };
    assert_eq!(source.share, r"\\files\pchat-logs");
}

#[test]
fn a_backup_that_began_with_the_first_silent_look_is_no_sign_of_life() {
    let begun = |at| {
        let files = [
            (name(0), whole(set(50, 100))),
            (name(1), whole(BackupSet { started: wall(t(at)), ..set(100, 200) })),
        ];
        Case::disaster().with_files(files).row()
    };
    assert_eq!(begun(525), Some("chain-complete"));
    assert_eq!(begun(526), Some("life-after-silence"));
}

/// The principal is silent; its mirror answers, in this state of the session.
fn mirror_left(state: MirroringState) -> Case {
    Case::disaster().with(|c| {
        let mut db = database(DatabaseState::Restoring);
        db.mirroring = on(Role::Mirror).map(|m| Mirroring { state, ..m });
        c.facts.instances.insert(PM, answers("SQL-TP2", Some(db)));
    })
}

/// RESTORING and OFFLINE are fenced: no accident makes them writable again. STANDBY, RECOVERING and an absent database are not.
#[test]
fn a_fenced_other_side_is_no_danger_and_half_of_a_fence_is_none() {
    let shows = |database: Option<Database>| {
        Case::disaster().with(|c| drop(c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", database))))
    };
    for state in [DatabaseState::Restoring, DatabaseState::Offline] {
        let mut case = shows(Some(database(state)));
        assert_eq!(case.row(), Some("chain-complete"), "{state:?}");
        assert_eq!(case.plan().hazards, [], "{state:?}");
        // Its mirror is judged for itself.
        case.facts.instances.insert(PM, silent(970));
        assert_eq!(case.row(), Some("silence-too-short"), "{state:?}");
    }
    let standby = Database { standby: Some(true), ..database(DatabaseState::Online) };
    for database in [Some(standby), Some(database(DatabaseState::Recovering)), None] {
        assert_eq!(shows(database.clone()).row(), Some("primary-may-be-alive"), "{database:?}");
    }
}

/// A stale name leads to an old server, on which the database was fenced long ago: that tells nothing of the one that ships.
#[test]
fn a_fence_is_believed_only_from_the_server_that_log_shipping_knows() {
    for state in [DatabaseState::Restoring, DatabaseState::Offline] {
        let shows = |id, server: &str| {
            Case::disaster()
                .with(|c| drop(c.facts.instances.insert(id, answers(server, Some(database(state))))))
        };
        for id in [P, PM] {
            let case = shows(id, "SQL-OLD\\PCHAT");
            assert_eq!(case.row(), Some("primary-may-be-alive"), "{id:?} {state:?}");
            let plan = case.plan();
            assert!(
                plan.hazards.iter().any(|h| h.sentence.contains("SQL-TP1\\PCHAT")),
                "{:#?}",
                plan.hazards
            );
        }
        let both = shows(P, "SQL-TP1\\PCHAT")
            .with(|c| drop(c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", Some(database(state))))));
        assert_eq!(both.row(), Some("chain-complete"), "the one that it knows vouches for its partner");
    }
}

/// What a fenced database wrote last is its tail, whenever it was written; what others wrote after the silence began is life.
#[test]
fn the_tail_of_a_fenced_database_is_no_sign_of_life() {
    let late = |fenced, server: &str| {
        let written = BackupSet { started: wall(t(900)), ..set(100, 200) };
        let files = [(name(0), whole(set(50, 100))), (name(1), whole(written))];
        Case::disaster().with_files(files).with(|c| {
            let restoring = Some(database(DatabaseState::Restoring));
            let mut answer = answers(server, restoring);
            state_of(&mut answer).ships_logs = true;
            c.facts.instances.insert(fenced, answer);
        })
    };
    assert_eq!(late(P, "SQL-TP1\\PCHAT").row(), Some("chain-complete"));
    assert_eq!(late(PM, "SQL-TP2\\PCHAT").row(), Some("life-after-silence"));
}

#[test]
fn an_approval_of_something_else_does_not_cover_a_principal_that_ships_on() {
    let mut case = mirror_left(MirroringState::Disconnected);
    approve(&mut case);
    assert_eq!(case.row(), Some("chain-complete"));
    case.files().files.insert(name(3), whole(BackupSet { started: wall(t(900)), ..set(300, 400) }));
    let plan = case.plan();
    assert!(matches!(plan.next, Next::Blocked(_)), "{:#?}", plan.next);
    let life = plan.hazards.iter().find(|h| h.reason == Reason::PrimaryMayBeAlive);
    assert!(life.is_some_and(|h| h.sentence.contains(&name(3))), "{life:?}");
}

#[test]
fn a_mirror_that_is_connected_to_its_principal_tells_that_it_lives() {
    let mut case = mirror_left(MirroringState::Disconnected);
    approve(&mut case);
    let kinds = |c: &Case| c.plan().hazards.iter().map(|h| h.reason).collect::<Vec<_>>();
    assert_eq!(kinds(&case), [Reason::MirrorHoldsCommits]);
    let approvals = std::mem::take(&mut case.run.approvals);
    let mut connected = mirror_left(MirroringState::Synchronized);
    connected.run.approvals = approvals;
    assert_eq!(kinds(&connected), [Reason::MirrorHoldsCommits, Reason::PrimaryMayBeAlive]);
    assert!(matches!(connected.plan().next, Next::Blocked(_)), "the approval named the mirror alone");
}

#[test]
fn a_partner_that_was_not_looked_at_is_never_silent_whatever_the_clock_says() {
    for now in [t(1000), Timestamp::MAX] {
        for unseen in [P, PM] {
            let mut case = Case::disaster().owned().applied();
            case.now = now;
            case.facts.instances.remove(&unseen);
            assert_eq!(case.row(), Some("not-looked-at-yet"), "{unseen:?} at {now}");
        }
    }
}
