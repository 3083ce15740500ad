//! Ctrl-C and SIGTERM: the first asks the run to stop at a safe point, the second ends the process and says what is
//! left running.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pchat_planner::plan::StepId;

use super::Exit;
use crate::far_end::{ActError, Progress};
use crate::reconcile::{Interrupt, interrupts};
use crate::report::{Halt, Report, View};

/// What runs at the far end at this moment, and how to say something without disturbing what is drawn.
#[derive(Default)]
pub struct Running {
    /// Step and target, if anything runs.
    what: Mutex<Option<String>>,
    /// How to speak; standard error otherwise.
    speaker: Mutex<Option<Speaker>>,
}

/// Says a text.
pub type Speaker = Box<dyn Fn(&str) + Send>;

impl Running {
    /// From now on what is said goes through `speaker`.
    pub fn speak_through(&self, speaker: Option<Speaker>) {
        *self.speaker.lock().unwrap_or_else(PoisonError::into_inner) = speaker;
    }

    fn say(&self, text: &str) {
        match &*self.speaker.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(speaker) => speaker(text),
            None => super::run::complain(text),
        }
    }

    fn set(&self, what: Option<String>) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn current(&self) -> Option<String> {
        self.what.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Begins to listen. Must be called within a tokio runtime.
pub fn listen(running: Arc<Running>) -> Interrupt {
    let (interrupter, interrupt) = interrupts();
    tokio::spawn(async move {
        if !signal().await {
            return;
        }
        interrupter.ask();
        running.say(&match running.current() {
            Some(what) => {
                format!("Stopping as soon as {what} has ended. Once more ends this program at once.")
            }
            None => "Stopping.".into(),
        });
        if signal().await {
            running.say(&match running.current() {
                Some(what) => format!(
                    "Ended at once. {what} may still be running at the far end, or take effect there later; the \
                     next run looks before it does anything."
                ),
                None => "Ended at once. No action was running.".into(),
            });
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
    });
    interrupt
}

/// Returns at the next signal; false when none can be heard.
#[cfg(unix)]
async fn signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
    tokio::select! {
        heard = tokio::signal::ctrl_c() => heard.is_ok(),
        heard = terminate.recv() => heard.is_some(),
    }
}

#[cfg(not(unix))]
async fn signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

/// Keeps track of what runs, and hands everything on.
pub struct Watched<'a> {
    inner: &'a dyn Report,
    running: Arc<Running>,
}

impl<'a> Watched<'a> {
    /// Reports to `inner`.
    pub fn new(inner: &'a dyn Report, running: Arc<Running>) -> Self {
        Watched { inner, running }
    }
}

impl Report for Watched<'_> {
    fn notice(&self, sentence: &str) {
        self.inner.notice(sentence);
    }

    fn planned(&self, view: &View<'_>) {
        self.inner.planned(view);
    }

    fn started(&self, step: StepId, view: &View<'_>) {
        let target = view.record.listing.iter().find(|s| s.id == step).map_or("", |s| s.target.as_str());
        self.running.set(Some(if target.is_empty() {
            step.to_string()
        } else {
            format!("{step} ({target})")
        }));
        self.inner.started(step, view);
    }

    fn progress(&self, step: StepId, progress: &Progress) {
        self.inner.progress(step, progress);
    }

    fn confirmed(&self, step: StepId, view: &View<'_>) {
        self.running.set(None);
        self.inner.confirmed(step, view);
    }

    fn failed(&self, step: StepId, error: &ActError, view: &View<'_>) {
        self.running.set(None);
        self.inner.failed(step, error, view);
    }

    fn waiting(&self, view: &View<'_>) {
        self.inner.waiting(view);
    }

    fn staying(&self, halt: &Halt, until: Timestamp, view: &View<'_>) {
        self.inner.staying(halt, until, view);
    }
}
