//! What stands where remote PowerShell should: load balancers, login pages, IIS's own errors. Each is told as what it is, with what to
//! do, and never as a refused password.

use std::net::SocketAddr;
use std::time::Duration;

use pchat_psrp::{Auth, Endpoint, Error, Security, Session};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

const PAGE: &str = "<html><body>Sign in to continue</body></html>";

/// Head line and headers of an answer, its body, and what must be told of it.
struct Answer {
    status: u16,
    headers: &'static str,
    body: &'static str,
    told: &'static [&'static str],
}

const fn answer(
    status: u16,
    headers: &'static str,
    body: &'static str,
    told: &'static [&'static str],
) -> Answer {
    Answer { status, headers, body, told }
}

const ANSWERS: &[Answer] = &[
    answer(
        200,
        "Content-Type: text/html\r\n",
        PAGE,
        &["HTTP 200", "web page", "login page or load balancer"],
    ),
    answer(
        302,
        "Location: https://login.contoso.com/adfs?x=1\r\n",
        "",
        &["HTTP 302", "https://login.contoso.com/adfs", "Front End itself"],
    ),
    answer(302, "", "", &["HTTP 302", "another address"]),
    answer(400, "Content-Type: text/html\r\n", PAGE, &["HTTP 400", "check scheme, port and name"]),
    answer(403, "", "", &["HTTP 403", "may not use this endpoint"]),
    answer(404, "", "", &["HTTP 404", "/OcsPowerShell"]),
    answer(405, "", "", &["HTTP 405", "takes no remote PowerShell"]),
    answer(413, "", "", &["HTTP 413", "uploadReadAheadSize"]),
    answer(500, "Content-Type: text/html\r\n", PAGE, &["HTTP 500", "event log", "application pool"]),
    answer(502, "Content-Type: text/html\r\n", PAGE, &["HTTP 502", "load balancer"]),
    answer(503, "Content-Type: text/html\r\n", PAGE, &["HTTP 503", "application pool", "WinRM"]),
    answer(503, "", "", &["HTTP 503", "WinRM"]),
];

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &str) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await?);
    }
    stream.write_all(text.as_bytes()).await?;
    // The rest of the request is read, so that the answer is not cut off by a reset.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The error of opening a session with a web server that answers everything so, by a name and a password.
async fn against(answer: &Answer, tls: bool) -> Error {
    let Answer { status, headers, body, .. } = answer;
    let text = format!("HTTP/1.1 {status} Told\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let (ca, acceptor) = certificates();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if tls {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = serve(stream, &text).await;
                }
            } else {
                let _ = serve(stream, &text).await;
            }
        }
    });
    let (user, password) = ("CONTOSO\\chat".to_owned(), "s3cret".to_owned());
    let endpoint = Endpoint {
        host: "shell.contoso.com".into(),
        port: addr.port(),
        addr,
        path: "/OcsPowerShell".into(),
        configuration: "Microsoft.PowerShell".into(),
        security: if tls { Security::Https { ca: Some(ca) } } else { Security::Http },
        auth: if tls { Auth::Basic { user, password } } else { Auth::Negotiate { user, password } },
    };
    let error = Session::open(&endpoint, Instant::now() + Duration::from_secs(20)).await.unwrap_err();
    server.abort();
    error
}

fn certificates() -> (Vec<u8>, tokio_native_tls::TlsAcceptor) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Contoso Root");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["shell.contoso.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shell.contoso.com");
    let certificate = params.signed_by(&key, &ca).unwrap().pem();
    let identity =
        native_tls::Identity::from_pkcs8(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
    (ca.pem().into_bytes(), acceptor.into())
}

#[tokio::test]
async fn what_a_web_server_answers_for_itself_is_told_as_that_and_not_as_a_refused_password() {
    for tls in [false, true] {
        for answer in ANSWERS {
            let error = against(answer, tls).await;
            let told = error.to_string();
            assert!(
                matches!(&error, Error::Http { status, .. } if *status == answer.status),
                "{tls}: {error:?}"
            );
            for word in answer.told {
                assert!(told.contains(word), "{tls}: {word:?} is not in: {told}");
            }
            for word in ["password", "CONTOSO", "refused"] {
                assert!(!told.contains(word), "{tls}: {word:?} is in: {told}");
            }
            assert!(told.contains("shell.contoso.com") && told.contains("/OcsPowerShell"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_401_is_a_refusal_and_says_what_the_server_offers() {
    let offers = answer(401, "WWW-Authenticate: Kerberos\r\n", "", &[]);
    let error = against(&offers, false).await;
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert!(error.to_string().contains("it offers only Kerberos"), "{error}");
    let wrong = answer(401, "WWW-Authenticate: Basic realm=x\r\n", "", &[]);
    let error = against(&wrong, true).await;
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert!(error.to_string().contains("check user name and password"), "{error}");
}
