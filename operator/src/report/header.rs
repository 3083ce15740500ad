//! The sentences at the top: what is, what is wanted, why it is forced, what it will cost.

use pchat_planner::facts::{Contact, Facts};
use pchat_planner::plan::{Direction, Loss, Plan, Reason};
use pchat_planner::pool::{InstanceId, Partner, Pool, Side};

use super::View;
use super::words::{duration, list, sentence, side_of, time};

/// All of them, each to stand on a line of its own.
pub fn header(view: &View<'_>) -> Vec<String> {
    let (Some(facts), Some(plan)) = (view.facts, view.plan) else {
        return vec![format!(
            "Pool {}: wanted {}; nothing has been seen of it yet.",
            view.pool.fqdn, view.pool.active
        )];
    };
    let mut lines = vec![active(view.pool, facts)];
    // A plan without steps was not judged: there is nothing to say of why and what it costs.
    let judged = !plan.steps.is_empty();
    lines.extend(why(view.pool, facts, plan, view.now).filter(|_| judged));
    if judged && plan.direction == Direction::ForcedFailover && plan.rule != Reason::Looking {
        lines.push(loss(
            &plan.loss,
            view.now,
            view.record.is_done(pchat_planner::plan::StepId::RecoverDatabase),
        ));
    }
    lines.extend(plan.warnings.iter().map(|(reason, text)| warning(*reason, text)));
    lines
}

/// A warning as it stands at the top.
pub fn warning(reason: Reason, text: &str) -> String {
    format!("Warning ({reason}): {}", sentence(text))
}

/// What is and what is wanted.
pub fn active(pool: &Pool, facts: &Facts) -> String {
    let wanted = pool.active;
    let state = &facts.shell.pool_state;
    match state.value().map(|(_, state)| side_of(*state)) {
        Some(side) if side == wanted => format!("Pool {}: activeDatabase is {side}, as wanted.", pool.fqdn),
        Some(side) => format!("Pool {}: activeDatabase is {side}, wanted {wanted}.", pool.fqdn),
        None => format!(
            "Pool {}: which side is active is not known ({}), wanted {wanted}.",
            pool.fqdn,
            state.why().unwrap_or("not asked yet").trim_end_matches('.')
        ),
    }
}

fn why(pool: &Pool, facts: &Facts, plan: &Plan, now: jiff::Timestamp) -> Option<String> {
    let other = pool.active.other();
    match plan.direction {
        Direction::Steady(_) => None,
        Direction::ForcedFailover => Some(format!("Forced failover: {}", silence(pool, facts, other, now))),
        Direction::CallOff => Some(format!(
            "The failover is called off: log shipping to {} is put back to work.",
            pool.site(Side::Backup).name
        )),
        Direction::PlannedSwitchover => {
            Some(format!("Planned switchover: {}", silence(pool, facts, other, now)))
        }
        Direction::Failback => Some(format!("Failback: {}", silence(pool, facts, other, now))),
    }
}

/// How the two partners of `side` answer, as one sentence.
pub fn silence(pool: &Pool, facts: &Facts, side: Side, now: jiff::Timestamp) -> String {
    let mut silent = Vec::new();
    let mut others = Vec::new();
    let mut evidence: Option<(jiff::Timestamp, u32, String)> = None;
    for partner in [Partner::Database, Partner::Mirror] {
        let id = InstanceId::new(side, partner);
        let Some(instance) = pool.instance(id) else {
            others.push(format!("{} has no mirror", pool.site(side).name));
            continue;
        };
        match facts.instances.get(&id).map(|seen| &seen.contact) {
            None => others.push(format!("{instance} was not looked at")),
            Some(Contact::Pending { since }) => {
                others.push(format!("{instance} is being asked since {}", time(*since, now)));
            }
            Some(Contact::Answers) => others.push(format!("{instance} answers")),
            Some(Contact::Unusable { detail } | Contact::Denied { detail }) => {
                others.push(format!(
                    "{instance} may be alive and can't be asked ({})",
                    detail.trim_end_matches('.')
                ));
            }
            Some(Contact::Silent { since, tries, detail, .. }) => {
                silent.push(instance.to_string());
                // The younger silence is the one that counts.
                let newer = evidence.as_ref().is_none_or(|(s, ..)| s < since);
                if newer {
                    evidence = Some((*since, *tries, detail.clone()));
                }
            }
        }
    }
    let mut parts = Vec::new();
    if let Some((since, tries, detail)) = evidence {
        let verb = if silent.len() == 1 { "does" } else { "do" };
        parts.push(format!(
            "{} {verb} not answer ({}, {} since {}, for {})",
            list(&silent),
            detail.trim_end_matches('.'),
            tried(tries),
            time(since, now),
            duration(now.duration_since(since))
        ));
    }
    parts.extend(others);
    format!("{}.", parts.join("; "))
}

/// `1 try`, `3 tries`.
pub fn tried(tries: u32) -> String {
    if tries == 1 { "1 try".into() } else { format!("{tries} tries") }
}

/// Files told with a loss: what stands behind it, as the command of an approval, must not be cut off. The document names them all.
const TOLD: usize = 12;

/// The loss, with what its ends rest on, and the files that could not be read.
pub fn loss(loss: &Loss, now: jiff::Timestamp, past: bool) -> String {
    let interval = interval(loss, now, past);
    if loss.unread.is_empty() {
        return interval;
    }
    let verb = if past { "was given up" } else { "will be given up" };
    let more = match loss.unread.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let told = loss.unread[..loss.unread.len().min(TOLD)].join(", ");
    format!("{interval} Not read, so that what they hold {verb}: {told}{more}.")
}

fn interval(loss: &Loss, now: jiff::Timestamp, past: bool) -> String {
    let (will, were) = if past { ("was lost", "were lost") } else { ("will be lost", "will be lost") };
    let from = |source: &str| {
        if source.is_empty() { String::new() } else { format!(" ({})", source.trim_end_matches('.')) }
    };
    let Some(safe) = loss.safe_until else {
        return format!("How many messages {were} is not known{}.", from(&loss.safe_source));
    };
    let safe = format!("{}{}", time(safe, now), from(&loss.safe_source));
    match (loss.at_most(), loss.at_most_until, loss.at_least_until) {
        (Some(most), Some(until), _) => format!(
            "At most {} of messages {will}: those stored after {safe} and until {}{}.",
            duration(most),
            time(until, now),
            from(&loss.end_source)
        ),
        (_, _, at_least) => {
            let end = match at_least {
                Some(at_least) => {
                    let length = loss.safe_until.map(|safe| at_least.duration_since(safe));
                    let length = length.filter(|length| length.as_secs() > 0);
                    let length = length.map(|length| format!(", that is {} or more", duration(length)));
                    format!("at least until {}{}", time(at_least, now), length.unwrap_or_default())
                }
                None => "for an unknown time".into(),
            };
            format!(
                "Messages stored after {safe} {were}; how late the last of them was stored is not known, {end}{}.",
                from(&loss.end_source)
            )
        }
    }
}
