//! Clients that others wrote: FreeTDS and the Python drivers. Their programs must be there, so that these tests run only when asked for:
//! `cargo test -p pchat-tds --test foreign -- --include-ignored`, with `tsql` (freetds-bin) installed and `PCHAT_LAB_PYTHON` naming a
//! Python that has python-tds, pyOpenSSL and pymssql.

mod common;

use std::process::Stdio;

use common::{PASSWORD, Running, start};
use pchat_tds::Encryption;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

async fn tsql(server: &Running, version: &str, batches: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("freetds.conf");
    let port = server.address.port();
    std::fs::write(
        &conf,
        format!("[lab]\nhost = 127.0.0.1\nport = {port}\ntds version = {version}\nencryption = request\n"),
    )
    .unwrap();
    let mut child = Command::new("tsql")
        .args(["-S", "lab", "-U", "sa", "-P", PASSWORD])
        .env("FREETDSCONF", &conf)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tsql of freetds-bin is needed");
    child.stdin.take().unwrap().write_all(batches.as_bytes()).await.unwrap();
    let out = child.wait_with_output().await.unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[tokio::test]
#[ignore = "needs FreeTDS"]
async fn freetds_speaks_with_every_kind_of_encryption() {
    for encryption in [Encryption::NotSupported, Encryption::LoginOnly, Encryption::Required] {
        for version in ["7.2", "7.3", "7.4"] {
            let server = start(encryption, |_| {}).await;
            let out = tsql(
                &server,
                version,
                "rows 3\ngo\ntwo\ngo\nerror between\ngo\ntypes\ngo\nabsent thing\ngo\n",
            )
            .await;
            let context = format!("{encryption:?}, {version}:\n{out}");
            assert!(out.contains("(3 rows affected)"), "{context}");
            assert!(
                out.contains("Msg 4305 (severity 16, state 1) from SQL-TP1\\PCHAT, Procedure p Line 7"),
                "{context}"
            );
            assert!(out.contains("Msg 3013"), "the second error, which tiberius does not show: {context}");
            assert!(out.contains("41000000023400001") && out.contains("名] ☃'"), "{context}");
            assert!(out.contains("Msg 2812"), "{context}");
        }
    }
}

#[tokio::test]
#[ignore = "needs FreeTDS"]
async fn freetds_is_told_why_its_login_fails() {
    let server = start(Encryption::LoginOnly, |s| s.name = "x".into()).await;
    let port = server.address.port().to_string();
    let out = Command::new("tsql")
        .args(["-H", "127.0.0.1", "-p", &port, "-U", "sa", "-P", "wrong"])
        .output()
        .await
        .unwrap();
    let out = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.contains("Login failed for user 'sa'"), "{out}");
}

async fn python(server: &Running, program: &str) -> String {
    let python = std::env::var("PCHAT_LAB_PYTHON")
        .expect("PCHAT_LAB_PYTHON must name a Python with python-tds and pymssql");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &server.ca).unwrap();
    let out = Command::new(python)
        .args(["-c", program])
        .env("PORT", server.address.port().to_string())
        .env("PASSWORD", PASSWORD)
        .env("CA", &ca)
        .output()
        .await
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[tokio::test]
#[ignore = "needs PCHAT_LAB_PYTHON"]
async fn python_tds_speaks_in_clear_and_under_tls() {
    let program = r#"
import os, pytds, decimal, uuid, datetime
def go(**more):
    with pytds.connect("127.0.0.1", port=int(os.environ["PORT"]), user="sa", password=os.environ["PASSWORD"], database="mgc", autocommit=True, **more) as c:
        cur = c.cursor()
        cur.execute("types")
        row = cur.fetchone()
        assert row[7] == decimal.Decimal(41000000023400001), row
        assert row[19] == uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), row
        assert row[21] == datetime.datetime(2024, 10, 4, 12, 0, 0, 500000), row
        assert all(v is None for v in cur.fetchone())
        cur.execute("echo %s %s %s %s %s", (42, "it's ☃", decimal.Decimal("-1.5"), pytds.Binary(b"\x01\x02"), datetime.datetime(2026, 11, 22, 23, 41, 7)))
        row = cur.fetchone()
        assert row[:4] == (42, "it's ☃", decimal.Decimal("-1.5"), b"\x01\x02"), row
        assert row[4] == datetime.datetime(2026, 11, 22, 23, 41, 7), row
        try:
            cur.execute("absent")
            assert False
        except pytds.Error as e:
            assert e.number == 2812, e
        cur.execute("rows 4")
        assert len(cur.fetchall()) == 4

go(**({"cafile": os.environ["CA"], "validate_host": False} if TLS else {}))
print("ok")
"#;
    let server = start(Encryption::NotSupported, |_| {}).await;
    assert_eq!(python(&server, &format!("TLS = False\n{program}")).await.trim(), "ok");
    let server = start(Encryption::Required, |_| {}).await;
    assert_eq!(python(&server, &format!("TLS = True\n{program}")).await.trim(), "ok");
}

#[tokio::test]
#[ignore = "needs PCHAT_LAB_PYTHON"]
async fn pymssql_speaks_and_calls_procedures() {
    let program = r#"
import os, pymssql
c = pymssql.connect(server="127.0.0.1", port=os.environ["PORT"], user="sa", password=os.environ["PASSWORD"], autocommit=True)
cur = c.cursor()
cur.execute("rows 4")
assert len(cur.fetchall()) == 4
try:
    cur.execute("absent")
    assert False
except pymssql.Error as e:
    assert e.args[0] == 2812, e
assert cur.callproc("double", (21, pymssql.output(int)))[1] == 42
print("ok")
"#;
    let server = start(Encryption::LoginOnly, |_| {}).await;
    assert_eq!(python(&server, program).await.trim(), "ok");
}
