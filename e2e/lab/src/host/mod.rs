//! The simulated SQL Server behind one session: the world seen and changed by T-SQL.
//!
//! Answers for `pchat_tsql`'s questions about catalog, session and rights, and for carrying statements'
//! effects into the world in their time. It must never look at statement text: it gets names and values.

pub mod agent;
mod alter;
mod catalog;
mod catalog_msdb;
mod catalog_sessions;
mod catalog_shipping;
mod endpoints;
pub mod engine;
mod facts;
mod headers;
mod language;
mod listing;
mod media;
mod procs;
mod procs_jobs;
mod procs_locks;
mod procs_parameters;
mod procs_servers;
mod procs_shipping;
mod procs_shipping_add;
mod procs_who;
mod tables;
pub mod values;

use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::gate::Passage;
use crate::world::instance::{FaultKind, Instance, MASTER, Session};
use crate::world::timeline::Operation;
use crate::world::{Shared, World};
use pchat_tsql::host::ObjectName;
use pchat_tsql::{Column, Version, schema};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One session of one server.
#[derive(Debug)]
pub struct LabHost {
    pub(crate) world: Shared,
    pub(crate) server: usize,
    pub(crate) spid: i32,
    pub(crate) login: String,
    serial: u64,
    pub(crate) killed: CancellationToken,
    /// The client's connection, where there is one: commanded faults work on it.
    pub(crate) link: Option<crate::net::Link>,
    version: Version,
    /// The client is to be cut off when the running effect is done.
    lose_reply: bool,
    /// The same, when the running request is done.
    lose_reply_at_end: bool,
    /// The answer to the running effect waits at the gate.
    hold_reply: bool,
    /// Effects of the running batch, for the statement log.
    pub(crate) effects: Vec<String>,
}

/// The language version of a server's version numbers.
fn version_of((major, _, _): (i32, i32, i32)) -> Version {
    match major {
        ..=10 => Version::V2008R2,
        11 => Version::V2012,
        12 => Version::V2014,
        13 => Version::V2016,
        14 => Version::V2017,
        _ => Version::V2019,
    }
}

impl LabHost {
    /// Opens a session of a login on a server.
    pub fn open(world: &Shared, server: usize, login: &str, host: &str, program: &str) -> LabHost {
        let mut w = world.lock();
        let now = w.now();
        let s = &mut w.servers[server];
        let spid = s.open_session(login, host, program, now);
        let opened = s.sessions.get(&spid).map(|x| (x.killed.clone(), x.serial));
        let (killed, serial) = opened.unwrap_or_default();
        let version = version_of(s.version);
        drop(w);
        let login = login.to_owned();
        LabHost {
            world: world.clone(),
            server,
            spid,
            login,
            serial,
            killed,
            link: None,
            version,
            lose_reply: false,
            lose_reply_at_end: false,
            hold_reply: false,
            effects: vec![],
        }
    }

    /// Reads the world.
    fn read<T>(&self, f: impl FnOnce(&World, &Instance) -> T) -> T {
        let w = self.world.lock();
        f(&w, &w.servers[self.server])
    }

    /// Reads this session; one that was killed has no facts any more.
    fn me<T>(&self, f: impl FnOnce(&Session) -> T) -> Option<T> {
        self.read(|_, s| s.sessions.get(&self.spid).map(f))
    }

    pub(crate) fn is_sysadmin(&self) -> bool {
        self.read(|_, s| catalog::is_sysadmin(s, &self.login))
    }

    /// Notes an effect before it happens, and lets a commanded fault strike.
    pub(crate) async fn effect(&mut self, what: String) -> Result<(), Failure> {
        self.effects.push(what);
        let fault = {
            let mut w = self.world.lock();
            w.timeline.mutated();
            w.servers[self.server].take_fault()
        };
        let cut = |host: &LabHost| host.link.iter().for_each(crate::net::Link::cut_client);
        match fault {
            None => Ok(()),
            Some(FaultKind::Error(number)) => Err(vec![raise(number, &[])]),
            Some(FaultKind::LoseReply) => {
                self.lose_reply = true;
                Ok(())
            }
            Some(FaultKind::Delay(ms)) => {
                cut(self);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Some(FaultKind::Drop) => {
                cut(self);
                Err(vec![unsupported("a client that is gone")])
            }
            Some(FaultKind::Hold) => match self.wait_at_gate().await {
                Passage::Through => Ok(()),
                Passage::Refused => Err(vec![unsupported("a client that is gone")]),
            },
            Some(FaultKind::HoldReply) => {
                self.hold_reply = true;
                Ok(())
            }
        }
    }

    async fn wait_at_gate(&self) -> Passage {
        let gate = self.world.lock().gate.clone();
        gate.wait(self.effects.last().map_or("", String::as_str)).await
    }

    /// Lets a commanded fault of the whole request strike before it runs; false when the request is never to run. A
    /// delayed one runs late, its caller gone, and finds the world as it is then.
    pub(crate) async fn request_arrives(&mut self, text: &str) -> bool {
        let fault = self.world.lock().servers[self.server].take_request_fault(text);
        let cut = |host: &LabHost| host.link.iter().for_each(crate::net::Link::cut_client);
        match fault {
            Some(FaultKind::LoseReply) => {
                self.lose_reply_at_end = true;
                true
            }
            Some(FaultKind::Delay(ms)) => {
                cut(self);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                true
            }
            Some(FaultKind::Drop) => {
                cut(self);
                false
            }
            // The others are faults of effects, not of requests.
            None | Some(FaultKind::Error(_) | FaultKind::Hold | FaultKind::HoldReply) => true,
        }
    }

    /// Ends a request whose reply is to be lost.
    pub(crate) async fn request_ends(&mut self) {
        self.lose_reply |= std::mem::take(&mut self.lose_reply_at_end);
        self.settle_fault().await;
    }

    /// Behind an effect whose reply is to be lost or held: cuts the client off, or waits at the gate.
    async fn settle_fault(&mut self) {
        if std::mem::take(&mut self.lose_reply) {
            self.link.iter().for_each(crate::net::Link::cut_client);
        }
        if std::mem::take(&mut self.hold_reply) {
            self.wait_at_gate().await;
        }
    }

    /// Lets the rest of an operation's service time pass and puts it on the timeline. What the lab itself did since
    /// `begin` is part of that time, so that the time is the scenario's and not this machine's.
    pub(crate) async fn spend(&self, begin: Instant, operation: Operation, what: String) {
        let (time, server) = self.read(|w, s| (w.service_time(operation), s.address()));
        sleep_until(begin + time).await;
        self.world.lock().note(operation, server, what, begin.elapsed(), true);
    }

    /// A path on a host that does not answer keeps its caller waiting.
    pub(crate) async fn wait_for_dead_path(&self, path: &str) {
        let wait = self.read(|w, s| {
            let place = w.files.locate(&s.host, path).ok()?;
            let dead = !w.reach.reaches(&s.host, &place.host);
            dead.then(|| Duration::from_millis(w.scenario.service_times.dead_share_ms))
        });
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }

    /// Shows a command in `dm_exec_requests` while it lasts.
    pub(crate) fn set_request(&self, command: Option<(&str, i32, Duration)>) {
        let mut w = self.world.lock();
        let started = w.now();
        if let Some(x) = w.servers[self.server].sessions.get_mut(&self.spid) {
            x.request = command.map(|(command, database, service)| crate::world::instance::Request {
                command: command.to_owned(),
                started,
                database,
                service_ms: u64::try_from(service.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }

    /// The columns of a view, of which those that are told as NULL can be.
    fn with_nulls(&self, view: &ObjectName, mut columns: Vec<Column>) -> Vec<Column> {
        let name = full_name(view);
        self.read(|_, s| {
            for column in columns.iter_mut().filter(|c| s.nulls.iter().any(|n| n.is(&name, &c.name))) {
                column.nullable = true;
            }
        });
        columns
    }

    /// Tells columns of a view as NULL, where that was commanded.
    fn strike_nulls(&self, view: &ObjectName, columns: &[Column], rows: &mut [pchat_tsql::Row]) {
        let (name, mut w) = (full_name(view), self.world.lock());
        for (at, column) in columns.iter().enumerate() {
            for null in w.servers[self.server].nulls.iter_mut().filter(|n| n.is(&name, &column.name)) {
                null.told |= !rows.is_empty();
                rows.iter_mut().for_each(|row| row[at] = pchat_tsql::Value::Null);
            }
        }
    }

    fn view(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError> {
        let msdb = name.database.eq_ignore_ascii_case("msdb") && name.schema.eq_ignore_ascii_case("dbo");
        if name.schema.eq_ignore_ascii_case("sys") {
            return Ok(schema::view("sys", &name.name, self.version).filter(|_| {
                self.read(|w, _| {
                    catalog::rows(w, self.server, MASTER, (self.spid, &self.login), &name.name).is_some()
                })
            }));
        }
        if msdb {
            return Ok(schema::view("msdb.dbo", &name.name, self.version)
                .filter(|_| self.read(|w, _| catalog_msdb::rows(w, self.server, &name.name).is_some())));
        }
        Ok(None)
    }

    /// 300 and 297 are in no list read for the reference (general knowledge).
    fn may_see(&self, name: &ObjectName) -> Result<(), SqlError> {
        if name.schema.eq_ignore_ascii_case("dbo")
            && name.database.eq_ignore_ascii_case("msdb")
            && !self.is_sysadmin()
        {
            return Err(raise(229, &[&"SELECT", &name.name, &"msdb", &"dbo"]));
        }
        Ok(())
    }
}

impl Drop for LabHost {
    fn drop(&mut self) {
        self.world.lock().servers[self.server].close_own(self.spid, self.serial);
    }
}

/// `sys.databases`, `msdb.dbo.sysjobs`: as the documentation names a view.
fn full_name(view: &ObjectName) -> String {
    match view.schema.eq_ignore_ascii_case("sys") {
        true => format!("sys.{}", view.name),
        false => format!("{}.{}.{}", view.database, view.schema, view.name),
    }
}

/// Sleeps until a moment. The runtime's timer wakes up to a millisecond late; over hundreds of restores that would
/// be a time that no scenario asked for.
pub(crate) async fn sleep_until(moment: Instant) {
    let early = moment.checked_sub(Duration::from_micros(700)).unwrap_or(moment);
    if early > Instant::now() {
        tokio::time::sleep_until(early).await;
    }
}

impl LabHost {
    /// Whether the session may enter a database: 911, or the error of its state.
    pub(crate) fn enter(&self, database: &str) -> Result<(), SqlError> {
        self.read(|_, s| match s.database(database) {
            None => Err(raise(911, &[&database])),
            Some(d) => match s.entry_error(d, &self.login, self.spid) {
                Some(e) => Err(e),
                None => Ok(()),
            },
        })
    }
}
