//! Leader election: which replica of one cluster works.
//!
//! A Lease orders the replicas of one cluster, not two clusters or a laptop; behind it the lock and the owner's epoch
//! at the far end hold. A replica that has lost the Lease ends what runs and begins nothing.

use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Context, ControllerError, MANAGER};
use crate::reconcile::{Interrupt, Interrupter, interrupts};

/// Seconds for which a Lease holds without being renewed.
const DURATION: u64 = 15;
/// Seconds before its end at which it is renewed.
const GRACE: u64 = 5;

/// This replica's part in the election.
pub struct Leadership {
    holds: watch::Receiver<bool>,
    election: Option<JoinHandle<kube_lease_manager::Result<LeaseManager>>>,
    /// Without an election the sender must live on.
    _always: Option<watch::Sender<bool>>,
}

impl Leadership {
    /// Joins the election, or leads at once where there is none.
    pub async fn begin(context: &Context) -> Result<Self, ControllerError> {
        let Some(name) = &context.options.lease else {
            let (always, holds) = watch::channel(true);
            return Ok(Leadership { holds, election: None, _always: Some(always) });
        };
        let pod = &context.options.pod;
        let manager = LeaseManagerBuilder::new(context.client.clone(), name)
            .with_namespace(&pod.namespace)
            .with_identity(&pod.name)
            .with_field_manager(format!("{MANAGER}-{}", pod.name))
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(|error| ControllerError::Lease {
                name: name.clone(),
                namespace: pod.namespace.clone(),
                cause: error.to_string(),
            })?;
        let (holds, election) = manager.watch().await;
        Ok(Leadership { holds, election: Some(election), _always: None })
    }

    /// Waits until this replica leads. What comes back is interrupted when it leads no more, or is to stop; nothing
    /// comes back when it is to stop.
    pub async fn term(&mut self, interrupt: &mut Interrupt) -> Option<Interrupt> {
        tokio::select! {
            biased;
            () = interrupt.wait() => return None,
            led = self.holds.wait_for(|holds| *holds) => drop(led.ok()?),
        }
        let (over, term) = interrupts();
        tokio::spawn(watch_term(self.holds.clone(), interrupt.clone(), over));
        Some(term)
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn end(self) {
        let Leadership { holds, election, .. } = self;
        drop(holds);
        if let Some(election) = election {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(5), election).await;
        }
    }
}

async fn watch_term(mut holds: watch::Receiver<bool>, mut interrupt: Interrupt, over: Interrupter) {
    tokio::select! {
        () = interrupt.wait() => {}
        _ = holds.wait_for(|holds| !*holds) => tracing::warn!("the Lease is lost: nothing new is begun"),
    }
    over.ask();
}
