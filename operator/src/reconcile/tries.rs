//! How often an action may be tried before the run stops and says so.
//!
//! Counts only what repeats: the same failure of the same step, or the same action confirmed without effect.
//! Anything that moves starts the count again.

use std::collections::BTreeMap;
use std::time::Duration;

use pchat_planner::plan::{Action, StepId};

use super::backoff::Backoff;
use crate::far_end::ActError;
use crate::report::Halt;

/// The same failure in a row: about a quarter of a minute with the pauses between them.
const FAILURES: u32 = 6;
/// The same refusal in a row: what it waits for may take as long as a restore, so more patience.
const REFUSALS: u32 = 40;
/// The same action confirmed in a row.
const REPEATS: u32 = 6;

/// The counts of one run.
#[derive(Debug)]
pub struct Tries {
    failing: BTreeMap<StepId, (ActError, u32)>,
    repeated: Option<(StepId, String, u32)>,
    backoff: Backoff,
    pause: Option<Duration>,
}

impl Default for Tries {
    fn default() -> Self {
        Tries {
            failing: BTreeMap::new(),
            repeated: None,
            backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(5)),
            pause: None,
        }
    }
}

impl Tries {
    /// Why `action` is not to be tried again, if so. `effect` is what should be seen after it.
    pub fn exhausted(&self, step: StepId, action: &Action, effect: &str) -> Option<Halt> {
        if let Some((error, tries)) = self.failing.get(&step)
            && *tries >= limit(error)
        {
            return Some(Halt::Failing { step, tries: *tries, error: error.clone() });
        }
        match &self.repeated {
            Some((s, what, tries)) if *s == step && *tries >= REPEATS && *what == fingerprint(action) => {
                Some(Halt::WithoutEffect { step, tries: *tries, effect: effect.to_owned() })
            }
            _ => None,
        }
    }

    /// The pause to be made before the next action, if the last one calls for it. Told once.
    pub fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// The far end confirmed `action`.
    pub fn confirmed(&mut self, step: StepId, action: &Action) {
        self.failing.remove(&step);
        let what = fingerprint(action);
        match &mut self.repeated {
            Some((s, last, tries)) if *s == step && *last == what => {
                *tries += 1;
                self.pause = Some(self.backoff.pause());
            }
            _ => {
                self.repeated = Some((step, what, 1));
                self.backoff.reset();
            }
        }
    }

    /// It did not end well.
    pub fn failed(&mut self, step: StepId, error: ActError) {
        self.repeated = None;
        let tries = match self.failing.remove(&step) {
            Some((last, tries)) if last.key() == error.key() => tries + 1,
            _ => {
                self.backoff.reset();
                1
            }
        };
        self.failing.insert(step, (error, tries));
        self.pause = Some(self.backoff.pause());
    }

    /// It was refused for the lock alone: whoever holds it is seen and waited for, and nothing is counted.
    pub fn locked(&mut self) {
        self.pause = Some(self.backoff.pause());
    }

    /// The run stays at a stop: what was exhausted may be tried once more.
    pub fn one_more(&mut self, step: StepId) {
        if let Some((error, tries)) = self.failing.get_mut(&step) {
            *tries = (*tries).min(limit(error) - 1);
        }
        if let Some((_, _, tries)) = &mut self.repeated {
            *tries = (*tries).min(REPEATS - 1);
        }
    }
}

fn limit(error: &ActError) -> u32 {
    match error {
        ActError::Refused { .. } => REFUSALS,
        _ => FAILURES,
    }
}

/// What makes an action the same as the one before it. Tokens and times differ each time and do not count.
fn fingerprint(action: &Action) -> String {
    match action {
        Action::TakeOwnership { transition, .. } => {
            format!("take {} {:?} {}", transition.id, transition.approval, transition.back)
        }
        Action::ApplyLogs { from, files } => format!("apply {} {}", from.lsn, files.len()),
        Action::RecoverDatabase { at, .. } => format!("recover {}", at.lsn),
        Action::SetActiveServers { servers, .. } => format!("servers {}", servers.join(" ")),
        other => other.as_ref().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str) -> ActError {
        ActError::Failed { target: "t".into(), code: code.into(), what: "w".into(), remedy: "r".into() }
    }

    #[test]
    fn the_same_failure_is_tried_a_few_times_and_another_one_starts_again() {
        let mut tries = Tries::default();
        let (step, action) = (StepId::SetPoolState, Action::SetMultiUser);
        for _ in 1..FAILURES {
            tries.failed(step, failure("1"));
            assert!(tries.take_pause().is_some() && tries.take_pause().is_none());
            assert_eq!(tries.exhausted(step, &action, ""), None);
        }
        tries.failed(step, failure("2"));
        assert_eq!(tries.exhausted(step, &action, ""), None, "another failure");
        for _ in 1..FAILURES {
            tries.failed(step, failure("2"));
        }
        assert!(matches!(tries.exhausted(step, &action, ""), Some(Halt::Failing { tries: FAILURES, .. })));
        assert_eq!(tries.exhausted(StepId::ApplyLogs, &action, ""), None, "another step");
        tries.one_more(step);
        assert_eq!(tries.exhausted(step, &action, ""), None, "one more");
        tries.failed(step, failure("2"));
        assert!(tries.exhausted(step, &action, "").is_some(), "and no more than one");
        tries.confirmed(step, &action);
        assert_eq!(tries.exhausted(step, &action, ""), None, "it went well");
    }

    #[test]
    fn an_action_that_is_confirmed_again_and_again_without_effect_is_stopped() {
        let mut tries = Tries::default();
        for _ in 0..REPEATS {
            assert_eq!(tries.exhausted(StepId::DisconnectSessions, &Action::DisconnectSessions, ""), None);
            tries.confirmed(StepId::DisconnectSessions, &Action::DisconnectSessions);
        }
        let halt = tries.exhausted(StepId::DisconnectSessions, &Action::DisconnectSessions, "no session");
        assert!(matches!(halt, Some(Halt::WithoutEffect { effect, .. }) if effect == "no session"));
        tries.confirmed(StepId::RecoverDatabase, &Action::SetMultiUser);
        assert_eq!(tries.exhausted(StepId::DisconnectSessions, &Action::DisconnectSessions, ""), None);
    }
}
