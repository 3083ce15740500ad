//! sp_who and sp_who2: the sessions, as a person lists them before KILL.
//!
//! Answers for their result sets (sp_who2's is general knowledge; it has no page).

use super::LabHost;
use super::catalog::is_sysadmin;
use super::catalog_sessions::command;
use super::procs::{send_rows, text};
use crate::world::error::{Failure, raise};
use pchat_tsql::host::{Call, Returned};
use pchat_tsql::{Sink, Value, schema};

/// Both, with their `@loginame` filter.
pub fn who(host: &mut LabHost, call: &Call, name: &str, out: &mut dyn Sink) -> Result<Returned, Failure> {
    let version = pchat_tsql::Host::version(host);
    let columns = schema::result_set(name, 1, version).ok_or_else(|| vec![raise(2812, &[&name])])?;
    let filter = text(call, "@loginame").filter(|f| !f.eq_ignore_ascii_case("active"));
    let w = host.world.lock();
    let s = &w.servers[host.server];
    if let Some(f) = &filter
        && f.parse::<i32>().is_err()
        && !s.logins.iter().any(|l| l.name.eq_ignore_ascii_case(f))
    {
        // 15007 is in no list read for the reference (general knowledge).
        let text = format!("'{f}' is not a valid login or you do not have permission.");
        return Err(vec![pchat_tsql::SqlError::custom(15007, 16, 1, text)]);
    }
    let all = is_sysadmin(s, &host.login);
    let mut rows = vec![];
    for x in s.sessions.values() {
        let seen = all || x.spid == host.spid;
        let wanted =
            filter.as_ref().is_none_or(|f| f.parse() == Ok(x.spid) || x.login.eq_ignore_ascii_case(f));
        if !(seen && wanted) {
            continue;
        }
        let database = s.by_id(x.database).map_or("", |d| d.name.as_str());
        let state = if x.request.is_some() { "RUNNABLE" } else { "sleeping" };
        let spid = format!("{:<5}", x.spid);
        let named: Vec<(&str, Value)> = if name == "sp_who" {
            vec![
                ("spid", x.spid.into()),
                ("ecid", Value::Int(0)),
                ("status", state.into()),
                ("loginame", x.login.as_str().into()),
                ("hostname", x.host.as_str().into()),
                ("blk", "0    ".into()),
                ("dbname", database.into()),
                ("cmd", command(x).into()),
                ("request_id", Value::Int(0)),
            ]
        } else {
            vec![
                ("SPID", spid.clone().into()),
                ("Status", state.into()),
                ("Login", x.login.as_str().into()),
                ("HostName", x.host.as_str().into()),
                ("BlkBy", "  .".into()),
                ("DBName", database.into()),
                ("Command", command(x).into()),
                ("CPUTime", "0".into()),
                ("DiskIO", "0".into()),
                ("LastBatch", x.last_batch.strftime("%m/%d %H:%M:%S").to_string().into()),
                ("ProgramName", x.program.as_str().into()),
                ("REQUESTID", "0    ".into()),
            ]
        };
        let mut row = schema::row_lenient(&columns, &named).map_err(|e| vec![e])?;
        // sp_who2 shows the SPID a second time, at the right.
        if name == "sp_who2"
            && let Some(second) = columns.iter().rposition(|c| c.name == "SPID")
        {
            row[second] = spid.into();
        }
        rows.push(row);
    }
    drop(w);
    send_rows(out, columns, rows);
    Ok(Returned::default())
}
