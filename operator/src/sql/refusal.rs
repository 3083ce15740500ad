//! Refusals: what the guard of a mutating batch answers when the far end is not as it was planned.
//!
//! A refusal is `RAISERROR` with number 50000 (user numbers would need `sp_addmessage`), a text
//! `PCHAT|<CODE>|<words>` and a state of its own. All three must agree before it counts as ours.

use std::fmt;

/// Which clause of a guard refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Not in `master`, or inside a transaction.
    Context,
    /// The database is not there, under this name.
    NoDatabase,
    /// Another session holds the pool's lock: another executor is at work right now.
    Locked,
    /// The request reached the far end after its time.
    Expired,
    /// Another executor owns the pool.
    Fenced,
    /// The database is in another state.
    State,
    /// The database stands at another LSN.
    Position,
    /// A restore, backup or log-shipping job is running.
    Busy,
    /// The database is mirrored.
    Mirrored,
    /// Evidence could not be written, or what it describes changed.
    Evidence,
    /// Log shipping is not as it was planned for.
    LogShipping,
    /// A session could not be ended.
    Sessions,
    /// The Agent job is not there.
    Job,
    /// A backup turned up that the plan has not judged, or the listing is not what it was.
    NotLast,
    /// The database is on another recovery fork.
    Fork,
    /// A parameter came without a value.
    Parameter,
}

impl RefusalCode {
    /// Every code, in the order of the states.
    pub const ALL: [RefusalCode; 16] = [
        RefusalCode::Context,
        RefusalCode::NoDatabase,
        RefusalCode::Locked,
        RefusalCode::Expired,
        RefusalCode::Fenced,
        RefusalCode::State,
        RefusalCode::Position,
        RefusalCode::Busy,
        RefusalCode::Mirrored,
        RefusalCode::Evidence,
        RefusalCode::LogShipping,
        RefusalCode::Sessions,
        RefusalCode::Job,
        RefusalCode::NotLast,
        RefusalCode::Fork,
        RefusalCode::Parameter,
    ];

    /// The word in the message.
    pub const fn word(self) -> &'static str {
        match self {
            RefusalCode::Context => "CONTEXT",
            RefusalCode::NoDatabase => "NODB",
            RefusalCode::Locked => "LOCKED",
            RefusalCode::Expired => "EXPIRED",
            RefusalCode::Fenced => "FENCED",
            RefusalCode::State => "STATE",
            RefusalCode::Position => "LSN",
            RefusalCode::Busy => "BUSY",
            RefusalCode::Mirrored => "MIRRORED",
            RefusalCode::Evidence => "EVIDENCE",
            RefusalCode::LogShipping => "LOGSHIPPING",
            RefusalCode::Sessions => "SESSIONS",
            RefusalCode::Job => "JOB",
            RefusalCode::NotLast => "NOTLAST",
            RefusalCode::Fork => "FORK",
            RefusalCode::Parameter => "PARAMETER",
        }
    }

    /// The state of the message.
    pub const fn state(self) -> u8 {
        match self {
            RefusalCode::Context => 10,
            RefusalCode::NoDatabase => 11,
            RefusalCode::Locked => 12,
            RefusalCode::Expired => 13,
            RefusalCode::Fenced => 14,
            RefusalCode::State => 15,
            RefusalCode::Position => 16,
            RefusalCode::Busy => 17,
            RefusalCode::Mirrored => 18,
            RefusalCode::Evidence => 19,
            RefusalCode::LogShipping => 20,
            RefusalCode::Sessions => 21,
            RefusalCode::Job => 22,
            RefusalCode::NotLast => 25,
            RefusalCode::Fork => 26,
            RefusalCode::Parameter => 31,
        }
    }
}

/// A refusal by the far end: the statement behind the guard did not run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Which clause.
    pub code: RefusalCode,
    /// The far end's words: what it found instead.
    pub words: String,
}

impl Refusal {
    /// Reads a refusal out of an error, if it is one of ours.
    pub fn read(number: u32, state: u8, message: &str) -> Option<Refusal> {
        if number != 50_000 {
            return None;
        }
        let (word, words) = message.strip_prefix("PCHAT|")?.split_once('|')?;
        let code = RefusalCode::ALL.into_iter().find(|c| c.word() == word && c.state() == state)?;
        Some(Refusal { code, words: words.to_owned() })
    }

    /// Whether looking again may bring a plan that is not refused.
    pub fn worth_another_look(&self) -> bool {
        !matches!(self.code, RefusalCode::Context | RefusalCode::Fenced | RefusalCode::Parameter)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.code {
            RefusalCode::Context => "the connection is not in master or is inside a transaction",
            RefusalCode::NoDatabase => "the database is not there",
            RefusalCode::Locked => "another executor is acting on this pool at this moment",
            RefusalCode::Expired => "the request arrived after its time and was not carried out",
            RefusalCode::Fenced => "another executor owns this pool",
            RefusalCode::State => "the database is not in the state that was planned for",
            RefusalCode::Position => "the database no longer stands where the plan begins",
            RefusalCode::Busy => "a restore, backup or log-shipping job is running",
            RefusalCode::Mirrored => "the database is mirrored",
            RefusalCode::Evidence => "the evidence could not be secured",
            RefusalCode::LogShipping => "log shipping is not as it was planned for",
            RefusalCode::Sessions => "a session could not be ended",
            RefusalCode::Job => "the Agent job is not as it was planned for",
            RefusalCode::NotLast => "the list of backups has changed",
            RefusalCode::Fork => "the database is on another recovery fork",
            RefusalCode::Parameter => "the request was not whole",
        };
        if self.words.is_empty() { f.write_str(meaning) } else { write!(f, "{meaning} ({})", self.words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_only_when_number_prefix_and_state_agree() {
        for code in RefusalCode::ALL {
            let message = format!("PCHAT|{}|mgc: 1|2", code.word());
            let read = Refusal::read(50_000, code.state(), &message);
            assert_eq!(read, Some(Refusal { code, words: "mgc: 1|2".into() }));
            assert_eq!(Refusal::read(50_001, code.state(), &message), None);
            assert_eq!(Refusal::read(50_000, code.state() + 100, &message), None);
            assert_eq!(Refusal::read(50_000, code.state(), &message[1..]), None);
        }
    }
}
