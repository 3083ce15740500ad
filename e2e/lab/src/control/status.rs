//! State and truth as JSON.
//!
//! Answers for a report that a person or a test can hold against what a client says. It reads the world and
//! changes nothing.

use crate::world::database::State;
use crate::world::files::Files;
use crate::world::instance::Instance;
use crate::world::{Key, World};
use serde_json::{Value, json};

/// Everything.
pub fn state(w: &World) -> Value {
    let servers: Vec<Value> = (0..w.servers.len()).map(|n| server(w, n)).collect();
    json!({
        "now": w.now(),
        "seed": w.scenario.seed,
        "servers": servers,
        "store": w.store,
        "reach": w.reach,
        "files": files(w),
        "timeline": paths(w),
    })
}

fn server(w: &World, n: usize) -> Value {
    let s: &Instance = &w.servers[n];
    let databases: Vec<Value> = s
        .databases
        .iter()
        .filter(|d| d.id > 4)
        .map(|d| {
            let key = Key { server: n, database: d.id };
            json!({
                "name": d.name,
                "state": d.state,
                "standby": d.standby,
                "read_only": d.read_only,
                "user_access": d.access,
                "recovery_model": d.model,
                "next_lsn": d.next,
                "fork": d.fork,
                "forks": d.forks,
                "family": d.family,
                "backed_up_to": d.backed_up_to,
                "messages": d.tables.get("tblChat").map_or(0, |t| t.len()),
                "last_commit": d.last_commit,
                "mirroring": d.mirroring,
                "mirroring_state": w.mirror_state(key),
            })
        })
        .collect();
    let sessions: Vec<Value> = s
        .sessions
        .values()
        .map(|x| json!({"spid": x.spid, "login": x.login, "program": x.program, "database": s.by_id(x.database).map(|d| d.name.clone()), "request": x.request}))
        .collect();
    let properties: Vec<Value> =
        s.properties.iter().map(|((d, n), v)| json!({"database": d, "name": n, "value": v})).collect();
    json!({
        "host": s.host,
        "name": s.name(),
        "side": s.side,
        "alive": w.reach.alive(&s.host),
        "databases": databases,
        "log_shipping": s.shipping,
        "agent": {"running": s.agent.running, "jobs": s.agent.jobs, "last_runs": s.agent.history.iter().rev().take(10).collect::<Vec<_>>()},
        "sessions": sessions,
        "locks": s.locks,
        "properties": properties,
        "faults": s.faults,
    })
}

fn files(w: &World) -> Value {
    let Ok((_, backup)) = w.roles() else { return Value::Null };
    let host = &w.servers[backup].host;
    let l = &w.scenario.log_shipping;
    let of = |path: &str| match w.files.locate(host, path) {
        Ok(place) => Files::list(&place.path).into_iter().map(|(n, _)| n).collect::<Vec<_>>(),
        Err(_) => vec![],
    };
    json!({"share": of(&l.share), "folder": of(&l.folder)})
}

/// The ledger, and what each readable copy of the chat database lacks of it.
pub fn ledger(w: &World) -> Value {
    let mut copies = vec![];
    for key in (0..w.servers.len()).filter_map(|s| w.chat_key(s)) {
        let Some(d) = w.database(key) else { continue };
        let loss = w.ledger.against(&w.servers[key.server].name(), &w.messages_in(key));
        copies.push(json!({"state": d.state, "online": d.state == State::Online && d.standby.is_none(), "loss": loss}));
    }
    let all = w.ledger.messages();
    json!({
        "acknowledged": all.len(),
        "first": all.first().map(|m| m.at),
        "last": all.last().map(|m| m.at),
        "copies": copies,
        "by_instance": w.ledger.by_instance(),
    })
}

fn paths(w: &World) -> Value {
    let ms = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
    json!({
        "critical_path_ms": ms(w.timeline.critical_path()),
        "critical_path_measured_ms": ms(w.timeline.critical_path_measured()),
        "mutations": w.timeline.mutations(),
    })
}

/// The operations since the mark.
pub fn timeline(w: &World) -> Value {
    let mut all = paths(w);
    all["entries"] = json!(w.timeline.entries());
    all
}

/// The statement log of a server.
pub fn statements(s: &Instance) -> Value {
    json!({"server": s.name(), "forgotten": s.forgotten, "statements": s.statements})
}
