//! The instance that a forced failover happens on, and where the journal stands.

use jiff::Timestamp;

use crate::judge::looking;
use crate::model::facts::{Contact, Database, Facts, InstanceState};
use crate::model::plan::Next;
use crate::model::pool::{BACKUP, Pool};
use crate::say::{advice, stops};
use crate::words::instance;

/// The backup instance with its copy. It must be there to be judged at all.
pub(crate) fn home<'a>(
    pool: &Pool,
    facts: &'a Facts,
    now: Timestamp,
) -> Result<(&'a InstanceState, &'a Database), Box<Next>> {
    let blocked = |stop| Err(Box::new(Next::Blocked(stop)));
    let here = instance(pool, BACKUP);
    let found = facts.instances.get(&BACKUP);
    let login = found.map_or("", |f| f.login.as_str());
    let why = match found.map(|f| (&f.contact, &f.state)) {
        None | Some((Contact::Pending { .. }, _)) => {
            return Err(Box::new(looking::wait(pool, facts, now, None, None)));
        }
        Some((Contact::Denied { detail }, _)) => {
            return blocked(stops::rights_missing(
                &here,
                login,
                Some(detail),
                advice::grant_sysadmin(pool, facts),
            ));
        }
        Some((Contact::Silent { detail, .. } | Contact::Unusable { detail }, _)) => detail.clone(),
        Some((Contact::Answers, state)) => state.why().unwrap_or_default().to_owned(),
    };
    let state: &InstanceState =
        match found.filter(|f| f.contact == Contact::Answers).and_then(|f| f.state.value()) {
            Some(state) => state,
            None => return blocked(stops::backup_unreachable(&here, &why)),
        };
    if !state.sysadmin {
        return blocked(stops::rights_missing(&here, login, None, advice::grant_sysadmin(pool, facts)));
    }
    if let Some(damage) = &state.journal_damage {
        return blocked(stops::journal_damaged(&here, &pool.database, damage));
    }
    match &state.database {
        Some(db) => Ok((state, db)),
        None => blocked(stops::database_missing(&here, &pool.database)),
    }
}
