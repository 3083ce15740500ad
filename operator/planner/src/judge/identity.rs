//! Who the declared servers are. Identity is what a server says of itself, not where it was reached.
//!
//! Two declared ends that are one server, and an end that is not the one that log shipping or mirroring knows, are named stops
//! before anything else: an answer would be taken for that of another server. An alias, a listener, a short or a full name is no
//! fault, and a server that does not tell its name is unknown, which is told and stops nothing.

use crate::judge::ownership;
use crate::model::advice::Advice;
use crate::model::facts::{Database, Facts, InstanceState, ServerNames};
use crate::model::journal::Phase;
use crate::model::plan::{Reason, StepId, Stop};
use crate::model::pool::{BACKUP, BACKUP_MIRROR, InstanceId, PRIMARY, PRIMARY_MIRROR, Partner, Pool, Side};
use crate::say::advice::{self, remedy};
use crate::say::stops::stop;
use crate::words::instance;

/// What stops before anything else, if anything: `Err` where the point of no return lies behind, and finishing harms less than
/// stopping. Then it is told.
pub(crate) fn clash(pool: &Pool, facts: &Facts) -> Option<Result<Stop, (Reason, String)>> {
    let stop = one_server(pool, facts).or_else(|| unknown_to_log_shipping(pool, facts)).or_else(|| {
        [
            (PRIMARY, PRIMARY_MIRROR),
            (PRIMARY_MIRROR, PRIMARY),
            // The other way round a session may be left from long ago, on a database that stands in the new mirror's way.
            (BACKUP, BACKUP_MIRROR),
        ]
        .into_iter()
        .find_map(|(one, other)| unknown_to_mirroring(pool, facts, one, other))
    })?;
    let behind = state(facts, BACKUP).and_then(|s| s.journal.transition.as_ref()).is_some_and(|t| {
        t.phase == Phase::Recovering
            && state(facts, BACKUP).and_then(|s| s.database.as_ref()).is_some_and(|d| d.serves())
    });
    Some(match behind {
        true => Err((stop.reason, format!("{} {}", stop.message, stop.remedy))),
        false => Ok(stop),
    })
}

/// A sentence about a name that misleads, and what is to be typed against it.
pub(crate) struct NameNote {
    pub(crate) text: String,
    pub(crate) advice: Option<Advice>,
}

/// All that there is to tell about who the servers are, a clash first: for whoever looks without planning.
pub fn told(pool: &Pool, facts: &Facts) -> Vec<(Reason, String)> {
    let clash = clash(pool, facts).map(|clash| match clash {
        Ok(stop) => (stop.reason, format!("{} {}", stop.message, stop.remedy)),
        Err(told) => told,
    });
    let notes = notes(pool, facts).into_iter().map(|note| (Reason::ServerNames, note.text));
    clash.into_iter().chain(notes).collect()
}

/// Whether two declared ends are one server, as far as they tell.
pub fn same(facts: &Facts, a: InstanceId, b: InstanceId) -> bool {
    let (Some(a), Some(b)) = (state(facts, a), state(facts, b)) else { return false };
    let named = match (now(&a.names), now(&b.names)) {
        (Some(a), Some(b)) => a == b,
        _ => {
            matches!((&a.names.configured, &b.names.configured), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
        }
    };
    // Hosts of two domains may share a short name; two services do not start in the same millisecond.
    let started = match (&a.names.started, &b.names.started) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    named && started
}

/// What a server calls itself, for a person.
pub fn says(names: &ServerNames) -> Option<String> {
    names.current.clone().or_else(|| machine(names)).or_else(|| names.configured.clone())
}

/// Sentences about names that mislead: none of them stops anything.
pub(crate) fn notes(pool: &Pool, facts: &Facts) -> Vec<NameNote> {
    let mut out = Vec::new();
    let plain = |text: String| NameNote { text, advice: None };
    let calm = calm(facts);
    for id in pool.instances() {
        let (Some(state), name) = (state(facts, id), instance(pool, id)) else { continue };
        // A restart takes a database away from its users, and ends a restore.
        let busy = state.restore.is_some() || state.database.as_ref().is_some_and(Database::serves);
        let register = |what: String, there: &str, old: Option<&str>, current: &str| {
            if !calm || busy {
                return plain(format!(
                    "{what} To be mended when nothing moves and no user is served from there: its service has to be restarted for it."
                ));
            }
            let advice = advice::register_server_name(there, old, current);
            let after = "Then restart its service. Log shipping that names the old one is set up anew afterwards (error 32016 tells).";
            let text = remedy(&what, std::slice::from_ref(&advice), after);
            NameNote { text, advice: Some(advice) }
        };
        let names = &state.names;
        match (&names.configured, says(names)) {
            (None, None) => out.push(plain(format!(
                "{name} does not tell its name (@@SERVERNAME and SERVERPROPERTY('ServerName') are NULL): whether it is the server \
                 that is meant is unknown."
            ))),
            (None, Some(current)) => {
                let what = format!(
                    "{name} is {current}, and @@SERVERNAME is NULL there: its entry in sys.servers is missing, and log shipping and \
                     mirroring do not find it by name."
                );
                out.push(register(what, &name, None, &current));
            }
            (Some(old), Some(current)) if !old.eq_ignore_ascii_case(&current) => {
                let what =
                    format!("{name} is {current}, and @@SERVERNAME still says {old}: the host was renamed.");
                out.push(register(what, &name, Some(old), &current));
            }
            _ => {}
        }
    }
    let ids: Vec<InstanceId> = pool.instances().collect();
    for (i, a) in ids.iter().enumerate() {
        for b in &ids[i + 1..] {
            let (Some(x), Some(y)) = (state(facts, *a), state(facts, *b)) else { continue };
            if let (Some(name), Some(other)) = (now(&x.names), now(&y.names))
                && name == other
                && !same(facts, *a, *b)
            {
                out.push(plain(format!(
                    "{} and {} are two servers, and both call themselves {}: log shipping and mirroring can't tell them apart by name.",
                    instance(pool, *a),
                    instance(pool, *b),
                    name.to_uppercase()
                )));
            }
        }
    }
    if let Some(text) = partner_missing(pool, facts) {
        out.push(plain(text));
    }
    out
}

/// Nothing is being moved, and the side that is shipped from is there.
fn calm(facts: &Facts) -> bool {
    let open = state(facts, BACKUP).is_some_and(|home| ownership::open(home).is_some());
    let serves = |id| state(facts, id).and_then(|s| s.database.as_ref()).is_some_and(Database::serves);
    !open && (serves(PRIMARY) || serves(PRIMARY_MIRROR))
}

fn state(facts: &Facts, id: InstanceId) -> Option<&InstanceState> {
    facts.instances.get(&id)?.state.value()
}

fn machine(names: &ServerNames) -> Option<String> {
    let machine = names.machine.as_ref()?;
    Some(match &names.instance {
        Some(instance) => format!("{machine}\\{instance}"),
        None => machine.clone(),
    })
}

/// The name by which it is known now, in lower case.
fn now(names: &ServerNames) -> Option<String> {
    names.current.clone().or_else(|| machine(names)).map(|name| name.to_lowercase())
}

fn one_server(pool: &Pool, facts: &Facts) -> Option<Stop> {
    let ids: Vec<InstanceId> = pool.instances().collect();
    let pairs = ids.iter().enumerate().flat_map(|(i, a)| ids[i + 1..].iter().map(move |b| (*a, *b)));
    let (a, b) = pairs.into_iter().find(|(a, b)| same(facts, *a, *b))?;
    let name = state(facts, a).and_then(|s| says(&s.names)).unwrap_or_default();
    let role = |id: InstanceId| match id.partner {
        Partner::Database => format!("{}.database", id.side),
        Partner::Mirror => format!("{}.mirror", id.side),
    };
    Some(stop(
        Reason::SameServer,
        None::<StepId>,
        format!(
            "{} ({}) and {} ({}) are one server, which calls itself {name}: what it answers would count for both.",
            role(a),
            instance(pool, a),
            role(b),
            instance(pool, b)
        ),
        format!(
            "Declare the server that is meant under {} and {}, and look at DNS and hosts files: a name that was pointed at another \
             server must lead to its own again, or to none. Until then take nothing OFFLINE that either name leads to.",
            role(a),
            role(b)
        ),
    ))
}

/// The name by which log shipping knows the primary, where a server that answered is neither called so nor ships the log itself. What
/// such a server tells says nothing of the one that is meant.
pub(crate) fn meant_instead<'a>(facts: &'a Facts, state: &InstanceState) -> Option<&'a str> {
    known_primary(facts).filter(|known| !state.ships_logs && !is_called(&state.names, known))
}

/// The primary as log shipping names it is neither of the partners that answer under the primary side's names.
fn unknown_to_log_shipping(pool: &Pool, facts: &Facts) -> Option<Stop> {
    let known = known_primary(facts)?;
    let mut wrong = Vec::new();
    for id in pool.instances().filter(|id| id.side == Side::Primary) {
        // Who does not answer, or does not tell its name, may be the one.
        let state = state(facts, id)?;
        now(&state.names)?;
        let mirrored = state.database.as_ref().is_some_and(|d| d.mirroring.is_some());
        if state.ships_logs || mirrored || is_called(&state.names, known) {
            return None;
        }
        wrong.push(format!("{} calls itself {}", instance(pool, id), says(&state.names).unwrap_or_default()));
    }
    Some(stop(
        Reason::WrongServer,
        None,
        format!(
            "Log shipping to {} comes from {known}, and the servers that answer under the primary side's names are others: {}. \
             Neither ships {} nor mirrors it.",
            instance(pool, BACKUP),
            wrong.join(", "),
            pool.database
        ),
        format!(
            "Declare {known} under primary, or make the declared name lead to it (DNS, hosts files): whether it serves can't be judged \
             by what another server answers."
        ),
    ))
}

fn known_primary(facts: &Facts) -> Option<&str> {
    let home = state(facts, BACKUP)?;
    let recorded =
        || home.journal.transition.as_ref().filter(|t| t.is_open()).and_then(|t| t.evidence.as_ref());
    let known = home.secondary.as_ref().map(|s| s.primary_server.as_str());
    known.or_else(|| recorded().map(|e| e.primary_server.as_str())).filter(|name| !name.trim().is_empty())
}

/// `one` mirrors with a server that `other`, which answers as its partner, is not.
fn unknown_to_mirroring(pool: &Pool, facts: &Facts, one: InstanceId, other: InstanceId) -> Option<Stop> {
    let mirroring = state(facts, one)?.database.as_ref()?.mirroring.as_ref()?;
    let partner = state(facts, other)?;
    now(&partner.names)?;
    let named = mirroring.partner_instance.as_deref().filter(|name| !name.trim().is_empty())?;
    let same_session = partner
        .database
        .as_ref()
        .and_then(|d| d.mirroring.as_ref())
        .is_some_and(|theirs| theirs.guid == mirroring.guid);
    let address = mirroring.partner_address.as_deref().unwrap_or_default();
    if same_session || is_called(&partner.names, named) || is_at(pool, &partner.names, other, address) {
        return None;
    }
    Some(stop(
        Reason::WrongServer,
        None,
        format!(
            "{} mirrors {} with {named}, and {}, which is declared as its partner, calls itself {}.",
            instance(pool, one),
            pool.database,
            instance(pool, other),
            says(&partner.names).unwrap_or_default()
        ),
        format!(
            "Declare {named} in place of {}, or make that name lead to it (DNS, hosts files): whether it serves can't be judged by what \
             another server answers.",
            instance(pool, other)
        ),
    ))
}

/// A partner in mirroring that the manifest says there is none of: nobody looks at it.
fn partner_missing(pool: &Pool, facts: &Facts) -> Option<String> {
    if pool.instance(PRIMARY_MIRROR).is_some() {
        return None;
    }
    let mirroring = state(facts, PRIMARY)?.database.as_ref()?.mirroring.as_ref()?;
    let named = mirroring.partner_instance.as_deref().filter(|name| !name.trim().is_empty())?;
    Some(format!(
        "{} mirrors {} with {named}, which is not declared: whether that serves is not looked at. Declare it as primary.mirror.",
        instance(pool, PRIMARY),
        pool.database
    ))
}

/// Whether a server is the one that `known` names: by its registered, present, virtual or physical name, in any case, short or
/// full, with an instance or a port behind it.
fn is_called(names: &ServerNames, known: &str) -> bool {
    let (host, instance) = parts(known);
    let own: Vec<(String, Option<String>)> =
        [&names.configured, &names.current].into_iter().flatten().map(|name| parts(name)).collect();
    let hosts = [&names.machine, &names.physical].into_iter().flatten().map(|host| parts(host).0);
    let instances: Vec<Option<String>> = match &names.instance {
        Some(instance) => vec![Some(instance.to_lowercase())],
        None => own.iter().map(|(_, instance)| instance.clone()).chain([None]).collect(),
    };
    let machines =
        hosts.flat_map(|host| instances.iter().map(move |instance| (host.clone(), instance.clone())));
    // A port stands for whatever instance listens there.
    own.iter().cloned().chain(machines).any(|(h, i)| h == host && (i == instance || known.contains(',')))
}

/// Whether an endpoint `TCP://host:port` is on the server's own host, or on the host by whose name it was declared.
fn is_at(pool: &Pool, names: &ServerNames, id: InstanceId, address: &str) -> bool {
    let host = address.rsplit("//").next().unwrap_or_default().split(':').next().unwrap_or_default();
    let host = parts(host).0;
    let declared = pool.instance(id).map(|i| parts(&i.host).0);
    let own = [&names.machine, &names.physical].into_iter().flatten().map(|name| parts(name).0);
    !host.is_empty() && own.chain(declared).any(|name| name == host)
}

/// Host without its domain, and instance, in lower case. A port and `tcp:` are left out.
fn parts(name: &str) -> (String, Option<String>) {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("tcp:").unwrap_or(&name);
    let name = name.split(',').next().unwrap_or_default();
    let (host, instance) = match name.split_once('\\') {
        Some((host, instance)) if instance != "mssqlserver" => (host, Some(instance.to_owned())),
        Some((host, _)) => (host, None),
        None => (name, None),
    };
    (host.split('.').next().unwrap_or_default().to_owned(), instance)
}
