//! System procedures: which there are, who may call them, where they go.
//!
//! Answers for finding a procedure by its name as the server would (`sp_` in master and msdb, extended ones
//! anywhere) and for the rights of the documentation's "Permissions". A procedure that is not listed does not exist
//! (2812); one that is documented and not simulated says so.

use super::{
    LabHost, listing, procs_jobs, procs_locks, procs_parameters, procs_servers, procs_shipping,
    procs_shipping_add, procs_who,
};
use crate::world::error::{Failure, SqlError, raise, unsupported};
use pchat_tsql::host::{Call, ObjectName, Parameter, Returned, Signature};
use pchat_tsql::{Column, Event, Row, Sink, Ty, Value, schema};
use uuid::Uuid;

/// Procedures of msdb.
const MSDB: &[&str] = &[
    "sp_start_job",
    "sp_stop_job",
    "sp_update_job",
    "sp_help_job",
    "sp_delete_job",
    "sp_add_job",
    "sp_add_jobstep",
    "sp_add_jobserver",
];

/// The signature of a procedure, or `None` for 2812.
pub fn signature(name: &ObjectName) -> Option<Signature> {
    let lower = name.name.to_ascii_lowercase();
    let system = name.implied_schema || name.schema.eq_ignore_ascii_case("sys");
    let parameter = |name: &str, ty| Parameter { name: name.into(), ty, required: false, output: false };
    let extended = |parameters| Signature { name: name.name.clone(), parameters, extended: true };
    let text = || Ty::NVarChar(pchat_tsql::types::MAX);
    match lower.as_str() {
        "xp_dirtree" if system || name.database.eq_ignore_ascii_case("master") => Some(extended(vec![
            parameter("@path", text()),
            parameter("@depth", Ty::Int),
            parameter("@file", Ty::Int),
        ])),
        "xp_fileexist" if system || name.database.eq_ignore_ascii_case("master") => {
            let exists = Parameter { output: true, ..parameter("@exists", Ty::Int) };
            Some(extended(vec![parameter("@path", text()), exists]))
        }
        "sp_who2" => Some(Signature {
            name: "sp_who2".into(),
            parameters: vec![parameter("@loginame", Ty::NVarChar(128))],
            extended: false,
        }),
        // Deprecated, in every version, and on no page of the reference; its parameters are general knowledge.
        "sp_addsrvrolemember" => {
            let name = |name: &str| Parameter { required: true, ..parameter(name, Ty::NVarChar(128)) };
            let parameters = vec![name("@loginame"), name("@rolename")];
            Some(Signature { name: lower, parameters, extended: false }).filter(|_| system)
        }
        "sp_addserver" | "sp_dropserver" => procs_servers::signature(&lower).filter(|_| system),
        _ if MSDB.contains(&lower.as_str()) => {
            let there = name.database.eq_ignore_ascii_case("msdb");
            schema::procedure(&lower).filter(|_| there)
        }
        "sp_executesql" => None,
        _ => schema::procedure(&lower).filter(|_| system || name.schema.eq_ignore_ascii_case("dbo")),
    }
}

/// Calls a procedure.
pub async fn call(host: &mut LabHost, call: Call, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let name = call.name.name.to_ascii_lowercase();
    if name.contains("log_shipping") && !host.is_sysadmin() {
        return Err(vec![raise(15003, &[&"sysadmin"])]);
    }
    if MSDB.contains(&name.as_str()) && !host.is_sysadmin() {
        return Err(vec![raise(229, &[&"EXECUTE", &name, &"msdb", &"dbo"])]);
    }
    procs_parameters::check(&call, &name)?;
    let changes = !(name.starts_with("sp_help")
        || name.starts_with("xp_")
        || name.starts_with("sp_who")
        || name.ends_with("applock"));
    if changes {
        let given: Vec<String> =
            call.arguments.iter().filter_map(|(n, v)| Some(format!("{n}={}", shown(v.as_ref()?)))).collect();
        host.effect(format!("EXEC {name} {}", given.join(", "))).await?;
    }
    match name.as_str() {
        "xp_dirtree" => listing::dirtree(host, &call, out).await,
        "xp_fileexist" => listing::fileexist(host, &call, out).await,
        "sp_getapplock" => procs_locks::get(host, &call).await,
        "sp_releaseapplock" => procs_locks::release(host, &call),
        "sp_addextendedproperty" | "sp_updateextendedproperty" | "sp_dropextendedproperty" => {
            procs_locks::property(host, &call, &name)
        }
        "sp_addsrvrolemember" => add_to_role(host, &call),
        "sp_addserver" | "sp_dropserver" => procs_servers::call(host, &call, &name),
        "sp_who" | "sp_who2" => procs_who::who(host, &call, &name, out),
        "sp_start_job" | "sp_stop_job" | "sp_update_job" | "sp_help_job" | "sp_delete_job" => {
            procs_jobs::call(host, &call, &name, out)
        }
        _ if name.starts_with("sp_add_log_shipping") || name.starts_with("sp_change_log_shipping") => {
            procs_shipping_add::call(host, &call, &name)
        }
        _ if name.contains("log_shipping") => procs_shipping::call(host, &call, &name, out).await,
        _ => Err(vec![unsupported(&format!("the procedure {name}"))]),
    }
}

/// Only sysadmin is simulated. 15247 for others, and 15007 (in no list read for the reference) for an unknown login.
fn add_to_role(host: &mut LabHost, call: &Call) -> Result<Returned, Failure> {
    if !host.is_sysadmin() {
        return refused(raise(15247, &[]));
    }
    let role = text(call, "@rolename").unwrap_or_default();
    if !role.eq_ignore_ascii_case("sysadmin") {
        return Err(vec![unsupported(&format!("the server role {role}"))]);
    }
    let wanted = text(call, "@loginame").unwrap_or_default();
    let server = host.server;
    let mut world = host.world.lock();
    match world.servers[server].logins.iter_mut().find(|l| l.name.eq_ignore_ascii_case(&wanted)) {
        Some(login) => {
            login.sysadmin = true;
            Ok(Returned { code: 0, outputs: vec![], errors: vec![] })
        }
        None => {
            let text = format!("'{wanted}' is not a valid login or you do not have permission.");
            refused(SqlError::custom(15007, 16, 1, text))
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(t) => t.chars().take(200).collect(),
        Value::Int(i) => i.to_string(),
        Value::Guid(g) => Uuid::from_bytes(*g).to_string(),
        Value::Null => "NULL".into(),
        other => format!("{other:?}"),
    }
}

/// Sends a result set with its end.
pub fn send_rows(out: &mut dyn Sink, columns: Vec<Column>, rows: Vec<Row>) {
    out.send(Event::Columns(columns));
    let count = rows.len() as u64;
    rows.into_iter().for_each(|r| out.send(Event::Row(r)));
    out.send(Event::Done { rows: Some(count), error: false, in_procedure: true });
}

/// The text of the n-th argument, empty where there is none.
pub fn text_argument(call: &Call, n: usize) -> String {
    let value = call.arguments.get(n).and_then(|a| a.1.as_ref());
    value.and_then(Value::as_text).unwrap_or("").to_owned()
}

/// A text argument by name; `None` for NULL and for not given.
pub fn text(call: &Call, name: &str) -> Option<String> {
    call.given(name).and_then(Value::as_text).map(str::to_owned)
}

/// An integer or bit argument by name.
pub fn int(call: &Call, name: &str) -> Option<i32> {
    call.given(name).and_then(Value::as_int).and_then(|n| i32::try_from(n).ok())
}

/// A guid argument by name.
pub fn id(call: &Call, name: &str) -> Option<Uuid> {
    call.given(name).and_then(super::values::as_guid)
}

/// What a procedure returns that raised an error of its own: code 1.
pub fn refused(error: SqlError) -> Result<Returned, Failure> {
    Ok(Returned { code: 1, outputs: vec![], errors: vec![error] })
}
