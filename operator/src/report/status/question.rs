//! The question that waits for an approval, with every hazard that one would accept.
//!
//! What does not fit into a status is not accepted by way of it: then there is no digest, neither here nor in a condition.

use jiff::Timestamp;
use pchat_crds::status::{
    ALTERNATIVES_LIMIT, AlternativeStatus, HAZARDS_LIMIT, HazardStatus, QuestionStatus, SENTENCE_LIMIT,
};
use pchat_planner::plan::{Alternative, Hazard};

use super::{Moment, clip, conditions};
use crate::report::header;
use crate::report::words::sentence;

/// All sentences together, at most: an object has to fit into etcd.
const IN_ALL: usize = 200_000;

/// What is asked now, if something is.
pub(super) fn question(moment: &Moment<'_>) -> Option<QuestionStatus> {
    let Some((halt, digest)) = moment.halt.and_then(|halt| Some((halt, halt.digest()?))) else {
        // A new run comes to the same question only after some steps; it has been asked all the while.
        return moment.before.question.clone().filter(|_| conditions::still_asked(moment).is_some());
    };
    let view = &moment.view;
    let plan = view.plan?;
    let mut room = IN_ALL;
    let hazards = listed(&plan.hazards, &mut room);
    Some(QuestionStatus {
        digest: holds_all(&hazards, &plan.hazards).then(|| digest.to_owned()),
        loss: clip(&header::loss(&plan.loss, view.now, false), 2048),
        count: counted(&plan.hazards),
        hazards,
        instead: instead(&plan.hazards, halt.instead(), view.now),
    })
}

/// Whether all of it fits into a status.
pub(super) fn is_whole(hazards: &[Hazard]) -> bool {
    let mut room = IN_ALL;
    holds_all(&listed(hazards, &mut room), hazards)
}

/// The other lines of the log, as many as there is room for behind the first; a list that is not whole has no digest.
pub(super) fn instead(first: &[Hazard], others: &[Alternative], now: Timestamp) -> Vec<AlternativeStatus> {
    let mut room = IN_ALL;
    listed(first, &mut room);
    let told = others.iter().take(ALTERNATIVES_LIMIT).map(|other| {
        let hazards = listed(&other.hazards, &mut room);
        AlternativeStatus {
            digest: holds_all(&hazards, &other.hazards).then(|| other.digest.clone()),
            fork: other.fork.map(|fork| fork.to_string()),
            loss: clip(&header::loss(&other.loss, now, false), 2048),
            count: counted(&other.hazards),
            hazards,
        }
    });
    told.collect()
}

fn counted(hazards: &[Hazard]) -> u32 {
    u32::try_from(hazards.len()).unwrap_or(u32::MAX)
}

fn holds_all(listed: &[HazardStatus], hazards: &[Hazard]) -> bool {
    let length = |hazard: &Hazard| sentence(&hazard.sentence).chars().count();
    listed.len() == hazards.len() && hazards.iter().all(|h| length(h) <= SENTENCE_LIMIT)
}

/// As many as fit into `room`, and what they take is taken from it.
fn listed(hazards: &[Hazard], room: &mut usize) -> Vec<HazardStatus> {
    let fitting = hazards.iter().take(HAZARDS_LIMIT).map_while(|hazard| {
        let sentence = clip(&sentence(&hazard.sentence), SENTENCE_LIMIT);
        *room = room.checked_sub(sentence.chars().count())?;
        Some(HazardStatus { reason: hazard.reason.to_string(), sentence })
    });
    fitting.collect()
}
