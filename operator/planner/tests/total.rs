//! The planner is total: whatever it is shown, it answers, and never with something dangerous.

mod common;

use common::*;
use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::{Lsn, Position};
use pchat_planner::plan::*;
use pchat_planner::pool::{InstanceId, Side};

const STATES: [DatabaseState; 8] = [
    DatabaseState::Online,
    DatabaseState::Restoring,
    DatabaseState::Recovering,
    DatabaseState::RecoveryPending,
    DatabaseState::Suspect,
    DatabaseState::Emergency,
    DatabaseState::Offline,
    DatabaseState::Unknown,
];

fn moment(d: &mut Dice) -> Timestamp {
    match d.below(12) {
        0 => Timestamp::MIN,
        1 => Timestamp::MAX,
        n => t(n as i64 * 100),
    }
}

fn lsn(d: &mut Dice) -> Lsn {
    match d.below(9) {
        0 => Lsn(u128::MAX),
        1 => Lsn(0),
        n => Lsn(u128::from(n) * 50),
    }
}

/// Something between a healthy world and nonsense.
fn any(d: &mut Dice) -> Case {
    let mut c = Case::disaster();
    if d.below(2) == 0 {
        c = c.owned();
    }
    if d.below(3) == 0 {
        c = c.applied();
    }
    if d.below(5) == 0 {
        c = c.online(100 * (1 + u128::from(d.below(4))));
    }
    if d.below(4) == 0 {
        c = c.pool_is(PoolState::FailedOver);
    }
    for _ in 0..d.below(6) {
        bend(&mut c, d);
    }
    if d.below(3) == 0 {
        let digest = c.plan().digest;
        c.run.approvals.push(digest);
    }
    c
}

fn bend(c: &mut Case, d: &mut Dice) {
    let answering = c.facts.instances.get(&B).is_some_and(|f| f.state.value().is_some());
    let has_db = answering && c.b().database.is_some();
    let who = [P, PM, B, BM][d.below(4) as usize];
    match d.below(30) {
        0 => c.pool.active = Side::Primary,
        1 => c.now = moment(d),
        2 => c.pool.silent_for = SignedDuration::MAX,
        3 => c.pool.max_data_loss = Some(SignedDuration::from_secs(d.below(900) as i64)),
        4 => c.pool.backup.mirror = None,
        5 => c.pool.primary.mirror = None,
        6 => drop(c.facts.instances.remove(&who)),
        7 => drop(c.facts.instances.insert(who, silent(d.below(1200) as i64))),
        8 if who != B => {
            let mut db = database(STATES[d.below(8) as usize]);
            db.standby = [Some(false), Some(false), None][d.below(3) as usize];
            db.mirroring =
                [None, on(Role::Mirror), on(Role::Principal), on(Role::Unknown)][d.below(4) as usize].clone();
            let name = match who {
                P => "X1",
                PM => "X2",
                _ => "X4",
            };
            c.facts.instances.insert(who, answers(name, (d.below(5) > 0).then_some(db)));
        }
        9 => {
            if let Some(f) = c.facts.instances.get_mut(&who) {
                f.contact = match d.below(2) {
                    0 => Contact::Unusable { detail: "refused".into() },
                    _ => Contact::Denied { detail: "denied".into() },
                };
                f.at = moment(d);
            }
        }
        10 if has_db => c.db().state = STATES[d.below(8) as usize],
        11 if has_db => c.db().standby = [None, Some(true)][d.below(2) as usize],
        12 if has_db => {
            c.db().position = match d.below(3) {
                0 => Err("NULL".into()),
                _ => Ok(Position { lsn: lsn(d), fork: fork(A + u128::from(d.below(2))) }),
            }
        }
        13 if answering => {
            let gone = d.below(4);
            match c.b().secondary.as_mut() {
                Some(s) if gone > 0 => {
                    s.copy_job.take_if(|_| gone & 1 > 0);
                    s.restore_job.take_if(|_| gone & 2 > 0);
                }
                _ => c.b().secondary = None,
            }
        }
        14 if answering => c.b().clock = moment(d),
        15 if answering => {
            if let Some(t) = c.b().journal.transition.as_mut() {
                t.phase =
                    [Phase::Open, Phase::Recovering, Phase::Closed, Phase::CalledOff][d.below(4) as usize];
                t.rev = u32::MAX;
                t.opened = moment(d);
            }
        }
        16 if answering => {
            c.b().journal.owner = Some(Owner {
                epoch: Epoch("theirs".into()),
                executor: "x".into(),
                mark: moment(d),
                ended: false,
            });
        }
        17 => c.facts.backups = unknown("dead"),
        18 => c.facts.shell.pool_state = unknown("dead"),
        19 if c.facts.backups.value().is_some() => {
            let mut s = set(0, 0);
            (s.first_lsn, s.last_lsn, s.started) = (lsn(d), lsn(d), wall(moment(d)));
            s.fork = fork(A + u128::from(d.below(3)));
            s.fork_point = (d.below(2) == 0).then(|| lsn(d));
            let odd =
                ["", ".trn", "é.trn", "mgc_20261122230900.trn", "x_99999999999999.TRN"][d.below(5) as usize];
            c.files().files.insert(odd.into(), whole(s));
        }
        20 if c.facts.backups.value().is_some() => c.files().share = unknown("dead"),
        21 => drop(c.facts.instances.insert(who, being_asked(d.below(1200) as i64))),
        22 => c.facts.shell.pool_state = pending(d.below(1200) as i64),
        23 => c.facts.shell.servers = pending(d.below(1200) as i64),
        24 => c.facts.shell.replicated = pending(d.below(1200) as i64),
        25 => c.facts.shell.store_writable = pending(d.below(1200) as i64),
        26 => c.facts.backups = pending(d.below(1200) as i64),
        27 if c.facts.backups.value().is_some() => c.files().share = pending(d.below(1200) as i64),
        28 if c.facts.backups.value().is_some() => c.files().folder = pending(d.below(1200) as i64),
        _ if answering => c.b().sysadmin = d.below(4) > 0,
        _ => {}
    }
}

/// What was not looked at yet is no ground for a conclusion.
fn concluded_from_what_was_seen(c: &Case, plan: &Plan) {
    let unseen = |id: &InstanceId| {
        c.pool.instance(*id).is_some()
            && c.facts.instances.get(id).is_none_or(|f| matches!(f.contact, Contact::Pending { .. }))
    };
    if unseen(&B) {
        assert_eq!(plan.rule, Reason::Looking, "{plan:?}");
        return;
    }
    let shell = &c.facts.shell;
    match &plan.next {
        Next::Converged => {
            assert!(![P, PM].iter().any(unseen) && !shell.pool_state.is_pending(), "{plan:?}");
        }
        Next::Run(_, Action::RecoverDatabase { .. }) => {
            assert!(![P, PM].iter().any(unseen), "{plan:?}");
            let backups = &c.facts.backups;
            let listing = |b: &Backups| b.share.is_pending() || b.folder.is_pending();
            assert!(!backups.is_pending() && !backups.value().is_some_and(listing), "{plan:?}");
        }
        Next::Run(_, Action::SetPoolState { .. }) => {
            assert!(!shell.pool_state.is_pending() && !shell.store_writable.is_pending(), "{plan:?}");
        }
        Next::Run(_, Action::SetActiveServers { .. }) => assert!(!shell.servers.is_pending(), "{plan:?}"),
        Next::Run(_, Action::EstablishMirror { .. }) => assert!(!unseen(&BM), "{plan:?}"),
        Next::Blocked(stop) => {
            let shells = stop.reason == Reason::ManagementShellUnavailable;
            assert!(!shells || !shell.pool_state.is_pending() || !shell.servers.is_pending(), "{plan:?}");
            assert!(stop.reason != Reason::MirrorUnavailable || !unseen(&BM), "{plan:?}");
        }
        Next::Run(..) | Next::Wait { .. } => {}
    }
}

#[test]
fn whatever_it_is_shown_it_answers_and_recovers_only_what_it_may() {
    let mut d = Dice::new();
    let mut recoveries = 0;
    for _ in 0..20_000 {
        let c = any(&mut d);
        let plan = c.plan();
        let _ = c.row();
        assert!(
            plan.steps.iter().filter(|s| matches!(s.state, StepState::Next | StepState::Blocked)).count()
                <= 1
        );
        if let Next::Blocked(stop) = &plan.next {
            assert!(!stop.message.is_empty() && !stop.remedy.is_empty(), "{stop:?}");
        }
        concluded_from_what_was_seen(&c, &plan);
        let Next::Run(_, Action::RecoverDatabase { at, transition, .. }) = &plan.next else { continue };
        recoveries += 1;
        let db = c.facts.instances[&B].state.value().and_then(|s| s.database.as_ref());
        assert_eq!(db.map(|db| db.position.clone()), Some(Ok(*at)), "recovered where it stands");
        assert_eq!(transition.recovery.as_ref().map(|r| (r.lsn, r.fork)), Some((at.lsn, at.fork)));
        assert!(c.pool.active == Side::Backup);
        for id in [P, PM].iter().filter(|id| c.pool.instance(**id).is_some()) {
            let f = &c.facts.instances[id];
            let serves = f.state.value().and_then(|s| s.database.as_ref()).is_some_and(|db| db.serves());
            assert!(!(serves && f.contact == Contact::Answers), "{:?}", plan);
            let fenced = f.contact == Contact::Answers
                && f.state.value().and_then(|s| s.database.as_ref()).is_some_and(|db| {
                    db.mirroring.is_none()
                        && matches!(db.state, DatabaseState::Restoring | DatabaseState::Offline)
                });
            assert!(
                fenced || matches!(f.contact, Contact::Silent { .. }) || transition.accepted.is_some(),
                "{:?}",
                plan
            );
        }
        let whole =
            c.facts.backups.value().is_some_and(|b| b.share.value().is_some() && b.folder.value().is_some());
        assert!(whole || transition.accepted.is_some(), "an unknown listing needs a person: {plan:?}");
    }
    assert!(recoveries > 100, "the dice reach the point of no return: {recoveries}");
}
