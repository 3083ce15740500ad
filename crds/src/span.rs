//! Lengths of time in a manifest, and the deadlines made of them.
//!
//! A span is written the way people and Kubernetes write it (`90s`, `2m`, `1h30m`), in whole seconds. It is a length,
//! never a point in time, and never zero: a deadline of nothing would make every outcome unknown.

use crate::text::text_schema;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A length of time in whole seconds, at least one second and at most 99 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Why a text is not a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time such as 30s, 5m or 1h30m, at least one second, found {found:?}")]
pub struct SpanError {
    found: String,
}

impl Span {
    /// A span of whole seconds; zero becomes one second.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(if seconds == 0 { 1 } else { seconds }))
    }

    /// The span as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Reads `1h30m`, `5m`, `45s` and the like: hours, minutes and seconds in this order, each at most once.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError { found: text.to_owned() };
        let mut rest = text;
        let mut seconds: u64 = 0;
        for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
            if let Some((number, after)) = rest.split_once(unit) {
                if number.is_empty() || number.len() > 6 || !number.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(wrong());
                }
                seconds += number.parse::<u64>().map_err(|_| wrong())? * factor;
                rest = after;
            }
        }
        if !rest.is_empty() || seconds == 0 {
            return Err(wrong());
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (count, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Span::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(
            20,
            &[(
                // At least one digit that is not zero, so that the length is not zero.
                "self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && self.matches('[1-9]')",
                "expected a length of time such as 30s, 5m or 1h30m, at least one second",
            )],
        )
    }
}

/// How long each kind of operation may take before its outcome counts as unknown and the state is read again.
///
/// A deadline that passes is never taken for a failure: what happened is looked up. Too short a deadline costs
/// retries, too long a one costs time in a disaster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    /// Opening a connection and logging in, for each try.
    #[serde(default = "Deadlines::connect")]
    pub connect: Span,
    /// Reading state, and every statement that does not move data.
    #[serde(default = "Deadlines::statement")]
    pub statement: Span,
    /// Listing share and copy folder, and reading the headers of backups. A dead share answers only after minutes.
    #[serde(default = "Deadlines::listing")]
    pub listing: Span,
    /// Restoring of one backup, and the recovery of the database.
    #[serde(default = "Deadlines::restore")]
    pub restore: Span,
    /// One cmdlet of the management shell, apart from mirroring.
    #[serde(default = "Deadlines::cmdlet")]
    pub cmdlet: Span,
    /// How long chat servers may take to get a changed list and to connect to the database. What is late is told; it stops
    /// nothing.
    #[serde(default = "Deadlines::replication")]
    pub replication: Span,
    /// Install-CsMirrorDatabase, which copies the whole database to the new mirror.
    #[serde(default = "Deadlines::mirror_seeding")]
    pub mirror_seeding: Span,
}

impl Deadlines {
    const fn connect() -> Span {
        Span::from_secs(15)
    }
    const fn statement() -> Span {
        Span::from_secs(30)
    }
    const fn listing() -> Span {
        Span::from_secs(3 * 60)
    }
    const fn restore() -> Span {
        Span::from_secs(2 * 60 * 60)
    }
    const fn cmdlet() -> Span {
        Span::from_secs(5 * 60)
    }
    const fn replication() -> Span {
        Span::from_secs(10 * 60)
    }
    const fn mirror_seeding() -> Span {
        Span::from_secs(4 * 60 * 60)
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Self::connect(),
            statement: Self::statement(),
            listing: Self::listing(),
            restore: Self::restore(),
            cmdlet: Self::cmdlet(),
            replication: Self::replication(),
            mirror_seeding: Self::mirror_seeding(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn a_span_is_read_back_as_it_is_printed() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1h0m5s", 3605)] {
            let span = Span::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(span.duration().as_secs(), seconds, "{text}");
            assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }
    }

    #[test]
    fn what_is_not_a_length_of_time_is_refused() {
        for text in ["", "0s", "5", "5 m", "-5m", "1.5h", "5m1h", "1m1m", "m", "999999999h", "١m", "5min"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
