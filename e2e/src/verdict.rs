//! The truth held against the report: were messages lost that the operator called safe?
//!
//! What was lost comes from the lab's ledger, which knows only what chat servers were told. What may be lost comes
//! from the operator's document. Neither is derived from the other here.

use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// The loss interval of an operator's document. A bound that is absent is unknown, and an unknown bound excludes
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// What was stored before this is kept.
    pub safe_until: Option<Timestamp>,
    /// Nothing was stored on the lost side after this.
    pub at_most_until: Option<Timestamp>,
}

/// What was lost, by the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Messages that chat servers were told are stored.
    pub acknowledged: u64,
    /// How many of them the surviving database lacks.
    pub count: u64,
    /// When the first of them was acknowledged.
    pub first: Option<Timestamp>,
    /// When the last of them was acknowledged.
    pub last: Option<Timestamp>,
}

/// Why a report does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// A message was lost that had been called safe.
    #[error(
        "a message acknowledged at {lost} is lost, and the operator called everything before {safe_until} safe"
    )]
    BeforeTheInterval {
        /// When the lost message was acknowledged.
        lost: Timestamp,
        /// What the operator said.
        safe_until: Timestamp,
    },
    /// A message was lost after the end of the interval.
    #[error(
        "a message acknowledged at {lost} is lost, and the operator said that nothing was stored there after {until}"
    )]
    AfterTheInterval {
        /// When the lost message was acknowledged.
        lost: Timestamp,
        /// What the operator said.
        until: Timestamp,
    },
}

impl Interval {
    /// Reads it from the operator's document (`-o json`, or the report in the state file). An error says what is
    /// missing.
    pub fn of(document: &Value) -> Result<Self, String> {
        let loss = document.get("loss").ok_or("the operator's document has no loss")?;
        let bound = |name: &str| match loss.get(name) {
            // A bound that is not known is there as null: a document without the field is another document, and taking
            // it for unknown would let every loss pass.
            None => Err(format!("the operator's document has no loss.{name}")),
            Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Some)
                .ok_or_else(|| format!("the operator's loss.{name} is no time: {value}")),
        };
        Ok(Self { safe_until: bound("safeUntil")?, at_most_until: bound("atMostUntil")? })
    }

    /// Whether all that was lost lies in the interval.
    pub fn holds(&self, lost: &Lost) -> Result<(), Untrue> {
        match (lost.first, self.safe_until) {
            (Some(first), Some(safe_until)) if first < safe_until => {
                return Err(Untrue::BeforeTheInterval { lost: first, safe_until });
            }
            _ => {}
        }
        match (lost.last, self.at_most_until) {
            (Some(last), Some(until)) if last > until => Err(Untrue::AfterTheInterval { lost: last, until }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |time: Option<Timestamp>| {
            time.map_or_else(|| "unknown".to_owned(), |time| time.strftime("%H:%M:%S UTC").to_string())
        };
        write!(f, "from {} to {}", bound(self.safe_until), bound(self.at_most_until))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} acknowledged messages", self.count, self.acknowledged)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(
                f,
                ", acknowledged from {} to {}",
                first.strftime("%H:%M:%S%.3f"),
                last.strftime("%H:%M:%S%.3f UTC")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn lost(first: &str, last: &str) -> Lost {
        Lost { acknowledged: 100, count: 2, first: Some(at(first)), last: Some(at(last)) }
    }

    #[test]
    fn what_was_lost_must_lie_in_the_interval() {
        let document =
            json!({"loss": {"safeUntil": "2026-11-22T23:41:07Z", "atMostUntil": "2026-11-22T23:44:19Z"}});
        let interval = Interval::of(&document).unwrap();
        assert_eq!(interval.holds(&lost("23:41:07", "23:44:19")), Ok(()));
        assert!(matches!(
            interval.holds(&lost("23:41:06", "23:44:19")),
            Err(Untrue::BeforeTheInterval { .. })
        ));
        assert!(matches!(
            interval.holds(&lost("23:41:07", "23:44:20")),
            Err(Untrue::AfterTheInterval { .. })
        ));
        let nothing = Lost { acknowledged: 100, count: 0, first: None, last: None };
        assert_eq!(interval.holds(&nothing), Ok(()));
    }

    #[test]
    fn an_unknown_end_excludes_nothing_and_a_missing_loss_is_an_error() {
        let open = Interval::of(&json!({"loss": {"safeUntil": "2026-11-22T23:41:07Z", "atMostUntil": null}}))
            .unwrap();
        assert_eq!(open.holds(&lost("23:41:08", "23:59:59")), Ok(()));
        assert!(Interval::of(&json!({})).is_err());
        assert!(Interval::of(&json!({"loss": {"safeUntil": null}})).is_err());
        assert!(Interval::of(&json!({"loss": {"safeUntil": 7, "atMostUntil": null}})).is_err());
    }
}
