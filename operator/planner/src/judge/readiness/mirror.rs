//! What the database needs to be mirrored again after a failover: a partner, endpoints, a share.

use super::{Found, Seen, Trouble, instances};
use crate::model::facts::{Contact, Database, Endpoint, PoolState};
use crate::model::plan::Reason;
use crate::model::pool::{BACKUP_MIRROR, InstanceId, Partner, Side};
use crate::say::advice;
use crate::words::{instance, state_word};

pub(super) fn mirror(seen: &Seen<'_>) -> Found {
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
            let in_use = "It may be the one that serves: find out what it is before anything is taken away.";
            Found::Wrong(vec![match left.mirroring {
                Some(_) => leftover,
                None if !unused(seen, left) => Trouble { remedy: in_use.into(), ..leftover },
                None => leftover.advised(
                    "Find out what it is; where nothing in it is needed, take it away there.",
                    advice::drop_leftover(&name, &left.name),
                    "Error 3702 says that somebody uses it: then it is no leftover.",
                ),
            }])
        }
    }
}

/// Whether a database that stands on the mirror's instance can't be the one that serves: the pool is known to live elsewhere, and the
/// side that it lives on is seen to serve, or this one takes no users. A pool that failed over within its site lives there.
fn unused(seen: &Seen<'_>, left: &Database) -> bool {
    let elsewhere = match seen.facts.shell.pool_state.value() {
        Some((_, PoolState::Normal)) => true,
        Some((_, PoolState::FailedOver)) => seen.home.as_ref().is_ok_and(|(_, db)| db.serves()),
        None => false,
    };
    elsewhere && (left.takes_no_writes() || seen.primary_serves())
}

pub(super) fn endpoints(seen: &Seen<'_>) -> Found {
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

pub(super) fn seed_share(seen: &Seen<'_>) -> Found {
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
