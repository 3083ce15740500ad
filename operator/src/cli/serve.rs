//! `run`: the operator in Kubernetes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::run::complain;
use super::signals::{Running, listen};
use super::{Allowed, Exit, load};
use crate::controller::{self, Options, Pod};
use crate::outside;
use crate::reconcile::default_host;
use crate::report::words::{capital, sentence};
use crate::validate::Installation;

/// What `run` can be told.
#[derive(Debug, Args)]
pub struct Serve {
    /// Work on the pools of this namespace only [default: those of all namespaces].
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// The Lease by which one replica is chosen.
    #[arg(long, value_name = "NAME", default_value = "pchat-operator")]
    lease: String,

    /// Work without a Lease: only for a single replica.
    #[arg(long)]
    no_leader_election: bool,

    /// Namespace of the Lease.
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE", default_value = "default")]
    pod_namespace: String,

    /// Name of this replica, for the Lease, for events and for the owner's mark at the far end [default: the host's].
    #[arg(long, value_name = "NAME", env = "POD_NAME", value_parser = super::executor)]
    pod_name: Option<String>,

    /// Where /healthz, /readyz and /metrics are served; [::] takes in IPv4 as well.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    listen: SocketAddr,

    /// How many pools are acted on at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,

    /// Addresses in the format of /etc/hosts, used before name resolution.
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,

    #[command(flatten)]
    allowed: Allowed,

    /// How the log is written.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,

    /// Tell more in the log.
    #[arg(short, long)]
    verbose: bool,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line an event, for a person.
    #[default]
    Text,
    /// A JSON object an event.
    Json,
}

impl Serve {
    /// Begins to write the log.
    pub fn log(&self) {
        let level = if self.verbose { "debug" } else { "info" };
        let filter = tracing_subscriber::EnvFilter::new(format!("warn,pchat_operator={level}"));
        let log = tracing_subscriber::fmt()
            .with_writer(outside::Log { json: self.log_format == LogFormat::Json })
            .with_ansi(false)
            .with_env_filter(filter);
        match self.log_format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
    }

    /// Runs until it is told to stop.
    pub async fn run(self) -> Exit {
        let hosts = match self.hosts.as_deref().map(load::read_hosts).transpose() {
            Ok(hosts) => hosts.unwrap_or_default(),
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| complain(mistake));
                return Exit::BadInput;
            }
        };
        let options = Options {
            namespace: self.namespace,
            lease: (!self.no_leader_election).then_some(self.lease),
            pod: Pod { namespace: self.pod_namespace, name: self.pod_name.unwrap_or_else(default_host) },
            listen: self.listen,
            here: self.allowed.apply(Installation::of_a_cluster(hosts)),
            at_once: self.at_once.into(),
        };
        let running = Running::default();
        running.speak_through(Some(Box::new(|text| tracing::info!("{text}"))));
        let interrupt = listen(Arc::new(running));
        match controller::run(options, interrupt).await {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&sentence(&capital(&error.to_string())));
                Exit::Internal
            }
        }
    }
}
