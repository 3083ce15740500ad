//! Mirroring by cmdlet: the topology says who mirrors whom.
//!
//! Answers for Install-, Uninstall-CsMirrorDatabase, Invoke-CsDatabaseFailover and the states they show. Installing asks
//! before it acts, as documented, so without `-Confirm:$false` a remote session cannot run it.

use super::not_simulated;
use super::objects::{error, object, text};
use crate::world::database::State;
use crate::world::error::Failure;
use crate::world::instance::Side;
use crate::world::mirroring::{MirrorState, Role};
use crate::world::store::PoolState;
use crate::world::{Key, World};
use pchat_lab_shell::{Bound, Invocation, Response};
use pchat_psrp::{ErrorCategory, ErrorRecord, Value};

fn refuse(call: &Invocation, id: &str, message: impl Into<String>, target: &str) -> Box<ErrorRecord> {
    Box::new(error(&call.cmdlet, id, ErrorCategory::INVALID_OPERATION, message, target))
}

fn sql_failed(call: &Invocation, f: Failure) -> Box<ErrorRecord> {
    let first = f.first().map_or_else(String::new, |e| format!("Msg {}: {}", e.number, e.text));
    refuse(call, "SqlCommandFailed", first, "mgc")
}

fn finish(done: Result<Response, Box<ErrorRecord>>) -> Response {
    done.unwrap_or_else(|record| Response::terminate(*record))
}

/// The copy of the chat database on the server that `-SqlServerFqdn` and `-SqlInstanceName` name, and its mirror's server.
fn principal(w: &World, call: &Invocation) -> Result<(Key, usize), Box<ErrorRecord>> {
    let host = call.text("SqlServerFqdn").unwrap_or_default();
    let unknown = || {
        refuse(call, "SqlServerNotInTopology", format!("\"{host}\" is no SQL Server of the topology."), host)
    };
    let server = w.servers.iter().position(|s| s.host.eq_ignore_ascii_case(host)).ok_or_else(unknown)?;
    let instance = call.text("SqlInstanceName").unwrap_or_default();
    let own = w.servers[server].instance.clone().unwrap_or_default();
    if !own.eq_ignore_ascii_case(instance) {
        let message = format!("\"{host}\" has no SQL Server instance \"{instance}\" in the topology.");
        return Err(refuse(call, "SqlServerNotInTopology", message, instance));
    }
    if !w.reach.reaches(&w.scenario.shell.host, host) {
        return Err(refuse(
            call,
            "SqlServerNotReachable",
            format!("Cannot connect to SQL Server \"{host}\\{own}\"."),
            host,
        ));
    }
    let side = w.servers[server].side;
    let mirror = w.mirror_of(side).filter(|m| *m != server);
    let mirror = mirror.ok_or_else(|| {
        refuse(call, "NoMirrorInTopology", format!("The topology has no mirror for \"{host}\"."), host)
    })?;
    let key = w.chat_key(server).ok_or_else(|| {
        refuse(call, "DatabaseNotFound", format!("There is no chat database on \"{host}\"."), host)
    })?;
    Ok((key, mirror))
}

/// Only the chat database is simulated.
fn only_chat(call: &Invocation) -> Option<Response> {
    match call.text("DatabaseType") {
        Some("PersistentChat") => None,
        Some(other) => Some(not_simulated(&call.cmdlet, &format!("-DatabaseType {other}"))),
        None => Some(not_simulated(&call.cmdlet, "calls without -DatabaseType PersistentChat")),
    }
}

/// The prompt of a cmdlet that asks, in a session that cannot answer.
fn unanswered(call: &Invocation) -> Option<Response> {
    if call.get("Confirm") == Some(&Bound::Flag(false)) || call.flag("WhatIf") {
        return None;
    }
    let message = "A command that prompts the user failed because the host program or the command type does not \
                   support user interaction. Give -Confirm:$false.";
    Some(Response::terminate(error(&call.cmdlet, "PromptingFailed", ErrorCategory(29), message, "")))
}

pub fn install(w: &mut World, call: &Invocation) -> Response {
    if let Some(response) = only_chat(call).or_else(|| unanswered(call)) {
        return response;
    }
    finish(try_install(w, call))
}

fn try_install(w: &mut World, call: &Invocation) -> Result<Response, Box<ErrorRecord>> {
    let (key, mirror) = principal(w, call)?;
    let share = call.text("FileShare").unwrap_or_default().to_owned();
    let other = w.servers[mirror].host.clone();
    if !w.reaches(key.server, mirror) {
        return Err(refuse(
            call,
            "SqlServerNotReachable",
            format!("Cannot connect to SQL Server \"{other}\"."),
            &other,
        ));
    }
    let db = w.existing(key).map_err(|e| sql_failed(call, vec![e]))?;
    if db.state != State::Online || db.standby.is_some() {
        let message = format!("Database \"{}\" is not online on its primary.", db.name);
        return Err(refuse(call, "DatabaseNotOnline", message, "mgc"));
    }
    if db.mirroring.is_some() {
        let message = format!("Database \"{}\" is already configured for database mirroring.", db.name);
        return Err(refuse(call, "MirrorAlreadyConfigured", message, "mgc"));
    }
    for server in [key.server, mirror] {
        if let Err(e) = w.look(server, &share) {
            let message =
                format!("The service account of {} cannot use \"{share}\": {e}", w.servers[server].host);
            return Err(refuse(call, "FileShareNotAccessible", message, &share));
        }
    }
    if let Some(old) = w.chat_key(mirror) {
        let left = w.existing(old).map_err(|e| sql_failed(call, vec![e]))?;
        if !call.flag("DropExistingDatabasesOnMirror") {
            let message = format!(
                "Database \"{}\" exists on the mirror \"{other}\". Use -DropExistingDatabasesOnMirror to drop it.",
                left.name
            );
            return Err(refuse(call, "DatabaseExistsOnMirror", message, &other));
        }
        w.end_sessions_in(old);
        w.servers[mirror].databases.retain(|d| d.id != old.database);
    }
    if call.flag("WhatIf") {
        return Ok(Response::default());
    }
    w.mirror_up(key, mirror, &share).map_err(|f| sql_failed(call, f))?;
    let warnings = vec!["You must restart all the Front End Servers in the pool.".to_owned()];
    Ok(Response { warnings, ..Response::default() })
}

pub fn uninstall(w: &mut World, call: &Invocation) -> Response {
    if let Some(response) = only_chat(call) {
        return response;
    }
    let done = principal(w, call).and_then(|(key, mirror)| {
        if call.flag("WhatIf") {
            return Ok(Response::default());
        }
        w.partner_off(key).map_err(|e| sql_failed(call, vec![e]))?;
        if call.flag("DropExistingDatabasesOnMirror")
            && let Some(old) = w.chat_key(mirror)
        {
            w.servers[mirror].databases.retain(|d| d.id != old.database);
        }
        Ok(Response::default())
    });
    finish(done)
}

/// Which pair is shown while the pool is failed over is not documented; here it is the one that serves.
fn pair(w: &World) -> (Option<usize>, Option<usize>) {
    let side = match w.store.settings.state {
        PoolState::Normal => Side::Primary,
        PoolState::FailedOver => Side::Backup,
    };
    (w.server_at(&w.scenario.site(side).database), w.mirror_of(side))
}

pub fn state(w: &mut World, call: &Invocation) -> Response {
    if let Some(pool) = call.text("PoolFqdn")
        && !pool.eq_ignore_ascii_case(&w.scenario.pool)
    {
        let message = format!("The topology has no pool \"{pool}\".");
        return Response::terminate(*refuse(call, "PoolNotFound", message, pool));
    }
    if call.text("DatabaseType").is_some_and(|t| t != "PersistentChat") {
        return not_simulated(&call.cmdlet, "database types other than PersistentChat");
    }
    let (first, second) = pair(w);
    let shell = w.scenario.shell.host.clone();
    let seen = |server: Option<usize>| {
        let none = ("DatabaseInaccessibleOrMirroringNotEnabled", "DatabaseInaccessibleOrMirroringNotEnabled");
        let Some(key) = server.and_then(|s| w.chat_key(s)) else { return none };
        if !w.reach.reaches(&shell, &w.servers[key.server].host) {
            return none;
        }
        let Some(m) = w.database(key).and_then(|d| d.mirroring.as_ref()) else { return none };
        let role = if m.role == Role::Principal { "Principal" } else { "Mirror" };
        (
            role,
            match w.mirror_state(key) {
                Some(MirrorState::Synchronized) => "synchronized",
                Some(MirrorState::Synchronizing) => "synchronizing",
                Some(MirrorState::Suspended) => "suspended",
                Some(MirrorState::PendingFailover) => "pending failover",
                Some(MirrorState::Disconnected) | None => "disconnected",
            },
        )
    };
    let (a, b) = (seen(first), seen(second));
    let name = &w.scenario.database;
    Response::output([object(
        "Microsoft.Rtc.Management.Deployment.DatabaseMirrorState",
        name,
        [
            ("DatabaseName", text(name)),
            ("StateOnPrimary", text(a.0)),
            ("StateOnMirror", text(b.0)),
            ("MirroringStatusOnPrimary", text(a.1)),
            ("MirroringStatusOnSecondary", text(b.1)),
        ],
    )])
}

pub fn failover(w: &mut World, call: &Invocation) -> Response {
    if let Some(response) = only_chat(call) {
        return response;
    }
    finish(try_failover(w, call))
}

fn try_failover(w: &mut World, call: &Invocation) -> Result<Response, Box<ErrorRecord>> {
    let (first, second) = pair(w);
    let to_mirror = call.text("NewPrincipal") == Some("Mirror");
    let (new, old) = if to_mirror { (second, first) } else { (first, second) };
    let none = || refuse(call, "NoMirrorConfigured", "No mirror is configured for the database.", "mgc");
    let new = new.and_then(|s| w.chat_key(s)).ok_or_else(none)?;
    let old = old.and_then(|s| w.chat_key(s)).ok_or_else(none)?;
    let role = w.database(new).and_then(|d| d.mirroring.as_ref()).map(|m| m.role).ok_or_else(none)?;
    if role == Role::Principal || call.flag("WhatIf") {
        return Ok(Response::default());
    }
    let shell = w.scenario.shell.host.clone();
    let reached = w.reach.reaches(&shell, &w.servers[old.server].host);
    let done = match (reached, call.flag("Force")) {
        (true, _) => w.partner_failover(old),
        (false, true) => w.force_service(new),
        (false, false) => {
            let host = w.servers[old.server].host.clone();
            let message =
                format!("Cannot connect to the principal \"{host}\". Use -Force if it is not accessible.");
            return Err(refuse(call, "SqlServerNotReachable", message, &host));
        }
    };
    done.map_err(|e| sql_failed(call, vec![e]))?;
    Ok(Response::default())
}

/// Output properties are general knowledge: the page names the type only.
pub fn test(w: &mut World, call: &Invocation) -> Response {
    if let Some(response) = only_chat(call) {
        return response;
    }
    let host = call.text("SqlServerFqdn").unwrap_or_default();
    let server = w.servers.iter().position(|s| s.host.eq_ignore_ascii_case(host));
    let reached = server.filter(|s| w.reach.reaches(&w.scenario.shell.host, &w.servers[*s].host));
    let key = reached.and_then(|s| w.chat_key(s));
    let open = key.and_then(|k| w.database(k)).is_some_and(|d| d.readable());
    let name = &w.scenario.database;
    Response::output([object(
        "Microsoft.Rtc.SyntheticTransactions.TaskOutput",
        name,
        [
            ("SqlServerFqdn", text(host)),
            ("SqlInstanceName", text(call.text("SqlInstanceName").unwrap_or_default())),
            ("DatabaseName", text(name)),
            ("ExpectedVersion", text("10.18.2")),
            ("InstalledVersion", if open { text("10.18.2") } else { Value::Null }),
            ("Succeed", Value::Bool(open)),
        ],
    )])
}
