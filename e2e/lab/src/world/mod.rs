//! The state of the simulated data centres.
//!
//! Answers for everything that outlives a statement: instances and their databases, files, jobs, the
//! management store, who reaches whom, and the truth about messages. It is plain data behind one lock, its
//! methods take no time and touch no socket; what takes time is begun and finished in two calls. It must
//! never know what a client's query looks like.

pub mod agent;
pub mod backup;
pub mod backup_file;
pub mod chain;
pub mod clock;
pub mod database;
pub mod error;
pub mod files;
pub mod gate;
pub mod history;
pub mod instance;
pub mod ledger;
pub mod locks;
pub mod log_shipping;
pub mod lsn;
pub mod mirroring;
pub mod reach;
pub mod restore;
pub mod scenario;
pub mod seed;
pub mod shipping_jobs;
pub mod store;
pub mod taint;
pub mod timeline;

use database::{Change, Database};
use error::SqlError;
use files::{Files, Found, OsError};
use instance::Instance;
use jiff::Timestamp;
use ledger::Ledger;
use reach::Reach;
use scenario::Scenario;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::Store;
use timeline::{Entry, Operation, Timeline};
use uuid::Uuid;

/// A copy of a database: the server's number and the database's id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Key {
    pub server: usize,
    pub database: i32,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    pub scenario: Scenario,
    pub servers: Vec<Instance>,
    pub files: Files,
    pub reach: Reach,
    pub store: Store,
    pub ledger: Ledger,
    pub timeline: Timeline,
    /// Faults of the shell's changing cmdlets, as the servers' own are.
    pub store_faults: Vec<instance::Fault>,
    /// Properties that the shell's cmdlets give as NULL.
    pub store_nulls: Vec<instance::Null>,
    /// Commands that the management shell does not offer, in lower case.
    pub withheld: std::collections::BTreeSet<String>,
    /// Where held effects wait.
    pub gate: gate::Gate,
    /// Servers whose listings hang, and for how long.
    pub hanging: Vec<(usize, String, Duration)>,
    /// Cmdlets that take so much longer, by name; an empty one: all.
    pub hanging_cmdlets: Vec<(String, Duration)>,
    /// What is told with characters that a terminal obeys: by server, or `None` for the shell, and by name.
    pub taints: Vec<(Option<usize>, String)>,
    /// Set while history is made up at the start.
    pretended_now: Option<Timestamp>,
    random: u64,
}

/// The world as its users share it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Shares a world.
    pub fn new(world: World) -> Shared {
        Shared(Arc::new(Mutex::new(world)))
    }

    /// Locks it. A panic elsewhere does not hide the state from the post mortem.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl World {
    /// The true time. What a server takes it to be is its [`clock::Clock`]'s word.
    pub fn now(&self) -> Timestamp {
        self.pretended_now.unwrap_or_else(Timestamp::now)
    }

    /// The next guid of the scenario's seed (splitmix64 twice).
    pub fn new_guid(&mut self) -> Uuid {
        let mut next = || {
            self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        uuid::Builder::from_random_bytes(((u128::from(next()) << 64) | u128::from(next())).to_be_bytes())
            .into_uuid()
    }

    /// The copy of a database.
    pub fn database(&self, key: Key) -> Option<&Database> {
        self.servers.get(key.server)?.by_id(key.database)
    }

    /// The copy of a database.
    pub fn database_mut(&mut self, key: Key) -> Option<&mut Database> {
        self.servers.get_mut(key.server)?.by_id_mut(key.database)
    }

    /// The copy of a database, or 911.
    pub fn existing(&self, key: Key) -> Result<&Database, SqlError> {
        self.database(key).ok_or_else(|| error::raise(911, &[&key.database]))
    }

    /// The copy of a database, or 911.
    pub fn existing_mut(&mut self, key: Key) -> Result<&mut Database, SqlError> {
        self.database_mut(key).ok_or_else(|| error::raise(911, &[&key.database]))
    }

    /// A database by name on a server.
    pub fn find(&self, server: usize, name: &str) -> Option<&Database> {
        self.servers.get(server)?.database(name)
    }

    /// The key of a database by name on a server, or 911.
    pub fn key(&self, server: usize, name: &str) -> Result<Key, SqlError> {
        match self.find(server, name) {
            Some(db) => Ok(Key { server, database: db.id }),
            None => Err(error::raise(911, &[&name])),
        }
    }

    /// The server at a host name (full or short).
    pub fn server_at(&self, host: &str) -> Option<usize> {
        let short = |h: &str| h.split('.').next().unwrap_or(h).to_lowercase();
        let name = host.split('\\').next().unwrap_or(host);
        self.servers.iter().position(|s| short(&s.host) == short(name))
    }

    /// The server and port of a `TCP://host:port` address; `None` when it is not one.
    pub fn endpoint_at(&self, address: &str) -> Option<(Option<usize>, u16)> {
        let rest = address.get(..6).filter(|p| p.eq_ignore_ascii_case("TCP://")).map(|_| &address[6..])?;
        let (host, port) = rest.rsplit_once(':')?;
        Some((self.server_at(host), port.parse().ok()?))
    }

    /// One server gets an answer of another.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let (Some(a), Some(b)) = (self.servers.get(from), self.servers.get(to)) else { return false };
        self.reach.reaches(&a.host, &b.host)
    }

    /// The database that the scenario is about.
    pub fn chat_key(&self, server: usize) -> Option<Key> {
        Some(Key { server, database: self.find(server, &self.scenario.database)?.id })
    }

    /// Commits a change and sends it to the mirror; the caller has seen that the copy is writable.
    pub fn commit(&mut self, key: Key, change: Change) -> Result<(), SqlError> {
        let now = self.now();
        let name = self.existing(key)?.name.clone();
        let db = self.existing_mut(key)?;
        if !db.writable() {
            return Err(error::read_only(&name));
        }
        db.commit(change, now);
        self.ship_log(key);
        Ok(())
    }

    /// Ends all sessions whose context is the database.
    pub fn end_sessions_in(&mut self, key: Key) {
        self.end_sessions_but(key, 0);
    }

    /// Ends all sessions whose context is the database but one.
    pub fn end_sessions_but(&mut self, key: Key, except: i32) {
        let Some(server) = self.servers.get_mut(key.server) else { return };
        for spid in server.users_of(key.database, except) {
            if let Some(s) = server.sessions.get(&spid) {
                s.killed.cancel();
            }
            server.close_session(spid);
        }
    }

    /// Resolves a path as a server's account sees it: where it lies and what is there, or why not.
    pub fn look(&self, server: usize, path: &str) -> Result<(PathBuf, Found), OsError> {
        let host = &self.servers.get(server).ok_or(files::NO_PATH)?.host;
        let place = self.files.locate(host, path)?;
        if !self.reach.reaches(host, &place.host) {
            return Err(files::NO_NETWORK_PATH);
        }
        if self.files.is_denied(host, path) {
            return Err(files::DENIED);
        }
        let found = Files::at(&place.path);
        Ok((place.path, found))
    }

    /// Reads a file as a server's account.
    pub fn read_file(&self, server: usize, path: &str) -> Result<Vec<u8>, OsError> {
        let (real, found) = self.look(server, path)?;
        match found {
            Found::File if self.files.is_busy(&real) => Err(files::IN_USE),
            Found::File => std::fs::read(&real).map_err(|_| files::DENIED),
            Found::Folder => Err(files::DENIED),
            Found::Nothing if real.parent().is_some_and(|p| p.is_dir()) => Err(files::NOT_FOUND),
            Found::Nothing => Err(files::NO_PATH),
        }
    }

    /// The service time of an operation.
    pub fn service_time(&self, operation: Operation) -> Duration {
        self.scenario.service_times.of(operation)
    }

    /// Notes a finished operation on the timeline, with the time that it really took.
    pub fn note(
        &mut self,
        operation: Operation,
        server: String,
        what: String,
        took: Duration,
        by_client: bool,
    ) {
        let service = self.service_time(operation);
        let now = self.now();
        let begin = now.checked_sub(took).unwrap_or(now);
        let service_ms = u64::try_from(service.as_millis()).unwrap_or(u64::MAX);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.timeline.note(Entry { operation, server, what, begin, service_ms, took_us, by_client });
    }

    /// The ids of all chat messages that a copy holds.
    pub fn messages_in(&self, key: Key) -> BTreeSet<Uuid> {
        let rows = self.database(key).and_then(|d| d.tables.get("tblChat"));
        rows.into_iter()
            .flat_map(|t| t.values())
            .filter_map(|cells| match cells.first() {
                Some(database::Cell::Guid(id)) => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// Kills or revives a host: its sessions end, its jobs stop where they stand, its memory is gone.
    pub fn set_dead(&mut self, host: &str, dead: bool) {
        let was_alive = self.reach.alive(host);
        self.reach.set_dead(host, dead);
        let now = self.now();
        let Some(at) = self.servers.iter().position(|s| s.host == host) else { return };
        let server = &mut self.servers[at];
        if dead && was_alive {
            for session in server.sessions.values() {
                session.killed.cancel();
            }
            server.sessions.clear();
            server.locks.clear();
            server.databases.iter_mut().for_each(|d| d.held_by = None);
            server.agent.crash();
            // While it is away, a principal goes on without it.
            for m in server.databases.iter_mut().filter_map(|d| d.mirroring.as_mut()) {
                if m.role == mirroring::Role::Mirror {
                    m.caught_up = false;
                }
            }
        } else if !dead && !was_alive {
            server.restarted(now);
            server.agent.restart(now);
            for key in (0..self.servers.len()).filter_map(|s| self.chat_key(s)).collect::<Vec<_>>() {
                self.rejoin(key);
            }
        }
    }

    /// An end that comes back finds what its session became meanwhile (Role Switching During a Database
    /// Mirroring Session): a partner that was promoted makes the old principal a mirror.
    fn rejoin(&mut self, key: Key) {
        use mirroring::Role;
        let Some(mine) = self.database(key).and_then(|d| d.mirroring.clone()) else { return };
        let Some(other) = mine.partner_key else { return };
        let Some(theirs) = self.database(other).and_then(|d| d.mirroring.clone()) else { return };
        let both_principal =
            theirs.guid == mine.guid && mine.role == Role::Principal && theirs.role == Role::Principal;
        let reached = self.reaches(key.server, other.server);
        let told = reached || (theirs.witnessed && theirs.role_sequence > mine.role_sequence);
        if !(both_principal && told) {
            self.ship_log(key);
            return;
        }
        let (old, new) = if mine.role_sequence < theirs.role_sequence { (key, other) } else { (other, key) };
        let newer = self.database(new).and_then(|d| d.mirroring.as_ref());
        let (suspended, sequence) = newer.map_or((false, 0), |m| (m.suspended, m.role_sequence));
        if let Some(db) = self.database_mut(old) {
            db.state = database::State::Restoring;
            if let Some(m) = db.mirroring.as_mut() {
                m.role = Role::Mirror;
                m.role_sequence = sequence;
                m.suspended = suspended;
                m.sent_to = None;
                m.caught_up = false;
                m.witnessed = false;
            }
        }
        self.end_sessions_in(old);
        self.ship_log(new);
    }
}
