//! A server that answers without end, or with more than anybody asked for: the answer is refused with a sentence, the
//! connection is not used again, and the memory of the process stays small. In a process of its own, whose peak is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pchat_operator::brake::Brake;
use pchat_operator::observe::probe::{Look, look};
use pchat_operator::sql::batches::{files, state};
use pchat_operator::sql::connect::connect;
use pchat_operator::sql::connection::Lost;
use pchat_operator::sql::target::{Credentials, Deadlines, Encryption, Endpoint, Secret, Target};
use pchat_tds::{
    Admission, Column, Connection, Engine, Login, Message, Refusal, Request, Responder, Server, Session,
    Settings, Type, Value,
};
use tokio::net::TcpListener;

/// What the server floods with.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Rows of this many NULLs, in the compressed form.
    Nulls(usize),
    /// Rows of one empty text.
    Rows,
    /// Empty result sets.
    Sets,
    /// One text of gigabytes.
    Text,
    /// Information messages.
    Messages,
}

struct Hostile(Flood);

impl Engine for Hostile {
    type Session = Hostile;
    async fn login(&self, _: &Login, _: &Connection) -> Result<Admission<Hostile>, Refusal> {
        Ok(Admission { session: Hostile(self.0), spid: 51, database: "master".into() })
    }
}

impl Session for Hostile {
    async fn execute(&mut self, _: Request, out: &mut Responder) {
        let columns = |count, ty| (0..count).map(|n| Column::new(format!("c{n}"), ty)).collect::<Vec<_>>();
        match self.0 {
            Flood::Nulls(count) => out.columns(&columns(count, Type::Int)),
            Flood::Rows => out.columns(&columns(1, Type::NVarChar(9))),
            Flood::Text => out.columns(&columns(1, Type::NVarCharMax)),
            Flood::Sets | Flood::Messages => {}
        }
        loop {
            match self.0 {
                Flood::Nulls(_) => out.null_row(),
                Flood::Rows => out.row(&[Value::Text(String::new())]).unwrap(),
                Flood::Sets => out.columns(&columns(1, Type::Int)),
                Flood::Text => out.row(&[Value::Text("x".repeat(1 << 22))]).unwrap(),
                Flood::Messages => out.message(&Message::info(50_000, "x".repeat(2_000))),
            }
            if out.flush_if_full().await.is_err() {
                return;
            }
        }
    }

    async fn reset(&mut self) {}
}

async fn serve(flood: Flood) -> SocketAddr {
    let server = Server::new(Settings::new("SQL-KS1", (15, 0, 2000)), Hostile(flood)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { Arc::clone(&server).serve(listener).await });
    address
}

fn target(address: SocketAddr) -> Target {
    Target {
        display: r"sql-ks1.contoso.com\PCHAT".into(),
        host: "localhost".into(),
        address: Some(address.ip()),
        endpoint: Endpoint::Port(address.port()),
        credentials: Credentials {
            user: "sa".into(),
            password: Secret::new("x"),
            shown: "sa".into(),
            brake: Brake::default(),
        },
        encryption: Encryption::Plaintext,
        ca_pem: None,
    }
}

/// The most that this process ever held, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn an_answer_beyond_its_bounds_is_refused_with_a_sentence_and_costs_little_memory() {
    let deadlines = Deadlines { files: Duration::from_secs(60), ..Deadlines::default() };
    let (state, list, headers) =
        (state::state("mgc"), files::list(r"\\files\logs"), files::headers(&[r"\\files\logs\a.trn"]));
    for (flood, batch, what) in [
        (Flood::Nulls(1_000), &state, "more than 48 columns in one result set"),
        (Flood::Nulls(40), &state, "more than 200,000 values"),
        (Flood::Nulls(90), &headers, "more than 500,000 values"),
        (Flood::Rows, &list, "more than 60,000 rows"),
        (Flood::Sets, &state, "more than 32 result sets"),
        (Flood::Text, &state, "more than 16,777,216 bytes"),
        (Flood::Messages, &state, "more than 16,777,216 bytes"),
    ] {
        let target = target(serve(flood).await);
        let mut connection = connect(&target, &deadlines).await.unwrap();
        let lost = connection.ask(batch, deadlines.files).await.unwrap_err();
        let expected = Lost::TooMuch { batch: batch.name(), what: what.into() };
        assert_eq!(lost, expected, "{flood:?}");
        assert!(!connection.is_clean(), "{flood:?}");
        let again = connection.ask(batch, deadlines.files).await.unwrap_err();
        assert!(matches!(again, Lost::Broken(_)), "the rest of an answer is never read: {again}");
    }
    let target = target(serve(Flood::Nulls(1_000)).await);
    match look(&target, "mgc", &deadlines, &mut None).await {
        Look::Unusable(told) => {
            assert!(
                told.contains(r"sql-ks1.contoso.com\PCHAT") && told.contains("more than 48 columns"),
                "{told}"
            );
        }
        other => panic!("{other:?}"),
    }
    #[cfg(target_os = "linux")]
    assert!(peak() < 160, "{} MiB", peak());
}
