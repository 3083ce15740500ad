//! Starts the server, reads its log, makes its certificates.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use pchat_psrp::{Auth, Endpoint, Security, Session};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// Certificates of one run: an authority, a server and a client.
pub struct Pki {
    dir: TempDir,
    pub ca: Vec<u8>,
    pub client: Vec<u8>,
    pub client_key: Vec<u8>,
}

pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let dir = TempDir::new().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Contoso Root");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
    };
    let (server, server_key) = issue("shell.contoso.com");
    let (client, client_key) = issue("operator");
    let (local, local_key) = issue("localhost");
    std::fs::write(dir.path().join("localhost.pem"), local).unwrap();
    std::fs::write(dir.path().join("localhost.key"), local_key).unwrap();
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.path().join("server.pem"), server).unwrap();
    std::fs::write(dir.path().join("server.key"), server_key).unwrap();
    Pki { dir, ca: ca.pem().into_bytes(), client: client.into_bytes(), client_key: client_key.into_bytes() }
});

impl Pki {
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A running server; it ends with this value.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    log: PathBuf,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let variable = |name: &str| {
            std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; see the head of this test"))
        };
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("log.jsonl");
        let mut child = Command::new(variable("PSRP_PYTHON"))
            .arg(variable("PSRP_SERVER"))
            .args(["--port", "0", "--user", "admin", "--password", "secret", "--log"])
            .arg(&log)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).expect("the server did not start");
        let port = u16::try_from(listening["port"].as_u64().unwrap()).unwrap();
        Self { child, addr: SocketAddr::from(([127, 0, 0, 1], port)), log, _dir: dir }
    }

    /// With TLS, by the certificates of [`PKI`].
    pub fn start_tls(options: &[&str]) -> Self {
        let (cert, key) = (PKI.path("server.pem"), PKI.path("server.key"));
        Self::start(&[&["--tls", &cert, &key], options].concat())
    }

    /// Entries of the log of one kind.
    pub fn log(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let entries = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        entries.filter(|e| e["event"] == event).collect()
    }

    pub fn http(&self, auth: Auth) -> Endpoint {
        Endpoint {
            host: "shell.contoso.com".into(),
            port: self.addr.port(),
            addr: self.addr,
            path: "/wsman".into(),
            configuration: "Microsoft.PowerShell".into(),
            security: Security::Http,
            auth,
        }
    }

    pub fn https(&self, auth: Auth) -> Endpoint {
        Endpoint { security: Security::Https { ca: Some(PKI.ca.clone()) }, ..self.http(auth) }
    }
}

pub fn ntlm() -> Auth {
    Auth::Negotiate { user: "EXAMPLE\\admin".into(), password: "secret".into() }
}

pub fn basic() -> Auth {
    Auth::Basic { user: "admin".into(), password: "secret".into() }
}

pub fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

pub async fn open(endpoint: &Endpoint) -> Session {
    Session::open(endpoint, within(20)).await.unwrap()
}
