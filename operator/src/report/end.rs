//! The last lines of a run that converged: what is, what was applied and lost, what is left to a person, where the
//! record lies.

use pchat_planner::plan::{Direction, StepId};
use pchat_planner::pool::Side;

use super::words::{Paint, WIDTH, bytes, capital, count, time, took, wrap};
use super::{Invocation, View, header, left};

/// The report.
pub fn end(view: &View<'_>, invocation: &Invocation, paint: Paint) -> String {
    let (pool, record) = (view.pool, view.record);
    let site = pool.site(pool.active);
    let ended = record.ended.unwrap_or(view.now);
    let mut out = Vec::new();
    let moved = matches!(record.direction, Some(Direction::ForcedFailover | Direction::CallOff));
    if !record.acted() && moved {
        out.push(paint.good(&format!(
            "Converged: {} Another executor carried it out; this run has changed nothing.",
            outcome(view)
        )));
    } else if !record.acted() {
        out.push(paint.good(&format!(
            "Converged: {} is served by {} ({}), as declared. There was nothing to do, and nothing was changed.",
            pool.fqdn, site.name, pool.active
        )));
    } else {
        out.push(paint.good(&format!(
            "Converged in {} ({} to {}): {}",
            took(ended.duration_since(record.started)),
            time(record.started, ended).trim_end_matches(" UTC"),
            time(ended, ended),
            outcome(view)
        )));
    }
    let mut row = |name: &str, text: &str| {
        let text = wrap(text, "            ", WIDTH);
        out.push(format!("  {name:<9} {}", text.trim_start()));
    };
    let (files, size) = record.applied_total();
    if let Some(last) = record.applied.last() {
        row(
            "Applied",
            &format!(
                "{}, {}, up to {} (LSN {}).",
                count(files, "log backup"),
                bytes(size),
                last.name,
                last.last_lsn
            ),
        );
    }
    if record.direction == Some(Direction::ForcedFailover) && record.is_done(StepId::RecoverDatabase) {
        row("Lost", &capital(&header::loss(&record.loss, ended, true)));
    }
    for (reason, warning) in view.plan.map_or(&[][..], |plan| &plan.warnings) {
        row("Warning", &format!("{} ({reason})", super::words::sentence(warning)));
    }
    if record.transition.is_some() {
        let copy = invocation.state_file.as_ref().map(|path| format!("; a copy and this report in {path}"));
        row(
            "Record",
            &format!(
                "the journal in master on {} (extended property persistentchat.io/{}/journal){}.",
                pool.backup.database,
                pool.database,
                copy.unwrap_or_default()
            ),
        );
    }
    let left = left::left(view);
    if !left.is_empty() {
        out.push(String::new());
        out.push(paint.strong("Left to you:"));
        out.extend(left.iter().map(|item| format!("  - {}", wrap(item, "    ", WIDTH).trim_start())));
    }
    out.join("\n")
}

fn outcome(view: &View<'_>) -> String {
    let (pool, record) = (view.pool, view.record);
    match record.direction {
        Some(Direction::CallOff) => {
            format!("the failover of {} was called off; log shipping runs again.", pool.fqdn)
        }
        _ => {
            let site = pool.site(pool.active);
            let role = if pool.active == Side::Backup { "backup" } else { "primary" };
            format!("{} is served by {} ({role}).", pool.fqdn, site.name)
        }
    }
}
