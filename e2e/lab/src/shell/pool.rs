//! Pool state, active servers, services and the management store.
//!
//! Answers for the identities that the documentation shows (`global`, `service:`, `PersistentChatServer:`), for at most four
//! active servers of the pool, and for a store that cannot always be written.

use super::not_simulated;
use super::objects::{chat_service, error, list, object, pool_state, text};
use crate::world::World;
use crate::world::store::{PoolState, Settings};
use pchat_lab_shell::{Bound, Invocation, Response};
use pchat_psrp::{ErrorCategory, ErrorRecord, Value};

/// Most active servers of a pool (capacity planning for Persistent Chat).
const MOST_ACTIVE: usize = 4;

/// The pool FQDN in an identity; spellings of the product's own pages: `service:FQDN`, `service: FQDN`,
/// `PersistentChatServer:FQDN`, both prefixes, and `global` for the collection.
fn names_pool(w: &World, identity: &str, collection: bool) -> bool {
    let mut rest = identity.trim();
    for prefix in ["service:", "persistentchatserver:"] {
        if let Some(head) = rest.get(..prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            rest = rest[prefix.len()..].trim();
        }
    }
    rest.eq_ignore_ascii_case(&w.scenario.pool) || (collection && rest.eq_ignore_ascii_case("global"))
}

fn unknown_identity(call: &Invocation, identity: &str) -> Response {
    let message =
        format!("Cannot find an item with identity \"{identity}\" in the Central Management store.");
    Response::error(error(&call.cmdlet, "ItemNotFound", ErrorCategory::OBJECT_NOT_FOUND, message, identity))
}

fn unwritable(w: &World, call: &Invocation) -> ErrorRecord {
    let message = format!(
        "The Central Management store cannot be written: its database on {} does not accept changes.",
        w.scenario.shell.host
    );
    error(&call.cmdlet, "StoreNotWritable", ErrorCategory::RESOURCE_UNAVAILABLE, message, "xds")
}

/// Writes the store, or says that it cannot be.
fn write(w: &mut World, call: &Invocation, f: impl FnOnce(&mut Settings)) -> Response {
    if call.flag("WhatIf") {
        return Response::default();
    }
    let now = w.now();
    if w.store.change(now, f) { Response::default() } else { Response::terminate(unwritable(w, call)) }
}

pub fn get_state(w: &mut World, call: &Invocation) -> Response {
    if let Some(identity) = call.text("Identity")
        && !names_pool(w, identity, false)
    {
        return unknown_identity(call, identity);
    }
    if let Some(filter) = call.text("Filter")
        && !wildcard(&filter.to_lowercase(), &w.scenario.pool.to_lowercase())
    {
        return Response::default();
    }
    let local = w.store.replicas.get(&w.scenario.shell.host).map(|r| r.settings.clone());
    let settings = if call.flag("LocalStore") { local } else { None };
    Response::output([pool_state(w, &settings.unwrap_or_else(|| w.store.settings.clone()))])
}

/// `*` and `?` as PowerShell's wildcards have them.
fn wildcard(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| wildcard(rest, &name[at..]))
        }
        Some(c) => match name.chars().next() {
            Some(n) if c == '?' || c == n => wildcard(&pattern[c.len_utf8()..], &name[n.len_utf8()..]),
            _ => false,
        },
    }
}

pub fn set_state(w: &mut World, call: &Invocation) -> Response {
    let piped = call.input.iter().find_map(|v| v.property("Identity").map(Value::text));
    let instance = match call.get("Instance") {
        Some(Bound::Value(v)) => v.property("Identity").map(Value::text),
        _ => None,
    };
    let identity = call.text("Identity").map(str::to_owned).or(instance).or(piped);
    if let Some(identity) = identity
        && !names_pool(w, &identity, false)
    {
        return unknown_identity(call, &identity);
    }
    let state = match call.text("PoolState") {
        Some("Normal") => PoolState::Normal,
        Some("FailedOver") => PoolState::FailedOver,
        _ => return Response::default(),
    };
    write(w, call, |s| s.state = state)
}

pub fn set_active(w: &mut World, call: &Invocation) -> Response {
    if let Some(identity) = call.text("Identity")
        && !names_pool(w, identity, true)
    {
        return unknown_identity(call, identity);
    }
    let members = w.store.members.clone();
    let active = if call.set == "Swap" || call.flag("Swap") {
        members.iter().filter(|m| !w.store.settings.active.contains(m)).cloned().collect()
    } else {
        let Some(change) = call.list("ActiveServers") else { return Response::default() };
        change.apply(&w.store.settings.active)
    };
    let mut spelled: Vec<String> = vec![];
    for server in &active {
        let Some(known) = members.iter().find(|m| m.eq_ignore_ascii_case(server)) else {
            let message = format!(
                "\"{server}\" is not a computer of the Persistent Chat pool \"{}\".",
                w.scenario.pool
            );
            let record =
                error(&call.cmdlet, "ComputerNotInPool", ErrorCategory::INVALID_ARGUMENT, message, server);
            return Response::terminate(record);
        };
        if !spelled.contains(known) {
            spelled.push(known.clone());
        }
    }
    if spelled.len() > MOST_ACTIVE {
        let message = format!(
            "A pool can have at most {MOST_ACTIVE} active Persistent Chat servers, not {}.",
            spelled.len()
        );
        let record = error(
            &call.cmdlet,
            "TooManyActiveServers",
            ErrorCategory::INVALID_ARGUMENT,
            message,
            "ActiveServers",
        );
        return Response::terminate(record);
    }
    write(w, call, |s| s.active = spelled)
}

pub fn get_service(w: &mut World, call: &Invocation) -> Response {
    if let Some(pool) = call.text("PoolFqdn")
        && !pool.eq_ignore_ascii_case(&w.scenario.pool)
    {
        return unknown_identity(call, pool);
    }
    if let Some(identity) = call.text("Identity") {
        let ours = names_pool(w, identity, false);
        return if ours { Response::output([chat_service(w)]) } else { unknown_identity(call, identity) };
    }
    if call.flag("PersistentChatServer") {
        return Response::output([chat_service(w)]);
    }
    not_simulated(&call.cmdlet, "services other than -PersistentChatServer")
}

pub fn get_pool(w: &mut World, call: &Invocation) -> Response {
    if call.text("Filter").is_some() || call.text("Site").is_some() {
        return not_simulated(&call.cmdlet, "-Filter and -Site");
    }
    let s = &w.scenario;
    let pools = [
        (s.pool.clone(), format!("PersistentChatServer:{}", s.pool), w.store.members.clone()),
        (s.shell.host.clone(), format!("Registrar:{}", s.shell.host), vec![s.shell.host.clone()]),
    ];
    let wanted = call.text("Identity");
    let found: Vec<Value> = pools
        .into_iter()
        .filter(|(fqdn, ..)| wanted.is_none_or(|w| w.eq_ignore_ascii_case(fqdn)))
        .map(|(fqdn, service, computers)| {
            object(
                "Microsoft.Rtc.Management.Deploy.Internal.Cluster",
                &fqdn,
                [
                    ("Identity", text(&fqdn)),
                    ("Services", list(&[service])),
                    ("Computers", list(&computers)),
                    ("Fqdn", text(&fqdn)),
                    ("Site", text(format!("Site:{}", s.primary.name))),
                ],
            )
        })
        .collect();
    match wanted {
        Some(identity) if found.is_empty() => unknown_identity(call, identity),
        _ => Response::output(found),
    }
}

pub fn replication_status(w: &mut World, call: &Invocation) -> Response {
    // .NET counts in steps of 100 ns.
    let moment = |t: jiff::Timestamp| Value::DateTime(format!("{t:.7}"));
    if call.flag("CentralManagementStoreStatus") {
        // Properties are general knowledge: the page describes them in words.
        let master = if w.store.writable { text(&w.scenario.shell.host) } else { Value::Null };
        let beat = if w.store.writable { moment(w.now()) } else { Value::Null };
        let replicas: Vec<String> = w.store.replicas.keys().cloned().collect();
        return Response::output([object(
            "Microsoft.Rtc.Management.Xds.CentralManagementStoreStatusResult",
            "Microsoft.Rtc.Management.Xds.CentralManagementStoreStatusResult",
            [
                ("ActiveMasterFqdn", master.clone()),
                ("ActiveMasterLastHeartbeat", beat.clone()),
                ("ActiveFileTransferAgentFqdn", master),
                ("ActiveFileTransferAgentLastHeartbeat", beat),
                ("ActiveReplicas", list(&replicas)),
                ("DeletedReplicas", list(&[])),
            ],
        )]);
    }
    let wanted = call.text("ReplicaFqdn");
    let found: Vec<Value> = w
        .store
        .replicas
        .iter()
        .filter(|(fqdn, _)| wanted.is_none_or(|x| x.eq_ignore_ascii_case(fqdn)))
        .map(|(fqdn, r)| {
            object(
                "Microsoft.Rtc.Management.Xds.ReplicaState",
                fqdn,
                [
                    ("UpToDate", Value::Bool(w.store.up_to_date(fqdn) == Some(true))),
                    ("ReplicaFqdn", text(fqdn)),
                    ("LastStatusReport", moment(r.updated)),
                    ("LastUpdateCreation", moment(w.store.changed)),
                    ("ProductVersion", text("5.0.8308.0")),
                ],
            )
        })
        .collect();
    match wanted {
        Some(replica) if found.is_empty() => unknown_identity(call, replica),
        _ => Response::output(found),
    }
}

pub fn replicate(w: &mut World, call: &Invocation) -> Response {
    if !w.store.writable {
        return Response::terminate(unwritable(w, call));
    }
    let wanted = call.text("ReplicaFqdn").map(str::to_lowercase);
    if let Some(replica) = &wanted
        && !w.store.replicas.keys().any(|k| k.to_lowercase() == *replica)
    {
        return unknown_identity(call, replica);
    }
    let now = w.now();
    let reach = &w.reach;
    let asked = |host: &str| wanted.as_ref().is_none_or(|x| host.to_lowercase() == *x) && reach.alive(host);
    w.store.replicate(now, true, asked);
    Response::default()
}

/// Properties are general knowledge: the page names the type only.
pub fn connection(w: &mut World) -> Response {
    let host = &w.scenario.shell.host;
    let source = format!("Data Source={host}\\rtc;Initial Catalog=xds;Integrated Security=True");
    Response::output([object(
        "Microsoft.Rtc.Management.Xds.ManagementConnection",
        &source,
        [
            ("StoreProvider", text("Sql")),
            ("Connection", text(&source)),
            ("ReadOnly", Value::Bool(!w.store.writable)),
            ("SqlServer", text(host)),
            ("SqlInstance", text("rtc")),
        ],
    )])
}

/// Moves the store's master; afterwards it can be written again.
pub fn management_failover(w: &mut World, call: &Invocation) -> Response {
    if !call.flag("WhatIf") {
        w.store.writable = true;
    }
    Response::default()
}
