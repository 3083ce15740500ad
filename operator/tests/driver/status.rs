//! The status of the object, as a run writes it.

use std::sync::Mutex;
use std::time::Duration;

use pchat_crds::status::{ApprovalStatus, ConditionStatus, PersistentChatPoolStatus};
use pchat_operator::controller::teller::{Make, Sink, Teller};
use pchat_operator::reconcile::{Ending, Outcome};
use pchat_operator::report::status::{Change, Kind, Object, agreed, changes};
use pchat_planner::facts::{BackupFile, Header};
use pchat_planner::pool::Side;

use crate::common::{Case, P, silent};
use crate::golden::{calm, golden};
use crate::world::{World, now};
use crate::{gap, parted};

/// The status, with every version of it that would have been written.
#[derive(Default)]
struct Written(Mutex<Vec<PersistentChatPoolStatus>>);

impl Sink for Written {
    fn put(&self, make: Make<'_>) {
        let mut written = self.0.lock().expect("no panic");
        let before = written.last().cloned().unwrap_or_default();
        let status = make(&before);
        if status != before {
            written.push(status);
        }
    }
}

impl Written {
    fn all(&self) -> Vec<PersistentChatPoolStatus> {
        self.0.lock().expect("no panic").clone()
    }

    fn last(&self) -> PersistentChatPoolStatus {
        self.all().pop().expect("something was written")
    }

    fn events(&self) -> Vec<Change> {
        let mut before = PersistentChatPoolStatus::default();
        let mut events = Vec::new();
        for status in self.all() {
            events.extend(changes(&before, &status));
            before = status;
        }
        events
    }
}

fn object(approval: Option<&str>) -> Object {
    let given =
        |digest: &str| ApprovalStatus { digest: digest.into(), seen_at: now(), by: Some("kubectl".into()) };
    Object {
        namespace: "lync".into(),
        name: "chat".into(),
        generation: Some(2),
        suspended: false,
        approval: approval.map(given),
    }
}

async fn run(world: &World, written: &Written, approval: Option<&str>) -> Outcome {
    let object = object(approval);
    let approvals: Vec<String> = approval.map(str::to_owned).into_iter().collect();
    let teller = Teller::new(written, object);
    let outcome = world
        .run_with("pchat-operator pod-0", &teller, None, &approvals, Duration::ZERO)
        .await
        .expect("it was not killed");
    let pool = world.case().pool.clone();
    teller.over(&pool, &outcome, now());
    outcome
}

fn condition<'a>(status: &'a PersistentChatPoolStatus, kind: &str) -> (ConditionStatus, &'a str, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind);
    let found = found.unwrap_or_else(|| panic!("there is no condition {kind}"));
    (found.status, &found.reason, &found.message)
}

/// For reading: without the tokens of the owner and the transition's JSON, which differ with each run.
fn yaml(mut status: PersistentChatPoolStatus) -> String {
    status.journal = None;
    for entry in &mut status.history {
        entry.id = "(id)".into();
    }
    serde_yaml::to_string(&status).expect("YAML")
}

#[tokio::test(start_paused = true)]
async fn a_failover_is_told_by_the_status_step_by_step_and_kept_in_its_history() {
    let (world, written) = (World::new(Case::disaster()), Written::default());
    let outcome = run(&world, &written, None).await;
    assert_eq!(outcome.ending, Ending::Converged);
    let steps: Vec<String> = written.all().iter().filter_map(|status| status.step.clone()).collect();
    let mut seen = steps.clone();
    seen.dedup();
    assert!(seen.iter().any(|step| step.ends_with("RecoverDatabase")), "{seen:?}");
    let places: Vec<usize> =
        seen.iter().map(|step| step.split('/').next().expect("n/m").parse().expect("a number")).collect();
    assert!(places.windows(2).all(|pair| pair[0] <= pair[1]), "steps go forward: {seen:?}");
    // Ready is told at the end and not before.
    let all = written.all();
    let ready: Vec<bool> =
        all.iter().map(|status| condition(status, "Ready").0 == ConditionStatus::True).collect();
    assert_eq!(ready.iter().position(|ready| *ready), Some(ready.iter().filter(|ready| !**ready).count()));
    assert!(ready.last().is_some_and(|ready| *ready));
    for status in &all {
        assert_eq!(status.observed_generation, Some(2));
        assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    }
    golden("status-after.yaml", &yaml(written.last()));
    let during = all.iter().find(|s| s.step.as_deref().is_some_and(|s| s.ends_with("ApplyLogs")));
    golden("status-during.yaml", &yaml(during.expect("ApplyLogs was under way").clone()));
    let events: Vec<String> = written
        .events()
        .iter()
        .map(|event| format!("{:?}  {}  {}  {}", event.kind, event.reason, event.action, event.note))
        .collect();
    golden("status-events.txt", &events.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_pool_at_rest_is_written_once() {
    let (world, written) = (World::new(Case::disaster()), Written::default());
    run(&world, &written, None).await;
    run(&world, &written, None).await;
    let settled = written.all().len();
    for _ in 0..5 {
        crate::world::pass(30);
        run(&world, &written, None).await;
    }
    assert_eq!(written.all().len(), settled, "{}", yaml(written.last()));
    assert_eq!(written.last().history.len(), 1, "one transition");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_waits_for_an_approval_names_the_loss_and_the_command_and_takes_only_its_own_digest() {
    let (world, written) = (World::new(gap()), Written::default());
    let outcome = run(&world, &written, None).await;
    let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
    let digest = halt.digest().expect("an approval resolves it").to_owned();
    let status = written.last();
    golden("status-blocked.yaml", &yaml(status.clone()).replace(&digest, "(digest)"));
    let (answer, reason, message) = condition(&status, "ApprovalRequired");
    assert_eq!((answer, reason), (ConditionStatus::True, "LogChainGap"));
    assert!(message.contains(&format!("persistentchat.io/approve={digest}")), "{message}");
    assert_eq!(condition(&status, "Reconciling").0, ConditionStatus::True, "it is waited for");
    assert_eq!(condition(&status, "Stalled").0, ConditionStatus::False);
    assert!(written.events().iter().any(|e| e.kind == Kind::Warning && e.action == "ApprovalRequired"));

    run(&world, &written, Some("0000-0000")).await;
    let status = written.last();
    let (_, _, message) = condition(&status, "ApprovalRequired");
    assert!(message.contains("What was approved (0000-0000) does not cover this"), "{message}");
    assert_eq!(status.approval.as_ref().map(|a| a.digest.as_str()), Some("0000-0000"));

    // What is waited for too long is a stop like others, so that a GitOps engine says so.
    crate::world::pass(31 * 60);
    run(&world, &written, Some("0000-0000")).await;
    assert_eq!(condition(&written.last(), "Stalled").0, ConditionStatus::True);

    // Another danger is another question, with a time and an event of its own.
    let old = written.last();
    let mut new = old.clone();
    new.question.as_mut().expect("a question").digest = Some("1234-abcd".into());
    let question = new.conditions.iter_mut().find(|c| c.type_ == "ApprovalRequired").expect("asked");
    question.last_transition_time = now();
    assert_eq!(
        changes(&old, &new).iter().map(|e| e.action.as_str()).collect::<Vec<_>>(),
        ["ApprovalRequired"]
    );
    let time = |status: &PersistentChatPoolStatus| {
        status.conditions.iter().find(|c| c.type_ == "ApprovalRequired").map(|c| c.last_transition_time)
    };
    assert_eq!(time(&agreed(&new, &old)), Some(now()));

    let outcome = run(&world, &written, Some(&digest)).await;
    assert_eq!(outcome.ending, Ending::Converged);
    let status = written.last();
    assert_eq!(condition(&status, "ApprovalRequired").0, ConditionStatus::False);
    assert_eq!(condition(&status, "Ready").0, ConditionStatus::True);
    assert_eq!(status.history[0].approval.as_deref(), Some(digest.as_str()));
}

/// A pool whose last files can't be read, so many of them.
fn unreadable(files: usize) -> Case {
    Case::disaster().with(|case| {
        for n in 0..files {
            let why = "Cannot open backup device; operating system error 5(Access is denied.) (error 3201). Give the SQL Server service \
                       account the right to read the share and the folder, or copy the file by hand"
                .to_owned();
            let file = BackupFile { on_share: Some(Header::Unknown(why)), in_folder: None };
            case.files().files.insert(format!("mgc_20261123{n:06}.trn"), file);
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_reached_without_full_encryption_is_warned_of_for_as_long_as_it_is() {
    let mut case = Case::disaster();
    case.pool.weakened = Some("1 server is reached without full encryption".into());
    let (world, written) = (World::new(case), Written::default());
    run(&world, &written, None).await;
    for status in written.all() {
        let (answer, reason, message) = condition(&status, "Encrypted");
        assert_eq!((answer, reason), (ConditionStatus::False, "EncryptionWeakened"), "{message}");
    }
    let warned = written.events().iter().filter(|event| event.reason == "EncryptionWeakened").count();
    assert_eq!(warned, 1, "told once");
    world.case().pool.weakened = None;
    run(&world, &written, None).await;
    assert_eq!(condition(&written.last(), "Encrypted").0, ConditionStatus::True);
}

/// What an approval accepts can be read where it is given, whole; a text that is cut at its end does not lose what it costs.
#[tokio::test(start_paused = true)]
async fn a_long_question_begins_with_loss_and_command_and_stands_whole_in_the_status() {
    for files in [18, 300] {
        let (world, written) = (World::new(unreadable(files)), Written::default());
        let outcome = run(&world, &written, None).await;
        let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
        let digest = halt.digest().expect("an approval resolves it");
        let status = written.last();
        for kind in ["ApprovalRequired", "Ready"] {
            let (_, _, message) = condition(&status, kind);
            let (costs, command) = message.split_once("To accept exactly").expect(message);
            assert!(costs.contains("11:11:40 UTC"), "{kind}: {message}");
            assert!(command.contains(&format!("approve={digest}\n")), "{kind}: {message}");
            assert!(message.chars().count() <= 2048);
        }
        let question = status.question.as_ref().expect("a question");
        assert_eq!(question.digest.as_deref(), Some(digest));
        assert_eq!(question.count as usize, question.hazards.len());
        let all: String = question.hazards.iter().map(|hazard| hazard.sentence.as_str()).collect();
        for n in 0..files {
            assert!(all.contains(&format!("mgc_20261123{n:06}.trn")), "file {n} is not in the question");
        }
        // An event that can't hold the question holds no digest.
        for event in written.events() {
            assert!(event.note.len() <= 1024 || !event.note.contains(digest), "{}", event.note);
            let asks = event.action == "ApprovalRequired" && event.kind == Kind::Warning;
            assert!(!asks || event.note.contains("status.question"), "{}", event.note);
        }
        // Given, it is over.
        let outcome = run(&world, &written, Some(digest)).await;
        assert_eq!(outcome.ending, Ending::Converged);
        assert_eq!(written.last().question, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_the_status_can_not_be_accepted_by_way_of_it() {
    let (world, written) = (World::new(unreadable(2_000)), Written::default());
    let outcome = run(&world, &written, None).await;
    let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
    let digest = halt.digest().expect("an approval resolves it");
    let status = written.last();
    assert!(!yaml(status.clone()).contains(digest), "{}", yaml(status));
    let (answer, _, message) = condition(&status, "ApprovalRequired");
    assert_eq!(answer, ConditionStatus::True);
    assert!(message.contains("converge --approve"), "{message}");
    assert_eq!(
        status.question.as_ref().map(|question| (question.count, question.digest.clone())),
        Some((1, None))
    );
}

/// What is accepted with another line of the log stands beside its digest, or that digest stands nowhere.
#[tokio::test(start_paused = true)]
async fn another_line_of_the_log_is_offered_with_all_of_its_hazards_or_not_at_all() {
    for (files, fits) in [(0, true), (2_000, false)] {
        let case = parted().with(|case| {
            for n in 0..files {
                let why = "Cannot open backup device; operating system error 5(Access is denied.)".to_owned();
                let file = BackupFile { on_share: Some(Header::Unknown(why)), in_folder: None };
                case.files().files.insert(format!("mgc_20261123{n:06}.trn"), file);
            }
        });
        let (world, written) = (World::new(case), Written::default());
        let outcome = run(&world, &written, None).await;
        let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
        let [other] = halt.instead() else { panic!("one other line") };
        let status = written.last();
        let question = status.question.as_ref().expect("a question");
        let [listed] = &question.instead[..] else { panic!("{question:?}") };
        assert_eq!(listed.count as usize, other.hazards.len());
        assert_eq!(listed.digest.as_deref(), fits.then_some(other.digest.as_str()));
        let (_, _, message) = condition(&status, "Ready");
        if fits {
            assert_eq!(listed.hazards.len(), other.hazards.len());
            assert!(listed.hazards.iter().any(|hazard| hazard.reason == "LogChainGap"), "{listed:?}");
            assert!(message.contains(&format!("approve={}", other.digest)), "{message}");
        }
        assert_eq!(yaml(status.clone()).contains(&other.digest), fits, "{}", yaml(status));
    }
}

#[tokio::test(start_paused = true)]
async fn whether_the_pool_could_fail_over_is_known_before_it_has_to() {
    let (world, written) = (World::new(calm()), Written::default());
    let outcome = run(&world, &written, None).await;
    assert_eq!(outcome.ending, Ending::Converged);
    let status = written.last();
    assert_eq!(condition(&status, "FailoverReady").0, ConditionStatus::True, "{}", yaml(status.clone()));
    golden("status-before.yaml", &yaml(status));
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_kept_in_the_history_by_whoever_sees_its_end() {
    let (world, written) = (World::new(Case::disaster()), Written::default());
    run(&world, &written, None).await;
    let all = written.all();
    let open = all.iter().rfind(|status| status.history.is_empty()).expect("it was under way");
    // Killed before its last write: the next one knows of the transition by what stands on the object.
    let next = Written(Mutex::new(vec![open.clone()]));
    run(&world, &next, None).await;
    let (kept, known) = (next.last().history, written.last().history);
    let [kept, known] = [&kept[..], &known[..]].map(|all| all.first().expect("it is kept"));
    assert_eq!((&kept.id, &kept.transition), (&known.id, &known.transition));
    assert_eq!(
        kept.loss.as_ref().map(|loss| loss.safe_until),
        known.loss.as_ref().map(|loss| loss.safe_until)
    );
    // Who has never seen it under way can't say when it ended.
    let stranger = Written::default();
    run(&world, &stranger, None).await;
    assert_eq!(stranger.last().history, []);
}

#[tokio::test(start_paused = true)]
async fn two_writers_of_one_status_come_to_the_same_one_and_lose_no_history() {
    let (world, mover) = (World::new(Case::disaster()), Written::default());
    run(&world, &mover, None).await;
    crate::world::pass(30);
    let other = Written::default();
    run(&world, &other, None).await;
    let (mover, other) = (mover.last(), other.last());
    assert_ne!(mover, other);
    let first = agreed(&other, &mover);
    assert_eq!(first.history, mover.history);
    assert_eq!(agreed(&mover, &first), first, "nothing is left to write\n{}", yaml(first.clone()));
    assert_eq!(agreed(&mover, &other).history, mover.history, "overwritten by one who did not know");
    assert_eq!(agreed(&mover, &PersistentChatPoolStatus::default()), mover, "wiped");
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_primary_side_is_dead_is_not_ready_and_is_not_touched() {
    let world = World::new(Case::disaster().with(|case| case.pool.active = Side::Primary));
    let written = Written::default();
    run(&world, &written, None).await;
    let status = written.last();
    let (ready, reason, message) = condition(&status, "Ready");
    assert_eq!((ready, reason), (ConditionStatus::False, "NotServing"), "{message}");
    assert!(message.contains("does not answer") && message.contains("activeDatabase"), "{message}");
    assert!(world.sent().is_empty());

    // One look that was missed.
    world.case().facts.instances.insert(P, silent(990));
    run(&world, &written, None).await;
    assert_eq!(condition(&written.last(), "Ready").1, "AsDeclared");
}

/// A pool whose shell is being asked, and answers at the third news.
fn being_asked(case: Case) -> World {
    let known = case.facts.shell.pool_state.clone();
    let world = World::new(case.with(|case| {
        case.facts.shell.pool_state =
            pchat_planner::facts::Fact::Pending { source: "the management shell".into(), since: now() };
    }));
    *world.on_news.lock().expect("no panic") = Some(Box::new(move |case, number| {
        if number == 3 {
            case.facts.shell.pool_state = known.clone();
        }
    }));
    world
}

#[tokio::test(start_paused = true)]
async fn what_was_told_of_a_pool_stands_while_a_new_operator_looks_at_it() {
    let written = Written::default();
    run(&World::new(calm()), &written, None).await;
    let settled = written.all().len();
    let outcome = run(&being_asked(calm()), &written, None).await;
    assert_eq!(outcome.ending, Ending::Converged);
    assert_eq!(written.all().len(), settled, "{}", yaml(written.last()));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_was_never_seen_is_neither_ready_nor_not_while_it_is_looked_at() {
    let written = Written::default();
    run(&being_asked(calm()), &written, None).await;
    let first = written.all().remove(0);
    let (answer, reason, message) = condition(&first, "Ready");
    assert_eq!((answer, reason), (ConditionStatus::Unknown, "Looking"));
    assert!(message.contains("the management shell is being asked since"), "{message}");
    assert_eq!(condition(&first, "Reconciling").0, ConditionStatus::True);
    assert_eq!(condition(&written.last(), "Ready").0, ConditionStatus::True);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_long_is_told_of_a_pool_that_was_seen_before() {
    let written = Written::default();
    run(&World::new(calm()), &written, None).await;
    let world = being_asked(calm());
    crate::world::pass(30);
    run(&world, &written, None).await;
    let told = written.all().into_iter().any(|status| condition(&status, "Ready").1 == "Looking");
    assert!(told, "{}", yaml(written.last()));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_may_not_act_says_what_it_would_do_when_it_has_looked() {
    for mode in [pchat_planner::pool::Mode::Observe, pchat_planner::pool::Mode::Plan] {
        let world = being_asked(calm().with(|case| case.pool.mode = mode));
        let outcome = run(&world, &Written::default(), None).await;
        assert_eq!(outcome.ending, Ending::Converged);
        let world = World::new(Case::disaster().with(|case| {
            case.pool.mode = mode;
            case.facts.instances.insert(P, crate::common::being_asked(1001));
        }));
        *world.on_news.lock().expect("no panic") = Some(Box::new(|case, number| {
            if number == 2 {
                case.facts.instances.insert(P, silent(500));
            }
        }));
        let outcome = run(&world, &Written::default(), None).await;
        assert_eq!(outcome.ending, Ending::NotEnforced);
        let (_, plan) = outcome.last.expect("it looked");
        assert_ne!(plan.rule, pchat_planner::plan::Reason::Looking, "{:?}", plan.next);
    }
}
