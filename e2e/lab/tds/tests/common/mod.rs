//! A small engine with a language of its own, for clients to be tried against.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use pchat_tds::{
    Admission, Column, Connection, Date, Encryption, Engine, Login, Message, Parameter, Refusal, Request,
    Responder, Server, Session, Settings, Time, Tls, Type, Value,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What happened inside, for tests to wait for.
#[derive(Debug, Default)]
pub struct Seen {
    pub sessions: watch::Sender<i32>,
    pub running: watch::Sender<i32>,
    pub completed: AtomicU32,
    pub logins: Mutex<Vec<Login>>,
    pub connections: Mutex<Vec<Connection>>,
    pub go_on: tokio::sync::Notify,
}

pub struct Echo(pub Arc<Seen>);

/// Counts up now and down when dropped.
struct Count(Arc<Seen>, fn(&Seen) -> &watch::Sender<i32>);
impl Count {
    fn new(seen: &Arc<Seen>, which: fn(&Seen) -> &watch::Sender<i32>) -> Self {
        which(seen).send_modify(|n| *n += 1);
        Self(seen.clone(), which)
    }
}
impl Drop for Count {
    fn drop(&mut self) {
        (self.1)(&self.0).send_modify(|n| *n -= 1);
    }
}

pub struct EchoSession(Arc<Seen>, Count);

impl Engine for Echo {
    type Session = EchoSession;
    async fn login(&self, login: &Login, connection: &Connection) -> Result<Admission<EchoSession>, Refusal> {
        if (login.user.as_str(), login.password.as_str()) != ("sa", "Pä]ss;w0rd'") {
            return Err(Refusal::bad_login(&login.user));
        }
        if login.database == "absent" {
            return Err(Refusal::no_database(&login.user, &login.database));
        }
        self.0.logins.lock().unwrap().push(login.clone());
        self.0.connections.lock().unwrap().push(connection.clone());
        let session = EchoSession(self.0.clone(), Count::new(&self.0, |s| &s.sessions));
        let database = if login.database.is_empty() { "master" } else { &login.database };
        Ok(Admission { session, spid: 51, database: database.to_owned() })
    }
}

/// One column of each type, with a value for it.
pub fn everything() -> Vec<(Column, Value)> {
    let day = Date(Date::EPOCH_1970.0 + 20_000);
    let noon = Time(12 * 3600 * Time::PER_SECOND + 5_000_000);
    let guid = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let lsn = Value::Decimal { unscaled: 41_000_000_023_400_001, scale: 0 };
    [
        ("bit", Type::Bit, Value::Bit(true)),
        ("tinyint", Type::TinyInt, Value::Int(255)),
        ("smallint", Type::SmallInt, Value::Int(-3)),
        ("int", Type::Int, Value::Int(-42)),
        ("bigint", Type::BigInt, Value::Int(1 << 40)),
        ("real", Type::Real, Value::Float(0.5)),
        ("float", Type::Float, Value::Float(1.25)),
        ("lsn", Type::Numeric { precision: 25, scale: 0 }, lsn.clone()),
        ("numeric", Type::Numeric { precision: 9, scale: 3 }, Value::Decimal { unscaled: -12_500, scale: 4 }),
        ("money", Type::Money, Value::Decimal { unscaled: -12_345, scale: 4 }),
        ("nchar", Type::NChar(5), Value::Text("añ".into())),
        ("nvarchar", Type::NVarChar(20), Value::Text("名] ☃'".into())),
        ("nvarcharmax", Type::NVarCharMax, Value::Text("x".repeat(9000))),
        ("char", Type::Char(4), Value::Text("€".into())),
        ("varchar", Type::VarChar(20), Value::Text("für".into())),
        ("varcharmax", Type::VarCharMax, Value::Text("y".repeat(9000))),
        ("binary", Type::Binary(3), Value::Binary(vec![1])),
        ("varbinary", Type::VarBinary(16), Value::Binary(vec![1, 2])),
        ("varbinarymax", Type::VarBinaryMax, Value::Binary(vec![9; 9000])),
        ("guid", Type::Guid, Value::Guid(guid)),
        ("smalldatetime", Type::SmallDateTime, Value::DateTime(day, noon)),
        ("datetime", Type::DateTime, Value::DateTime(day, noon)),
        ("datetime2", Type::DateTime2(7), Value::DateTime(day, noon)),
        ("date", Type::Date, Value::Date(day)),
        ("time", Type::Time(3), Value::Time(noon)),
        (
            "datetimeoffset",
            Type::DateTimeOffset(0),
            Value::DateTimeOffset { date: day, time: noon, minutes: 480 },
        ),
        ("variant", Type::Variant, Value::Text("own".into())),
    ]
    .into_iter()
    .map(|(name, ty, value)| (Column::new(name, ty), value))
    .collect()
}

impl EchoSession {
    fn set(out: &mut Responder, columns: &[Column], rows: &[Vec<Value>]) {
        out.columns(columns);
        for row in rows {
            if let Err(e) = out.row(row) {
                out.message(&Message::error(8114, e.to_string()));
            }
        }
        out.done(Some(rows.len() as u64));
    }

    async fn command(&self, text: &str, parameters: &[Parameter], out: &mut Responder) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |n: i64| (vec![Column::new("n", Type::BigInt)], vec![vec![Value::Int(n)]]);
        match words.as_slice() {
            ["types"] => {
                let (columns, row): (Vec<_>, Vec<_>) = everything().into_iter().unzip();
                let nulls = vec![Value::Null; row.len()];
                Self::set(out, &columns, &[row, nulls]);
            }
            ["echo", ..] => {
                let columns: Vec<_> = parameters.iter().map(|p| Column::new(p.name.clone(), p.ty)).collect();
                Self::set(out, &columns, &[parameters.iter().map(|p| p.value.clone()).collect()]);
            }
            ["rows", count] => {
                out.columns(&number(0).0);
                for n in 0..count.parse().unwrap_or(0) {
                    out.row(&[Value::Int(n)]).unwrap();
                    if out.flush_if_full().await.is_err() {
                        return;
                    }
                }
                out.done(Some(out.rows_written()));
            }
            ["two"] => {
                for n in [1, 2] {
                    let (columns, rows) = number(n);
                    Self::set(out, &columns, &rows);
                }
            }
            ["error", "between"] => {
                let (columns, rows) = number(1);
                Self::set(out, &columns, &rows);
                let first = Message {
                    procedure: "p".into(),
                    line: 7,
                    ..Message::error(4305, "too recent").with_class(16)
                };
                out.message(&first);
                out.message(&Message::error(3013, "RESTORE LOG is terminating abnormally."));
                out.done(None);
                Self::set(out, &columns, &rows);
            }
            ["fatal"] => out.message(&Message::error(823, "the disk is gone").with_class(24)),
            ["use", database] => {
                out.database_changed("master", database);
                out.done(None);
            }
            ["call"] => {
                let (columns, rows) = number(1);
                out.columns(&columns);
                out.row(&rows[0]).unwrap();
                out.done_in_procedure(Some(1));
                out.procedure_done(0);
            }
            ["wait"] => {
                let _running = Count::new(&self.0, |s| &s.running);
                out.message(&Message::info(3211, "10 percent processed."));
                let _gone = out.flush().await;
                self.0.go_on.notified().await;
                self.0.completed.fetch_add(1, Ordering::SeqCst);
                out.done(None);
            }
            // What drivers send by themselves.
            ["SET" | "set", ..] => out.done(None),
            _ => {
                out.message(&Message::error(2812, format!("Could not find stored procedure '{text}'.")));
                out.done(None);
            }
        }
    }
}

impl Session for EchoSession {
    async fn execute(&mut self, request: Request, out: &mut Responder) {
        match request {
            Request::Batch(text) => {
                for line in text.split([';', '\n']).filter(|l| !l.trim().is_empty()) {
                    self.command(line, &[], out).await;
                }
            }
            Request::Rpc { procedure, parameters } if procedure.eq_ignore_ascii_case("sp_executesql") => {
                let Some(Value::Text(text)) = parameters.first().map(|p| p.value.clone()) else {
                    return out.message(&Message::error(
                        214,
                        "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.",
                    ));
                };
                self.command(&text, parameters.get(2..).unwrap_or_default(), out).await;
            }
            Request::Rpc { procedure, parameters } if procedure == "double" => {
                let Some(Value::Int(n)) = parameters.first().map(|p| p.value.clone()) else {
                    return out.message(&Message::error(
                        201,
                        "Procedure 'double' expects parameter '@n', which was not supplied.",
                    ));
                };
                for (at, p) in parameters.iter().enumerate().filter(|(_, p)| p.output) {
                    out.return_value(at as u16, &p.name, p.ty, &Value::Int(n * 2)).unwrap();
                }
                out.return_status(7);
            }
            Request::Rpc { procedure, .. } => {
                out.message(&Message::error(2812, format!("Could not find stored procedure '{procedure}'.")));
            }
        }
    }

    async fn reset(&mut self) {}
}

/// The password of `sa`, with what needs care.
pub const PASSWORD: &str = "Pä]ss;w0rd'";

pub struct Running {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    pub server: tokio::task::JoinHandle<()>,
    pub tds: Arc<Server<Echo>>,
    /// PEM of the certificate, which is its own CA.
    pub ca: String,
}

pub async fn start(encryption: Encryption, change: impl FnOnce(&mut Settings)) -> Running {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let (ca, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut settings = Settings::new(r"SQL-TP1\PCHAT", (15, 0, 2000));
    settings = settings.with_tls(encryption, Tls::from_pem(&ca, &key).unwrap());
    change(&mut settings);
    let seen = Arc::new(Seen::default());
    let server = Server::new(settings, Echo(seen.clone())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tds = server.clone();
    let server = tokio::spawn(async move { server.serve(listener).await.unwrap() });
    Running { address, seen, server, tds, ca }
}
