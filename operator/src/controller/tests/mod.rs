//! The controller against an API server in this process: who is worked on, what is written, and when nothing is.

mod api;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use self::api::{Answer, Server};
use super::*;
use crate::reconcile::{Interrupter, interrupts};
use crate::validate::Hosts;

/// A controller that leads, until it is dropped or stopped.
struct Led {
    term: Interrupter,
    task: JoinHandle<()>,
    context: Arc<Context>,
}

fn lead(server: &Server) -> Led {
    let options = Options {
        namespace: Some("lync".into()),
        lease: None,
        pod: Pod { namespace: "pchat-system".into(), name: "pchat-operator-0".into() },
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        here: Installation::of_a_cluster(Hosts::default()),
        at_once: 4,
    };
    let context = Arc::new(Context {
        client: server.client(),
        resource: ApiResource::erase::<PersistentChatPool>(&()),
        limits: Limits::new(Semaphore::new(LOOKS), Semaphore::new(options.at_once), None),
        options,
        metrics: Arc::new(Metrics::default()),
    });
    let (term, over) = interrupts();
    let leading = Arc::clone(&context);
    let task = tokio::spawn(async move { fleet::lead(&leading, over).await });
    Led { term, task, context }
}

impl Led {
    /// Ends the term and waits until nothing of it is left.
    async fn stop(self) {
        self.term.ask();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.expect("in time").expect("no panic");
    }
}

/// A pool whose servers refuse every connection.
fn refusing() -> Value {
    // Nobody listens at the port for "no port given" of old.
    let server = |name: &str| json!({"host": name, "port": 1});
    json!({
        "activeDatabase": "primary",
        "mode": "Plan",
        "pool": {"fqdn": "chat.contoso.com"},
        "primary": {"site": "Taipei", "database": server("localhost"), "mirror": {"none": true},
                    "chatServers": ["pc-tp1.contoso.com"]},
        "backup": {"site": "Kaohsiung", "database": server("127.0.0.1"), "mirror": {"none": true},
                   "chatServers": ["pc-ks1.contoso.com"]},
        "sqlServer": {"credentials": {"secretRef": {"name": "pchat-sql"}}, "encryption": "Required"},
        "managementShell": {"uri": "https://127.0.0.1:1/OcsPowerShell", "authentication": "Negotiate",
                            "credentials": {"secretRef": {"name": "pchat-shell"}}},
    })
}

fn with_secrets(server: &Server) {
    server.secret("pchat-sql", "pchat-operator");
    server.secret("pchat-shell", "CONTOSO\\svc-pchat");
}

fn reason(server: &Server, pool: &str) -> String {
    let status = server.status(pool);
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned().unwrap_or_default();
    ready["reason"].as_str().unwrap_or_default().to_owned()
}

async fn told(server: &Server, pool: &str, wanted: &str) {
    server.until(&format!("{wanted} of {pool}"), |server| reason(server, pool) == wanted).await;
}

/// Nothing more is asked, for a while.
async fn silence(server: &Server) {
    // What was on its way may still come.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let before = server.asked().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = server.asked();
    assert_eq!(asked.len(), before, "{:#?}", &asked[before..]);
}

#[tokio::test]
async fn what_was_told_is_written_once_and_then_there_is_silence() {
    let server = Server::default();
    with_secrets(&server);
    server.pool("chat", "u1", &refusing());
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    silence(&server).await;
    let writes = server.writes();
    assert!(writes.len() <= 3, "{writes:#?}");
    assert!(writes.iter().all(|write| write.body["metadata"]["uid"] == "u1"));
    led.stop().await;
    silence(&server).await;
}

#[tokio::test]
async fn a_secret_that_comes_is_taken_up_and_one_of_somebody_else_is_not_read() {
    let server = Server::default();
    server.pool("chat", "u1", &refusing());
    let led = lead(&server);
    told(&server, "chat", "InvalidDeclaration").await;
    silence(&server).await;
    let before = server.asked().len();
    server.secret("another", "somebody");
    silence(&server).await;
    assert_eq!(server.asked().len(), before, "a Secret that no pool names concerns nobody");
    with_secrets(&server);
    told(&server, "chat", "BackupUnreachable").await;
    led.stop().await;
}

#[tokio::test]
async fn a_write_that_comes_too_late_is_made_again_on_what_stands_then() {
    let server = Server::default();
    with_secrets(&server);
    server.pool("chat", "u1", &refusing());
    server.will_answer([Answer::Refused(StatusCode::CONFLICT), Answer::Refused(StatusCode::CONFLICT)]);
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    led.stop().await;
}

#[tokio::test]
async fn a_lost_answer_to_a_write_leads_to_the_same_status_and_no_quarrel() {
    let server = Server::default();
    with_secrets(&server);
    server.pool("chat", "u1", &refusing());
    server.will_answer([Answer::Lost]);
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    silence(&server).await;
    led.stop().await;
}

#[tokio::test]
async fn an_object_that_is_gone_is_written_to_no_more_and_a_new_one_of_its_name_is_another() {
    let server = Server::default();
    with_secrets(&server);
    server.pool("chat", "u1", &refusing());
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    server.delete("chat");
    silence(&server).await;
    let before = server.writes().len();
    server.pool("chat", "u2", &refusing());
    told(&server, "chat", "BackupUnreachable").await;
    let writes = server.writes();
    assert!(writes[before..].iter().all(|write| write.body["metadata"]["uid"] == "u2"), "{writes:#?}");
    led.stop().await;
}

#[tokio::test]
async fn an_approval_is_kept_in_the_status_when_its_annotation_is_taken_away() {
    let server = Server::default();
    with_secrets(&server);
    let mut spec = refusing();
    spec["activeDatabase"] = json!("backup");
    spec["mode"] = json!("Enforce");
    server.pool("chat", "u1", &spec);
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    server.annotate("chat", &json!({"persistentchat.io/approve": "7f3a-9c21"}));
    let approved = |server: &Server| server.status("chat")["approval"]["digest"] == "7f3a-9c21";
    server.until("the approval", approved).await;
    server.annotate("chat", &json!({}));
    silence(&server).await;
    assert!(approved(&server), "{}", server.status("chat"));
    led.stop().await;
}

#[tokio::test]
async fn pools_do_not_wait_for_each_other() {
    let server = Server::default();
    with_secrets(&server);
    let names: Vec<String> = (0..8).map(|n| format!("chat-{n}")).collect();
    for name in &names {
        server.pool(name, name, &refusing());
    }
    // The Secrets of one are not there: it must not hold up the others.
    let mut without = refusing();
    without["sqlServer"]["credentials"]["secretRef"]["name"] = json!("missing");
    server.pool("without", "without", &without);
    let led = lead(&server);
    for name in &names {
        told(&server, name, "BackupUnreachable").await;
    }
    told(&server, "without", "InvalidDeclaration").await;
    assert!(led.context.metrics.text().contains("pchat_pools 9"), "{}", led.context.metrics.text());
    led.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_tried_again_at_once_when_a_person_wants_it_and_for_nothing_else() {
    use futures::FutureExt as _;
    let server = Server::default();
    with_secrets(&server);
    server.pool("chat", "u1", &refusing());
    let led = lead(&server);
    told(&server, "chat", "BackupUnreachable").await;
    let brakes = &led.context.options.here.brakes;
    let brake = brakes.of("sql 127.0.0.1 Port(1)", "pchat-operator", b"a long one");
    let lifted = || brake.leave().now_or_never().is_some_and(|leave| leave.is_ok());
    assert!(lifted());
    brake.refused("It is refused.");

    // Told anew, and the same as before.
    with_secrets(&server);
    server.annotate("chat", &json!({"persistentchat.io/suspend": "false"}));
    silence(&server).await;
    assert!(!lifted());

    server.annotate("chat", &json!({"persistentchat.io/reconcile-at": "now"}));
    server.until("the annotation", |_| lifted()).await;
    brake.refused("It is refused.");
    let mut spec = refusing();
    spec["silentFor"] = json!("2m");
    server.pool("chat", "u1", &spec);
    server.until("another manifest", |_| lifted()).await;
    led.stop().await;
}
