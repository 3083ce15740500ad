//! The server as tiberius, the operator's own client, sees it.

mod common;

use common::{PASSWORD, Running, everything, start};
use futures::TryStreamExt;
use pchat_tds::Encryption;
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel, QueryItem};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type Sql = Client<Compat<TcpStream>>;

async fn connect_as(
    server: &Running,
    level: EncryptionLevel,
    password: &str,
    database: &str,
) -> tiberius::Result<Sql> {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(server.address.port());
    config.authentication(AuthMethod::sql_server("sa", password));
    config.encryption(level);
    config.database(database);
    config.application_name("test");
    let ca = tempfile::NamedTempFile::with_suffix(".pem").unwrap();
    std::fs::write(ca.path(), &server.ca).unwrap();
    config.trust_cert_ca(ca.path().to_str().unwrap());
    let tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    Client::connect(config, tcp.compat_write()).await
}

async fn connect(server: &Running) -> Sql {
    connect_as(server, EncryptionLevel::Required, PASSWORD, "master").await.unwrap()
}

async fn plain() -> (Running, Sql) {
    let server = start(Encryption::NotSupported, |_| {}).await;
    let client = connect_as(&server, EncryptionLevel::NotSupported, PASSWORD, "master").await.unwrap();
    (server, client)
}

fn number(e: &tiberius::error::Error) -> u32 {
    e.code().unwrap_or_else(|| panic!("not an error of the server: {e:?}"))
}

#[tokio::test]
async fn every_agreement_on_encryption_carries_a_session() {
    for (server, client) in [
        (Encryption::NotSupported, EncryptionLevel::NotSupported),
        (Encryption::LoginOnly, EncryptionLevel::NotSupported),
        (Encryption::LoginOnly, EncryptionLevel::Off),
        (Encryption::LoginOnly, EncryptionLevel::On),
        (Encryption::LoginOnly, EncryptionLevel::Required),
        (Encryption::On, EncryptionLevel::Off),
        (Encryption::Required, EncryptionLevel::Off),
        (Encryption::Required, EncryptionLevel::Required),
    ] {
        let running = start(server, |_| {}).await;
        let mut sql = connect_as(&running, client, PASSWORD, "mgc").await.unwrap();
        let rows = sql.simple_query("rows 3000").await.unwrap().into_first_result().await.unwrap();
        assert_eq!(rows.len(), 3000, "{server:?} with {client:?}");
        let login = running.seen.logins.lock().unwrap()[0].clone();
        assert_eq!((login.database.as_str(), login.program.as_str()), ("mgc", "test"));
    }
}

#[tokio::test]
async fn a_client_without_encryption_is_turned_away_where_it_is_required() {
    let running = start(Encryption::Required, |_| {}).await;
    assert!(connect_as(&running, EncryptionLevel::NotSupported, PASSWORD, "master").await.is_err());
    assert!(running.seen.logins.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_18456_and_an_absent_database_4060() {
    let running = start(Encryption::Required, |_| {}).await;
    let error = connect_as(&running, EncryptionLevel::Required, "wrong", "master").await.err().unwrap();
    assert_eq!(number(&error), 18456);
    let error = connect_as(&running, EncryptionLevel::Required, PASSWORD, "absent").await.err().unwrap();
    assert_eq!(number(&error), 4060);
}

#[tokio::test]
async fn a_column_of_every_type_arrives_with_its_value_and_with_null() {
    let (_server, mut sql) = plain().await;
    let rows = sql.simple_query("types").await.unwrap().into_first_result().await.unwrap();
    let names: Vec<_> = rows[0].columns().iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(names, everything().iter().map(|(c, _)| c.name.clone()).collect::<Vec<_>>());
    assert_eq!(rows[0].get::<u8, _>("tinyint"), Some(255));
    assert_eq!(rows[0].get::<i16, _>("smallint"), Some(-3));
    assert_eq!(rows[0].get::<i32, _>("int"), Some(-42));
    assert_eq!(rows[0].get::<i64, _>("bigint"), Some(1 << 40));
    assert_eq!(rows[0].get::<f32, _>("real"), Some(0.5));
    assert_eq!(rows[0].get::<f64, _>("float"), Some(1.25));
    assert_eq!(rows[0].get::<tiberius::numeric::Numeric, _>("lsn").unwrap().value(), 41_000_000_023_400_001);
    assert_eq!(rows[0].get::<tiberius::numeric::Numeric, _>("numeric").unwrap().value(), -1250);
    assert_eq!(rows[0].get::<&str, _>("nchar"), Some("añ   "));
    assert_eq!(rows[0].get::<&str, _>("nvarchar"), Some("名] ☃'"));
    assert_eq!(rows[0].get::<&str, _>("nvarcharmax").unwrap().len(), 9000);
    assert_eq!(rows[0].get::<&str, _>("char"), Some("€   "));
    assert_eq!(rows[0].get::<&str, _>("varchar"), Some("für"));
    assert_eq!(rows[0].get::<&[u8], _>("binary"), Some([1u8, 0, 0].as_slice()));
    assert_eq!(rows[0].get::<&[u8], _>("varbinarymax").unwrap().len(), 9000);
    let guid = rows[0].get::<tiberius::Uuid, _>("guid").unwrap().to_string();
    assert_eq!(guid, "00112233-4455-6677-8899-aabbccddeeff");
    let data: Vec<_> = rows[0].cells().map(|(c, d)| (c.name().to_owned(), d.clone())).collect();
    let found = |name: &str| data.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert!(matches!(found("bit"), ColumnData::Bit(Some(true))));
    // 2024-10-04 12:00:00.5 is day 45567 since 1900.
    let ColumnData::DateTime(Some(d)) = found("datetime") else { panic!("{:?}", found("datetime")) };
    assert_eq!((d.days(), d.seconds_fragments()), (45_567, 12 * 3600 * 300 + 150));
    let ColumnData::SmallDateTime(Some(d)) = found("smalldatetime") else {
        panic!("{:?}", found("smalldatetime"))
    };
    assert_eq!((d.days(), d.seconds_fragments()), (45_567, 720));
    let ColumnData::DateTime2(Some(d)) = found("datetime2") else { panic!("{:?}", found("datetime2")) };
    assert_eq!((d.date().days(), d.time().increments()), (739_162, 432_005_000_000));
    let ColumnData::Date(Some(d)) = found("date") else { panic!("{:?}", found("date")) };
    assert_eq!(d.days(), 739_162);
    let ColumnData::Time(Some(t)) = found("time") else { panic!("{:?}", found("time")) };
    assert_eq!((t.increments(), t.scale()), (43_200_500, 3));
    let ColumnData::DateTimeOffset(Some(d)) = found("datetimeoffset") else {
        panic!("{:?}", found("datetimeoffset"))
    };
    assert_eq!((d.offset(), d.datetime2().time().increments()), (480, 43_200));
    assert!(format!("{:?}", found("variant")).contains("own"));
    for (column, data) in rows[1].cells() {
        let shown = format!("{data:?}");
        assert!(shown.contains("(None)"), "{}: {shown}", column.name());
    }
}

#[tokio::test]
async fn typed_parameters_come_back_as_they_were_sent() {
    let (_server, mut sql) = plain().await;
    let long = "ÿ☃".repeat(20_000);
    let numeric = tiberius::numeric::Numeric::new_with_scale(-123_456, 3);
    let guid = tiberius::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let bytes = vec![7u8; 10_000];
    let none: Option<i32> = None;
    let stream = sql
        .query(
            "echo",
            &[
                &true,
                &200u8,
                &-5i16,
                &7i32,
                &(1i64 << 50),
                &0.5f32,
                &2.5f64,
                &"a'b",
                &long,
                &numeric,
                &guid,
                &bytes,
                &none,
            ],
        )
        .await
        .unwrap();
    let row = stream.into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<bool, _>(0), Some(true));
    assert_eq!(row.get::<u8, _>(1), Some(200));
    assert_eq!(row.get::<i16, _>(2), Some(-5));
    assert_eq!(row.get::<i32, _>(3), Some(7));
    assert_eq!(row.get::<i64, _>(4), Some(1 << 50));
    assert_eq!(row.get::<f32, _>(5), Some(0.5));
    assert_eq!(row.get::<f64, _>(6), Some(2.5));
    assert_eq!(row.get::<&str, _>(7), Some("a'b"));
    assert_eq!(row.get::<&str, _>(8), Some(long.as_str()));
    assert_eq!(row.get::<tiberius::numeric::Numeric, _>(9).unwrap().value(), -123_456);
    assert_eq!(row.get::<tiberius::Uuid, _>(10), Some(guid));
    assert_eq!(row.get::<&[u8], _>(11), Some(bytes.as_slice()));
    assert_eq!(row.get::<i32, _>(12), None);
}

#[tokio::test]
async fn results_and_errors_keep_their_order_and_the_connection_goes_on() {
    let (_server, mut sql) = plain().await;
    let sets = sql.simple_query("two").await.unwrap().into_results().await.unwrap();
    assert_eq!(sets.iter().map(|s| s[0].get::<i64, _>(0).unwrap()).collect::<Vec<_>>(), [1, 2]);
    let mut stream = sql.simple_query("error between").await.unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(QueryItem::Row(_))) => rows += 1,
            Ok(Some(_)) => {}
            Ok(None) => panic!("the error did not surface"),
            Err(e) => break e,
        }
    };
    assert_eq!((rows, number(&error)), (2, 4305), "tiberius tells the first error at the end");
    drop(stream);
    let after = sql.simple_query("use mgc; rows 1").await.unwrap().into_first_result().await.unwrap();
    assert_eq!(after.len(), 1);
    let called = sql.simple_query("call; two").await.unwrap().into_results().await.unwrap();
    assert_eq!(called.len(), 3);
    let unknown = sql.execute("no such thing", &[]).await.err().unwrap();
    assert_eq!(number(&unknown), 2812);
    let touched = sql.execute("rows 5", &[]).await.unwrap();
    assert_eq!(touched.total(), 5);
}

/// tiberius reads no further than one message, so that it understands an acknowledgement only at the end of the response.
#[tokio::test]
async fn a_cancelled_statement_stops_and_the_connection_goes_on() {
    let server = start(Encryption::Required, |s| s.attention_apart = false).await;
    let mut sql = connect(&server).await;
    let mut running = server.seen.running.subscribe();
    let mut query = Box::pin(sql.simple_query("wait"));
    tokio::select! {
        _ = &mut query => panic!("it waits for ever"),
        begun = running.wait_for(|n| *n == 1) => { begun.unwrap(); }
    }
    drop(query);
    sql.cancel_query().await.unwrap();
    assert_eq!(*running.borrow(), 0);
    assert_eq!(server.seen.completed.load(std::sync::atomic::Ordering::SeqCst), 0);
    let after = sql.simple_query("rows 2").await.unwrap().into_first_result().await.unwrap();
    assert_eq!(after.len(), 2);
}

#[tokio::test]
async fn a_statement_runs_to_its_end_when_its_client_is_lost_and_then_the_session_ends() {
    let server = start(Encryption::Required, |_| {}).await;
    let mut sql = connect(&server).await;
    let mut running = server.seen.running.subscribe();
    let mut sessions = server.seen.sessions.subscribe();
    {
        let mut query = Box::pin(sql.simple_query("wait"));
        tokio::select! {
            _ = &mut query => panic!("it waits for ever"),
            begun = running.wait_for(|n| *n == 1) => { begun.unwrap(); }
        }
    }
    drop(sql);
    tokio::task::yield_now().await;
    assert_eq!((*running.borrow(), *sessions.borrow()), (1, 1));
    server.seen.go_on.notify_one();
    sessions.wait_for(|n| *n == 0).await.unwrap();
    assert_eq!(server.seen.completed.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn killing_a_session_stops_its_statement_and_ends_its_connection() {
    let server = start(Encryption::Required, |_| {}).await;
    let mut sql = connect(&server).await;
    let mut running = server.seen.running.subscribe();
    let query = async { sql.simple_query("wait").await?.into_results().await };
    let kill = async {
        running.wait_for(|n| *n == 1).await.unwrap();
        server.seen.connections.lock().unwrap()[0].kill();
    };
    let (outcome, ()) = tokio::join!(query, kill);
    assert_eq!(number(&outcome.err().unwrap()), 596);
    let mut sessions = server.seen.sessions.subscribe();
    sessions.wait_for(|n| *n == 0).await.unwrap();
    assert!(sql.simple_query("rows 1").await.is_err());
}

#[tokio::test]
async fn a_fatal_error_ends_the_connection_and_an_idle_kill_too() {
    let server = start(Encryption::Required, |_| {}).await;
    let mut sql = connect(&server).await;
    let error = sql.simple_query("fatal").await.err().unwrap();
    assert_eq!(number(&error), 823);
    let mut sessions = server.seen.sessions.subscribe();
    sessions.wait_for(|n| *n == 0).await.unwrap();
    let _idle = connect(&server).await;
    server.seen.connections.lock().unwrap()[1].kill();
    sessions.wait_for(|n| *n == 0).await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_takes_its_sessions_along() {
    let server = start(Encryption::LoginOnly, |_| {}).await;
    let mut sql = connect(&server).await;
    let mut running = server.seen.running.subscribe();
    let query = async { sql.simple_query("wait").await?.into_results().await };
    let die = async {
        running.wait_for(|n| *n == 1).await.unwrap();
        server.server.abort();
    };
    let (outcome, ()) = tokio::join!(query, die);
    assert!(outcome.is_err());
    assert_eq!((*server.seen.sessions.borrow(), *server.seen.running.borrow()), (0, 0));
}
