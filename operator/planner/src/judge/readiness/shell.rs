//! What is told by the management shell: the pool, the cmdlets, the chat servers, the Central Management Store.

use super::{Found, NEEDED, SEEDS_MIRROR, Seen, Trouble, remedy};
use crate::model::facts::Contact;
use crate::model::plan::Reason;
use crate::model::pool::BACKUP_MIRROR;
use crate::say::advice;
use crate::say::stops::STORE_PLACE;

pub(super) fn shell(seen: &Seen<'_>) -> Found {
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

pub(super) fn cmdlets(seen: &Seen<'_>) -> Found {
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

pub(super) fn chat_servers(seen: &Seen<'_>) -> Found {
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

pub(super) fn store(seen: &Seen<'_>) -> Found {
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
