//! Log shipping's procedures that register and change.
//!
//! Answers for the entries and jobs that they make: jobs are made disabled and without a schedule, as documented,
//! and belong to log shipping's category.

use super::LabHost;
use super::procs::{int, refused, text};
use super::procs_shipping::needed;
use super::values::guid;
use crate::world::World;
use crate::world::agent::Work;
use crate::world::database::RecoveryModel;
use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::log_shipping::{Primary, Secondary, SecondaryDatabase};
use pchat_tsql::Value;
use pchat_tsql::host::{Call, Returned};
use uuid::Uuid;

type Outputs = Vec<(String, Value)>;

/// Calls one of them.
pub fn call(host: &mut LabHost, call: &Call, name: &str) -> Result<Returned, Failure> {
    if call.in_transaction {
        return refused(raise(15002, &[&name]));
    }
    let mut w = host.world.lock();
    let server = host.server;
    let done = match name {
        "sp_add_log_shipping_primary_database" => add_primary(&mut w, server, call),
        "sp_add_log_shipping_primary_secondary" => add_primary_secondary(&mut w, server, call),
        "sp_add_log_shipping_secondary_primary" => add_secondary_primary(&mut w, server, call),
        "sp_add_log_shipping_secondary_database" => add_secondary_database(&mut w, server, call),
        "sp_change_log_shipping_secondary_database" => change_database(&mut w, server, call),
        "sp_change_log_shipping_secondary_primary" => change_secondary(&mut w, server, call),
        "sp_change_log_shipping_primary_database" => change_primary(&mut w, server, call),
        _ => return Err(vec![unsupported(&format!("the procedure {name}"))]),
    };
    match done {
        Ok(outputs) => Ok(Returned { outputs, ..Returned::default() }),
        Err(e) => refused(e),
    }
}

fn outputs<const N: usize>(named: [(&str, Uuid); N]) -> Outputs {
    named.map(|(n, id)| (n.to_owned(), guid(id))).to_vec()
}

fn flag(call: &Call, name: &str) -> bool {
    int(call, name) == Some(1)
}

/// A job of log shipping's own: disabled and without schedule. A foreign job of that name is 32022.
fn make_job(w: &mut World, server: usize, name: String, work: Work) -> Result<Uuid, SqlError> {
    if w.servers[server].agent.jobs.iter().any(|j| j.name.eq_ignore_ascii_case(&name)) {
        return Err(raise(32022, &[&name]));
    }
    let (id, now) = (w.new_guid(), w.now());
    w.add_job(server, id, name, work, None, now);
    if let Some(job) = w.servers[server].agent.job_mut(id) {
        job.enabled = false;
    }
    Ok(id)
}

fn add_primary(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let database = needed(call, "@database")?;
    let (directory, share) = (needed(call, "@backup_directory")?, needed(call, "@backup_share")?);
    let key = w.key(server, &database)?;
    if w.existing(key)?.model == RecoveryModel::Simple {
        return Err(raise(32015, &[&database]));
    }
    if w.servers[server].shipping.primary(&database).is_some() {
        if !flag(call, "@overwrite") {
            return Err(raise(32009, &[&database]));
        }
        let old = w.servers[server].shipping.primary(&database).map(|p| (p.id, p.backup_job));
        if let Some((id, job)) = old {
            w.servers[server].shipping.primaries.retain(|p| p.id != id);
            w.servers[server].agent.remove(job);
        }
    }
    let id = w.new_guid();
    let name = text(call, "@backup_job_name").unwrap_or_else(|| format!("LSBackup_{database}"));
    let job = make_job(w, server, name, Work::Backup(id))?;
    let own = w.servers[server].name();
    w.servers[server].shipping.primaries.push(Primary {
        id,
        database,
        backup_directory: directory,
        backup_share: share,
        retention_min: int(call, "@backup_retention_period").unwrap_or(14_420),
        backup_job: job,
        monitor: text(call, "@monitor_server").unwrap_or(own),
        threshold_min: int(call, "@backup_threshold").unwrap_or(60),
        threshold_alert: int(call, "@threshold_alert").unwrap_or(14_420),
        alert_enabled: flag(call, "@threshold_alert_enabled"),
        history_min: int(call, "@history_retention_period").unwrap_or(14_420),
        compression: u8::try_from(int(call, "@backup_compression").unwrap_or(2)).unwrap_or(2),
        last_file: None,
        last_date: None,
        secondaries: vec![],
    });
    Ok(outputs([("@backup_job_id", job), ("@primary_id", id)]))
}

fn add_primary_secondary(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let database = needed(call, "@primary_database")?;
    let (other, target) = (needed(call, "@secondary_server")?, needed(call, "@secondary_database")?);
    let primary = w.servers[server].shipping.primary_mut(&database);
    let primary = primary.ok_or_else(|| raise(32010, &[&database]))?;
    let same = |s: &(String, String)| s.0.eq_ignore_ascii_case(&other) && s.1.eq_ignore_ascii_case(&target);
    if primary.secondaries.iter().any(same) {
        if !flag(call, "@overwrite") {
            return Err(raise(32012, &[&other, &target, &database]));
        }
        return Ok(vec![]);
    }
    primary.secondaries.push((other, target));
    Ok(vec![])
}

fn add_secondary_primary(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let (primary, database) = (needed(call, "@primary_server")?, needed(call, "@primary_database")?);
    let source = needed(call, "@backup_source_directory")?;
    let destination = needed(call, "@backup_destination_directory")?;
    if w.servers[server].shipping.secondary(&primary, &database).is_some() {
        return Err(raise(32024, &[&primary, &database]));
    }
    let id = w.new_guid();
    let title = |given: &str, kind: &str| {
        text(call, given).unwrap_or_else(|| format!("LS{kind}_{primary}_{database}"))
    };
    let copy = make_job(w, server, title("@copy_job_name", "Copy"), Work::Copy(id))?;
    let restore = make_job(w, server, title("@restore_job_name", "Restore"), Work::Restore(id))?;
    let own = w.servers[server].name();
    w.servers[server].shipping.secondaries.push(Secondary {
        id,
        primary_server: primary,
        primary_database: database,
        source,
        destination,
        retention_min: int(call, "@file_retention_period").unwrap_or(14_420),
        copy_job: copy,
        restore_job: restore,
        monitor: text(call, "@monitor_server").unwrap_or(own),
        last_copied: None,
        last_copied_date: None,
    });
    Ok(outputs([("@copy_job_id", copy), ("@restore_job_id", restore), ("@secondary_id", id)]))
}

fn add_secondary_database(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let name = needed(call, "@secondary_database")?;
    let (primary, database) = (needed(call, "@primary_server")?, needed(call, "@primary_database")?);
    let shipping = &mut w.servers[server].shipping;
    let secondary = shipping.secondary(&primary, &database).map(|s| s.id);
    let secondary = secondary.ok_or_else(|| raise(32023, &[&primary, &database]))?;
    if shipping.database(&name).is_some() {
        if !flag(call, "@overwrite") {
            return Err(raise(32013, &[&name]));
        }
        shipping.databases.retain(|d| d.database.to_lowercase() != name.to_lowercase());
    }
    shipping.databases.push(SecondaryDatabase {
        database: name,
        secondary,
        restore_delay_min: int(call, "@restore_delay").unwrap_or(0),
        restore_all: int(call, "@restore_all").unwrap_or(1) == 1,
        standby: flag(call, "@restore_mode"),
        disconnect_users: flag(call, "@disconnect_users"),
        block_size: int(call, "@block_size").unwrap_or(-1),
        buffer_count: int(call, "@buffer_count").unwrap_or(-1),
        max_transfer_size: int(call, "@max_transfer_size").unwrap_or(-1),
        threshold_min: int(call, "@restore_threshold").unwrap_or(45),
        threshold_alert: int(call, "@threshold_alert").unwrap_or(14_420),
        alert_enabled: flag(call, "@threshold_alert_enabled"),
        history_min: int(call, "@history_retention_period").unwrap_or(14_420),
        last_restored: None,
        last_restored_date: None,
        last_latency_min: None,
    });
    Ok(vec![])
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(v) = value {
        *target = v;
    }
}

fn change_database(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let name = needed(call, "@secondary_database")?;
    let d = w.servers[server].shipping.database_mut(&name).ok_or_else(|| raise(32014, &[&name]))?;
    set(&mut d.restore_delay_min, int(call, "@restore_delay"));
    set(&mut d.restore_all, int(call, "@restore_all").map(|v| v == 1));
    set(&mut d.standby, int(call, "@restore_mode").map(|v| v == 1));
    set(&mut d.disconnect_users, int(call, "@disconnect_users").map(|v| v == 1));
    set(&mut d.block_size, int(call, "@block_size"));
    set(&mut d.buffer_count, int(call, "@buffer_count"));
    set(&mut d.max_transfer_size, int(call, "@max_transfer_size"));
    set(&mut d.threshold_min, int(call, "@restore_threshold"));
    set(&mut d.threshold_alert, int(call, "@threshold_alert"));
    set(&mut d.alert_enabled, int(call, "@threshold_alert_enabled").map(|v| v == 1));
    set(&mut d.history_min, int(call, "@history_retention_period"));
    Ok(vec![])
}

fn change_secondary(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let (primary, database) = (needed(call, "@primary_server")?, needed(call, "@primary_database")?);
    let shipping = &mut w.servers[server].shipping;
    let id = shipping.secondary(&primary, &database).map(|s| s.id);
    let entry = id.and_then(|id| shipping.secondary_mut(id));
    let entry = entry.ok_or_else(|| raise(32023, &[&primary, &database]))?;
    set(&mut entry.source, text(call, "@backup_source_directory"));
    set(&mut entry.destination, text(call, "@backup_destination_directory"));
    set(&mut entry.retention_min, int(call, "@file_retention_period"));
    Ok(vec![])
}

fn change_primary(w: &mut World, server: usize, call: &Call) -> Result<Outputs, SqlError> {
    let name = needed(call, "@database")?;
    let p = w.servers[server].shipping.primary_mut(&name).ok_or_else(|| raise(32010, &[&name]))?;
    set(&mut p.backup_directory, text(call, "@backup_directory"));
    set(&mut p.backup_share, text(call, "@backup_share"));
    set(&mut p.retention_min, int(call, "@backup_retention_period"));
    set(&mut p.threshold_min, int(call, "@backup_threshold"));
    set(&mut p.threshold_alert, int(call, "@threshold_alert"));
    set(&mut p.alert_enabled, int(call, "@threshold_alert_enabled").map(|v| v == 1));
    set(&mut p.history_min, int(call, "@history_retention_period"));
    set(&mut p.compression, int(call, "@backup_compression").and_then(|v| u8::try_from(v).ok()));
    Ok(vec![])
}
