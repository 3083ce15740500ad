//! What only a person can do after a failover, as a list.
//!
//! Says no more than what applies to what was done, and never that something is in order which was not looked at.

use pchat_planner::identity;
use pchat_planner::plan::{Direction, StepId, StepState};
use pchat_planner::pool::{PRIMARY, Side};

use super::View;
use crate::observe::HOME;

/// The list; empty when there was nothing to fail over.
pub fn left(view: &View<'_>) -> Vec<String> {
    let record = view.record;
    if record.direction != Some(Direction::ForcedFailover) || !record.is_done(StepId::RecoverDatabase) {
        return Vec::new();
    }
    let pool = view.pool;
    let (lost, here) = (pool.site(Side::Primary), pool.site(Side::Backup));
    let mut list = vec![format!(
        "Compliance: mgccomp was not failed over, it never is. Where compliance is used, keep the adapter's output of \
         {} and see that the adapter works in {}.",
        lost.name, here.name
    )];
    let mirrored = record.listing.iter().find(|s| s.id == StepId::EstablishMirror).map(|s| &s.state);
    match (mirrored, &here.mirror) {
        (Some(StepState::Done), Some(mirror)) => list.push(format!(
            "Front Ends: Install-CsMirrorDatabase asks for a restart of all Front End Servers of the pool, so that \
             they learn of the new mirror {mirror}. Do it in a quiet hour, one after the other."
        )),
        (_, None) => list.push(format!(
            "Mirror: {} has none by declaration, so one instance holds {} now. Back it up.",
            here.name, pool.database
        )),
        (_, Some(mirror)) => list.push(format!(
            "Mirror: {} on {mirror} was not established; until it is, one instance holds the database.",
            pool.database
        )),
    }
    list.push(format!(
        "Log backups: nothing backs up the log of {} on {} now; with the full recovery model it grows. Schedule full \
         and log backups there.",
        pool.database, here.database
    ));
    // A name that leads to the server that serves now is no name to take anything OFFLINE by.
    let astray = view.facts.is_some_and(|facts| identity::same(facts, PRIMARY, HOME));
    if astray {
        return list;
    }
    list.push(format!(
        "{}: should {} come back, keep {} there OFFLINE and its log-shipping backup job disabled before anything can \
         write to it. Its messages after the recovery point exist nowhere else: do not overwrite it unread.",
        lost.name, lost.database, pool.database
    ));
    list
}
