//! Kerberos. Needs the feature `kerberos` and a realm: `KRB5_CONFIG`, a keytab of the client in
//! `KRB5_CLIENT_KTNAME`, one of `HTTP/localhost` in `KRB5_KTNAME`, and the client's name in `PSRP_PRINCIPAL`.

use pchat_psrp::{Auth, Command, Endpoint};

use crate::server::{PKI, Server, open, within};

#[tokio::test]
#[ignore = "needs PSRP_SERVER, PSRP_PYTHON and a Kerberos realm"]
async fn a_ticket_gets_in_over_https() {
    let principal =
        std::env::var("PSRP_PRINCIPAL").expect("PSRP_PRINCIPAL is not set; see the head of this test");
    let (cert, key) = (PKI.path("localhost.pem"), PKI.path("localhost.key"));
    let server = Server::start(&["--tls", &cert, &key, "--auth", "negotiate", "--spn-host", "localhost"]);
    let auth = Auth::Kerberos { principal: Some(principal.clone()) };
    let endpoint = Endpoint { host: "localhost".into(), ..server.https(auth) };
    for _ in 0..5 {
        let mut session = open(&endpoint).await;
        assert!(
            session.invoke(&Command::new("Get-CsPersistentChatState"), within(20)).await.unwrap().is_clean()
        );
        session.close(within(20)).await.unwrap();
    }
    let authenticated = server.log("authenticated");
    assert_eq!(authenticated[0]["mechanism"], "kerberos");
    assert_eq!(authenticated[0]["user"], principal.as_str());
}
