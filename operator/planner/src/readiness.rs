//! What a failover to the backup side needs beside a dead primary side, held against what was seen: named checks, for a calm week
//! and for the moments before the point of no return.
//!
//! Each check has a name, an answer, a source and, where something is wrong, a remedy. What would leave users without their
//! service behind the point of no return holds `RecoverDatabase` up, as a hazard that a person may accept. What only hurts a later
//! step is told, and holds nothing up; nor does a management shell that can't be asked. Nothing here decides whether a failover may
//! be forced: that is [`policy`](crate::policy).

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::advice::{self, Advice};
use crate::copy::{self, Copy};
use crate::facts::{Agent, Contact, Database, Endpoint, Facts, InstanceState, Job};
use crate::next::{BACKUP, BACKUP_MIRROR};
use crate::plan::{Hazard, Next, Reason};
use crate::pool::{InstanceId, Partner, Pool, Side};
use crate::stops::STORE_PLACE;
use crate::words::{instance, state_word, time};

/// The cmdlets without which users are not served again.
pub const NEEDED: [&str; 4] = [
    "Get-CsPersistentChatState",
    "Get-CsService",
    "Set-CsPersistentChatState",
    "Set-CsPersistentChatActiveServer",
];

/// The cmdlet that gives the recovered database its mirror.
pub const SEEDS_MIRROR: &str = "Install-CsMirrorDatabase";

/// A job of log shipping that runs for longer than this hangs: log shipping's own threshold for its alerts.
pub const HANGS: SignedDuration = SignedDuration::from_mins(45);

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Verdict {
    /// In order.
    Passed,
    /// Something is wrong that hurts a later step, or leaves more to be lost.
    Warned,
    /// Something is wrong that stops a failover, or would leave users without their service.
    Held,
    /// It can't be told.
    Unknown,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Its kind.
    pub reason: Reason,
    /// What it is about: a server, a cmdlet, a job.
    pub subject: String,
    /// What is wrong, with host and object, and what it does to a failover.
    pub sentence: String,
    /// What helps.
    pub remedy: String,
    /// What the remedy says is to be typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<Advice>,
    /// Whether it stops a failover.
    pub holds: bool,
}

impl Trouble {
    /// The same with a remedy that is typed: what to do, the lines, what follows.
    fn advised(self, before: &str, advice: Advice, after: &str) -> Self {
        let advice = vec![advice];
        Trouble { remedy: advice::remedy(before, &advice, after), advice, ..self }
    }

    /// Sentence and remedy.
    pub fn text(&self) -> String {
        format!("{}. {}", self.sentence.trim_end_matches('.'), self.remedy)
    }
}

/// One question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// The answer.
    pub answer: Verdict,
    /// What was found, in words; why it is not known, where it is not.
    pub found: String,
    /// Where it was looked for.
    pub source: &'static str,
    /// What is wrong, each thing by itself.
    pub troubles: Vec<Trouble>,
}

/// What a rule finds.
enum Found {
    /// In order, in words.
    Fine(String),
    /// Not known, and why.
    Unknown(String),
    /// Wrong.
    Wrong(Vec<Trouble>),
    /// The question does not arise.
    Idle,
}

impl Found {
    fn of(troubles: Vec<Trouble>, fine: impl FnOnce() -> String) -> Found {
        if troubles.is_empty() { Found::Fine(fine()) } else { Found::Wrong(troubles) }
    }
}

/// What the rules look at.
struct Seen<'a> {
    pool: &'a Pool,
    facts: &'a Facts,
    now: Timestamp,
    here: String,
    /// The backup instance and its copy, or the stop that says why there is none.
    home: Result<(&'a InstanceState, &'a Database), Box<Next>>,
}

struct Rule {
    name: &'static str,
    source: &'static str,
    /// Whether a run that moves the pool tells it: what else is wrong is a stop, a hazard or a row of the decision table by itself.
    warns: bool,
    find: fn(&Seen<'_>) -> Found,
}

/// The checks, in the order in which a failover comes to need them.
#[rustfmt::skip]
static RULES: &[Rule] = &[
    Rule { name: "Backup instance", source: "login, IS_SRVROLEMEMBER, journal", warns: false, find: home },
    Rule { name: "Copy", source: "sys.databases, sys.master_files", warns: false, find: shipped_copy },
    Rule { name: "Log shipping", source: "msdb", warns: true, find: log_shipping },
    Rule { name: "SQL Server Agent", source: "sys.sysprocesses", warns: true, find: agents },
    Rule { name: "Log backups", source: "xp_dirtree, RESTORE HEADERONLY", warns: false, find: backups },
    Rule { name: "Management shell", source: "Get-CsPersistentChatState", warns: false, find: shell },
    Rule { name: "Cmdlets", source: "Get-Command", warns: true, find: cmdlets },
    Rule { name: "Chat servers", source: "Get-CsService", warns: false, find: chat_servers },
    Rule { name: "Central Management Store", source: "Set-CsPersistentChatState -WhatIf", warns: false, find: store },
    Rule { name: "Mirror", source: "sys.databases on the mirror instance", warns: true, find: mirror },
    Rule { name: "Mirroring endpoints", source: "sys.database_mirroring_endpoints", warns: true, find: endpoints },
    Rule { name: "Share for seeding", source: "manifest", warns: true, find: seed_share },
];

fn seen<'a>(pool: &'a Pool, facts: &'a Facts, now: Timestamp) -> Seen<'a> {
    Seen { pool, facts, now, here: instance(pool, BACKUP), home: crate::next::home(pool, facts, now) }
}

/// Every check of a failover to the backup side, in order.
pub fn checks(pool: &Pool, facts: &Facts, now: Timestamp) -> Vec<Check> {
    let seen = seen(pool, facts, now);
    RULES.iter().filter_map(|rule| check(rule, &seen)).collect()
}

fn check(rule: &Rule, seen: &Seen<'_>) -> Option<Check> {
    let (answer, found, troubles) = match (rule.find)(seen) {
        Found::Idle => return None,
        Found::Fine(found) => (Verdict::Passed, found, Vec::new()),
        Found::Unknown(why) => (Verdict::Unknown, why, Vec::new()),
        Found::Wrong(troubles) => {
            let held = troubles.iter().any(|t| t.holds);
            let found: Vec<&str> = troubles.iter().map(|t| t.sentence.trim_end_matches('.')).collect();
            (if held { Verdict::Held } else { Verdict::Warned }, found.join(". "), troubles)
        }
    };
    Some(Check { name: rule.name, answer, found, source: rule.source, troubles })
}

/// What a run that moves the pool tells before the point of no return: what will hurt a later step.
pub(crate) fn warnings(pool: &Pool, facts: &Facts, now: Timestamp) -> Vec<Trouble> {
    let seen = seen(pool, facts, now);
    let troubles = RULES.iter().filter(|rule| rule.warns).flat_map(|rule| match (rule.find)(&seen) {
        Found::Wrong(troubles) => troubles,
        _ => Vec::new(),
    });
    // That a job is gone is told by the plan itself.
    let own = |trouble: &Trouble| !trouble.holds && trouble.reason != Reason::LogShippingIncomplete;
    troubles.filter(own).collect()
}

/// What would leave users without their service behind the point of no return.
pub(crate) fn hazards(pool: &Pool, facts: &Facts, now: Timestamp) -> Vec<Hazard> {
    let seen = seen(pool, facts, now);
    let troubles = [shell, cmdlets, chat_servers].into_iter().flat_map(|find| match find(&seen) {
        Found::Wrong(troubles) => troubles,
        _ => Vec::new(),
    });
    let held = troubles.filter(|trouble| trouble.holds).map(|trouble| Hazard {
        reason: trouble.reason,
        subject: trouble.subject,
        lsn: None,
        fork: None,
        sentence: trouble.sentence,
    });
    held.collect()
}

/// What helps against a hazard of [`hazards`].
pub(crate) fn remedy(pool: &Pool, reason: Reason) -> Option<String> {
    Some(match reason {
        Reason::PoolUnknown => format!(
            "Correct pool.fqdn in the manifest ({}), or give the account of the management shell a role whose scope holds this pool; the \
             run goes on by itself.",
            pool.fqdn
        ),
        Reason::CmdletMissing => {
            "Give the account of the management shell a role, or its session configuration a capability, that offers the cmdlet; the \
             run goes on by itself."
                .into()
        }
        Reason::ChatServersUnknown => {
            "Correct backup.chatServers in the manifest, or bring the server into the topology (Topology Builder, Enable-CsTopology); \
             the run goes on by itself."
                .into()
        }
        _ => return None,
    })
}

fn home(seen: &Seen<'_>) -> Found {
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

fn shipped_copy(seen: &Seen<'_>) -> Found {
    let Ok((state, db)) = &seen.home else { return Found::Idle };
    let open = crate::ownership::open(state);
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
            format!("Initialise log shipping of {} there again.", db.name),
        ),
        (Copy::Unjudged, _) => {
            return Found::Unknown(format!("what {} on {} is was not looked at yet", db.name, seen.here));
        }
        (Copy::Recovering, _) => {
            return Found::Unknown(format!("{} on {} is being recovered", db.name, seen.here));
        }
        (Copy::Vouched | Copy::Delivered | Copy::Proved | Copy::Unproved(_), _) => (
            format!("{} on {} is ONLINE, so log shipping can't go on", db.name, seen.here),
            "Initialise it again before it is needed.".to_owned(),
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

fn log_shipping(seen: &Seen<'_>) -> Found {
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
    let ours = crate::ownership::open(state).is_some();
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
            troubles.push(trouble(&job.name, sentence, String::new()).advised(
                "See what it waits for; if that does not come, end it.",
                advice::stop_job(here, &job.name),
                "It begins again by its schedule.",
            ));
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

fn agents(seen: &Seen<'_>) -> Found {
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

/// The declared instances whose state is known.
fn instances<'a>(seen: &Seen<'a>) -> impl Iterator<Item = (InstanceId, String, &'a InstanceState)> {
    let (pool, facts) = (seen.pool, seen.facts);
    pool.instances().filter_map(move |id| {
        let far = facts.instances.get(&id).filter(|far| far.contact == Contact::Answers)?;
        Some((id, instance(pool, id), far.state.value()?))
    })
}

fn backups(seen: &Seen<'_>) -> Found {
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

fn shell(seen: &Seen<'_>) -> Found {
    let shell = &seen.facts.shell;
    let fqdn = &seen.pool.fqdn;
    if let (Contact::Answers, Some(others)) = (&shell.contact, &shell.other_pools) {
        let known = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        return Found::Wrong(vec![Trouble {
            reason: Reason::PoolUnknown,
            subject: fqdn.to_lowercase(),
            sentence: format!(
                "the management shell knows no pool {fqdn} (it knows: {known}), so the pool can't be told which database and which \
                 servers to use: nobody is served behind RecoverDatabase"
            ),
            remedy: remedy(seen.pool, Reason::PoolUnknown).unwrap_or_default(),
            advice: Vec::new(),
            holds: true,
        }]);
    }
    let why = match (&shell.contact, shell.pool_state.why()) {
        (Contact::Answers, None) if shell.pool_state.value().is_some() => {
            return Found::Fine(format!("answers, and knows pool {fqdn}"));
        }
        (Contact::Answers, None) | (Contact::Pending { .. }, _) => {
            return Found::Unknown("it was not asked yet".into());
        }
        (Contact::Answers, Some(why)) => why,
        (Contact::Silent { detail, .. } | Contact::Unusable { detail } | Contact::Denied { detail }, _) => {
            detail
        }
    };
    Found::Wrong(vec![Trouble {
        reason: Reason::ManagementShellUnavailable,
        subject: "managementShell".into(),
        sentence: format!(
            "the management shell can't be asked about pool {fqdn} ({}): a failover recovers the database, and the pool is told when \
             the shell answers",
            why.trim_end_matches('.')
        ),
        remedy: "Make it reachable, or point managementShell.uri at another Front End.".into(),
        advice: Vec::new(),
        holds: false,
    }])
}

fn cmdlets(seen: &Seen<'_>) -> Found {
    let shell = &seen.facts.shell;
    // Before the first answer there is nothing to be said of it.
    if shell.contact != Contact::Answers || shell.pool_state.is_pending() {
        return Found::Idle;
    }
    let mirrored = seen.pool.instance(BACKUP_MIRROR).is_some();
    let wanted = NEEDED.iter().copied().chain(mirrored.then_some(SEEDS_MIRROR));
    let (mut troubles, mut unknown) = (Vec::new(), Vec::new());
    for cmdlet in wanted {
        let holds = cmdlet != SEEDS_MIRROR;
        match shell.cmdlets.get(cmdlet) {
            Some(true) => {}
            None => unknown.push(cmdlet),
            Some(false) => troubles.push(Trouble {
                reason: Reason::CmdletMissing,
                subject: cmdlet.to_owned(),
                sentence: match holds {
                    true => format!(
                        "the management shell does not offer {cmdlet} to this account: nobody is served behind RecoverDatabase"
                    ),
                    false => format!(
                        "the management shell does not offer {cmdlet} to this account: the recovered database gets no mirror"
                    ),
                },
                remedy: remedy(seen.pool, Reason::CmdletMissing).unwrap_or_default(),
                advice: Vec::new(),
                holds,
            }),
        }
    }
    match (troubles.is_empty(), unknown.is_empty()) {
        (false, _) => Found::Wrong(troubles),
        (true, false) => Found::Unknown(format!("whether {} is offered is not known", unknown.join(", "))),
        (true, true) => Found::Fine("the endpoint offers all that a failover needs".into()),
    }
}

fn chat_servers(seen: &Seen<'_>) -> Found {
    let shell = &seen.facts.shell;
    let Some(servers) = shell.servers.value() else {
        return Found::Unknown(shell.servers.why().unwrap_or("the servers were not read").to_owned());
    };
    let known: Vec<&str> = servers.active.iter().chain(&servers.inactive).map(String::as_str).collect();
    // A pool without any server is no answer to the question.
    if known.is_empty() {
        return Found::Unknown(format!("the topology names no chat server of pool {}", seen.pool.fqdn));
    }
    let declared = &seen.pool.backup.active_servers;
    let strangers =
        declared.iter().filter(|server| !known.iter().any(|known| known.eq_ignore_ascii_case(server)));
    let troubles = strangers.map(|server| Trouble {
        reason: Reason::ChatServersUnknown,
        subject: server.to_lowercase(),
        sentence: format!(
            "chat server {server} is declared for {}, and the topology of pool {} does not know it (it knows {}), so the list of active \
             servers can't be set: nobody is served behind RecoverDatabase",
            seen.pool.backup.name,
            seen.pool.fqdn,
            known.join(", ")
        ),
        remedy: remedy(seen.pool, Reason::ChatServersUnknown).unwrap_or_default(),
        advice: Vec::new(),
        holds: true,
    });
    Found::of(troubles.collect(), || format!("the topology knows {}", declared.join(", ")))
}

fn store(seen: &Seen<'_>) -> Found {
    match (seen.facts.shell.store_writable.value(), seen.facts.shell.store_writable.why()) {
        (Some(Ok(())), _) => Found::Fine("can be written".into()),
        (Some(Err(why)), _) => {
            let trouble = Trouble {
                reason: Reason::CentralManagementUnavailable,
                subject: "store".into(),
                sentence: format!(
                    "it can't be written ({}): a failover recovers the database, then the pool can't be told",
                    why.trim_end_matches('.')
                ),
                remedy: String::new(),
                advice: Vec::new(),
                holds: false,
            };
            let advice = advice::move_management_store();
            Found::Wrong(vec![trouble.advised("Move it first.", advice, STORE_PLACE)])
        }
        (None, why) => Found::Unknown(why.unwrap_or("it was not tried").to_owned()),
    }
}

fn mirror(seen: &Seen<'_>) -> Found {
    if seen.pool.instance(BACKUP_MIRROR).is_none() {
        return Found::Idle;
    }
    let name = instance(seen.pool, BACKUP_MIRROR);
    let trouble = |reason, sentence, remedy| Trouble {
        reason,
        subject: name.to_lowercase(),
        sentence,
        remedy,
        advice: Vec::new(),
        holds: false,
    };
    let Some(far) = seen.facts.instances.get(&BACKUP_MIRROR) else {
        return Found::Unknown(format!("{name} was not looked at yet"));
    };
    let state = match (&far.contact, far.state.value()) {
        (Contact::Answers, Some(state)) => state,
        (Contact::Pending { .. }, _) => return Found::Unknown(format!("{name} was not looked at yet")),
        (Contact::Answers, None) => {
            return Found::Unknown(format!(
                "{name}: {}",
                far.state.why().unwrap_or("its state was not read")
            ));
        }
        (Contact::Silent { detail, .. } | Contact::Unusable { detail } | Contact::Denied { detail }, _) => {
            return Found::Wrong(vec![trouble(
                Reason::MirrorUnavailable,
                format!(
                    "{name} can't be asked ({}): after a failover {} has no mirror",
                    detail.trim_end_matches('.'),
                    seen.pool.database
                ),
                "Bring it back before it is needed.".into(),
            )]);
        }
    };
    // The mirror of the recovered copy itself is no leftover.
    let ours = seen.home.as_ref().is_ok_and(|(_, db)| db.mirroring.is_some());
    match state.database.as_ref().filter(|_| !ours) {
        None => Found::Fine(format!("{name} answers, and holds no other {}", seen.pool.database)),
        Some(left) => {
            let sentence = format!(
                "a database {} stands on {name} ({}), and is not a mirror of {}: the recovered database can't be mirrored there while it does",
                left.name,
                state_word(left),
                seen.here
            );
            let session =
                "It takes part in a mirroring session: find its partner before anything is taken away.";
            let leftover = trouble(Reason::MirrorLeftover, sentence, session.into());
            Found::Wrong(vec![match left.mirroring {
                Some(_) => leftover,
                None => leftover.advised(
                    "Find out what it is; where nothing in it is needed, take it away there.",
                    advice::drop_leftover(&name, &left.name),
                    "Error 3702 says that somebody uses it: then it is no leftover.",
                ),
            }])
        }
    }
}

fn endpoints(seen: &Seen<'_>) -> Found {
    if seen.pool.instance(BACKUP_MIRROR).is_none() {
        return Found::Idle;
    }
    let (mut troubles, mut fine, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for partner in [Partner::Database, Partner::Mirror] {
        let id = InstanceId::new(Side::Backup, partner);
        let Some((_, name, state)) = instances(seen).find(|(found, ..)| *found == id) else {
            unknown.push(instance(seen.pool, id));
            continue;
        };
        let (what, before, advice, after) = match &state.endpoint {
            Endpoint::Started(_) => {
                fine.push(name);
                continue;
            }
            Endpoint::Unknown => {
                unknown.push(name);
                continue;
            }
            Endpoint::Missing => (
                format!("{name} has no database mirroring endpoint"),
                "Create one there, with the port that the topology names for mirroring.",
                advice::create_endpoint(&name),
                "Where the partners run under different accounts, each account needs CONNECT on the other's endpoint.",
            ),
            Endpoint::NotStarted(endpoint, state) => (
                format!("the database mirroring endpoint {endpoint} on {name} is {state}"),
                "Start it.",
                advice::start_endpoint(&name, endpoint),
                "It listens from then on.",
            ),
            Endpoint::WitnessOnly(endpoint) => (
                format!(
                    "the database mirroring endpoint {endpoint} on {name} takes the part of a witness only"
                ),
                "Let it take that of a partner as well.",
                advice::open_endpoint_to_partners(&name, endpoint),
                "It goes on as a witness's too.",
            ),
        };
        let trouble = Trouble {
            reason: Reason::MirrorEndpointUnusable,
            subject: instance(seen.pool, id).to_lowercase(),
            sentence: format!("{what}: after a failover {} can't be mirrored", seen.pool.database),
            remedy: String::new(),
            advice: Vec::new(),
            holds: false,
        };
        troubles.push(trouble.advised(before, advice, after));
    }
    match (troubles.is_empty(), unknown.is_empty()) {
        (false, _) => Found::Wrong(troubles),
        (true, false) => {
            Found::Unknown(format!("the endpoint of {} could not be seen", unknown.join(" and ")))
        }
        (true, true) => Found::Fine(format!("started on {}", fine.join(" and "))),
    }
}

fn seed_share(seen: &Seen<'_>) -> Found {
    match (seen.pool.instance(BACKUP_MIRROR), &seen.pool.seed_share) {
        (None, _) => Found::Idle,
        (_, Some(share)) => Found::Fine(format!("{share} is declared")),
        (Some(_), None) => Found::Wrong(vec![Trouble {
            reason: Reason::MirrorShareNeeded,
            subject: "mirroring.seedShare".into(),
            sentence: format!(
                "a mirror is declared for {}, and no share through which it could be seeded: after a failover {} has no mirror",
                seen.pool.backup.name, seen.pool.database
            ),
            remedy: format!(
                "Declare mirroring.seedShare, a share that {} and {} can write and read.",
                seen.here,
                instance(seen.pool, BACKUP_MIRROR)
            ),
            advice: Vec::new(),
            holds: false,
        }]),
    }
}
