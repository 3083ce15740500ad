#![allow(dead_code, missing_docs)] // each test binary uses a part
//! A tiny server for the tests of the language: a few databases, two kinds of procedures, files by name.

use pchat_tsql::error::{Failure, SqlError};
use pchat_tsql::host::*;
use pchat_tsql::time::Ticks;
use pchat_tsql::types::{Column, Row, Rowset, Ty, Value};
use pchat_tsql::{Session, schema};
use std::collections::BTreeMap;
use std::time::Duration;

/// The server; `did` is the log of its effects.
pub struct Mini {
    pub version: Version,
    pub database: String,
    pub did: Vec<String>,
    pub locks: Vec<String>,
    pub tables: BTreeMap<String, (Vec<Column>, Vec<Row>)>,
}

const DATABASES: [(&str, i32, i32); 6] =
    [("master", 1, 0), ("tempdb", 2, 0), ("model", 3, 0), ("msdb", 4, 0), ("mgc", 5, 1), ("o'b]r én", 6, 0)];

pub fn guid(n: u8) -> [u8; 16] {
    let mut g = [0x11; 16];
    g[15] = n;
    g
}

fn time(text: &str) -> Value {
    Value::Time(Ticks::parse(text).expect("a time of the test"))
}

impl Mini {
    pub fn new(version: Version) -> Mini {
        let columns = vec![
            Column { name: "id".into(), ty: Ty::Int, nullable: false },
            Column { name: "body".into(), ty: Ty::NVarChar(40), nullable: true },
            Column { name: "at".into(), ty: Ty::DateTime2(3), nullable: true },
        ];
        let tables = BTreeMap::from([("chat.dbo.message".to_owned(), (columns, Vec::new()))]);
        Mini { version, database: "master".into(), did: Vec::new(), locks: Vec::new(), tables }
    }

    fn view(&self, name: &ObjectName) -> Option<(Vec<Column>, Vec<Row>)> {
        if name.schema.eq_ignore_ascii_case("sys") {
            let columns = schema::view("sys", &name.name, self.version)?;
            let rows = self.system_rows(&name.name.to_lowercase(), &columns);
            return Some((columns, rows));
        }
        if name.database.eq_ignore_ascii_case("msdb") && name.schema.eq_ignore_ascii_case("dbo") {
            let columns = schema::view("msdb.dbo", &name.name, self.version)?;
            let rows = self.agent_rows(&name.name.to_lowercase(), &columns);
            return Some((columns, rows));
        }
        None
    }

    fn system_rows(&self, name: &str, columns: &[Column]) -> Vec<Row> {
        let row = |values: &[(&str, Value)]| schema::row(columns, values).expect("documented columns");
        match name {
            "databases" => DATABASES
                .iter()
                .map(|(name, id, state)| {
                    row(&[
                        ("name", (*name).into()),
                        ("database_id", (*id).into()),
                        ("state", (*state).into()),
                        ("state_desc", if *state == 0 { "ONLINE" } else { "RESTORING" }.into()),
                        ("is_in_standby", false.into()),
                        ("recovery_model", 1.into()),
                        ("create_date", time("2026-01-02 03:04:05.678")),
                    ])
                })
                .collect(),
            "database_mirroring" => DATABASES
                .iter()
                .map(|(name, id, _)| {
                    let guid = (*name == "mgc").then(|| guid(7));
                    row(&[("database_id", (*id).into()), ("mirroring_guid", guid.into())])
                })
                .collect(),
            "master_files" => (0..2)
                .map(|kind| {
                    row(&[
                        ("database_id", 5.into()),
                        ("file_id", (kind + 1).into()),
                        ("type", kind.into()),
                        ("state", 1.into()),
                        ("size", 1024.into()),
                        ("redo_start_lsn", Value::lsn(41_000_000_023_400_001)),
                        ("redo_start_fork_guid", guid(9).into()),
                    ])
                })
                .collect(),
            "sysprocesses" => [51, 53]
                .iter()
                .map(|spid| {
                    row(&[
                        ("spid", (*spid).into()),
                        ("dbid", 5.into()),
                        ("loginame", "sa".into()),
                        ("cmd", "AWAITING COMMAND".into()),
                    ])
                })
                .collect(),
            "dm_exec_sessions" => [(51, true), (53, true), (9, false)]
                .iter()
                .map(|(id, user)| row(&[("session_id", (*id).into()), ("is_user_process", (*user).into())]))
                .collect(),
            "extended_properties" => {
                vec![row(&[
                    ("class", 0.into()),
                    ("name", "persistentchat.io/mgc/epoch".into()),
                    ("value", "7".into()),
                ])]
            }
            _ => Vec::new(),
        }
    }

    fn agent_rows(&self, name: &str, columns: &[Column]) -> Vec<Row> {
        let row = |values: &[(&str, Value)]| schema::row(columns, values).expect("documented columns");
        match name {
            "log_shipping_secondary" => vec![row(&[
                ("secondary_id", guid(1).into()),
                ("primary_server", r"SQL-TP1\PCHAT".into()),
                ("copy_job_id", guid(2).into()),
                ("restore_job_id", guid(3).into()),
            ])],
            "log_shipping_secondary_databases" => vec![row(&[
                ("secondary_id", guid(1).into()),
                ("secondary_database", "mgc".into()),
                ("last_restored_file", "mgc_1.trn".into()),
            ])],
            "sysjobs" => vec![
                row(&[("job_id", guid(2).into()), ("name", "LSCopy_x".into()), ("enabled", 1.into())]),
                row(&[("job_id", guid(3).into()), ("name", "LSRestore_x".into()), ("enabled", 0.into())]),
            ],
            "restorehistory" => (1..=3)
                .map(|i| {
                    row(&[
                        ("restore_history_id", i.into()),
                        ("backup_set_id", i.into()),
                        ("destination_database_name", "mgc".into()),
                        ("restore_type", "L".into()),
                    ])
                })
                .collect(),
            "backupset" => (1..=3)
                .map(|i| {
                    row(&[
                        ("backup_set_id", i.into()),
                        ("last_lsn", Value::lsn(41_000_000_000_000_000 + i as u128)),
                    ])
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn key(name: &ObjectName) -> String {
        format!("{}.{}.{}", name.database, name.schema, name.name).to_lowercase()
    }
}

fn answer<'a, T: Send + 'a>(value: T) -> Boxed<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Host for Mini {
    fn version(&self) -> Version {
        self.version
    }

    fn session(&self) -> SessionFacts {
        SessionFacts {
            spid: 60,
            login: "sa".into(),
            host_name: "CLIENT".into(),
            program: "test".into(),
            database: self.database.clone(),
            server: Some(r"SQL-KS1\PCHAT".into()),
            service: "PCHAT".into(),
            version_text: "Microsoft SQL Server".into(),
        }
    }

    fn now(&self) -> Ticks {
        Ticks::parse("2026-11-22T23:41:07.1234567").expect("a time")
    }

    fn columns(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError> {
        if name.database.eq_ignore_ascii_case("mgc") && !name.schema.eq_ignore_ascii_case("sys") {
            return Err(SqlError::new(927, &[&"mgc"]));
        }
        if let Some(table) = self.tables.get(&Mini::key(name)) {
            return Ok(Some(table.0.clone()));
        }
        Ok(self.view(name).map(|v| v.0))
    }

    fn rows(&self, name: &ObjectName) -> Result<Vec<Row>, SqlError> {
        if let Some(table) = self.tables.get(&Mini::key(name)) {
            return Ok(table.1.clone());
        }
        Ok(self.view(name).map(|v| v.1).unwrap_or_default())
    }

    fn is_user_table(&self, name: &ObjectName) -> bool {
        self.tables.contains_key(&Mini::key(name))
    }

    fn change<'a>(&'a mut self, table: &'a ObjectName, change: Change) -> Boxed<'a, Result<u64, Failure>> {
        let (columns, rows) = self.tables.get_mut(&Mini::key(table)).expect("a user table");
        let count = match change {
            Change::Insert(at, new) => {
                let count = new.len();
                for values in new {
                    let mut row = vec![Value::Null; columns.len()];
                    for (i, v) in at.iter().zip(values) {
                        row[*i] = v;
                    }
                    rows.push(row);
                }
                count
            }
            Change::Update(pairs) => {
                let count = pairs.len();
                for (old, new) in pairs {
                    if let Some(row) = rows.iter_mut().find(|r| **r == old) {
                        *row = new;
                    }
                }
                count
            }
            Change::Delete(gone) => {
                let before = rows.len();
                rows.retain(|r| !gone.contains(r));
                before - rows.len()
            }
        };
        answer(Ok(count as u64))
    }

    fn procedure(&self, name: &ObjectName) -> Option<Signature> {
        let lower = name.name.to_lowercase();
        if lower == "xp_dirtree" {
            let parameter =
                |name: &str, ty| Parameter { name: name.into(), ty, required: false, output: false };
            let parameters = vec![
                parameter("@path", Ty::NVarChar(512)),
                parameter("@depth", Ty::Int),
                parameter("@file", Ty::Int),
            ];
            return Some(Signature { name: lower, parameters, extended: true });
        }
        if lower == "sp_who2" {
            let parameter =
                Parameter { name: "@loginame".into(), ty: Ty::NVarChar(128), required: false, output: false };
            return Some(Signature { name: lower, parameters: vec![parameter], extended: false });
        }
        let in_msdb = lower.contains("job");
        if in_msdb != name.database.eq_ignore_ascii_case("msdb") && in_msdb {
            return None;
        }
        schema::procedure(&lower)
    }

    fn call<'a>(&'a mut self, call: Call, out: &'a mut dyn Sink) -> Boxed<'a, Result<Returned, Failure>> {
        let mut returned = Returned::default();
        let given: Vec<String> = call
            .arguments
            .iter()
            .filter_map(|(n, v)| v.as_ref().map(|v| format!("{n}={}", pchat_tsql::convert::plain(v))))
            .collect();
        self.did.push(format!("{} {}", call.name.name.to_lowercase(), given.join(" ")));
        match call.name.name.to_lowercase().as_str() {
            "sp_getapplock" => {
                let resource = call.get("@Resource");
                let resource = resource.as_text().unwrap_or_default().to_owned();
                returned.code = if resource == "busy" { -1 } else { 0 };
                self.locks.push(resource);
            }
            "xp_dirtree" => {
                let columns =
                    schema::result_set("xp_dirtree (path,depth,1)", 1, self.version).expect("documented");
                out.send(Event::Columns(columns));
                for name in ["mgc_1.trn", "mgc_2.trn"] {
                    out.send(Event::Row(vec![name.into(), 1.into(), 1.into()]));
                }
                out.send(Event::Done { rows: Some(2), error: false, in_procedure: true });
            }
            "sp_add_job" => returned.outputs.push(("@job_id".into(), Value::Guid(guid(42)))),
            "sp_start_job" => {
                returned.errors.push(SqlError::new(14262, &[&"@job_name", &"x"]));
                returned.code = 1;
            }
            _ => {}
        }
        answer(Ok(returned))
    }

    fn media<'a>(
        &'a mut self,
        media: Media,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<Option<Rowset>, Failure>> {
        let device = media.devices.iter().map(|d| match d {
            Device::Disk(path) => path.as_str(),
            Device::Logical(name) => name.as_str(),
        });
        let device: Vec<&str> = device.collect();
        let database = media.database.as_deref().unwrap_or_default();
        let mut options: Vec<&str> = media.options.iter().map(|o| o.0.as_str()).collect();
        options.sort_unstable();
        self.did.push(format!("{:?} {database} {} {}", media.kind, device.join(","), options.join(",")));
        if device.iter().any(|d| d.contains("late")) {
            return answer(Err(Failure(vec![
                SqlError::new(4305, &[&"42", &"41"]),
                SqlError::new(3013, &[&"RESTORE LOG"]),
            ])));
        }
        if media.kind == MediaKind::HeaderOnly {
            let columns = schema::result_set("RESTORE HEADERONLY", 1, self.version).expect("documented");
            let row = schema::row_lenient(
                &columns,
                &[("BackupName", "mgc".into()), ("FirstLSN", Value::lsn(40)), ("LastLSN", Value::lsn(41))],
            );
            return answer(row.map(|row| Some(Rowset { columns, rows: vec![row] })).map_err(Failure::from));
        }
        out.send(Event::Message(SqlError::custom(3014, 0, 1, "processed")));
        answer(Ok(None))
    }

    fn alter_database<'a>(
        &'a mut self,
        database: &'a str,
        action: AlterAction,
        termination: Termination,
        _out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<(), Failure>> {
        if self.database_id(database).is_none() {
            let errors = vec![SqlError::new(5011, &[&database]), SqlError::new(5069, &[])];
            return answer(Err(Failure(errors)));
        }
        self.did.push(format!("alter {database} {action:?} {termination:?}"));
        answer(Ok(()))
    }

    fn kill<'a>(&'a mut self, spid: i32, _status_only: bool) -> Boxed<'a, Result<(), Failure>> {
        if spid == 99 {
            return answer(Err(SqlError::new(6106, &[&spid]).into()));
        }
        self.did.push(format!("kill {spid}"));
        answer(Ok(()))
    }

    fn use_database(&mut self, database: &str) -> Result<String, SqlError> {
        match DATABASES.iter().find(|d| d.0.eq_ignore_ascii_case(database)) {
            None => Err(SqlError::new(911, &[&database])),
            Some((name, _, 1)) => Err(SqlError::new(927, &[name])),
            Some((name, ..)) => {
                self.database = (*name).to_owned();
                Ok((*name).to_owned())
            }
        }
    }

    fn wait(&mut self, delay: Duration) -> Boxed<'_, Result<(), Failure>> {
        self.did.push(format!("wait {} ms", delay.as_millis()));
        answer(Ok(()))
    }

    fn database_id(&self, name: &str) -> Option<i16> {
        DATABASES.iter().find(|d| d.0.eq_ignore_ascii_case(name)).map(|d| d.1 as i16)
    }

    fn database_name(&self, id: i32) -> Option<String> {
        DATABASES.iter().find(|d| d.1 == id).map(|d| d.0.to_owned())
    }

    fn server_property(&self, property: &str) -> Value {
        match property.to_lowercase().as_str() {
            "productversion" => "10.50.6000.34".into(),
            "engineedition" => 3.into(),
            _ => Value::Null,
        }
    }

    fn database_property(&self, database: &str, property: &str) -> Value {
        match (self.database_id(database), property.to_lowercase().as_str()) {
            (Some(_), "status") => "ONLINE".into(),
            _ => Value::Null,
        }
    }

    fn is_server_role_member(&self, role: &str, _login: Option<&str>) -> Option<bool> {
        (role == "sysadmin").then_some(true)
    }

    fn has_permission(&self, _: Option<&str>, _: Option<&str>, _: &str) -> Option<bool> {
        Some(true)
    }

    fn has_database_access(&self, database: &str) -> Option<bool> {
        self.database_id(database).map(|_| true)
    }

    fn applock_mode(&self, _principal: &str, resource: &str, _owner: &str) -> String {
        if self.locks.iter().any(|l| l == resource) { "Exclusive".into() } else { "NoLock".into() }
    }

    fn applock_test(&self, _: &str, resource: &str, _: &str, _: &str) -> Result<bool, SqlError> {
        Ok(resource != "busy")
    }

    fn new_guid(&self) -> [u8; 16] {
        guid(0xEE)
    }
}

/// What a client would see of the events, a line each; effects of the host follow as `did ...`.
pub fn render(events: &[Event]) -> Vec<String> {
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Columns(columns) => {
                out.push(format!(
                    "cols {}",
                    columns.iter().map(|c| format!("{} {}", c.name, c.ty)).collect::<Vec<_>>().join(", ")
                ));
            }
            Event::Row(row) => {
                out.push(format!(
                    "row {}",
                    row.iter().map(pchat_tsql::convert::plain).collect::<Vec<_>>().join("|")
                ));
            }
            Event::Message(m) if m.class > 10 => {
                out.push(format!("error {} {} {} line {}: {}", m.number, m.class, m.state, m.line, m.text));
            }
            Event::Message(m) => out.push(format!("info {}: {}", m.number, m.text)),
            Event::Done { rows, error, .. } => out.push(match (rows, error) {
                (_, true) => "done error".to_owned(),
                (Some(n), _) => format!("done {n}"),
                (None, _) => "done".to_owned(),
            }),
            Event::Database(name) => out.push(format!("database {name}")),
            Event::ReturnStatus(code) => out.push(format!("status {code}")),
            Event::Output { name, value, .. } => {
                out.push(format!("output {name}={}", pchat_tsql::convert::plain(value)));
            }
        }
    }
    out
}

/// Runs a batch on a new server of a version.
pub fn run(text: &str, version: Version) -> (Vec<String>, Vec<String>) {
    let mut session = Session::new(Mini::new(version));
    let mut events: Vec<Event> = Vec::new();
    block_on(session.batch(text, &mut events));
    (render(&events), std::mem::take(&mut session.host_mut().did))
}

/// Nothing in these tests waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}
