//! A run on a terminal: the header, then a line per step that is kept up to date, with a bar for the one that
//! runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use pchat_planner::plan::{Direction, Next, Reason, StepId, StepState};
use pchat_planner::pool::Pool;

use super::words::{Paint, WIDTH, sentence, time, took, wrap};
use super::{Halt, Invocation, Report, View, header, human, steps, stop};
use crate::far_end::{ActError, Progress};
use crate::outside;

/// Columns of a bar.
const BAR: u64 = 16;
/// The clock of a running step moves this often.
const TICK: Duration = Duration::from_millis(200);

/// Lines that are redrawn.
pub struct Live {
    multi: MultiProgress,
    inner: Mutex<Inner>,
    invocation: Invocation,
    paint: Paint,
}

#[derive(Default)]
struct Inner {
    /// What the header was told for, whether that had been judged, and whether everything had been looked at that it depends on.
    told_for: Option<(Direction, bool, bool)>,
    lines: BTreeMap<StepId, ProgressBar>,
    below: Option<ProgressBar>,
    /// Units done before the running batch, and of how many, for the step that runs.
    base: Option<(StepId, u64, u64)>,
    staying: Option<Halt>,
}

impl Live {
    /// Lines on standard output, which is a terminal.
    pub fn new(invocation: Invocation, paint: Paint) -> Self {
        Live {
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            inner: Mutex::new(Inner::default()),
            invocation,
            paint,
        }
    }

    /// The first plan comes within seconds; a backup instance that hangs is waited for longer.
    pub fn looking(&self, pool: &Pool) {
        let text = format!("  {} Looking at the servers of {}.", self.paint.busy("…"), pool.fqdn);
        self.below(&mut self.inner(), Some(text));
    }

    /// Says a text above the lines, from elsewhere.
    pub fn speaker(&self) -> Box<dyn Fn(&str) + Send> {
        let multi = self.multi.clone();
        let colours = self.paint.0;
        Box::new(move |text| {
            let _ = multi.println(outside::terminal(text, colours));
        })
    }

    /// Leaves the lines as they are and gives the terminal back.
    pub fn finish(&self) {
        let mut inner = self.inner();
        if let Some(below) = inner.below.take() {
            below.finish_and_clear();
        }
        for line in inner.lines.values() {
            if !line.is_finished() {
                line.abandon();
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        // A terminal that is gone must not stop a failover.
        let _ = self.multi.println(outside::terminal(text, self.paint.0));
    }

    fn below(&self, inner: &mut Inner, text: Option<String>) {
        let text = text.map(|text| outside::terminal(&text, self.paint.0));
        match (text, &inner.below) {
            (Some(text), Some(bar)) => bar.set_message(text),
            (Some(text), None) => {
                let bar = self.multi.add(ProgressBar::no_length().with_style(plain()).with_message(text));
                bar.enable_steady_tick(TICK);
                inner.below = Some(bar);
            }
            (None, _) => {
                if let Some(bar) = inner.below.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn draw(&self, inner: &mut Inner, view: &View<'_>) {
        for step in &view.record.listing {
            let line = inner
                .lines
                .entry(step.id)
                .or_insert_with(|| self.multi.add(ProgressBar::no_length().with_style(plain())));
            let running = steps::under_way(view, step.id) && step.state != StepState::Done;
            if running {
                let began = view.record.steps.get(&step.id).and_then(|s| s.began).unwrap_or(view.now);
                line.set_style(running_style(self.paint, began));
                let (done, of) = step.progress.unwrap_or((0, 0));
                let text = bar(done, of, began, view.now);
                line.set_message(text.unwrap_or_else(|| outside::terminal(&step.why, false)));
                line.enable_steady_tick(TICK);
                line.set_prefix(step.id.to_string());
            } else {
                line.disable_steady_tick();
                line.set_style(plain());
                line.set_message(outside::terminal(&steps::line(view, step, self.paint), self.paint.0));
                line.tick();
            }
        }
    }
}

/// A line that is its message.
fn plain() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Mark, name, running clock, message.
fn running_style(paint: Paint, began: Timestamp) -> ProgressStyle {
    let template = format!("  {} {{prefix:18}} {{took:>12}}  {{wide_msg}}", paint.busy("▶"));
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner()).with_key(
        "took",
        move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&took(Timestamp::now().duration_since(began)));
        },
    )
}

/// `███████████░░░░░  26 of 37, about 5 s left`
fn bar(done: u64, of: u64, began: Timestamp, now: Timestamp) -> Option<String> {
    if of == 0 {
        return None;
    }
    let done = done.min(of);
    let full = (done * BAR / of) as usize;
    let mut text = format!("{}{}  {done} of {of}", "█".repeat(full), "░".repeat(BAR as usize - full));
    let elapsed = now.duration_since(began).as_millis().max(0) as u64;
    // An estimate from less than a tenth, or from less than a second, is a guess.
    if done * 10 >= of && done < of && elapsed >= 1_000 {
        let left = SignedDuration::from_millis((elapsed / done * (of - done)) as i64);
        text.push_str(&format!(", about {} left", took(left)));
    }
    Some(text)
}

impl Report for Live {
    fn notice(&self, text: &str) {
        self.say(&sentence(text));
    }

    fn planned(&self, view: &View<'_>) {
        let mut inner = self.inner();
        let Some(plan) = view.plan else { return };
        let moving = !matches!(plan.direction, Direction::Steady(_));
        if inner.told_for.is_none() {
            self.below(&mut inner, None);
        }
        let judged = !plan.steps.is_empty();
        // A header is not told again because something is looked at anew.
        let seen = plan.rule != Reason::Looking || inner.told_for.is_some_and(|(.., seen)| seen);
        let told_for = Some((plan.direction, judged, seen));
        if inner.told_for.is_none() || (moving && judged && inner.told_for != told_for) {
            inner.told_for = told_for;
            for (_, line) in std::mem::take(&mut inner.lines) {
                line.abandon();
            }
            for line in header::header(view) {
                self.say(&wrap(&line, "", WIDTH));
            }
            if moving && judged {
                self.say("");
            }
        }
        if inner.told_for.is_some_and(|(direction, ..)| !matches!(direction, Direction::Steady(_))) {
            if !matches!(plan.next, Next::Wait { .. } | Next::Blocked(_)) {
                self.below(&mut inner, None);
            }
            self.draw(&mut inner, view);
        }
    }

    fn started(&self, step: StepId, view: &View<'_>) {
        let mut inner = self.inner();
        inner.staying = None;
        let progress = view.record.listing.iter().find(|s| s.id == step).and_then(|s| s.progress);
        inner.base = progress.map(|(done, of)| (step, done, of));
        self.below(&mut inner, None);
        self.draw(&mut inner, view);
    }

    fn progress(&self, step: StepId, progress: &Progress) {
        let inner = self.inner();
        let Some(line) = inner.lines.get(&step) else { return };
        let text = match (progress, inner.base) {
            (Progress::Restoring { done, percent, .. }, Some((s, base, of))) if s == step && of > 0 => {
                let now = Timestamp::now();
                let began = now.checked_sub(SignedDuration::try_from(line.elapsed()).unwrap_or_default());
                let text = bar(base + done, of, began.unwrap_or(now), now).unwrap_or_default();
                match percent {
                    Some(percent) => format!("{text}, the next one is at {percent} %"),
                    None => text,
                }
            }
            _ => human::progress_words(progress),
        };
        line.set_message(outside::terminal(&text, false));
    }

    fn confirmed(&self, _: StepId, view: &View<'_>) {
        self.draw(&mut self.inner(), view);
    }

    fn failed(&self, step: StepId, error: &ActError, view: &View<'_>) {
        let mut inner = self.inner();
        let text = format!(
            "  {} {step}, {}: {} Looking again.",
            self.paint.bad("!"),
            time(view.now, view.record.started),
            sentence(&error.to_string())
        );
        self.below(&mut inner, Some(text));
    }

    fn waiting(&self, view: &View<'_>) {
        let mut inner = self.inner();
        inner.staying = None;
        if let Some(Next::Wait { reason, message, .. }) = view.plan.map(|plan| &plan.next) {
            let text = format!("  {} Waiting ({reason}): {}", self.paint.busy("…"), sentence(message));
            self.below(&mut inner, Some(text));
        }
    }

    fn staying(&self, halt: &Halt, until: Timestamp, view: &View<'_>) {
        let mut inner = self.inner();
        let same = inner
            .staying
            .as_ref()
            .is_some_and(|last| last.name() == halt.name() && last.digest() == halt.digest());
        if !same {
            inner.staying = Some(halt.clone());
            self.say(&stop::stop(view, halt, &self.invocation, self.paint, false));
        }
        self.below(&mut inner, Some(human::staying_words(until, view.now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_end_and_estimates_only_from_enough() {
        let began: Timestamp = "2026-11-22T23:44:10Z".parse().expect("a timestamp");
        let at = |seconds| began.checked_add(SignedDuration::from_secs(seconds)).expect("in range");
        assert_eq!(bar(0, 0, began, at(5)), None);
        assert_eq!(
            bar(26, 37, began, at(11)).as_deref(),
            Some("███████████░░░░░  26 of 37, about 4.6 s left")
        );
        assert_eq!(
            bar(36, 37, began, at(11)).as_deref(),
            Some("███████████████░  36 of 37, about 0.3 s left")
        );
        assert_eq!(bar(40, 37, began, at(11)).as_deref(), Some("████████████████  37 of 37"));
        assert_eq!(bar(3, 37, began, at(11)).as_deref(), Some("█░░░░░░░░░░░░░░░  3 of 37"));
    }
}
