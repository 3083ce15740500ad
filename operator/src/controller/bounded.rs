//! A bound on how many pools are looked at and acted on at the same time, and on what is begun without an API server.
//!
//! A permit is held only while something is really under way, never while a pool waits: one that is stopped, or waits
//! for a job, costs the others nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pchat_planner::facts::Facts;
use pchat_planner::journal::Note;
use pchat_planner::plan::StepId;
use tokio::sync::Semaphore;

use super::lease::Heard;
use crate::far_end::{ActError, Done, FarEnd, Freshness, Order, Progress, Turn};

/// The bounds of one process.
#[derive(Clone, Debug)]
pub struct Limits {
    looks: Arc<Semaphore>,
    acts: Arc<Semaphore>,
    heard: Option<Heard>,
}

impl Limits {
    /// At most so many looks and so many actions; with `heard` nothing is begun while the Lease is in doubt.
    pub fn new(looks: Semaphore, acts: Semaphore, heard: Option<Heard>) -> Self {
        Limits { looks: Arc::new(looks), acts: Arc::new(acts), heard }
    }
}

/// A far end behind the bounds.
pub struct Bounded<F> {
    inner: F,
    limits: Limits,
}

impl<F: FarEnd> Bounded<F> {
    /// Puts `inner` behind `limits`.
    pub fn new(inner: F, limits: Limits) -> Self {
        Bounded { inner, limits }
    }

    /// Takes it out again.
    pub fn into_inner(self) -> F {
        self.inner
    }
}

impl<F: FarEnd> FarEnd for Bounded<F> {
    async fn observe(&self, freshness: Freshness) -> Facts {
        // The semaphore is never closed; were it, unbounded is better than blind.
        let _permit = self.limits.looks.acquire().await;
        // On the heap, so that who waits for a permit has no room for it yet.
        Box::pin(self.inner.observe(freshness)).await
    }

    async fn turn(&self) -> Turn {
        let acts = &self.limits.acts;
        match Arc::clone(acts).try_acquire_owned() {
            Ok(permit) => Turn { waited: false, permit: Some(permit) },
            Err(_) => Turn { waited: true, permit: Arc::clone(acts).acquire_owned().await.ok() },
        }
    }

    async fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        // What is under way is finished without an API server, too. What is declared may be another thing by now, and another
        // replica may have the Lease: so nothing is begun and nothing taken over.
        if let (StepId::TakeOwnership, Some(heard)) = (order.step, &self.limits.heard)
            && let Some(since) = heard.doubtful()
        {
            return Err(ActError::NotSent {
                target: "The API server".into(),
                detail: format!(
                    "it has not confirmed the Lease for {} s. Nothing is begun until it does; without a cluster, \
                     pchat-operator converge does the same.",
                    since.as_secs()
                ),
            });
        }
        Box::pin(self.inner.act(order, progress)).await
    }

    async fn note(&self, note: &Note, executor: &str) -> Result<(), String> {
        // Who may not begin anything writes nothing either: another replica sees what is to be seen.
        if self.limits.heard.as_ref().is_some_and(|heard| heard.doubtful().is_some()) {
            return Ok(());
        }
        Box::pin(self.inner.note(note, executor)).await
    }

    async fn news(&self, at_most: Duration) {
        Box::pin(self.inner.news(at_most)).await;
    }

    fn rest(&self) -> impl Future<Output = ()> + Send {
        self.inner.rest()
    }
}
