//! xp_dirtree and xp_fileexist: files as the SQL Server account sees them.
//!
//! Answers for their result sets and bad manners: a path that is denied, dead or not there lists as empty,
//! without an error, and a dead one takes its time first. That is why a client must never take an empty listing
//! for an empty folder.

use super::LabHost;
use super::procs::{send_rows, text_argument};
use crate::world::error::Failure;
use crate::world::files::{Files, Found};
use crate::world::timeline::Operation;
use pchat_tsql::host::{Call, Returned};
use pchat_tsql::{Sink, Value, schema};
use std::path::Path;

/// `xp_dirtree path, depth, file`.
pub async fn dirtree(host: &mut LabHost, call: &Call, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let argument = |n: usize| call.arguments.get(n).and_then(|a| a.1.as_ref());
    let path = argument(0).and_then(Value::as_text).unwrap_or("").to_owned();
    let depth = argument(1).and_then(Value::as_int).unwrap_or(0);
    let files = argument(2).and_then(Value::as_int).unwrap_or(0) != 0;
    wait(host, &path).await;
    let set = if files { "xp_dirtree (path,depth,1)" } else { "xp_dirtree (path,depth)" };
    let columns = schema::result_set(set, 1, pchat_tsql::Host::version(host)).unwrap_or_default();
    let mut found = vec![];
    {
        let w = host.world.lock();
        // Callers that are not sysadmin see nothing either.
        let allowed = super::catalog::is_sysadmin(&w.servers[host.server], &host.login);
        if let Ok((real, Found::Folder)) = w.look(host.server, &path)
            && allowed
        {
            walk(&real, 1, if depth <= 0 { i64::MAX } else { depth }, files, &mut found);
        }
    }
    let rows = found
        .into_iter()
        .map(|(name, level, file)| {
            let mut row = vec![Value::Text(name), Value::Int(level)];
            if files {
                row.push(file.into());
            }
            row
        })
        .collect();
    send_rows(out, columns, rows);
    Ok(Returned::default())
}

fn walk(folder: &Path, level: i64, depth: i64, files: bool, found: &mut Vec<(String, i64, bool)>) {
    for (name, is_file) in Files::list(folder) {
        if is_file && !files {
            continue;
        }
        found.push((name.clone(), level, is_file));
        if !is_file && level < depth {
            walk(&folder.join(name), level + 1, depth, files, found);
        }
    }
}

/// `xp_fileexist path [, @exists OUTPUT]`.
pub async fn fileexist(host: &mut LabHost, call: &Call, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let path = text_argument(call, 0);
    wait(host, &path).await;
    let parent = path.trim_end_matches('\\').rsplit_once('\\').map_or("", |(p, _)| p).to_owned();
    let (found, parent) = {
        let w = host.world.lock();
        let at = |p: &str| w.look(host.server, p).map_or(Found::Nothing, |(_, f)| f);
        (at(&path), at(&parent) == Found::Folder)
    };
    if call.arguments.get(1).is_some_and(|a| a.1.is_some()) {
        let outputs = vec![(call.arguments[1].0.clone(), (found == Found::File).into())];
        return Ok(Returned { outputs, ..Returned::default() });
    }
    let columns =
        schema::result_set("xp_fileexist (path)", 1, pchat_tsql::Host::version(host)).unwrap_or_default();
    let row = vec![(found == Found::File).into(), (found == Found::Folder).into(), parent.into()];
    send_rows(out, columns, vec![row]);
    Ok(Returned::default())
}

async fn wait(host: &mut LabHost, path: &str) {
    host.wait_for_dead_path(path).await;
    let hang = {
        let w = host.world.lock();
        let under = |at: &str| path.to_lowercase().starts_with(&at.to_lowercase());
        w.hanging.iter().find(|(at, place, _)| *at == host.server && under(place)).map(|(.., hang)| *hang)
    };
    if let Some(hang) = hang {
        tokio::time::sleep(hang).await;
    }
    host.spend(tokio::time::Instant::now(), Operation::Listing, format!("listing of {path}")).await;
}
