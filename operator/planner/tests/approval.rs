//! What a person's approval covers, and what voids it.

mod common;

use common::*;
use jiff::SignedDuration;
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::{Fork, Lsn};
use pchat_planner::plan::*;

type Change = (&'static str, fn(&mut Case));

/// A gap behind the applied files, and a share that can't be read.
fn two_hazards() -> Case {
    Case::disaster().owned().applied().with(|c| {
        c.files().files.insert(name(4), whole(set(400, 500)));
        c.files().share = unknown("access denied (5)");
    })
}

/// Carries out the taking that writes an approval.
fn write(c: &mut Case) {
    let Some(Action::TakeOwnership { expected, epoch, transition }) = action(&c.plan()).cloned() else {
        panic!("{:#?}", c.plan().next)
    };
    let journal = &mut c.b().journal;
    assert_eq!(journal.owner.as_ref().map(|o| o.epoch.clone()), expected);
    journal.owner =
        Some(Owner { epoch: epoch.clone(), executor: "here".into(), mark: t(1000), ended: false });
    journal.transition = Some(transition);
    c.run.epoch = Some(epoch);
    c.run.next_epoch = Epoch("another".into());
}

fn stopped(c: &Case) -> Stop {
    match c.plan().next {
        Next::Blocked(stop) => stop,
        other => panic!("{other:#?}"),
    }
}

#[test]
fn one_question_names_every_hazard_at_once() {
    let c = two_hazards();
    let plan = c.plan();
    let kinds: Vec<Reason> = plan.hazards.iter().map(|h| h.reason).collect();
    assert_eq!(kinds, [Reason::LogChainGap, Reason::BackupsUnknown]);
    let stop = stopped(&c);
    assert_eq!(stop.digest.as_deref(), Some(&*plan.digest));
    assert!(
        plan.hazards.iter().any(|hazard| hazard.sentence.contains("access denied")),
        "{:#?}",
        plan.hazards
    );
    assert!(plan.digest.len() == 9 && plan.digest.as_bytes()[4] == b'-', "{}", plan.digest);
}

#[test]
fn what_was_approved_for_a_transition_is_over_with_it() {
    let mut c = two_hazards();
    c.b().journal = Journal::default();
    let digest = c.plan().digest;
    c.run.approvals.push(digest.clone());
    write(&mut c);
    assert!(c.journal().accepted.is_some(), "it is taken over as the transition is opened");
    c.journal().phase = Phase::CalledOff;
    c.b().journal.owner = None;
    // The same dangers at the same place, asked about anew.
    assert_ne!(c.plan().digest, digest);
    assert!(
        !matches!(action(&c.plan()), Some(Action::TakeOwnership { transition, .. }) if transition.accepted.is_some())
    );
}

#[test]
fn files_that_cannot_be_read_are_one_hazard_when_they_are_many() {
    let mut c = Case::disaster().owned().applied();
    c.b().secondary.as_mut().unwrap().copy_job.as_mut().unwrap().last_run =
        Some((t(950), Err("denied".into())));
    for i in 10..90 {
        let file = BackupFile { on_share: Some(Header::Unknown("denied".into())), in_folder: None };
        c.files().files.insert(name(i), file);
    }
    assert_eq!(c.plan().hazards.len(), 1);
    c.run.approvals.push(c.plan().digest);
    write(&mut c);
    let text = format!("{:?}", c.journal().accepted);
    assert!(text.len() < 500, "it fits into the journal: {text}");
    assert!(matches!(c.plan().next, Next::Run(..)), "{:#?}", c.plan().next);
    c.files().files.insert(name(91), BackupFile { on_share: Some(Header::InUse), in_folder: None });
    assert_eq!(stopped(&c).reason, Reason::BackupsUnknown, "one more is another question");
}

#[test]
fn an_approval_stands_at_the_far_end_before_anything_rests_on_it() {
    let mut c = two_hazards();
    c.run.approvals.push(c.plan().digest.to_uppercase());
    write(&mut c);
    c.run.approvals.clear();
    let Some(Action::RecoverDatabase { transition, .. }) = action(&c.plan()).cloned() else {
        panic!("{:#?}", c.plan().next)
    };
    assert!(transition.approval.is_some() && transition.accepted.is_some());
    assert!(serde_json::to_string(&transition).unwrap().len() < 3_700);
}

#[test]
fn a_smaller_set_at_a_later_point_is_covered_and_a_new_hazard_is_not() {
    let mut c = two_hazards();
    c.run.approvals.push(c.plan().digest);
    write(&mut c);
    c.run.approvals.clear();
    // The share is back, and with it one more file: less is lost than was accepted.
    c.files().share = known(vec![name(0)]);
    c.files().files.insert(name(3), whole(set(300, 350)));
    assert!(matches!(c.plan().next, Next::Run(StepId::ApplyLogs, _)), "{:#?}", c.plan().next);
    c.db().position = Ok(pos(350));
    assert!(matches!(c.plan().next, Next::Run(StepId::RecoverDatabase, _)), "{:#?}", c.plan().next);
    // The old primary shows signs of life: nobody accepted that.
    c.facts.instances.get_mut(&P).unwrap().contact = Contact::Unusable { detail: "refused".into() };
    assert_eq!(stopped(&c).reason, Reason::PrimaryMayBeAlive);
}

#[test]
fn what_was_accepted_at_a_later_point_does_not_cover_an_earlier_one() {
    let mut c = two_hazards();
    c.run.approvals.push(c.plan().digest);
    write(&mut c);
    c.run.approvals.clear();
    // A file that was counted on is gone again before it was applied: more would be lost.
    c.db().position = Ok(pos(200));
    c.files().files.remove(&name(2));
    assert_eq!(stopped(&c).reason, Reason::LogChainGap);
}

#[test]
fn a_digest_depends_on_danger_alone() {
    let c = two_hazards();
    let digest = c.plan().digest;
    let mut same = c.clone();
    same.now = t(5000);
    for id in [P, PM, B, BM] {
        same.facts.instances.get_mut(&id).unwrap().at = t(4999);
    }
    same.facts.instances.insert(P, silent(400));
    same.b().clock = t(5000);
    same.b().journal.owner.as_mut().unwrap().epoch = Epoch("mine".into());
    assert_eq!(same.plan().digest, digest, "times");
    // Also not on files that change nothing.
    let mut more = c.clone();
    more.files().files.insert(name(5), whole(set(500, 600)));
    assert_eq!(more.plan().digest, digest, "how much lies behind the gap");

    let changed: [Change; 5] = [
        ("another pool", |c| c.pool.fqdn = "other.contoso.com".into()),
        ("another transition", |c| c.journal().id = uuid::Uuid::from_u128(7)),
        ("another point", |c| c.db().position = Ok(pos(301))),
        ("another file behind the gap", |c| {
            c.files().files.remove(&name(4));
            c.files().files.insert(name(5), whole(set(450, 500)));
        }),
        ("one hazard more", |c| c.pool.max_data_loss = Some(SignedDuration::from_mins(1))),
    ];
    for (what, change) in changed {
        let mut other = c.clone();
        change(&mut other);
        assert_ne!(other.plan().digest, digest, "{what}");
    }
}

#[test]
fn a_digest_shown_before_the_transition_was_opened_is_good_in_another_run() {
    let mut shown = Case::disaster();
    shown.facts.instances.get_mut(&P).unwrap().contact = Contact::Unusable { detail: "refused".into() };
    let digest = stopped(&shown).digest.unwrap();
    let mut later = shown.clone();
    later.run.next_transition = uuid::Uuid::from_u128(99);
    later.run.next_epoch = Epoch("another run".into());
    later.run.approvals = vec![digest];
    assert!(matches!(later.plan().next, Next::Run(StepId::TakeOwnership, _)));
    write(&mut later);
    later.run.approvals.clear();
    assert!(
        matches!(later.plan().next, Next::Run(StepId::QuiesceLogShipping, _)),
        "{:#?}",
        later.plan().next
    );
}

#[test]
fn each_fork_has_its_own_digest_and_the_approved_one_is_taken() {
    let turns = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(300)), ..set(300, 450) };
    let c = Case::disaster().owned().applied().with(|c| {
        c.files().files.insert(name(3), whole(set(300, 400)));
        c.files().files.insert(name(4), whole(turns));
    });
    let stop = stopped(&c);
    assert_eq!(stop.reason, Reason::ForkAmbiguous);
    let [Alternative { digest: other, fork: Some(Fork(_)), .. }] = &stop.instead[..] else {
        panic!("{stop:#?}")
    };
    assert_ne!(Some(other), stop.digest.as_ref());
    for (digest, end, on) in [(stop.digest.clone().unwrap(), 400, fork(A)), (other.clone(), 450, fork(0xC))] {
        let mut c = c.clone();
        c.run.approvals.push(digest);
        write(&mut c);
        let Some(Action::ApplyLogs { files, .. }) = action(&c.plan()).cloned() else {
            panic!("{:#?}", c.plan().next)
        };
        assert_eq!(files.last().unwrap().last_lsn, Lsn(end));
        c.db().position = Ok(pchat_planner::lsn::Position { lsn: Lsn(end), fork: on });
        assert!(matches!(c.plan().next, Next::Run(StepId::RecoverDatabase, _)), "{:#?}", c.plan().next);
    }
}

#[test]
fn each_fork_names_the_hazards_that_its_own_digest_accepts() {
    let turns = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(300)), ..set(300, 450) };
    let behind = BackupSet { fork: fork(0xC), ..set(500, 600) };
    let c = Case::disaster().owned().applied().with(|c| {
        c.files().files.insert(name(3), whole(set(300, 400)));
        c.files().files.insert(name(4), whole(turns));
        c.files().files.insert(name(6), whole(behind));
    });
    let stop = stopped(&c);
    let [other] = &stop.instead[..] else { panic!("{stop:#?}") };
    assert!(other.hazards.iter().any(|h| h.reason == Reason::LogChainGap), "{other:#?}");
    let mut chosen = c.clone();
    chosen.run.approvals.push(other.digest.clone());
    let taken = chosen.plan();
    assert_eq!(taken.digest, other.digest);
    assert_eq!(taken.hazards, other.hazards, "what was shown is what is accepted");
}
