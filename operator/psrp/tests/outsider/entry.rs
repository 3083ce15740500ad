//! Getting in: every way of authentication, and every way of being turned away.

use pchat_psrp::{Auth, Command, Endpoint, Error, Security, Session, Value};

use crate::server::{PKI, Server, basic, ntlm, open, within};

async fn one_command(endpoint: &Endpoint) {
    let mut session = open(endpoint).await;
    let outcome = session.invoke(&Command::new("Get-CsPersistentChatState"), within(20)).await.unwrap();
    assert!(outcome.is_clean(), "{outcome:?}");
    assert_eq!(outcome.output[0].property("PoolState").and_then(Value::as_str), Some("Normal"));
    session.close(within(20)).await.unwrap();
}

async fn refused(endpoint: &Endpoint) -> Error {
    Session::open(endpoint, within(20)).await.unwrap_err()
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn ntlm_over_https_is_bound_to_the_channel_on_any_path_and_configuration() {
    let server = Server::start_tls(&[
        "--auth",
        "negotiate",
        "--cbt",
        "strict",
        "--path",
        "/OcsPowerShell",
        "--configuration",
        "Chat Operators",
        "--no-language",
    ]);
    let endpoint = Endpoint {
        path: "OcsPowerShell".into(),
        configuration: "Chat Operators".into(),
        ..server.https(ntlm())
    };
    one_command(&endpoint).await;
    let authenticated = &server.log("authenticated")[0];
    assert_eq!(authenticated["cbt"], "match");
    assert_eq!(authenticated["mic"], true);

    let elsewhere = Endpoint { path: "/wsman".into(), ..endpoint.clone() };
    assert!(matches!(refused(&elsewhere).await, Error::Http { status: 404, .. }));
    let unknown = Endpoint { configuration: "Nope".into(), ..endpoint.clone() };
    let error = refused(&unknown).await;
    assert!(matches!(&error, Error::Fault { fault, .. } if fault.message.contains("Nope")), "{error}");
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn ntlm_over_http_seals_every_message_and_survives_many_sessions() {
    let server = Server::start(&["--auth", "negotiate"]);
    for _ in 0..20 {
        one_command(&server.http(ntlm())).await;
    }
    assert_eq!(server.log("authenticated").len(), 20);
    assert!(server.log("unencrypted-refused").is_empty());
    assert!(server.log("close").iter().all(|c| c["unterminated_commands"] == 0));
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_wrong_password_is_an_authentication_error_that_names_the_account() {
    let server = Server::start(&["--auth", "negotiate"]);
    let auth = Auth::Negotiate { user: "EXAMPLE\\admin".into(), password: "wrong".into() };
    let error = refused(&server.http(auth)).await;
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
    assert!(error.to_string().contains("EXAMPLE\\admin"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");

    let server = Server::start_tls(&["--auth", "basic"]);
    one_command(&server.https(basic())).await;
    let auth = Auth::Basic { user: "admin".into(), password: "wrong".into() };
    assert!(matches!(refused(&server.https(auth)).await, Error::Authentication { .. }));
    let error = refused(&server.https(ntlm())).await;
    assert!(error.to_string().contains("it offers only Basic"), "{error}");
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn basic_and_certificates_are_refused_without_tls_before_anything_is_sent() {
    let server = Server::start(&["--allow-unencrypted", "--verbose"]);
    let certificate = Auth::Certificate { certificate: PKI.client.clone(), key: PKI.client_key.clone() };
    for auth in [basic(), certificate] {
        assert!(matches!(refused(&server.http(auth)).await, Error::Unsuitable { .. }));
    }
    assert!(server.log("connection").is_empty());
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_client_certificate_gets_in_and_its_absence_does_not() {
    let server = Server::start_tls(&["--auth", "certificate", "--client-ca", &PKI.path("ca.pem")]);
    let auth = Auth::Certificate { certificate: PKI.client.clone(), key: PKI.client_key.clone() };
    one_command(&server.https(auth)).await;
    assert_eq!(server.log("open")[0]["user"], "cert:operator");
    let error = refused(&server.https(basic())).await;
    assert!(matches!(error, Error::Tls { .. }), "{error}");
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn an_unknown_authority_or_another_name_ends_at_tls() {
    let server = Server::start_tls(&["--auth", "basic", "--verbose"]);
    let trusting_the_system = Endpoint { security: Security::Https { ca: None }, ..server.https(basic()) };
    let another_name = Endpoint { host: "other.contoso.com".into(), ..server.https(basic()) };
    for endpoint in [trusting_the_system, another_name] {
        let error = refused(&endpoint).await;
        assert!(matches!(error, Error::Tls { .. }), "{error}");
    }
    let no_pem =
        Endpoint { security: Security::Https { ca: Some(b"nope".to_vec()) }, ..server.https(basic()) };
    assert!(matches!(refused(&no_pem).await, Error::Certificate { .. }));
    assert!(server.log("auth-required").is_empty());
}
