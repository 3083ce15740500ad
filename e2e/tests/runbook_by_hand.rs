//! The published procedure, typed by hand: FreeTDS for the query window, pypsrp for the management shell.
//!
//! No part of the operator takes part: if an administrator with the printed page and tools that are not ours cannot bring
//! the pool up, the lab is not what it claims to be. The steps are those of "Failing over Persistent Chat Server".

use pchat_e2e::stage::Stage;
use pchat_lab::Scenario;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SCENARIO: &str = "
logShipping: {backups: 9, copied: 6, restored: 4, backupEveryS: 1, copyEveryS: 3600, restoreEveryS: 3600}
messageEveryMs: 20
";

/// The query window on the backup instance.
struct QueryWindow {
    conf: PathBuf,
    user: String,
    password: String,
}

impl QueryWindow {
    fn open(stage: &Stage, scenario: &Scenario) -> Self {
        let address = stage.lab.address(&scenario.backup.database).unwrap();
        let conf = stage.lab.dir().join("freetds.conf");
        let instance = &scenario.backup.instance;
        let text = format!(
            "[backup]\nhost = {address}\ninstance = {instance}\ntds version = 7.3\nencryption = require\n"
        );
        std::fs::write(&conf, text).unwrap();
        Self { conf, user: scenario.sql_login.name.clone(), password: scenario.sql_login.password.clone() }
    }

    /// Types a batch and gives what is printed.
    fn type_in(&self, batch: &str) -> String {
        let mut child = Command::new("tsql")
            .args(["-S", "backup", "-U", &self.user, "-P", &self.password, "-D", "master"])
            .env("FREETDSCONF", &self.conf)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tsql, of freetds-bin, must be installed");
        child.stdin.take().unwrap().write_all(format!("{batch}\ngo\nexit\n").as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    }

    /// Types a batch that must not fail.
    fn must(&self, batch: &str) -> String {
        let printed = self.type_in(batch);
        assert!(!failed(&printed), "{batch}\n{printed}");
        printed
    }
}

/// Whether an error was printed; severity 10 and less is information.
fn failed(printed: &str) -> bool {
    printed.split("(severity ").skip(1).any(|rest| {
        rest.split(',')
            .next()
            .and_then(|severity| severity.parse::<u8>().ok())
            .is_none_or(|severity| severity > 10)
    })
}

/// The management shell.
struct Shell {
    python: String,
    host: String,
    user: String,
    password: String,
    ca: PathBuf,
}

impl Shell {
    fn open(stage: &Stage, scenario: &Scenario) -> Self {
        Self {
            python: std::env::var("PCHAT_LAB_PYTHON")
                .expect("PCHAT_LAB_PYTHON must name a Python with pypsrp"),
            host: stage.lab.address(&scenario.shell.host).unwrap().to_string(),
            user: scenario.shell.user.clone(),
            password: scenario.shell.password.clone(),
            ca: stage.lab.dir().join("ca.pem"),
        }
    }

    fn run(&self, cmdlet: &str, parameters: &Value) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/by_hand.py");
        let out = Command::new(&self.python)
            .arg(script)
            .args([&self.host, &self.user, &self.password])
            .arg(&self.ca)
            .args([cmdlet, &parameters.to_string()])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success(),
            "{cmdlet} {parameters}\n{printed}\n{}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_str(&printed).unwrap()
    }
}

fn log_backups(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".trn"))
        .collect();
    names.sort();
    names
}

async fn acknowledged(stage: &Stage, wanted: u64) -> u64 {
    let begin = Instant::now();
    loop {
        let count = stage.lab.ledger()["acknowledged"].as_u64().unwrap();
        if count >= wanted {
            return count;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{count} messages were written, {wanted} expected"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs FreeTDS, and PCHAT_LAB_PYTHON naming a Python with pypsrp"]
async fn the_printed_runbook_brings_the_pool_up() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::from_yaml(SCENARIO).unwrap();
    let stage =
        Stage::start(scenario.clone(), folder.path(), Path::new(env!("CARGO_BIN_EXE_demo"))).await.unwrap();
    let begun = jiff::Timestamp::now();
    let history = stage.lab.ledger()["acknowledged"].as_u64().unwrap();
    acknowledged(&stage, history + 60).await;
    stage.order("kill site primary").await.unwrap();
    let window = QueryWindow::open(&stage, &scenario);

    // 1. Drop log shipping on the backup.
    window.must("exec sp_delete_log_shipping_secondary_database mgc");
    let gone = window.type_in("exec sp_delete_log_shipping_secondary_database mgc");
    assert!(gone.contains("Msg 32014"), "{gone}");

    // 2. Copy what is not yet copied from the share to the copy folder.
    let world = folder.path().join("world");
    let share = world.join("shares/files/pchat-logs");
    let copies = world.join("hosts").join(&scenario.backup.database).join("D/LogShip");
    for name in log_backups(&share) {
        if !copies.join(&name).exists() {
            std::fs::copy(share.join(&name), copies.join(&name)).unwrap();
        }
    }

    // 3. Apply every log backup that is not yet applied, in sequence. Those that are answer 4326; the last one may be
    // what the dying primary left of it.
    let names = log_backups(&copies);
    let (mut applied, mut known) = (0, 0);
    for (index, name) in names.iter().enumerate() {
        let printed =
            window.type_in(&format!("restore log mgc from disk = 'D:\\LogShip\\{name}' with norecovery"));
        if printed.contains("Msg 4326") {
            known += 1;
        } else if failed(&printed) {
            assert_eq!(index + 1, names.len(), "{name}: {printed}");
        } else {
            applied += 1;
        }
    }
    assert!(known >= 1 && applied >= 5, "{known} known and {applied} applied of {names:?}");

    // 4. End connections to mgc if there are any, and bring it online.
    let who = window.must("exec sp_who2");
    for line in who.lines().filter(|line| line.split('\t').any(|column| column.trim() == "mgc")) {
        let spid: u32 = line.split('\t').next().unwrap().trim().parse().unwrap();
        window.must(&format!("kill {spid}"));
    }
    window.must("restore database mgc with recovery");
    let again = window.type_in("restore database mgc with recovery");
    assert!(again.contains("Msg 3153"), "{again}");

    // 5. The pool is told.
    let shell = Shell::open(&stage, &scenario);
    let identity = format!("service:{}", scenario.pool);
    shell.run("Set-CsPersistentChatState", &json!({"Identity": identity, "PoolState": "FailedOver"}));
    let state = shell.run("Get-CsPersistentChatState", &json!({}));
    assert_eq!(state["output"][0]["PoolState"], "FailedOver", "{state}");

    // 6. A mirror for the new primary database.
    shell.run(
        "Install-CsMirrorDatabase",
        &json!({
            "DatabaseType": "PersistentChat", "SqlServerFqdn": scenario.backup.database,
            "SqlInstanceName": scenario.backup.instance, "FileShare": scenario.log_shipping.seed_share, "Confirm": false,
        }),
    );

    // 7. The servers of the surviving site.
    let service = shell.run("Get-CsService", &json!({"PersistentChatServer": true}));
    let identity = service["output"][0]["Identity"].clone();
    shell.run(
        "Set-CsPersistentChatActiveServer",
        &json!({"Identity": identity, "ActiveServers": {"replace": scenario.backup.chat_servers}}),
    );

    // The pool is up: its servers write, the database is mirrored, and nothing is lost that had been shipped.
    let state = stage.lab.state();
    let servers = state["servers"].as_array().unwrap();
    let server = servers.iter().find(|server| server["host"] == scenario.backup.database).unwrap();
    let mgc =
        &server["databases"].as_array().unwrap().iter().find(|database| database["name"] == "mgc").unwrap();
    assert!(mgc["state"].as_str().is_some_and(|state| state.eq_ignore_ascii_case("online")), "{mgc}");
    assert!(
        mgc["mirroring_state"].as_str().is_some_and(|state| state.to_lowercase().starts_with("sync")),
        "{mgc}"
    );
    let lost = stage.lost(server["name"].as_str().unwrap()).unwrap();
    assert!(lost.first.is_none_or(|first| first >= begun), "what had been shipped is lost: {lost}");
    acknowledged(&stage, lost.acknowledged + 20).await;

    // And the operator, run afterwards, finds the pool as it wants it.
    stage.edit("activeDatabase: primary", "activeDatabase: backup").unwrap();
    let mut converge = stage.operator.command("converge", &["-o", "json"]);
    let out = tokio::task::spawn_blocking(move || converge.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{printed}\n{}", String::from_utf8_lossy(&out.stderr));
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["outcome"], "Converged", "{document}");
}
