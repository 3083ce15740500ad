//! Leader election: which replica of one cluster works.
//!
//! A Lease orders the replicas of one cluster, not two clusters or a laptop; behind it the lock and the owner's epoch
//! at the far end hold. A replica that has lost the Lease ends what runs and begins nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::util::MapResponseLayer;

use super::{Context, ControllerError, MANAGER, Pod};
use crate::reconcile::{Interrupt, Interrupter, interrupts};

/// Seconds for which a Lease holds without being renewed.
const DURATION: u64 = 15;
/// Seconds before its end at which it is renewed.
const GRACE: u64 = 5;

/// How long the election waits for an answer of the API server.
const REPLY: Duration = Duration::from_secs(GRACE);

/// When the API server last agreed to what the election asked of it. Who holds the Lease does not hear of its loss while he is cut
/// off: then only this tells.
#[derive(Clone, Debug)]
pub struct Heard {
    begun: Instant,
    /// Milliseconds after that.
    last: Arc<AtomicU64>,
}

impl Default for Heard {
    fn default() -> Self {
        Heard { begun: Instant::now(), last: Arc::default() }
    }
}

impl Heard {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long nothing was heard, if that is longer than the Lease holds.
    pub fn doubtful(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)));
        (since > Duration::from_secs(DURATION)).then_some(since)
    }

    fn listen<B>(self) -> impl Fn(Response<B>) -> Response<B> + Clone {
        move |response| {
            if response.status().is_success() {
                self.last.store(self.now(), Ordering::Relaxed);
            }
            response
        }
    }

    /// A client of its own for the election, which gives up on an answer that does not come.
    async fn client(self) -> Result<Client, Box<dyn std::error::Error>> {
        let mut config = Config::infer().await?;
        config.connect_timeout = Some(REPLY);
        config.read_timeout = Some(REPLY);
        config.reset_reader_on_write = true;
        Ok(ClientBuilder::try_from(config)?.with_layer(&MapResponseLayer::new(self.listen())).build())
    }
}

/// This replica's part in the election.
pub struct Leadership {
    place: Option<Place>,
    holds: watch::Receiver<bool>,
    election: Option<Election>,
    /// Without an election the sender must live on.
    _always: Option<watch::Sender<bool>>,
}

type Election = JoinHandle<kube_lease_manager::Result<LeaseManager>>;

/// Which Lease, and for whom.
struct Place {
    client: Client,
    name: String,
    pod: Pod,
}

impl Place {
    async fn join(&self) -> Result<(watch::Receiver<bool>, Election), ControllerError> {
        let manager = LeaseManagerBuilder::new(self.client.clone(), &self.name)
            .with_namespace(&self.pod.namespace)
            .with_identity(&self.pod.name)
            .with_field_manager(format!("{MANAGER}-{}", self.pod.name))
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(|error| ControllerError::Lease {
                name: self.name.clone(),
                namespace: self.pod.namespace.clone(),
                cause: error.to_string(),
            })?;
        Ok(manager.watch().await)
    }

    /// Whether the Lease is known not to be there.
    async fn is_gone(&self) -> bool {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.pod.namespace);
        matches!(leases.get_metadata_opt(&self.name).await, Ok(None))
    }
}

impl Leadership {
    /// Joins the election, or leads at once where there is none.
    pub async fn begin(context: &Context, heard: Heard) -> Result<Self, ControllerError> {
        let Some(name) = &context.options.lease else {
            let (always, holds) = watch::channel(true);
            return Ok(Leadership { place: None, holds, election: None, _always: Some(always) });
        };
        let client = heard.client().await.map_err(|error| ControllerError::Config(error.to_string()))?;
        let place = Place { client, name: name.clone(), pod: context.options.pod.clone() };
        let (holds, election) = place.join().await?;
        Ok(Leadership { place: Some(place), holds, election: Some(election), _always: None })
    }

    /// Waits until this replica leads. What comes back is interrupted when it leads no more, or is to stop; nothing
    /// comes back when it is to stop.
    pub async fn term(&mut self, interrupt: &mut Interrupt) -> Option<Interrupt> {
        loop {
            tokio::select! {
                biased;
                () = interrupt.wait() => return None,
                led = self.holds.wait_for(|holds| *holds) => {
                    drop(led.ok()?);
                    break;
                }
                () = tokio::time::sleep(Duration::from_secs(DURATION)) => {}
            }
            self.join_again_if_gone().await;
        }
        let (over, term) = interrupts();
        tokio::spawn(watch_term(self.holds.clone(), interrupt.clone(), over));
        Some(term)
    }

    /// The election goes on only with the Lease that it began with: one that was deleted must be made anew.
    async fn join_again_if_gone(&mut self) {
        let Some(place) = &self.place else { return };
        if !place.is_gone().await {
            return;
        }
        match place.join().await {
            Ok((holds, election)) => {
                tracing::info!("the Lease was deleted: another election is begun");
                self.holds = holds;
                if let Some(over) = self.election.replace(election) {
                    over.abort();
                }
            }
            Err(error) => tracing::warn!(%error, "the deleted Lease can't be made anew; tried again"),
        }
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn end(self) {
        let Leadership { holds, election, .. } = self;
        drop(holds);
        if let Some(election) = election {
            let _ = tokio::time::timeout(Duration::from_secs(5), election).await;
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
