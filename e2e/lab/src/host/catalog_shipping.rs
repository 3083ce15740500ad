//! Log shipping's tables in msdb.
//!
//! Answers for the rows of `msdb.dbo.log_shipping_*` from an instance's entries, with the monitor tables that go with them.

use super::catalog::Named;
use super::values::{guid, text, time};
use crate::world::instance::Instance;
use jiff::Timestamp;
use pchat_tsql::Value;
use uuid::Uuid;

/// The rows of one of these tables, or `None`.
pub fn rows(s: &Instance, name: &str) -> Option<Vec<Named>> {
    let ls = &s.shipping;
    Some(match name {
        "log_shipping_primary_databases" => ls
            .primaries
            .iter()
            .map(|p| {
                vec![
                    ("primary_id", guid(p.id)),
                    ("primary_database", p.database.as_str().into()),
                    ("backup_directory", p.backup_directory.as_str().into()),
                    ("backup_share", p.backup_share.as_str().into()),
                    ("backup_retention_period", p.retention_min.into()),
                    ("backup_job_id", guid(p.backup_job)),
                    ("monitor_server", p.monitor.as_str().into()),
                    ("monitor_server_security_mode", Value::Int(1)),
                    ("last_backup_file", text(p.last_file.as_deref())),
                    ("last_backup_date", p.last_date.map_or(Value::Null, time)),
                    ("user_specified_monitor", Value::Int(0)),
                    ("backup_compression", Value::Int(p.compression.into())),
                ]
            })
            .collect(),
        "log_shipping_primary_secondaries" => ls
            .primaries
            .iter()
            .flat_map(|p| p.secondaries.iter().map(move |(server, db)| (p.id, server, db)))
            .map(|(id, server, db)| {
                vec![
                    ("primary_id", guid(id)),
                    ("secondary_server", server.as_str().into()),
                    ("secondary_database", db.as_str().into()),
                ]
            })
            .collect(),
        "log_shipping_secondary" => ls
            .secondaries
            .iter()
            .map(|x| {
                vec![
                    ("secondary_id", guid(x.id)),
                    ("primary_server", x.primary_server.as_str().into()),
                    ("primary_database", x.primary_database.as_str().into()),
                    ("backup_source_directory", x.source.as_str().into()),
                    ("backup_destination_directory", x.destination.as_str().into()),
                    ("file_retention_period", x.retention_min.into()),
                    ("copy_job_id", guid(x.copy_job)),
                    ("restore_job_id", guid(x.restore_job)),
                    ("monitor_server", x.monitor.as_str().into()),
                    ("monitor_server_security_mode", Value::Int(1)),
                    ("last_copied_file", text(x.last_copied.as_deref())),
                    ("last_copied_date", x.last_copied_date.map_or(Value::Null, time)),
                ]
            })
            .collect(),
        "log_shipping_secondary_databases" => ls
            .databases
            .iter()
            .map(|d| {
                vec![
                    ("secondary_database", d.database.as_str().into()),
                    ("secondary_id", guid(d.secondary)),
                    ("restore_delay", d.restore_delay_min.into()),
                    ("restore_all", d.restore_all.into()),
                    ("restore_mode", d.standby.into()),
                    ("disconnect_users", d.disconnect_users.into()),
                    ("block_size", d.block_size.into()),
                    ("buffer_count", d.buffer_count.into()),
                    ("max_transfer_size", d.max_transfer_size.into()),
                    ("last_restored_file", text(d.last_restored.as_deref())),
                    ("last_restored_date", d.last_restored_date.map_or(Value::Null, time)),
                ]
            })
            .collect(),
        "log_shipping_monitor_primary" => ls
            .primaries
            .iter()
            .map(|p| {
                vec![
                    ("primary_id", guid(p.id)),
                    ("primary_server", s.name().into()),
                    ("primary_database", p.database.as_str().into()),
                    ("backup_threshold", p.threshold_min.into()),
                    ("threshold_alert", p.threshold_alert.into()),
                    ("threshold_alert_enabled", p.alert_enabled.into()),
                    ("last_backup_file", text(p.last_file.as_deref())),
                    ("last_backup_date", p.last_date.map_or(Value::Null, time)),
                    ("last_backup_date_utc", p.last_date.map_or(Value::Null, time)),
                    ("history_retention_period", p.history_min.into()),
                ]
            })
            .collect(),
        "log_shipping_monitor_secondary" => monitor_rows(s),
        "log_shipping_monitor_history_detail" => detail_rows(s, true),
        "log_shipping_monitor_error_detail" => detail_rows(s, false),
        _ => return None,
    })
}

fn monitor_rows(s: &Instance) -> Vec<Named> {
    let of = |id: Uuid| s.shipping.secondaries.iter().find(|x| x.id == id);
    let rows = s.shipping.databases.iter().filter_map(|d| Some((d, of(d.secondary)?)));
    rows.map(|(d, x)| {
        let at = |t: Option<Timestamp>| t.map_or(Value::Null, time);
        vec![
            ("secondary_server", s.name().into()),
            ("secondary_database", d.database.as_str().into()),
            ("secondary_id", guid(x.id)),
            ("primary_server", x.primary_server.as_str().into()),
            ("primary_database", x.primary_database.as_str().into()),
            ("restore_threshold", d.threshold_min.into()),
            ("threshold_alert", d.threshold_alert.into()),
            ("threshold_alert_enabled", d.alert_enabled.into()),
            ("last_copied_file", text(x.last_copied.as_deref())),
            ("last_copied_date", at(x.last_copied_date)),
            ("last_copied_date_utc", at(x.last_copied_date)),
            ("last_restored_file", text(d.last_restored.as_deref())),
            ("last_restored_date", at(d.last_restored_date)),
            ("last_restored_date_utc", at(d.last_restored_date)),
            ("last_restored_latency", d.last_latency_min.map_or(Value::Null, Value::from)),
            ("history_retention_period", d.history_min.into()),
        ]
    })
    .collect()
}

fn detail_rows(s: &Instance, history: bool) -> Vec<Named> {
    use crate::world::agent::Work;
    let mut rows = vec![];
    for r in &s.agent.history {
        let Some((id, kind)) = s.agent.job(r.job).and_then(|j| match &j.work {
            Work::Backup(id) => Some((*id, 0)),
            Work::Copy(id) => Some((*id, 1)),
            Work::Restore(id) => Some((*id, 2)),
            Work::Alert | Work::Other => None,
        }) else {
            continue;
        };
        if !history && r.succeeded {
            continue;
        }
        let mut row = vec![
            ("agent_id", guid(id)),
            ("agent_type", Value::Int(kind)),
            ("session_id", r.instance.into()),
            ("log_time", time(r.began)),
            ("log_time_utc", time(r.began)),
            ("message", r.message.as_str().into()),
        ];
        if history {
            // 2 success, 3 error.
            row.push(("session_status", Value::Int(if r.succeeded { 2 } else { 3 })));
        } else {
            row.push(("sequence_number", Value::Int(1)));
        }
        rows.push(row);
    }
    rows
}
