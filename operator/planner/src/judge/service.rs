//! What users get after the database is recovered: the list of active chat servers, and the database's new mirror.
//!
//! Judges only what was observed. Neither takes back that the pool serves: a list that is slow to replicate becomes a
//! warning.

use jiff::{SignedDuration, Timestamp};

use crate::judge::evidence::Evidence;
use crate::model::facts::{Contact, MirroringState, Role};
use crate::model::plan::StepId;
use crate::model::pool::BACKUP_MIRROR;
use crate::words::{after, few, instance};

/// How long a new mirroring session may take to synchronise before it is a stop.
pub const MIRROR_GRACE: SignedDuration = SignedDuration::from_mins(1);

/// What is known about the list of active chat servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    /// Not looked at yet.
    Unseen,
    /// Not known, and why.
    Unknown(String),
    /// Another list than the declared one; the present one in words.
    Differ(String),
    /// Set, but not yet everywhere; what is missing, and until when that is normal.
    Waiting(String, Timestamp),
    /// Set, but not everywhere after the deadline.
    Late(String),
    /// Set, replicated and used.
    Done,
}

/// What is known about the mirror of the recovered database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// The other end was not looked at yet.
    Unseen,
    /// The site has none by declaration.
    NotDeclared,
    /// Both ends (or the principal alone, while the mirror can't be asked) synchronise.
    Done,
    /// No session.
    Absent,
    /// Being seeded.
    Seeding(String),
    /// The mirror's instance can't be asked, and there is no session yet.
    Silent(String),
    /// There is a session that does not synchronise.
    Unhealthy(String),
}

impl Evidence<'_> {
    pub fn servers(&self) -> Servers {
        let shell = &self.facts.shell;
        if shell.servers.is_pending() {
            return Servers::Unseen;
        }
        let Some(servers) = shell.servers.value() else {
            return Servers::Unknown(shell.servers.why().unwrap_or("not read").to_owned());
        };
        let sorted = |list: &[String]| {
            let mut l: Vec<String> = list.iter().map(|s| s.to_lowercase()).collect();
            l.sort();
            l.dedup();
            l
        };
        let wanted = sorted(&self.pool.backup.active_servers);
        let active = sorted(&servers.active);
        if wanted != active {
            return Servers::Differ(if active.is_empty() { "none".into() } else { few(&active) });
        }
        let Some(open) = self.open else { return Servers::Done };
        if shell.replicated.is_pending() {
            return Servers::Unseen;
        }
        let mut missing = Vec::new();
        match shell.replicated.value() {
            None => missing
                .push(format!("replication is unknown: {}", shell.replicated.why().unwrap_or("not read"))),
            Some(map) => {
                let late: Vec<&String> = wanted.iter().filter(|s| map.get(*s) != Some(&true)).collect();
                if !late.is_empty() {
                    missing.push(format!("not replicated to {}", few(late)));
                }
            }
        }
        let unseen: Vec<&String> = wanted.iter().filter(|s| !self.connected(s)).collect();
        if !unseen.is_empty() {
            missing.push(format!("no session of {} on {}", few(unseen), self.db.name));
        }
        if missing.is_empty() {
            return Servers::Done;
        }
        let missing = missing.join("; ");
        // A run that did not set the list itself can only count from the start of the transition.
        let until = match self.asked(StepId::SetActiveServers) {
            Some(at) => after(at, self.pool.replication),
            None => self.here(after(open.opened, self.pool.replication)),
        };
        if until > self.now { Servers::Waiting(missing, until) } else { Servers::Late(missing) }
    }

    /// A moment of the far end's clock in the executor's.
    pub fn here(&self, far: Timestamp) -> Timestamp {
        after(self.now, far.duration_since(self.state.clock))
    }

    fn connected(&self, server: &str) -> bool {
        let short = server.split('.').next().unwrap_or(server);
        self.state.sessions.iter().any(|s| {
            let host = s.host.trim().to_lowercase();
            host == *server || host == short
        })
    }

    pub fn mirror(&self) -> Mirror {
        if self.pool.instance(BACKUP_MIRROR).is_none() {
            return Mirror::NotDeclared;
        }
        let name = instance(self.pool, BACKUP_MIRROR);
        let far = self.facts.instances.get(&BACKUP_MIRROR);
        if far.is_none_or(|f| matches!(f.contact, Contact::Pending { .. })) {
            return Mirror::Unseen;
        }
        let far_state = far.filter(|f| f.contact == Contact::Answers).and_then(|f| f.state.value());
        let healthy =
            |s: MirroringState| matches!(s, MirroringState::Synchronizing | MirroringState::Synchronized);
        match &self.db.mirroring {
            Some(m) if m.role == Role::Principal && healthy(m.state) => match far_state {
                None => Mirror::Done,
                Some(state) => match state.database.as_ref().and_then(|d| d.mirroring.as_ref()) {
                    Some(f) if healthy(f.state) && f.role == Role::Mirror => Mirror::Done,
                    Some(f) => Mirror::Unhealthy(format!("{name} sees its session as {}", f.state)),
                    None => Mirror::Unhealthy(format!("{name} knows of no session")),
                },
            },
            Some(m) => Mirror::Unhealthy(format!("the session to {name} is {}", m.state)),
            None => match (far, far_state) {
                (_, Some(state)) if state.restore.is_some() => {
                    Mirror::Seeding(format!("{name} is being seeded"))
                }
                (_, Some(_)) => Mirror::Absent,
                (Some(f), None) => Mirror::Silent(match &f.contact {
                    Contact::Silent { detail, .. } => format!("{name} does not answer: {detail}"),
                    Contact::Unusable { detail } | Contact::Denied { detail } => {
                        format!("{name} can't be asked: {detail}")
                    }
                    Contact::Answers | Contact::Pending { .. } => {
                        format!("{name}: {}", f.state.why().unwrap_or("its state was not read"))
                    }
                }),
                (None, None) => Mirror::Silent(format!("{name} was not looked at yet")),
            },
        }
    }
}
