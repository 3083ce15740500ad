//! One SQL Server instance: logins, sessions, application locks, databases and what hangs on them.
//!
//! Answers for who is connected, who may do what, and who holds which application lock (sp_getapplock:
//! per database of the caller's context, owned by the session, freed when it ends). It must never outlive
//! a session's locks or let one spid be two sessions.

use super::agent::Agent;
use super::clock::Clock;
use super::database::Database;
use super::error::{SqlError, raise};
use super::history::History;
use super::locks::AppLock;
use super::log_shipping::LogShipping;
use super::mirroring::Endpoint;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// The two data centres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Primary,
    Backup,
}

/// A SQL login.
#[derive(Clone, Debug)]
pub struct Login {
    pub name: String,
    pub password: String,
    pub sysadmin: bool,
    pub disabled: bool,
    /// The error that it is refused with, whatever its password: locked out, expired, to be changed.
    pub refused_with: Option<i32>,
}

/// What a session is executing.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// `dm_exec_requests.command`, such as `RESTORE LOG`.
    pub command: String,
    pub started: Timestamp,
    /// Database that the command works on.
    pub database: i32,
    /// Length of the work, from which `percent_complete` comes.
    pub service_ms: u64,
}

/// A connected client, or a session of the server's own jobs.
#[derive(Clone, Debug)]
pub struct Session {
    pub spid: i32,
    /// Never used again, unlike the spid.
    pub serial: u64,
    pub login: String,
    pub host: String,
    pub program: String,
    pub client_pid: i32,
    pub login_time: Timestamp,
    pub last_batch: Timestamp,
    /// The database of its context.
    pub database: i32,
    pub open_transactions: i32,
    pub request: Option<Request>,
    /// Cancelled by KILL and by the death of the host.
    pub killed: CancellationToken,
}

/// One executed batch, for the statement log.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    pub at: Timestamp,
    pub spid: i32,
    pub login: String,
    pub program: String,
    pub text: String,
    /// Effects that it had or tried, such as `RESTORE LOG mgc`.
    pub effects: Vec<String>,
    /// Numbers of the errors that it raised.
    pub errors: Vec<i32>,
    pub took_ms: u64,
}

/// An error to be raised on command, instead of the K-th effect that clients ask for from then on.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// Effects still to pass before it strikes.
    pub after: u32,
}

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// This error is raised in place of the effect.
    Error(i32),
    /// The effect happens and its client is cut off before the reply.
    LoseReply,
    /// The client is cut off at once and the effect comes so many milliseconds later.
    Delay(u64),
    /// The client is cut off and nothing happens.
    Drop,
    /// The effect waits at the gate, and happens when it is let through.
    Hold,
    /// The effect happens, and its client waits for the answer until the gate is opened.
    HoldReply,
}

/// A column that is told as NULL on command.
#[derive(Clone, Debug, Serialize)]
pub struct Null {
    /// A view by its full name (`sys.databases`, `msdb.dbo.sysjobs`), or the first column of an answer's result set.
    pub set: String,
    pub column: String,
    /// Whether anybody was told.
    pub told: bool,
}

impl Null {
    /// Whether it is about this column.
    pub fn is(&self, set: &str, column: &str) -> bool {
        self.set.eq_ignore_ascii_case(set) && self.column.eq_ignore_ascii_case(column)
    }
}

/// One instance.
#[derive(Debug)]
pub struct Instance {
    pub host: String,
    pub instance: Option<String>,
    /// What `@@SERVERNAME` says, if not the present name: that of a host renamed since, or NULL.
    pub registered: Option<Option<String>>,
    /// The local entry of `sys.servers` as it was changed since the service was started, which takes it up when it is started anew.
    pub next_entry: Option<Option<String>>,
    pub side: Side,
    /// Major, minor and build number.
    pub version: (i32, i32, i32),
    pub started: Timestamp,
    pub clock: Clock,
    pub logins: Vec<Login>,
    /// Logins that were refused.
    pub refused_logins: u64,
    pub databases: Vec<Database>,
    pub sessions: BTreeMap<i32, Session>,
    pub locks: Vec<AppLock>,
    /// Extended properties on databases: database id and name to text.
    pub properties: BTreeMap<(i32, String), String>,
    pub agent: Agent,
    pub history: History,
    pub shipping: LogShipping,
    pub endpoint: Option<Endpoint>,
    /// An Express edition, which has no SQL Server Agent.
    pub express: bool,
    pub statements: Vec<Statement>,
    /// Older ones, which are not kept.
    pub forgotten: usize,
    pub faults: Vec<Fault>,
    /// Faults of whole requests: what strikes, and the text that the request must hold.
    pub request_faults: Vec<(FaultKind, String)>,
    /// Columns that are told as NULL.
    pub nulls: Vec<Null>,
    /// Faults of statements that only look: an error number and the statements still to pass.
    pub look_faults: Vec<(i32, u32)>,
    next_spid: i32,
    next_serial: u64,
}

/// The session of SQL Server Agent itself, while it runs.
pub const AGENT_SPID: i32 = 51;

/// The first session of somebody else.
const FIRST_SPID: i32 = AGENT_SPID + 1;

/// Database id of master.
pub const MASTER: i32 = 1;

impl Instance {
    /// An instance with its system databases.
    pub fn new(
        host: &str,
        instance: Option<&str>,
        side: Side,
        version: (i32, i32, i32),
        system: Vec<Database>,
        started: Timestamp,
    ) -> Instance {
        Instance {
            host: host.to_owned(),
            instance: instance.map(str::to_owned),
            registered: None,
            next_entry: None,
            side,
            version,
            started,
            clock: Clock::default(),
            logins: vec![],
            refused_logins: 0,
            databases: system,
            sessions: BTreeMap::new(),
            locks: vec![],
            properties: BTreeMap::new(),
            agent: Agent::new(started),
            history: History::default(),
            shipping: LogShipping::default(),
            endpoint: None,
            express: false,
            statements: vec![],
            forgotten: 0,
            faults: vec![],
            nulls: vec![],
            look_faults: vec![],
            request_faults: vec![],
            next_spid: FIRST_SPID,
            next_serial: 1,
        }
    }

    /// NetBIOS name of the machine.
    pub fn machine(&self) -> String {
        self.host.split('.').next().unwrap_or(&self.host).to_uppercase()
    }

    /// `@@SERVERNAME`: what is registered in `sys.servers`, which renaming a host does not change.
    pub fn registered_name(&self) -> Option<String> {
        self.registered.clone().unwrap_or_else(|| Some(self.name()))
    }

    /// The local entry of `sys.servers` as it stands.
    pub fn entry(&self) -> Option<String> {
        self.next_entry.clone().unwrap_or_else(|| self.registered_name())
    }

    /// The service is started anew, and takes up what was registered meanwhile.
    pub fn restarted(&mut self, now: Timestamp) {
        self.started = now;
        if let Some(entry) = self.next_entry.take() {
            self.registered = Some(entry);
        }
    }

    /// `SERVERPROPERTY('ServerName')`: machine and instance.
    pub fn name(&self) -> String {
        match &self.instance {
            Some(i) => format!("{}\\{i}", self.machine()),
            None => self.machine(),
        }
    }

    /// `host\instance` with the full host name.
    pub fn address(&self) -> String {
        match &self.instance {
            Some(i) => format!("{}\\{i}", self.host),
            None => self.host.clone(),
        }
    }

    /// The database with this name, in any case.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|d| d.name.to_lowercase() == name.to_lowercase())
    }

    /// The database with this id.
    pub fn by_id(&self, id: i32) -> Option<&Database> {
        self.databases.iter().find(|d| d.id == id)
    }

    /// The database with this id.
    pub fn by_id_mut(&mut self, id: i32) -> Option<&mut Database> {
        self.databases.iter_mut().find(|d| d.id == id)
    }

    /// Opens a session; spids are reused, as the real ones are.
    pub fn open_session(&mut self, login: &str, host: &str, program: &str, now: Timestamp) -> i32 {
        while self.sessions.contains_key(&self.next_spid) {
            self.next_spid = if self.next_spid >= 32_000 { FIRST_SPID } else { self.next_spid + 1 };
        }
        let spid = self.next_spid;
        self.next_spid += 1;
        if self.next_spid > 90 && !self.sessions.contains_key(&FIRST_SPID) {
            self.next_spid = FIRST_SPID;
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let session = Session {
            spid,
            serial,
            login: login.to_owned(),
            host: host.to_owned(),
            program: program.to_owned(),
            client_pid: 4000 + spid,
            login_time: now,
            last_batch: now,
            database: MASTER,
            open_transactions: 0,
            request: None,
            killed: CancellationToken::new(),
        };
        self.sessions.insert(spid, session);
        spid
    }

    /// Ends a session and frees what it holds.
    pub fn close_session(&mut self, spid: i32) {
        self.sessions.remove(&spid);
        self.locks.retain(|l| l.spid != spid);
        for db in &mut self.databases {
            if db.held_by == Some(spid) {
                db.held_by = None;
            }
        }
    }

    /// Ends a session if its spid still means the one with this serial number.
    pub fn close_own(&mut self, spid: i32, serial: u64) {
        if self.sessions.get(&spid).is_some_and(|s| s.serial == serial) {
            self.close_session(spid);
        }
    }

    /// `KILL`: the session ends when its work lets it.
    pub fn kill(&mut self, spid: i32, by: i32) -> Result<(), SqlError> {
        if spid == by {
            return Err(raise(6104, &[]));
        }
        if !(1..=32_767).contains(&spid) {
            return Err(raise(6101, &[&spid]));
        }
        if spid <= 50 {
            return Err(raise(6107, &[]));
        }
        let Some(session) = self.sessions.get(&spid) else { return Err(raise(6106, &[&spid])) };
        session.killed.cancel();
        // A RESTORE or BACKUP of the session ends by itself and frees its hold then; an idle session is gone.
        if session.request.is_none() {
            self.close_session(spid);
        }
        Ok(())
    }

    /// Sessions whose context is the database, without `except`.
    pub fn users_of(&self, database: i32, except: i32) -> Vec<i32> {
        self.sessions
            .values()
            .filter(|s| s.spid != except && s.database == database)
            .map(|s| s.spid)
            .collect()
    }

    /// Why a session may not enter the database, if so.
    pub fn entry_error(&self, db: &Database, login: &str, spid: i32) -> Option<SqlError> {
        use super::database::{Access, State};
        use super::mirroring::Role;
        let name = &db.name;
        if db.mirroring.as_ref().is_some_and(|m| m.role == Role::Mirror) {
            return Some(raise(954, &[name]));
        }
        match db.state {
            State::Online => {}
            State::Restoring => return Some(raise(927, &[name])),
            State::Recovering => return Some(raise(922, &[name])),
            State::RecoveryPending => return Some(raise(945, &[name])),
            State::Suspect => return Some(raise(926, &[name])),
            State::Offline => return Some(raise(942, &[name])),
        }
        if db.held_by.is_some_and(|h| h != spid) {
            return Some(raise(952, &[name]));
        }
        let sysadmin = self.logins.iter().any(|l| l.name.eq_ignore_ascii_case(login) && l.sysadmin);
        match db.access {
            Access::Single if !self.users_of(db.id, spid).is_empty() => Some(raise(924, &[name])),
            Access::Restricted if !sysadmin => Some(raise(923, &[name])),
            _ => None,
        }
    }

    /// Takes a fault that waits for a request with this text.
    pub fn take_request_fault(&mut self, text: &str) -> Option<FaultKind> {
        let text = text.to_lowercase();
        let at = self.request_faults.iter().position(|(_, wanted)| text.contains(wanted.as_str()))?;
        Some(self.request_faults.remove(at).0)
    }

    /// Takes an error whose turn it is for this looking statement.
    pub fn take_look_fault(&mut self) -> Option<i32> {
        let mut due = None;
        self.look_faults.retain_mut(|(number, after)| {
            if *after == 0 && due.is_none() {
                due = Some(*number);
                return false;
            }
            *after = after.saturating_sub(1);
            true
        });
        due
    }

    /// Takes a fault whose turn it is for this effect.
    pub fn take_fault(&mut self) -> Option<FaultKind> {
        let mut due = None;
        self.faults.retain_mut(|f| {
            if f.after == 0 && due.is_none() {
                due = Some(f.kind);
                return false;
            }
            f.after = f.after.saturating_sub(1);
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Instance {
        Instance::new(
            "sql-ks1.contoso.com",
            Some("PCHAT"),
            Side::Backup,
            (11, 0, 7001),
            vec![],
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn kill_ends_idle_sessions_and_names_what_it_cannot_end() {
        let mut i = instance();
        let a = i.open_session("sa", "h", "p", Timestamp::UNIX_EPOCH);
        let b = i.open_session("sa", "h", "p", Timestamp::UNIX_EPOCH);
        assert_eq!(i.kill(a, a).unwrap_err().number, 6104);
        i.kill(b, a).expect("killed");
        assert_eq!(i.kill(b, a).unwrap_err().number, 6106);
        assert_eq!(i.kill(7, a).unwrap_err().number, 6107);
    }
}
