//! What SERVERPROPERTY, DATABASEPROPERTYEX, IS_SRVROLEMEMBER and HAS_PERMS_BY_NAME say.
//!
//! Answers for names that are known; NULL for others, as documented. Rights are those of two kinds of login: sysadmin and
//! public.

use super::catalog::is_sysadmin;
use crate::world::database::Database;
use crate::world::instance::Instance;
use pchat_tsql::Value;

/// `SERVERPROPERTY(property)`.
pub fn server_property(s: &Instance, property: &str) -> Value {
    let (major, minor, build) = s.version;
    match property.to_ascii_lowercase().as_str() {
        "servername" => s.name().into(),
        "machinename" | "computernamephysicalnetbios" => s.machine().into(),
        "instancename" => s.instance.clone().map_or(Value::Null, Value::from),
        "productversion" => format!("{major}.{minor}.{build}.0").into(),
        "productlevel" => "SP4".into(),
        "productmajorversion" if major >= 13 => major.to_string().into(),
        "edition" if s.express => "Express Edition (64-bit)".into(),
        "engineedition" if s.express => Value::Int(4),
        "edition" => "Standard Edition (64-bit)".into(),
        "editionid" => Value::Int(-1_534_726_760),
        "engineedition" => Value::Int(2),
        "isclustered" | "isfulltextinstalled" | "issingleuser" | "isintegratedsecurityonly" => Value::Int(0),
        "ishadrenabled" if major >= 11 => Value::Int(0),
        "collation" => "Latin1_General_CI_AI".into(),
        "processid" => Value::Int(1764),
        _ => Value::Null,
    }
}

/// `DATABASEPROPERTYEX(database, property)`.
pub fn database_property(d: &Database, property: &str) -> Value {
    match property.to_ascii_lowercase().as_str() {
        "status" => d.state.name().into(),
        "updateability" => if d.writable() { "READ_WRITE" } else { "READ_ONLY" }.into(),
        "useraccess" => ["MULTI_USER", "SINGLE_USER", "RESTRICTED_USER"][d.access as usize].into(),
        "recovery" => d.model.name().into(),
        "isinstandby" => d.standby.is_some().into(),
        _ => Value::Null,
    }
}

/// `IS_SRVROLEMEMBER(role, login)`: `None` for a role or login that does not exist. The function tells membership, not
/// rights: a sysadmin is no member of the other fixed roles.
pub fn is_role_member(s: &Instance, role: &str, login: &str) -> Option<bool> {
    let role = role.to_ascii_lowercase();
    let found = s.logins.iter().find(|l| l.name.eq_ignore_ascii_case(login))?;
    match role.as_str() {
        "public" => Some(true),
        "sysadmin" => Some(found.sysadmin),
        "securityadmin" | "serveradmin" | "setupadmin" | "processadmin" | "diskadmin" | "dbcreator"
        | "bulkadmin" => Some(false),
        _ => None,
    }
}

/// `HAS_PERMS_BY_NAME(securable, class, permission)`: `None` where securable or permission does not exist.
pub fn has_permission(s: &Instance, login: &str, securable: Option<&str>, permission: &str) -> Option<bool> {
    if let Some(name) = securable
        && s.database(name.trim_matches(['[', ']'])).is_none()
        && !name.contains('.')
    {
        return None;
    }
    match permission.to_ascii_uppercase().as_str() {
        "CONNECT SQL" | "VIEW ANY DATABASE" | "ANY" => Some(true),
        "VIEW SERVER STATE"
        | "VIEW ANY DEFINITION"
        | "ALTER ANY CONNECTION"
        | "ALTER ANY DATABASE"
        | "CONTROL SERVER"
        | "CREATE ANY DATABASE"
        | "ALTER"
        | "SELECT"
        | "EXECUTE" => Some(is_sysadmin(s, login)),
        _ => None,
    }
}
