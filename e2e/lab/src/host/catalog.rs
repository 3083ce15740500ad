//! The `sys` catalog views, made from the world on each reference.
//!
//! Answers for which rows a view has and what stands in the columns that the world knows; the columns
//! themselves are the documented ones (`pchat_tsql::schema`), and what the world does not know of them is NULL.
//! A view that is not here does not exist (208): it must never be there and empty.

use super::values::{guid, lsn, text, time};
use crate::world::database::{Database, State};
use crate::world::instance::{Instance, MASTER};
use crate::world::mirroring::{MirrorState, Role};
use crate::world::{Key, World};
use pchat_tsql::Value;
use pchat_tsql::host::EndpointRole;

/// Named values of one row.
pub type Named = Vec<(&'static str, Value)>;

/// The rows of `sys.<name>` on a server, or `None` where there is no such view. `asking`, session and
/// login, decides what is seen.
pub fn rows(
    world: &World,
    server: usize,
    database: i32,
    asking: (i32, &str),
    name: &str,
) -> Option<Vec<Named>> {
    let s = world.servers.get(server)?;
    let login = asking.1;
    let all = is_sysadmin(s, login);
    Some(match name.to_ascii_lowercase().as_str() {
        "databases" => s.databases.iter().map(database_row).collect(),
        // Metadata visibility: without VIEW ANY DEFINITION these files are not seen, and no error tells it.
        "master_files" if !all => vec![],
        "master_files" => s.databases.iter().flat_map(file_rows).collect(),
        "database_files" => s.by_id(database).map(file_rows).into_iter().flatten().collect(),
        "database_mirroring" => {
            let row = |d: &Database| mirroring_row(world, Key { server, database: d.id }, d, all);
            s.databases.iter().map(row).collect()
        }
        "database_recovery_status" => s.databases.iter().map(recovery_row).collect(),
        "database_mirroring_endpoints" => {
            endpoint(s).map(|row| mirroring_endpoint_row(s, row)).into_iter().collect()
        }
        "tcp_endpoints" => {
            let mut rows = vec![tsql_endpoint()];
            rows.extend(endpoint(s).map(|mut e| {
                let port = s.endpoint.as_ref().map_or(0, |e| e.port);
                e.extend([("port", Value::Int(port.into())), ("is_dynamic_port", Value::Int(0))]);
                e
            }));
            rows
        }
        "endpoints" => std::iter::once(tsql_endpoint()).chain(endpoint(s)).collect(),
        "database_mirroring_witnesses" => vec![],
        "extended_properties" => s
            .properties
            .iter()
            .filter(|((db, _), _)| *db == database)
            .map(|((_, name), value)| {
                vec![
                    ("class", Value::Int(0)),
                    ("class_desc", "DATABASE".into()),
                    ("major_id", Value::Int(0)),
                    ("minor_id", Value::Int(0)),
                    ("name", name.as_str().into()),
                    ("value", value.as_str().into()),
                ]
            })
            .collect(),
        "server_principals" => {
            let rows = s.logins.iter().enumerate().filter(|(_, l)| all || l.name.eq_ignore_ascii_case(login));
            rows.map(|(n, l)| {
                vec![
                    ("name", l.name.as_str().into()),
                    ("principal_id", Value::Int(if l.name == "sa" { 1 } else { 260 + n as i64 })),
                    ("sid", Value::Binary(vec![1, 5, n as u8])),
                    ("type", "S".into()),
                    ("type_desc", "SQL_LOGIN".into()),
                    ("is_disabled", l.disabled.into()),
                    ("create_date", time(s.started)),
                    ("modify_date", time(s.started)),
                    ("default_database_name", "master".into()),
                    ("default_language_name", "us_english".into()),
                    ("is_fixed_role", Value::Int(0)),
                ]
            })
            .collect()
        }
        "configurations" => [(16_390, "xp_cmdshell"), (1_579, "backup compression default")]
            .map(|(id, name)| {
                vec![
                    ("configuration_id", Value::Int(id)),
                    ("name", name.into()),
                    ("value", Value::Int(0)),
                    ("minimum", Value::Int(0)),
                    ("maximum", Value::Int(1)),
                    ("value_in_use", Value::Int(0)),
                    ("is_dynamic", Value::Int(1)),
                    ("is_advanced", Value::Int(1)),
                ]
            })
            .to_vec(),
        "schemas" => [(1, "dbo"), (4, "sys")]
            .map(|(id, name)| {
                vec![("name", name.into()), ("schema_id", Value::Int(id)), ("principal_id", Value::Int(id))]
            })
            .to_vec(),
        "objects" => objects(s, database),
        other => return super::catalog_sessions::rows(world, server, asking, other),
    })
}

/// Whether a login is a member of sysadmin.
pub fn is_sysadmin(s: &Instance, login: &str) -> bool {
    s.logins.iter().any(|l| l.sysadmin && l.name.eq_ignore_ascii_case(login))
}

fn database_row(d: &Database) -> Named {
    let model = d.model;
    vec![
        ("name", d.name.as_str().into()),
        ("database_id", d.id.into()),
        ("owner_sid", Value::Binary(vec![1])),
        ("create_date", time(d.created)),
        ("compatibility_level", Value::Int(100)),
        ("collation_name", if d.readable() { "Latin1_General_CI_AI".into() } else { Value::Null }),
        ("user_access", Value::Int(d.access as i64)),
        ("user_access_desc", ["MULTI_USER", "SINGLE_USER", "RESTRICTED_USER"][d.access as usize].into()),
        ("is_read_only", (d.read_only || d.standby.is_some()).into()),
        ("is_auto_close_on", Value::Int(0)),
        ("is_auto_shrink_on", Value::Int(0)),
        ("state", Value::Int(d.state as i64)),
        ("state_desc", d.state.name().into()),
        ("is_in_standby", d.standby.is_some().into()),
        ("is_cleanly_shutdown", Value::Int(0)),
        ("snapshot_isolation_state", Value::Int(0)),
        ("snapshot_isolation_state_desc", "OFF".into()),
        ("is_read_committed_snapshot_on", Value::Int(0)),
        ("recovery_model", Value::Int(model as i64)),
        ("recovery_model_desc", model.name().into()),
        ("page_verify_option", Value::Int(2)),
        ("page_verify_option_desc", "CHECKSUM".into()),
        ("is_trustworthy_on", Value::Int(0)),
        ("is_published", Value::Int(0)),
        ("is_encrypted", Value::Int(0)),
        ("service_broker_guid", guid(d.guid)),
        ("log_reuse_wait", Value::Int(0)),
        ("log_reuse_wait_desc", "NOTHING".into()),
        ("containment", Value::Int(0)),
        ("containment_desc", "NONE".into()),
        ("delayed_durability", Value::Int(0)),
        ("delayed_durability_desc", "DISABLED".into()),
        ("physical_database_name", d.name.as_str().into()),
    ]
}

fn file_rows(d: &Database) -> Vec<Named> {
    // redo_* are NULL unless the file is RESTORING or RECOVERY_PENDING (sys.master_files).
    let rolling = matches!(d.state, State::Restoring | State::RecoveryPending);
    // File states count as database states do, but OFFLINE.
    let file_state = d.state as i64;
    [(1_i64, 0_i64, "ROWS", "mdf", ""), (2, 1, "LOG", "ldf", "_log")]
        .into_iter()
        .map(|(id, kind, desc, suffix, tail)| {
            let redo = |v: Value| if rolling && kind == 0 { v } else { Value::Null };
            vec![
                ("database_id", d.id.into()),
                ("file_id", Value::Int(id)),
                ("type", Value::Int(kind)),
                ("type_desc", desc.into()),
                ("data_space_id", Value::Int(1 - kind)),
                ("name", format!("{}{tail}", d.name).into()),
                ("physical_name", format!("D:\\Data\\{}{tail}.{suffix}", d.name).into()),
                ("state", Value::Int(file_state)),
                ("state_desc", d.state.name().into()),
                ("size", Value::Int(12_800)),
                ("max_size", Value::Int(-1)),
                ("growth", Value::Int(1280)),
                ("is_read_only", Value::Int(0)),
                ("is_sparse", Value::Int(0)),
                ("is_percent_growth", Value::Int(0)),
                ("is_name_reserved", Value::Int(0)),
                ("redo_start_lsn", redo(lsn(d.next))),
                ("redo_start_fork_guid", redo(guid(d.fork))),
                ("redo_target_lsn", redo(lsn(d.next))),
                ("redo_target_fork_guid", redo(guid(d.fork))),
            ]
        })
        .collect()
}

fn mirroring_row(world: &World, key: Key, d: &Database, sysadmin: bool) -> Named {
    let mut row: Named = vec![("database_id", d.id.into())];
    let Some(m) = &d.mirroring else { return row };
    // "To see non-NULL values on a mirror database you must be sysadmin" (sys.database_mirroring).
    if m.role == Role::Mirror && !sysadmin {
        return row;
    }
    let state = world.mirror_state(key).unwrap_or(MirrorState::Disconnected);
    let partner = m.partner_key.and_then(|p| world.servers.get(p.server));
    row.extend([
        ("mirroring_guid", guid(m.guid)),
        ("mirroring_state", Value::Int(state as i64)),
        ("mirroring_state_desc", state.name().into()),
        ("mirroring_role", Value::Int(m.role as i64)),
        ("mirroring_role_desc", if m.role == Role::Principal { "PRINCIPAL" } else { "MIRROR" }.into()),
        ("mirroring_role_sequence", m.role_sequence.into()),
        ("mirroring_safety_level", Value::Int(2)),
        ("mirroring_safety_level_desc", "FULL".into()),
        ("mirroring_safety_sequence", Value::Int(1)),
        ("mirroring_partner_name", m.partner.as_str().into()),
        ("mirroring_partner_instance", partner.map_or(Value::Null, |p| p.name().into())),
        ("mirroring_witness_name", "".into()),
        ("mirroring_witness_state", Value::Int(0)),
        ("mirroring_witness_state_desc", "UNKNOWN".into()),
        ("mirroring_failover_lsn", lsn(m.failover_lsn)),
        ("mirroring_connection_timeout", Value::Int(10)),
        ("mirroring_redo_queue_type", "UNLIMITED".into()),
        ("mirroring_end_of_log_lsn", lsn(d.next)),
        ("mirroring_replication_lsn", lsn(d.next)),
    ]);
    row
}

fn recovery_row(d: &Database) -> Named {
    let mut row: Named = vec![("database_id", d.id.into())];
    // NULL: "Database is offline, or the database will not start" (sys.database_recovery_status).
    if d.state != State::Online {
        return row;
    }
    let last = d.forks.last();
    row.extend([
        ("database_guid", guid(d.guid)),
        ("family_guid", guid(d.family)),
        ("last_log_backup_lsn", d.base.map_or(Value::Null, |_| lsn(d.backed_up_to))),
        ("recovery_fork_guid", guid(d.fork)),
        // "NULL = No fork in the active log": a fork that lies before the last log backup is not told.
        (
            "first_recovery_fork_guid",
            last.filter(|f| f.lsn >= d.backed_up_to).map_or(Value::Null, |f| guid(f.from)),
        ),
        ("fork_point_lsn", last.filter(|f| f.lsn >= d.backed_up_to).map_or(Value::Null, |f| lsn(f.lsn))),
    ]);
    row
}

fn tsql_endpoint() -> Named {
    vec![
        ("name", "TSQL Default TCP".into()),
        ("endpoint_id", Value::Int(4)),
        ("principal_id", Value::Int(1)),
        ("protocol", Value::Int(2)),
        ("protocol_desc", "TCP".into()),
        ("type", Value::Int(2)),
        ("type_desc", "TSQL".into()),
        ("state", Value::Int(0)),
        ("state_desc", "STARTED".into()),
        ("is_admin_endpoint", Value::Int(0)),
    ]
}

fn endpoint(s: &Instance) -> Option<Named> {
    let e = s.endpoint.as_ref()?;
    Some(vec![
        ("name", e.name.as_str().into()),
        ("endpoint_id", Value::Int(65_536)),
        ("principal_id", Value::Int(1)),
        ("protocol", Value::Int(2)),
        ("protocol_desc", "TCP".into()),
        ("type", Value::Int(4)),
        ("type_desc", "DATABASE_MIRRORING".into()),
        ("state", Value::Int(if e.started { 0 } else { 1 })),
        ("state_desc", if e.started { "STARTED" } else { "STOPPED" }.into()),
        ("is_admin_endpoint", Value::Int(0)),
    ])
}

fn mirroring_endpoint_row(s: &Instance, mut row: Named) -> Named {
    let (role, word) = match s.endpoint.as_ref().map(|e| e.role) {
        None | Some(EndpointRole::Partner) => (1, "PARTNER"),
        Some(EndpointRole::Witness) => (2, "WITNESS"),
        Some(EndpointRole::All) => (3, "ALL"),
    };
    row.extend([
        ("role", Value::Int(role)),
        ("role_desc", word.into()),
        ("is_encryption_enabled", Value::Int(1)),
        ("connection_auth", Value::Int(3)),
        ("connection_auth_desc", "NEGOTIATE".into()),
        ("encryption_algorithm", Value::Int(2)),
        ("encryption_algorithm_desc", "AES".into()),
    ]);
    row
}

fn objects(s: &Instance, database: i32) -> Vec<Named> {
    let Some(d) = s.by_id(database).filter(|d| d.id > MASTER && d.tables.keys().len() > 0) else {
        return vec![];
    };
    let rows = d.tables.keys().enumerate();
    rows.map(|(n, name)| {
        vec![
            ("name", text(Some(name))),
            ("object_id", Value::Int(1000 + n as i64)),
            ("schema_id", Value::Int(1)),
            ("parent_object_id", Value::Int(0)),
            ("type", "U ".into()),
            ("type_desc", "USER_TABLE".into()),
            ("create_date", time(d.created)),
            ("modify_date", time(d.created)),
            ("is_ms_shipped", Value::Int(0)),
        ]
    })
    .collect()
}
