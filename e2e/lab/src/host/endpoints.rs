//! CREATE ENDPOINT and ALTER ENDPOINT.
//!
//! Answers for the one database mirroring endpoint that an instance can have: its state, port and role.

use super::LabHost;
use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::mirroring::Endpoint;
use pchat_tsql::host::{EndpointChange, EndpointRole, EndpointState};

/// Runs one of them.
pub async fn run(host: &mut LabHost, change: EndpointChange) -> Result<(), Failure> {
    let verb = if change.create { "CREATE" } else { "ALTER" };
    let missing = || vec![raise(15151, &[&"alter", &"endpoint", &change.name])];
    if !host.is_sysadmin() {
        return Err(missing());
    }
    host.effect(format!("{verb} ENDPOINT {}", change.name)).await?;
    let started = match change.state {
        Some(EndpointState::Disabled) => return Err(vec![unsupported("a disabled endpoint")]),
        Some(state) => Some(state == EndpointState::Started),
        None => None,
    };
    let mut w = host.world.lock();
    let endpoint = &mut w.servers[host.server].endpoint;
    match (change.create, endpoint.as_mut()) {
        // Its number and text are in no list read for the reference (general knowledge): the pages only say that it fails.
        (true, Some(there)) => {
            let text = format!(
                "A Database Mirroring endpoint ('{}') already exists on this server instance. Only one is allowed.",
                there.name
            );
            Err(vec![SqlError::custom(7862, 16, 1, text)])
        }
        // Where no state is named it is stopped (CREATE ENDPOINT).
        (true, None) => {
            let role = change.role.unwrap_or(EndpointRole::Partner);
            let port = change.port.unwrap_or_default();
            *endpoint = Some(Endpoint { name: change.name, port, started: started.unwrap_or(false), role });
            Ok(())
        }
        (false, Some(there)) if there.name.eq_ignore_ascii_case(&change.name) => {
            there.started = started.unwrap_or(there.started);
            there.port = change.port.unwrap_or(there.port);
            there.role = change.role.unwrap_or(there.role);
            Ok(())
        }
        (false, _) => Err(missing()),
    }
}
