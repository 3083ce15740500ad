//! One look at the management shell: state and servers of the pool, replication, and whether the Central
//! Management Store can be written. One session for all looks; a look may be for a part only, and then the rest is what
//! an earlier look told, with its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::facts::{Contact, Fact, PoolState, Servers, ShellFacts};
use pchat_planner::pool::Pool;
use pchat_planner::readiness::{NEEDED, SEEDS_MIRROR};
use pchat_psrp::{Command, Outcome, Session, Value};
use tokio::time::Instant;

use super::{IDLE, READING, Shell, Trouble, cmdlets, remedy};
use crate::observe::background::Tell;
use crate::observe::probe::{Reached, Series};
use crate::sql::target::Deadlines;

/// A look at everything is made at least this often, whatever part is wanted.
const WHOLE_EVERY: Duration = Duration::from_secs(30);

/// What a look is for. Each cmdlet takes up to seconds on a real site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// The pool's state.
    PoolState,
    /// The chat servers and what is replicated to them.
    Servers,
}

/// What a series of looks keeps.
#[derive(Debug, Default)]
pub struct Memory {
    series: Series,
    session: Option<(Session, Instant)>,
    /// What that session offers, once it was asked: that is settled when it is opened.
    offered: Option<BTreeMap<String, bool>>,
    /// The latest facts, and when the last look at everything ended.
    last: Option<(ShellFacts, Instant)>,
}

impl Memory {
    /// Closes the session that the last look left. An abandoned one lives on at the far end until its idle
    /// time is over.
    pub async fn close(&mut self, shell: &Shell, within: Duration) {
        if let Some((session, _)) = self.session.take() {
            shell.close(session, within).await;
        }
    }

    /// Closes the connection; the session stays.
    pub fn hang_up(&mut self) {
        if let Some((session, _)) = &mut self.session {
            session.hang_up();
        }
    }
}

impl Shell {
    /// Looks once.
    pub async fn look(
        &self,
        pool: &Pool,
        deadlines: &Deadlines,
        part: Part,
        memory: &mut Memory,
        at: Timestamp,
        tell: &Tell<'_, ShellFacts>,
    ) -> ShellFacts {
        let fresh = memory.session.as_ref().is_some_and(|(_, used)| used.elapsed() < IDLE);
        if !fresh {
            memory.close(self, deadlines.connect).await;
        }
        // A kept session may have died since, which proves nothing: then a new one is asked.
        if let Some((session, _)) = memory.session.take()
            && let Some(facts) =
                self.look_through((session, false), pool, deadlines, part, memory, at, tell).await
        {
            return facts;
        }
        memory.offered = None;
        let opened = self.open(deadlines.connect, deadlines.cmdlet).await;
        let trouble = match opened {
            Ok(session) => {
                match self.look_through((session, true), pool, deadlines, part, memory, at, tell).await {
                    Some(facts) => return facts,
                    None => Trouble::Unusable(format!("{} breaks its sessions.", self.display())),
                }
            }
            Err(trouble) => trouble,
        };
        let reached = match &trouble {
            Trouble::Silent(detail) => Reached::Silent(detail.clone()),
            Trouble::Unusable(detail) | Trouble::Unknown(detail) => Reached::Unusable(detail.clone()),
        };
        memory.last = None;
        ShellFacts { contact: memory.series.contact(at, &reached), ..self.unknown(trouble.detail(), at) }
    }

    /// `None`: a session that is not new broke at the first question. What is known is told before the next cmdlet: each takes its time, and one
    /// may hang.
    #[allow(clippy::too_many_arguments)]
    async fn look_through(
        &self,
        (mut session, new): (Session, bool),
        pool: &Pool,
        deadlines: &Deadlines,
        part: Part,
        memory: &mut Memory,
        at: Timestamp,
        tell: &Tell<'_, ShellFacts>,
    ) -> Option<ShellFacts> {
        let begun = Instant::now();
        let offered = memory.offered.take();
        let mut settled = offered.is_some();
        let mut asking = Asking {
            session: &mut session,
            deadlines,
            at,
            shell: self,
            offered: offered.unwrap_or_default(),
            other_pools: None,
            broken: false,
        };
        // What an earlier look told stands, with its time, until this one tells it anew.
        let (mut facts, mut whole) = match memory.last.take() {
            Some((facts, whole)) if part != Part::All && whole.elapsed() < WHOLE_EVERY => {
                (facts, Some(whole))
            }
            Some((facts, _)) => (facts, None),
            None => (self.pending(at), None),
        };
        facts.contact = Contact::Answers;
        if whole.is_none() || part == Part::PoolState {
            facts.pool_state = asking.pool_state(pool).await;
            facts.other_pools = asking.other_pools.take();
            if asking.broken {
                // A session may have died while it was kept. One that says nothing for so long hangs, and the next one would, too.
                if !new && begun.elapsed() < deadlines.cmdlet.min(READING) {
                    return None;
                }
                let why = facts.pool_state.why().unwrap_or_default().to_owned();
                let contact = memory.series.contact(at, &Reached::Unusable(why.clone()));
                return Some(ShellFacts { contact, ..self.unknown(&why, at) });
            }
            tell(facts.clone());
        }
        if whole.is_none() || part == Part::Servers {
            facts.servers = asking.servers(pool).await;
            if asking.broken && whole.is_some() {
                return None;
            }
            tell(facts.clone());
            facts.replicated = asking.replicated(pool).await;
            tell(facts.clone());
        }
        if whole.is_none() {
            facts.store_writable = asking.store_writable(facts.pool_state.value()).await;
            if !settled && !asking.broken {
                settled = asking.offers(facts.servers.value()).await;
            }
            facts.cmdlets.clone_from(&asking.offered);
        }
        let whole = *whole.get_or_insert_with(Instant::now);
        // A right that is given counts for sessions that are opened after it.
        let lacks = NEEDED.iter().any(|cmdlet| asking.offered.get(*cmdlet) == Some(&false));
        let Asking { offered, broken, .. } = asking;
        if !broken && lacks {
            self.close(session, deadlines.connect).await;
        } else if !broken {
            memory.offered = settled.then_some(offered);
            memory.session = Some((session, Instant::now()));
            memory.last = Some((facts.clone(), whole));
        }
        facts.contact = memory.series.contact(at, &Reached::Answers);
        Some(facts)
    }

    /// It is being asked.
    pub fn pending(&self, since: Timestamp) -> ShellFacts {
        fn pending<T>(source: String, since: Timestamp) -> Fact<T> {
            Fact::Pending { source, since }
        }
        ShellFacts {
            contact: Contact::Pending { since },
            pool_state: pending(self.display(), since),
            servers: pending(self.display(), since),
            replicated: pending(self.display(), since),
            store_writable: pending(self.display(), since),
            cmdlets: BTreeMap::new(),
            other_pools: None,
        }
    }

    /// Nothing is known, for this reason.
    pub fn unknown(&self, why: &str, at: Timestamp) -> ShellFacts {
        fn unknown<T>(why: &str, source: String, at: Timestamp) -> Fact<T> {
            Fact::Unknown { why: why.to_owned(), source, at }
        }
        let contact = Contact::Unusable { detail: why.to_owned() };
        ShellFacts {
            contact,
            pool_state: unknown(why, self.display(), at),
            servers: unknown(why, self.display(), at),
            replicated: unknown(why, self.display(), at),
            store_writable: unknown(why, self.display(), at),
            cmdlets: BTreeMap::new(),
            other_pools: None,
        }
    }
}

struct Asking<'a> {
    session: &'a mut Session,
    deadlines: &'a Deadlines,
    at: Timestamp,
    shell: &'a Shell,
    /// What the answers tell of the cmdlets that are offered.
    offered: BTreeMap<String, bool>,
    /// See [`ShellFacts::other_pools`].
    other_pools: Option<Vec<String>>,
    /// The session can't be used any more.
    broken: bool,
}

impl Asking<'_> {
    async fn ask(&mut self, command: &Command) -> Result<Outcome, String> {
        let outcome = self.shell.run(self.session, command, self.deadlines.cmdlet.min(READING)).await;
        let outcome = outcome.map_err(|trouble| {
            self.broken = true;
            trouble.detail().to_owned()
        })?;
        let failed = self.shell.failure(&command.name, &outcome);
        // Whatever else is wrong with a call: a cmdlet that answers is offered.
        let found = failed.as_ref().is_none_or(|(id, _)| !is_not_found(id));
        self.offered.insert(command.name.clone(), found);
        match failed {
            None => Ok(outcome),
            Some((id, what)) => Err(format!("{what} {}", remedy(&id, &what))),
        }
    }

    /// Which of the cmdlets that change something are offered. `Get-Command` tells of all without calling any; where it is not
    /// offered itself, only those are known that can be tried. What a list leaves out proves nothing unless it holds a cmdlet that
    /// has answered.
    ///
    /// Whether that settles it for this session.
    async fn offers(&mut self, servers: Option<&Servers>) -> bool {
        let wanted: Vec<&str> = NEEDED.iter().chain(&[SEEDS_MIRROR]).copied().collect();
        let listed = self.shell.run(self.session, &cmdlets::find(&wanted), self.deadlines.cmdlet).await;
        let listed: BTreeSet<String> = match listed {
            Ok(outcome) => outcome.output.iter().filter_map(named).collect(),
            Err(_) => {
                self.broken = true;
                return false;
            }
        };
        let proved = self.offered.iter().any(|(name, found)| *found && listed.contains(&name.to_lowercase()));
        if proved {
            for name in wanted {
                self.offered.entry(name.to_owned()).or_insert(listed.contains(&name.to_lowercase()));
            }
            return true;
        }
        if let Some(servers) = servers {
            // The list that it has already: should an endpoint make nothing of -WhatIf, nothing is changed all the same.
            let _ = self.ask(&cmdlets::try_active(&servers.identity, &servers.active)).await;
        }
        servers.is_some()
    }

    fn fact<T>(&self, command: &str, read: Result<T, String>) -> Fact<T> {
        let source = format!("{command} on {}", self.shell.host);
        match read {
            Ok(value) => Fact::Known { value, source, at: self.at },
            Err(why) => Fact::Unknown { why, source, at: self.at },
        }
    }

    async fn pool_state(&mut self, pool: &Pool) -> Fact<(String, PoolState)> {
        let command = cmdlets::get_state();
        let read = self.ask(&command).await.and_then(|outcome| {
            read_state(&outcome.output, &pool.fqdn).unwrap_or_else(|others| {
                let known = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
                self.other_pools = Some(others);
                Err(format!(
                    "the shell knows no pool {} (it knows: {known}). Check its FQDN in the manifest.",
                    pool.fqdn
                ))
            })
        });
        self.fact(&command.name, read)
    }

    async fn servers(&mut self, pool: &Pool) -> Fact<Servers> {
        let command = cmdlets::get_service(&pool.fqdn);
        let read = self.ask(&command).await.and_then(|outcome| read_servers(&outcome.output, &pool.fqdn));
        self.fact(&command.name, read)
    }

    async fn replicated(&mut self, pool: &Pool) -> Fact<BTreeMap<String, bool>> {
        let declared: BTreeSet<String> = [&pool.primary, &pool.backup]
            .into_iter()
            .flat_map(|site| site.active_servers.iter().map(|s| s.to_lowercase()))
            .collect();
        let read = match self.ask(&cmdlets::replication(None)).await {
            Ok(outcome) => match read_replicas(&outcome.output) {
                Some(all) => Ok(all.into_iter().filter(|(server, _)| declared.contains(server)).collect()),
                None => self.one_by_one(pool, declared).await,
            },
            Err(why) => Err(why),
        };
        self.fact("Get-CsManagementStoreReplicationStatus", read)
    }

    /// Where the list does not name its replicas. A server of the other side that the store does not know
    /// must not hide the others.
    async fn one_by_one(
        &mut self,
        pool: &Pool,
        declared: BTreeSet<String>,
    ) -> Result<BTreeMap<String, bool>, String> {
        let mut map = BTreeMap::new();
        for server in declared {
            let outcome = self.ask(&cmdlets::replication(Some(&server))).await;
            match outcome.and_then(|o| read_replica(&o.output, &server)) {
                Ok(up_to_date) => {
                    map.insert(server, up_to_date);
                }
                Err(why) if pool.backup.active_servers.iter().any(|s| s.to_lowercase() == server) => {
                    return Err(why);
                }
                Err(_) => {}
            }
        }
        Ok(map)
    }

    /// What the store and the connection to it say of themselves, and then a change that is only tried. A
    /// constrained endpoint need not offer the first two.
    async fn store_writable(&mut self, state: Option<&(String, PoolState)>) -> Fact<Result<(), String>> {
        let mut answer = Ok(());
        for (command, refuses) in [
            (cmdlets::store_status(), no_master as fn(&Value) -> Option<String>),
            (cmdlets::store_connection(), read_only),
        ] {
            let told = match self.ask(&command).await {
                Ok(outcome) => outcome.output.iter().find_map(refuses).map_or(Ok(()), Err),
                Err(why) if why.to_lowercase().contains("commandnotfound") => Ok(()),
                Err(why) => Err(why),
            };
            answer = answer.and(told);
        }
        let mut tried = state.is_some();
        if let (Ok(()), Some((identity, state))) = (&answer, state) {
            let command = cmdlets::try_state(identity, *state);
            let told = self.ask(&command).await.map(|_| ());
            // That it is not offered says nothing of the store.
            tried = self.offered.get(&command.name) != Some(&false);
            if tried {
                answer = told;
            }
        }
        let read = if state.is_some() && !tried && answer.is_ok() {
            Err("the endpoint does not offer Set-CsPersistentChatState, so writing could not be tried"
                .to_owned())
        } else if state.is_none() && answer.is_ok() {
            Err("the pool's state could not be read, so writing it could not be tried".to_owned())
        } else {
            Ok(answer)
        };
        self.fact("Set-CsPersistentChatState -WhatIf", read)
    }
}

fn is_not_found(id: &str) -> bool {
    id.to_lowercase().contains("commandnotfound")
}

/// The name of a command in a list of them, in lower case.
fn named(command: &Value) -> Option<String> {
    let name = command.property("Name").map_or_else(|| command.text(), Value::text);
    Some(name.trim().to_lowercase()).filter(|name| !name.is_empty())
}

fn no_master(status: &Value) -> Option<String> {
    let master = status.property("ActiveMasterFqdn")?;
    let none = master.text().trim().is_empty();
    none.then(|| "the Central Management Store has no active master".to_owned())
}

fn read_only(connection: &Value) -> Option<String> {
    let read_only = connection.property("ReadOnly")?.as_bool()?;
    let server = connection.property("SqlServer").map(Value::text).unwrap_or_default();
    read_only.then(|| format!("the Central Management Store on {server} can only be read"))
}

/// `PersistentChatServer:fqdn`, `service:fqdn` and longer forms end with the pool's name.
fn is_pool(identity: &str, fqdn: &str) -> bool {
    identity.rsplit(':').next().is_some_and(|last| last.trim().eq_ignore_ascii_case(fqdn))
}

fn property(object: &Value, name: &str) -> Result<String, String> {
    let value = object.property(name).filter(|v| !matches!(v, Value::Null));
    value.map(Value::text).ok_or_else(|| format!("the answer has no property {name}"))
}

/// The pool's state, or why it can't be read; the outer `Err`: the pool is not among these, which are all.
fn read_state(output: &[Value], fqdn: &str) -> Result<Result<(String, PoolState), String>, Vec<String>> {
    let (mut names, mut nameless) = (Vec::new(), false);
    for object in output {
        let Ok(identity) = property(object, "Identity") else {
            nameless = true;
            continue;
        };
        if is_pool(&identity, fqdn) {
            return Ok(property(object, "PoolState").and_then(|state| match state.as_str() {
                "Normal" => Ok((identity, PoolState::Normal)),
                "FailedOver" => Ok((identity, PoolState::FailedOver)),
                other => Err(format!("{identity} is in the unknown state {other}")),
            }));
        }
        names.push(identity);
    }
    if nameless {
        return Ok(Err(format!(
            "the shell tells of a pool without Identity, which may be {fqdn}, beside {}",
            if names.is_empty() { "no other".to_owned() } else { names.join(", ") }
        )));
    }
    Err(names)
}

fn read_servers(output: &[Value], fqdn: &str) -> Result<Servers, String> {
    let object = output
        .iter()
        .find(|o| property(o, "Identity").is_ok_and(|identity| is_pool(&identity, fqdn)))
        .ok_or_else(|| {
            format!("the topology has no Persistent Chat pool {fqdn}. Check its FQDN in the manifest.")
        })?;
    let list = |name: &str| -> Result<Vec<String>, String> {
        let value = object.property(name).ok_or_else(|| format!("the answer has no property {name}"))?;
        Ok(match (value.items(), value) {
            (Some(items), _) => items.iter().map(|i| i.text().to_lowercase()).collect(),
            (None, Value::Null) => Vec::new(),
            // A list of one is told as its only member.
            (None, one) => vec![one.text().to_lowercase()],
        })
    };
    Ok(Servers {
        identity: property(object, "Identity")?,
        active: list("ActiveServers")?,
        inactive: list("InactiveServers")?,
    })
}

/// Every replica by its server's name in lower case; `None` if one has no name.
fn read_replicas(output: &[Value]) -> Option<BTreeMap<String, bool>> {
    let mut map = BTreeMap::new();
    for object in output {
        let name = property(object, "ReplicaFqdn").ok()?.to_lowercase();
        let up_to_date = object.property("UpToDate")?.as_bool()?;
        map.entry(name).and_modify(|all: &mut bool| *all &= up_to_date).or_insert(up_to_date);
    }
    Some(map)
}

fn read_replica(output: &[Value], server: &str) -> Result<bool, String> {
    let up_to_date = output.iter().filter_map(|o| o.property("UpToDate")).filter_map(Value::as_bool);
    // Whoever is named twice is up to date when every entry is.
    up_to_date
        .reduce(|a, b| a && b)
        .ok_or_else(|| format!("the store tells nothing of the replica of {server}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pchat_psrp::Object;

    fn object(properties: Vec<(&str, Value)>) -> Value {
        Value::Object(Box::new(Object::net(&["Deserialized.X"], "X", properties)))
    }

    fn text(s: &str) -> Value {
        Value::String(s.to_owned())
    }

    #[test]
    fn the_pool_is_found_by_its_name_in_every_documented_form_of_identity() {
        for identity in [
            "PersistentChatServer:chat.contoso.com",
            "service:PersistentChatServer:Chat.contoso.com",
            "service: chat.contoso.com",
        ] {
            let output = [
                object(vec![
                    ("Identity", text("PersistentChatServer:chat.contoso.com.evil")),
                    ("PoolState", text("Normal")),
                ]),
                object(vec![
                    ("Identity", text(identity)),
                    ("PoolState", Value::enumeration("PoolState", "FailedOver", 1)),
                ]),
            ];
            assert_eq!(
                read_state(&output, "chat.contoso.com"),
                Ok(Ok((identity.to_owned(), PoolState::FailedOver)))
            );
        }
        assert_eq!(read_state(&[], "chat.contoso.com"), Err(Vec::new()));
    }

    #[test]
    fn servers_are_read_from_a_list_a_single_name_and_nothing() {
        let list = Value::array(vec![text("PC-KS1.contoso.com"), text("pc-ks2.contoso.com")]);
        for (active, expected) in [(list, 2), (text("pc-ks1.contoso.com"), 1), (Value::Null, 0)] {
            let output = [object(vec![
                ("Identity", text("PersistentChatServer:chat.contoso.com")),
                ("ActiveServers", active),
                ("InactiveServers", Value::Null),
            ])];
            let servers = read_servers(&output, "chat.contoso.com").unwrap();
            assert_eq!(servers.active.len(), expected);
            assert!(servers.active.iter().all(|s| *s == s.to_lowercase()));
        }
    }

    #[test]
    fn a_missing_property_is_unknown_and_not_an_empty_list() {
        let output = [object(vec![("Identity", text("PersistentChatServer:chat.contoso.com"))])];
        assert!(read_servers(&output, "chat.contoso.com").is_err());
        assert!(read_replica(&output, "pc-ks1").is_err());
    }
}
