//! A run as plain lines, for a pipe or a log: a line when something has changed, none otherwise.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pchat_planner::plan::{Direction, Next, Reason, StepId, StepState};

use super::words::{Paint, WIDTH, capital, sentence, time, wrap};
use super::{Halt, Invocation, Report, View, header, steps, stop};
use crate::far_end::{ActError, Progress};
use crate::outside;

/// A running step is told again after this long.
const QUIET: Duration = Duration::from_secs(10);

/// Plain lines.
pub struct Lines {
    inner: Mutex<Inner>,
    invocation: Invocation,
    paint: Paint,
}

struct Inner {
    out: Box<dyn Write + Send>,
    colours: bool,
    /// What the header was told for, whether that had been judged, and whether everything had been looked at that it depends on.
    told_for: Option<(Direction, bool, bool)>,
    told: BTreeSet<StepId>,
    begun: BTreeSet<StepId>,
    failure: Option<(StepId, String)>,
    waiting: Option<String>,
    staying: Option<Halt>,
    last_line: Instant,
}

impl Lines {
    /// Lines to `out`.
    pub fn new(out: Box<dyn Write + Send>, invocation: Invocation, paint: Paint) -> Self {
        let inner = Inner {
            out,
            colours: paint.0,
            told_for: None,
            told: BTreeSet::new(),
            begun: BTreeSet::new(),
            failure: None,
            waiting: None,
            staying: None,
            last_line: Instant::now(),
        };
        Lines { inner: Mutex::new(inner), invocation, paint }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn say(&mut self, line: &str) {
        // Nobody may be reading any more; that must not stop a failover.
        let line = outside::terminal(line, self.colours);
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        self.last_line = Instant::now();
    }
}

/// What a running action tells, in words.
pub fn progress_words(progress: &Progress) -> String {
    match progress {
        Progress::Restoring { done, of, percent: Some(percent) } => {
            format!("{done} of {of} in this batch, the next one is at {percent} %")
        }
        Progress::Restoring { done, of, percent: None } => format!("{done} of {of} in this batch"),
        Progress::Doing(what) => what.clone(),
    }
}

impl Report for Lines {
    fn notice(&self, text: &str) {
        self.inner().say(&sentence(text));
    }

    fn planned(&self, view: &View<'_>) {
        let mut inner = self.inner();
        let Some(plan) = view.plan else { return };
        let moving = !matches!(plan.direction, Direction::Steady(_));
        let judged = !plan.steps.is_empty();
        // A header is not told again because something is looked at anew.
        let seen = plan.rule != Reason::Looking || inner.told_for.is_some_and(|(.., seen)| seen);
        let told_for = Some((plan.direction, judged, seen));
        if inner.told_for.is_none() || (moving && judged && inner.told_for != told_for) {
            inner.told_for = told_for;
            inner.told.clear();
            for line in header::header(view) {
                inner.say(&wrap(&line, "", WIDTH));
            }
            if moving && judged {
                inner.say("");
            }
        }
        if inner.told_for.is_none_or(|(direction, ..)| matches!(direction, Direction::Steady(_))) {
            return;
        }
        if !matches!(plan.next, Next::Wait { .. }) {
            inner.waiting = None;
        }
        let mut in_order = true;
        for step in &view.record.listing {
            let tell = match step.state {
                // What was so from the start is told in its turn.
                StepState::Done | StepState::Skipped => in_order || view.record.steps.contains_key(&step.id),
                _ => {
                    in_order = false;
                    inner.told.remove(&step.id);
                    false
                }
            };
            if tell && inner.told.insert(step.id) {
                let line = steps::line(view, step, self.paint);
                inner.say(&line);
            }
        }
    }

    fn started(&self, step: StepId, view: &View<'_>) {
        let mut inner = self.inner();
        inner.staying = None;
        if !inner.begun.insert(step) {
            return;
        }
        let target = view.record.listing.iter().find(|s| s.id == step).map_or("", |s| s.target.as_str());
        let line = format!("  {} {:18} {target}", self.paint.busy("▶"), step);
        inner.say(line.trim_end());
    }

    fn progress(&self, step: StepId, progress: &Progress) {
        let mut inner = self.inner();
        if inner.last_line.elapsed() >= QUIET {
            let line = format!("  {} {:18} {}", self.paint.busy("▶"), step, progress_words(progress));
            inner.say(&line);
        }
    }

    fn confirmed(&self, step: StepId, view: &View<'_>) {
        let mut inner = self.inner();
        inner.failure = None;
        if inner.last_line.elapsed() >= QUIET
            && let Some(step) = view.record.listing.iter().find(|s| s.id == step)
        {
            let line = steps::line(view, step, self.paint);
            inner.say(&line);
        }
    }

    fn failed(&self, step: StepId, error: &ActError, view: &View<'_>) {
        let mut inner = self.inner();
        let key = Some((step, error.key()));
        if inner.failure != key {
            inner.failure = key;
            let text = format!(
                "{}, {}: {} Looking again.",
                step,
                time(view.now, view.record.started),
                sentence(&error.to_string())
            );
            let line = format!("  {} {}", self.paint.bad("!"), wrap(&text, "    ", WIDTH).trim_start());
            inner.say(&line);
        }
    }

    fn waiting(&self, view: &View<'_>) {
        let mut inner = self.inner();
        inner.staying = None;
        let Some(Next::Wait { reason, message, step, .. }) = view.plan.map(|plan| &plan.next) else { return };
        // The message may count seconds; the reason does not.
        let key = format!("{reason} {step:?}");
        if inner.waiting.as_ref() != Some(&key) {
            inner.waiting = Some(key);
            let text = wrap(&format!("Waiting ({reason}): {}", sentence(message)), "    ", WIDTH);
            let line = format!("  {} {}", self.paint.busy("…"), text.trim_start());
            inner.say(&line);
        }
    }

    fn staying(&self, halt: &Halt, until: Timestamp, view: &View<'_>) {
        let mut inner = self.inner();
        let same = inner
            .staying
            .as_ref()
            .is_some_and(|last| last.name() == halt.name() && last.digest() == halt.digest());
        if same {
            return;
        }
        inner.staying = Some(halt.clone());
        let block = stop::stop(view, halt, &self.invocation, self.paint, false);
        inner.say(&block);
        inner.say(&staying_words(until, view.now));
    }
}

/// How long a run stays at a stop.
pub fn staying_words(until: Timestamp, now: Timestamp) -> String {
    capital(&format!(
        "staying here until {} at the latest; the run goes on by itself when the cause is gone.",
        time(until, now)
    ))
}
