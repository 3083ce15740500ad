//! The running lab: world, network, servers and shell put together.
//!
//! Answers for starting everything a scenario names and for ending it when it is dropped. What can be asked of a
//! running lab is in `control`; this module decides nothing.

use crate::chat::{Access, Chat, Pace, WorldPool};
use crate::control::{manifest, socket};
use crate::host::engine::LabEngine;
use crate::net::{Authority, Instance, Network, Way};
use crate::shell::LabCmdlets;
use crate::world::instance::Instance as SqlInstance;
use crate::world::scenario::{Encryption, Scenario};
use crate::world::seed::{CHAT_LOGIN, CHAT_PASSWORD};
use crate::world::{Shared, World};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Why a lab did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scenario cannot be built.
    #[error("the scenario cannot be built: {0}")]
    Scenario(String),
    /// A folder, socket or certificate could not be made.
    #[error("the lab could not start: {what}: {cause}")]
    Part {
        /// What could not be made.
        what: &'static str,
        /// Why.
        cause: String,
    },
}

pub(crate) fn part<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> StartError {
    move |cause| StartError::Part { what, cause: cause.to_string() }
}

/// What orders and servers share.
pub(crate) struct Inner {
    pub world: Shared,
    pub net: Arc<Network>,
    pub dir: PathBuf,
    pub ca: String,
    pub shell_port: u16,
    pub shell: pchat_lab_shell::Server,
    pub chat: Chat,
    pub held: std::sync::Mutex<Vec<(usize, i32, u64)>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lab({})", self.dir.display())
    }
}

/// A running lab. Dropping it ends every server in it.
#[derive(Debug)]
pub struct Lab {
    pub(crate) inner: Arc<Inner>,
    _servers: JoinSet<()>,
}

impl Lab {
    /// Starts a scenario with its files under `dir`, which is made where it is not there.
    ///
    /// # Errors
    /// [`StartError`], with nothing left running.
    pub async fn start(mut scenario: Scenario, dir: &Path) -> Result<Lab, StartError> {
        if scenario.seed == 0 {
            scenario.seed =
                u64::from(std::process::id()) ^ jiff::Timestamp::now().as_microsecond().unsigned_abs();
        }
        let files = dir.join("world");
        std::fs::create_dir_all(&files).map_err(part("the lab's folder"))?;
        let world = World::build(scenario.clone(), &files).map_err(StartError::Scenario)?;
        let world = Shared::new(world);
        let net = Arc::new(Network::new(scenario.seed).map_err(part("the network"))?);
        let authority =
            Authority::new("Persistent Chat lab CA").map_err(part("the certificate authority"))?;
        let mut servers = JoinSet::new();

        let mut ports = BTreeMap::new();
        let count = world.lock().servers.len();
        for server in 0..count {
            let (host, port) = start_sql(&world, &net, &authority, server, &mut servers).await?;
            ports.insert(host, port);
        }
        for host in chat_hosts(&scenario) {
            net.add_host(&host).await.map_err(part("a chat server's host"))?;
        }
        net.add_host(&scenario.log_shipping.share_host).await.map_err(part("the file server's host"))?;
        let (shell_port, shell) = start_shell(&world, &net, &authority, &scenario, &mut servers).await?;
        let latency = Duration::from_secs_f64(scenario.latency_ms.max(0.0) / 1000.0);
        if !latency.is_zero() {
            let hosts = scenario.sql_hosts().into_iter().map(|(h, _)| h).chain([scenario.shell.host.clone()]);
            for host in hosts {
                let way = Way { cut: false, latency };
                net.set_way(&crate::net::Client::Outside, &host, way).await.map_err(part("a latency"))?;
            }
        }
        servers.spawn(crate::host::agent::run(world.clone()));
        let access = Access {
            user: CHAT_LOGIN.into(),
            password: CHAT_PASSWORD.into(),
            database: scenario.database.clone(),
            encrypted: scenario.encryption != Encryption::None,
        };
        let pool = Arc::new(WorldPool::new(&world, ports));
        let pace = Pace { message: Duration::from_millis(scenario.message_every_ms), ..Pace::default() };
        let chat = Chat::start(&net, pool, &access, &chat_hosts(&scenario), pace);
        let ca = authority.pem().to_owned();
        let dir = dir.to_owned();
        let inner = Arc::new(Inner {
            world,
            net,
            dir,
            ca,
            shell_port,
            shell,
            chat,
            held: std::sync::Mutex::default(),
        });
        let lab = Lab { inner, _servers: servers };
        if scenario.primary_dead {
            lab.order("kill site primary").await.map_err(StartError::Scenario)?;
        }
        for step in 1..=scenario.runbook_done {
            lab.order(&format!("runbook {step}")).await.map_err(StartError::Scenario)?;
        }
        lab.inner.world.lock().timeline.mark();
        manifest::write(&lab).map_err(part("the lab's manifest"))?;
        Ok(lab)
    }

    /// The lab's folder: manifest, hosts file, CA, control socket.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The seed of this lab; a scenario that names it makes the same world.
    pub fn seed(&self) -> u64 {
        self.inner.world.lock().scenario.seed
    }

    /// A host's address on loopback.
    pub fn address(&self, host: &str) -> Option<Ipv4Addr> {
        self.inner.net.address(host)
    }

    /// Carries out an order, as `pchat-lab do` does, and returns its answer.
    ///
    /// # Errors
    /// A sentence that says what was wrong with the order or why it could not be carried out.
    pub async fn order(&self, line: &str) -> Result<serde_json::Value, String> {
        crate::control::orders::carry_out(&self.inner, line).await
    }

    /// The state of everything, as JSON.
    pub fn state(&self) -> serde_json::Value {
        crate::control::status::state(&self.inner.world.lock())
    }

    /// Every acknowledged message held against every copy of the chat database, as JSON.
    pub fn ledger(&self) -> serde_json::Value {
        crate::control::status::ledger(&self.inner.world.lock())
    }

    /// The account of service times since the last `mark`.
    pub fn critical_path(&self) -> Duration {
        self.inner.world.lock().timeline.critical_path()
    }

    /// The same as the far ends really took on this machine.
    pub fn critical_path_measured(&self) -> Duration {
        self.inner.world.lock().timeline.critical_path_measured()
    }

    /// Mutating statements and cmdlets of clients since the last `mark`.
    pub fn mutations(&self) -> u64 {
        self.inner.world.lock().timeline.mutations()
    }

    /// Takes orders over the control socket in the lab's folder until the lab is dropped.
    ///
    /// # Errors
    /// A socket that cannot be bound.
    pub fn listen(&mut self) -> std::io::Result<()> {
        let listener = socket::bind(&self.inner.dir)?;
        self._servers.spawn(socket::serve(listener, self.inner.clone()));
        Ok(())
    }
}

fn chat_hosts(scenario: &Scenario) -> Vec<String> {
    scenario.primary.chat_servers.iter().chain(&scenario.backup.chat_servers).cloned().collect()
}

/// The version as the wire has it.
fn wire_version(s: &SqlInstance) -> (u8, u8, u16) {
    let (major, minor, build) = s.version;
    (major as u8, minor as u8, build as u16)
}

async fn local_listener() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

fn names_of(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    names.extend(host.split_once('.').map(|(short, _)| short.to_owned()));
    names
}

async fn start_sql(
    world: &Shared,
    net: &Arc<Network>,
    authority: &Authority,
    server: usize,
    servers: &mut JoinSet<()>,
) -> Result<(String, u16), StartError> {
    let (host, instance, version, name, machine) = {
        let w = world.lock();
        let s = &w.servers[server];
        (s.host.clone(), s.instance.clone(), wire_version(s), s.name(), s.machine())
    };
    let address = net.add_host(&host).await.map_err(part("a SQL Server's host"))?;
    let certificate = authority.issue(&names_of(&host), address).map_err(part("a certificate"))?;
    let tls =
        pchat_tds::Tls::from_pem(&certificate.chain, &certificate.key).map_err(part("a certificate"))?;
    let settings = pchat_tds::Settings::new(name, version);
    let settings = match world.lock().scenario.encryption {
        Encryption::None => settings,
        Encryption::OnRequest => settings.with_tls(pchat_tds::Encryption::LoginOnly, tls),
        Encryption::Forced => settings.with_tls(pchat_tds::Encryption::Required, tls),
    };
    let engine = LabEngine::new(world.clone(), net.clone(), server);
    let tds = pchat_tds::Server::new(settings, engine).map_err(part("a SQL Server"))?;
    let (listener, at) = local_listener().await.map_err(part("a SQL Server's port"))?;
    servers.spawn(async move {
        if let Err(error) = tds.serve(listener).await {
            tracing::error!(%error, "a SQL Server stopped");
        }
    });
    let wanted = if instance.is_some() { 0 } else { 1433 };
    let port = net.open(&host, wanted, at).await.map_err(part("a SQL Server's port"))?;
    let (major, minor, build) = version;
    let told = Instance {
        host: machine,
        name: instance.unwrap_or_else(|| "MSSQLSERVER".into()),
        version: format!("{major}.{minor}.{build}.0"),
        port,
    };
    net.browse(&host, vec![told]).await.map_err(part("a SQL Server Browser"))?;
    Ok((host, port))
}

/// The Front End's `/OcsPowerShell`, and an ordinary endpoint beside it (`/wsman`), on port 443.
async fn start_shell(
    world: &Shared,
    net: &Arc<Network>,
    authority: &Authority,
    scenario: &Scenario,
    servers: &mut JoinSet<()>,
) -> Result<(u16, pchat_lab_shell::Server), StartError> {
    let host = &scenario.shell.host;
    let address = net.add_host(host).await.map_err(part("the shell's host"))?;
    let certificate = authority.issue(&names_of(host), address).map_err(part("a certificate"))?;
    let identity = native_tls::Identity::from_pkcs8(certificate.chain.as_bytes(), certificate.key.as_bytes());
    let (domain, name) = scenario.shell.user.split_once('\\').unwrap_or(("", &scenario.shell.user));
    let options = pchat_lab_shell::Options {
        paths: vec!["/OcsPowerShell".into(), "/wsman".into()],
        configurations: vec![pchat_lab_shell::Configuration {
            name: "Microsoft.PowerShell".into(),
            language: !scenario.shell.no_language,
        }],
        accounts: vec![pchat_lab_shell::Account {
            domain: domain.into(),
            user: name.into(),
            password: scenario.shell.password.clone(),
        }],
        tls: Some(identity.map_err(part("the shell's certificate"))?),
        basic: true,
        ..pchat_lab_shell::Options::default()
    };
    let cmdlets = Arc::new(LabCmdlets::new(world, net));
    let server = pchat_lab_shell::Server::new(options, cmdlets).map_err(part("the shell"))?;
    let (listener, at) = local_listener().await.map_err(part("the shell's port"))?;
    let serving = server.clone();
    servers.spawn(async move {
        if let Err(error) = serving.serve(listener).await {
            tracing::error!(%error, "the shell stopped");
        }
    });
    let port = net.open(host, 443, at).await.map_err(part("the shell's port"))?;
    Ok((port, server))
}
