//! How reports word what the planner does not: sizes, measured times, reasons; and how a paragraph is set.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use pchat_planner::facts::PoolState;
use pchat_planner::plan::Reason;
use pchat_planner::pool::Side;
pub use pchat_planner::words::{count, duration, list, time};

/// Columns of a paragraph.
pub const WIDTH: usize = 110;

/// In whole milliseconds: more would be noise in a report.
pub fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// How long something took: `3 min 12 s`; tenths below ten seconds, because a step may take no longer.
pub fn took(d: SignedDuration) -> String {
    let tenths = d.as_millis().max(0) / 100;
    if tenths < 100 { format!("{}.{} s", tenths / 10, tenths % 10) } else { duration(d) }
}

/// `1.2 GB`, in powers of ten as disks are sold.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1_000 {
        return format!("{n} bytes");
    }
    let (mut value, mut unit) = (n as f64 / 1_000.0, UNITS[0]);
    for next in &UNITS[1..] {
        if value < 999.5 {
            break;
        }
        value /= 1_000.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A sentence ends with a full stop, whoever wrote it.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text.into() } else { format!("{text}.") }
}

/// A sentence begins with a capital letter, unless with a name.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// The beginning of a paragraph: a capital letter, unless the first word is a name that is spelled otherwise.
pub fn opening(text: &str, names: &[&str]) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let word = first.trim_end_matches([',', ';', ':']);
    if word.chars().all(char::is_lowercase) && !names.contains(&word) {
        capital(text)
    } else {
        text.to_owned()
    }
}

/// The side that a pool state stands for.
pub fn side_of(state: PoolState) -> Side {
    match state {
        PoolState::Normal => Side::Primary,
        PoolState::FailedOver => Side::Backup,
    }
}

/// What a reason means, as half a sentence.
pub fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::PlannedSwitchoverNeeded => "the other side serves, so this is a planned switchover",
        Reason::MirrorHoldsCommits => "the mirror of the other side answers and may hold messages",
        Reason::PrimaryDamaged => "the other side's instance answers, its database is damaged",
        Reason::PrimaryMayBeAlive => "the other side may be alive",
        Reason::SilenceTooShort => "the other side has not been silent for long enough",
        Reason::LogChainGap => "a log backup is missing",
        Reason::ForkAmbiguous => "the log backups part into two lines",
        Reason::StaleCopySuspected => "the copy that is online here may be an old one",
        Reason::BothSidesOnline => "both sides are online",
        Reason::BackupsUnknown => "the log backups can't be read",
        Reason::LogShippingSourceUnknown => "nothing says where the log backups are",
        Reason::LossAboveLimit => "more would be lost than the manifest allows",
        Reason::CentralManagementUnavailable => "the Central Management Store can't be written",
        Reason::IntentConflict => "another executor is moving the pool the other way",
        Reason::OwnedByAnother => "another executor is at work on this pool",
        Reason::BackupUnreachable => "the surviving side can't be asked",
        Reason::RightsMissing => "the login lacks a right",
        Reason::DatabaseUnusable => "the database is in a state that can't be gone on from",
        Reason::FailoverRunning => "a transition is under way",
        Reason::WaitingForFarEnd => "something was started and is not finished",
        Reason::FailbackNeeded => "moving back needs a failback",
        Reason::AsDeclared => "the pool is as declared",
        Reason::NotEnforced => "the mode does not allow acting",
        Reason::ManagementShellUnavailable => "the management shell can't be asked",
        Reason::JournalDamaged => "the journal at the far end can't be read",
        Reason::LogShippingShared => "log shipping's jobs serve another database too",
        Reason::MirrorShareNeeded => "no share is declared to seed the mirror through",
        Reason::MirrorUnavailable => "the new mirror can't be used",
        Reason::LogShippingIncomplete => "a job of log shipping was deleted",
        Reason::EncryptionWeakened => "servers are reached without full encryption",
        Reason::Looking => "something that it depends on was not looked at yet",
        Reason::PoolUnknown => "the management shell knows no such pool",
        Reason::CmdletMissing => "the management shell does not offer a cmdlet that a failover needs",
        Reason::ChatServersUnknown => "a declared chat server is not in the topology",
        Reason::AgentStopped => "SQL Server Agent does not run where log shipping needs it",
        Reason::LogShippingUnhealthy => "log shipping is not there, stands still or hangs",
        Reason::MirrorLeftover => "a database of that name stands where the mirror is to be",
        Reason::MirrorEndpointUnusable => "an instance can't be mirrored through its endpoint",
        Reason::BackupDamaged => "a log backup is damaged",
        Reason::SameServer => "two declared servers are one",
        Reason::WrongServer => "a declared server is not the one that is meant",
        Reason::ServerNames => "a server's name misleads",
    }
}

/// Wraps `text` at `width` columns; each line begins with `indent`. A line behind a tab is something to be typed: it stands by itself,
/// deeper, and is never wrapped.
pub fn wrap(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix('\t') {
            let gap = if out.is_empty() || out.ends_with('\n') { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{indent}  {typed}");
            column = 0;
            continue;
        }
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if column == 0 {
                let _ = write!(out, "{indent}{word}");
                column = indent.chars().count() + length;
            } else if column + 1 + length > width {
                let _ = write!(out, "\n{indent}{word}");
                column = indent.chars().count() + length;
            } else {
                let _ = write!(out, " {word}");
                column += 1 + length;
            }
        }
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// Every sequence that [`Paint`] writes.
pub const PAINTS: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }

    /// Done.
    pub fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Under way, or to be looked at.
    pub fn busy(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Stopped.
    pub fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    /// Not its turn.
    pub fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    /// What is looked for first.
    pub fn strong(self, text: &str) -> String {
        self.code("1", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_times_have_tenths_while_they_are_short() {
        for (millis, said) in [
            (-5, "0.0 s"),
            (430, "0.4 s"),
            (9_990, "9.9 s"),
            (11_200, "11 s"),
            (60_000, "1 min"),
            (192_400, "3 min 12 s"),
            (3_600_000, "1 h"),
            (5_400_000, "1 h 30 min"),
            (86_400_000, "1 d"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(took(SignedDuration::from_millis(millis)), said);
        }
        assert_eq!(duration(SignedDuration::from_millis(4_900)), "4 s");
    }

    #[test]
    fn sizes_round_to_what_is_said_aloud() {
        for (n, said) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (65_536, "66 kB"),
            (999_600, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
        ] {
            assert_eq!(bytes(n), said);
        }
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now = "2026-11-22T23:44:10Z".parse().expect("a timestamp");
        let at = |text: &str| time(text.parse().expect("a timestamp"), now);
        assert_eq!(at("2026-11-22T23:41:07.9Z"), "23:41:07 UTC");
        assert_eq!(at("2026-11-23T00:00:00Z"), "2026-11-23 00:00:00 UTC");
    }

    #[test]
    fn a_paragraph_begins_with_a_capital_letter_and_a_name_stays_as_it_is_spelled() {
        for (text, said) in [
            ("a log backup is missing", "A log backup is missing"),
            ("mgc on sql-ks1 is gone", "mgc on sql-ks1 is gone"),
            ("activeDatabase is primary", "activeDatabase is primary"),
            (r"sql-ks1\PCHAT is gone", r"sql-ks1\PCHAT is gone"),
            ("", ""),
        ] {
            assert_eq!(opening(text, &["mgc"]), said);
        }
    }

    #[test]
    fn a_text_is_wrapped_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three four", "  ", 12), "  one two\n  three four");
        assert_eq!(
            wrap("a \\\\files\\pchat-logs\\very-long b", "", 8),
            "a\n\\\\files\\pchat-logs\\very-long\nb"
        );
        assert_eq!(wrap("", "  ", 8), "");
        assert_eq!(wrap("an error\nof two lines", "", 30), "an error of two lines");
    }

    #[test]
    fn what_is_to_be_typed_stands_on_a_line_of_its_own_and_whole() {
        let text = "Save it. On sql-tp1:\n\tBACKUP LOG [mgc] TO DISK = N'a b';\n\tNEXT;\nIt goes on.";
        let said = "  Save it.\n  On\n  sql-tp1:\n    BACKUP LOG [mgc] TO DISK = N'a b';\n    NEXT;\n  It goes\n  on.";
        assert_eq!(wrap(text, "  ", 10), said);
    }
}
