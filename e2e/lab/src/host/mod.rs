//! The simulated SQL Server behind one session: the world seen and changed by T-SQL.
//!
//! Answers for `pchat_tsql`'s questions about catalog, session and rights, and for carrying statements'
//! effects into the world in their time. It must never look at statement text: it gets names and values.

pub mod agent;
mod alter;
mod catalog;
mod catalog_msdb;
mod catalog_sessions;
pub mod engine;
mod headers;
mod listing;
mod media;
mod procs;
mod procs_jobs;
mod procs_locks;
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
use pchat_tsql::host::{
    AlterAction, Boxed, Call, Change, Host, Media, ObjectName, Returned, SessionFacts, Signature,
    StatementKind, Termination,
};
use pchat_tsql::time::Ticks;
use pchat_tsql::types::Rowset;
use pchat_tsql::{Column, Row, Sink, Value, Version, schema};
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
        tokio::time::sleep_until(begin + time).await;
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

    fn view(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError> {
        let msdb = name.database.eq_ignore_ascii_case("msdb") && name.schema.eq_ignore_ascii_case("dbo");
        if name.schema.eq_ignore_ascii_case("sys") {
            return Ok(schema::view("sys", &name.name, self.version).filter(|_| {
                self.read(|w, _| catalog::rows(w, self.server, MASTER, &self.login, &name.name).is_some())
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

fn failure(f: Failure) -> pchat_tsql::Failure {
    pchat_tsql::Failure(f)
}

impl Host for LabHost {
    fn version(&self) -> Version {
        self.version
    }

    fn session(&self) -> SessionFacts {
        self.read(|_, s| {
            let me = s.sessions.get(&self.spid);
            let database = me.and_then(|x| s.by_id(x.database)).map_or("master", |d| d.name.as_str());
            let (major, minor, build) = s.version;
            SessionFacts {
                spid: i16::try_from(self.spid).unwrap_or(i16::MAX),
                login: self.login.clone(),
                host_name: me.map(|x| x.host.clone()).unwrap_or_default(),
                program: me.map(|x| x.program.clone()).unwrap_or_default(),
                database: database.to_owned(),
                server: s.name(),
                service: s.instance.clone().unwrap_or_else(|| "MSSQLSERVER".into()),
                version_text: format!(
                    "Microsoft SQL Server {} - {major}.{minor}.{build} (X64), simulated",
                    self.version.year()
                ),
            }
        })
    }

    fn now(&self) -> Ticks {
        Ticks::from_unix_micros(self.world.lock().now().as_microsecond())
    }

    fn columns(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError> {
        self.enter(&name.database)?;
        match self.view(name)? {
            Some(columns) => {
                self.may_see(name)?;
                Ok(Some(columns))
            }
            None => Ok(tables::columns(self, name)),
        }
    }

    fn rows(&self, name: &ObjectName) -> Result<Vec<Row>, SqlError> {
        let Some(columns) = self.view(name)? else { return tables::rows(self, name) };
        let named = self.read(|w, s| {
            if name.schema.eq_ignore_ascii_case("sys") {
                let database = s.database(&name.database).map_or(MASTER, |d| d.id);
                catalog::rows(w, self.server, database, &self.login, &name.name)
            } else {
                catalog_msdb::rows(w, self.server, &name.name)
            }
        });
        let named = named.ok_or_else(|| raise(208, &[&name.name]))?;
        named.iter().map(|row| schema::row_lenient(&columns, row)).collect()
    }

    fn is_user_table(&self, name: &ObjectName) -> bool {
        tables::columns(self, name).is_some()
    }

    fn change<'a>(
        &'a mut self,
        table: &'a ObjectName,
        change: Change,
    ) -> Boxed<'a, Result<u64, pchat_tsql::Failure>> {
        Box::pin(async move {
            let done = tables::change(self, table, change).await.map_err(failure);
            self.settle_fault().await;
            done
        })
    }

    fn procedure(&self, name: &ObjectName) -> Option<Signature> {
        procs::signature(name)
    }

    fn call<'a>(
        &'a mut self,
        call: Call,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<Returned, pchat_tsql::Failure>> {
        Box::pin(async move {
            let done = procs::call(self, call, out).await.map_err(failure);
            self.settle_fault().await;
            done
        })
    }

    fn media<'a>(
        &'a mut self,
        media: Media,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<Option<Rowset>, pchat_tsql::Failure>> {
        Box::pin(async move {
            let done = media::run(self, media, out).await.map_err(failure);
            self.settle_fault().await;
            done
        })
    }

    fn alter_database<'a>(
        &'a mut self,
        database: &'a str,
        action: AlterAction,
        termination: Termination,
        _out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<(), pchat_tsql::Failure>> {
        Box::pin(async move {
            let done = alter::run(self, database, action, termination).await.map_err(failure);
            self.settle_fault().await;
            done
        })
    }

    fn drop_database<'a>(&'a mut self, database: &'a str) -> Boxed<'a, Result<(), pchat_tsql::Failure>> {
        Box::pin(async move { alter::drop_database(self, database).await.map_err(failure) })
    }

    fn kill<'a>(&'a mut self, spid: i32, status_only: bool) -> Boxed<'a, Result<(), pchat_tsql::Failure>> {
        Box::pin(async move {
            if !self.is_sysadmin() {
                return Err(failure(vec![raise(6102, &[])]));
            }
            if status_only {
                return Err(failure(vec![raise(6120, &[&spid])]));
            }
            if self.me(|x| x.open_transactions).is_some_and(|n| n > 0) {
                return Err(failure(vec![raise(6115, &[])]));
            }
            self.effect(format!("KILL {spid}")).await.map_err(failure)?;
            let mut w = self.world.lock();
            w.servers[self.server].kill(spid, self.spid).map_err(|e| failure(vec![e]))
        })
    }

    fn use_database(&mut self, database: &str) -> Result<String, SqlError> {
        self.enter(database)?;
        let mut w = self.world.lock();
        let s = &mut w.servers[self.server];
        let Some((id, name)) = s.database(database).map(|d| (d.id, d.name.clone())) else {
            return Err(raise(911, &[&database]));
        };
        if let Some(x) = s.sessions.get_mut(&self.spid) {
            x.database = id;
        }
        Ok(name)
    }

    fn wait(&mut self, delay: Duration) -> Boxed<'_, Result<(), pchat_tsql::Failure>> {
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(())
        })
    }

    fn database_id(&self, name: &str) -> Option<i16> {
        self.read(|_, s| s.database(name).and_then(|d| i16::try_from(d.id).ok()))
    }

    fn database_name(&self, id: i32) -> Option<String> {
        self.read(|_, s| s.by_id(id).map(|d| d.name.clone()))
    }

    fn server_property(&self, property: &str) -> Value {
        self.read(|_, s| {
            let (major, minor, build) = s.version;
            match property.to_ascii_lowercase().as_str() {
                "servername" => s.name().into(),
                "machinename" | "computernamephysicalnetbios" => s.machine().into(),
                "instancename" => s.instance.clone().map_or(Value::Null, Value::from),
                "productversion" => format!("{major}.{minor}.{build}.0").into(),
                "productlevel" => "SP4".into(),
                "productmajorversion" if major >= 13 => major.to_string().into(),
                "edition" => "Standard Edition (64-bit)".into(),
                "editionid" => Value::Int(-1_534_726_760),
                "engineedition" => Value::Int(2),
                "isclustered" | "isfulltextinstalled" | "issingleuser" | "isintegratedsecurityonly" => {
                    Value::Int(0)
                }
                "ishadrenabled" if major >= 11 => Value::Int(0),
                "collation" => "Latin1_General_CI_AI".into(),
                "processid" => Value::Int(1764),
                _ => Value::Null,
            }
        })
    }

    fn database_property(&self, database: &str, property: &str) -> Value {
        self.read(|_, s| {
            let Some(d) = s.database(database) else { return Value::Null };
            match property.to_ascii_lowercase().as_str() {
                "status" => d.state.name().into(),
                "updateability" => {
                    if d.writable() {
                        "READ_WRITE".into()
                    } else {
                        "READ_ONLY".into()
                    }
                }
                "useraccess" => ["MULTI_USER", "SINGLE_USER", "RESTRICTED_USER"][d.access as usize].into(),
                "recovery" => d.model.name().into(),
                "isinstandby" => d.standby.is_some().into(),
                _ => Value::Null,
            }
        })
    }

    fn is_server_role_member(&self, role: &str, login: Option<&str>) -> Option<bool> {
        const ROLES: [&str; 8] = [
            "sysadmin",
            "securityadmin",
            "serveradmin",
            "setupadmin",
            "processadmin",
            "diskadmin",
            "dbcreator",
            "bulkadmin",
        ];
        let role = role.to_ascii_lowercase();
        if role == "public" {
            return Some(true);
        }
        if !ROLES.contains(&role.as_str()) {
            return None;
        }
        let login = login.unwrap_or(&self.login);
        self.read(|_, s| {
            let found = s.logins.iter().find(|l| l.name.eq_ignore_ascii_case(login))?;
            // sysadmin members pass every IS_SRVROLEMEMBER check of fixed roles only by membership.
            Some(role == "sysadmin" && found.sysadmin)
        })
    }

    fn has_permission(
        &self,
        securable: Option<&str>,
        _class: Option<&str>,
        permission: &str,
    ) -> Option<bool> {
        const KNOWN: [&str; 12] = [
            "VIEW SERVER STATE",
            "VIEW ANY DEFINITION",
            "VIEW ANY DATABASE",
            "ALTER ANY CONNECTION",
            "ALTER ANY DATABASE",
            "CONTROL SERVER",
            "CONNECT SQL",
            "CREATE ANY DATABASE",
            "ANY",
            "ALTER",
            "SELECT",
            "EXECUTE",
        ];
        let permission = permission.to_ascii_uppercase();
        if !KNOWN.contains(&permission.as_str()) {
            return None;
        }
        if let Some(name) = securable
            && self.database_id(name.trim_matches(['[', ']'])).is_none()
            && !name.contains('.')
        {
            return None;
        }
        Some(self.is_sysadmin() || matches!(permission.as_str(), "CONNECT SQL" | "VIEW ANY DATABASE" | "ANY"))
    }

    fn has_database_access(&self, database: &str) -> Option<bool> {
        self.read(|_, s| {
            let d = s.database(database)?;
            Some(s.entry_error(d, &self.login, self.spid).is_none())
        })
    }

    fn applock_mode(&self, _principal: &str, resource: &str, owner: &str) -> String {
        self.read(|_, s| {
            let database = s.sessions.get(&self.spid).map_or(MASTER, |x| x.database);
            let mine = s
                .locks
                .iter()
                .find(|l| l.spid == self.spid && l.database == database && l.resource == resource);
            match mine {
                Some(l) if owner.eq_ignore_ascii_case("Session") => l.mode.name().to_owned(),
                _ => "NoLock".to_owned(),
            }
        })
    }

    fn new_guid(&self) -> [u8; 16] {
        self.world.lock().new_guid().into_bytes()
    }

    fn statement(&mut self, _kind: StatementKind) -> Boxed<'_, Result<(), pchat_tsql::Failure>> {
        let now = self.world.lock().now();
        let mut w = self.world.lock();
        if let Some(x) = w.servers[self.server].sessions.get_mut(&self.spid) {
            x.last_batch = now;
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn transaction(&mut self, count: i32) {
        let mut w = self.world.lock();
        if let Some(x) = w.servers[self.server].sessions.get_mut(&self.spid) {
            x.open_transactions = count;
        }
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
