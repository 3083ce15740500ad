//! What the T-SQL front end asks of the simulated server, and where each question goes.
//!
//! Answers for nothing itself: catalog, facts, tables, procedures, media and ALTER DATABASE have modules of their own.

use super::{LabHost, alter, catalog, catalog_msdb, endpoints, facts, media, procs, tables};
use crate::control::nulls;
use crate::world::World;
use crate::world::clock::Clock;
use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::instance::MASTER;
use crate::world::locks::{LockMode, LockName, LockPrincipal};
use crate::world::seed::CHAT_LOGIN;
use pchat_tsql::host::{
    AlterAction, Boxed, Call, Change, EndpointChange, Host, Media, ObjectName, Returned, SessionFacts,
    Signature, StatementKind, Termination,
};
use pchat_tsql::time::{SECOND, Ticks};
use pchat_tsql::types::Rowset;
use pchat_tsql::{Column, Row, Sink, Value, Version, schema};
use std::time::Duration;

fn failure(f: Failure) -> pchat_tsql::Failure {
    pchat_tsql::Failure(f)
}

impl LabHost {
    fn clock(&self, w: &World) -> Clock {
        w.servers[self.server].clock
    }
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
                server: s.registered_name(),
                service: s.instance.clone().unwrap_or_else(|| "MSSQLSERVER".into()),
                version_text: format!(
                    "Microsoft SQL Server {} - {major}.{minor}.{build} (X64), simulated",
                    self.version.year()
                ),
            }
        })
    }

    fn now(&self) -> Ticks {
        let w = self.world.lock();
        Ticks::from_unix_micros(self.clock(&w).utc(w.now()).as_microsecond())
    }

    fn utc_offset_minutes(&self) -> i32 {
        self.clock(&self.world.lock()).zone_min
    }

    fn columns(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError> {
        self.enter(&name.database)?;
        match self.view(name)? {
            Some(columns) => {
                self.may_see(name)?;
                Ok(Some(self.with_nulls(name, columns)))
            }
            None => Ok(tables::columns(self, name)),
        }
    }

    fn rows(&self, name: &ObjectName) -> Result<Vec<Row>, SqlError> {
        let Some(columns) = self.view(name)? else { return tables::rows(self, name) };
        let named = self.read(|w, s| {
            if name.schema.eq_ignore_ascii_case("sys") {
                let database = s.database(&name.database).map_or(MASTER, |d| d.id);
                catalog::rows(w, self.server, database, (self.spid, &self.login), &name.name)
            } else {
                catalog_msdb::rows(w, self.server, &name.name)
            }
        });
        let mut named = named.ok_or_else(|| raise(208, &[&name.name]))?;
        // Backups are told by the wall clock of the server that made them, wherever they are looked at.
        if !name.name.to_ascii_lowercase().starts_with("backup") {
            let clock = self.clock(&self.world.lock());
            named.iter_mut().flatten().for_each(|(column, value)| tell(clock, column, value));
        }
        let rows = named.iter().map(|row| schema::row_lenient(&columns, row));
        let mut rows = rows.collect::<Result<Vec<Row>, _>>()?;
        self.strike_nulls(name, &columns, &mut rows);
        Ok(rows)
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
            let name = call.name.name.clone();
            let armed = self.read(|_, s| s.nulls.clone());
            let mut out = nulls::Listing::new(out, armed, &name);
            let done = procs::call(self, call, &mut out).await.map_err(failure);
            out.note(&mut self.world.lock().servers[self.server].nulls);
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

    fn endpoint(&mut self, change: EndpointChange) -> Boxed<'_, Result<(), pchat_tsql::Failure>> {
        Box::pin(async move {
            let done = endpoints::run(self, change).await.map_err(failure);
            self.settle_fault().await;
            done
        })
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
        self.read(|_, s| facts::server_property(s, property))
    }

    fn database_property(&self, database: &str, property: &str) -> Value {
        self.read(|_, s| s.database(database).map_or(Value::Null, |d| facts::database_property(d, property)))
    }

    fn is_server_role_member(&self, role: &str, login: Option<&str>) -> Option<bool> {
        self.read(|_, s| facts::is_role_member(s, role, login.unwrap_or(&self.login)))
    }

    fn has_permission(
        &self,
        securable: Option<&str>,
        _class: Option<&str>,
        permission: &str,
    ) -> Option<bool> {
        self.read(|_, s| facts::has_permission(s, &self.login, securable, permission))
    }

    fn has_database_access(&self, database: &str) -> Option<bool> {
        self.read(|_, s| {
            let d = s.database(database)?;
            Some(s.entry_error(d, &self.login, self.spid).is_none())
        })
    }

    fn applock_mode(&self, principal: &str, resource: &str, owner: &str) -> String {
        let principal = LockPrincipal::parse(principal);
        self.read(|_, s| {
            let database = s.sessions.get(&self.spid).map_or(MASTER, |x| x.database);
            let mine = s.locks.iter().find(|l| {
                l.spid == self.spid
                    && l.name.database == database
                    && l.name.resource == resource
                    && principal == Some(l.name.principal)
            });
            match mine {
                Some(l) if owner.eq_ignore_ascii_case("Session") => l.mode.name().to_owned(),
                _ => "NoLock".to_owned(),
            }
        })
    }

    /// The error for a caller who is no member of the principal is not documented; 1230 is the one that names the principal.
    fn applock_test(
        &self,
        principal: &str,
        resource: &str,
        mode: &str,
        owner: &str,
    ) -> Result<bool, SqlError> {
        let Some(mode) = LockMode::parse(mode) else { return Err(raise(1225, &[&"APPLOCK_TEST"])) };
        match owner {
            o if o.eq_ignore_ascii_case("Session") => {}
            o if o.eq_ignore_ascii_case("Transaction") => {
                return Err(unsupported("application locks owned by a transaction"));
            }
            _ => return Err(raise(1226, &[&"APPLOCK_TEST"])),
        }
        let allowed = |p: &LockPrincipal| !p.administrators_only() || self.is_sysadmin();
        let Some(principal) = LockPrincipal::parse(principal).filter(allowed) else {
            return Err(raise(1230, &[&"APPLOCK_TEST"]));
        };
        Ok(self.read(|_, s| {
            let database = s.sessions.get(&self.spid).map_or(MASTER, |x| x.database);
            s.could_lock(&LockName { database, principal, resource: resource.into() }, self.spid, mode)
        }))
    }

    fn new_guid(&self) -> [u8; 16] {
        self.world.lock().new_guid().into_bytes()
    }

    fn withholds(&self) -> bool {
        self.read(|_, s| !s.nulls.is_empty())
    }

    fn withheld(&self, name: &str) -> bool {
        let mut w = self.world.lock();
        let nulls = w.servers[self.server].nulls.iter_mut();
        let met = nulls.filter(|n| n.is(nulls::FUNCTION, name) || n.is(nulls::PROCEDURE, name));
        met.map(|n| n.told = true).count() > 0
    }

    fn statement(&mut self, kind: StatementKind) -> Boxed<'_, Result<(), pchat_tsql::Failure>> {
        let mut w = self.world.lock();
        let now = w.now();
        let s = &mut w.servers[self.server];
        if let Some(x) = s.sessions.get_mut(&self.spid) {
            x.last_batch = now;
        }
        let looks =
            matches!(kind, StatementKind::Select | StatementKind::MediaInfo | StatementKind::Procedure);
        let fault = if looks && self.login != CHAT_LOGIN { s.take_look_fault() } else { None };
        let result = fault.map_or(Ok(()), |n| Err(failure(vec![raise(n, &[])])));
        Box::pin(std::future::ready(result))
    }

    fn transaction(&mut self, count: i32) {
        let mut w = self.world.lock();
        if let Some(x) = w.servers[self.server].sessions.get_mut(&self.spid) {
            x.open_transactions = count;
        }
    }
}

/// Turns a true time in a catalog's column into what the server tells: its UTC, or its wall clock.
fn tell(clock: Clock, column: &str, value: &mut Value) {
    if let Value::Time(ticks) = value {
        let zone_s = if column.ends_with("_utc") { 0 } else { i64::from(clock.zone_min) * 60 };
        ticks.0 += (clock.ahead_s + zone_s) * SECOND;
    }
}
