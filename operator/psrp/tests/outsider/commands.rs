//! What a command carries there and back.

use pchat_psrp::{Command, Content, ErrorCategory, ListKind, PipelineState, Session, Value};
use serde_json::json;

use crate::server::{Server, basic, ntlm, open, within};

async fn run(session: &mut Session, command: Command) -> pchat_psrp::Outcome {
    session.invoke(&command, within(60)).await.unwrap()
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn parameters_arrive_with_their_types_and_text_is_never_anything_but_text() {
    let server = Server::start(&["--auth", "negotiate", "--no-language"]);
    let mut session = open(&server.http(ntlm())).await;
    let hostile = "a'; Remove-Item \"$x\" `n\r\n\t_x0041_ é中 😀 ]]> & <b>";
    let value = Value::array(vec![hostile.into(), Value::I64(-1), Value::Null, Value::Bool(false)]);
    let command = Command::new("Test-Echo").with("Value", value).with("Flag", true);
    let outcome = run(&mut session, command).await;
    let seen: serde_json::Value = serde_json::from_str(outcome.output[0].as_str().unwrap()).unwrap();
    let items = json!([
        {"type": "System.String", "value": hostile},
        {"type": "System.Int64", "value": -1},
        {"type": null, "value": null},
        {"type": "System.Boolean", "value": false},
    ]);
    assert_eq!(seen["Value"], json!({"type": "System.Object[]", "items": items}));
    assert_eq!(seen["Flag"], json!({"type": "System.Boolean", "value": true}));
    assert_eq!(outcome.output[1].items().unwrap()[0].as_str(), Some(hostile));
    let invoked = &server.log("invoke")[0]["commands"][0];
    assert_eq!((&invoked["name"], &invoked["is_script"]), (&json!("Test-Echo"), &json!(false)));
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn every_primitive_goes_there_and_comes_back_the_same() {
    let server = Server::start_tls(&["--auth", "basic"]);
    let mut session = open(&server.https(basic())).await;
    let everything = run(&mut session, Command::new("Test-Types")).await;
    let values = &everything.output[1..];
    assert_eq!(values.len(), 29);
    assert_eq!(values[0].as_str(), Some("text <&> \"'_x0041_ é中 😀\r\n\ttab"));
    assert_eq!(values[11], Value::U64(u64::MAX));
    assert_eq!(values[14], Value::Decimal("79228162514264337593543950335".into()));
    assert_eq!(values[18].text(), "https://pool.example.test/OcsPowerShell");
    assert_eq!(values[22], Value::Bytes((0..=255).collect()));
    assert_eq!((values[24].text().as_str(), values[24].as_i64()), ("ObjectNotFound", Some(13)));
    assert!(
        matches!(&values[25].as_object().unwrap().content, Content::List(ListKind::List, l) if l.len() == 3)
    );
    assert_eq!(values[26].entries().unwrap()[1], (Value::I32(2), "value".into()));
    let object = &everything.output[0];
    assert_eq!(object.as_object().unwrap().type_names[0], "Fake.Everything");
    assert_eq!(object.property("SharedA"), object.property("sharedb"));
    for value in &values[..24] {
        let echoed =
            run(&mut session, Command::new("Test-Echo").with("Other", 1).with("Value", value.clone())).await;
        if *value == Value::Null {
            continue; // the far end binds nothing to it
        }
        let text = echoed.output[0].as_str().unwrap();
        assert_eq!(&echoed.output[1], value, "{text}");
    }
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn large_output_and_large_parameters_travel_in_pieces() {
    let server = Server::start(&["--auth", "negotiate", "--fragment-size", "5000"]);
    let mut session = open(&server.http(ntlm())).await;
    let large = Command::new("Test-Large").with("Count", 10).with("Size", 200_000);
    let outcome = run(&mut session, large).await;
    assert_eq!(outcome.output.len(), 10);
    assert!(outcome.output.iter().all(|v| v.as_str().unwrap().len() == 200_000));
    let text = "0123456789é<".repeat(50_000);
    let outcome = run(&mut session, Command::new("Test-Echo").with("Value", text.as_str())).await;
    assert_eq!(outcome.output[1].as_str(), Some(text.as_str()));
    session.close(within(20)).await.unwrap();
    assert_eq!(server.log("close")[0]["unterminated_commands"], 0);
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn errors_are_kept_whole_and_so_is_the_output_before_them() {
    let server = Server::start(&["--auth", "negotiate"]);
    let mut session = open(&server.http(ntlm())).await;

    let streams = run(&mut session, Command::new("Test-Streams")).await;
    let texts: Vec<_> = streams.output.iter().map(Value::text).collect();
    assert_eq!((streams.state, texts.join(",").as_str()), (PipelineState::Completed, "output 1,output 2"));
    assert_eq!(streams.warnings, ["a warning"]);
    assert_eq!(streams.errors[0].id, "NonTerminating,Test-Streams");
    assert!(!streams.is_clean());

    let thrown = run(&mut session, Command::new("Test-Throw").with("Message", "no & never")).await;
    assert_eq!(thrown.state, PipelineState::Failed);
    assert_eq!(thrown.output, ["before the failure".into()]);
    assert_eq!(thrown.errors[0].id, "First,Test-Throw");
    let last = thrown.terminating.unwrap();
    assert_eq!((last.id.as_str(), last.message.as_str()), ("Terminating,Test-Throw", "no & never"));
    assert_eq!(last.category, ErrorCategory::PERMISSION_DENIED);
    assert_eq!(last.exception_type, "System.UnauthorizedAccessException");
    assert_eq!(last.target.as_str(), Some("the target"));

    let missing = run(&mut session, Command::new("Get-Nothing")).await;
    assert_eq!(missing.terminating.unwrap().id, "CommandNotFoundException");
    let wrong = run(&mut session, Command::new("Get-CsPersistentChatState").with("Nope", 1)).await;
    assert!(wrong.terminating.unwrap().id.starts_with("NamedParameterNotFound"));
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn commands_are_freed_so_that_a_session_outlives_the_quota() {
    let server = Server::start(&["--auth", "negotiate", "--max-commands", "2"]);
    let mut session = open(&server.http(ntlm())).await;
    for _ in 0..7 {
        assert!(run(&mut session, Command::new("Get-CsPersistentChatActiveServer")).await.is_clean());
    }
}

#[tokio::test]
#[ignore = "needs PSRP_SERVER and PSRP_PYTHON"]
async fn a_session_outlives_its_connections() {
    let server = Server::start(&["--auth", "negotiate"]);
    let mut session = open(&server.http(ntlm())).await;
    for _ in 0..3 {
        assert!(run(&mut session, Command::new("Get-CsPersistentChatActiveServer")).await.is_clean());
        session.hang_up();
    }
    assert!(run(&mut session, Command::new("Get-CsPersistentChatActiveServer")).await.is_clean());
    assert_eq!(server.log("authenticated").len(), 4, "each connection logs in");
    session.close(within(10)).await.unwrap();
    assert_eq!(server.log("close").len(), 1, "and there was one session");
}
