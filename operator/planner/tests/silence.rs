//! Silence, which is made of looks: how many, how close, and until when.

mod common;

use common::*;
use jiff::SignedDuration;
use pchat_planner::facts::Contact;
use pchat_planner::plan::*;

/// Both partners silent since second 500, last looked at until `until`, in so many looks; the plan is made at `now`.
fn silence(silent_for: i64, until: i64, looks: u32, now: i64) -> Case {
    let mut c = Case::disaster();
    c.pool.silent_for = SignedDuration::from_secs(silent_for);
    c.now = t(now);
    for id in [P, PM] {
        let mut f = silent(500);
        if let Contact::Silent { until: last, tries, .. } = &mut f.contact {
            (*last, *tries) = (t(until), looks);
        }
        c.facts.instances.insert(id, f);
    }
    c
}

#[test]
fn a_clock_that_went_on_while_nobody_looked_is_no_silence() {
    assert_eq!(silence(300, 503, 3, 810).plan().rule, Reason::SilenceTooShort, "asleep for five minutes");
    assert_eq!(silence(300, 800, 3, 810).plan().rule, Reason::FailoverRunning);
}

#[test]
fn silence_that_is_looked_at_lasts_until_the_next_look_ends() {
    assert_eq!(silence(300, 794, 3, 799).plan().rule, Reason::SilenceTooShort, "not yet");
    assert_eq!(
        silence(300, 794, 3, 800).plan().rule,
        Reason::FailoverRunning,
        "no look needs to end just then"
    );
}

#[test]
fn a_long_silence_is_made_of_three_looks_and_a_short_one_of_what_ends_in_it() {
    for (silent_for, looks) in [(300, 3), (20, 3), (10, 2), (1, 1)] {
        let plan = |looks| silence(silent_for, 500 + silent_for, looks, 500 + silent_for).plan();
        assert_eq!(plan(looks).rule, Reason::FailoverRunning, "{silent_for} s");
        assert_eq!(plan(looks - 1).rule, Reason::SilenceTooShort, "{silent_for} s, one look less");
        if let Next::Wait { message, .. } = plan(looks - 1).next
            && looks > 1
        {
            assert!(message.contains(&format!("in at least {looks} looks")), "{message}");
        }
    }
}

#[test]
fn the_partner_that_was_looked_at_least_decides() {
    let mut c = silence(300, 800, 3, 810);
    if let Contact::Silent { tries, .. } = &mut c.facts.instances.get_mut(&PM).unwrap().contact {
        *tries = 2;
    }
    assert_eq!(c.plan().rule, Reason::SilenceTooShort);
}
