//! One look at one instance: connects or uses the connection that the last look left, asks for the state,
//! and says what a failure to answer means.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::{Contact, Database, DatabaseState, Fact, InstanceFacts, InstanceState};

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
        Err(lost @ Lost::TooMuch { .. }) => {
            return Some(Look::Unusable(format!(
                "{display}: {lost}. Check that it is SQL Server that answers there, and that nothing between changes what it says."
            )));
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
            if hides_a_mirror(&read.state) {
                Look::Denied(hidden(database))
            } else {
                Look::Read(Box::new(read))
            }
        }
        Err(misread) => Look::Unusable(format!(
            "{display} told its state in an unexpected form ({misread}). Check that it is SQL Server 2008 R2 to 2019."
        )),
    })
}

/// Whether a mirror could be there that this login is not shown: sys.database_mirroring tells of a mirror database to members of
/// sysadmin alone, and to everybody else that it is not mirrored. A RESTORING database without a session would count as fenced.
fn hides_a_mirror(state: &InstanceState) -> bool {
    let restoring = |d: &Database| d.state == DatabaseState::Restoring && d.mirroring.is_none();
    !state.sysadmin && state.database.as_ref().is_some_and(restoring)
}

fn hidden(database: &str) -> String {
    format!(
        "{database} is RESTORING there, and whether it is the mirror of a session is shown to members of sysadmin alone \
         (sys.database_mirroring)"
    )
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

/// The longest that a series of silent looks may go without one, and that a silent look itself may take: the deadlines of a look
/// at a dead host and the pauses, at rest too, stay below it.
const GAP: SignedDuration = pchat_planner::FRESH;

/// The wall clock and the monotonic one may differ by this between two looks: more, and one was set or the machine slept.
const APART: SignedDuration = SignedDuration::from_secs(1);

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: Timestamp,
    running: Instant,
}

/// Silent looks, none of which was far from the one before.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Timestamp,
    tries: u32,
    until: Moment,
}

/// A series of looks at one server, which tells since when it has been silent. Silence is made of looks: where nobody looked for
/// too long, or the clocks do not agree on how long that was, a new series begins.
#[derive(Clone, Debug, Default)]
pub struct Series {
    silent: Option<Silence>,
}

impl Series {
    /// Takes a look that began `at`, and ends now, into the series.
    pub fn contact(&mut self, at: Timestamp, reached: &Reached) -> Contact {
        self.contact_by(at, Moment { wall: Timestamp::now(), running: Instant::now() }, reached)
    }

    fn contact_by(&mut self, at: Timestamp, ended: Moment, reached: &Reached) -> Contact {
        let before = self.silent.take();
        match reached {
            Reached::Silent(detail) => {
                let silence = Silence::with(before, at, ended);
                self.silent = Some(silence);
                let Silence { since, tries, until } = silence;
                Contact::Silent { since, until: until.wall, tries, detail: detail.clone() }
            }
            Reached::Unusable(detail) => Contact::Unusable { detail: detail.clone() },
            Reached::Denied(detail) => Contact::Denied { detail: detail.clone() },
            Reached::Answers => Contact::Answers,
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

impl Silence {
    /// The series that a silent look, begun `at`, continues or begins.
    fn with(before: Option<Silence>, at: Timestamp, ended: Moment) -> Silence {
        // A look that is much longer than its deadlines was slept through: only its end is known.
        let took = ended.wall.duration_since(at);
        let whole = !took.is_negative() && took <= GAP;
        let begins = Silence { since: if whole { at } else { ended.wall }, tries: 1, until: ended };
        let Some(before) = before else { return begins };
        let by_wall = ended.wall.duration_since(before.until.wall);
        let running = ended.running.saturating_duration_since(before.until.running);
        let apart = SignedDuration::try_from(running).map(|running| (by_wall - running).abs());
        if apart.is_ok_and(|apart| apart > APART) {
            // Whether it happened before this look or in it can't be told.
            return Silence { since: ended.wall, ..begins };
        }
        if !whole || at.duration_since(before.until.wall) > GAP {
            return begins;
        }
        Silence { tries: before.tries.saturating_add(1), until: ended, ..before }
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
    fn a_restoring_database_may_be_a_mirror_that_the_login_is_not_shown() {
        let seen = |sysadmin, state| InstanceState {
            names: pchat_planner::facts::ServerNames::default(),
            holder: None,
            server_name: "SQL-TP2".into(),
            version: "11.0.7001.0".into(),
            clock: at(1),
            sysadmin,
            database: Some(Database {
                name: "mgc".into(),
                state,
                standby: Some(false),
                read_only: Some(false),
                user_access: pchat_planner::facts::UserAccess::Multi,
                position: Err("not asked".into()),
                recovered: None,
                mirroring: None,
                last_restored: None,
            }),
            secondary: None,
            ships_logs: false,
            sessions: Vec::new(),
            restore: None,
            agent: pchat_planner::facts::Agent::Unknown,
            endpoint: pchat_planner::facts::Endpoint::Unknown,
            journal: pchat_planner::journal::Journal::default(),
            journal_damage: None,
        };
        assert!(hides_a_mirror(&seen(false, DatabaseState::Restoring)));
        assert!(!hides_a_mirror(&seen(true, DatabaseState::Restoring)));
        assert!(!hides_a_mirror(&seen(false, DatabaseState::Online)), "an ONLINE principal is shown to all");
    }

    #[test]
    fn any_sign_of_life_ends_a_series_of_silence() {
        let earlier = Timestamp::now() - SignedDuration::from_secs(20);
        let at = |second: i64| earlier + SignedDuration::from_secs(second);
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

    const SILENT: fn() -> Reached = || Reached::Silent("no answer".into());

    /// Looks of three seconds; each is told by the second at which it begins by the wall clock, and by how far that clock has been
    /// set forward so far. The series after the last one: since when, and of how many looks.
    fn series(looks: &[(i64, i64)]) -> (i64, u32) {
        let (mut series, zero, mut last) = (Series::default(), Instant::now(), (0, 0));
        for (begins, set) in looks {
            let ended = Moment {
                wall: at(begins + 3),
                running: zero + Duration::from_secs((begins + 3 - set).unsigned_abs()),
            };
            let Contact::Silent { since, tries, until, .. } =
                series.contact_by(at(*begins), ended, &SILENT())
            else {
                panic!("it is silent")
            };
            assert_eq!(until, ended.wall);
            last = (since.as_second(), tries);
        }
        last
    }

    #[test]
    fn silence_lasts_from_look_to_look_also_when_they_are_as_rare_as_at_rest() {
        assert_eq!(series(&[(100, 0), (105, 0), (110, 0)]), (100, 3));
        assert_eq!(series(&[(100, 0), (125, 0), (150, 0)]), (100, 3));
    }

    #[test]
    fn a_gap_between_looks_or_within_one_begins_a_new_series() {
        assert_eq!(series(&[(100, 0), (400, 0)]), (400, 1), "nobody looked for five minutes");
        assert_eq!(series(&[(100, 0), (105, 0), (400, 0), (405, 0)]), (400, 2));
        let mut slept = Series::default();
        let ended = Moment { wall: at(400), running: Instant::now() };
        let contact = slept.contact_by(at(100), ended, &SILENT());
        assert!(
            matches!(contact, Contact::Silent { since, tries: 1, .. } if since == at(400)),
            "{contact:?}"
        );
    }

    #[test]
    fn a_clock_that_was_set_or_a_machine_that_slept_begins_a_new_series() {
        for set in [20, 3_600, -20] {
            let (begins, end) = (105 + set, 108 + set);
            assert_eq!(series(&[(100, 0), (begins, set)]), (end, 1), "the clock was set by {set} s");
        }
        assert_eq!(series(&[(100, 0), (3_700, 3_595), (3_705, 3_595)]), (3_703, 2));
    }
}
