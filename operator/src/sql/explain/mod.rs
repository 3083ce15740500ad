//! What SQL Server's error numbers mean here: success, something to be tried elsewhere, or a sentence with
//! cause and remedy. Numbers and texts: SQL Server "Database Engine Events and Errors".

mod access;
mod backup;
mod mirroring;
mod restore;
mod server;
mod shipping;
mod state;

use super::connection::ServerError;

/// Errors that say that the effect is there already. Each is confirmed by reading the state again.
pub const ALREADY_RECOVERED: u32 = 3153;
/// The log in this backup set ends before the copy's position.
pub const TOO_EARLY: u32 = 4326;
/// The log in this backup set begins behind the copy's position.
pub const TOO_LATE: u32 = 4305;
/// The database is not a log-shipping secondary (any more).
pub const NOT_A_SECONDARY: u32 = 32014;
/// SQLServerAgent refused a request: also said of a job that runs already.
pub const AGENT_REFUSED: u32 = 22022;

/// The operating system's error in a message of the 32xx family: the last number before a `(`.
pub fn os_error(message: &str) -> Option<u32> {
    message
        .match_indices('(')
        .filter_map(|(at, _)| {
            let head = &message[..at];
            let digits = head.len() - head.bytes().rev().take_while(u8::is_ascii_digit).count();
            head[digits..].parse().ok()
        })
        .next_back()
}

/// What reading a backup file failed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Torn, malformed or unfinished: what is missing will not come by itself.
    Torn,
    /// Somebody else has it open.
    InUse,
    /// It is not there.
    Gone,
    /// The server could not tell.
    Unknown,
}

/// Reads an error of RESTORE HEADERONLY, or of RESTORE reading its device, as the state of the file;
/// `None` if it is not about the file.
pub fn file_fault(error: &ServerError) -> Option<FileFault> {
    match error.number {
        // 38 is ERROR_HANDLE_EOF: the file ends too early.
        3201 | 3203 | 3271 => Some(match os_error(&error.message) {
            Some(2) => FileFault::Gone,
            Some(32 | 33) => FileFault::InUse,
            Some(38) => FileFault::Torn,
            _ => FileFault::Unknown,
        }),
        3143 | 3183 | 3189 | 3208 | 3209 | 3241 | 3242 | 3246 | 3254 | 3256 => Some(FileFault::Torn),
        _ => None,
    }
}

/// Whether an error of RESTORE or VERIFYONLY says that the backup itself can't be read to its end, and not that something stood
/// in the way of reading it.
pub fn body_damaged(error: &ServerError) -> bool {
    match error.number {
        // Data error (23), end of file (38), device error (1117).
        3203 => matches!(os_error(&error.message), Some(23 | 38 | 1117)),
        _ => file_fault(error) == Some(FileFault::Torn),
    }
}

/// Whether an error of RESTORE says that the file or its place in the log is not what its header told: it is asked anew.
pub fn about_the_file(error: &ServerError) -> bool {
    file_fault(error).is_some()
        || matches!(error.number, 3118 | 3135 | 3154 | 4038 | 4305 | 4312 | 4326 | 4330 | 4331)
}

/// Whether the server denied what was asked: the connection and the login are in order, a right is missing.
pub fn denied(error: &ServerError) -> bool {
    access::DENIED.contains(&error.number)
}

/// Errors that mean the same, the cause as half a sentence, and what to do.
struct Meaning(&'static [u32], &'static str, &'static str);

/// One table a family; no number stands in two.
const FAMILIES: [&[Meaning]; 7] = [
    access::TABLE,
    state::TABLE,
    restore::TABLE,
    backup::TABLE,
    mirroring::TABLE,
    shipping::TABLE,
    server::TABLE,
];

/// For what no administrator of the pool can mend.
const REPORT: &str = "Report it with this number and the server's version: the fault is this program's, or the server is none of 2008 R2 to 2019.";

/// For a file of which another copy may be whole.
const OTHER_COPY: &str = "If another copy of the file exists, put it on the share. If not, move it out of share and folder: the rest is \
                          judged without it then, and a gap can be accepted.";

/// Errors whose cause stands in the operating system's number, in the message: opening, writing, reading, and a file of the database.
const OF_THE_SYSTEM: &[u32] = &[3201, 3202, 3203, 3271, 5120, 5133];

/// A cause and a remedy, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened: the server's words with number, and what that means.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Explains an error that is neither a refusal of ours nor success in disguise.
pub fn explain(error: &ServerError) -> Explanation {
    let words = error.message.trim().trim_end_matches('.');
    let (meaning, remedy) = meaning(error);
    // A server that tells more than 1 of a refused login tells why it was refused.
    let state = if error.number == 18_456 && error.state > 1 {
        format!(", state {}", error.state)
    } else {
        String::new()
    };
    let number = format!("error {}{state}", error.number);
    let what = match meaning {
        Some(meaning) => format!("{meaning} ({number}: {words})."),
        None => format!("{number}: {words}."),
    };
    Explanation { what, remedy: remedy.to_owned() }
}

fn meaning(error: &ServerError) -> (Option<&'static str>, &'static str) {
    if OF_THE_SYSTEM.contains(&error.number) {
        let (cause, remedy) = backup::of_system(os_error(&error.message));
        return (Some(cause), remedy);
    }
    let known = FAMILIES.into_iter().flatten().find(|m| m.0.contains(&error.number));
    match known {
        Some(Meaning(_, cause, remedy)) => (Some(*cause), remedy),
        None => (None, "Look the number up in SQL Server's documentation; nothing further was done."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u32, message: &str) -> ServerError {
        ServerError { number, state: 1, class: 16, message: message.into() }
    }

    #[test]
    fn the_operating_systems_number_is_found_in_any_language_and_beside_other_brackets() {
        let english = r"Cannot open backup device '\\f (x)\mgc_1(2).trn'. Operating system error 32(The process cannot access the file because it is being used by another process.).";
        let german = r"Das Sicherungsmedium '\\f\a.trn' kann nicht geöffnet werden. Betriebssystemfehler 5(Zugriff verweigert).";
        assert_eq!(os_error(english), Some(32));
        assert_eq!(os_error(german), Some(5));
        assert_eq!(os_error("no number (here)"), None);
    }

    #[test]
    fn in_use_torn_gone_and_unknown_are_four_different_facts() {
        let open =
            |os: &str| error(3201, &format!("Cannot open backup device 'x'. Operating system error {os}."));
        assert_eq!(file_fault(&open("32(in use)")), Some(FileFault::InUse));
        assert_eq!(file_fault(&open("2(not found)")), Some(FileFault::Gone));
        assert_eq!(file_fault(&open("53(network path)")), Some(FileFault::Unknown));
        assert_eq!(file_fault(&open("5(denied)")), Some(FileFault::Unknown));
        assert_eq!(
            file_fault(&error(3203, "Read on \"x\" failed: 38(Reached the end of the file.)")),
            Some(FileFault::Torn)
        );
        assert_eq!(
            file_fault(&error(3241, "The media family on device 'x' is incorrectly formed.")),
            Some(FileFault::Torn)
        );
        assert_eq!(file_fault(&error(4305, "too recent")), None);
    }

    /// Numbers that are in no list of Microsoft's that was read, and are raised all the same.
    const BESIDE: [u32; 10] = [297, 300, 371, 1105, 3634, 7202, 8189, 9002, 22022, 33111];

    /// Number, severity and text of the messages that log shipping, RESTORE, BACKUP, mirroring, logging in and the statements of this
    /// program can raise, from "Database Engine Events and Errors": the list that the lab raises them from. Up to severity 10 they are
    /// no errors.
    fn listed() -> Vec<(u32, u8, String)> {
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/lab/tsql/data/messages.tsv");
        let list = std::fs::read_to_string(list).expect("the lab's list of messages");
        let lines = list.lines().skip(1);
        lines
            .map(|line| {
                let mut cells = line.splitn(3, '\t');
                let mut cell = || cells.next().expect("three cells");
                (cell().parse().expect("a number"), cell().parse().expect("a severity"), cell().to_owned())
            })
            .collect()
    }

    #[test]
    fn every_number_that_can_be_raised_has_a_sentence_with_cause_and_remedy() {
        let listed = listed();
        assert!(listed.len() > 350, "the list is there");
        let beside = BESIDE.map(|number| (number, 16, "Some words.".to_owned()));
        for (number, severity, text) in listed.into_iter().chain(beside).filter(|(_, s, _)| *s > 10) {
            let error = ServerError { number, state: 1, class: severity, message: text.clone() };
            let (cause, remedy) = meaning(&error);
            assert!(cause.is_some(), "{number} has no cause: {text}");
            assert!(
                remedy.ends_with('.') && !remedy.to_lowercase().contains("look the number up"),
                "{number}: {remedy}"
            );
            let told = explain(&error);
            assert!(told.what.contains(&format!("error {number}: ")), "{told:?}");
            assert!(told.what.contains(text.trim_end_matches('.')), "{told:?}");
        }
    }

    /// While the other side is lost, a damaged copy may be all there is.
    #[test]
    fn no_remedy_gives_up_what_may_be_the_last_copy() {
        let destroys = [
            "initialise it",
            "initialise the",
            "initialise log",
            "drop what",
            "seed it",
            "restore it,",
            "restore the database",
            "replace",
        ];
        for Meaning(numbers, _, remedy) in FAMILIES.into_iter().flatten() {
            let low = remedy.to_lowercase();
            if destroys.iter().any(|word| low.contains(word)) {
                assert!(
                    low.contains("keep") || low.contains("while the primary serves"),
                    "{numbers:?}: {remedy}"
                );
            }
        }
        let remedy = |number| meaning(&error(number, "Some words.")).1;
        for number in [926, 1419, 3163, 3170, 3185, 3414, 4319] {
            assert!(remedy(number).to_lowercase().contains("keep"), "{number}: {}", remedy(number));
        }
        assert!(remedy(4323).contains("CONTINUE_AFTER_ERROR"), "{}", remedy(4323));
        assert!(remedy(3142).contains("move it away"), "{}", remedy(3142));
        assert!(remedy(4320).contains("restore of the file"), "{}", remedy(4320));
    }

    #[test]
    fn no_number_means_two_things() {
        let mut seen = std::collections::BTreeSet::new();
        for number in FAMILIES.into_iter().flatten().flat_map(|m| m.0).chain(OF_THE_SYSTEM) {
            assert!(seen.insert(number), "{number} stands in two rows");
        }
    }

    #[test]
    fn a_path_and_what_windows_said_of_it_stay_in_the_sentence() {
        let words = "Directory lookup for the file \"E:\\Data\\mgc2.ndf\" failed with the operating system error 3(The system cannot find \
                     the path specified.).";
        let told = explain(&error(5133, words));
        assert!(
            told.what.contains("E:\\Data\\mgc2.ndf") && told.what.starts_with("the folder is not there"),
            "{told:?}"
        );
        assert!(told.remedy.contains("Create the folder"), "{told:?}");
    }

    #[test]
    fn the_state_of_a_refused_login_is_told_where_the_server_tells_it() {
        let refused =
            |state| explain(&ServerError { state, ..error(18_456, "Login failed for user 'x'.") }).what;
        assert!(refused(8).contains("(error 18456, state 8: Login failed"), "{}", refused(8));
        assert!(refused(1).contains("(error 18456: Login failed"), "{}", refused(1));
    }

    #[test]
    fn a_number_that_is_not_known_is_told_with_the_servers_words() {
        let told = explain(&error(77_777, "Some words."));
        assert_eq!(told.what, "error 77777: Some words.");
        assert!(told.remedy.ends_with('.'), "{told:?}");
    }
}
