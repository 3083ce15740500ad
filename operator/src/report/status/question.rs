//! The question that waits for an approval, with every hazard that one would accept.
//!
//! What does not fit into a status is not accepted by way of it: then there is no digest, neither here nor in a condition.

use pchat_crds::status::{HAZARDS_LIMIT, HazardStatus, QuestionStatus, SENTENCE_LIMIT};
use pchat_planner::plan::Hazard;

use super::{Moment, clip, conditions};
use crate::report::words::sentence;
use crate::report::{Halt, header};

/// All sentences together, at most: an object has to fit into etcd.
const IN_ALL: usize = 200_000;

/// What is asked now, if something is.
pub(super) fn question(moment: &Moment<'_>) -> Option<QuestionStatus> {
    let Some(digest) = moment.halt.and_then(Halt::digest) else {
        // A new run comes to the same question only after some steps; it has been asked all the while.
        return moment.before.question.clone().filter(|_| conditions::still_asked(moment).is_some());
    };
    let view = &moment.view;
    let plan = view.plan?;
    let whole = is_whole(&plan.hazards);
    Some(QuestionStatus {
        digest: whole.then(|| digest.to_owned()),
        loss: clip(&header::loss(&plan.loss, view.now, false), 2048),
        count: u32::try_from(plan.hazards.len()).unwrap_or(u32::MAX),
        hazards: listed(&plan.hazards).collect(),
    })
}

/// Whether all of it fits into a status.
pub(super) fn is_whole(hazards: &[Hazard]) -> bool {
    let length = |hazard: &Hazard| sentence(&hazard.sentence).chars().count();
    listed(hazards).count() == hazards.len() && hazards.iter().all(|h| length(h) <= SENTENCE_LIMIT)
}

fn listed(hazards: &[Hazard]) -> impl Iterator<Item = HazardStatus> {
    let mut room = IN_ALL;
    hazards.iter().take(HAZARDS_LIMIT).map_while(move |hazard| {
        let sentence = clip(&sentence(&hazard.sentence), SENTENCE_LIMIT);
        room = room.checked_sub(sentence.chars().count())?;
        Some(HazardStatus { reason: hazard.reason.to_string(), sentence })
    })
}
