//! The one who works on one pool: reads what is declared, keeps the far ends open, and runs the driver again and again.
//!
//! There is one worker a pool, so there are never two passes over it. Whatever changes in the declaration interrupts the
//! driver at its next safe point; a far end that keeps its address, login and options keeps its connections.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pchat_crds::status::ApprovalStatus;
use pchat_planner::pool::Mode;
use tokio::sync::watch;
use tracing::Instrument;

use super::bounded::Bounded;
use super::declared::{self, Declared};
use super::fleet::Seen;
use super::publish::{self, Publisher};
use super::teller::{Sink, Teller};
use super::{Context, MANAGER};
use crate::far_end::FarEnd;
use crate::observe::Ends;
use crate::real::RealFarEnd;
use crate::reconcile::{Backoff, Driver, Ending, Interrupt, Keeper, Settings, interrupts};
use crate::report::status::refused;

/// How long a pool with nothing to do is left alone, unless something is heard of it.
const REST: Duration = Duration::from_secs(30);
/// How long it is left alone in any case.
const LEAST_REST: Duration = Duration::from_secs(5);

/// Works until the object is gone or `term` is over.
pub async fn work(context: Arc<Context>, mut seen: watch::Receiver<Seen>, term: Interrupt) {
    let Some(object) = seen.borrow_and_update().object.clone() else { return };
    let (namespace, name) = (
        object.metadata.namespace.clone().unwrap_or_default(),
        object.metadata.name.clone().unwrap_or_default(),
    );
    let span = tracing::info_span!("pool", pool = %format!("{namespace}/{name}"));
    let (publisher, writing) = publish::begin(&context, &object, seen.clone());
    let worker = Worker { context, seen, term, publisher, latched: None, keeper: None };
    worker.run().instrument(span.clone()).await;
    // What was told last is still written, unless the API server does not answer.
    let _ = tokio::time::timeout(Duration::from_secs(5), writing.instrument(span)).await;
}

struct Worker {
    context: Arc<Context>,
    seen: watch::Receiver<Seen>,
    term: Interrupt,
    publisher: Publisher,
    /// The approval that was seen last; its annotation may be gone before it stands in the status.
    latched: Option<ApprovalStatus>,
    /// What the runs in this process hand on to the next: approvals, and which run is over.
    keeper: Option<Keeper>,
}

impl Worker {
    async fn run(mut self) {
        while let Some(declared) = self.read().await {
            match &declared.ends {
                Ok(ends) => self.serve(&declared, ends.clone()).await,
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
    async fn read(&mut self) -> Option<Declared> {
        let mut pause = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        loop {
            if self.term.asked() {
                return None;
            }
            let seen = self.seen.borrow_and_update().clone();
            let (client, hosts) = (&self.context.client, &self.context.options.hosts);
            match declared::read(&seen, self.latched.as_ref(), client, hosts).await {
                Ok(declared) => {
                    self.latched = declared.as_ref().and_then(|declared| declared.object.approval.clone());
                    return declared;
                }
                Err(error) => {
                    tracing::warn!(%error, "the Secrets of the pool can't be read; tried again");
                    tokio::select! { () = tokio::time::sleep(pause.pause()) => {}, () = self.term.wait() => {} }
                }
            }
        }
    }

    /// Works with these far ends for as long as the declaration of them stays the same.
    async fn serve(&mut self, declared: &Declared, ends: Ends) {
        let pool = ends.pool.clone();
        let far = Bounded::new(RealFarEnd::start(ends), self.context.limits.clone());
        let mut current = declared.clone();
        loop {
            let mut pool = pool.clone();
            if current.object.suspended {
                pool.mode = Mode::Plan;
            }
            self.once(&pool, &far, &current).await;
            match self.read().await {
                Some(new) if new.made_from == declared.made_from => current = new,
                _ => break,
            }
        }
        far.into_inner().close().await;
    }

    /// One run of the driver and the rest behind it.
    async fn once<F: FarEnd>(&mut self, pool: &pchat_planner::pool::Pool, far: &F, declared: &Declared) {
        let executor = format!("{MANAGER} {}", self.context.options.pod.name);
        let approvals: Vec<String> = declared.object.approval.iter().map(|a| a.digest.clone()).collect();
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper.with_approvals(&approvals),
            None => Keeper::open(None, pool, &executor, &approvals, Timestamp::now()).0,
        };
        let teller = Teller::new(&self.publisher, declared.object.clone());
        let (interrupter, interrupt) = interrupts();
        let driver = Driver::new(
            pool,
            far,
            &pchat_planner::plan,
            &teller,
            interrupt,
            Settings { stay: Duration::MAX, ..Settings::default() },
            keeper,
        );
        let outcome = {
            let run = driver.run();
            tokio::pin!(run);
            let seen = &mut self.seen;
            let term = &mut self.term;
            tokio::select! {
                outcome = &mut run => outcome,
                () = other(seen, declared) => { interrupter.ask(); run.await }
                () = term.wait() => { interrupter.ask(); run.await }
            }
        };
        if let (Ending::Interrupted, true) = (&outcome.ending, self.term.asked()) {
            tracing::info!("stopped at a safe point");
        }
        teller.over(pool, &outcome, Timestamp::now());
        let rests = outcome.ending != Ending::Interrupted;
        self.keeper = Some(outcome.keeper);
        if rests {
            tokio::select! {
                () = other(&mut self.seen, declared) => {}
                () = self.term.wait() => {}
                () = async {
                    // What changes all the time, such as the sessions of users, is no reason to look all the time.
                    tokio::time::sleep(LEAST_REST).await;
                    far.news(REST).await;
                } => {}
            }
        }
    }
}

/// Returns when something else is asked for than `declared`, or the object is gone.
async fn other(seen: &mut watch::Receiver<Seen>, declared: &Declared) {
    // An error is the end of the fleet: `term` tells.
    if seen.wait_for(|seen| declared.differs(seen)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
