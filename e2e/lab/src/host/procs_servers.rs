//! sp_addserver and sp_dropserver for the server's own name.
//!
//! Answers for the one local entry of `sys.servers`. What is added takes effect when the service is started anew; linked servers
//! are not simulated.

use super::LabHost;
use super::procs::{refused, text};
use crate::world::error::{Failure, SqlError, raise, unsupported};
use pchat_tsql::Ty;
use pchat_tsql::host::{Call, Parameter, Returned, Signature};

/// Types and order as on their pages.
pub fn signature(name: &str) -> Option<Signature> {
    let parameter = |name: &str, ty, required| Parameter { name: name.into(), ty, required, output: false };
    let server = parameter("@server", Ty::NVarChar(128), true);
    let parameters = match name {
        "sp_addserver" => vec![
            server,
            parameter("@local", Ty::VarChar(10), false),
            parameter("@duplicate_ok", Ty::VarChar(13), false),
        ],
        "sp_dropserver" => vec![server, parameter("@droplogins", Ty::Char(10), false)],
        _ => return None,
    };
    Some(Signature { name: name.to_owned(), parameters, extended: false })
}

/// Calls one of them. 15015 and 15028 are in no list read for the reference (general knowledge).
pub fn call(host: &mut LabHost, call: &Call, name: &str) -> Result<Returned, Failure> {
    if !host.is_sysadmin() {
        return refused(raise(15247, &[]));
    }
    let wanted = text(call, "@server").unwrap_or_default();
    let mut w = host.world.lock();
    let server = &mut w.servers[host.server];
    let there = server.entry();
    if name == "sp_dropserver" {
        if !there.is_some_and(|there| there.eq_ignore_ascii_case(&wanted)) {
            let text =
                format!("The server '{wanted}' does not exist. Use sp_helpserver to show available servers.");
            return refused(SqlError::custom(15015, 16, 1, text));
        }
        server.next_entry = Some(None);
        return Ok(Returned::default());
    }
    if !text(call, "@local").is_some_and(|local| local.eq_ignore_ascii_case("local")) {
        return Err(vec![unsupported("sp_addserver for another server than the local one")]);
    }
    if there.is_some() {
        return refused(SqlError::custom(15028, 16, 1, format!("The server '{wanted}' already exists.")));
    }
    server.next_entry = Some(Some(wanted));
    Ok(Returned::default())
}
