//! A server with a few cmdlets over one list and one state.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pchat_lab_shell::{
    Account, Bound, CmdletInfo, Cmdlets, Configuration, Invocation, Options, Parameter, ParameterSet,
    ParameterType, Response, Server,
};
use pchat_psrp::{Auth, Endpoint, ErrorCategory, ErrorRecord, Object, Security, Value};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::TcpListener;

pub struct Pki {
    pub ca: String,
    server: String,
    key: String,
}

pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Two certificates of one name would look self-signed.
    params.distinguished_name.push(DnType::CommonName, "Lab Root");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    Pki { ca: ca.pem(), server: server.pem(), key: key.serialize_pem() }
});

#[derive(Default)]
pub struct Chat {
    pub servers: Mutex<Vec<String>>,
    pub calls: Mutex<Vec<Invocation>>,
}

fn parameter(name: &str, kind: ParameterType, position: Option<u32>) -> Parameter {
    Parameter { name: name.into(), aliases: vec![], kind, position }
}

fn info(name: &str, parameters: Vec<Parameter>, mandatory: &[&str]) -> CmdletInfo {
    let set = ParameterSet {
        name: "Default".into(),
        parameters: parameters.iter().map(|p| p.name.clone()).collect(),
        mandatory: mandatory.iter().map(|m| (*m).to_owned()).collect(),
    };
    CmdletInfo { name: name.into(), parameters, sets: vec![set] }
}

pub fn not_found(identity: &str) -> ErrorRecord {
    ErrorRecord {
        id: "ManagementObjectNotFoundException,Get-CsPersistentChatState".into(),
        message: format!("Cannot find item \"{identity}\"."),
        exception_type: "Microsoft.Rtc.Management.Xds.ManagementObjectNotFoundException".into(),
        category: ErrorCategory::OBJECT_NOT_FOUND,
        target: identity.into(),
        ..ErrorRecord::default()
    }
}

impl Cmdlets for Chat {
    fn find(&self, name: &str, _configuration: &str) -> Option<CmdletInfo> {
        let identity = || parameter("Identity", ParameterType::Text, Some(0));
        [
            info("Get-CsPersistentChatState", vec![identity()], &[]),
            info(
                "Set-CsPersistentChatActiveServer",
                vec![identity(), parameter("ActiveServers", ParameterType::ListModifier, None)],
                &["ActiveServers"],
            ),
            info("Test-Echo", vec![parameter("Value", ParameterType::Any, Some(0))], &[]),
            info("Test-Sleep", vec![], &[]),
            info("Test-Throw", vec![], &[]),
        ]
        .into_iter()
        .find(|c| c.name.eq_ignore_ascii_case(name))
    }

    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Response> {
        self.calls.lock().unwrap().push(call.clone());
        async move {
            match call.cmdlet.as_str() {
                "Get-CsPersistentChatState" => match call.text("Identity") {
                    Some("nope") => Response::error(not_found("nope")),
                    _ => {
                        let servers =
                            self.servers.lock().unwrap().iter().map(|s| s.as_str().into()).collect();
                        let state = Object::net(
                            &["Microsoft.Rtc.PersistentChatState", "System.Object"],
                            "PersistentChatState",
                            [("PoolState", Value::from("Normal")), ("ActiveServers", Value::array(servers))],
                        );
                        Response { warnings: vec!["a warning".into()], ..Response::output([state.into()]) }
                    }
                },
                "Set-CsPersistentChatActiveServer" => {
                    let mut servers = self.servers.lock().unwrap();
                    if let Some(change) = call.list("ActiveServers") {
                        *servers = change.apply(&servers);
                    }
                    Response { verbose: vec!["set".into()], ..Response::default() }
                }
                "Test-Sleep" => {
                    call.stop.cancelled().await;
                    Response::default()
                }
                "Test-Throw" => Response {
                    output: vec!["before".into()],
                    errors: vec![not_found("first")],
                    terminating: Some(not_found("last")),
                    ..Response::default()
                },
                _ => match call.get("Value") {
                    Some(Bound::Value(value)) => Response::output([value.clone()]),
                    _ => Response::output(call.input),
                },
            }
        }
        .boxed()
    }
}

pub struct Lab {
    pub chat: Arc<Chat>,
    pub server: Server,
    pub addr: SocketAddr,
    tls: bool,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start(tls: bool) -> Lab {
    let identity = || native_tls::Identity::from_pkcs8(PKI.server.as_bytes(), PKI.key.as_bytes()).unwrap();
    let options = Options {
        paths: vec!["/wsman".into(), "/OcsPowerShell".into()],
        configurations: vec![
            Configuration { name: "Microsoft.PowerShell".into(), language: true },
            Configuration { name: "Restricted".into(), language: false },
        ],
        accounts: vec![
            Account { user: "other".into(), domain: "CONTOSO".into(), password: "else".into() },
            Account { user: "admin".into(), domain: "CONTOSO".into(), password: "s3cret é".into() },
        ],
        tls: tls.then(identity),
        basic: true,
        require_binding: true,
        hold: Duration::from_secs(2),
        ..Options::default()
    };
    let chat = Arc::new(Chat { servers: Mutex::new(vec!["pc1".into()]), ..Chat::default() });
    let server = Server::new(options, chat.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = server.clone();
    let task = tokio::spawn(async move { serving.serve(listener).await.unwrap() });
    Lab { chat, server, addr, tls, task }
}

pub fn ntlm(user: &str, password: &str) -> Auth {
    Auth::Negotiate { user: user.into(), password: password.into() }
}

impl Lab {
    pub fn endpoint(&self, auth: Auth) -> Endpoint {
        let security = match self.tls {
            true => Security::Https { ca: Some(PKI.ca.clone().into_bytes()) },
            false => Security::Http,
        };
        Endpoint {
            host: "localhost".into(),
            port: self.addr.port(),
            addr: self.addr,
            path: "/wsman".into(),
            configuration: "Microsoft.PowerShell".into(),
            security,
            auth,
        }
    }

    pub fn admin(&self) -> Endpoint {
        self.endpoint(ntlm("CONTOSO\\admin", "s3cret é"))
    }
}
