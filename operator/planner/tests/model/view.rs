//! The world as an executor sees it: turned into the planner's own facts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::*;
use pchat_planner::journal::Epoch;
use pchat_planner::lsn::{Lsn, Position};
use pchat_planner::plan::Plan;
use pchat_planner::pool::{LogSource, Pool, Side};
use pchat_planner::run::Run;
use uuid::Uuid;

use super::common::{self, B, BM, P, PM, answers, fork, on, state_of, t, unknown, wall};
use super::env::Env;
use super::far_end::Rule;
use super::world::*;

/// Seconds of a tick, which is also `silentFor`.
pub const TICK: i64 = 60;

pub fn time(tick: u16) -> Timestamp {
    t(1_000 + TICK * i64::from(tick))
}

pub fn now(w: &World) -> Timestamp {
    time(w.tick)
}

pub fn name_of(i: usize) -> String {
    common::name(i as u32)
}

pub fn pos(db: &Db) -> Position {
    Position { lsn: Lsn(u128::from(db.lsn)), fork: fork(common::A + u128::from(db.fork)) }
}

fn known<T>(w: &World, value: T) -> Fact<T> {
    Fact::Known { value, source: String::new(), at: now(w) }
}

pub fn pool(env: &Env, w: &World, i: usize) -> Pool {
    let mut pool = common::pool();
    pool.active = w.execs[i].declared;
    pool.silent_for = SignedDuration::from_secs(if env.has(Rule::SilentFor) { TICK } else { 0 });
    pool.max_data_loss = env.limit.then_some(SignedDuration::from_mins(1));
    if w.source_declared {
        pool.log_source = Some(source());
    }
    pool
}

fn source() -> LogSource {
    LogSource { share: r"\\files\pchat-logs".into(), folder: r"D:\copy".into() }
}

pub fn run(env: &Env, w: &World, i: usize) -> Run {
    let e = &w.execs[i];
    let owner = || Some(w.journal.owner.as_ref().map(|o| o.epoch.clone()));
    let (first_look, epoch) = match env.has(Rule::FirstLook) {
        true => (e.first_look.clone(), e.epoch.clone()),
        // Each look is a first one.
        false => (owner(), e.epoch.clone().filter(|e| owner() == Some(Some(e.clone())))),
    };
    Run {
        executor: format!("executor {i}"),
        epoch,
        next_epoch: token(w, i),
        next_transition: Uuid::from_u128(
            0x7A_0000 + ((i as u128) << 16) + ((e.life as u128) << 8) + e.tokens as u128,
        ),
        first_look,
        over: e.over.clone(),
        held: e.held.clone().filter(|_| env.has(Rule::LockIsLife)),
        approvals: e.approvals.clone(),
        asked: e.asked.clone(),
    }
}

pub fn token(w: &World, i: usize) -> Epoch {
    let e = &w.execs[i];
    Epoch(format!("{i}.{}.{}", e.life, e.tokens))
}

/// What executor `i` plans now.
pub fn plan(env: &Env, w: &World, i: usize) -> Plan {
    pchat_planner::plan(&pool(env, w, i), &facts(env, w, i), &run(env, w, i), now(w))
}

fn peer(env: &Env, w: &World, i: usize, k: usize) -> InstanceFacts {
    let online = |mut db: Database| {
        db.mirroring = on(Role::Principal);
        db
    };
    let name = [r"SQL-TP1\PCHAT", r"SQL-TP2\PCHAT"][k];
    let mut f = match w.peers[k] {
        Peer::Mirror if !env.has(Rule::MirrorSeen) => common::silent(0),
        Peer::Serves if !env.has(Rule::ServingSeen) => common::silent(0),
        Peer::Serves => answers(name, Some(online(common::database(DatabaseState::Online)))),
        Peer::Mirror => {
            let mut db = common::database(DatabaseState::Restoring);
            db.mirroring = on(Role::Mirror);
            answers(name, Some(db))
        }
        Peer::Damaged => answers(name, Some(common::database(DatabaseState::Suspect))),
        Peer::Refuses | Peer::Dead | Peer::CutOff | Peer::MirrorCutOff => common::silent(0),
    };
    match &mut f.contact {
        contact @ Contact::Silent { .. } if w.peers[k] == Peer::Refuses => {
            *contact = Contact::Unusable { detail: "login refused".into() };
        }
        Contact::Silent { since, until, .. } if w.peers[k].silent() => {
            (*since, *until) = (time(w.silent[k].max(w.execs[i].started)), now(w));
        }
        Contact::Silent { until, .. } => *until = now(w),
        _ => {}
    }
    f.at = now(w);
    if let Fact::Known { at, .. } = &mut f.state {
        *at = now(w);
    }
    f
}

fn database(env: &Env, w: &World) -> Database {
    let online = w.db.copy == Copy::Online;
    let mut db = common::database(match w.db.copy {
        Copy::Restoring => DatabaseState::Restoring,
        Copy::Standby | Copy::Online => DatabaseState::Online,
    });
    db.standby = Some(w.db.copy == Copy::Standby);
    let at = pos(&w.db);
    db.position = if online { Err("NULL while ONLINE".into()) } else { Ok(at) };
    let point = match env.has(Rule::Provenance) {
        true => at.lsn,
        // As if it had been recovered where the shipped files end.
        false => Lsn(env.files.last().map_or(0, |f| u128::from(f.last))),
    };
    db.recovered =
        online.then(|| Recovered { fork: fork(0xBB), from_fork: Some(at.fork), fork_point: Some(point) });
    db.mirroring = if w.mirrored { on(Role::Principal) } else { None };
    db.last_restored = w.db.last.map(|i| RestoredBackup {
        file: name_of(usize::from(i)),
        last_lsn: at.lsn,
        fork: at.fork,
        started: wall(t(i64::from(w.db.lsn) + if env.has(Rule::StartOfBackup) { 0 } else { 30 })),
        zone: Some(jiff::tz::Offset::UTC),
    });
    db
}

fn backup(env: &Env, w: &World, i: usize) -> InstanceFacts {
    let mut f = answers("SQL-KS1", Some(database(env, w)));
    f.at = now(w);
    let s = state_of(&mut f);
    s.clock = now(w);
    s.journal = w.journal.clone();
    if let (false, Some(t)) = (env.has(Rule::Rotate), s.journal.transition.as_mut()) {
        // As if turning needed no writing.
        t.back = w.execs[i].declared == Side::Primary || w.peers.contains(&Peer::Serves);
    }
    s.secondary = w.shipping.map(|sh| {
        let mut x = common::secondary();
        let run = |(tick, ok)| (time(tick), if ok { Ok(()) } else { Err("it failed".into()) });
        let seen = [(sh.copy_enabled, sh.copy_running), (sh.restore_enabled, sh.restore_running)];
        for (job, (enabled, running)) in common::jobs(&mut x).zip(seen) {
            (job.enabled, job.running) = (Some(enabled), running);
        }
        if let Some(job) = &mut x.copy_job {
            job.last_run = sh.copied.map(run);
        }
        x.last_restored = Some(name_of(usize::from(sh.last_restored)));
        x
    });
    let session = |id, host: &str| Session { id, host: host.into(), program: "x".into(), login: "x".into() };
    s.holder = w.running.as_ref().filter(|_| env.has(Rule::LockIsLife)).map(|_| session(77, "executor"));
    if w.readers {
        s.sessions.push(session(70, "report"));
    }
    if w.db.copy == Copy::Online && w.ours_active && w.settled && !w.deaf {
        s.sessions.extend([session(60, "pc-ks1"), session(61, "PC-KS2")]);
    }
    if w.shipping.is_some_and(|s| s.restore_running) {
        s.restore = Some(RunningRestore { session: 55, command: "RESTORE LOG".into(), percent: 10 });
    }
    f
}

fn backups(env: &Env, w: &World) -> Fact<Backups> {
    let recorded = w.journal.transition.as_ref().is_some_and(|t| t.is_open() && t.evidence.is_some());
    if w.shipping.is_none() && !recorded && !w.source_declared {
        return unknown("nothing says where");
    }
    let set = |i: usize, born: Option<u16>| {
        let d = env.files[i];
        let mut s = common::set(u128::from(d.first), u128::from(d.last));
        s.first_fork = fork(common::A + u128::from(d.first_fork));
        s.fork = fork(common::A + u128::from(d.fork));
        s.fork_point = d.point.map(|p| Lsn(u128::from(p)));
        s.started = born.map_or(s.started, |tick| wall(time(tick)));
        if !env.has(Rule::StartOfBackup) {
            s.started = wall(t(i64::from(d.last) + 30));
        }
        s
    };
    let head = |look: Look, i: usize| match look {
        Look::Absent => None,
        Look::Whole => Some(Header::Read([set(i, w.files[i].born)].into())),
        Look::Torn => Some(Header::Torn { what: "3241".into(), since: t(900) }),
    };
    let mut files = BTreeMap::new();
    for (i, f) in w.files.iter().enumerate() {
        let file =
            BackupFile { on_share: head(f.share, i).filter(|_| w.share_up), in_folder: head(f.folder, i) };
        if file.on_share.is_some() || file.in_folder.is_some() {
            files.insert(name_of(i), file);
        }
    }
    let names = |pick: fn(&BackupFile) -> bool| {
        files.iter().filter(|(_, f)| pick(f)).map(|(n, _)| n.clone()).collect::<Vec<_>>()
    };
    let share = match w.share_up || !env.has(Rule::EmptyIsUnknown) {
        true => known(w, names(|f| f.on_share.is_some())),
        false => unknown("the network path was not found"),
    };
    let folder = known(w, names(|f| f.in_folder.is_some()));
    known(w, Backups { source: source(), share, folder, ..common::backups(files.clone()) })
}

pub fn facts(env: &Env, w: &World, i: usize) -> Facts {
    let servers = common::pool();
    let list = |ours: bool| match ours {
        true => servers.backup.active_servers.clone(),
        false => servers.primary.active_servers.clone(),
    };
    let mut mirror = answers("SQL-KS2", None);
    if w.mirrored {
        let mut db = common::database(DatabaseState::Restoring);
        db.mirroring = on(Role::Mirror);
        state_of(&mut mirror).database = Some(db);
    }
    Facts {
        instances: [(P, peer(env, w, i, 0)), (PM, peer(env, w, i, 1)), (B, backup(env, w, i)), (BM, mirror)]
            .into(),
        backups: backups(env, w),
        shell: ShellFacts {
            contact: Contact::Answers,
            pool_state: known(w, ("service:chat".into(), w.pool)),
            servers: known(
                w,
                Servers { identity: "x".into(), active: list(w.ours_active), inactive: list(!w.ours_active) },
            ),
            replicated: known(w, list(true).into_iter().map(|s| (s, w.settled)).collect()),
            store_writable: known(w, if w.store_ok { Ok(()) } else { Err("its server is dead".into()) }),
            cmdlets: BTreeMap::new(),
            other_pools: None,
        },
    }
}
