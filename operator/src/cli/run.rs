//! The three commands: read, look or drive, tell, exit.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pchat_planner::facts::Facts;
use pchat_planner::pool::{Mode, Pool};
use serde::Serialize;

use super::signals::{Running, Watched, listen};
use super::{Converge, Exit, OnePool, Output, load};
use crate::far_end::{FarEnd, Freshness};
use crate::outside;
use crate::real::RealFarEnd;
use crate::reconcile::{
    Driver, Ending, Identity, Interrupt, Keeper, Outcome, Settings, StateFile, default_executor,
};
use crate::report::{self, Halt, Invocation, Lines, Live, Paint, Record, Report, Silent, View};

/// Runs the command.
pub(super) async fn run(command: OnePool) -> Exit {
    let output = command.look().output;
    let loaded = match load::load(command.look()) {
        Ok(loaded) => loaded,
        Err(problems) => return bad_input(output, command.name(), &problems),
    };
    let running = Arc::new(Running::default());
    let interrupt = listen(Arc::clone(&running));
    let pool = loaded.ends.pool.clone();
    let far = RealFarEnd::start(Arc::new(loaded.ends));
    let exit = match &command {
        OnePool::Converge(converge) => {
            let state = converge.state.clone().unwrap_or(loaded.state);
            let run = Run { pool: &pool, far: &far, converge, again: command.again(), state };
            run.converge(interrupt, running).await
        }
        OnePool::Observe(_) => look(&pool, &far, Vec::new(), output, "observe", interrupt).await,
        OnePool::Plan(plan) => look(&pool, &far, plan.approve.clone(), output, "plan", interrupt).await,
    };
    far.close().await;
    exit
}

impl OnePool {
    fn name(&self) -> &'static str {
        match self {
            OnePool::Observe(_) => "observe",
            OnePool::Plan(_) => "plan",
            OnePool::Converge(_) => "converge",
        }
    }
}

/// Everything that is wrong, on standard error or as a document.
fn bad_input(output: Output, command: &'static str, problems: &[String]) -> Exit {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct BadInput<'a> {
        command: &'static str,
        outcome: &'static str,
        exit_code: u8,
        problems: &'a [String],
    }
    if output == Output::Human {
        for problem in problems {
            complain(problem);
        }
        let count = report::words::count(problems.len() as u64, "problem");
        complain(&format!("{count} in what was read. No server was contacted and nothing was changed."));
    } else {
        let exit_code = Exit::BadInput as u8;
        print_document(output, &BadInput { command, outcome: "BadInput", exit_code, problems });
    }
    Exit::BadInput
}

/// How long `observe` and `plan` wait for what does not answer. A dead host is told in less; a share can hang for a minute.
const ONE_LOOK: Duration = Duration::from_secs(15);

/// Looks until everything was seen, and no longer than [`ONE_LOOK`].
async fn one_look<F: FarEnd>(pool: &Pool, far: &F, began: Timestamp) -> Facts {
    let until = Instant::now() + ONE_LOOK;
    let mut facts = far.observe(Freshness::all_since(began)).await;
    while !pchat_planner::looking(pool, &facts).is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        far.news(left).await;
        facts = far.observe(Freshness::LATEST).await;
    }
    facts
}

/// `observe` and `plan`: one look.
async fn look<F: FarEnd>(
    pool: &Pool,
    far: &F,
    approvals: Vec<String>,
    output: Output,
    command: &'static str,
    mut interrupt: Interrupt,
) -> Exit {
    let began = Timestamp::now();
    let facts = tokio::select! {
        facts = one_look(pool, far, began) => facts,
        () = interrupt.wait() => return Exit::Interrupted,
    };
    let now = Timestamp::now();
    let mut identity = Identity::new(default_executor(), approvals, None);
    identity.learn(pool, &facts);
    let plan = pchat_planner::plan(pool, &facts, identity.run(), now);
    let mut record = Record::new(identity.run().executor.clone(), began);
    record.see(&plan, None, now);
    record.ended = Some(report::words::millis(now));
    let view = View { pool, facts: Some(&facts), plan: Some(&plan), record: &record, now };
    let paint = paint();
    let outlook = pchat_planner::outlook(pool, &facts, identity.run(), now);
    match (output, command) {
        (Output::Human, "observe") => print(&report::observed(&view, &outlook, paint)),
        (Output::Human, _) => print(&report::planned(&view, &outlook, paint)),
        _ => {
            let mut document = report::document(command, "Looked", Exit::Done as u8, &view, None);
            document.failover_ready = Some(report::outlook::document(pool, &outlook));
            print_document(output, &document);
        }
    }
    Exit::Done
}

/// `converge`.
struct Run<'a, F> {
    pool: &'a Pool,
    far: &'a F,
    converge: &'a Converge,
    again: String,
    state: PathBuf,
}

impl<F: FarEnd> Run<'_, F> {
    async fn converge(self, interrupt: Interrupt, running: Arc<Running>) -> Exit {
        let output = self.converge.look.output;
        let executor = self.converge.executor.clone().unwrap_or_else(default_executor);
        // A run that may not act leaves no trace.
        let file = (self.pool.mode == Mode::Enforce).then(|| StateFile::new(self.state.clone()));
        let now = Timestamp::now();
        let (keeper, notice) = Keeper::open(file, self.pool, &executor, &self.converge.approve, now);
        let invocation = Invocation {
            again: self.again.clone(),
            state_file: Some(self.state.display().to_string()),
            approved: keeper.approvals(),
        };
        let paint = paint();
        let live = (output == Output::Human && std::io::stdout().is_terminal())
            .then(|| Live::new(invocation.clone(), paint));
        let lines;
        let teller: &dyn Report = match (&live, output) {
            (Some(live), _) => live,
            (None, Output::Human) => {
                lines = Lines::new(Box::new(std::io::stdout()), invocation.clone(), paint);
                &lines
            }
            (None, _) => &Silent,
        };
        if let Some(notice) = notice {
            told(output, teller, &notice);
        }
        if let Some(live) = &live {
            live.looking(self.pool);
        }
        running.speak_through(live.as_ref().map(Live::speaker));
        let watched = Watched::new(teller, Arc::clone(&running));
        let settings = Settings { stay: self.converge.wait, ..Settings::default() };
        let driver =
            Driver::new(self.pool, self.far, &pchat_planner::plan, &watched, interrupt, settings, keeper);
        let mut outcome = driver.run().await;
        if let Some(live) = &live {
            live.finish();
            running.speak_through(None);
        }
        let exit = exit_of(&outcome.ending);
        let view = view(self.pool, &outcome);
        let halt = halt_of(&outcome.ending);
        let document =
            report::document("converge", outcome_word(exit, &outcome.ending), exit as u8, &view, halt);
        if output == Output::Human {
            let text = match &outcome.ending {
                Ending::Converged => report::end(&view, &invocation, paint),
                Ending::Halted(halt) => report::stop(&view, halt, &invocation, paint, true),
                Ending::Interrupted => report::interrupted(&view, &invocation, paint),
                Ending::NotEnforced => report::not_enforced(&view, paint),
            };
            print(&format!("\n{text}"));
        } else {
            print_document(output, &document);
        }
        // Only a run that did or stopped at something has a report worth keeping in place of the last one.
        if (outcome.record.actions > 0 || halt.is_some())
            && let Ok(value) = serde_yaml::to_value(&document)
        {
            outcome.keeper.put_report(value);
        }
        if let Some(trouble) = outcome.keeper.finish(Timestamp::now()) {
            complain(&trouble);
        }
        exit
    }
}

fn view<'a>(pool: &'a Pool, outcome: &'a Outcome) -> View<'a> {
    View {
        pool,
        facts: outcome.last.as_ref().map(|(facts, _)| facts),
        plan: outcome.last.as_ref().map(|(_, plan)| plan),
        record: &outcome.record,
        now: outcome.record.ended.unwrap_or_else(Timestamp::now),
    }
}

fn exit_of(ending: &Ending) -> Exit {
    match ending {
        Ending::Converged => Exit::Done,
        Ending::Halted(halt) if halt.digest().is_some() => Exit::Approval,
        Ending::Halted(_) | Ending::NotEnforced => Exit::Blocked,
        Ending::Interrupted => Exit::Interrupted,
    }
}

fn outcome_word(exit: Exit, ending: &Ending) -> &'static str {
    match (exit, ending) {
        (_, Ending::Converged) => "Converged",
        (_, Ending::NotEnforced) => "NotEnforced",
        (_, Ending::Interrupted) => "Interrupted",
        (Exit::Approval, _) => "WaitingForApproval",
        _ => "Blocked",
    }
}

fn halt_of(ending: &Ending) -> Option<&Halt> {
    match ending {
        Ending::Halted(halt) => Some(halt),
        _ => None,
    }
}

/// A notice goes where it disturbs no document.
fn told(output: Output, teller: &dyn Report, notice: &str) {
    if output == Output::Human { teller.notice(notice) } else { complain(notice) }
}

/// Colours: on a terminal, unless `NO_COLOR` (any value but the empty one) or a dumb terminal says otherwise.
fn paint() -> Paint {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Paint(std::io::stdout().is_terminal() && !forbidden && !dumb)
}

fn print(text: &str) {
    // Nobody may be reading any more; the exit code still tells.
    let _ = writeln!(std::io::stdout(), "{}", outside::terminal(text, paint().0));
}

/// The same on standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", outside::terminal(text, false));
}

fn print_document(output: Output, document: &impl Serialize) {
    let text = match output {
        Output::Yaml => serde_yaml::to_string(document).map_err(|error| error.to_string()),
        _ => serde_json::to_string_pretty(document).map_err(|error| error.to_string()),
    };
    match text {
        Ok(text) => {
            let text = outside::document(text.trim_end(), output != Output::Yaml);
            let _ = writeln!(std::io::stdout(), "{text}");
        }
        Err(error) => complain(&format!("The document can't be written: {error}.")),
    }
}
