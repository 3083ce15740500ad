//! The last lines of a run that stopped: what stopped it, what has and has not changed, what to do, the command.

use jiff::Timestamp;
use pchat_planner::plan::{Alternative, Hazard, Next};

use super::changed::changed;
use super::words::{Paint, WIDTH, capital, duration, list, meaning, opening, sentence, time, wrap};
use super::{Halt, Invocation, View, header};
use crate::observe::HOME;

/// A stop. `ended`: the run is over; otherwise it stays and goes on by itself.
pub fn stop(view: &View<'_>, halt: &Halt, invocation: &Invocation, paint: Paint, ended: bool) -> String {
    let at = halt.step().map(|step| format!(" at {step}")).unwrap_or_default();
    let mut out = vec![paint.bad(&format!("Stopped{at}: {} ({}).", headline(halt), halt.name()))];
    let mut say = |text: &str| out.push(wrap(text, "  ", WIDTH));
    say(&message(view, halt));
    say(&changed(view));
    let remedy = remedy(halt);
    if !remedy.is_empty() {
        say(&remedy);
    }
    if halt.digest().is_some() {
        let hazards = view.plan.map_or(&[][..], |plan| &plan.hazards);
        if hazards.len() > 1 {
            say("An approval accepts all of this:");
            out.extend(items(hazards));
        }
    }
    if let Some(digest) = halt.digest() {
        if !invocation.approved.is_empty() {
            let text = format!(
                "What was approved ({}) does not cover this: it was shown something else.",
                list(&invocation.approved)
            );
            out.push(wrap(&text, "  ", WIDTH));
        }
        let approve = |digest: &str| {
            format!("    {}", paint.strong(&format!("{} --approve {digest}", invocation.again)))
        };
        if let Some(plan) = view.plan {
            out.push(wrap(&header::loss(&plan.loss, view.now, false), "  ", WIDTH));
        }
        out.push("  To accept exactly that:".into());
        out.push(approve(digest));
        for other in halt.instead() {
            out.push(wrap(&instead(other, view.now), "  ", WIDTH));
            // Its dangers are its own: nothing above has told them.
            out.push("  For that, an approval accepts all of this:".into());
            out.extend(items(&other.hazards));
            out.push(approve(&other.digest));
        }
    }
    if ended {
        out.push(
            "  To go on once the cause is gone; with --wait 30m the run stays and notices by itself:".into(),
        );
        out.push(format!("    {}", paint.strong(&invocation.again)));
    }
    out.join("\n")
}

/// Hazards, each as an item of a list.
pub fn items(hazards: &[Hazard]) -> impl Iterator<Item = String> {
    hazards.iter().map(|hazard| {
        let text = wrap(&sentence(&hazard.sentence), "      ", WIDTH);
        format!("    - {}", text.trim_start())
    })
}

fn headline(halt: &Halt) -> String {
    match halt {
        Halt::Planned(stop) => meaning(stop.reason).into(),
        Halt::Failing { tries, .. } => format!("the same failure {tries} times in a row"),
        Halt::WithoutEffect { tries, .. } => format!("confirmed {tries} times, and its effect is not seen"),
        Halt::Stalled { reason, .. } => meaning(*reason).into(),
    }
}

/// What stopped it.
pub fn message(view: &View<'_>, halt: &Halt) -> String {
    match halt {
        Halt::Planned(stop) => opening(&sentence(&stop.message), &[&view.pool.database]),
        Halt::Failing { error, .. } => opening(&sentence(&error.to_string()), &[&view.pool.database]),
        Halt::WithoutEffect { effect, .. } if effect.is_empty() => {
            "The far end confirms the action, and looking again finds nothing changed.".into()
        }
        Halt::WithoutEffect { effect, .. } => {
            format!(
                "The far end confirms the action, and what should follow is not seen: {}",
                sentence(effect)
            )
        }
        Halt::Stalled { message, since, .. } => format!(
            "{} Nothing has moved since {} ({}).",
            sentence(&capital(message)),
            time(*since, view.now),
            duration(view.now.duration_since(*since))
        ),
    }
}

/// Another line of the log that could be followed, and what that would cost.
pub fn instead(other: &Alternative, now: Timestamp) -> String {
    let fork = other.fork.map_or_else(|| "the fork that it is on".into(), |fork| format!("fork {fork}"));
    format!("Or follow {fork} instead: {}", header::loss(&other.loss, now, false))
}

/// What to do.
pub fn remedy(halt: &Halt) -> String {
    match halt {
        Halt::Planned(stop) => sentence(&stop.remedy),
        // A failure's own sentence ends with its remedy.
        Halt::Failing { .. } => String::new(),
        Halt::WithoutEffect { .. } => {
            "Look at the target by hand: somebody or something may be undoing it.".into()
        }
        Halt::Stalled { .. } => "Look at what it waits for; the run goes on from where it is.".into(),
    }
}

/// A run that was asked to stop.
pub fn interrupted(view: &View<'_>, invocation: &Invocation, paint: Paint) -> String {
    let mut out = vec![paint.busy("Interrupted: stopped at a safe point, no action of this run is running.")];
    out.push(wrap(&changed(view), "  ", WIDTH));
    if let Some(jobs) = still_running(view) {
        out.push(wrap(&jobs, "  ", WIDTH));
    }
    out.push("  To go on:".into());
    out.push(format!("    {}", paint.strong(&invocation.again)));
    out.join("\n")
}

/// Jobs at the far end that go on without the run.
pub fn still_running(view: &View<'_>) -> Option<String> {
    let state = view.facts?.instances.get(&HOME)?.state.value()?;
    let secondary = state.secondary.as_ref()?;
    let jobs: Vec<&str> = secondary.jobs().filter(|job| job.running).map(|job| job.name.as_str()).collect();
    (!jobs.is_empty()).then(|| {
        format!(
            "On {}, log shipping's own {} {} still running and ends by itself.",
            view.pool.backup.database,
            list(&jobs),
            if jobs.len() == 1 { "is" } else { "are" }
        )
    })
}

/// A run that may not act.
pub fn not_enforced(view: &View<'_>, paint: Paint) -> String {
    let mode = view.pool.mode;
    let next = match view.plan.map(|plan| &plan.next) {
        Some(Next::Run(step, _)) => format!("{step} would come next."),
        Some(Next::Wait { message, .. }) => format!("It would wait: {}", sentence(message)),
        _ => String::new(),
    };
    let out = [
        paint.bad(&format!("Not carried out: spec.mode is {mode} (NotEnforced).")),
        wrap(&format!("This run has changed nothing. {next}"), "  ", WIDTH),
        wrap(
            "To carry it out, set spec.mode to Enforce in the manifest and run the same command again.",
            "  ",
            WIDTH,
        ),
    ];
    out.join("\n")
}
