//! Chat servers against two databases that only know how to store.

use super::*;
use crate::net::Presence;
use pchat_tds::{
    Admission, Connection, Engine, Login, Message, Parameter, Refusal, Request, Responder, Session, Settings,
    Value,
};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// A database that keeps the messages and the names of those who ping it.
#[derive(Debug, Default)]
struct Database {
    messages: Mutex<BTreeSet<Uuid>>,
    pings: Mutex<Vec<String>>,
    /// Login's workstation and program.
    clients: Mutex<BTreeSet<(String, String)>>,
    /// Not writable, as a mirror.
    closed: watch::Sender<bool>,
}

struct Store(Arc<Database>);
struct StoreSession(Arc<Database>);

impl Engine for Store {
    type Session = StoreSession;
    async fn login(&self, login: &Login, _: &Connection) -> Result<Admission<StoreSession>, Refusal> {
        if *self.0.closed.borrow() {
            return Err(Refusal::no_database(&login.user, &login.database));
        }
        assert_eq!(
            (login.user.as_str(), login.password.as_str(), login.database.as_str()),
            ("chat", "pw", "mgc")
        );
        self.0.clients.lock().unwrap().insert((login.host.clone(), login.program.clone()));
        Ok(Admission { session: StoreSession(self.0.clone()), spid: 60, database: "mgc".into() })
    }
}

impl Session for StoreSession {
    async fn execute(&mut self, request: Request, out: &mut Responder) {
        let Request::Rpc { parameters, .. } = request else {
            return out.message(&Message::error(102, "Incorrect syntax."));
        };
        let value = |n: usize| parameters.get(n).map(|p: &Parameter| p.value.clone());
        let Some(Value::Text(text)) = value(0) else { panic!("no statement") };
        let mut pings = self.0.pings.lock().unwrap();
        let rows = match (text.split(' ').next(), value(2), value(3)) {
            (Some("INSERT"), Some(Value::Guid(id)), _) => {
                u64::from(self.0.messages.lock().unwrap().insert(Uuid::from_bytes(id)))
            }
            (Some("INSERT"), _, Some(Value::Text(server))) => {
                pings.push(server);
                1
            }
            (Some("UPDATE"), Some(Value::Text(server)), _) => u64::from(pings.contains(&server)),
            other => panic!("{other:?}"),
        };
        out.done(Some(rows));
    }

    async fn reset(&mut self) {}
}

/// A pool whose state the test sets.
#[derive(Debug, Default)]
struct Fixed {
    duty: watch::Sender<Option<Vec<Place>>>,
    stored: watch::Sender<Vec<Stored>>,
}

impl Pool for Fixed {
    fn duty(&self, server: &str) -> Duty {
        assert_eq!(server, PC);
        self.duty.borrow().clone().map_or(Duty::None, Duty::Serve)
    }
    fn stored(&self, message: Stored) {
        self.stored.send_modify(|all| all.push(message));
    }
}

const PC: &str = "pc-tp1.contoso.com";

struct Lab {
    net: Arc<Network>,
    pool: Arc<Fixed>,
    databases: Vec<Arc<Database>>,
    places: Vec<Place>,
    _chat: Chat,
}

async fn lab(names: &[&str]) -> Lab {
    let net = Arc::new(Network::new(1).unwrap());
    let (mut databases, mut places) = (Vec::new(), Vec::new());
    for name in names {
        let database = Arc::new(Database::default());
        let server =
            pchat_tds::Server::new(Settings::new(*name, (11, 0, 7001)), Store(database.clone())).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        tokio::spawn(server.serve(listener));
        net.add_host(name).await.unwrap();
        let port = net.open(name, 0, target).await.unwrap();
        databases.push(database);
        places.push(Place { host: (*name).into(), port, instance: name.to_uppercase() });
    }
    let pool = Arc::new(Fixed::default());
    let access =
        Access { user: "chat".into(), password: "pw".into(), database: "mgc".into(), encrypted: false };
    let pace = Pace {
        message: Duration::from_millis(2),
        ping: Duration::from_millis(5),
        patience: Duration::from_millis(300),
    };
    let chat = Chat::start(&net, pool.clone(), &access, &[PC.to_owned()], pace);
    Lab { net, pool, databases, places, _chat: chat }
}

impl Lab {
    async fn stored(&self, wanted: impl Fn(&[Stored]) -> bool) -> Vec<Stored> {
        let mut all = self.pool.stored.subscribe();
        tokio::time::timeout(Duration::from_secs(20), all.wait_for(|a| wanted(a)))
            .await
            .expect("in time")
            .unwrap()
            .clone()
    }
}

#[tokio::test]
async fn an_active_server_writes_pings_and_says_who_it_is() {
    let lab = lab(&["a"]).await;
    lab.pool.duty.send_replace(Some(lab.places.clone()));
    let told = lab.stored(|a| a.len() >= 10).await;
    let kept = lab.databases[0].messages.lock().unwrap().clone();
    assert!(told.iter().all(|m| kept.contains(&m.id) && m.server == PC && m.instance == "A"));
    assert_eq!(*lab.databases[0].pings.lock().unwrap(), [PC]);
    assert!(lab.databases[0].clients.lock().unwrap().contains(&("pc-tp1".into(), PROGRAM.into())));
}

#[tokio::test]
async fn a_server_without_duty_writes_nothing_and_leaves() {
    let lab = lab(&["a"]).await;
    lab.pool.duty.send_replace(Some(lab.places.clone()));
    lab.stored(|a| !a.is_empty()).await;
    lab.pool.duty.send_replace(None);
    let left = async {
        while !lab.net.links_to("a").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left).await.expect("its connection ends");
    let then = lab.pool.stored.borrow().len();
    let mut all = lab.pool.stored.subscribe();
    assert!(
        tokio::time::timeout(Duration::from_millis(150), all.wait_for(|a| a.len() > then)).await.is_err()
    );
}

#[tokio::test]
async fn when_the_principal_dies_the_partner_is_used_and_nothing_is_called_stored_that_is_not() {
    let lab = lab(&["a", "b"]).await;
    lab.databases[1].closed.send_replace(true);
    lab.pool.duty.send_replace(Some(lab.places.clone()));
    lab.stored(|a| a.len() >= 5).await;
    lab.net.set_presence("a", Presence::Dead).await.unwrap();
    lab.databases[1].closed.send_replace(false);
    let told = lab.stored(|a| a.iter().any(|m| m.instance == "B")).await;
    for message in &told {
        let database = &lab.databases[usize::from(message.instance == "B")];
        assert!(database.messages.lock().unwrap().contains(&message.id));
    }
}

#[tokio::test]
async fn after_a_failover_of_the_pool_the_other_site_is_used() {
    let lab = lab(&["a", "b"]).await;
    lab.pool.duty.send_replace(Some(lab.places[..1].to_vec()));
    lab.stored(|a| a.len() >= 3).await;
    lab.pool.duty.send_replace(Some(lab.places[1..].to_vec()));
    let told = lab.stored(|a| a.last().is_some_and(|m| m.instance == "B")).await;
    let first = told.iter().position(|m| m.instance == "B").unwrap();
    assert!(told[first..].iter().all(|m| m.instance == "B"), "never back to the one before");
}
