//! What a run prints, word by word. `UPDATE_GOLDEN=1` writes the files anew; read the difference before keeping it.

use std::time::Duration;

use pchat_crds::status::ConditionStatus;
use pchat_operator::reconcile::{Ending, Identity, Outcome};
use pchat_operator::report::{self, Invocation, Lines, Paint, Record, View};
use pchat_planner::facts::{Agent, Contact, DatabaseState, PoolState};

use crate::common::{Case, P, PM, answers, database, known, unknown};
use crate::world::{Fault, Page, World, now};
use crate::{gap, parted};

pub fn golden(name: &str, text: &str) {
    held(&format!("tests/golden/{name}"), text);
}

/// A file of the repository, by its path from here, is this text.
fn held(name: &str, text: &str) {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = format!("{}\n", text.trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} is not what is told; UPDATE_GOLDEN=1 writes it anew");
}

fn invocation() -> Invocation {
    Invocation {
        again: "pchat-operator converge -f chat.yaml".into(),
        state_file: Some("chat.state.yaml".into()),
        approved: Vec::new(),
    }
}

/// A run in a pipe: its lines, and its last words.
async fn told(world: &World, paint: Paint) -> (String, Outcome) {
    let page = Page::default();
    let lines = Lines::new(Box::new(page.clone()), invocation(), paint);
    let outcome = world
        .run_with("ops1, process 4711", &lines, None, &[], Duration::ZERO)
        .await
        .expect("it was not killed");
    let pool = world.case().pool.clone();
    let view = view(&pool, &outcome);
    let last = match &outcome.ending {
        Ending::Converged => report::end(&view, &invocation(), paint),
        Ending::Halted(halt) => report::stop(&view, halt, &invocation(), paint, true),
        Ending::Interrupted => report::interrupted(&view, &invocation(), paint),
        Ending::NotEnforced => report::not_enforced(&view, paint),
    };
    (format!("{}\n{last}", page.text()), outcome)
}

fn view<'a>(pool: &'a pchat_planner::pool::Pool, outcome: &'a Outcome) -> View<'a> {
    let (facts, plan) = outcome.last.as_ref().expect("it looked");
    View { pool, facts: Some(facts), plan: Some(plan), record: &outcome.record, now: now() }
}

#[tokio::test(start_paused = true)]
async fn a_forced_failover_is_told_from_the_header_to_what_is_left_to_a_person() {
    let (text, outcome) = told(&World::new(Case::disaster()), Paint(false)).await;
    golden("failover.txt", &text);
    let pool = Case::disaster().pool;
    let document = report::document("converge", "Converged", 0, &view(&pool, &outcome), None);
    let mut json = serde_json::to_value(&document).expect("JSON");
    // The transition's id, what follows from it, and the owner's tokens are not for a golden file to keep.
    json["facts"]["journal"] = serde_json::Value::Null;
    json["digest"] = serde_json::Value::Null;
    golden("failover.json", &serde_json::to_string_pretty(&json).expect("JSON"));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_says_that_there_was_nothing_to_do() {
    let world = World::new(Case::disaster());
    world.run("first").await.expect("it was not killed");
    let (text, _) = told(&world, Paint(false)).await;
    golden("nothing-to-do.txt", &text);
}

#[tokio::test(start_paused = true)]
async fn a_stop_says_what_stopped_it_what_was_changed_what_to_do_and_the_command() {
    let (text, outcome) = told(&World::new(gap()), Paint(false)).await;
    golden("stop.txt", &text);
    let pool = gap().pool;
    let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
    let document = report::document("converge", "WaitingForApproval", 4, &view(&pool, &outcome), Some(halt));
    let json = serde_json::to_value(&document).expect("JSON");
    assert_eq!(json["stop"]["name"], "LogChainGap");
    assert_eq!(json["stop"]["digest"].as_str(), halt.digest());
    assert_eq!(json["next"], serde_json::json!({"kind": "blocked", "reason": "LogChainGap"}));
}

#[tokio::test(start_paused = true)]
async fn another_line_of_the_log_is_offered_with_the_hazards_of_its_own() {
    let (text, outcome) = told(&World::new(parted()), Paint(false)).await;
    golden("stop-parted.txt", &text);
    let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
    let [other] = halt.instead() else { panic!("one other line: {text}") };
    let pool = parted().pool;
    let view = view(&pool, &outcome);
    // In front of each digest stands what it accepts.
    let run = Identity::new("ops1, process 4711".into(), Vec::new(), None);
    let outlook = pchat_planner::outlook(&pool, view.facts.expect("it looked"), run.run(), now());
    let planned = report::planned(&view, &outlook, Paint(false));
    for text in [text, planned] {
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (before, _) = plain.split_once(&format!("--approve {}", other.digest)).expect("its digest");
        let (_, own) = before.split_once("Or follow").expect("it is offered");
        for hazard in &other.hazards {
            assert!(own.contains(&hazard.sentence), "{own}\n{hazard:?}");
        }
    }
    let document = report::document("converge", "WaitingForApproval", 4, &view, Some(halt));
    let json = serde_json::to_value(&document).expect("JSON");
    let reasons = json["stop"]["instead"][0]["hazards"].as_array().expect("a list");
    assert!(reasons.iter().any(|hazard| hazard["reason"] == "LogChainGap"), "{json}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_does_not_cover_the_stop_is_told() {
    let (_, outcome) = told(&World::new(gap()), Paint(false)).await;
    let Ending::Halted(halt) = &outcome.ending else { panic!("it did not stop") };
    let pool = gap().pool;
    let invocation = Invocation { approved: vec!["0000-0000".into()], ..invocation() };
    let text = report::stop(&view(&pool, &outcome), halt, &invocation, Paint(false), true);
    assert!(text.contains("What was approved (0000-0000) does not cover this"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_says_where_it_stands_and_how_to_go_on() {
    let (text, _) = told(&World::new(Case::disaster()).at(2, Fault::Interrupt), Paint(false)).await;
    golden("interrupted.txt", &text);
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_is_told_once_and_the_run_goes_on() {
    let (text, _) = told(&World::new(Case::disaster()).at(3, Fault::Fails), Paint(false)).await;
    golden("failed-try.txt", &text);
}

#[tokio::test(start_paused = true)]
async fn colour_is_only_added_never_said_with() {
    let strip = |text: &str| {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain + rest
    };
    let (plain, _) = told(&World::new(gap()), Paint(false)).await;
    let (painted, _) = told(&World::new(gap()), Paint(true)).await;
    assert!(painted.contains("\x1b[31m") && !plain.contains('\x1b'));
    // The clock of the test goes on between the two.
    assert_eq!(strip(&painted).lines().count(), plain.lines().count());
    assert!(strip(&painted).contains("Stopped at"));
}

/// `observe` and `plan` of one look.
fn looked(case: &Case) -> (String, String) {
    let mut identity = Identity::new("ops1, process 4711".into(), Vec::new(), None);
    identity.learn(&case.pool, &case.facts);
    let plan = pchat_planner::plan(&case.pool, &case.facts, identity.run(), case.now);
    let outlook = pchat_planner::outlook(&case.pool, &case.facts, identity.run(), case.now);
    let mut record = Record::new("ops1".into(), case.now);
    record.see(&plan, None, case.now);
    let view = View {
        pool: &case.pool,
        facts: Some(&case.facts),
        plan: Some(&plan),
        record: &record,
        now: case.now,
    };
    (report::observed(&view, &outlook, Paint(false)), report::planned(&view, &outlook, Paint(false)))
}

#[test]
fn observe_and_plan_of_a_disaster() {
    let (observed, planned) = looked(&Case::disaster());
    golden("observe-disaster.txt", &observed);
    golden("plan-disaster.txt", &planned);
}

/// The primary side serves, mirrored, and is to go on so.
pub fn calm() -> Case {
    let mut case = Case::disaster();
    case.pool.active = case.pool.active.other();
    let mut principal = database(DatabaseState::Online);
    principal.mirroring = crate::common::on(pchat_planner::facts::Role::Principal);
    let mut mirror = database(DatabaseState::Restoring);
    mirror.mirroring = crate::common::on(pchat_planner::facts::Role::Mirror);
    case.facts.instances.insert(P, answers("SQL-TP1\\PCHAT", Some(principal)));
    crate::common::state_of(case.facts.instances.get_mut(&P).expect("there")).ships_logs = true;
    case.facts.instances.insert(PM, answers("SQL-TP2\\PCHAT", Some(mirror)));
    case
}

#[test]
fn observe_and_plan_of_a_calm_week() {
    let (observed, planned) = looked(&calm());
    golden("observe-calm.txt", &observed);
    golden("plan-calm.txt", &planned);
}

/// What a failover would meet is one question, whoever asks it.
#[test]
fn observe_plan_and_failover_ready_give_the_same_answer() {
    let states: [fn(&mut Case); 8] = [
        |_| {},
        |case| case.facts.shell.store_writable = known(Err("its server is dead".into())),
        |case| case.b().agent = Agent::Stopped,
        |case| case.pool.backup.active_servers[0] = "pc-ks9.contoso.com".into(),
        |case| case.files().share = unknown("the network path was not found"),
        |case| case.b().sysadmin = false,
        |case| *case = case.clone().pool_is(PoolState::FailedOver),
        |case| {
            *case = case.clone().owned();
        },
    ];
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (n, change) in states.into_iter().enumerate() {
        let case = calm().with(change);
        let mut identity = Identity::new("ops1".into(), Vec::new(), None);
        identity.learn(&case.pool, &case.facts);
        let condition = report::status::readiness(&case.pool, &case.facts, identity.run(), case.now);
        let outlook = pchat_planner::outlook(&case.pool, &case.facts, identity.run(), case.now);
        let document = report::outlook::document(&case.pool, &outlook);
        assert_eq!(document.message, condition.message, "{n}");
        assert_eq!(document.ready, condition.status == ConditionStatus::True, "{n}");
        let (observed, planned) = looked(&case);
        for page in [observed, planned] {
            let page = flat(&page);
            // Its first sentence, and what stands behind it in brackets.
            let opening = condition.message.split(". ").next().unwrap_or_default().trim_end_matches('.');
            for part in [opening, &format!("({})", condition.reason)] {
                assert!(page.contains(part), "{n}: {part:?} is not in {page}");
            }
        }
    }
}

#[test]
fn what_is_unknown_is_said_as_unknown() {
    let mut case = Case::disaster();
    case.facts.shell.contact =
        Contact::Unusable { detail: "The certificate of fe-ks1 is not trusted".into() };
    case.facts.shell.pool_state = crate::common::unknown("the management shell can't be asked");
    case.facts.backups = crate::common::unknown("listing the share timed out after 3 min");
    let (observed, planned) = looked(&case);
    golden("observe-unknown.txt", &observed);
    golden("plan-unknown.txt", &planned);
}

#[test]
fn the_page_of_reasons_lists_what_can_be_told() {
    held("../docs/reasons.md", &report::status::reasons());
}

#[test]
fn the_page_of_the_decision_table_is_the_table() {
    held("../docs/decision-table.md", &report::decision_table());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_comes_back_to_a_stop_says_that_another_began_it() {
    let (_, mut outcome) = told(&World::new(gap()), Paint(false)).await;
    let Ending::Halted(halt) = outcome.ending else { panic!("it did not stop") };
    let record = &mut outcome.record;
    record.actions = 0;
    record.steps.clear();
    record.started += jiff::SignedDuration::from_hours(1);
    outcome.ending = Ending::Interrupted;
    let pool = gap().pool;
    let text = report::stop(&view(&pool, &outcome), &halt, &invocation(), Paint(false), true);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "This run has changed nothing itself; what it goes on with was begun at";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("Log shipping's jobs stay disabled until this goes on"), "{text}");
}
