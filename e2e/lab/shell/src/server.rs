//! The server: what it offers, and serving connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::auth::Account;
use crate::cmdlets::Cmdlets;
use crate::http::Connection;
use crate::wsman::Shells;

/// What a server offers, and to whom.
#[derive(Clone)]
pub struct Options {
    /// URL paths, `/wsman` or `/OcsPowerShell`.
    pub paths: Vec<String>,
    /// Session configurations.
    pub configurations: Vec<Configuration>,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// Certificate and key, when connections begin with TLS.
    pub tls: Option<native_tls::Identity>,
    /// Whether Basic is offered, over TLS.
    pub basic: bool,
    /// Whether Negotiate over TLS must be bound to the channel (CbtHardeningLevel Strict).
    pub require_binding: bool,
    /// MaxConcurrentCommandsPerShell.
    pub max_commands: usize,
    /// Longest time that a Receive waits.
    pub hold: Duration,
}

/// One session configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its name, `Microsoft.PowerShell`.
    pub name: String,
    /// Whether script text is read (as plain command lines), or refused as in no-language mode.
    pub language: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: vec!["/wsman".to_owned()],
            configurations: vec![Configuration { name: "Microsoft.PowerShell".to_owned(), language: true }],
            accounts: Vec::new(),
            tls: None,
            basic: false,
            require_binding: false,
            max_commands: 1000,
            hold: Duration::from_secs(60),
        }
    }
}

/// A server of remote shells. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    shells: Arc<Shells>,
    tls: Option<tokio_native_tls::TlsAcceptor>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.shells.options.paths.join(", "))
    }
}

impl Server {
    /// A server with these cmdlets.
    ///
    /// # Errors
    /// When the TLS identity cannot be used.
    pub fn new(options: Options, cmdlets: Arc<dyn Cmdlets>) -> Result<Self, native_tls::Error> {
        let tls = match &options.tls {
            Some(identity) => Some(native_tls::TlsAcceptor::new(identity.clone())?.into()),
            None => None,
        };
        Ok(Self { shells: Arc::new(Shells::new(options, cmdlets)), tls })
    }

    /// How often credentials were turned down.
    pub fn refused_logins(&self) -> u64 {
        self.shells.refused.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Serves connections until the listener fails; dropping the future cuts them. Shells and their pipelines
    /// live on, as they do on Windows.
    ///
    /// # Errors
    /// Those of accepting.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            // An answer is written in one piece.
            let _ = stream.set_nodelay(true);
            let server = self.clone();
            connections.spawn(async move { server.serve_stream(stream).await });
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one connection that was made elsewhere, to its end.
    pub async fn serve_stream<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let ended = match &self.tls {
            None => self.http(stream, None).await.map_err(|e| e.to_string()),
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => {
                    let binding = stream.get_ref().tls_server_end_point().ok().flatten();
                    self.http(stream, binding).await.map_err(|e| e.to_string())
                }
                Err(e) => Err(e.to_string()),
            },
        };
        if let Err(reason) = ended {
            tracing::debug!(reason, "connection ended");
        }
    }

    async fn http<S>(&self, stream: S, binding: Option<Vec<u8>>) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = Arc::new(Connection::new(self.shells.clone(), self.tls.is_some(), binding));
        let service = service_fn(move |request| {
            let connection = connection.clone();
            async move { Ok::<_, std::convert::Infallible>(connection.handle(request).await) }
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    }

    /// Ends every shell, as a restart of the host would. Pipelines are asked to stop.
    pub fn close_shells(&self) {
        self.shells.close_all();
    }
}
