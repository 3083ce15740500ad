//! What `observe` and `plan` print: what was seen of each server, and what would be done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pchat_planner::facts::{
    BackupKind, Contact, Database, DatabaseState, Fact, Facts, Header, InstanceFacts, InstanceState, Job,
    MirroringState, Role,
};
use pchat_planner::identity;
use pchat_planner::outlook::Outlook;
use pchat_planner::plan::{Direction, Next, StepState};
use pchat_planner::pool::{Instance, InstanceId, Partner, Pool, Side};

use super::words::{Paint, WIDTH, count, duration, list, meaning, sentence, side_of, time, wrap};
use super::{View, header, journal, outlook, steps, stop};

/// Everything that was seen, and what a loss of the side that serves would meet now.
pub fn observed(view: &View<'_>, outlook: &Outlook, paint: Paint) -> String {
    let (pool, Some(facts)) = (view.pool, view.facts) else { return header::header(view).join("\n") };
    let mut out = vec![header::active(pool, facts), format!("Seen at {}.", time(view.now, view.now))];
    for side in [Side::Primary, Side::Backup] {
        out.push(String::new());
        out.push(paint.strong(&format!("{} ({side})", pool.site(side).name)));
        for partner in [Partner::Database, Partner::Mirror] {
            let id = InstanceId::new(side, partner);
            match (pool.instance(id), facts.instances.get(&id)) {
                (Some(name), Some(seen)) => {
                    let text = instance(pool, pool.instance(id), seen, view);
                    out.push(wrap(&format!("{name}: {text}"), "  ", WIDTH));
                }
                (Some(name), None) => out.push(format!("  {name}: was not looked at.")),
                (None, _) => out.push("  No mirror, by declaration.".into()),
            }
        }
    }
    out.push(String::new());
    for (reason, text) in identity::told(pool, facts) {
        out.push(paint.bad(&wrap(&format!("{reason}: {}", sentence(&text)), "", WIDTH)));
    }
    out.push(paint.strong("Log backups"));
    out.push(wrap(&backups(facts, view), "  ", WIDTH));
    out.push(paint.strong("Management shell"));
    out.push(wrap(&shell(pool, facts, view), "  ", WIDTH));
    out.push(paint.strong("Journal"));
    out.push(wrap(&transition(facts, view), "  ", WIDTH));
    out.extend(ahead(view, outlook, paint));
    out.join("\n")
}

/// What would be done, and what a failover needs.
pub fn planned(view: &View<'_>, outlook: &Outlook, paint: Paint) -> String {
    // What a check finds wrong is told with it.
    let told: BTreeSet<String> = outlook
        .checks
        .iter()
        .flat_map(|check| &check.troubles)
        .map(|trouble| header::warning(trouble.reason, &trouble.text()))
        .collect();
    let head = header::header(view).into_iter().filter(|line| !told.contains(line));
    let mut out: Vec<String> = head.map(|line| wrap(&line, "", WIDTH)).collect();
    let Some(plan) = view.plan else { return out.join("\n") };
    if plan.next != Next::Converged && !plan.steps.is_empty() {
        out.push(String::new());
        for step in &view.record.listing {
            let text = match step.state {
                StepState::Pending | StepState::Next => format!("{}: {}", step.target, step.effect),
                _ => step.why.clone(),
            };
            let name = step.id.to_string();
            let head = format!("  {} {name:18}  ", steps::mark(view, step, paint));
            out.push(
                format!("{head}{}", wrap(&text, &" ".repeat(24), WIDTH).trim_start()).trim_end().to_owned(),
            );
        }
    }
    out.push(String::new());
    out.push(match &plan.next {
        Next::Converged => format!("Nothing to do: {}.", meaning(plan.rule)),
        Next::Run(step, _) if plan.hazards.is_empty() => format!("Next: {step}."),
        Next::Run(step, _) => {
            let text = format!(
                "Next: {step}. Before RecoverDatabase it would stop for an approval of what follows, unless it \
                 goes away by then."
            );
            wrap(&text, "", WIDTH)
        }
        Next::Wait { reason, message, .. } => {
            wrap(&format!("Next: wait ({reason}). {}", sentence(message)), "", WIDTH)
        }
        Next::Blocked(stop) => wrap(
            &format!(
                "Stop: {} ({}). {} {}",
                meaning(stop.reason),
                stop.reason,
                sentence(&stop.message),
                sentence(&stop.remedy)
            ),
            "",
            WIDTH,
        ),
    });
    for hazard in &plan.hazards {
        let text = format!("Hazard ({}): {}", hazard.reason, sentence(&hazard.sentence));
        out.push(wrap(&text, "", WIDTH));
    }
    if let Next::Blocked(stop) = &plan.next
        && let Some(digest) = &stop.digest
    {
        out.push(format!("To accept exactly that: --approve {digest}"));
        for other in &stop.instead {
            out.push(wrap(&stop::instead(other, view.now), "", WIDTH));
            out.push("For that, an approval accepts all of this:".into());
            out.extend(stop::items(&other.hazards));
            out.push(format!("For that: --approve {}", other.digest));
        }
    }
    let ahead = ahead(view, outlook, paint);
    if !ahead.is_empty() {
        out.push(String::new());
        out.extend(ahead);
    }
    out.join("\n")
}

/// What a failover needs, under its heading.
fn ahead(view: &View<'_>, outlook: &Outlook, paint: Paint) -> Vec<String> {
    let moving = view.plan.is_some_and(|plan| plan.direction == Direction::ForcedFailover);
    let lines = outlook::lines(view.pool, outlook, moving, view.now, paint);
    if lines.is_empty() {
        return lines;
    }
    let title = if moving { "What the failover needs" } else { "Ready for a failover" };
    [paint.strong(title)].into_iter().chain(lines).collect()
}

/// What a server calls itself, where that is not what it is declared as; an alias is no fault.
fn called_otherwise(declared: Option<&Instance>, state: &InstanceState) -> Option<String> {
    let Some(name) = identity::says(&state.names) else { return Some("does not tell its name".into()) };
    let (host, own) = name.split_once('\\').map_or((name.as_str(), None), |(host, own)| (host, Some(own)));
    let declared = declared?;
    let short = declared.host.split('.').next().unwrap_or_default();
    // Without a declared instance it was found by its port.
    let instance = declared.instance.as_deref().or(own).unwrap_or_default();
    let same = short.eq_ignore_ascii_case(host) && instance.eq_ignore_ascii_case(own.unwrap_or_default());
    (!same).then(|| format!("calls itself {name}"))
}

/// What is known of an instance, as sentences.
fn instance(pool: &Pool, declared: Option<&Instance>, seen: &InstanceFacts, view: &View<'_>) -> String {
    match &seen.contact {
        Contact::Pending { since } => being("asked", *since, view.now),
        Contact::Silent { since, tries, detail, .. } => format!(
            "does not answer since {} ({}): {}",
            time(*since, view.now),
            header::tried(*tries),
            sentence(detail)
        ),
        Contact::Denied { detail } => {
            format!("answers, and denies login {} its state: {}", seen.login, sentence(detail))
        }
        Contact::Unusable { detail } => format!("may be alive and can't be asked: {}", sentence(detail)),
        Contact::Answers => match &seen.state {
            Fact::Pending { since, .. } => being("asked", *since, view.now),
            Fact::Unknown { why, .. } => format!("answers; its state is not known: {}", sentence(why)),
            Fact::Known { value: state, .. } => {
                let mut parts = vec![match called_otherwise(declared, state) {
                    Some(name) => format!("{}, which {name}", version(&state.version)),
                    None => version(&state.version),
                }];
                if let Some(holder) = &state.holder {
                    parts.push(format!("{} holds the pool's lock", pchat_planner::words::holder(holder)));
                }
                parts.push(match &state.database {
                    None => format!("there is no database {}", pool.database),
                    Some(database) => describe(database),
                });
                if state.ships_logs {
                    parts.push("log shipping's primary side is configured".into());
                }
                if let Some(s) = &state.secondary {
                    parts.push(format!(
                        "log shipping from {}: {}, {}",
                        s.primary_server,
                        job("copy job", s.copy_job.as_ref()),
                        job("restore job", s.restore_job.as_ref())
                    ));
                }
                if !state.sessions.is_empty() {
                    parts.push(format!(
                        "{} on {}",
                        count(state.sessions.len() as u64, "session"),
                        pool.database
                    ));
                }
                if let Some(restore) = &state.restore {
                    parts.push(format!("{} is running, {} %", restore.command, restore.percent));
                }
                if !state.sysadmin {
                    parts.push("the login is not a member of sysadmin".into());
                }
                sentence(&parts.join("; "))
            }
        },
    }
}

/// `is being asked since 12 s, and has not answered yet.`
fn being(what: &str, since: Timestamp, now: Timestamp) -> String {
    format!("is being {what} since {}, and has not answered yet.", duration(now.duration_since(since)))
}

/// A database in a few words, with the LSN of a copy.
pub fn describe(database: &Database) -> String {
    let mut text = state_of(database);
    match (&database.position, database.state, database.in_standby()) {
        (Ok(position), _, true) | (Ok(position), DatabaseState::Restoring, _) => {
            text.push_str(&format!(" at LSN {}", position.lsn));
        }
        (Err(why), _, true) | (Err(why), DatabaseState::Restoring, _) if database.mirroring.is_none() => {
            text.push_str(&format!(", its LSN is not known ({why})"));
        }
        _ => {}
    }
    text
}

/// A database in a few words that stay the same while log shipping does its work.
pub fn state_of(database: &Database) -> String {
    let state = match database.state {
        DatabaseState::Online if database.in_standby() => "STANDBY",
        DatabaseState::Online if database.standby.is_none() => "ONLINE, or in STANDBY (not told)",
        DatabaseState::Online if database.read_only == Some(true) => "ONLINE, read-only",
        DatabaseState::Online => "ONLINE",
        DatabaseState::Restoring => "RESTORING",
        DatabaseState::Recovering => "RECOVERING",
        DatabaseState::RecoveryPending => "RECOVERY_PENDING",
        DatabaseState::Suspect => "SUSPECT",
        DatabaseState::Emergency => "EMERGENCY",
        DatabaseState::Offline => "OFFLINE",
        DatabaseState::Unknown => "in a state that the server does not tell",
    };
    let mut text = format!("{} is {state}", database.name);
    if let Some(mirroring) = &database.mirroring {
        let role = match mirroring.role {
            Role::Principal => "principal",
            Role::Mirror => "mirror",
            Role::Unknown => "in a role of mirroring that is not told",
        };
        let state = match mirroring.state {
            MirroringState::Suspended => "SUSPENDED".to_owned(),
            MirroringState::Disconnected => "DISCONNECTED".into(),
            MirroringState::Synchronizing => "SYNCHRONIZING".into(),
            MirroringState::PendingFailover => "PENDING_FAILOVER".into(),
            MirroringState::Synchronized => "SYNCHRONIZED".into(),
            MirroringState::Unsynchronized => "UNSYNCHRONIZED".into(),
            MirroringState::Other(n) => format!("in state {n}"),
            MirroringState::Unknown => "in a state that is not told".into(),
        };
        text.push_str(&format!(", {role}, {state}"));
        if let Some(partner) = &mirroring.partner_instance {
            text.push_str(&format!(" with {partner}"));
        }
    }
    text
}

/// The version as a sentence names it.
pub fn version(version: &str) -> String {
    format!("SQL Server {}", if version.is_empty() { "of an unknown version" } else { version })
}

fn job(kind: &str, job: Option<&Job>) -> String {
    let Some(job) = job else { return format!("its {kind} is gone") };
    let enabled = match job.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "enabled or not (not told)",
    };
    let running = if job.running { ", running" } else { "" };
    match &job.last_run {
        Some((_, Err(error))) => format!("{kind} {enabled}{running}, its last run failed ({error})"),
        _ => format!("{kind} {enabled}{running}"),
    }
}

fn backups(facts: &Facts, view: &View<'_>) -> String {
    let backups = match &facts.backups {
        Fact::Pending { source, since } => {
            return format!("The {source}: {}", being("listed", *since, view.now));
        }
        Fact::Unknown { why, .. } => return format!("Not known: {}", sentence(why)),
        Fact::Known { value, .. } => value,
    };
    let place = |name: &str, path: &str, listing: &Fact<Vec<String>>| match listing {
        Fact::Pending { since, .. } => format!("{name} {path}: {}", being("listed", *since, view.now)),
        Fact::Known { value, .. } => format!("{name} {path}: {}.", count(value.len() as u64, "file")),
        Fact::Unknown { why, .. } => format!("{name} {path}: not known: {}", sentence(why)),
    };
    let mut parts = vec![
        place("Share", &backups.source.share, &backups.share),
        place("Copy folder", &backups.source.folder, &backups.folder),
    ];
    let logs = backups.files.iter().flat_map(|(name, file)| {
        let places = [&file.on_share, &file.in_folder].into_iter().flatten();
        places.flat_map(Header::sets).map(move |set| (set.last_lsn, name, set.kind))
    });
    let newest = logs.filter(|(_, _, kind)| *kind == BackupKind::Log).max_by_key(|(lsn, ..)| *lsn);
    parts.extend(
        newest.map(|(lsn, name, _)| format!("The last readable one is {name}, which ends at LSN {lsn}.")),
    );
    let torn: Vec<&str> = backups
        .files
        .iter()
        .filter(|(_, file)| {
            // A copy is never newer than its original.
            let original = file.on_share.as_ref().or(file.in_folder.as_ref());
            matches!(original, Some(Header::Torn { .. } | Header::Partly { .. }))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    if !torn.is_empty() {
        parts.push(format!("Torn or unfinished: {}.", list(&torn)));
    }
    for (name, why) in &backups.aside {
        parts.push(format!("{name} is not counted as a log backup: {}", sentence(why)));
    }
    parts.join(" ")
}

fn shell(pool: &Pool, facts: &Facts, view: &View<'_>) -> String {
    let shell = &facts.shell;
    match &shell.contact {
        Contact::Silent { since, detail, .. } => {
            return format!("Does not answer since {}: {}", time(*since, view.now), sentence(detail));
        }
        Contact::Unusable { detail } | Contact::Denied { detail } => {
            return format!("Can't be asked: {}", sentence(detail));
        }
        Contact::Pending { since } => return format!("It {}", being("asked", *since, view.now)),
        Contact::Answers => {}
    }
    let mut parts = vec![match &shell.pool_state {
        Fact::Pending { since, .. } => {
            format!("For the pool's state it {}", being("asked", *since, view.now))
        }
        Fact::Known { value: (_, state), .. } => {
            format!("The pool's state is {state} ({} side).", side_of(*state))
        }
        Fact::Unknown { why, .. } => format!("The pool's state is not known: {}", sentence(why)),
    }];
    parts.push(match &shell.servers {
        Fact::Pending { since, .. } => {
            format!("For the active servers it {}", being("asked", *since, view.now))
        }
        Fact::Known { value, .. } => format!("Active servers: {}.", list(&value.active)),
        Fact::Unknown { why, .. } => format!("Which servers are active is not known: {}", sentence(why)),
    });
    if let Fact::Known { value, .. } = &shell.replicated {
        let wanted = &pool.site(pool.active).active_servers;
        let late: Vec<&String> = value
            .iter()
            .filter(|(server, done)| !**done && wanted.iter().any(|w| w.eq_ignore_ascii_case(server)))
            .map(|(server, _)| server)
            .collect();
        if !late.is_empty() {
            parts.push(format!("The store is not yet replicated to {}.", list(&late)));
        }
    }
    parts.push(match &shell.store_writable {
        Fact::Pending { since, .. } => {
            format!("For the Central Management Store it {}", being("asked", *since, view.now))
        }
        Fact::Known { value: Ok(()), .. } => "The Central Management Store can be written.".into(),
        Fact::Known { value: Err(why), .. } => {
            format!("The Central Management Store can't be written: {}", sentence(why))
        }
        Fact::Unknown { why, .. } => {
            format!("Whether the Central Management Store can be written is not known: {}", sentence(why))
        }
    });
    parts.join(" ")
}

fn transition(facts: &Facts, view: &View<'_>) -> String {
    let Some(journal) = journal(facts) else { return "Not known: it was not read.".into() };
    let mut text = match &journal.transition {
        None => "No transition is recorded.".to_owned(),
        Some(t) => format!(
            "Transition {} to {}, opened {}, is {}.",
            t.id,
            t.intent,
            time(t.opened, view.now),
            t.phase
        ),
    };
    if let Some(owner) = &journal.owner {
        text.push_str(&format!(
            " Owner: {}, last sign of life {} by the far end's clock.",
            owner.executor,
            time(owner.mark, view.now)
        ));
    }
    text
}
