//! What a failover to the backup side needs beside a dead primary side, held against what was seen: named checks, for a calm week
//! and for the moments before the point of no return.
//!
//! Each check has a name, an answer, a source and, where something is wrong, a remedy. What would leave users without their
//! service behind the point of no return holds `RecoverDatabase` up, as a hazard that a person may accept. What only hurts a later
//! step is told, and holds nothing up; nor does a management shell that can't be asked. Nothing here decides whether a failover may
//! be forced: that is [`policy`](crate::transition::table).

mod mirror;
mod shell;
mod shipping;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::judge::other_side::OtherSide;
use crate::judge::{identity, ownership};
use crate::model::advice::Advice;
use crate::model::facts::{Contact, Database, Facts, InstanceState};
use crate::model::plan::{Hazard, Next, Reason};
use crate::model::pool::{BACKUP, InstanceId, Pool, Side};
use crate::say::advice;
use crate::words::instance;

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
    /// Whether it is not known which server is which: then nothing is to be typed.
    clash: bool,
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
    Rule { name: "Backup instance", source: "login, IS_SRVROLEMEMBER, journal", warns: false, find: shipping::home },
    Rule { name: "Copy", source: "sys.databases, sys.master_files", warns: false, find: shipping::shipped_copy },
    Rule { name: "Log shipping", source: "msdb", warns: true, find: shipping::log_shipping },
    Rule { name: "SQL Server Agent", source: "sys.sysprocesses", warns: true, find: shipping::agents },
    Rule { name: "Log backups", source: "xp_dirtree, RESTORE HEADERONLY", warns: false, find: shipping::backups },
    Rule { name: "Management shell", source: "Get-CsPersistentChatState", warns: false, find: shell::shell },
    Rule { name: "Cmdlets", source: "Get-Command", warns: true, find: shell::cmdlets },
    Rule { name: "Chat servers", source: "Get-CsService", warns: false, find: shell::chat_servers },
    Rule { name: "Central Management Store", source: "Set-CsPersistentChatState -WhatIf", warns: false, find: shell::store },
    Rule { name: "Mirror", source: "sys.databases on the mirror instance", warns: true, find: mirror::mirror },
    Rule { name: "Mirroring endpoints", source: "sys.database_mirroring_endpoints", warns: true, find: mirror::endpoints },
    Rule { name: "Share for seeding", source: "manifest", warns: true, find: mirror::seed_share },
];

impl Seen<'_> {
    fn primary_serves(&self) -> bool {
        OtherSide::look(self.pool, self.facts, Side::Primary, self.now).serves.is_some()
    }

    /// A remedy that overwrites the copy: only while the other side is seen to serve, and nothing is under way. Otherwise the copy
    /// may be the last one.
    fn initialise_again(&self, remedy: &str) -> String {
        let open = self.home.as_ref().is_ok_and(|(state, _)| ownership::open(state).is_some());
        match self.primary_serves() && !open {
            true => remedy.to_owned(),
            false => "Restore nothing over it: it may be the last copy that there is.".to_owned(),
        }
    }
}

fn seen<'a>(pool: &'a Pool, facts: &'a Facts, now: Timestamp) -> Seen<'a> {
    Seen {
        pool,
        facts,
        now,
        here: instance(pool, BACKUP),
        clash: identity::clash(pool, facts).is_some(),
        home: crate::judge::home::home(pool, facts, now),
    }
}

/// Every check of a failover to the backup side, in order.
pub fn checks(pool: &Pool, facts: &Facts, now: Timestamp) -> Vec<Check> {
    let seen = seen(pool, facts, now);
    RULES.iter().filter_map(|rule| check(rule, &seen)).collect()
}

fn find(rule: &Rule, seen: &Seen<'_>) -> Found {
    let mut found = (rule.find)(seen);
    if let Found::Wrong(troubles) = &mut found
        && seen.clash
    {
        for trouble in troubles.iter_mut().filter(|trouble| !trouble.advice.is_empty()) {
            trouble.advice.clear();
            trouble.remedy = "First see to it that each declared name leads to its own server.".into();
        }
    }
    found
}

fn check(rule: &Rule, seen: &Seen<'_>) -> Option<Check> {
    let (answer, found, troubles) = match find(rule, seen) {
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
    let troubles = RULES.iter().filter(|rule| rule.warns).flat_map(|rule| match find(rule, &seen) {
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
    let troubles =
        [shell::shell, shell::cmdlets, shell::chat_servers].into_iter().flat_map(|find| match find(&seen) {
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

/// The declared instances whose state is known.
fn instances<'a>(seen: &Seen<'a>) -> impl Iterator<Item = (InstanceId, String, &'a InstanceState)> {
    let (pool, facts) = (seen.pool, seen.facts);
    pool.instances().filter_map(move |id| {
        let far = facts.instances.get(&id).filter(|far| far.contact == Contact::Answers)?;
        Some((id, instance(pool, id), far.state.value()?))
    })
}
