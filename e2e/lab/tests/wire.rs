//! The lab seen by an ordinary SQL Server client: effects, faults and bad manners over TDS.

use futures::StreamExt;
use pchat_lab::{Lab, Scenario};
use serde_json::Value;
use std::time::{Duration, Instant};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, SqlBrowser};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type Connection = Client<Compat<TcpStream>>;

const BACKUP: &str = "sql-ks1.contoso.com";
const PRIMARY: &str = "sql-tp1.contoso.com";
const SHARE: &str = r"\\files\pchat-logs";

struct Bench {
    lab: Lab,
    _dir: tempfile::TempDir,
}

/// A lab without chat traffic and without jobs of its own, so that only the test changes it.
async fn quiet(more: &str) -> Bench {
    let yaml = format!(
        "messageEveryMs: 0\nlogShipping: {{backups: 6, copied: 3, restored: 2, jobEveryS: 0{more}}}\n\
         serviceTimes: {{restoreLogMs: 300, recoveryMs: 50, deadShareMs: 50}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(Scenario::from_yaml(&yaml).unwrap(), dir.path()).await.unwrap();
    println!("seed {}", lab.seed());
    Bench { lab, _dir: dir }
}

impl Bench {
    async fn connect(&self, host: &str) -> Connection {
        self.connect_as(host, "pchat_operator").await
    }

    async fn connect_as(&self, host: &str, login: &str) -> Connection {
        let mut config = Config::new();
        config.host(self.lab.address(host).unwrap().to_string());
        config.instance_name("PCHAT");
        config.authentication(AuthMethod::sql_server(login, "Sql-Pa55w.rd"));
        config.encryption(EncryptionLevel::Required);
        config.trust_cert_ca(self.lab.dir().join("ca.pem").display());
        config.database("master");
        let stream = TcpStream::connect_named(&config).await.unwrap();
        Client::connect(config, stream.compat_write()).await.unwrap()
    }

    async fn order(&self, line: &str) -> Value {
        self.lab.order(line).await.unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    fn database(&self, host: &str) -> Value {
        let state = self.lab.state();
        let servers = state["servers"].as_array().unwrap();
        let server = servers.iter().find(|s| s["host"] == host).unwrap();
        server["databases"][0].clone()
    }

    /// The name of the next log backup that the backup instance needs.
    fn next_file(&self) -> String {
        let files = &self.lab.state()["files"]["share"];
        files[2].as_str().unwrap().to_owned()
    }

    fn restore_next(&self) -> String {
        format!(r"RESTORE LOG mgc FROM DISK = N'{SHARE}\{}' WITH NORECOVERY", self.next_file())
    }

    /// Waits for a state; it must come within seconds.
    async fn until(&self, what: &str, ready: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !ready(self) {
            let late = begin.elapsed() > Duration::from_secs(10);
            assert!(!late, "{what} did not come: {}", self.lab.state()["servers"]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn run(connection: &mut Connection, batch: &str) -> Result<Vec<tiberius::Row>, tiberius::error::Error> {
    let mut stream = connection.simple_query(batch).await?;
    let mut rows = vec![];
    while let Some(item) = stream.next().await {
        if let tiberius::QueryItem::Row(row) = item? {
            rows.push(row);
        }
    }
    Ok(rows)
}

async fn number(connection: &mut Connection, batch: &str) -> Option<u32> {
    run(connection, batch).await.err().and_then(|e| e.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_does_not_stop_its_restore() {
    let bench = quiet("").await;
    let before = bench.database(BACKUP)["next_lsn"].clone();
    let mut client = bench.connect(BACKUP).await;
    let restore = bench.restore_next();
    let lost = tokio::time::timeout(Duration::from_millis(100), run(&mut client, &restore)).await;
    assert!(lost.is_err(), "the restore takes longer than its client waits");
    drop(client);
    assert_eq!(bench.database(BACKUP)["next_lsn"], before, "it has not ended yet");
    bench.until("the end of the restore", |b| b.database(BACKUP)["next_lsn"] != before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_stops_a_restore_and_its_progress_was_seen_before() {
    let bench = quiet("").await;
    let before = bench.database(BACKUP)["next_lsn"].clone();
    let mut client = bench.connect(BACKUP).await;
    let mut other = bench.connect(BACKUP).await;
    let spid: i16 = run(&mut client, "SELECT @@SPID").await.unwrap()[0].get(0).unwrap();
    let restore = bench.restore_next();
    let running = tokio::spawn(async move { run(&mut client, &restore).await.map(|_| ()) });
    let progress =
        "SELECT session_id, percent_complete FROM sys.dm_exec_requests WHERE command LIKE N'RESTORE%'";
    let begin = Instant::now();
    loop {
        let rows = run(&mut other, progress).await.unwrap();
        if rows.first().and_then(|r| r.get::<f32, _>(1)).is_some_and(|p| p > 0.0) {
            assert_eq!(rows[0].get::<i16, _>(0), Some(spid));
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "no progress was seen");
    }
    assert_eq!(number(&mut other, &bench.restore_next()).await, Some(3101), "the copy is held");
    run(&mut other, &format!("KILL {spid}")).await.unwrap();
    assert!(running.await.unwrap().is_err());
    bench.until("the end of the session", |b| !b.lab.state().to_string().contains("RESTORE LOG")).await;
    assert_eq!(bench.database(BACKUP)["next_lsn"], before);
    run(&mut other, &bench.restore_next()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commanded_faults_lose_replies_delay_calls_and_raise_errors() {
    let bench = quiet("").await;
    let property =
        |name: &str| format!("EXEC master.sys.sp_addextendedproperty @name = N'{name}', @value = N'x'");
    let has = |b: &Bench, name: &str| b.lab.state().to_string().contains(name);

    bench.order("lose-reply sql-ks1").await;
    let mut client = bench.connect(BACKUP).await;
    assert!(run(&mut client, &property("first-effect")).await.is_err());
    assert!(has(&bench, "first-effect"), "the effect came before its reply was lost");

    bench.order("delay-call sql-ks1 200").await;
    let mut client = bench.connect(BACKUP).await;
    assert!(run(&mut client, &property("second-effect")).await.is_err());
    assert!(!has(&bench, "second-effect"), "the caller is gone before the effect");
    bench.until("the delayed effect", |b| has(b, "second-effect")).await;

    bench.order("fault sql-ks1 3101 1").await;
    let mut client = bench.connect(BACKUP).await;
    run(&mut client, &property("third-effect")).await.unwrap();
    assert_eq!(number(&mut client, &property("fourth-effect")).await, Some(3101));
    run(&mut client, &property("fourth-effect")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_denied_or_dead_lists_as_empty_without_an_error() {
    let bench = quiet("").await;
    let mut client = bench.connect(BACKUP).await;
    let listing = format!("EXEC master.sys.xp_dirtree N'{SHARE}', 1, 1");
    assert_eq!(run(&mut client, &listing).await.unwrap().len(), 6);
    bench.order(r"deny sql-ks1 \\files\pchat-logs").await;
    assert_eq!(run(&mut client, &listing).await.unwrap().len(), 0);
    assert_eq!(number(&mut client, &bench.restore_next()).await, Some(3201));
    bench.order(r"allow sql-ks1 \\files\pchat-logs").await;
    bench.order("kill host files").await;
    assert_eq!(run(&mut client, &listing).await.unwrap().len(), 0);
    bench.order("revive host files").await;
    assert_eq!(run(&mut client, &listing).await.unwrap().len(), 6);
    let mut reader = bench.connect_as(BACKUP, "pchat_reader").await;
    assert_eq!(run(&mut reader, &listing).await.unwrap().len(), 0, "only sysadmin sees files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_while_it_backs_up_leaves_an_unfinished_set() {
    let bench = quiet("").await;
    let done = bench.order("kill-during-backup primary").await;
    let name = done["done"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    let mut client = bench.connect(BACKUP).await;
    let header = format!(r"RESTORE HEADERONLY FROM DISK = N'{SHARE}\{name}'");
    match run(&mut client, &header).await {
        Ok(rows) => {
            assert_eq!(rows[0].get::<&str, _>("BackupName"), Some("*** INCOMPLETE ***"));
            assert!(rows[0].try_get::<tiberius::numeric::Numeric, _>("FirstLSN").unwrap().is_none());
        }
        // Cut off within its header.
        Err(e) => assert_eq!(e.code(), Some(3241), "{e}"),
    }
    assert!(!bench.database("sql-tp1.contoso.com").is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_standby_copy_keeps_restore_out_until_it_is_killed() {
    let bench = quiet(", standby: true").await;
    assert!(bench.database(BACKUP)["standby"].is_string());
    let spid = bench.order("hold-session sql-ks1").await["spid"].as_i64().unwrap();
    let mut client = bench.connect(BACKUP).await;
    let redo = "SELECT redo_start_lsn FROM sys.master_files WHERE database_id = DB_ID(N'mgc') AND type = 0";
    let rows = run(&mut client, redo).await.unwrap();
    assert!(rows[0].try_get::<tiberius::numeric::Numeric, _>(0).unwrap().is_none(), "NULL while ONLINE");
    assert_eq!(number(&mut client, &bench.restore_next()).await, Some(3101));
    run(&mut client, &format!("KILL {spid}")).await.unwrap();
    run(&mut client, &bench.restore_next()).await.unwrap();
    assert_eq!(bench.database(BACKUP)["state"], "RESTORING");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_counted_and_looking_is_free() {
    let bench = quiet("").await;
    let mut client = bench.connect(BACKUP).await;
    bench.order("mark").await;
    let own = "SELECT r.command, p.cmd FROM sys.dm_exec_requests AS r JOIN sys.sysprocesses AS p ON p.spid = r.session_id \
               WHERE r.session_id = @@SPID";
    let own = run(&mut client, own).await.unwrap();
    assert_eq!(own[0].get::<&str, _>(0), Some("SELECT"), "whoever asks is seen executing");
    let look = "SELECT name FROM sys.databases; EXEC sp_who2; SELECT * FROM msdb.dbo.log_shipping_secondary; \
                DECLARE @r int; EXEC @r = sp_getapplock @Resource = N'x', @LockMode = N'Exclusive', \
                @LockOwner = N'Session', @LockTimeout = 0; SELECT @r";
    run(&mut client, look).await.unwrap();
    assert_eq!(bench.lab.mutations(), 0);
    run(&mut client, &bench.restore_next()).await.unwrap();
    assert_eq!(bench.lab.mutations(), 1);
    assert_eq!(bench.lab.critical_path(), Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_mirror_goes_on_with_the_chain_and_the_old_principal_comes_back_as_mirror() {
    let bench = quiet("").await;
    bench.order("kill host sql-tp1").await;
    bench.order("promote-mirror primary").await;
    assert_eq!(bench.database("sql-tp2.contoso.com")["state"], "ONLINE");
    bench.order("backup-log").await;
    bench.order("runbook 2").await;
    let applied = bench.order("runbook 3").await;
    assert!(applied["done"].as_str().unwrap().contains("5 log backups"), "{applied}");
    bench.order("revive host sql-tp1").await;
    let old = bench.database("sql-tp1.contoso.com");
    assert_eq!((&old["state"], &old["mirroring"]["role"]), (&"RESTORING".into(), &"MIRROR".into()));
    assert_eq!(bench.database("sql-tp2.contoso.com")["mirroring_state"], "SYNCHRONIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_request_runs_whole_and_late_and_a_dropped_one_never() {
    let bench = quiet("").await;
    let late = "IF SYSUTCDATETIME() < DATEADD(MILLISECOND, 0, CONVERT(datetime2(3), N'2999-01-01')) \
                EXEC master.sys.sp_addextendedproperty @name = N'late-one', @value = N'x'";
    bench.order("delay-request sql-ks1 200 late-one").await;
    let mut client = bench.connect(BACKUP).await;
    assert!(run(&mut client, late).await.is_err());
    assert_eq!(bench.lab.mutations(), 0, "nothing of it ran yet");
    bench.until("the delayed request", |b| b.lab.state().to_string().contains("late-one")).await;

    bench.order("drop-request sql-ks1 never-one").await;
    let mut client = bench.connect(BACKUP).await;
    let never = "EXEC master.sys.sp_addextendedproperty @name = N'never-one', @value = N'x'";
    assert!(run(&mut client, never).await.is_err());
    bench.order("lose-request sql-ks1 other-one").await;
    let mut client = bench.connect(BACKUP).await;
    let lost = "EXEC master.sys.sp_addextendedproperty @name = N'other-one', @value = N'x'; SELECT 1";
    assert!(run(&mut client, lost).await.is_err());
    let state = bench.lab.state().to_string();
    assert!(state.contains("other-one") && !state.contains("\"name\":\"never-one"), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_a_return_code_and_a_listing_are_told_as_null_on_command_and_a_misspelt_one_is_an_error() {
    let bench = quiet("").await;
    let mut client = bench.connect(BACKUP).await;
    let look = "DECLARE @r int; DECLARE @t TABLE (name nvarchar(512) NULL, depth int NULL, is_file int NULL); \
                EXEC @r = sys.sp_getapplock @Resource = N'a', @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0; \
                INSERT INTO @t EXEC master.sys.xp_dirtree N'\\\\files\\pchat-logs', 1, 1; \
                SELECT DB_ID(N'mgc') AS id, @r AS code, (SELECT COUNT(t.name) FROM @t AS t) AS names, \
                (SELECT COUNT(*) FROM @t AS t) AS lines";
    for (withheld, column) in [
        ("function DB_ID", Some("id")),
        ("procedure sp_getapplock", Some("code")),
        ("xp_dirtree subdirectory", Some("names")),
        ("function DB_NAME", None),
    ] {
        bench.order(&format!("null {BACKUP} {withheld}")).await;
        let rows = run(&mut client, look).await.unwrap();
        let row = &rows[0];
        assert_eq!(row.get::<i16, _>("id").is_none(), column == Some("id"), "{withheld}");
        assert_eq!(row.get::<i32, _>("code").is_none(), column == Some("code"), "{withheld}");
        assert_eq!(row.get::<i32, _>("names") == Some(0), column == Some("names"), "{withheld}");
        assert!(row.get::<i32, _>("lines") > Some(0), "{withheld}: the rows are there");
        let armed = bench.order(&format!("nulls {BACKUP}")).await;
        assert_eq!(armed["nulls"][0]["told"], column.is_some(), "{withheld}: {armed}");
        bench.order(&format!("clear-nulls {BACKUP}")).await;
    }
    for misspelt in ["function DB_IDD", "procedure sp_getaplock", "sys.databases stat"] {
        assert!(bench.lab.order(&format!("null {BACKUP} {misspelt}")).await.is_err(), "{misspelt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_shipping_is_dropped_with_its_jobs_but_not_while_its_monitor_is_dead() {
    let bench = quiet(", monitor: 'SQL-TP1\\PCHAT'").await;
    let mut client = bench.connect(BACKUP).await;
    let drop = "EXEC master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = N'mgc'";
    bench.order("kill host sql-tp1").await;
    assert_eq!(number(&mut client, drop).await, Some(32054));
    let count = "SELECT COUNT(*) FROM msdb.dbo.sysjobs";
    assert_eq!(run(&mut client, count).await.unwrap()[0].get::<i32, _>(0), Some(2));
    run(&mut client, &format!("{drop}, @ignoreremotemonitor = 1")).await.unwrap();
    assert_eq!(run(&mut client, count).await.unwrap()[0].get::<i32, _>(0), Some(0));
    assert_eq!(number(&mut client, drop).await, Some(32014));
    assert_eq!(bench.database(BACKUP)["state"], "RESTORING", "the database itself is not touched");
    let mut reader = bench.connect_as(BACKUP, "pchat_reader").await;
    assert_eq!(number(&mut reader, drop).await, Some(15003));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_shipping_set_up_by_its_procedures_ships() {
    let bench = quiet("").await;
    let mut backup = bench.connect(BACKUP).await;
    let again = format!(
        r"EXEC master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = N'mgc';
        DECLARE @c uniqueidentifier, @r uniqueidentifier, @s uniqueidentifier;
        EXEC master.dbo.sp_add_log_shipping_secondary_primary @primary_server = N'SQL-TP1\PCHAT',
            @primary_database = N'mgc', @backup_source_directory = N'{SHARE}',
            @backup_destination_directory = N'D:\LogShip', @copy_job_name = N'copy', @restore_job_name = N'restore',
            @file_retention_period = 4320, @monitor_server = N'SQL-KS1\PCHAT', @monitor_server_security_mode = 1,
            @copy_job_id = @c OUTPUT, @restore_job_id = @r OUTPUT, @secondary_id = @s OUTPUT;
        EXEC master.dbo.sp_add_log_shipping_secondary_database @secondary_database = N'mgc',
            @primary_server = N'SQL-TP1\PCHAT', @primary_database = N'mgc', @restore_delay = 0, @restore_mode = 0;
        EXEC msdb.dbo.sp_start_job @job_id = @c;"
    );
    run(&mut backup, &again).await.unwrap();
    let copied = |b: &Bench| b.lab.state()["files"]["folder"].as_array().map(Vec::len);
    bench.until("the copy job", |b| copied(b) == Some(6)).await;
    let before = bench.database(BACKUP)["next_lsn"].clone();
    run(&mut backup, "EXEC msdb.dbo.sp_start_job @job_name = N'restore'").await.unwrap();
    bench
        .until("the restore job", |b| {
            let jobs = b.lab.state()["servers"].to_string();
            jobs.contains("Number of log backup files restored: 4.")
        })
        .await;
    assert_ne!(bench.database(BACKUP)["next_lsn"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_of_a_procedure_has_an_effect_or_is_an_error() {
    let bench = quiet("").await;
    let change = |what: &str| format!("EXEC master.dbo.sp_change_log_shipping_{what}");
    let primary = change(
        r"primary_database @database = N'mgc', @backup_directory = N'D:\x', @backup_share = N'\\files\x',
          @backup_retention_period = 60",
    );
    let secondary = change("secondary_database @secondary_database = N'mgc'");
    for (host, called, table, parameters) in [
        (PRIMARY, &primary, "log_shipping_primary_databases", "backup_compression"),
        (
            PRIMARY,
            &primary,
            "log_shipping_monitor_primary",
            "backup_threshold threshold_alert threshold_alert_enabled history_retention_period",
        ),
        (
            BACKUP,
            &secondary,
            "log_shipping_secondary_databases",
            "restore_delay restore_all restore_mode disconnect_users block_size buffer_count max_transfer_size",
        ),
        (
            BACKUP,
            &secondary,
            "log_shipping_monitor_secondary",
            "restore_threshold threshold_alert threshold_alert_enabled history_retention_period",
        ),
    ] {
        let mut client = bench.connect(host).await;
        for parameter in parameters.split_whitespace() {
            let read = format!("SELECT CONVERT(int, {parameter}) FROM msdb.dbo.{table}");
            let before = run(&mut client, &read).await.unwrap()[0].get::<i32, _>(0);
            let other = i32::from(before != Some(1));
            run(&mut client, &format!("{called}, @{parameter} = {other}")).await.unwrap();
            let after = run(&mut client, &read).await.unwrap()[0].get::<i32, _>(0);
            assert_eq!(after, Some(other), "{parameter}");
        }
    }
    let mut client = bench.connect(BACKUP).await;
    for refused in [
        format!(
            "{}, @monitor_server_login = N'x'",
            change(r"secondary_primary @primary_server = N'SQL-TP1\PCHAT', @primary_database = N'mgc'")
        ),
        "EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy', @notify_level_email = 2".to_owned(),
        "EXEC msdb.dbo.sp_start_job @job_name = N'LSCopy', @step_name = N'x'".to_owned(),
    ] {
        let before = bench.lab.mutations();
        let error = run(&mut client, &refused).await.unwrap_err().to_string();
        assert!(error.contains("of sp_"), "{refused}: {error}");
        assert_eq!(bench.lab.mutations(), before, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_over_the_control_socket_answer_in_json_and_name_what_they_did_not_understand() {
    let mut bench = quiet("").await;
    bench.lab.listen().unwrap();
    let dir = bench.lab.dir().to_owned();
    let ask = async |order: &str| -> Value {
        serde_json::from_str(&pchat_lab::send(&dir, order).await.unwrap()).unwrap()
    };
    assert_eq!(ask("status").await["servers"].as_array().map(Vec::len), Some(4));
    assert!(ask("kill site primary").await["done"].is_string());
    assert_eq!(ask("status").await["servers"][0]["alive"], false);
    let refused = ask("kill site primry").await;
    assert!(refused["error"].as_str().unwrap().contains("expected primary or backup"), "{refused}");
    assert!(ask("make coffee").await["error"].as_str().unwrap().contains("not an order"));
}
