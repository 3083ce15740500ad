//! Application locks and extended properties.
//!
//! Answers for sp_getapplock's return codes and its wait, and for properties on databases. Locks belong to the
//! database in whose context they are taken and to their session; owner Transaction needs a transaction.

use super::LabHost;
use super::procs::{int, refused, text};
use crate::world::error::{Failure, raise, unsupported};
use crate::world::instance::MASTER;
use crate::world::locks::{LockMode, LockName, LockPrincipal};
use pchat_tsql::host::{Call, Returned};
use pchat_tsql::{SqlError, Value};
use std::time::{Duration, Instant};

fn code(code: i32) -> Returned {
    Returned { code, ..Returned::default() }
}

/// The principal of a call, if there is such a one and the caller is a member of it, as every sysadmin is: in every database it
/// is dbo (sp_getapplock: "The caller of the function must be a member of database_principal, dbo, or the db_owner fixed
/// database role"). The error for one who is none is not documented; 1230 is the one that names the principal.
fn principal(host: &LabHost, call: &Call) -> Option<LockPrincipal> {
    let text = text(call, "@DbPrincipal").unwrap_or_else(|| "public".into());
    LockPrincipal::parse(&text).filter(|p| !p.administrators_only() || host.is_sysadmin())
}

/// sp_getapplock: 0 granted, 1 granted after waiting, -1 timed out, -999 bad parameters.
pub async fn get(host: &mut LabHost, call: &Call) -> Result<Returned, Failure> {
    let invalid = |e| Ok(Returned { code: -999, outputs: vec![], errors: vec![e] });
    let Some(resource) = text(call, "@Resource").filter(|r| !r.is_empty() && r.chars().count() <= 255) else {
        return invalid(raise(1224, &[&"sp_getapplock"]));
    };
    let Some(mode) = text(call, "@LockMode").and_then(|m| LockMode::parse(&m)) else {
        return invalid(raise(1225, &[&"sp_getapplock"]));
    };
    match text(call, "@LockOwner").unwrap_or_else(|| "Transaction".into()).to_ascii_lowercase().as_str() {
        "session" => {}
        "transaction" if call.in_transaction => {
            return Err(vec![unsupported("application locks owned by a transaction")]);
        }
        _ => return invalid(raise(1226, &[&"sp_getapplock"])),
    }
    let Some(principal) = principal(host, call) else {
        return invalid(raise(1230, &[&"sp_getapplock"]));
    };
    let timeout = int(call, "@LockTimeout").unwrap_or(-1);
    if timeout < -1 {
        return invalid(raise(1227, &[&"sp_getapplock"]));
    }
    let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
    let begin = Instant::now();
    let mut waited = 0;
    loop {
        let taken = {
            let mut w = host.world.lock();
            let (server, spid) = (host.server, host.spid);
            let s = &mut w.servers[server];
            let database = s.database(&call.name.database).map_or(MASTER, |d| d.id);
            let name = LockName { database, principal, resource: resource.clone() };
            s.sessions.contains_key(&spid) && s.try_lock(&name, spid, mode)
        };
        if taken {
            return Ok(code(waited));
        }
        if limit.is_some_and(|l| begin.elapsed() >= l) {
            return Ok(code(-1));
        }
        waited = 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// sp_releaseapplock.
pub fn release(host: &mut LabHost, call: &Call) -> Result<Returned, Failure> {
    let invalid = |e| Ok(Returned { code: -999, outputs: vec![], errors: vec![e] });
    let resource = text(call, "@Resource").unwrap_or_default();
    let Some(principal) = principal(host, call) else {
        return invalid(raise(1230, &[&"sp_releaseapplock"]));
    };
    let (server, spid) = (host.server, host.spid);
    let mut w = host.world.lock();
    let s = &mut w.servers[server];
    let database = s.database(&call.name.database).map_or(MASTER, |d| d.id);
    let name = LockName { database, principal, resource };
    if s.unlock(&name, spid) {
        return Ok(code(0));
    }
    let shown = text(call, "@DbPrincipal").unwrap_or_else(|| "public".into());
    invalid(raise(1223, &[&shown, &name.resource]))
}

/// sp_addextendedproperty and its kin, on databases.
pub fn property(host: &mut LabHost, call: &Call, name: &str) -> Result<Returned, Failure> {
    if (0..3).any(|n| text(call, &format!("@level{n}type")).is_some()) {
        return Err(vec![unsupported("extended properties on objects below a database")]);
    }
    let (server, sysadmin) = (host.server, host.is_sysadmin());
    let mut w = host.world.lock();
    let s = &mut w.servers[server];
    let Some(database) = s.database(&call.name.database) else {
        return refused(raise(911, &[&call.name.database]));
    };
    if !sysadmin {
        return refused(raise(15247, &[]));
    }
    let Some(property) = text(call, "@name").filter(|n| !n.is_empty()) else {
        return refused(invalid_parameter(name));
    };
    if !database.writable() {
        return refused(crate::world::error::read_only(&database.name));
    }
    // Names of properties compare as the database's collation does, without regard to case.
    let id = database.id;
    let there = s.properties.keys().find(|(d, n)| *d == id && n.to_lowercase() == property.to_lowercase());
    let there = there.cloned();
    let missing = || raise(15217, &[&property, &"object specified"]);
    if name == "sp_dropextendedproperty" {
        return match there {
            Some(key) => {
                s.properties.remove(&key);
                Ok(code(0))
            }
            None => refused(missing()),
        };
    }
    let value = match call.get("@value") {
        Value::Text(t) => t,
        Value::Int(i) => i.to_string(),
        Value::Null => String::new(),
        _ => return Err(vec![unsupported("extended properties that are neither text nor integers")]),
    };
    if value.encode_utf16().count() * 2 > 7500 {
        return refused(raise(15097, &[]));
    }
    match (name, there) {
        ("sp_addextendedproperty", Some(_)) => refused(raise(15233, &[&property, &"object specified"])),
        ("sp_addextendedproperty", None) => {
            s.properties.insert((id, property), value);
            Ok(code(0))
        }
        (_, Some(key)) => {
            s.properties.insert(key, value);
            Ok(code(0))
        }
        (_, None) => refused(missing()),
    }
}

/// 15600 is in no list read for the reference (general knowledge).
fn invalid_parameter(procedure: &str) -> SqlError {
    SqlError::custom(
        15600,
        15,
        1,
        format!("An invalid parameter or option was specified for procedure '{procedure}'."),
    )
}
