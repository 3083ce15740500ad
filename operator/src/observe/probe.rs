//! One look at one instance: connects or uses the connection that the last look left, asks for the state,
//! and says what a failure to answer means.

use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::facts::{Contact, Fact, InstanceFacts};

use super::state::{self, Read};
use crate::sql::batches::state::state as state_batch;
use crate::sql::connect::{ConnectError, connect};
use crate::sql::connection::{Connection, Lost};
use crate::sql::explain::{denied, explain};
use crate::sql::target::{Deadlines, Target};

/// How long a kept connection is asked before a fresh one is tried.
const KEPT: Duration = Duration::from_secs(5);

/// What one look brought.
#[derive(Clone, Debug)]
pub enum Look {
    /// It answers.
    Read(Box<Read>),
    /// It is alive and could not be asked.
    Unusable(String),
    /// It answers, and denied what was asked.
    Denied(String),
    /// Nothing came back.
    Silent(String),
}

/// Looks once. The connection is kept only after a clean answer.
pub async fn look(
    target: &Target,
    database: &str,
    deadlines: &Deadlines,
    kept: &mut Option<Connection>,
) -> Look {
    // A kept connection may have died since; that it did proves nothing, so a fresh one is asked before judging,
    // and soon: a host that died while it was kept is to be seen as silent within seconds.
    let soon = Deadlines { look: deadlines.look.min(KEPT), ..*deadlines };
    if let Some(connection) = kept.take()
        && let Some(Look::Read(read)) = ask(connection, target, database, &soon, kept).await
    {
        return Look::Read(read);
    }
    match connect(target, deadlines).await {
        Err(ConnectError::Silent(why)) => Look::Silent(why),
        Err(ConnectError::Unusable(why)) => Look::Unusable(why),
        Ok(connection) => ask(connection, target, database, deadlines, kept).await.unwrap_or_else(|| {
            Look::Unusable(format!(
                "{} accepted the login and then broke the connection. Look into its error log.",
                target.display
            ))
        }),
    }
}

/// `None`: the connection broke before an answer.
async fn ask(
    mut connection: Connection,
    target: &Target,
    database: &str,
    deadlines: &Deadlines,
    kept: &mut Option<Connection>,
) -> Option<Look> {
    let display = &target.display;
    let answer = match connection.ask(&state_batch(database), deadlines.look).await {
        Ok(answer) => answer,
        Err(Lost::Broken(_)) => return None,
        Err(Lost::NoAnswer(after)) => {
            return Some(Look::Unusable(format!(
                "{display} did not answer a question about its state in {} s. Look for blocking and for a full disk there.",
                after.as_secs_f64()
            )));
        }
        Err(Lost::Garbled(what)) => {
            return Some(Look::Unusable(format!("{display} gave an answer that can't be read ({what}).")));
        }
    };
    if let Some(error) = &answer.error {
        let mut told = explain(error);
        told.what = target.credentials.hide(&told.what);
        if denied(error) {
            return Some(Look::Denied(told.what));
        }
        return Some(Look::Unusable(format!(
            "{display} could not tell its state: {} {}",
            told.what, told.remedy
        )));
    }
    Some(match state::read(&answer, database) {
        Ok(read) => {
            *kept = Some(connection);
            Look::Read(Box::new(read))
        }
        Err(misread) => Look::Unusable(format!(
            "{display} told its state in an unexpected form ({misread}). Check that it is SQL Server 2008 R2 to 2019."
        )),
    })
}

/// How far a look came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It answered.
    Answers,
    /// It is alive and could not be asked.
    Unusable(String),
    /// It answers, and denied what was asked.
    Denied(String),
    /// Nothing came back.
    Silent(String),
}

/// A series of looks at one server, which tells since when it has been silent.
#[derive(Clone, Debug, Default)]
pub struct Series {
    silent: Option<(Timestamp, u32)>,
}

impl Series {
    /// Takes a look that began `at` into the series.
    pub fn contact(&mut self, at: Timestamp, reached: &Reached) -> Contact {
        match reached {
            Reached::Silent(detail) => {
                let (since, tries) =
                    self.silent.map_or((at, 1), |(since, tries)| (since, tries.saturating_add(1)));
                self.silent = Some((since, tries));
                Contact::Silent { since, tries, detail: detail.clone() }
            }
            Reached::Unusable(detail) => {
                self.silent = None;
                Contact::Unusable { detail: detail.clone() }
            }
            Reached::Denied(detail) => {
                self.silent = None;
                Contact::Denied { detail: detail.clone() }
            }
            Reached::Answers => {
                self.silent = None;
                Contact::Answers
            }
        }
    }

    /// The same for a look at an instance.
    pub fn take(&mut self, at: Timestamp, look: &Look, target: &Target) -> InstanceFacts {
        let display = &target.display;
        let source = format!("{display}, sys.databases and msdb");
        let (reached, state) = match look {
            Look::Silent(detail) => {
                (Reached::Silent(detail.clone()), Err(format!("{display} does not answer: {detail}")))
            }
            Look::Unusable(detail) => (Reached::Unusable(detail.clone()), Err(detail.clone())),
            Look::Denied(detail) => (Reached::Denied(detail.clone()), Err(detail.clone())),
            Look::Read(read) => (Reached::Answers, Ok(read.state.clone())),
        };
        let state = match state {
            Ok(value) => Fact::Known { value, source, at },
            Err(why) => Fact::Unknown { why, source, at },
        };
        let login = target.credentials.shown.clone();
        InstanceFacts { contact: self.contact(at, &reached), at, login, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brake::Brake;
    use crate::sql::target::{Credentials, Encryption, Endpoint, Secret};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn target() -> Target {
        Target {
            display: r"sql-ks1\PCHAT".into(),
            host: "sql-ks1".into(),
            address: None,
            endpoint: Endpoint::Port(1433),
            credentials: Credentials {
                user: "pchat".into(),
                password: Secret::new("x"),
                shown: "pchat".into(),
                brake: Brake::default(),
            },
            encryption: Encryption::Required,
            ca_pem: None,
        }
    }

    #[test]
    fn any_sign_of_life_ends_a_series_of_silence() {
        let silent = Look::Silent("no answer".into());
        let mut series = Series::default();
        series.take(at(1), &silent, &target());
        let second = series.take(at(5), &silent, &target());
        assert!(matches!(second.contact, Contact::Silent { since, tries: 2, .. } if since == at(1)));
        for (second, sign) in [(6, Look::Unusable("refused".into())), (7, Look::Denied("229".into()))] {
            series.take(at(second), &sign, &target());
            let again = series.take(at(9), &silent, &target());
            assert!(matches!(again.contact, Contact::Silent { since, tries: 1, .. } if since == at(9)));
            assert!(again.state.value().is_none());
        }
    }
}
