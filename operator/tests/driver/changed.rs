//! What is told as changed and not changed: nothing that was not seen, and nothing that may have happened is left out.

use pchat_operator::far_end::ActError;
use pchat_operator::report::{Record, View, changed};
use pchat_planner::facts::{DatabaseState, PoolState};
use pchat_planner::journal::Phase;
use pchat_planner::plan::StepId;
use pchat_planner::pool::Side;

use crate::common::{Case, known, unknown};
use crate::world::now;

fn record() -> Record {
    Record::new("ops1".into(), now())
}

fn told(case: &Case, record: &mut Record) -> String {
    let plan = case.plan();
    record.see(&plan, None, now());
    changed(&View { pool: &case.pool, facts: Some(&case.facts), plan: Some(&plan), record, now: now() })
}

/// A request without an answer may have taken effect, or may do so yet.
#[test]
fn a_request_without_an_answer_is_never_told_as_nothing_changed() {
    let lost = ActError::OutcomeUnknown { target: "mgc".into(), detail: "no answer in 60 s.".into() };
    let refused = ActError::NotSent { target: "mgc".into(), detail: "no connection.".into() };
    let case = Case::disaster();
    let mut run = record();
    run.fail(StepId::QuiesceLogShipping, &refused, now());
    assert!(told(&case, &mut run).starts_with("This run has changed nothing"));
    run.fail(StepId::QuiesceLogShipping, &lost, now());
    let text = told(&case, &mut run);
    assert!(text.contains("QuiesceLogShipping was sent and not confirmed"), "{text}");
    assert!(!text.contains("changed nothing"), "{text}");
}

/// Turning the field to backup is what forces a failover.
#[test]
fn a_failover_that_is_being_called_off_is_not_told_to_be_forced_so_as_to_end_it() {
    let mut case = Case::disaster().owned().applied();
    let there = told(&case, &mut record());
    assert!(there.contains("is called off by turning activeDatabase back to primary"), "{there}");
    case.pool.active = Side::Primary;
    let back = told(&case, &mut record());
    assert!(!back.contains("back to backup"), "{back}");
    assert!(
        back.contains("stay disabled until the failover is called off, which this run was doing"),
        "{back}"
    );
}

/// The copy and its log shipping are told as they were seen, whoever brought them there.
#[test]
fn what_stands_is_told_from_what_was_seen_and_each_claim_has_one_state() {
    let pool_is = |c: &mut Case, state| {
        c.facts.shell.pool_state = known(("service:chat.contoso.com".into(), state));
    };
    let disable = |c: &mut Case| {
        let secondary = c.b().secondary.as_mut().unwrap();
        for job in secondary.copy_job.iter_mut().chain(&mut secondary.restore_job) {
            job.enabled = Some(false);
        }
    };
    let enable = |c: &mut Case| {
        let secondary = c.b().secondary.as_mut().unwrap();
        for job in secondary.copy_job.iter_mut().chain(&mut secondary.restore_job) {
            job.enabled = Some(true);
        }
    };
    type Change<'a> = &'a dyn Fn(&mut Case);
    let cases: [(&str, Change, &[&str]); 11] = [
        ("as shipped", &|_| {}, &["is not recovered.", "jobs are enabled."]),
        ("disabled by hand", &disable, &["is not recovered.", "jobs are disabled."]),
        (
            "dropped by hand",
            &|c| c.b().secondary = None,
            &["is not recovered.", "Log shipping to it is gone."],
        ),
        (
            "copy job gone",
            &|c| c.b().secondary.as_mut().unwrap().copy_job = None,
            &["is not recovered.", "copy job is gone, its restore job is enabled."],
        ),
        (
            "quiesced",
            &|c| *c = Case::disaster().owned().applied(),
            &["is not recovered.", "jobs stay disabled until"],
        ),
        (
            "called off, and left disabled",
            &|c| {
                *c = Case::disaster().owned().applied();
                c.journal().phase = Phase::CalledOff;
            },
            &[
                "is not recovered.",
                "Jobs LSCopy and LSRestore are still disabled by transition",
                "which was called off: with",
            ],
        ),
        (
            "called off",
            &|c| {
                *c = Case::disaster().owned().applied();
                c.journal().phase = Phase::CalledOff;
                c.journal().evidence = None;
                enable(c);
            },
            &["The failover that was begun was called off:", "is not recovered.", "jobs are enabled."],
        ),
        ("ONLINE", &|c| *c = Case::disaster().online(300), &["is ONLINE, and the pool does not use it yet."]),
        (
            "used",
            &|c| {
                *c = Case::disaster().online(300);
                pool_is(c, PoolState::FailedOver);
            },
            &["is recovered, and the pool uses it."],
        ),
        (
            "not known",
            &|c| {
                *c = Case::disaster().online(300);
                c.facts.shell.pool_state = unknown("dead");
            },
            &["is ONLINE; whether the pool uses it is not known."],
        ),
        ("SUSPECT", &|c| c.db().state = DatabaseState::Suspect, &[]),
    ];
    let claims: Vec<&str> = cases.iter().flat_map(|(_, _, claims)| claims.iter().copied()).collect();
    for (name, change, own) in &cases {
        let mut case = Case::disaster();
        change(&mut case);
        let text = told(&case, &mut record());
        for claim in &claims {
            let due = own.contains(claim);
            assert_eq!(text.contains(claim), due, "{name}: {claim:?} in {text}");
        }
    }
}
