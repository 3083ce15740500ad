//! What a server does not tell is unknown by itself: it is never read as fine, and it hides nothing else.

mod common;

use common::*;
use pchat_planner::facts::*;
use pchat_planner::plan::*;

fn stop(plan: &Plan) -> Reason {
    match &plan.next {
        Next::Blocked(stop) => stop.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failover_goes_on_from_the_share_when_the_jobs_of_log_shipping_are_gone_and_says_so() {
    for (copy, restore, gone) in
        [(true, false, "copy job"), (false, true, "restore job"), (true, true, "copy and restore jobs")]
    {
        let without = |c: &mut Case| {
            let s = c.b().secondary.as_mut().unwrap();
            s.copy_job.take_if(|_| copy);
            s.restore_job.take_if(|_| restore);
        };
        let files = [(name(1), shared(set(100, 200))), (name(2), shared(set(200, 300)))];
        let begin = Case::disaster().with_files(files.clone()).with(without);
        assert!(matches!(action(&begin.plan()), Some(Action::TakeOwnership { .. })), "{gone}");
        let told: Vec<(Reason, String)> = begin.plan().warnings;
        assert!(
            told.iter().any(|(r, text)| *r == Reason::LogShippingIncomplete && text.contains(gone)),
            "{told:?}"
        );
        let owned = Case::disaster().with_files(files).with(without).owned();
        let mut unwritten = owned.clone();
        unwritten.journal().evidence = None;
        assert!(matches!(action(&unwritten.plan()), Some(Action::QuiesceLogShipping { .. })), "{gone}");
        let asked = owned.with(|c| {
            c.run.asked.push(pchat_planner::run::Asked {
                transition: c.run.next_transition,
                step: StepId::CopyBackups,
                at: t(990),
            });
        });
        match action(&asked.plan()) {
            Some(Action::ApplyLogs { files, .. }) => {
                assert!(files.iter().all(|f| f.path.starts_with(r"\\files")), "{files:?}");
            }
            other => panic!("{gone}: {other:?}"),
        }
        let done = asked.applied();
        assert!(matches!(action(&done.plan()), Some(Action::RecoverDatabase { .. })), "{gone}");
        let back = done.with(|c| {
            c.pool.active = pchat_planner::pool::Side::Primary;
            c.journal().back = true;
        });
        let resumes = matches!(action(&back.plan()), Some(Action::ResumeLogShipping { .. }));
        assert_eq!(resumes, !(copy && restore), "what is left is enabled again: {gone}");
    }
}

#[test]
fn a_copy_that_does_not_tell_whether_it_waits_for_log_is_neither_recovered_nor_restored_into() {
    let c = Case::disaster().owned().vouched(300).with(|c| c.db().standby = None);
    assert_eq!(stop(&c.plan()), Reason::DatabaseUnusable);
    let c = Case::disaster().owned().with(|c| c.db().state = DatabaseState::Unknown);
    assert_eq!(stop(&c.plan()), Reason::DatabaseUnusable);
    let c = Case::disaster().owned().applied().with(|c| c.db().standby = None);
    assert!(matches!(action(&c.plan()), Some(Action::RecoverDatabase { .. })), "RESTORING tells it already");
}

#[test]
fn a_side_that_does_not_tell_what_it_is_is_a_danger() {
    let seen = |bend: &dyn Fn(&mut Database)| {
        let mut db = database(DatabaseState::Restoring);
        bend(&mut db);
        stop(&Case::disaster().with(|c| drop(c.facts.instances.insert(PM, answers("X", Some(db))))).plan())
    };
    assert_eq!(
        seen(&|db| (db.state, db.standby) = (DatabaseState::Online, None)),
        Reason::PlannedSwitchoverNeeded
    );
    assert_eq!(seen(&|db| db.state = DatabaseState::Unknown), Reason::PrimaryMayBeAlive);
    assert_eq!(seen(&|db| db.mirroring = on(Role::Unknown)), Reason::MirrorHoldsCommits);
}

#[test]
fn a_mirror_whose_session_does_not_tell_its_state_may_be_connected_to_a_living_principal() {
    let mut db = database(DatabaseState::Restoring);
    db.mirroring = on(Role::Mirror);
    db.mirroring.as_mut().unwrap().state = MirroringState::Unknown;
    let plan = Case::disaster().with(|c| drop(c.facts.instances.insert(PM, answers("X", Some(db))))).plan();
    assert!(plan.hazards.iter().any(|h| h.reason == Reason::PrimaryMayBeAlive), "{:?}", plan.hazards);
}

#[test]
fn what_is_not_known_to_be_disabled_is_disabled_and_what_is_not_known_to_be_enabled_is_enabled() {
    let unknown = |c: &mut Case| jobs(c.b().secondary.as_mut().unwrap()).for_each(|j| j.enabled = None);
    let c = Case::disaster().owned().with(unknown);
    assert!(matches!(action(&c.plan()), Some(Action::QuiesceLogShipping { .. })), "{:?}", c.plan().next);
    let c = c.with(|c| {
        c.pool.active = pchat_planner::pool::Side::Primary;
        c.journal().back = true;
    });
    assert!(matches!(action(&c.plan()), Some(Action::ResumeLogShipping { .. })), "{:?}", c.plan().next);
}

#[test]
fn a_recovered_copy_that_does_not_tell_who_may_connect_is_not_taken_for_served() {
    let c = Case::disaster().owned().vouched(300);
    let step =
        |c: &Case| c.plan().steps.iter().find(|s| s.id == StepId::RecoverDatabase).unwrap().state.clone();
    assert_eq!(step(&c), StepState::Done);
    let unknown = c.clone().with(|c| c.db().user_access = UserAccess::Unknown);
    assert_eq!(stop(&unknown.plan()), Reason::DatabaseUnusable);
    let unknown = c.with(|c| c.db().read_only = None);
    assert_eq!(stop(&unknown.plan()), Reason::DatabaseUnusable);
}

#[test]
fn log_shipping_that_does_not_tell_its_share_is_asked_of_the_record_or_the_manifest() {
    let c = Case::disaster().with(|c| c.b().secondary.as_mut().unwrap().share.clear());
    assert_eq!(stop(&c.plan()), Reason::LogShippingSourceUnknown);
    let declared =
        pchat_planner::pool::LogSource { share: r"\\files\pchat-logs".into(), folder: r"D:\copy".into() };
    let c = c.with(|c| c.pool.log_source = Some(declared));
    assert!(matches!(action(&c.plan()), Some(Action::TakeOwnership { .. })), "{:?}", c.plan().next);
}
