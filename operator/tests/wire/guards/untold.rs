//! NULL in what a guard itself reads, one column, function or return code after the other, in each state that the batch must refuse:
//! what is not told never opens a guard.

use std::collections::BTreeSet;

use super::*;

/// What a server tells by functions, and not of the arguments alone.
const FUNCTIONS: [&str; 5] = ["DB_NAME", "DB_ID", "SYSUTCDATETIME", "@@TRANCOUNT", "@@SPID"];
/// What the listing tells, and the return code of the lock.
const PROCEDURES: [(&str, &str); 4] = [
    ("xp_dirtree", "xp_dirtree subdirectory"),
    ("xp_dirtree", "xp_dirtree depth"),
    ("xp_dirtree", "xp_dirtree file"),
    ("sp_getapplock", "procedure sp_getapplock"),
];
/// Where NULL is an answer: nothing was restored yet; the job was not asked for, or has not begun.
const MEANT: [&str; 3] = [
    "msdb.dbo.log_shipping_secondary_databases last_restored_file",
    "msdb.dbo.sysjobactivity run_requested_date",
    "msdb.dbo.sysjobactivity start_execution_date",
];
const AT_WORK: [&str; 4] = ["apply", "recover", "recover-unproved", "recover-nowhere"];
const SECONDARY: [&str; 4] = ["quiesce", "resume", "remove", "remove-fresh"];

/// All that a batch reads of the server before it refuses with this word, as the lab is told to withhold it.
fn reads(batch: &Batch, code: &str) -> BTreeSet<String> {
    let text = batch.text();
    let end = text.rfind(&format!("PCHAT|{code}|")).expect("where it refuses");
    let text = text[..end].replace(|c: char| !c.is_alphanumeric() && !"_.@".contains(c), " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut all = BTreeSet::new();
    let sources = words.windows(4).filter(|w| ["FROM", "JOIN"].contains(&w[0]) && w[2] == "AS");
    for source in sources.filter(|w| !w[1].starts_with('@')) {
        let view = source[1].strip_prefix("master.").unwrap_or(source[1]);
        let columns = words.iter().filter_map(|w| w.strip_prefix(source[3])?.strip_prefix('.'));
        all.extend(columns.map(|column| format!("{view} {column}")));
    }
    let functions = FUNCTIONS.iter().filter(|f| words.contains(f)).map(|f| format!("function {f}"));
    let procedures = PROCEDURES.iter().filter(|p| text.contains(p.0)).map(|p| p.1.to_owned());
    all.into_iter().chain(functions).chain(procedures).collect()
}

/// A state in which batches are refused.
struct Scene {
    site: Site,
    /// What is sent, and on which connection.
    refused: Vec<(&'static str, Batch)>,
    connection: Connection,
    /// What holds the state up.
    _held: Option<Connection>,
    _running: Option<tokio::task::JoinHandle<()>>,
}

const WHO: [&str; 7] = [
    "late",
    "a stranger",
    "no such database",
    "in a transaction",
    "the lock is held",
    "somebody owns it",
    "nobody owns it",
];
const WHAT: [&str; 20] = [
    "the restore job is enabled",
    "called off with disabled jobs",
    "closed too early",
    "closed and still registered",
    "without an end",
    "recovered by hand",
    "it waits for log",
    "mirrored",
    "somebody restores",
    "another position",
    "another position in STANDBY",
    "another fork",
    "a file was not judged",
    "another secondary",
    "the jobs serve another database",
    "another file was restored",
    "a job runs",
    "another record stands there",
    "something was seen before",
    "something else was seen",
];

async fn scene(name: &str) -> Scene {
    let standby = name.ends_with("STANDBY");
    let mut site = match name {
        "somebody restores" => Site::of(quiet("serviceTimes: {restoreLogMs: 600000}").await).await,
        "a job runs" => Site::of(quiet("serviceTimes: {jobStartMs: 600000}").await).await,
        _ if standby => {
            let yaml = "logShipping: {backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: true}";
            Site::of(with(yaml).await).await
        }
        _ => Site::quiet().await,
    };
    if !["the restore job is enabled", "another record stands there"].contains(&name) {
        site.quiesce().await;
    }
    let recovered =
        ["closed and still registered", "recovered by hand", "another file was restored", "a job runs"];
    if recovered.contains(&name) {
        site.by_hand("RESTORE DATABASE mgc WITH RECOVERY;").await;
    }
    let mut held = None;
    let mut running = None;
    let mut connection = site.connection().await;
    let all = |site: &Site, only: &[&str]| -> Vec<(&'static str, Batch)> {
        let all = site.all(&site.warrant).into_iter().map(|(shape, _, batch)| (shape, batch));
        // The longest reads what the shorter ones read.
        let all = all.filter(|(shape, _)| *shape != "apply-most");
        all.filter(|(shape, _)| only.is_empty() || only.contains(shape)).collect()
    };
    let releases = ["release", "release-delivered"];
    let refused = match name {
        "late" => {
            site.warrant.not_after -= Duration::from_secs(301);
            all(&site, &[])
        }
        "a stranger" => {
            site.warrant.epoch = Epoch(Uuid::new_v4().to_string());
            let owned = |whose| whose != Whose::Anybody;
            let all = site.all(&site.warrant).into_iter().filter(|(_, whose, _)| owned(*whose));
            all.map(|(shape, _, batch)| (shape, batch)).collect()
        }
        "no such database" => {
            site.warrant.database = "nowhere".into();
            all(&site, &[])
        }
        "in a transaction" => {
            let begin = Batch::new("ByHand").then("BEGIN TRANSACTION;");
            connection.ask(&begin, LONG).await.unwrap();
            all(&site, &[])
        }
        "the lock is held" => {
            let mut holder = site.connection().await;
            assert_eq!(holder.ask(&ownership::hold(&site.warrant), LONG).await.unwrap().error, None);
            held = Some(holder);
            all(&site, &[])
        }
        "somebody owns it" => {
            site.transition.id = Uuid::new_v4();
            site.transition.rev = 0;
            all(&site, &["take-first"])
        }
        "nobody owns it" => {
            site.by_hand("EXEC master.sys.sp_dropextendedproperty @name = N'persistentchat.io/mgc/owner';")
                .await;
            let owned = |whose| whose == Whose::Owner || whose == Whose::Successor;
            let all = site.all(&site.warrant).into_iter().filter(|(_, whose, _)| owned(*whose));
            all.map(|(shape, _, batch)| (shape, batch)).collect()
        }
        "the restore job is enabled" => all(&site, &AT_WORK[1..]),
        "called off with disabled jobs" => {
            site.transition.phase = Phase::CalledOff;
            all(&site, &releases)
        }
        "closed too early" | "closed and still registered" => {
            site.transition.phase = Phase::Closed;
            all(&site, &releases)
        }
        "without an end" => all(&site, &releases),
        "recovered by hand" => {
            let mut refused = all(&site, &AT_WORK);
            let idle = ["resume", "disconnect", "find-position", "leave-standby", "multi-user"];
            refused.extend(all(&site, &idle));
            refused
        }
        "it waits for log" => {
            all(&site, &["remove", "remove-fresh", "multi-user", "find-position", "leave-standby"])
        }
        "mirrored" => {
            site.by_hand("ALTER DATABASE mgc SET PARTNER = N'TCP://sql-tp1.contoso.com:5022';").await;
            all(&site, &AT_WORK)
        }
        "somebody restores" => {
            let mut hand = site.connection().await;
            let typed = Batch::new("ByHand")
                .with("file", "nvarchar(520)", site.next_file().as_str())
                .then("RESTORE LOG mgc FROM DISK = @file WITH NORECOVERY;");
            running = Some(tokio::spawn(async move {
                let _ = hand.ask(&typed, LONG * 100).await;
            }));
            let busy = "SELECT COUNT(*) FROM sys.dm_exec_requests AS r WHERE r.command LIKE N'RESTORE%'";
            while site.number(busy).await == 0 {}
            let mut refused = all(&site, &AT_WORK);
            refused.extend(all(&site, &["disconnect"]));
            refused
        }
        "another position" | "another position in STANDBY" => {
            site.at.lsn.0 -= 1;
            all(&site, &AT_WORK)
        }
        "another fork" => {
            site.at.fork = Fork(Uuid::new_v4());
            all(&site, &AT_WORK)
        }
        "a file was not judged" => {
            site.known.remove(0);
            all(&site, &["recover", "recover-unproved"])
        }
        "another secondary" => {
            site.secondary.id = Uuid::new_v4();
            site.secondary.copy_job = site.secondary.restore_job.clone();
            let mut refused = all(&site, &SECONDARY);
            refused.extend(all(&site, &["copy"]));
            refused
        }
        "the jobs serve another database" => {
            let shared = "EXEC master.dbo.sp_add_log_shipping_secondary_database @secondary_database = N'other', \
                          @primary_server = N'SQL-TP1\\PCHAT', @primary_database = N'mgc', @restore_mode = 0;";
            site.by_hand(shared).await;
            all(&site, &SECONDARY)
        }
        "another file was restored" => {
            site.secondary.last_restored = Some(r"D:\LogShip\another.trn".into());
            all(&site, &["remove", "remove-fresh"])
        }
        "a job runs" => {
            let job = site.secondary.copy_job.as_ref().unwrap().id;
            let start = log_shipping::start_copy(&site.warrant, job);
            assert_eq!(site.ask(&start).await.error, None);
            all(&site, &["remove"])
        }
        "something was seen before" | "something else was seen" => {
            let first = all(&site, &["silence-first"]);
            assert_eq!(site.ask(&first[0].1).await.error, None);
            if name == "something was seen before" {
                first
            } else {
                let other = Silence { rev: 7, ..site.seen() };
                let note = |note| silence::note(&site.warrant, &note).unwrap();
                let again = Note::Keep { over: Some(other.clone()), silence: other.clone() };
                vec![("silence-again", note(again)), ("silence-over", note(Note::Forget(other)))]
            }
        }
        "another record stands there" => {
            site.quiesce().await;
            site.transition.rev = 0;
            site.transition.phase = Phase::CalledOff;
            all(&site, &["take-over", "quiesce", "resume"])
        }
        other => unreachable!("{other}"),
    };
    assert!(!refused.is_empty(), "{name}");
    Scene { site, refused, connection, _held: held, _running: running }
}

impl Scene {
    /// What no refused batch may change.
    async fn stands(&self) -> String {
        let sql = "SELECT e.name AS t, CONVERT(nvarchar(3700), e.value) AS v FROM master.sys.extended_properties AS e WHERE e.class = 0;\n\
                   SELECT N'job' AS t, CONVERT(nvarchar(50), j.job_id) + CONVERT(nvarchar(5), j.enabled) AS v FROM msdb.dbo.sysjobs AS j;\n\
                   SELECT N'database' AS t, CONVERT(nvarchar(5), d.state) + CONVERT(nvarchar(5), d.is_in_standby) AS v FROM sys.databases AS d;\n\
                   SELECT N'redo' AS t, CONVERT(nvarchar(40), f.redo_start_lsn) AS v FROM sys.master_files AS f;\n\
                   SELECT N'shipped' AS t, d.secondary_database AS v FROM msdb.dbo.log_shipping_secondary_databases AS d;\n\
                   SELECT N'runs' AS t, CONVERT(nvarchar(50), a.job_id) AS v FROM msdb.dbo.sysjobactivity AS a WHERE a.run_requested_date IS NOT NULL;";
        let answer = self.site.by_hand(sql).await;
        let rows = answer.sets.iter().flat_map(|set| set.rows());
        rows.map(|r| format!("{:?} {:?}\n", r.text("t").unwrap(), r.text("v").unwrap())).collect()
    }
}

/// Sends what each of these states must refuse, with everything untold that its guard reads.
async fn walk(scenes: &[&str]) {
    let (mut tried, mut known, mut met) = (0, BTreeSet::new(), BTreeSet::new());
    let mut passed = Vec::new();
    for name in scenes {
        let mut here = scene(name).await;
        let mut stands = here.stands().await;
        here.site.mark().await;
        for at in 0..here.refused.len() {
            let (shape, batch) = here.refused[at].clone();
            let told = here.connection.ask(&batch, LONG).await.unwrap();
            let told = told.error.unwrap_or_else(|| panic!("{name}: {shape} is carried out")).message;
            let code = told.split('|').nth(1).unwrap_or_else(|| panic!("{name}: {shape}: {told}"));
            for read in reads(&batch, code) {
                let order = format!("null {BACKUP} {read}");
                // An alias that stands for two views has columns that only one of them has.
                if MEANT.contains(&read.as_str()) || here.site.bench.lab.order(&order).await.is_err() {
                    continue;
                }
                let batch = here.refused[at].1.clone();
                let answer = here.connection.ask(&batch, LONG).await;
                let armed = here.site.bench.lab.order(&format!("nulls {BACKUP}")).await.unwrap();
                if armed["nulls"][0]["told"] == true {
                    met.insert(read.clone());
                }
                here.site.bench.order(&format!("clear-nulls {BACKUP}")).await;
                tried += 1;
                known.insert(read.clone());
                let refused = answer.is_ok_and(|a| a.error.is_some());
                if refused && here.site.bench.lab.mutations() == 0 {
                    continue;
                }
                let now = here.stands().await;
                if !refused || now != stands {
                    passed.push(format!("{name}: {shape} without {read} (refused: {refused})"));
                    here = scene(name).await;
                    stands = here.stands().await;
                }
                here.site.mark().await;
            }
        }
    }
    assert!(passed.is_empty(), "{} of {tried}:\n{}", passed.len(), passed.join("\n"));
    // Of the sessions only who holds the lock is told, in words.
    let missed: Vec<_> = known.difference(&met).filter(|r| !r.starts_with("sys.dm_exec_sessions ")).collect();
    assert!(missed.is_empty(), "no row was there to miss it: {missed:?}");
}

#[tokio::test]
async fn what_is_not_told_lets_in_nobody_late_nor_a_stranger_nor_beside_another() {
    walk(&WHO).await;
}

#[tokio::test]
async fn what_is_not_told_of_a_state_that_is_refused_never_makes_it_the_planned_one() {
    walk(&WHAT).await;
}
