//! The lab's management shell seen by a PowerShell Remoting client.

use pchat_lab::{Lab, Scenario};
use pchat_psrp::{Auth, Command, Endpoint, Outcome, Security, Session, Value};
use std::time::{Duration, Instant};

const BACKUP: &str = "sql-ks1.contoso.com";

struct Bench {
    lab: Lab,
    _dir: tempfile::TempDir,
}

async fn quiet(more: &str) -> Bench {
    let yaml = format!(
        "messageEveryMs: 0\nlogShipping: {{backups: 3, copied: 1, restored: 1, jobEveryS: 0}}\n\
         serviceTimes: {{setCmdletMs: 1, readCmdletMs: 1, mirrorSeedingMs: 1}}\n{more}"
    );
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(Scenario::from_yaml(&yaml).unwrap(), dir.path()).await.unwrap();
    println!("seed {}", lab.seed());
    Bench { lab, _dir: dir }
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(10)
}

impl Bench {
    async fn shell(&self) -> Session {
        let host = "fe-ks1.contoso.com";
        let shell = Scenario::default().shell;
        let endpoint = Endpoint {
            host: host.into(),
            port: 443,
            addr: (self.lab.address(host).unwrap(), 443).into(),
            path: "/OcsPowerShell".into(),
            configuration: "Microsoft.PowerShell".into(),
            security: Security::Https { ca: Some(std::fs::read(self.lab.dir().join("ca.pem")).unwrap()) },
            auth: Auth::Negotiate { user: shell.user, password: shell.password },
        };
        Session::open(&endpoint, soon()).await.unwrap()
    }

    async fn order(&self, line: &str) {
        self.lab.order(line).await.unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

async fn run(shell: &mut Session, command: Command) -> Outcome {
    shell.invoke(&command, soon()).await.unwrap()
}

fn first_error(outcome: &Outcome) -> String {
    outcome.all_errors().next().map(|e| e.id.clone()).unwrap_or_default()
}

fn servers(names: &[&str]) -> Value {
    Value::array(names.iter().map(|n| Value::from(*n)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_cmdlets_of_the_runbook_bring_the_pool_over() {
    let bench = quiet("replicationDelayMs: 200").await;
    bench.order("kill site primary").await;
    for step in 1..=4 {
        bench.order(&format!("runbook {step}")).await;
    }
    let mut shell = bench.shell().await;
    let state = Command::new("Set-CsPersistentChatState")
        .with("Identity", "service:chat.contoso.com")
        .with("PoolState", "FailedOver");
    assert!(run(&mut shell, state).await.is_clean());
    let read = run(&mut shell, Command::new("Get-CsPersistentChatState")).await;
    assert_eq!(read.output[0].property("PoolState").unwrap().text(), "FailedOver");

    let mirror = || {
        Command::new("Install-CsMirrorDatabase")
            .with("DatabaseType", "PersistentChat")
            .with("FileShare", r"\\files\pchat-seed")
            .with("SqlServerFqdn", BACKUP)
            .with("SqlInstanceName", "PCHAT")
    };
    // It asks before it acts, and nobody can answer in a remote session.
    assert!(first_error(&run(&mut shell, mirror()).await).starts_with("PromptingFailed"));
    assert!(run(&mut shell, mirror().with("Confirm", false)).await.is_clean());
    let again = run(&mut shell, mirror().with("Confirm", false)).await;
    assert!(first_error(&again).starts_with("MirrorAlreadyConfigured"));

    let list = servers(&["pc-ks1.contoso.com", "pc-ks2.contoso.com"]);
    let active = Command::new("Set-CsPersistentChatActiveServer")
        .with("Identity", "global")
        .with("ActiveServers", list);
    assert!(run(&mut shell, active).await.is_clean());
    let replica =
        || Command::new("Get-CsManagementStoreReplicationStatus").with("ReplicaFqdn", "pc-ks1.contoso.com");
    let up_to_date = |o: &Outcome| o.output[0].property("UpToDate") == Some(&Value::Bool(true));
    assert!(!up_to_date(&run(&mut shell, replica()).await), "the store replicates late");
    let begin = Instant::now();
    while !up_to_date(&run(&mut shell, replica()).await) {
        assert!(begin.elapsed() < Duration::from_secs(5), "it does not replicate");
    }
    let service = run(&mut shell, Command::new("Get-CsService").with("PersistentChatServer", true)).await;
    let shown = format!("{:?}", service.output[0].property("ActiveServers"));
    assert!(shown.contains("pc-ks1") && shown.contains("pc-ks2") && !shown.contains("pc-tp1"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_are_refused_each_in_its_own_way_and_change_nothing() {
    let bench = quiet("").await;
    let mut shell = bench.shell().await;
    let before = bench.lab.state()["store"].clone();
    let active = |names: &[&str]| {
        Command::new("Set-CsPersistentChatActiveServer").with("ActiveServers", servers(names))
    };
    let pool = |state: &str| Command::new("Set-CsPersistentChatState").with("PoolState", state);
    let cases = [
        (Command::new("Get-CsPersistentChatActiveServer"), "CommandNotFoundException"),
        (pool("FailingOver"), "CannotConvertArgumentNoMessage"),
        (pool("Normal").with("Identity", "service:other.contoso.com"), "ItemNotFound"),
        (pool("Normal").with("Stat", 1), "NamedParameterNotFound"),
        (active(&["pc-zz.contoso.com"]), "ComputerNotInPool"),
        (active(&["pc-tp1.contoso.com"]).with("Swap", true), "AmbiguousParameterSet"),
        (Command::new("Get-CsDatabaseMirrorState"), "MissingMandatoryParameter"),
        (Command::new("Get-CsService").with("Registrar", true), "NotSimulated"),
    ];
    for (command, id) in cases {
        let name = command.name.clone();
        let outcome = run(&mut shell, command).await;
        assert!(first_error(&outcome).contains(id), "{name}: {id} expected, {:?}", first_error(&outcome));
    }
    bench.order("store unwritable").await;
    assert!(first_error(&run(&mut shell, pool("FailedOver")).await).starts_with("StoreNotWritable"));
    bench.order("store writable").await;
    assert_eq!(bench.lab.state()["store"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cmdlets_reply_can_be_lost_after_its_effect() {
    let bench = quiet("").await;
    let mut shell = bench.shell().await;
    bench.order("lose-reply shell").await;
    let command = Command::new("Set-CsPersistentChatState").with("PoolState", "FailedOver");
    assert!(shell.invoke(&command, soon()).await.is_err());
    assert_eq!(bench.lab.state()["store"]["settings"]["state"], "FailedOver");
    assert_eq!(bench.lab.mutations(), 1);
}
