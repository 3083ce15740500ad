//! The real far ends: SQL Server over TDS and the Lync Management Shell over PowerShell Remoting.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pchat_planner::facts::Facts;
use pchat_planner::journal::{Epoch, Note};

use crate::act::{Actor, Situation};
use crate::far_end::{ActError, Done, FarEnd, Freshness, Order, Progress, Sign};
use crate::observe::{Ends, Observer};

/// Looks and acts over the wire.
pub struct RealFarEnd {
    observer: Observer,
    actor: Actor,
}

impl RealFarEnd {
    /// Begins to look. Must be called within a tokio runtime; the looks end when this is dropped.
    pub fn start(ends: Arc<Ends>) -> Self {
        RealFarEnd { observer: Observer::start(Arc::clone(&ends)), actor: Actor::new(ends) }
    }

    /// Ends the looks and closes what they hold open at the far ends. Dropping it instead leaves a session
    /// in the management shell until its idle time is over.
    pub async fn close(self) {
        tokio::join!(self.observer.close(), self.actor.close());
    }
}

impl FarEnd for RealFarEnd {
    fn observe(&self, freshness: Freshness) -> impl Future<Output = Facts> + Send {
        self.observer.observe(freshness)
    }

    async fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        self.observer.rouse();
        self.observer.forget_home().await;
        let situation =
            Situation { clock: self.observer.clock().await, silent_servers: self.observer.silent_servers() };
        let told = self.actor.act(order, &situation, progress).await;
        self.observer.stumbled(&self.actor.troubles());
        told
    }

    async fn note(&self, note: &Note, executor: &str) -> Result<(), String> {
        self.actor.note(note, executor, self.observer.clock().await).await
    }

    async fn sign(&self, sign: Sign, epoch: &Epoch, executor: &str) -> Result<(), ActError> {
        self.actor.sign(sign, epoch, executor, self.observer.clock().await).await
    }

    fn news(&self, at_most: Duration) -> impl Future<Output = ()> + Send {
        self.observer.news(at_most)
    }

    fn rest(&self) -> impl Future<Output = ()> + Send {
        self.observer.rest()
    }
}
