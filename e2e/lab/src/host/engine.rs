//! The simulated instances behind the TDS server.
//!
//! Answers for logins, for carrying requests to the T-SQL front end and its answers to the wire, for the statement
//! log, and for ending connections whose session was killed. It must never interpret a statement.

use super::LabHost;
use super::values::{from_wire, from_wire_type, to_wire, wire_type};
use crate::net::Network;
use crate::world::Shared;
use crate::world::error::raise;
use crate::world::instance::{Login as Known, Statement};
use crate::world::taint::{ERRORS, tainted};
use pchat_tds::{Admission, Connection, Engine, Login, Message, Refusal, Request, Responder};
use pchat_tsql::host::{Boxed, Sink};
use pchat_tsql::{Event, RpcParameter, SqlError, Ty};
use std::sync::Arc;

/// One instance.
#[derive(Debug)]
pub struct LabEngine {
    world: Shared,
    net: Arc<Network>,
    server: usize,
}

impl LabEngine {
    /// The engine of a server of the world.
    pub fn new(world: Shared, net: Arc<Network>, server: usize) -> LabEngine {
        LabEngine { world, net, server }
    }

    fn checked(&self, login: &Login) -> Result<(), Refusal> {
        let mut w = self.world.lock();
        let server = &mut w.servers[self.server];
        let known = server.logins.iter().find(|l| l.name.eq_ignore_ascii_case(&login.user));
        let checked = match known {
            Some(Known { name, refused_with: Some(number), .. }) => {
                Err(Refusal(vec![message(&raise(*number, &[name, &""]))]))
            }
            Some(l) if l.disabled => {
                let text = SqlError::new(18470, &[&l.name, &""]);
                Err(Refusal(vec![message(&text)]))
            }
            Some(l) if l.password == login.password => Ok(()),
            _ => Err(Refusal::bad_login(&login.user)),
        };
        server.refused_logins += u64::from(checked.is_err());
        checked
    }
}

impl Engine for LabEngine {
    type Session = LabSession;

    async fn login(&self, login: &Login, connection: &Connection) -> Result<Admission<LabSession>, Refusal> {
        self.checked(login)?;
        let mut host = LabHost::open(&self.world, self.server, &login.user, &login.host, &login.program);
        host.link = self.net.link(connection.peer());
        let database = if login.database.is_empty() { "master" } else { &login.database };
        let entered = pchat_tsql::Host::use_database(&mut host, database);
        let database = entered.map_err(|_| Refusal::no_database(&login.user, database))?;
        let (killed, ends) = (host.killed.clone(), connection.clone());
        tokio::spawn(async move {
            killed.cancelled().await;
            ends.kill();
        });
        let spid = u16::try_from(host.spid).unwrap_or(u16::MAX);
        let session = LabSession { inner: pchat_tsql::Session::new(host), database: database.clone() };
        Ok(Admission { session, spid, database })
    }
}

/// A session on the wire.
pub struct LabSession {
    inner: pchat_tsql::Session<LabHost>,
    database: String,
}

impl Drop for LabSession {
    fn drop(&mut self) {
        // Ends the task that waits for KILL.
        self.inner.host().killed.cancel();
    }
}

impl pchat_tds::Session for LabSession {
    async fn execute(&mut self, request: Request, response: &mut Responder) {
        let begin = std::time::Instant::now();
        let text = match &request {
            Request::Batch(text) => text.clone(),
            Request::Rpc { procedure, parameters } => match parameters.first().map(|p| &p.value) {
                Some(pchat_tds::Value::Text(t)) if procedure.eq_ignore_ascii_case("sp_executesql") => {
                    t.clone()
                }
                _ => format!("RPC {procedure}"),
            },
        };
        if !self.inner.host_mut().request_arrives(&text).await {
            return;
        }
        let nulls = Nulls::of(self.inner.host());
        let taints = {
            let host = self.inner.host();
            host.world.lock().tainted(Some(host.server))
        };
        let mut out = Wire {
            response,
            types: vec![],
            names: vec![],
            database: &mut self.database,
            errors: vec![],
            returned: 0,
            nulls,
            taints,
        };
        match request {
            Request::Batch(text) => self.inner.batch(&text, &mut out).await,
            Request::Rpc { procedure, parameters } => {
                let parameters = parameters
                    .iter()
                    .map(|p| RpcParameter {
                        name: (!p.name.is_empty()).then(|| p.name.clone()),
                        ty: from_wire_type(p.ty),
                        value: from_wire(&p.value),
                        output: p.output,
                    })
                    .collect();
                self.inner.rpc(&procedure, parameters, &mut out).await;
            }
        }
        let (errors, nulls) = (out.errors, out.nulls);
        nulls.note(self.inner.host());
        self.inner.host_mut().request_ends().await;
        self.log(text, errors, begin.elapsed());
        self.inner.host().link.iter().for_each(crate::net::Link::settle);
    }

    async fn reset(&mut self) {
        self.inner.reset();
    }
}

impl LabSession {
    fn log(&mut self, text: String, errors: Vec<i32>, took: std::time::Duration) {
        let host = self.inner.host_mut();
        let effects = std::mem::take(&mut host.effects);
        let mut w = host.world.lock();
        let at = w.now();
        let s = &mut w.servers[host.server];
        let program = s.sessions.get(&host.spid).map(|x| x.program.clone()).unwrap_or_default();
        // The chat servers' own messages would drown everything else.
        if host.login == crate::world::seed::CHAT_LOGIN && errors.is_empty() {
            return;
        }
        s.statements.push(Statement {
            at,
            spid: host.spid,
            login: host.login.clone(),
            program,
            text: text.chars().take(65_536).collect(),
            effects,
            errors,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        if s.statements.len() > 6_000 {
            s.forgotten += s.statements.drain(..2_000).count();
        }
    }
}

fn message(e: &SqlError) -> Message {
    Message {
        number: e.number,
        state: e.state,
        class: e.class,
        text: e.text.clone(),
        procedure: e.procedure.clone(),
        line: e.line.max(1),
    }
}

/// The columns of this session's answers that are told as NULL.
#[derive(Default)]
struct Nulls {
    armed: Vec<crate::world::instance::Null>,
    /// In the result set that is being sent, which column is which of them.
    here: Vec<(usize, usize)>,
}

impl Nulls {
    fn of(host: &LabHost) -> Nulls {
        if host.login == crate::world::seed::CHAT_LOGIN {
            return Nulls::default();
        }
        let armed = host.world.lock().servers[host.server].nulls.clone();
        Nulls { armed, here: vec![] }
    }

    fn begin(&mut self, columns: &mut [pchat_tds::Column]) {
        self.here.clear();
        let Some(first) = columns.first().map(|c| c.name.clone()) else { return };
        for (at, column) in columns.iter_mut().enumerate() {
            if let Some(null) = self.armed.iter().position(|n| n.is(&first, &column.name)) {
                column.nullable = true;
                self.here.push((at, null));
            }
        }
    }

    fn strike(&mut self, row: &mut [pchat_tsql::Value]) {
        for (at, null) in &self.here {
            row[*at] = pchat_tsql::Value::Null;
            self.armed[*null].told = true;
        }
    }

    fn note(self, host: &LabHost) {
        let mut w = host.world.lock();
        for null in self.armed.iter().filter(|n| n.told) {
            let known = w.servers[host.server].nulls.iter_mut();
            known.filter(|n| n.is(&null.set, &null.column)).for_each(|n| n.told = true);
        }
    }
}

/// Events to tokens.
struct Wire<'a> {
    response: &'a mut Responder,
    types: Vec<Ty>,
    database: &'a mut String,
    errors: Vec<i32>,
    returned: u16,
    nulls: Nulls,
    /// Names of the columns.
    names: Vec<String>,
    taints: Vec<String>,
}

impl Sink for Wire<'_> {
    fn send(&mut self, event: Event) {
        match event {
            Event::Columns(columns) => {
                self.types = columns.iter().map(|c| c.ty).collect();
                self.names = columns.iter().map(|c| c.name.clone()).collect();
                let mut columns: Vec<pchat_tds::Column> = columns
                    .iter()
                    .map(|c| pchat_tds::Column {
                        name: c.name.clone(),
                        ty: wire_type(c.ty),
                        nullable: c.nullable,
                    })
                    .collect();
                self.nulls.begin(&mut columns);
                self.response.columns(&columns);
            }
            Event::Row(mut row) => {
                self.nulls.strike(&mut row);
                let mut values: Vec<_> = row.iter().zip(&self.types).map(|(v, t)| to_wire(v, *t)).collect();
                for (value, name) in values.iter_mut().zip(&self.names) {
                    if let pchat_tds::Value::Text(text) = value {
                        tainted(text, name, &self.taints);
                    }
                }
                // A value that its column cannot hold is a fault of the lab: it must not pass for an answer.
                if let Err(error) = self.response.row(&values) {
                    self.response
                        .message(&Message::error(50000, format!("The lab made a bad row: {error}.")));
                    self.errors.push(50000);
                }
            }
            Event::Done { rows, in_procedure: true, .. } => self.response.done_in_procedure(rows),
            Event::Done { rows, .. } => self.response.done(rows),
            Event::Message(e) => {
                if e.class > 10 {
                    self.errors.push(e.number);
                }
                let mut message = message(&e);
                tainted(&mut message.text, ERRORS, &self.taints);
                self.response.message(&message);
            }
            Event::Database(name) => {
                let old = std::mem::replace(self.database, name.clone());
                self.response.database_changed(&old, &name);
            }
            Event::ReturnStatus(status) => self.response.return_status(status),
            Event::Output { name, ty, value } => {
                let sent =
                    self.response.return_value(self.returned, &name, wire_type(ty), &to_wire(&value, ty));
                self.returned += 1;
                if let Err(error) = sent {
                    self.response
                        .message(&Message::error(50000, format!("The lab made a bad value: {error}.")));
                }
            }
        }
    }

    fn flush(&mut self) -> Boxed<'_, ()> {
        Box::pin(async move {
            // A client that is gone does not stop what runs.
            let _gone = self.response.flush().await;
        })
    }
}
