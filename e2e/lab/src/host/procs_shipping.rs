//! Log shipping's procedures that remove and show.
//!
//! Answers for what goes with what (a secondary's jobs go with its last database), for the documented errors, and
//! for a monitor server that does not answer: the procedure waits for it and then removes nothing. Whether the
//! real one does is not documented; `@ignoreremotemonitor = 1` is.

use super::LabHost;
use super::catalog_msdb;
use super::procs::{id, int, refused, send_rows, text};
use crate::world::World;
use crate::world::error::{Failure, SqlError, raise, unsupported};
use pchat_tsql::host::{Call, Returned};
use pchat_tsql::{Sink, schema};
use std::time::Duration;
use uuid::Uuid;

/// Calls one of them.
pub async fn call(
    host: &mut LabHost,
    call: &Call,
    name: &str,
    out: &mut dyn Sink,
) -> Result<Returned, Failure> {
    if name.starts_with("sp_help") {
        return help(host, call, name, out);
    }
    if call.in_transaction {
        return refused(raise(15002, &[&name]));
    }
    let monitor = host.read(|w, s| {
        let name = monitor_of(s, call, name)?;
        let at = w.server_at(&name);
        let answers = at.is_some_and(|m| w.reaches(host.server, m));
        (!answers).then(|| Duration::from_millis(w.scenario.service_times.dead_share_ms))
    });
    if let Some(wait) = monitor
        && int(call, "@ignoreremotemonitor") != Some(1)
    {
        tokio::time::sleep(wait).await;
        return refused(raise(32054, &[]));
    }
    let mut w = host.world.lock();
    let done = match name {
        "sp_delete_log_shipping_secondary_database" => drop_secondary_database(&mut w, host.server, call),
        "sp_delete_log_shipping_secondary_primary" => drop_secondary_primary(&mut w, host.server, call),
        "sp_delete_log_shipping_primary_secondary" => drop_primary_secondary(&mut w, host.server, call),
        "sp_delete_log_shipping_primary_database" => drop_primary(&mut w, host.server, call),
        _ => return Err(vec![unsupported(&format!("the procedure {name}"))]),
    };
    match done {
        Ok(()) => Ok(Returned::default()),
        Err(e) => refused(e),
    }
}

/// The monitor server of the entry that a procedure removes.
fn monitor_of(s: &crate::world::instance::Instance, call: &Call, name: &str) -> Option<String> {
    let monitor = match name {
        "sp_delete_log_shipping_secondary_database" => {
            let d = s.shipping.database(&text(call, "@secondary_database")?)?;
            s.shipping.secondaries.iter().find(|x| x.id == d.secondary).map(|x| x.monitor.clone())
        }
        "sp_delete_log_shipping_secondary_primary" => s
            .shipping
            .secondary(&text(call, "@primary_server")?, &text(call, "@primary_database")?)
            .map(|x| x.monitor.clone()),
        "sp_delete_log_shipping_primary_database" => {
            s.shipping.primary(&text(call, "@database")?).map(|p| p.monitor.clone())
        }
        _ => None,
    }?;
    (!monitor.eq_ignore_ascii_case(&s.name())).then_some(monitor)
}

/// A required text, or 32052.
pub fn needed(call: &Call, name: &str) -> Result<String, SqlError> {
    text(call, name).filter(|t| !t.trim().is_empty()).ok_or_else(|| raise(32052, &[&name]))
}

fn remove_jobs(w: &mut World, server: usize, jobs: Vec<Uuid>) {
    jobs.into_iter().for_each(|j| w.servers[server].agent.remove(j));
}

fn drop_secondary_database(w: &mut World, server: usize, call: &Call) -> Result<(), SqlError> {
    let name = needed(call, "@secondary_database")?;
    let jobs = w.servers[server].shipping.drop_database(&name).ok_or_else(|| raise(32014, &[&name]))?;
    remove_jobs(w, server, jobs);
    Ok(())
}

fn drop_secondary_primary(w: &mut World, server: usize, call: &Call) -> Result<(), SqlError> {
    let (primary, database) = (needed(call, "@primary_server")?, needed(call, "@primary_database")?);
    let shipping = &mut w.servers[server].shipping;
    let entry = shipping.secondary(&primary, &database).map(|s| s.id);
    let id = entry.ok_or_else(|| raise(32023, &[&primary, &database]))?;
    if shipping.databases.iter().any(|d| d.secondary == id) {
        return Err(raise(32025, &[&primary, &database]));
    }
    let jobs = shipping.drop_secondary(id);
    remove_jobs(w, server, jobs);
    Ok(())
}

fn drop_primary_secondary(w: &mut World, server: usize, call: &Call) -> Result<(), SqlError> {
    let database = needed(call, "@primary_database")?;
    let target = (needed(call, "@secondary_server")?, needed(call, "@secondary_database")?);
    let primary = w.servers[server].shipping.primary_mut(&database);
    let primary = primary.ok_or_else(|| raise(32010, &[&database]))?;
    let same = |s: &(String, String)| {
        s.0.eq_ignore_ascii_case(&target.0) && s.1.to_lowercase() == target.1.to_lowercase()
    };
    primary.secondaries.retain(|s| !same(s));
    Ok(())
}

fn drop_primary(w: &mut World, server: usize, call: &Call) -> Result<(), SqlError> {
    let database = needed(call, "@database")?;
    let shipping = &mut w.servers[server].shipping;
    let primary = shipping.primary(&database).ok_or_else(|| raise(32010, &[&database]))?;
    if !primary.secondaries.is_empty() {
        return Err(raise(32011, &[&database]));
    }
    let (id, job) = (primary.id, primary.backup_job);
    shipping.primaries.retain(|p| p.id != id);
    remove_jobs(w, server, vec![job]);
    Ok(())
}

/// The help procedures show the joined rows of msdb's tables under the documented names.
fn help(host: &mut LabHost, call: &Call, name: &str, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let version = pchat_tsql::Host::version(host);
    let tables: &[&str] = match name {
        "sp_help_log_shipping_secondary_database" => {
            &["log_shipping_secondary", "log_shipping_secondary_databases", "log_shipping_monitor_secondary"]
        }
        "sp_help_log_shipping_secondary_primary" => &["log_shipping_secondary"],
        "sp_help_log_shipping_primary_database" => {
            &["log_shipping_primary_databases", "log_shipping_monitor_primary"]
        }
        "sp_help_log_shipping_monitor_secondary" => &["log_shipping_monitor_secondary"],
        "sp_help_log_shipping_monitor_primary" => &["log_shipping_monitor_primary"],
        _ => return Err(vec![unsupported(&format!("the procedure {name}"))]),
    };
    let columns = schema::result_set(name, 1, version).ok_or_else(|| vec![unsupported(name)])?;
    let w = host.world.lock();
    let read = |table: &str| catalog_msdb::rows(&w, host.server, table).unwrap_or_default();
    let mut rows = read(tables[0]);
    for table in &tables[1..] {
        let more = read(table);
        for row in &mut rows {
            let key = row.iter().find(|c| c.0.ends_with("_id") && !c.0.contains("job")).cloned();
            if let Some(other) = more.iter().find(|m| m.iter().any(|c| Some(c) == key.as_ref())) {
                row.extend(other.iter().filter(|c| c.0 != "secondary_id" && c.0 != "primary_id").cloned());
            }
        }
    }
    let wanted: Vec<(&str, Option<String>)> = vec![
        ("secondary_database", text(call, "@secondary_database")),
        ("primary_server", text(call, "@primary_server")),
        ("primary_database", text(call, "@primary_database").or(text(call, "@database"))),
    ];
    let by_id = id(call, "@secondary_id").or(id(call, "@primary_id"));
    rows.retain(|row| {
        let fits = |(column, value): &(&str, Option<String>)| {
            let Some(value) = value else { return true };
            row.iter()
                .find(|c| c.0 == *column)
                .is_none_or(|c| c.1.as_text().is_some_and(|t| t.to_lowercase() == value.to_lowercase()))
        };
        wanted.iter().all(fits)
            && by_id.is_none_or(|id| row.iter().any(|c| super::values::as_guid(&c.1) == Some(id)))
    });
    drop(w);
    let rows = rows.iter().map(|r| schema::row_lenient(&columns, r)).collect::<Result<_, _>>();
    send_rows(out, columns, rows.map_err(|e| vec![e])?);
    Ok(Returned::default())
}
