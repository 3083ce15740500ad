//! The surviving side and what is shipped to it: the instance, its copy, log shipping, the Agents, the backups.

use jiff::Timestamp;

use super::{Found, HANGS, Seen, Trouble, instances};
use crate::judge::copy::{self, Copy};
use crate::model::facts::{Agent, Job};
use crate::model::plan::{Next, Reason};
use crate::model::pool::BACKUP;
use crate::model::pool::Side;
use crate::say::advice;
use crate::words::time;

pub(super) fn home(seen: &Seen<'_>) -> Found {
    match seen.home.as_ref().map_err(|next| &**next) {
        Ok(_) => Found::Fine(format!("{} answers, and the login is a member of sysadmin", seen.here)),
        Err(Next::Blocked(stop)) => Found::Wrong(vec![Trouble {
            reason: stop.reason,
            subject: seen.here.to_lowercase(),
            sentence: stop.message.clone(),
            remedy: stop.remedy.clone(),
            advice: stop.advice.clone(),
            holds: true,
        }]),
        Err(_) => Found::Unknown(format!("{} was not looked at yet", seen.here)),
    }
}

pub(super) fn shipped_copy(seen: &Seen<'_>) -> Found {
    let Ok((state, db)) = &seen.home else { return Found::Idle };
    let open = crate::judge::ownership::open(state);
    let (sentence, remedy) = match (copy::judge(seen.facts, db, open), &db.position) {
        (Copy::Restoring, Ok(_)) => {
            return Found::Fine(format!("{} on {} waits for log backups", db.name, seen.here));
        }
        (Copy::Restoring, Err(why)) => (
            format!("where {} on {} stands in its log is unknown ({why})", db.name, seen.here),
            "Let log shipping restore the next log backup: then the server tells.".to_owned(),
        ),
        (Copy::Unusable(why), _) => (
            format!("{} on {} {why}", db.name, seen.here),
            seen.initialise_again(&format!("Initialise log shipping of {} there again.", db.name)),
        ),
        (Copy::Unjudged, _) => {
            return Found::Unknown(format!("what {} on {} is was not looked at yet", db.name, seen.here));
        }
        (Copy::Recovering, _) => {
            return Found::Unknown(format!("{} on {} is being recovered", db.name, seen.here));
        }
        (Copy::Vouched | Copy::Delivered, _) => {
            return Found::Fine(format!("{} on {} is recovered", db.name, seen.here));
        }
        (Copy::Proved | Copy::Unproved(_), _) => (
            format!("{} on {} is ONLINE, so log shipping can't go on", db.name, seen.here),
            seen.initialise_again("Initialise it again before it is needed."),
        ),
    };
    Found::Wrong(vec![Trouble {
        reason: Reason::DatabaseUnusable,
        subject: seen.here.to_lowercase(),
        sentence,
        remedy,
        advice: Vec::new(),
        holds: true,
    }])
}

pub(super) fn log_shipping(seen: &Seen<'_>) -> Found {
    let Ok((state, db)) = &seen.home else { return Found::Idle };
    let trouble = |subject: &str, sentence: String, remedy: String| Trouble {
        reason: Reason::LogShippingUnhealthy,
        subject: subject.to_owned(),
        sentence,
        remedy,
        advice: Vec::new(),
        holds: false,
    };
    // What a transition of ours has disabled is as it should be.
    let ours = crate::judge::ownership::open(state).is_some();
    let Some(s) = &state.secondary else {
        if ours {
            return Found::Idle;
        }
        return Found::Wrong(vec![Trouble {
            // Without a place to look for them a failover stops over the log backups.
            holds: seen.pool.log_source.is_none(),
            ..trouble(
                "log shipping",
                format!("{} has no log shipping for {}: nothing brings log backups there", seen.here, db.name),
                "Set it up again; where its files still lie on a share, declare logShipping.share and logShipping.folder.".into(),
            )
        }]);
    };
    let mut troubles = Vec::new();
    if let Some(gone) = s.jobs_gone().filter(|_| !ours) {
        troubles.push(Trouble {
            reason: Reason::LogShippingIncomplete,
            ..trouble(
                "log shipping",
                format!("log shipping of {} on {} has no {gone} any more: a failover restores from the share what is not copied", db.name, seen.here),
                "Set log shipping up anew.".into(),
            )
        });
    }
    let jobs = [("copy", &s.copy_job), ("restore", &s.restore_job)];
    for (kind, job) in jobs.into_iter().filter_map(|(kind, job)| Some((kind, job.as_ref()?))) {
        let here = &seen.here;
        if let Some(since) = hangs(job, state.clock) {
            let sentence = format!(
                "the {kind} job {} on {here} has been running since {}, for more than {} min; a failover waits for it to end",
                job.name,
                time(since, seen.now),
                HANGS.as_mins()
            );
            let waits = "See what it waits for.";
            // A restore that is ended in the middle is begun anew; a failover waits for it.
            let restores = kind == "restore" && state.restore.is_some();
            troubles.push(match ours || restores {
                true => trouble(&job.name, sentence, waits.into()),
                false => trouble(&job.name, sentence, String::new()).advised(
                    "See what it waits for; if that does not come, end it.",
                    advice::stop_job(here, &job.name),
                    "It begins again by its schedule.",
                ),
            });
        }
        if ours {
            continue;
        }
        if job.enabled == Some(false) {
            let sentence = format!(
                "the {kind} job {} on {here} is disabled: log shipping stands still, and what could be lost grows",
                job.name
            );
            troubles.push(trouble(&job.name, sentence, String::new()).advised(
                "Enable it.",
                advice::enable_job(here, &job.name),
                "It runs by its schedule again.",
            ));
        }
        if let Some((_, Err(error))) = &job.last_run {
            troubles.push(trouble(
                &job.name,
                format!("the {kind} job {} on {here} has failed ({})", job.name, error.trim_end_matches('.')),
                "Its history in SQL Server Agent tells the step and its error.".into(),
            ));
        }
    }
    let untold = s.jobs().find(|job| job.enabled.is_none()).map(|job| job.name.clone());
    match untold.filter(|_| troubles.is_empty() && !ours) {
        Some(name) => Found::Unknown(format!("whether job {name} on {} is enabled is not told", seen.here)),
        None => Found::of(troubles, || format!("its jobs on {} are as they should be", seen.here)),
    }
}

/// Since when a job has been running for too long. `clock`: the server's own.
fn hangs(job: &Job, clock: Timestamp) -> Option<Timestamp> {
    job.since.filter(|since| job.running && clock.duration_since(*since) > HANGS)
}

pub(super) fn agents(seen: &Seen<'_>) -> Found {
    let mut troubles = Vec::new();
    let (mut runs, mut unknown) = (Vec::new(), Vec::new());
    for (id, name, state) in instances(seen) {
        let backup = id == BACKUP;
        // On the side that serves it is the one that makes the log backups that needs it.
        let ships = id.side == Side::Primary && state.ships_logs;
        if !(backup || ships) {
            continue;
        }
        let effect = match backup {
            true => {
                "log shipping copies and restores nothing; a failover reads the log backups on the share itself"
            }
            false => "no log backup is made, and what could be lost grows",
        };
        let (sentence, remedy) = match state.agent {
            Agent::Runs => {
                runs.push(name);
                continue;
            }
            Agent::Unknown => {
                unknown.push(name);
                continue;
            }
            Agent::Stopped => (
                format!("SQL Server Agent does not run on {name}: {effect}"),
                format!("Start its service, {}, and let it start by itself.", service(&state.server_name)),
            ),
            Agent::NotOffered => (
                format!("{name} is an Express edition, which has no SQL Server Agent: {effect}"),
                "Log shipping needs another edition there.".to_owned(),
            ),
        };
        troubles.push(Trouble {
            reason: Reason::AgentStopped,
            subject: name.to_lowercase(),
            sentence,
            remedy,
            advice: Vec::new(),
            holds: false,
        });
    }
    match (troubles.is_empty(), runs.is_empty(), unknown.is_empty()) {
        (false, ..) => Found::Wrong(troubles),
        (_, _, false) => {
            Found::Unknown(format!("the login may not see whether it runs on {}", unknown.join(", ")))
        }
        (_, false, _) => Found::Fine(format!("runs on {}", runs.join(" and "))),
        (_, true, _) => Found::Idle,
    }
}

/// The Windows service of an instance's Agent. `server`: `@@SERVERNAME`.
fn service(server: &str) -> String {
    match server.split_once('\\') {
        Some((_, instance)) => format!("SQLAgent${instance}"),
        None => "SQLSERVERAGENT".into(),
    }
}

pub(super) fn backups(seen: &Seen<'_>) -> Found {
    let Ok((_, db)) = &seen.home else { return Found::Idle };
    // A copy that is ONLINE waits for none.
    if db.serves() {
        return Found::Idle;
    }
    let Some(backups) = seen.facts.backups.value() else {
        return Found::Unknown(seen.facts.backups.why().unwrap_or("they were not read").to_owned());
    };
    let places = [(&backups.source.share, &backups.share), (&backups.source.folder, &backups.folder)];
    let unread = places.iter().filter_map(|(path, listing)| {
        Some(Trouble {
            reason: Reason::BackupsUnknown,
            subject: (*path).clone(),
            sentence: format!("{} can't read {path}: {}", seen.here, listing.why()?.trim_end_matches('.')),
            remedy: "Make it readable for the SQL Server service account.".into(),
            advice: Vec::new(),
            holds: true,
        })
    });
    Found::of(unread.collect(), || format!("{} reads {} and {}", seen.here, places[0].0, places[1].0))
}
