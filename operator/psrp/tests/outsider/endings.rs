//! How commands end that do not end well.

use std::time::Duration;

use pchat_psrp::{Command, Error, Outcome, Session, Value};
use tokio::time::Instant;

use crate::server::{Server, ntlm, open, within};

struct Unknown {
    cause: String,
    stopped: bool,
    partial: Outcome,
}

async fn unknown(session: &mut Session, command: Command, deadline: Instant) -> Unknown {
    match session.invoke(&command, deadline).await {
        Err(Error::OutcomeUnknown { cause, stopped, partial, .. }) => {
            Unknown { cause, stopped, partial: *partial }
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_command_past_its_deadline_is_stopped_and_its_outcome_is_unknown() {
    for mode in ["stopped", "fault"] {
        let server = Server::start(&["--auth", "negotiate", "--stop-mode", mode]);
        let mut session = open(&server.http(ntlm())).await;
        let start = Instant::now();
        let sleep = Command::new("Test-Sleep").with("Seconds", 60);
        let end = unknown(&mut session, sleep, start + Duration::from_secs(1)).await;
        assert!(end.stopped, "{mode}: {}", end.cause);
        assert_eq!(end.partial.output, ["sleeping".into()]);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let codes: Vec<_> = server.log("signal").iter().map(|s| s["code"].to_string()).collect();
        assert!(codes[0].contains("crtl_c"), "{codes:?}");

        let again = session.invoke(&Command::new("Test-Echo"), within(5)).await;
        assert!(matches!(again, Err(Error::Unusable { .. })));
        session.close(within(20)).await.unwrap();
        assert_eq!(server.log("close")[0]["unterminated_commands"], 0, "{mode}");
    }
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_lost_answer_leaves_the_outcome_unknown_and_nothing_is_sent_twice() {
    let server = Server::start(&["--auth", "negotiate"]);
    let mut session = open(&server.http(ntlm())).await;
    let end = unknown(&mut session, Command::new("Test-DropConnection"), within(20)).await;
    assert!(!end.stopped);
    session.close(within(20)).await.unwrap();
    assert_eq!(server.log("invoke").len(), 1);
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_session_host_that_dies_is_noticed_while_its_command_is_silent() {
    let server = Server::start(&["--auth", "negotiate", "--receive-hold", "1"]);
    let mut session = open(&server.http(ntlm())).await;
    let end = unknown(&mut session, Command::new("Test-BreakPool"), within(60)).await;
    assert!(end.cause.contains("the session host died"), "{}", end.cause);
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn long_silence_within_the_deadline_is_waited_for() {
    let server = Server::start(&["--auth", "negotiate", "--receive-hold", "0.5"]);
    let mut session = open(&server.http(ntlm())).await;
    let outcome = session.invoke(&Command::new("Test-Sleep").with("Seconds", 2), within(30)).await.unwrap();
    assert_eq!(outcome.output.last().and_then(Value::as_str), Some("awake"));
    session.close(within(20)).await.unwrap();
    assert!(server.log("close")[0]["receives"]["timed_out"].as_i64() > Some(0));
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn output_beyond_any_honest_size_ends_the_command_and_is_bounded() {
    let server = Server::start(&["--auth", "negotiate"]);
    let mut session = open(&server.http(ntlm())).await;
    let flood = Command::new("Test-Large").with("Count", 60).with("Size", 1_000_000);
    let end = unknown(&mut session, flood, within(60)).await;
    assert!(end.cause.contains("bytes"), "{}", end.cause);
    assert!(end.partial.output.len() < 40, "{}", end.partial.output.len());
    session.close(within(20)).await.unwrap();
}

/// Cmdlets that ask: one waits for the answer, one only tells.
const ASKING: &str = r#"
from psrp_server import cmdlet, psrpcore, ps
import threading

@cmdlet("Test-Ask")
def ask(ctx, p):
    answered = threading.Event()
    shell = ctx.shell
    original = shell._on_event
    def on_event(event):
        if isinstance(event, psrpcore.PipelineHostResponseEvent):
            shell.log("answer", error=str(event.error.Exception.Message) if event.error else None)
            answered.set()
        else:
            original(event)
    shell._on_event = on_event
    ctx._run.emit(lambda pipe: pipe.host_call(ps.HostMethodIdentifier.WriteLine2, ["only told"]))
    ctx._run.emit(lambda pipe: pipe.host_call(ps.HostMethodIdentifier.ReadLine))
    ctx.write("answered" if answered.wait(10) else "no answer")
"#;

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_prompt_is_answered_with_an_error_and_hangs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("asking.py");
    std::fs::write(&file, ASKING).unwrap();
    let server = Server::start(&["--auth", "negotiate", "--cmdlets", file.to_str().unwrap()]);
    let mut session = open(&server.http(ntlm())).await;
    let outcome = session.invoke(&Command::new("Test-Ask"), within(30)).await.unwrap();
    assert_eq!(outcome.output, ["answered".into()]);
    let answers = server.log("answer");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0]["error"].as_str().unwrap().contains("nobody is there"));
}
