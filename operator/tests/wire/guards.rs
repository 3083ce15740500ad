//! What each batch refuses at the far end, whoever sends it and however late: each clause of a guard has a
//! case here that fails without it. Batches go out by hand, as a delayed or a second executor would send them.

mod untold;

use std::time::Duration;

use jiff::Timestamp;
use pchat_operator::observe::HOME;
use pchat_operator::sql::batches::guard::{Warrant, transition_text};
use pchat_operator::sql::batches::{
    Batch, log_shipping, ownership, recover, restore, sessions, silence, state,
};
use pchat_operator::sql::connect::{PROGRAM, connect};
use pchat_operator::sql::connection::{Answer, Connection};
use pchat_operator::sql::refusal::RefusalCode;
use pchat_operator::sql::target::Secret;
use pchat_planner::facts::Secondary;
use pchat_planner::journal::{Epoch, Note, Phase, Silence, Transition};
use pchat_planner::lsn::{Fork, Lsn, Position};
use pchat_planner::pool::LogSource;
use uuid::Uuid;

use crate::bench::{BACKUP, Bench, home, look, quiet, transition, with};
use crate::shapes::{self, Parts, Whose};

const LONG: Duration = Duration::from_secs(20);

/// A pool whose open transition this test owns, and what a plan would say of it.
struct Site {
    bench: Bench,
    warrant: Warrant,
    transition: Transition,
    at: Position,
    secondary: Secondary,
    known: Vec<String>,
}

impl Site {
    async fn of(bench: Bench) -> Site {
        let far = bench.far();
        let facts = look(&far).await;
        let state = home(&facts);
        let database = state.database.as_ref().unwrap();
        let warrant = Warrant {
            database: "mgc".into(),
            epoch: Epoch(Uuid::new_v4().to_string()),
            executor: "a test".into(),
            not_after: state.clock + Duration::from_secs(300),
        };
        let at = database.position.clone().unwrap();
        let secondary = state.secondary.clone().unwrap();
        let known = facts.backups.value().unwrap().files.keys().cloned().collect();
        far.close().await;
        let mut site = Site { bench, warrant, transition: transition(), at, secondary, known };
        let take = ownership::take(&site.warrant, None, &site.text());
        site.accepted(&take).await;
        site
    }

    async fn quiet() -> Site {
        Site::of(quiet("").await).await
    }

    async fn connection(&self) -> Connection {
        connect(self.bench.target(HOME), &self.bench.ends.deadlines).await.unwrap()
    }

    async fn ask(&self, batch: &Batch) -> Answer {
        self.connection().await.ask(batch, LONG).await.unwrap()
    }

    /// Statements typed by an administrator, which must succeed.
    async fn by_hand(&self, statements: &str) -> Answer {
        let answer = self.ask(&Batch::new("ByHand").then(statements)).await;
        assert_eq!(answer.error, None, "{statements}");
        answer
    }

    /// Sends a batch that writes the transition, which the next one will be written over.
    async fn accepted(&mut self, batch: &Batch) -> Answer {
        let answer = self.ask(batch).await;
        assert_eq!(answer.error, None, "{}", batch.name());
        self.transition.rev += 1;
        answer
    }

    async fn quiesce(&mut self) {
        let batch = self.set_jobs(false);
        self.accepted(&batch).await;
    }

    async fn refused(&self, batch: &Batch) -> RefusalCode {
        refusal(batch, &self.ask(batch).await)
    }

    /// The transition that the next batch of this run would write.
    fn text(&self) -> String {
        transition_text(&self.transition).unwrap()
    }

    fn source(&self) -> LogSource {
        LogSource { share: self.secondary.share.clone(), folder: self.secondary.folder.clone() }
    }

    /// The first file that was not restored yet, on the share.
    fn next_file(&self) -> String {
        format!(r"{}\{}", self.secondary.share, self.known[2])
    }

    fn apply(&self, warrant: &Warrant) -> Batch {
        restore::apply(warrant, self.at, &[(self.next_file().as_str(), 1)])
    }

    fn recover(&self, warrant: &Warrant, known: &[String], must: Option<&str>) -> Batch {
        recover::recover(warrant, self.at, Some(&self.source()), known, must, &self.text())
    }

    fn set_jobs(&self, enabled: bool) -> Batch {
        log_shipping::set_jobs(&self.warrant, self.secondary.id, &self.text(), enabled)
    }

    fn remove(&self, warrant: &Warrant, last_restored: Option<&str>) -> Batch {
        log_shipping::remove(warrant, self.secondary.id, last_restored, &self.text(), "|", false)
    }

    /// What was seen of a silent side.
    fn seen(&self) -> Silence {
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        Silence { rev: 0, since: at, until: at, found: Vec::new(), signs: Vec::new() }
    }

    /// Every guarded batch, as it would be accepted in its place but for `warrant`.
    fn all(&self, warrant: &Warrant) -> Vec<(&'static str, Whose, Batch)> {
        shapes::guarded(&Parts {
            warrant: warrant.clone(),
            transition: self.text(),
            secondary: self.secondary.id,
            copy_job: self.secondary.copy_job.as_ref().unwrap().id,
            last_restored: self.secondary.last_restored.clone(),
            at: self.at,
            source: self.source(),
            known: self.known.clone(),
            must: self.known.last().cloned(),
            file: self.next_file(),
            silence: self.seen(),
        })
    }

    /// What stands in the journal.
    async fn written(&self) -> String {
        let sql = "SELECT CONVERT(nvarchar(3700), e.value) AS story FROM master.sys.extended_properties AS e \
                   WHERE e.class = 0 AND e.name LIKE N'%/journal';";
        let answer = self.by_hand(sql).await;
        answer.sets[0].rows()[0].text("story").unwrap().unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        let answer = self.by_hand(&format!("SELECT ({sql}) AS n;")).await;
        answer.sets[0].rows()[0].int("n").unwrap().unwrap()
    }

    async fn state(&self) -> i64 {
        self.number("SELECT d.state FROM sys.databases AS d WHERE d.name = N'mgc'").await
    }

    async fn mark(&self) {
        self.bench.order("mark").await;
    }

    fn unchanged(&self, case: &str) {
        assert_eq!(self.bench.lab.mutations(), 0, "{case}: a refusal changes nothing");
    }
}

fn refusal(batch: &Batch, answer: &Answer) -> RefusalCode {
    let error = answer.error.as_ref().unwrap_or_else(|| panic!("{} was carried out", batch.name()));
    error.refusal().unwrap_or_else(|| panic!("{}: {error:?}", batch.name())).code
}

#[tokio::test]
async fn no_batch_is_carried_out_late_for_a_stranger_beside_another_or_in_a_transaction() {
    let site = Site::quiet().await;
    let good = &site.warrant;
    let late = Warrant { not_after: good.not_after - Duration::from_secs(301), ..good.clone() };
    let stranger = Warrant { epoch: Epoch(Uuid::new_v4().to_string()), ..good.clone() };
    // A token that only begins alike, and one that LIKE or LEN would take for the same.
    let short = Warrant { epoch: Epoch(good.epoch.0[..8].to_owned()), ..good.clone() };
    let blank = Warrant { epoch: Epoch(format!("{} ", good.epoch.0)), ..good.clone() };
    let elsewhere = Warrant { database: "nowhere".into(), ..good.clone() };
    site.mark().await;
    for (warrant, code) in [
        (&late, RefusalCode::Expired),
        (&stranger, RefusalCode::Fenced),
        (&short, RefusalCode::Fenced),
        (&blank, RefusalCode::Fenced),
        (&elsewhere, RefusalCode::NoDatabase),
    ] {
        for (shape, whose, batch) in site.all(warrant) {
            // What was seen belongs to no owner.
            if (whose, code) != (Whose::Anybody, RefusalCode::Fenced) {
                assert_eq!(site.refused(&batch).await, code, "{shape}");
            }
        }
    }
    let batches = site.all(good);
    for (shape, _, batch) in &batches {
        let mut connection = site.connection().await;
        let begin = Batch::new("ByHand").then("BEGIN TRANSACTION;");
        connection.ask(&begin, LONG).await.unwrap();
        let answer = connection.ask(batch, LONG).await.unwrap();
        assert_eq!(refusal(batch, &answer), RefusalCode::Context, "{shape}");
    }
    let mut holder = site.connection().await;
    let hold = Batch::new("ByHand").then(
        "EXEC sys.sp_getapplock @Resource = N'persistentchat.io/mgc', @LockMode = N'Exclusive', \
         @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'db_owner';",
    );
    assert_eq!(holder.ask(&hold, LONG).await.unwrap().error, None);
    for (shape, _, batch) in &batches {
        assert_eq!(site.refused(batch).await, RefusalCode::Locked, "{shape}");
    }
    let told = site.ask(&batches[0].2).await.error.unwrap();
    assert!(told.message.contains("of pchat-operator on ") && told.message.contains("session "), "{told:?}");
    site.unchanged("all");
}

/// The server shows only the beginning of a lock's name: 14 characters of the database's.
#[tokio::test]
async fn the_lock_of_another_database_whose_name_begins_alike_is_not_this_pools() {
    let site = Site::quiet().await;
    let mut held = Vec::new();
    let mut hold = async |database: &str| {
        let mut connection = site.connection().await;
        let lock = Batch::new("ByHand").then(&format!(
            "EXEC sys.sp_getapplock @Resource = N'persistentchat.io/{database}', @LockMode = N'Exclusive', \
             @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'db_owner';",
        ));
        assert_eq!(connection.ask(&lock, LONG).await.unwrap().error, None);
        held.push(connection);
    };
    // Who is told to hold it, with the session's number, or 0 for nobody in particular.
    let holder = async |database: &str| {
        let answer = site.ask(&state::state(database)).await;
        assert_eq!(answer.error, None);
        let set = answer.sets.iter().find(|set| set.has("lock_session")).unwrap();
        set.rows().first().map(|row| row.int("lock_session").unwrap().unwrap_or(0))
    };
    hold("persistent_chat_east").await;
    assert!(holder("persistent_chat_east").await.is_some_and(|session| session > 0));
    assert_eq!(holder("persistent_chat_west").await, None, "that is the lock of persistent_chat_east");
    // Two of them: which holds which is not told.
    hold("persistent_chat_west").await;
    assert_eq!(holder("persistent_chat_east").await, Some(0));
    assert_eq!(holder("persistent_chat_north").await, None);
}

/// The chat servers' own login, or anybody's.
#[tokio::test]
async fn the_lock_of_the_pool_is_for_administrators_alone() {
    let site = Site::quiet().await;
    let mut target = site.bench.target(HOME).clone();
    target.credentials.user = "pchat_service".into();
    target.credentials.password = Secret::new("Chat-Pa55w.rd");
    let mut anybody = connect(&target, &site.bench.ends.deadlines).await.unwrap();
    let mut take = async |principal: &str| {
        let hold = Batch::new("ByHand").then(&format!(
            "EXEC sys.sp_getapplock @Resource = N'persistentchat.io/mgc', @LockMode = N'Exclusive', \
             @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'{principal}';",
        ));
        anybody.ask(&hold, LONG).await.unwrap().error.map(|error| error.number)
    };
    assert_eq!(
        (take("public").await, take("dbo").await, take("db_owner").await),
        (None, Some(1230), Some(1230))
    );
    assert_eq!(site.ask(&ownership::hold(&site.warrant)).await.error, None);
    // Nobody is named who only holds another lock that looks alike.
    let mut holder = site.connection().await;
    let hold = Batch::new("ByHand").then(
        "EXEC sys.sp_getapplock @Resource = N'persistentchat.io/mgc', @LockMode = N'Exclusive', \
         @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'db_owner';",
    );
    assert_eq!(holder.ask(&hold, LONG).await.unwrap().error, None);
    let told = site.ask(&ownership::hold(&site.warrant)).await.error.unwrap();
    assert!(told.message.contains("one of 2 sessions holds the lock"), "{told:?}");
}

/// A comparison with NULL is neither true nor false, and lets everybody in somewhere.
#[tokio::test]
async fn a_request_that_lacks_any_of_its_parameters_changes_nothing() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    site.mark().await;
    for (shape, _, batch) in site.all(&site.warrant) {
        for parameter in 0..batch.params().len() {
            let code = site.refused(&batch.clone().with_null(parameter)).await;
            assert_eq!(code, RefusalCode::Parameter, "{shape} without parameter {parameter}");
        }
    }
    site.unchanged("a parameter is missing");
}

/// A late request of ours may have taken effect after the look that the release was planned from.
#[tokio::test]
async fn a_transition_is_released_only_if_what_that_claims_is_seen_under_the_lock() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    let released = async |site: &mut Site, phase: Phase| {
        let before = std::mem::replace(&mut site.transition.phase, phase);
        let answer = site.ask(&ownership::release(&site.warrant, &site.text())).await;
        site.transition.phase = before;
        answer.error.map(|error| error.refusal().expect("a refusal").code)
    };
    site.mark().await;
    for (phase, code) in [
        (Phase::CalledOff, RefusalCode::LogShipping),
        (Phase::Closed, RefusalCode::State),
        (Phase::Open, RefusalCode::State),
    ] {
        assert_eq!(released(&mut site, phase).await, Some(code), "{phase:?}");
    }
    site.unchanged("the jobs are disabled, the copy waits for log");
    let one = format!(
        "EXEC msdb.dbo.sp_update_job @job_id = '{}', @enabled = 1;",
        site.secondary.copy_job.as_ref().unwrap().id
    );
    site.by_hand(&one).await;
    assert_eq!(released(&mut site, Phase::CalledOff).await, Some(RefusalCode::LogShipping), "one of two");
    let resume = site.set_jobs(true);
    site.accepted(&resume).await;
    assert_eq!(released(&mut site, Phase::CalledOff).await, None);

    let mut site = Site::quiet().await;
    site.quiesce().await;
    site.by_hand("RESTORE DATABASE mgc WITH RECOVERY;").await;
    assert_eq!(released(&mut site, Phase::Closed).await, Some(RefusalCode::LogShipping), "still registered");
    assert_eq!(site.refused(&site.set_jobs(true)).await, RefusalCode::State, "it would be restored into");
    let remove = site.remove(&site.warrant, site.secondary.last_restored.as_deref());
    site.accepted(&remove).await;
    assert_eq!(released(&mut site, Phase::Closed).await, None);
}

#[tokio::test]
async fn log_shipping_is_not_dropped_from_a_copy_that_waits_for_log() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    site.mark().await;
    let remove = site.remove(&site.warrant, site.secondary.last_restored.as_deref());
    assert_eq!(site.refused(&remove).await, RefusalCode::State);
    site.unchanged("RESTORING");
}

/// What the state tells of the lock, and of the owner's signs.
#[tokio::test]
async fn the_lock_and_the_signs_of_its_owner_are_read_with_the_state() {
    let site = Site::quiet().await;
    let far = site.bench.far();
    assert_eq!(home(&look(&far).await).holder, None);
    let mut holder = site.connection().await;
    assert_eq!(holder.ask(&ownership::hold(&site.warrant), LONG).await.unwrap().error, None);
    let facts = look(&far).await;
    let seen = home(&facts).holder.clone().expect("it is held");
    assert_eq!((seen.program.as_str(), seen.login.as_str()), (PROGRAM, "pchat_operator"));
    assert_eq!(holder.ask(&ownership::free(&site.warrant), LONG).await.unwrap().error, None);
    let owner = |facts: &pchat_planner::facts::Facts| home(facts).journal.owner.clone().unwrap();
    let before = owner(&look(&far).await);
    assert!(!before.ended);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(site.ask(&ownership::renew(&site.warrant)).await.error, None);
    let renewed = owner(&look(&far).await);
    assert!(renewed.mark > before.mark && !renewed.ended, "{renewed:?}");
    assert_eq!(site.ask(&ownership::end(&site.warrant)).await.error, None);
    assert!(owner(&look(&far).await).ended);
    // A request of it that is late shows no life.
    assert_eq!(site.ask(&ownership::renew(&site.warrant)).await.error, None);
    assert!(owner(&look(&far).await).ended);
    far.close().await;
}

#[tokio::test]
async fn without_an_owner_only_one_who_saw_none_may_begin() {
    let site = Site::quiet().await;
    let nobody = "EXEC master.sys.sp_dropextendedproperty @name = N'persistentchat.io/mgc/owner';";
    site.by_hand(nobody).await;
    site.mark().await;
    let (mut first, rest): (Vec<_>, Vec<_>) =
        site.all(&site.warrant).into_iter().partition(|(_, whose, _)| *whose == Whose::First);
    for (shape, _, batch) in rest.iter().filter(|(_, whose, _)| *whose != Whose::Anybody) {
        assert_eq!(site.refused(batch).await, RefusalCode::Fenced, "{shape}");
    }
    site.unchanged("nobody owns it");
    let (_, _, take) = first.remove(0);
    assert_eq!(site.ask(&take).await.error, None);
}

#[tokio::test]
async fn the_lock_is_that_of_the_name_as_the_server_spells_it_and_is_freed_at_the_end() {
    let site = Site::quiet().await;
    let shouting = Warrant { database: "MGC".into(), ..site.warrant.clone() };
    let mut holder = site.connection().await;
    let answer = holder.ask(&ownership::hold(&shouting), LONG).await.unwrap();
    assert_eq!(answer.error, None, "the owner is found under either spelling");
    assert_eq!(site.refused(&sessions::disconnect(&site.warrant)).await, RefusalCode::Locked);
    let freed = holder.ask(&ownership::free(&shouting), LONG).await.unwrap();
    let row = &freed.sets[0].rows()[0];
    assert_eq!(
        (row.text("mode").unwrap().as_deref(), row.int("owned").unwrap()),
        (Some("Exclusive"), Some(1))
    );
    assert_eq!(site.ask(&sessions::disconnect(&site.warrant)).await.error, None);
}

#[tokio::test]
async fn a_database_that_does_not_wait_for_log_is_neither_restored_nor_recovered_nor_emptied() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    let restoring = site.refused(&recover::set_multi_user(&site.warrant)).await;
    assert_eq!(restoring, RefusalCode::State, "a database that waits for log has no user access to mend");
    site.by_hand("RESTORE DATABASE mgc WITH RECOVERY;").await;
    site.bench.order(&format!("hold-session {BACKUP}")).await;
    let users = "SELECT COUNT(*) FROM sys.sysprocesses AS p WHERE p.dbid = DB_ID(N'mgc')";
    let before = site.number(users).await;
    site.mark().await;
    for batch in [
        site.apply(&site.warrant),
        site.recover(&site.warrant, &site.known, None),
        sessions::disconnect(&site.warrant),
        recover::set_multi_user(&site.warrant),
    ] {
        assert_eq!(site.refused(&batch).await, RefusalCode::State, "{}", batch.name());
    }
    site.unchanged("ONLINE");
    assert_eq!(site.number(users).await, before);
    for state in ["suspect", "recovery-pending", "offline"] {
        site.bench.order(&format!("damage {BACKUP} {state}")).await;
        for batch in [site.apply(&site.warrant), site.recover(&site.warrant, &site.known, None)] {
            assert_eq!(site.refused(&batch).await, RefusalCode::State, "{state}: {}", batch.name());
        }
    }
}

#[tokio::test]
async fn a_mirrored_database_is_neither_restored_nor_recovered() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    site.by_hand("ALTER DATABASE mgc SET PARTNER = N'TCP://sql-tp1.contoso.com:5022';").await;
    site.mark().await;
    for batch in [site.apply(&site.warrant), site.recover(&site.warrant, &site.known, None)] {
        assert_eq!(site.refused(&batch).await, RefusalCode::Mirrored, "{}", batch.name());
    }
    site.unchanged("mirrored");
}

#[tokio::test]
async fn beside_a_restore_of_somebody_else_nothing_is_begun() {
    let mut site = Site::of(quiet("serviceTimes: {restoreLogMs: 4000}").await).await;
    site.quiesce().await;
    let mut hand = site.connection().await;
    let typed = Batch::new("ByHand")
        .with("file", "nvarchar(520)", site.next_file().as_str())
        .then("RESTORE LOG mgc FROM DISK = @file WITH NORECOVERY;");
    let by_hand = tokio::spawn(async move { hand.ask(&typed, LONG).await });
    let restoring = "SELECT COUNT(*) FROM sys.dm_exec_requests AS r WHERE r.command LIKE N'RESTORE%'";
    while site.number(restoring).await == 0 {}
    for batch in [
        site.apply(&site.warrant),
        site.recover(&site.warrant, &site.known, None),
        sessions::disconnect(&site.warrant),
    ] {
        assert_eq!(site.refused(&batch).await, RefusalCode::Busy, "{}", batch.name());
    }
    assert_eq!(by_hand.await.unwrap().unwrap().error, None);
}

/// Both ways of knowing where a database stands: the catalog while RESTORING, msdb's history in STANDBY.
#[tokio::test]
async fn a_position_other_than_the_planned_one_is_refused_in_restoring_and_in_standby() {
    for standby in [false, true] {
        let yaml =
            format!("logShipping: {{backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: {standby}}}");
        let mut site = Site::of(with(&yaml).await).await;
        site.quiesce().await;
        site.mark().await;
        for (at, code) in [
            (Position { lsn: Lsn(site.at.lsn.0 + 1), ..site.at }, RefusalCode::Position),
            (Position { lsn: Lsn(site.at.lsn.0 - 1), ..site.at }, RefusalCode::Position),
            (Position { fork: Fork(Uuid::new_v4()), ..site.at }, RefusalCode::Fork),
        ] {
            let recover =
                recover::recover(&site.warrant, at, Some(&site.source()), &site.known, None, &site.text());
            let apply = restore::apply(&site.warrant, at, &[(site.next_file().as_str(), 1)]);
            for batch in [apply, recover] {
                assert_eq!(site.refused(&batch).await, code, "standby {standby}: {}", batch.name());
            }
        }
        site.unchanged("another position");
        assert_eq!(site.ask(&site.apply(&site.warrant)).await.error, None, "standby {standby}");
        let moved = site.refused(&site.recover(&site.warrant, &site.known, None)).await;
        assert_eq!(moved, RefusalCode::Position, "it was applied meanwhile");
        assert_eq!(site.state().await, 1);
    }
}

#[tokio::test]
async fn a_standby_copy_without_history_stands_nowhere() {
    let yaml = "logShipping: {backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: true}";
    let site = Site::of(with(yaml).await).await;
    site.bench.order(&format!("forget-history {BACKUP}")).await;
    site.mark().await;
    assert_eq!(site.refused(&site.apply(&site.warrant)).await, RefusalCode::Position);
    site.unchanged("unknown position");
    let find = restore::find(&site.warrant, &site.next_file(), 1);
    assert_eq!(site.ask(&find).await.error, None, "RESTORE itself tells whether it fits");
    assert_eq!(site.state().await, 1);
}

/// What a position is known of is held against it, and never only tried.
#[tokio::test]
async fn a_copy_that_tells_where_it_stands_is_never_restored_by_trying() {
    for standby in [false, true] {
        let yaml =
            format!("logShipping: {{backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: {standby}}}");
        let site = Site::of(with(&yaml).await).await;
        site.mark().await;
        let find = restore::find(&site.warrant, &site.next_file(), 1);
        assert_eq!(site.refused(&find).await, RefusalCode::Position, "standby {standby}");
        let leave = restore::leave_standby(&site.warrant);
        assert_eq!(site.refused(&leave).await, RefusalCode::Position, "standby {standby}");
        site.unchanged("a known position");
    }
}

#[tokio::test]
async fn nothing_is_recovered_over_a_file_that_was_not_judged_wherever_it_lies() {
    let mut site = Site::quiet().await;
    site.quiesce().await;
    let must = site.known.last().unwrap().as_str();
    let case = |known: &[String], must| site.recover(&site.warrant, known, must);
    site.mark().await;
    for skipped in 0..site.known.len() {
        let mut known = site.known.clone();
        known.remove(skipped);
        assert_eq!(site.refused(&case(&known, Some(must))).await, RefusalCode::NotLast, "file {skipped}");
    }
    let gone = case(&site.known, Some("mgc_20990101000000.trn"));
    assert_eq!(site.refused(&gone).await, RefusalCode::NotLast, "a file that must be there is not");
    // Copies outlive the share: they do not prove that the listing of the share works.
    site.bench.order(r"deny sql-ks1.contoso.com \\files\pchat-logs").await;
    let copied = case(&site.known, Some(site.known[0].as_str()));
    assert_eq!(site.refused(&copied).await, RefusalCode::NotLast, "an empty listing proves nothing");
    site.bench.order(r"allow sql-ks1.contoso.com \\files\pchat-logs").await;
    // A copy without its original: removed from the share, or made there by hand.
    let folder = site.bench.lab.dir().join("world").join("hosts").join(BACKUP).join("D").join("LogShip");
    std::fs::copy(folder.join(&site.known[0]), folder.join("mgc_20260101000000.trn")).unwrap();
    assert_eq!(site.refused(&case(&site.known, Some(must))).await, RefusalCode::NotLast, "only a copy");
    std::fs::remove_file(folder.join("mgc_20260101000000.trn")).unwrap();
    site.unchanged("a file that was not judged");
    assert_eq!(site.ask(&case(&site.known, Some(must))).await.error, None);
    assert_eq!(site.state().await, 0);
}

#[tokio::test]
async fn nothing_is_recovered_while_log_shipping_would_go_on_restoring() {
    let site = Site::quiet().await;
    site.mark().await;
    let recover = site.recover(&site.warrant, &site.known, None);
    assert_eq!(site.refused(&recover).await, RefusalCode::LogShipping);
    site.unchanged("the restore job is enabled");
}

#[tokio::test]
async fn log_shipping_of_somebody_else_is_left_alone() {
    let site = Site::quiet().await;
    site.mark().await;
    let (text, other) = (site.text(), Uuid::new_v4());
    let w = &site.warrant;
    for batch in [
        log_shipping::set_jobs(w, other, &text, false),
        log_shipping::set_jobs(w, other, &text, true),
        log_shipping::remove(w, other, site.secondary.last_restored.as_deref(), &text, "|", false),
    ] {
        assert_eq!(site.refused(&batch).await, RefusalCode::LogShipping, "{}", batch.name());
    }
    for job in [site.secondary.restore_job.as_ref().unwrap().id, other] {
        assert_eq!(site.refused(&log_shipping::start_copy(w, job)).await, RefusalCode::Job);
    }
    site.unchanged("another secondary");
    let shared = "EXEC master.dbo.sp_add_log_shipping_secondary_database @secondary_database = N'other', \
                  @primary_server = N'SQL-TP1\\PCHAT', @primary_database = N'mgc', @restore_mode = 0;";
    site.by_hand(shared).await;
    site.mark().await;
    for batch in [site.set_jobs(false), site.remove(w, site.secondary.last_restored.as_deref())] {
        assert_eq!(site.refused(&batch).await, RefusalCode::LogShipping, "{}", batch.name());
    }
    site.unchanged("the jobs serve another database too");
}

#[tokio::test]
async fn log_shipping_is_dropped_only_as_it_was_recorded_and_at_rest() {
    let site = Site::quiet().await;
    site.mark().await;
    for last in [None, Some(r"D:\LogShip\another.trn")] {
        assert_eq!(site.refused(&site.remove(&site.warrant, last)).await, RefusalCode::Evidence, "{last:?}");
    }
    site.unchanged("another file was restored");
    let yaml = "serviceTimes: {jobStartMs: 3000}";
    let site = Site::of(quiet(yaml).await).await;
    let start = log_shipping::start_copy(&site.warrant, site.secondary.copy_job.as_ref().unwrap().id);
    assert_eq!(site.ask(&start).await.error, None);
    site.mark().await;
    let remove = site.remove(&site.warrant, site.secondary.last_restored.as_deref());
    assert_eq!(
        site.refused(&remove).await,
        RefusalCode::Busy,
        "a job that was asked for is as good as running"
    );
    site.unchanged("a job runs");
}

/// A request that was delayed past its caller would put back an older record, and lose what came after it.
#[tokio::test]
async fn a_record_is_written_only_over_the_one_that_was_seen() {
    let mut site = Site::quiet().await;
    for round in 0..10 {
        let batch = site.set_jobs(round % 2 == 0);
        site.accepted(&batch).await;
    }
    site.quiesce().await;
    let (next, stands) = (site.transition.rev, site.written().await);
    site.mark().await;
    for rev in [0, 1, 2, next - 1, next + 1, next * 10] {
        site.transition.rev = rev;
        let w = &site.warrant;
        for batch in [
            ownership::take(w, Some(&w.epoch), &site.text()),
            ownership::release(w, &site.text()),
            site.set_jobs(true),
            site.remove(w, site.secondary.last_restored.as_deref()),
            site.recover(w, &site.known, None),
        ] {
            assert_eq!(
                site.refused(&batch).await,
                RefusalCode::State,
                "{rev} over {}: {}",
                next - 1,
                batch.name()
            );
        }
    }
    // The number that fits, in the record of another transition.
    site.transition.rev = next;
    let mine = std::mem::replace(&mut site.transition.id, Uuid::new_v4());
    assert_eq!(site.refused(&site.recover(&site.warrant, &site.known, None)).await, RefusalCode::State);
    site.unchanged("another record");
    assert_eq!(site.written().await, stands);
    site.transition.id = mine;
    let recover = site.recover(&site.warrant, &site.known, None);
    site.accepted(&recover).await;
}

/// What an action destroys is recorded before, and where it can't be recorded nothing is destroyed.
#[tokio::test]
async fn the_record_stands_before_what_it_vouches_for_and_nothing_happens_without_it() {
    for name in ["QuiesceLogShipping", "RecoverDatabase", "RemoveLogShipping"] {
        let mut site = Site::quiet().await;
        if name != "QuiesceLogShipping" {
            site.quiesce().await;
        }
        if name == "RemoveLogShipping" {
            site.by_hand("RESTORE DATABASE mgc WITH RECOVERY;").await;
        }
        let batch = match name {
            "QuiesceLogShipping" => site.set_jobs(false),
            "RecoverDatabase" => site.recover(&site.warrant, &site.known, None),
            _ => site.remove(&site.warrant, site.secondary.last_restored.as_deref()),
        };
        assert_eq!(batch.name(), name);
        let before = site.written().await;
        let rest = "(SELECT COUNT(*) FROM msdb.dbo.log_shipping_secondary_databases) + (SELECT SUM(CONVERT(int, j.enabled)) FROM msdb.dbo.sysjobs AS j) * 10 \
                    + (SELECT d.state FROM sys.databases AS d WHERE d.name = N'mgc') * 100";
        let untouched = site.number(rest).await;
        // The mark is the first effect, the record the second.
        for k in 0..2 {
            site.bench.order(&format!("fault {BACKUP} 1105 {k}")).await;
            let error = site.ask(&batch).await.error;
            assert_eq!(error.map(|e| e.number), Some(1105), "{name}, effect {k}");
            assert_eq!(site.written().await, before, "{name}, effect {k}");
            assert_eq!(site.number(rest).await, untouched, "{name}, effect {k}: done without its record");
        }
        site.bench.order(&format!("fault {BACKUP} 1105 2")).await;
        assert_eq!(site.ask(&batch).await.error.map(|e| e.number), Some(1105), "{name}");
        assert_eq!(site.written().await, site.text(), "{name}: done before its record");
        assert_eq!(site.number(rest).await, untouched, "{name}");
    }
}

/// Numbers of sessions are used again: an own session is ended only while it is still the same one.
#[tokio::test]
async fn only_the_own_session_is_ended() {
    let site = Site::quiet().await;
    let mut mine = site.connection().await;
    let identity = mine.ask(&sessions::identity(), LONG).await.unwrap();
    let row = &identity.sets[0].rows()[0];
    let spid = i32::try_from(row.int("spid").unwrap().unwrap()).unwrap();
    let since = row.text("login_time").unwrap().unwrap();
    for (since, program) in [("2001-01-01T00:00:00", PROGRAM), (since.as_str(), "SQLAgent")] {
        let answer = site.ask(&sessions::kill_own(spid, since, program)).await;
        assert_eq!((answer.error, answer.sets[0].rows()[0].int("found").unwrap()), (None, Some(0)));
        assert!(mine.ask(&sessions::identity(), LONG).await.is_ok(), "it goes on");
    }
    let answer = site.ask(&sessions::kill_own(spid, &since, PROGRAM)).await;
    assert_eq!((answer.error, answer.sets[0].rows()[0].int("found").unwrap()), (None, Some(1)));
    assert!(mine.ask(&sessions::identity(), LONG).await.is_err());
}

/// What was seen of a silent side belongs to no owner: it is written over what stood there when it was planned, in time, or not at all.
#[tokio::test]
async fn what_was_seen_is_written_only_over_what_stood_there_and_never_late() {
    let site = Site::quiet().await;
    let at = Timestamp::from_second(1_795_000_000).unwrap();
    let seen = |rev| Silence { rev, since: at, until: at, found: Vec::new(), signs: Vec::new() };
    let keep = |over: Option<u32>, rev| {
        let note = Note::Keep { over: over.map(seen), silence: seen(rev) };
        silence::note(&site.warrant, &note).unwrap()
    };
    let forget = |rev| silence::note(&site.warrant, &Note::Forget(seen(rev))).unwrap();
    for batch in [keep(Some(0), 1), forget(0)] {
        assert_eq!(site.refused(&batch).await, RefusalCode::State, "nothing stands there");
    }
    assert_eq!(site.ask(&keep(None, 0)).await.error, None);
    for batch in [keep(None, 0), keep(Some(1), 2), forget(1)] {
        assert_eq!(site.refused(&batch).await, RefusalCode::State, "another text stands there");
    }
    assert_eq!(site.ask(&keep(Some(0), 1)).await.error, None);
    let late = Warrant { not_after: Timestamp::UNIX_EPOCH, ..site.warrant.clone() };
    let late = silence::note(&late, &Note::Forget(seen(1))).unwrap();
    assert_eq!(site.refused(&late).await, RefusalCode::Expired);
    let far = site.bench.far();
    assert_eq!(home(&look(&far).await).journal.silence, Some(seen(1)));
    far.close().await;
    assert_eq!(site.ask(&forget(1)).await.error, None);
}
