//! A pool in a disaster, to be bent into the shape that a test needs.
#![allow(dead_code)]

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::*;
use pchat_planner::journal::*;
use pchat_planner::lsn::{Fork, Lsn, Position};
use pchat_planner::plan::*;
use pchat_planner::pool::*;
use pchat_planner::run::Run;
use uuid::Uuid;

pub const P: InstanceId = InstanceId::new(Side::Primary, Partner::Database);
pub const PM: InstanceId = InstanceId::new(Side::Primary, Partner::Mirror);
pub const B: InstanceId = InstanceId::new(Side::Backup, Partner::Database);
pub const BM: InstanceId = InstanceId::new(Side::Backup, Partner::Mirror);

/// Seconds after the beginning of the story.
pub fn t(s: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + s).unwrap()
}

/// The wall clock of a server in UTC.
pub fn wall(at: Timestamp) -> DateTime {
    Offset::UTC.to_datetime(at)
}

pub fn fork(n: u128) -> Fork {
    Fork(Uuid::from_u128(0xF000 + n))
}

/// The fork that the pool was shipped on.
pub const A: u128 = 0xA;

pub fn pos(lsn: u128) -> Position {
    Position { lsn: Lsn(lsn), fork: fork(A) }
}

pub fn known<T>(value: T) -> Fact<T> {
    Fact::Known { value, source: "test".into(), at: t(1000) }
}

pub fn unknown<T>(why: &str) -> Fact<T> {
    Fact::Unknown { why: why.into(), source: "test".into(), at: t(1000) }
}

pub fn pending<T>(since: i64) -> Fact<T> {
    Fact::Pending { source: "something".into(), since: t(since) }
}

/// An instance that is being asked.
pub fn being_asked(since: i64) -> InstanceFacts {
    InstanceFacts {
        contact: Contact::Pending { since: t(since) },
        at: t(since),
        login: "pchat".into(),
        state: pending(since),
    }
}

pub fn pool() -> Pool {
    let instance = |host: &str| Instance { host: host.into(), instance: Some("PCHAT".into()) };
    let site = |name: &str, short: &str| Site {
        name: name.into(),
        database: instance(&format!("sql-{short}1.contoso.com")),
        mirror: Some(instance(&format!("sql-{short}2.contoso.com"))),
        active_servers: vec![format!("pc-{short}1.contoso.com"), format!("pc-{short}2.contoso.com")],
    };
    Pool {
        fqdn: "chat.contoso.com".into(),
        database: "mgc".into(),
        active: Side::Backup,
        mode: Mode::Enforce,
        primary: site("Taipei", "tp"),
        backup: site("Kaohsiung", "ks"),
        log_source: None,
        seed_share: Some(r"\\files-ks\seed".into()),
        replication: SignedDuration::from_mins(5),
        silent_for: SignedDuration::from_secs(60),
        max_data_loss: None,
        weakened: None,
    }
}

/// A log backup of `first..last` on fork A, begun at second `last`, but before the other side fell silent.
pub fn set(first: u128, last: u128) -> BackupSet {
    BackupSet {
        id: Uuid::from_u128(first << 64 | last),
        position: 1,
        kind: BackupKind::Log,
        database: "mgc".into(),
        family: Uuid::from_u128(0xFA),
        first_lsn: Lsn(first),
        last_lsn: Lsn(last),
        first_fork: fork(A),
        fork: fork(A),
        fork_point: None,
        started: wall(t((last as i64).min(450))),
        finished: wall(t((last as i64).min(450))),
        server: "SQL-TP1\\PCHAT".into(),
        size: 1 << 20,
    }
}

pub fn whole(set: BackupSet) -> BackupFile {
    let header = Header::Read([set].into());
    BackupFile { on_share: Some(header.clone()), in_folder: Some(header) }
}

pub fn shared(set: BackupSet) -> BackupFile {
    BackupFile { on_share: Some(Header::Read([set].into())), in_folder: None }
}

/// `mgc_20261122230000.trn` and the following minutes.
pub fn name(minute: u32) -> String {
    format!("mgc_202611222{}{:02}00.trn", 3, minute)
}

pub fn silent(since: i64) -> InstanceFacts {
    InstanceFacts {
        contact: Contact::Silent {
            since: t(since),
            until: t(1000),
            tries: 3,
            detail: "no answer in 3 s".into(),
        },
        at: t(1000),
        login: "pchat".into(),
        state: unknown("no answer"),
    }
}

pub fn job(name: &str, n: u128) -> Job {
    Job {
        id: Uuid::from_u128(n),
        name: name.into(),
        enabled: Some(true),
        running: false,
        since: None,
        last_run: None,
    }
}

pub fn database(state: DatabaseState) -> Database {
    Database {
        name: "mgc".into(),
        state,
        standby: Some(false),
        read_only: Some(false),
        user_access: UserAccess::Multi,
        position: Ok(pos(100)),
        recovered: None,
        mirroring: None,
        last_restored: Some(RestoredBackup {
            file: format!(r"D:\copy\{}", name(0)),
            last_lsn: Lsn(100),
            fork: fork(A),
            started: wall(t(100)),
            zone: Some(Offset::UTC),
        }),
    }
}

pub fn answers(server: &str, database: Option<Database>) -> InstanceFacts {
    InstanceFacts {
        contact: Contact::Answers,
        at: t(1000),
        login: "pchat".into(),
        state: known(InstanceState {
            server_name: server.into(),
            version: "11.0.7001.0".into(),
            clock: t(1000),
            sysadmin: true,
            database,
            secondary: None,
            ships_logs: false,
            sessions: Vec::new(),
            restore: None,
            agent: Agent::Runs,
            endpoint: Endpoint::Started("Mirroring".into()),
            journal: Journal::default(),
            journal_damage: None,
            names: names(server),
            holder: None,
        }),
    }
}

/// The names of a server that is called so: `machine\instance`, or the machine alone.
pub fn names(server: &str) -> ServerNames {
    let (machine, instance) = match server.split_once('\\') {
        Some((machine, instance)) => (machine, Some(instance.to_owned())),
        None => (server, None),
    };
    ServerNames {
        configured: Some(server.into()),
        current: Some(server.into()),
        machine: Some(machine.into()),
        instance,
        physical: Some(machine.into()),
        started: None,
    }
}

pub fn secondary() -> Secondary {
    Secondary {
        id: Uuid::from_u128(0x5EC),
        primary_server: "SQL-TP1\\PCHAT".into(),
        share: r"\\files\pchat-logs".into(),
        folder: r"D:\copy".into(),
        monitor_server: "SQL-MON".into(),
        copy_job: Some(job("LSCopy", 1)),
        restore_job: Some(job("LSRestore", 2)),
        last_copied: Some(name(2)),
        last_restored: Some(name(0)),
        shared: false,
    }
}

/// Both jobs, to be changed.
pub fn jobs(s: &mut Secondary) -> impl Iterator<Item = &mut Job> {
    s.copy_job.iter_mut().chain(&mut s.restore_job)
}

pub fn on(role: Role) -> Option<Mirroring> {
    Some(Mirroring {
        guid: Uuid::from_u128(0x313),
        role,
        state: MirroringState::Synchronized,
        partner_instance: None,
        partner_address: None,
    })
}

/// Backups, with the listings that belong to the files.
pub fn backups(files: BTreeMap<String, BackupFile>) -> Backups {
    let named = |f: fn(&BackupFile) -> bool| {
        files.iter().filter(|(_, x)| f(x)).map(|(n, _)| n.clone()).collect::<Vec<_>>()
    };
    Backups {
        source: LogSource { share: r"\\files\pchat-logs".into(), folder: r"D:\copy".into() },
        share: known(named(|f| f.on_share.is_some())),
        folder: known(named(|f| f.in_folder.is_some())),
        files,
        grown: Default::default(),
        aside: BTreeMap::new(),
        restless: None,
        damaged: Vec::new(),
    }
}

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Case {
    pub pool: Pool,
    pub facts: Facts,
    pub run: Run,
    pub now: Timestamp,
}

impl Case {
    /// The primary site is dead since second 500, three files are to be applied, all copied; the chain is whole.
    pub fn disaster() -> Case {
        let files = [
            (name(0), whole(set(50, 100))),
            (name(1), whole(set(100, 200))),
            (name(2), whole(set(200, 300))),
        ];
        let mut backup = answers("SQL-KS1\\PCHAT", Some(database(DatabaseState::Restoring)));
        state_of(&mut backup).secondary = Some(secondary());
        let facts = Facts {
            instances: [
                (P, silent(500)),
                (PM, silent(510)),
                (B, backup),
                (BM, answers("SQL-KS2\\PCHAT", None)),
            ]
            .into(),
            backups: known(backups(files.into())),
            shell: ShellFacts {
                contact: Contact::Answers,
                pool_state: known(("service:chat.contoso.com".into(), PoolState::Normal)),
                servers: known(Servers {
                    identity: "1-PersistentChatServer-1".into(),
                    active: vec!["pc-tp1.contoso.com".into(), "pc-tp2.contoso.com".into()],
                    inactive: vec!["pc-ks1.contoso.com".into(), "pc-ks2.contoso.com".into()],
                }),
                replicated: known(BTreeMap::new()),
                store_writable: known(Ok(())),
                cmdlets: [
                    "Get-CsPersistentChatState",
                    "Get-CsService",
                    "Set-CsPersistentChatState",
                    "Set-CsPersistentChatActiveServer",
                    "Install-CsMirrorDatabase",
                ]
                .map(|name| (name.to_owned(), true))
                .into(),
                other_pools: None,
            },
        };
        let run = Run {
            executor: "here".into(),
            epoch: None,
            next_epoch: Epoch("mine".into()),
            next_transition: Uuid::from_u128(0x7A),
            first_look: Some(None),
            over: None,
            held: None,
            approvals: Vec::new(),
            asked: Vec::new(),
        };
        Case { pool: pool(), facts, run, now: t(1001) }
    }

    pub fn plan(&self) -> Plan {
        pchat_planner::plan(&self.pool, &self.facts, &self.run, self.now)
    }

    /// The row that decides, by its name.
    pub fn row(&self) -> Option<&'static str> {
        pchat_planner::deciding_row(&self.pool, &self.facts, &self.run, self.now).map(|r| r.id)
    }

    pub fn b(&mut self) -> &mut InstanceState {
        state_of(self.facts.instances.get_mut(&B).unwrap())
    }

    pub fn db(&mut self) -> &mut Database {
        self.b().database.as_mut().unwrap()
    }

    pub fn files(&mut self) -> &mut Backups {
        match &mut self.facts.backups {
            Fact::Known { value, .. } => value,
            _ => panic!("the test has made the backups unknown"),
        }
    }

    /// Replaces the files and lists them.
    pub fn with_files(mut self, files: impl IntoIterator<Item = (String, BackupFile)>) -> Case {
        self.facts.backups = known(backups(files.into_iter().collect()));
        self
    }

    pub fn with(mut self, f: impl FnOnce(&mut Case)) -> Case {
        f(&mut self);
        self
    }

    /// This run owns an open transition, log shipping is quiesced.
    pub fn owned(mut self) -> Case {
        let s = secondary();
        let id = self.run.next_transition;
        self.b().journal = Journal {
            owner: Some(Owner {
                epoch: Epoch("mine".into()),
                executor: "here".into(),
                mark: t(1000),
                ended: false,
            }),
            transition: Some(Transition {
                id,
                rev: 1,
                intent: Side::Backup,
                phase: Phase::Open,
                back: false,
                opened: t(900),
                evidence: Some(Shipping {
                    source: LogSource { share: s.share, folder: s.folder },
                    secondary_id: s.id,
                    primary_server: s.primary_server,
                    copy_job: s.copy_job.map(|j| j.id),
                    restore_job: s.restore_job.map(|j| j.id),
                    last_copied: s.last_copied,
                    last_restored: s.last_restored,
                    redo: Some(Lsn(100)),
                    fork: Some(fork(A)),
                }),
                approval: None,
                accepted: None,
                recovery: None,
            }),
            silence: None,
        };
        if let Some(s) = self.b().secondary.as_mut() {
            jobs(s).for_each(|j| j.enabled = Some(false));
        }
        self
    }

    /// All files are applied.
    pub fn applied(mut self) -> Case {
        self.db().position = Ok(pos(300));
        self.db().last_restored = Some(RestoredBackup {
            file: name(2),
            last_lsn: Lsn(300),
            fork: fork(A),
            started: wall(t(300)),
            zone: Some(Offset::UTC),
        });
        self
    }

    /// The copy is ONLINE, recovered at `lsn` of fork A.
    pub fn online(mut self, lsn: u128) -> Case {
        let db = self.db();
        db.state = DatabaseState::Online;
        db.position = Err("NULL while ONLINE".into());
        db.recovered =
            Some(Recovered { fork: fork(0xB), from_fork: Some(fork(A)), fork_point: Some(Lsn(lsn)) });
        self
    }

    pub fn journal(&mut self) -> &mut Transition {
        self.b().journal.transition.as_mut().unwrap()
    }

    /// The open transition's record says that the copy was recovered at `lsn`.
    pub fn vouched(mut self, lsn: u128) -> Case {
        self = self.online(lsn);
        let t = self.journal();
        t.phase = Phase::Recovering;
        t.recovery = Some(Recovery {
            lsn: Lsn(lsn),
            fork: fork(A),
            last_file: None,
            safe_until: None,
            at_most_until: None,
            silent_since: None,
            unread: Vec::new(),
        });
        self
    }

    pub fn pool_is(mut self, state: PoolState) -> Case {
        self.facts.shell.pool_state = known(("service:chat.contoso.com".into(), state));
        self
    }
}

pub fn state_of(f: &mut InstanceFacts) -> &mut InstanceState {
    match &mut f.state {
        Fact::Known { value, .. } => value,
        _ => panic!("the test has made this instance unknown"),
    }
}

/// The action that comes next.
pub fn action(plan: &Plan) -> Option<&Action> {
    match &plan.next {
        Next::Run(_, action) => Some(action),
        _ => None,
    }
}

/// A small generator: the tests need no more, and its state is the seed that is printed.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Dice {
        let seed = std::env::var("PCHAT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_nanos() as u64 | 1
        });
        println!("PCHAT_SEED={seed}");
        Dice(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
