//! The operator in Kubernetes: `PersistentChatPool` objects in, status and events out.
//!
//! Answers for everything that needs an API server: leader election, watches, Secrets, who works on which pool, writing
//! status. What is done to a pool, and when, is the business of `reconcile` and the planner; the same driver runs here
//! and from the command line. Deleting an object never touches a far end.

mod bounded;
mod declared;
mod fleet;
mod lease;
mod metrics;
mod probes;
mod publish;
mod stored;
pub mod teller;
#[cfg(test)]
mod tests;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::api::ApiResource;
use kube::client::ClientBuilder;
use kube::{Client, Config, Resource};
use pchat_crds::PersistentChatPool;
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimitLayer;

use self::bounded::Limits;
use self::lease::{Heard, Leadership};
use self::metrics::Metrics;
use crate::reconcile::Interrupt;
use crate::validate::Installation;

/// The annotations that are commands.
pub mod annotation {
    /// Accepts exactly the hazards that a stop showed under this digest.
    pub const APPROVE: &str = "persistentchat.io/approve";
    /// With any value but `false`: look, and change nothing.
    pub const SUSPEND: &str = "persistentchat.io/suspend";
    /// Another value: look at everything again, now.
    pub const RECONCILE_AT: &str = "persistentchat.io/reconcile-at";
}

/// The field manager and reporting controller.
pub const MANAGER: &str = "pchat-operator";

/// Requests to the API server at a time: each takes a connection, and a start with many pools asks for all their Secrets.
const REQUESTS: usize = 8;

/// Looks at a time, each of up to half a dozen connections: they are what a start with many pools takes in memory.
const LOOKS: usize = 16;

/// How long an answer of the API server is waited for, the queue before it included. It may have died with a site, and its
/// connections do not tell.
const ANSWER: Duration = Duration::from_secs(30);

/// What the API server answers, if it does in time.
async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(ANSWER, call).await.unwrap_or_else(|_| {
        let silent = format!("the API server has not answered within {} s", ANSWER.as_secs());
        Err(kube::Error::Service(silent.into()))
    })
}

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace to work in; all, if none.
    pub namespace: Option<String>,
    /// Name of the Lease; without one every replica works, fenced by the far end alone.
    pub lease: Option<String>,
    /// Namespace of the Lease, and this replica's name.
    pub pod: Pod,
    /// Where probes and metrics are served.
    pub listen: SocketAddr,
    /// What holds for every pool.
    pub here: Installation,
    /// How many pools are acted on at the same time.
    pub at_once: usize,
}

/// Who this process is in the cluster.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why the operator can't run.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// No way to an API server.
    #[error(
        "the API server can't be reached: {0}. In a pod the service account is used; elsewhere KUBECONFIG or \
         ~/.kube/config must name a cluster"
    )]
    Config(String),
    /// The resource is not there.
    #[error(
        "the API server does not know PersistentChatPool (persistentchat.io/v1alpha1): {0}. Apply \
         crds/persistentchatpools.yaml first, or install the chart, which brings it"
    )]
    NotInstalled(String),
    /// Probes and metrics.
    #[error("probes and metrics can't be served at {address}: {cause}. Choose another address with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// Leader election.
    #[error("the Lease {name} in {namespace} can't be used: {cause}. Check the role of the service account")]
    Lease {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Why.
        cause: String,
    },
}

/// What everything here shares.
pub(crate) struct Context {
    client: Client,
    resource: ApiResource,
    options: Options,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// Whether the API server can be reached and knows the resource.
async fn known(client: &Client) -> Result<(), ControllerError> {
    let version = PersistentChatPool::api_version(&());
    match client.list_api_group_resources(&version).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(told)) if told.code == 404 => Err(ControllerError::NotInstalled(told.message)),
        // Whatever else it answers, it is there; what is not allowed shows where it is needed.
        Err(kube::Error::Api(_)) => Ok(()),
        Err(error) => Err(ControllerError::Config(chain(&error))),
    }
}

/// An error with its causes; the outermost one alone often says only that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

/// A client as the environment says: the service account's in a cluster, the kubeconfig's elsewhere.
async fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let config = Config::infer().await?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&ConcurrencyLimitLayer::new(REQUESTS)).build())
}

/// Runs until it is asked to stop: leads while it holds the Lease, waits for it otherwise.
pub async fn run(options: Options, mut interrupt: Interrupt) -> Result<(), ControllerError> {
    let client = client().await.map_err(|error| ControllerError::Config(error.to_string()))?;
    known(&client).await?;
    let metrics = Arc::new(Metrics::default());
    let serving = probes::serve(options.listen, Arc::clone(&metrics)).await?;
    let heard = Heard::default();
    let context = Arc::new(Context {
        resource: ApiResource::erase::<PersistentChatPool>(&()),
        limits: Limits::new(
            Semaphore::new(LOOKS),
            Semaphore::new(options.at_once),
            options.lease.is_some().then(|| heard.clone()),
        ),
        client,
        options,
        metrics,
    });
    let mut leadership = Leadership::begin(&context, heard).await?;
    context.metrics.ready();
    while let Some(term) = leadership.term(&mut interrupt).await {
        context.metrics.leads(true);
        tracing::info!("leads");
        fleet::lead(&context, term.clone()).await;
        context.metrics.leads(false);
        tracing::info!("leads no more: nothing of this process runs at a far end");
    }
    leadership.end().await;
    serving.abort();
    Ok(())
}
