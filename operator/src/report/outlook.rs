//! What a loss of the side that serves would meet, in words: the same ones in `observe`, `plan` and `FailoverReady`.

use jiff::Timestamp;
use pchat_planner::outlook::{Foreseen, Outlook};
use pchat_planner::plan::{Loss, Reason};
use pchat_planner::pool::Pool;
use pchat_planner::readiness::{Check, Verdict};
use serde::Serialize;

use super::words::{Paint, WIDTH, duration, list, opening, sentence, time, wrap};

/// The answer in words that stay the same while nothing happens, with what else is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it can be told at all.
    pub known: bool,
    /// Whether the pool could be moved now without anybody being asked.
    pub ready: bool,
    /// In one word.
    pub reason: String,
    /// In sentences, with what stands in the way and what helps.
    pub message: String,
}

/// Words the answer.
pub fn told(pool: &Pool, outlook: &Outlook) -> Told {
    let (told, but) = answer(pool, outlook);
    let message = format!("{}{}", told.message.trim_end(), beside(pool, &outlook.checks, &but));
    Told { message, ..told }
}

/// The answer by itself, and the kinds of trouble that it tells.
fn answer(pool: &Pool, outlook: &Outlook) -> (Told, Vec<Reason>) {
    let (lost, taking) = (&pool.site(outlook.to.other()).name, &pool.site(outlook.to).name);
    let not_ready = |reason: String, message: String| Told { known: true, ready: false, reason, message };
    let mut but = Vec::new();
    let told = match &outlook.answer {
        Foreseen::Moving(to) => not_ready(
            "TransitionOpen".into(),
            format!("The pool is being moved to {} already.", pool.site(*to).name),
        ),
        Foreseen::Failback(stop) => {
            let other = stop.as_ref().filter(|stop| stop.reason != Reason::FailbackNeeded);
            let other = other.map(|s| format!(" {} {}", sentence(&s.message), sentence(&s.remedy)));
            not_ready(
                Reason::FailbackNeeded.to_string(),
                format!(
                    "Moving back to {taking} is a failback, which this version does not do by itself: follow the published \
                     procedure.{}",
                    other.unwrap_or_default()
                ),
            )
        }
        Foreseen::Looking(what) => Told {
            known: false,
            ..not_ready("Looking".into(), format!("Not everything was looked at yet: {}", sentence(what)))
        },
        Foreseen::Stops(stop) => {
            but.push(stop.reason);
            not_ready(
                stop.reason.to_string(),
                format!(
                    "If {lost} were lost now, a failover to {taking} would stop: {} {}",
                    sentence(&stop.message),
                    sentence(&stop.remedy)
                ),
            )
        }
        Foreseen::Asks(hazards) => {
            let mut reasons: Vec<Reason> = hazards.iter().map(|hazard| hazard.reason).collect();
            reasons.dedup();
            let said: Vec<String> = hazards.iter().map(|hazard| sentence(&hazard.sentence)).collect();
            let held = outlook.checks.iter().flat_map(|check| &check.troubles);
            let mut remedies: Vec<&str> =
                held.filter(|t| reasons.contains(&t.reason)).map(|t| t.remedy.as_str()).collect();
            remedies.dedup();
            let reason = reasons.first().map(|reason| reason.to_string()).unwrap_or_default();
            let text = format!(
                "If {lost} were lost now, a failover to {taking} would wait for an approval: {} {}",
                said.join(" "),
                remedies.join(" ")
            );
            but = reasons;
            not_ready(reason, text)
        }
        Foreseen::Goes => {
            let warned = outlook.checks.iter().any(|check| !check.troubles.is_empty());
            Told {
                known: true,
                ready: true,
                reason: if warned { "ReadyWithWarnings" } else { "Ready" }.into(),
                message: format!(
                    "If {lost} were lost now, activeDatabase: {} would move the pool to {taking} with what log shipping has \
                     brought there.",
                    outlook.to
                ),
            }
        }
    };
    (told, but)
}

/// What else is wrong, or not known; kinds that are told already are left out.
fn beside(pool: &Pool, checks: &[Check], but: &[Reason]) -> String {
    let troubles = checks.iter().flat_map(|check| &check.troubles);
    let mut out: String = troubles
        .filter(|trouble| !but.contains(&trouble.reason))
        .map(|trouble| format!(" {}", opening(&sentence(&trouble.text()), &[&pool.database])))
        .collect();
    let unknown: Vec<&str> =
        checks.iter().filter(|check| check.answer == Verdict::Unknown).map(|check| check.name).collect();
    if !unknown.is_empty() {
        out.push_str(&format!(" Not known: {}.", list(&unknown)));
    }
    out
}

/// What would be lost, were it now.
fn loss(loss: &Loss, now: Timestamp) -> String {
    match loss.safe_until {
        None => format!("How much would be lost is not known ({}).", loss.safe_source),
        Some(safe) => format!(
            "Lost would be what was stored after {} ({}): {} by now.",
            time(safe, now),
            loss.safe_source,
            duration(now.duration_since(safe))
        ),
    }
}

/// Whether a failover could be imagined to its end.
fn is_judged(outlook: &Outlook) -> bool {
    matches!(outlook.answer, Foreseen::Goes | Foreseen::Asks(_)) || outlook.loss.safe_until.is_some()
}

/// Everything that there is to say, for a person: the checks, the answer, the loss. `under_way`: the failover is no imagined one,
/// and what it meets and costs is told elsewhere.
pub fn lines(pool: &Pool, outlook: &Outlook, under_way: bool, now: Timestamp, paint: Paint) -> Vec<String> {
    let mut out: Vec<String> = outlook.checks.iter().flat_map(|check| line(pool, check, paint)).collect();
    if under_way {
        return out;
    }
    let (told, _) = answer(pool, outlook);
    let text = format!("{} ({})", told.message.trim_end_matches('.'), told.reason);
    out.push(wrap(&sentence(&text), "  ", WIDTH));
    if is_judged(outlook) {
        out.push(wrap(&loss(&outlook.loss, now), "  ", WIDTH));
    }
    out
}

fn line(pool: &Pool, check: &Check, paint: Paint) -> Vec<String> {
    let mark = match check.answer {
        Verdict::Passed => paint.good("✔"),
        Verdict::Warned => paint.busy("✗"),
        Verdict::Held => paint.bad("✗"),
        Verdict::Unknown => paint.busy("?"),
    };
    let indent = " ".repeat(31);
    let head = format!("  {mark} {:24}   ", check.name);
    let found = opening(&check.found, &[&pool.database]);
    let mut out = vec![format!("{head}{}", wrap(&found, &indent, WIDTH).trim_start())];
    for trouble in &check.troubles {
        out.push(wrap(&trouble.remedy, &indent, WIDTH));
    }
    out
}

/// The answer for a machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlookDocument {
    /// Whether the pool could be moved now without anybody being asked.
    pub ready: bool,
    /// In one word.
    pub reason: String,
    /// In sentences.
    pub message: String,
    /// What was stored before this would be kept, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe_until: Option<Timestamp>,
    /// What a failover needs, thing by thing.
    pub checks: Vec<Check>,
}

/// Makes the answer for a machine.
pub fn document(pool: &Pool, outlook: &Outlook) -> OutlookDocument {
    let Told { ready, reason, message, .. } = told(pool, outlook);
    let safe_until = outlook.loss.safe_until.map(super::words::millis);
    OutlookDocument { ready, reason, message, safe_until, checks: outlook.checks.clone() }
}
