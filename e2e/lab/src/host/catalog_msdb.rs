//! The tables of msdb: jobs, log shipping, backup and restore history.
//!
//! Answers for the rows of `msdb.dbo.*` from the Agent, log shipping and the history of an instance. A table
//! that is not here does not exist (208).

use super::catalog::Named;
use super::values::{guid, lsn, text, time};
use crate::world::World;
use crate::world::agent::{Agent, Job, Run};
use crate::world::backup_file::Kind;
use crate::world::clock::{Clock, wall};
use crate::world::history::SetRow;
use crate::world::instance::Instance;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pchat_tsql::Value;

/// The rows of `msdb.dbo.<name>`, or `None` where there is no such table.
pub fn rows(world: &World, server: usize, name: &str) -> Option<Vec<Named>> {
    let s = world.servers.get(server)?;
    let a = &s.agent;
    Some(match name.to_ascii_lowercase().as_str() {
        "sysjobs" => a.jobs.iter().map(job_row).collect(),
        "sysjobactivity" => a.jobs.iter().map(|j| activity_row(a, j)).collect(),
        "sysjobhistory" => a.history.iter().flat_map(|r| history_rows(s, r)).collect(),
        "sysjobservers" => a.jobs.iter().map(|j| server_row(s, j)).collect(),
        "sysjobsteps" => a.jobs.iter().map(|j| step_row(s, j)).collect(),
        "sysjobschedules" => {
            let scheduled = a.jobs.iter().enumerate().filter(|(_, j)| j.every.is_some());
            scheduled
                .map(|(n, j)| {
                    let (date, clock) = date_and_time(s.clock, j.next_run);
                    vec![
                        ("schedule_id", Value::Int(n as i64 + 1)),
                        ("job_id", guid(j.id)),
                        ("next_run_date", date),
                        ("next_run_time", clock),
                    ]
                })
                .collect()
        }
        "sysschedules" => schedule_rows(a),
        "syscategories" => {
            ["Log Shipping Backup", "Log Shipping Copy", "Log Shipping Restore", "Log Shipping Alert"]
                .into_iter()
                .chain(["[Uncategorized (Local)]"])
                .map(|name| {
                    vec![
                        ("category_id", category(name)),
                        ("category_class", Value::Int(1)),
                        ("category_type", Value::Int(1)),
                        ("name", name.into()),
                    ]
                })
                .collect()
        }
        "syssessions" => {
            vec![vec![("session_id", a.session.into()), ("agent_start_date", time(a.started))]]
        }
        "restorehistory" => s
            .history
            .restores
            .iter()
            .map(|r| {
                vec![
                    ("restore_history_id", r.id.into()),
                    ("restore_date", time(r.at)),
                    ("destination_database_name", r.database.as_str().into()),
                    ("user_name", r.user.as_str().into()),
                    ("backup_set_id", r.set.into()),
                    ("restore_type", r.kind.to_string().into()),
                    ("replace", r.replace.into()),
                    ("recovery", r.recovery.into()),
                    ("restart", Value::Int(0)),
                    ("device_count", Value::Int(1)),
                    ("stop_before", Value::Int(0)),
                ]
            })
            .collect(),
        "restorefile" => s
            .history
            .restores
            .iter()
            .filter(|r| r.kind == 'D')
            .map(|r| {
                vec![
                    ("restore_history_id", r.id.into()),
                    ("file_number", Value::Int(1)),
                    ("destination_phys_drive", "D:\\".into()),
                    ("destination_phys_name", format!("D:\\Data\\{}.mdf", r.database).into()),
                ]
            })
            .collect(),
        "backupset" => s.history.sets.iter().map(set_row).collect(),
        "backupmediaset" => media(s)
            .map(|r| {
                vec![
                    ("media_set_id", r.media.into()),
                    ("media_family_count", Value::Int(1)),
                    ("software_name", "Microsoft SQL Server".into()),
                ]
            })
            .collect(),
        "backupmediafamily" => media(s)
            .map(|r| {
                vec![
                    ("media_set_id", r.media.into()),
                    ("family_sequence_number", Value::Int(1)),
                    ("media_count", Value::Int(1)),
                    ("physical_device_name", r.path.as_str().into()),
                    ("device_type", Value::Int(2)),
                    ("physical_block_size", Value::Int(512)),
                    ("mirror", Value::Int(0)),
                ]
            })
            .collect(),
        "backupfile" => s
            .history
            .sets
            .iter()
            .map(|r| {
                vec![
                    ("backup_set_id", r.id.into()),
                    ("logical_name", r.header.database.as_str().into()),
                    ("physical_name", format!("D:\\Data\\{}.mdf", r.header.database).into()),
                    ("file_type", if r.header.kind == Kind::Log { "L" } else { "D" }.into()),
                    ("file_number", Value::Int(1)),
                ]
            })
            .collect(),
        "log_shipping_monitor_alert" => vec![],
        other => return super::catalog_shipping::rows(s, other),
    })
}

fn category(name: &str) -> Value {
    Value::Int(match name {
        "Log Shipping Backup" => 5,
        "Log Shipping Copy" => 6,
        "Log Shipping Restore" => 7,
        "Log Shipping Alert" => 8,
        _ => 0,
    })
}

/// msdb's dates: `yyyymmdd` and `hhmmss` of the server's wall clock as numbers, 0 for none.
pub fn date_and_time(clock: Clock, at: Option<Timestamp>) -> (Value, Value) {
    let Some(at) = at else { return (Value::Int(0), Value::Int(0)) };
    let z = clock.local(at).to_zoned(TimeZone::UTC);
    let date = i64::from(z.year()) * 10_000 + i64::from(z.month()) * 100 + i64::from(z.day());
    let clock = i64::from(z.hour()) * 10_000 + i64::from(z.minute()) * 100 + i64::from(z.second());
    (Value::Int(date), Value::Int(clock))
}

fn duration(run: &Run) -> Value {
    let s = run.took.as_secs();
    Value::Int(i64::try_from(s / 3600 * 10_000 + s / 60 % 60 * 100 + s % 60).unwrap_or(0))
}

fn run_status(run: &Run) -> i64 {
    if run.canceled { 3 } else { i64::from(run.succeeded) }
}

fn job_row(j: &Job) -> Named {
    vec![
        ("job_id", guid(j.id)),
        ("originating_server_id", Value::Int(0)),
        ("name", j.name.as_str().into()),
        ("enabled", j.enabled.into()),
        ("description", j.description.as_str().into()),
        ("start_step_id", Value::Int(1)),
        ("category_id", category(j.work.category())),
        ("owner_sid", Value::Binary(vec![1])),
        ("delete_level", Value::Int(0)),
        ("date_created", time(j.created)),
        ("date_modified", time(j.modified)),
        ("version_number", j.version.into()),
    ]
}

fn activity_row(a: &Agent, j: &Job) -> Named {
    let x = &j.activity;
    let at = |t: Option<Timestamp>| t.map_or(Value::Null, time);
    vec![
        ("session_id", a.session.into()),
        ("job_id", guid(j.id)),
        ("run_requested_date", at(x.requested)),
        // 1 scheduler, 4 user (sysjobactivity and sp_help_jobactivity).
        ("run_requested_source", text(x.source.map(|s| if s == "User" { "4" } else { "1" }))),
        ("start_execution_date", at(x.started)),
        ("stop_execution_date", at(x.stopped)),
        ("last_executed_step_id", x.stopped.map_or(Value::Null, |_| Value::Int(1))),
        ("last_executed_step_date", at(x.stopped)),
        ("job_history_id", x.history.map_or(Value::Null, Value::from)),
        ("next_scheduled_run_date", if j.enabled { at(j.next_run) } else { Value::Null }),
    ]
}

fn history_rows(s: &Instance, r: &Run) -> Vec<Named> {
    let (date, clock) = date_and_time(s.clock, Some(r.began));
    let row = |step: i64, name: &'static str| {
        vec![
            ("instance_id", (r.instance * 2 + i32::from(step == 0)).into()),
            ("job_id", guid(r.job)),
            ("step_id", Value::Int(step)),
            ("step_name", name.into()),
            ("sql_message_id", Value::Int(0)),
            ("sql_severity", Value::Int(0)),
            ("message", r.message.as_str().into()),
            ("run_status", Value::Int(run_status(r))),
            ("run_date", date.clone()),
            ("run_time", clock.clone()),
            ("run_duration", duration(r)),
            ("operator_id_emailed", Value::Int(0)),
            ("operator_id_netsent", Value::Int(0)),
            ("operator_id_paged", Value::Int(0)),
            ("retries_attempted", Value::Int(0)),
            ("server", s.name().into()),
        ]
    };
    vec![row(1, "Log shipping step"), row(0, "(Job outcome)")]
}

fn server_row(s: &Instance, j: &Job) -> Named {
    let last = s.agent.last_run(j.id);
    let (date, clock) = date_and_time(s.clock, last.map(|r| r.began));
    vec![
        ("job_id", guid(j.id)),
        ("server_id", Value::Int(0)),
        // 5: unknown, it has not run.
        ("last_run_outcome", Value::Int(last.map_or(5, run_status))),
        ("last_outcome_message", last.map_or(Value::Null, |r| r.message.as_str().into())),
        ("last_run_date", date),
        ("last_run_time", clock),
        ("last_run_duration", last.map_or(Value::Int(0), duration)),
    ]
}

fn step_row(s: &Instance, j: &Job) -> Named {
    use crate::world::agent::Work;
    let command = match &j.work {
        Work::Backup(id) => {
            format!("sqllogship.exe -Backup {} -server {}", id.to_string().to_uppercase(), s.name())
        }
        Work::Copy(id) => {
            format!("sqllogship.exe -Copy {} -server {}", id.to_string().to_uppercase(), s.name())
        }
        Work::Restore(id) => {
            format!("sqllogship.exe -Restore {} -server {}", id.to_string().to_uppercase(), s.name())
        }
        Work::Alert | Work::Other => String::new(),
    };
    vec![
        ("job_id", guid(j.id)),
        ("step_id", Value::Int(1)),
        ("step_name", "Log shipping step".into()),
        ("subsystem", "CmdExec".into()),
        ("command", command.into()),
        ("flags", Value::Int(0)),
        ("on_success_action", Value::Int(1)),
        ("on_fail_action", Value::Int(2)),
        ("retry_attempts", Value::Int(0)),
    ]
}

fn schedule_rows(a: &Agent) -> Vec<Named> {
    let scheduled = a.jobs.iter().enumerate().filter_map(|(n, j)| Some((n, j, j.every?)));
    scheduled
        .map(|(n, j, every)| {
            // Freq_subday_type 2 seconds, 4 minutes.
            let (unit, count) =
                if every.as_secs() % 60 == 0 { (4, every.as_secs() / 60) } else { (2, every.as_secs()) };
            vec![
                ("schedule_id", Value::Int(n as i64 + 1)),
                ("schedule_uid", guid(j.id)),
                ("name", format!("{} schedule", j.name).into()),
                ("enabled", Value::Int(1)),
                ("freq_type", Value::Int(4)),
                ("freq_interval", Value::Int(1)),
                ("freq_subday_type", Value::Int(unit)),
                ("freq_subday_interval", Value::Int(i64::try_from(count).unwrap_or(0))),
                ("active_start_date", Value::Int(20_200_101)),
                ("active_end_date", Value::Int(99_991_231)),
                ("active_start_time", Value::Int(0)),
                ("active_end_time", Value::Int(235_959)),
                ("date_created", time(j.created)),
                ("date_modified", time(j.modified)),
                ("version_number", Value::Int(1)),
            ]
        })
        .collect()
}

fn media(s: &Instance) -> impl Iterator<Item = &SetRow> {
    s.history.sets.iter().filter(|r| r.media == r.id)
}

fn set_row(r: &SetRow) -> Named {
    let h = &r.header;
    vec![
        ("backup_set_id", r.id.into()),
        ("backup_set_uuid", guid(h.set_guid)),
        ("media_set_id", r.media.into()),
        ("position", r.position.into()),
        ("software_vendor_id", Value::Int(4608)),
        ("name", text(h.name.as_deref())),
        ("description", text(h.description.as_deref())),
        ("user_name", h.user.as_str().into()),
        ("software_major_version", h.software.0.into()),
        ("software_minor_version", h.software.1.into()),
        ("software_build_version", h.software.2.into()),
        ("time_zone", Value::Int(i64::from(h.zone_min / 15))),
        ("first_lsn", lsn(h.first)),
        ("last_lsn", lsn(h.last)),
        ("checkpoint_lsn", lsn(h.checkpoint)),
        ("database_backup_lsn", lsn(h.database_backup)),
        ("database_creation_date", time(wall(h.database_created, h.zone_min))),
        ("backup_start_date", time(wall(h.started, h.zone_min))),
        ("backup_finish_date", time(wall(h.finished, h.zone_min))),
        ("type", if h.kind == Kind::Log { "L" } else { "D" }.into()),
        ("compatibility_level", Value::Int(h.compatibility.into())),
        ("backup_size", Value::Numeric(r.size.into(), 0)),
        ("compressed_backup_size", Value::Numeric(r.size.into(), 0)),
        ("database_name", h.database.as_str().into()),
        ("server_name", h.server.as_str().into()),
        ("machine_name", h.machine.as_str().into()),
        ("recovery_model", h.recovery_model.as_str().into()),
        ("is_single_user", h.single_user.into()),
        ("has_backup_checksums", h.checksum.into()),
        ("is_damaged", h.damaged.into()),
        ("begins_log_chain", h.begins_log_chain.into()),
        ("is_force_offline", h.force_offline.into()),
        ("is_copy_only", h.copy_only.into()),
        ("first_recovery_fork_guid", guid(h.first_fork)),
        ("last_recovery_fork_guid", guid(h.fork)),
        ("fork_point_lsn", h.fork_point.map_or(Value::Null, lsn)),
        ("database_guid", guid(h.binding)),
        ("family_guid", guid(h.family)),
    ]
}
