//! The one who works on one pool: reads what is declared, keeps the far ends open, and runs the driver again and again.
//!
//! There is one worker a pool, so there are never two passes over it. Whatever changes in the declaration interrupts the
//! driver at its next safe point; a far end that keeps its address, login and options keeps its connections.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::pool::{Mode, Pool};
use tokio::sync::watch;
use tracing::Instrument;

use super::bounded::Bounded;
use super::declared::{self, Declared};
use super::fleet::Seen;
use super::publish::{self, Publisher};
use super::teller::{Sink, Teller};
use super::{Context, MANAGER, answered};
use crate::far_end::FarEnd;
use crate::observe::Ends;
use crate::real::RealFarEnd;
use crate::reconcile::{Backoff, Driver, Ending, Interrupt, Keeper, Settings, interrupts};
use crate::report::status::refused;

/// How long a pool with nothing to do is left alone, unless something else is declared. With the time that a look at a dead
/// side takes it stays below [`pchat_planner::FRESH`]: who turns the field then begins with what is known.
const REST: Duration = Duration::from_secs(20);

/// Works until the object is gone or `term` is over.
pub async fn work(context: Arc<Context>, mut seen: watch::Receiver<Seen>, term: Interrupt) {
    let Some(object) = seen.borrow_and_update().object.clone() else { return };
    let span = tracing::info_span!("pool", pool = %format!("{}/{}", object.namespace, object.name));
    let (publisher, mut writing) = publish::begin(&context, &object, seen.clone());
    drop(object);
    let worker = Worker { context, seen, term, publisher, latest: None, keeper: None };
    worker.run().instrument(span).await;
    // What was told last is still written, unless the API server does not answer. Behind the end of the term nothing is.
    if tokio::time::timeout(Duration::from_secs(5), &mut writing).await.is_err() {
        writing.abort();
    }
}

struct Worker {
    context: Arc<Context>,
    seen: watch::Receiver<Seen>,
    term: Interrupt,
    publisher: Publisher,
    /// What was read last: its Secrets need not be read again, and the annotation of its approval may be gone before that
    /// stands in the status.
    latest: Option<Arc<Declared>>,
    /// What the runs in this process hand on to the next: approvals, and which run is over.
    keeper: Option<Keeper>,
}

impl Worker {
    async fn run(mut self) {
        while let Some(declared) = self.read().await {
            match &declared.ends {
                Ok(ends) => self.serve(&declared, Arc::clone(ends)).await,
                Err(problems) => {
                    tracing::warn!(problems = problems.join(" "), "what is declared can't be worked with");
                    let (object, now) = (declared.object.clone(), Timestamp::now());
                    let answers = crate::report::status::invalid(problems);
                    self.publisher.put(&|before| refused(&answers, &object, before, now));
                    tokio::select! { () = other(&mut self.seen, &declared) => {}, () = self.term.wait() => {} }
                }
            }
        }
    }

    /// What is declared now; nothing when there is nothing to work on any more.
    async fn read(&mut self) -> Option<Arc<Declared>> {
        let mut pause = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        loop {
            if self.term.asked() {
                return None;
            }
            let seen = self.seen.borrow_and_update().clone();
            let (client, here) = (&self.context.client, &self.context.options.here);
            // On the heap for as long as it lasts: a pool at rest would pay for its room.
            let read = Box::pin(declared::read(&seen, self.latest.as_deref(), client, here));
            let read = tokio::select! {
                read = answered(read) => read,
                () = self.term.wait() => return None,
            };
            match read {
                Ok(declared) => {
                    self.latest = declared.map(Arc::new);
                    return self.latest.clone();
                }
                Err(error) => {
                    tracing::warn!(%error, "the Secrets of the pool can't be read; tried again");
                    tokio::select! { () = tokio::time::sleep(pause.pause()) => {}, () = self.term.wait() => {} }
                }
            }
        }
    }

    /// Works with these far ends for as long as the declaration of them stays the same.
    async fn serve(&mut self, declared: &Arc<Declared>, ends: Arc<Ends>) {
        let mut pool = ends.pool.clone();
        let far = Bounded::new(RealFarEnd::start(ends), self.context.limits.clone());
        // Most pools will turn out to be as declared: what looks open is not kept before something is to be done.
        far.rest().await;
        if let Some(weakened) = &pool.weakened {
            tracing::warn!("{weakened}");
        }
        let mut current = Arc::clone(declared);
        loop {
            if current.object.suspended {
                pool.mode = Mode::Plan;
            }
            self.once(&pool, &far, &current).await;
            let Some(new) = self.read().await.filter(|new| new.reached_by == declared.reached_by) else {
                break;
            };
            let Ok(ends) = &new.ends else { break };
            pool = ends.pool.clone();
            current = new;
        }
        Box::pin(far.into_inner().close()).await;
    }

    /// One run of the driver and the rest behind it.
    async fn once<F: FarEnd>(&mut self, pool: &Pool, far: &F, declared: &Declared) {
        // On the heap, as above.
        if Box::pin(self.drive(pool, far, declared)).await == Ending::Interrupted {
            return;
        }
        far.rest().await;
        tokio::select! {
            () = other(&mut self.seen, declared) => {}
            () = self.term.wait() => {}
            () = tokio::time::sleep(REST) => {}
        }
    }

    /// Runs the driver to the end of its run, and tells how that was. Of the run only the keeper is kept.
    async fn drive<F: FarEnd>(&mut self, pool: &Pool, far: &F, declared: &Declared) -> Ending {
        let executor = format!("{MANAGER} {}", self.context.options.pod.name);
        let approvals: Vec<String> = declared.object.approval.iter().map(|a| a.digest.clone()).collect();
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper.with_only(&approvals),
            None => Keeper::open(None, pool, &executor, &approvals, Timestamp::now()).0,
        };
        let teller = Teller::new(&self.publisher, declared.object.clone());
        let (interrupter, interrupt) = interrupts();
        let settings = Settings { stay: Duration::MAX, ..Settings::default() };
        let run = Driver::new(pool, far, &pchat_planner::plan, &teller, interrupt, settings, keeper).run();
        let mut run = pin!(run);
        let outcome = tokio::select! {
            outcome = &mut run => outcome,
            () = other(&mut self.seen, declared) => { interrupter.ask(); run.await }
            () = self.term.wait() => { interrupter.ask(); run.await }
        };
        if outcome.ending == Ending::Interrupted && self.term.asked() {
            tracing::info!("stopped at a safe point");
        }
        teller.over(pool, &outcome, Timestamp::now());
        self.keeper = Some(outcome.keeper);
        outcome.ending
    }
}

/// Returns when something else is asked for than `declared`, or the object is gone.
async fn other(seen: &mut watch::Receiver<Seen>, declared: &Declared) {
    // An error is the end of the fleet: `term` tells.
    if seen.wait_for(|seen| declared.differs(seen)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
