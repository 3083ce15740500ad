//! Signs of life of a silent side: asked about once, and known to the next run.

mod common;

use common::*;
use jiff::SignedDuration;
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::*;
use pchat_planner::pool::{Mode, Side};

/// The other side goes on shipping: its `n`th backup since it fell silent.
fn ship(c: &mut Case, n: u32) {
    let (first, began) = (u128::from(200 + 100 * n), t(i64::from(600 + n)));
    let late = BackupSet { started: wall(began), ..set(first, first + 100) };
    c.files().files.insert(name(2 + n), whole(late));
}

/// A side that is cut off and lives.
fn cut_off() -> Case {
    Case::disaster().with(|c| ship(c, 1))
}

/// The question of whether the other side lives.
fn question(c: &Case) -> Stop {
    match c.plan().next {
        Next::Blocked(stop) if stop.reason == Reason::PrimaryMayBeAlive => stop,
        other => panic!("{other:#?}"),
    }
}

fn goes_on(c: &Case) -> bool {
    matches!(c.plan().next, Next::Run(..))
}

fn kept(c: &Case) -> Silence {
    match c.plan().note {
        Some(Note::Keep { silence, .. }) => silence,
        other => panic!("{other:?}"),
    }
}

/// The next run, on another machine: it knows what stands at the far end, and its own silence begins at `since`.
fn next_run(mut c: Case, since: i64) -> Case {
    if let Some(Note::Keep { over, silence }) = c.plan().note {
        assert_eq!(c.b().journal.silence, over, "written over what stood there");
        c.b().journal.silence = Some(silence);
    }
    c.now = t(since + 70);
    for id in [P, PM] {
        let mut f = silent(since);
        if let Contact::Silent { until, .. } = &mut f.contact {
            *until = t(since + 70);
        }
        f.at = t(since + 70);
        c.facts.instances.insert(id, f);
    }
    for id in [B, BM] {
        c.facts.instances.get_mut(&id).unwrap().at = t(since + 70);
    }
    c.b().clock = t(since + 70);
    c
}

#[test]
fn an_approval_holds_while_the_side_that_lives_ships_on() {
    let mut c = cut_off();
    let digest = question(&c).digest.unwrap();
    ship(&mut c, 2);
    assert_eq!(c.plan().hazards.len(), 1, "one danger for one side");
    question(&c);
    c.run.approvals = vec![digest.clone()];
    assert!(goes_on(&c), "{:#?}", c.plan().next);
    ship(&mut c, 3);
    assert!(goes_on(&c), "and again");
    // Written at the far end it holds as well.
    let Some(Action::TakeOwnership { transition, .. }) = action(&c.plan()).cloned() else { panic!() };
    c = c.owned();
    c.journal().accepted = transition.accepted;
    c.run.approvals.clear();
    ship(&mut c, 4);
    assert!(goes_on(&c), "{:#?}", c.plan().next);
    // Log that was counted on and is gone is another question.
    let mut less = cut_off();
    less.files().files.remove(&name(2));
    less.files().files.remove(&name(1));
    less.run.approvals = vec![digest];
    assert!(!goes_on(&less), "{:#?}", less.plan().next);
}

#[test]
fn an_approval_against_a_live_owner_holds_while_the_serving_side_backs_up() {
    let mut c = Case::disaster().owned();
    c.pool.active = Side::Primary;
    c.b().journal.owner.as_mut().unwrap().epoch = Epoch("theirs".into());
    c.run.first_look = Some(None);
    let stop = |c: &Case| match c.plan().next {
        Next::Blocked(stop) if stop.reason == Reason::IntentConflict => stop,
        other => panic!("{other:#?}"),
    };
    let digest = stop(&c).digest.unwrap();
    c.files().files.insert(name(3), whole(set(300, 400)));
    stop(&c);
    c.run.approvals = vec![digest];
    assert!(goes_on(&c), "{:#?}", c.plan().next);
}

#[test]
fn a_sign_of_life_that_stopped_one_run_stops_the_next() {
    let c = cut_off();
    let digest = question(&c).digest;
    let next = next_run(c.clone(), 2_000);
    assert_eq!(question(&next).digest, digest, "it is the same question");
    let mut forgotten = next.clone();
    forgotten.b().journal.silence = None;
    assert!(goes_on(&forgotten), "nothing else tells");
    // The file need not be there any more.
    let mut gone = next.clone();
    gone.files().files.remove(&name(3));
    assert!(question(&gone).message.contains("which a run saw at"), "{}", question(&gone).message);
    let mut approved = next;
    approved.run.approvals = vec![digest.unwrap()];
    assert!(goes_on(&approved), "{:#?}", approved.plan().next);
}

#[test]
fn files_are_held_against_the_oldest_known_beginning_of_the_silence() {
    let first = Case::disaster();
    assert_eq!(kept(&first).since, t(510));
    // Nobody looked when this one was begun.
    let mut next = next_run(first, 2_000);
    assert!(goes_on(&next));
    ship(&mut next, 500);
    assert_eq!(next.files().files.len(), 4);
    question(&next);
    assert_eq!(kept(&next).since, t(510));
    next.b().journal.silence = None;
    assert!(goes_on(&next));
}

#[test]
fn what_was_found_when_the_silence_began_is_no_sign_of_life_in_the_next_run_either() {
    let ahead = |lsns: u128| {
        let mut c = Case::disaster();
        let wrong = BackupSet { started: wall(t(570)), ..set(300, 400) };
        c.files().files.insert(name(3), whole(wrong));
        c.files().grown = [Grown { before: None, seen: t(513), ends: vec![(fork(A), Lsn(lsns))] }].into();
        c
    };
    assert_eq!(kept(&ahead(400)).found, vec![(fork(A), Lsn(400))]);
    let mut next = next_run(ahead(400), 2_000);
    next.files().grown = Default::default();
    assert!(goes_on(&next), "its clock was ahead: {:#?}", next.plan().next);
    let mut next = next_run(ahead(300), 2_000);
    next.files().grown = Default::default();
    question(&next);
}

#[test]
fn a_side_that_is_seen_to_serve_or_to_be_stopped_ends_the_record() {
    let c = next_run(cut_off(), 2_000);
    let seen = |state| {
        let mut c = c.clone();
        c.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(database(state))));
        c.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", Some(database(DatabaseState::Suspect))));
        c
    };
    for state in [DatabaseState::Online, DatabaseState::Suspect] {
        let mut c = seen(state);
        assert!(matches!(c.plan().note, Some(Note::Forget(_))), "{state:?}: {:?}", c.plan().note);
        assert!(!c.plan().hazards.iter().any(|h| h.subject == "primary/backups"), "{state:?}");
        c.pool.mode = Mode::Plan;
        assert_eq!(c.plan().note, None, "who only looks writes nothing");
    }
    let mut refuses = c.clone();
    refuses.facts.instances.get_mut(&P).unwrap().contact = Contact::Unusable { detail: "refused".into() };
    assert_eq!(refuses.plan().note, None, "that it refuses the login ends nothing");
}

#[test]
fn a_record_that_nobody_renewed_for_a_day_belongs_to_another_disaster() {
    let age = |hours: i64| next_run(cut_off(), 1_000 + hours * 3_600);
    question(&age(23));
    let c = age(25);
    assert!(goes_on(&c), "{:#?}", c.plan().next);
    let Some(Note::Keep { over, silence }) = c.plan().note else { panic!() };
    assert!(over.is_some(), "it is written over");
    assert_eq!(silence.since, t(1_000 + 25 * 3_600));
    assert!(silence.signs.is_empty(), "{silence:?}");
}

#[test]
fn what_is_seen_is_written_by_a_run_that_may_act_and_wants_to_move_and_again_only_when_it_is_news() {
    let waiting = Case::disaster().with(|c| c.pool.silent_for = SignedDuration::from_hours(1));
    let Some(Note::Keep { over: None, silence }) = waiting.plan().note else {
        panic!("{:?}", waiting.plan().note)
    };
    assert_eq!((silence.since, silence.until, silence.rev), (t(510), t(1000), 0));
    let mut again = waiting.clone();
    again.b().journal.silence = Some(silence);
    assert_eq!(again.plan().note, None, "nothing new");
    ship(&mut again, 1);
    assert_eq!((kept(&again).signs.len(), kept(&again).rev), (1, 1));
    for quiet in [
        waiting.clone().with(|c| c.pool.mode = Mode::Plan),
        waiting.clone().with(|c| c.pool.mode = Mode::Observe),
        waiting.clone().with(|c| c.pool.active = Side::Primary),
        waiting.clone().with(|c| drop(c.facts.instances.remove(&PM))),
    ] {
        assert_eq!(quiet.plan().note, None);
    }
}

#[test]
fn the_longest_record_fits_into_an_extended_property() {
    let mut c = cut_off();
    for n in 1..40 {
        c.b().journal.silence = Some(match c.b().journal.silence.clone() {
            None => kept(&c),
            Some(_) => kept(&c),
        });
        let server = "\u{202e}\"".repeat(200);
        let began = BackupSet { started: wall(t(600 + n)), server, fork: fork(n as u128), ..set(300, 400) };
        c.files().files.insert(format!("{}_{n}.trn", "\"".repeat(200)), whole(began));
        c.files().grown = [Grown {
            before: None,
            seen: t(513),
            ends: (0..40).map(|n| (fork(1_000 + n), Lsn(9_999_999_999_999_999_999_999_999))).collect(),
        }]
        .into();
        if c.plan().note.is_none() {
            break;
        }
    }
    let text = serde_json::to_string(&c.b().journal.silence).unwrap();
    assert!(text.encode_utf16().count() <= 3_700, "{}", text.len());
}
