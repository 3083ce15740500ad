//! With our own client.

use std::time::Duration;

use pchat_psrp::{Auth, Command, Endpoint, Error, PipelineState, Session, Value};
use tokio::time::Instant;

use crate::host::{Lab, ntlm, start};

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn open(endpoint: &Endpoint) -> Session {
    Session::open(endpoint, within(10)).await.unwrap()
}

async fn run(session: &mut Session, command: Command) -> pchat_psrp::Outcome {
    session.invoke(&command, within(10)).await.unwrap()
}

async fn refused(lab: &Lab, auth: Auth) {
    let error = Session::open(&lab.endpoint(auth), within(10)).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
}

#[tokio::test]
async fn every_way_in_works_and_no_wrong_password_does() {
    for tls in [false, true] {
        let lab = start(tls).await;
        for user in ["CONTOSO\\admin", "admin@contoso.com", "ADMIN"] {
            open(&lab.endpoint(ntlm(user, "s3cret é"))).await.close(within(10)).await.unwrap();
        }
        refused(&lab, ntlm("CONTOSO\\admin", "else")).await;
        refused(&lab, ntlm("CONTOSO\\nobody", "s3cret é")).await;
        refused(&lab, ntlm("FABRIKAM\\admin", "s3cret é")).await;
    }
    let lab = start(true).await;
    let basic = |password: &str| Auth::Basic { user: "CONTOSO\\admin".into(), password: password.into() };
    open(&lab.endpoint(basic("s3cret é"))).await.close(within(10)).await.unwrap();
    refused(&lab, basic("else")).await;
}

#[tokio::test]
async fn a_cmdlet_gets_bound_parameters_and_its_effect_and_errors_come_back() {
    let lab = start(false).await;
    let mut session = open(&Endpoint { configuration: "restricted".into(), ..lab.admin() }).await;
    let add = Value::hashtable(vec![("Add".into(), "pc2 ]'\"é".into())]);
    let set =
        Command::new("set-cspersistentchatactiveserver").with("Identity", "pool").with("ActiveServers", add);
    assert!(run(&mut session, set).await.is_clean());
    let outcome = run(&mut session, Command::new("Get-CsPersistentChatState")).await;
    let servers = outcome.output[0].property("ActiveServers").unwrap().items().unwrap();
    assert_eq!(servers, ["pc1".into(), "pc2 ]'\"é".into()]);
    assert_eq!(outcome.warnings, ["a warning"]);
    let calls = lab.chat.calls.lock().unwrap().clone();
    assert_eq!(
        (calls[0].user.as_str(), calls[0].cmdlet.as_str()),
        ("CONTOSO\\admin", "Set-CsPersistentChatActiveServer")
    );

    let missing = run(&mut session, Command::new("Get-CsPersistentChatState").with("Identity", "nope")).await;
    assert_eq!((missing.state, missing.errors.len()), (PipelineState::Completed, 1));
    assert_eq!(missing.errors[0], crate::host::not_found("nope"));
    let stop = Command::new("Get-CsPersistentChatState").with("Identity", "nope").with("ErrorAction", "Stop");
    assert_eq!(run(&mut session, stop).await.terminating.unwrap(), crate::host::not_found("nope"));
    let thrown = run(&mut session, Command::new("Test-Throw")).await;
    assert_eq!((thrown.output.len(), thrown.errors.len()), (1, 1));
    assert!(thrown.terminating.is_some());
    let unknown = run(&mut session, Command::new("Get-Nothing")).await;
    assert_eq!(unknown.terminating.unwrap().id, "CommandNotFoundException");
    let wrong = run(&mut session, Command::new("Test-Sleep").with("Nope", 1)).await;
    assert_eq!(wrong.terminating.unwrap().id, "NamedParameterNotFound,Test-Sleep");
    session.close(within(10)).await.unwrap();
}

#[tokio::test]
async fn large_values_go_both_ways_through_small_pieces() {
    let lab = start(true).await;
    let mut session = open(&lab.admin()).await;
    let text = "0123456789é<😀".repeat(60_000);
    let echo = Command::new("Test-Echo").with("Value", text.as_str());
    assert_eq!(run(&mut session, echo).await.output, [Value::String(text)]);
}

#[tokio::test]
async fn a_command_past_its_deadline_hears_the_stop() {
    let lab = start(false).await;
    let mut session = open(&lab.admin()).await;
    let soon = Instant::now() + Duration::from_millis(300);
    let error = session.invoke(&Command::new("Test-Sleep"), soon).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { stopped: true, .. }), "{error}");
    assert!(lab.chat.calls.lock().unwrap()[0].stop.is_cancelled());
    session.close(within(10)).await.unwrap();
}

#[tokio::test]
async fn shells_that_are_gone_and_paths_and_configurations_that_never_were_are_refused() {
    let lab = start(false).await;
    let mut session = open(&lab.admin()).await;
    lab.server.close_shells();
    let error = session.invoke(&Command::new("Test-Echo"), within(10)).await.unwrap_err();
    assert!(matches!(&error, Error::Fault { fault, .. } if fault.subcode == "InvalidSelectors"), "{error}");
    let elsewhere = Endpoint { path: "/powershell".into(), ..lab.admin() };
    let error = Session::open(&elsewhere, within(10)).await.unwrap_err();
    assert!(matches!(error, Error::Http { status: 404, .. }), "{error}");
    let unknown = Endpoint { configuration: "Nope".into(), ..lab.admin() };
    let error = Session::open(&unknown, within(10)).await.unwrap_err();
    assert!(matches!(&error, Error::Fault { fault, .. } if fault.message.contains("Nope")), "{error}");
}
