//! What SQL Server's error numbers mean here: success, something to be tried elsewhere, or a sentence with
//! cause and remedy. Numbers and texts: SQL Server "Database Engine Events and Errors".

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
    matches!(
        error.number,
        229 | 230 | 262 | 297 | 300 | 371 | 916 | 3110 | 6102 | 8189 | 14260 | 14393 | 14525 | 15003 | 15247
    )
}

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
    let number = error.number;
    let what = match meaning {
        Some(meaning) => format!("{meaning} (error {number}: {words})."),
        None => format!("error {number}: {words}."),
    };
    Explanation { what, remedy: remedy.to_owned() }
}

fn meaning(error: &ServerError) -> (Option<&'static str>, &'static str) {
    match error.number {
        _ if denied(error) => (
            Some("the login lacks a right"),
            "Make it a member of sysadmin on this instance, or grant the rights listed in docs/rights.md.",
        ),
        208 | 2812 => (
            Some("an object of SQL Server itself is missing"),
            "Check that msdb is ONLINE and that this edition has log shipping and SQL Server Agent.",
        ),
        911 => (Some("the database is not there"), "Check its name in the manifest."),
        942 | 945 | 3414 => {
            (Some("the database can't be opened"), "Bring it ONLINE or restore it; its error log says why.")
        }
        3101 => (
            Some("sessions are in the database again"),
            "The step is repeated; keep readers away from the copy meanwhile.",
        ),
        3102 => (Some("this session is in the database itself"), "The step is repeated from master."),
        3104 | 3059 | 1468 => (
            Some("the database is mirrored"),
            "Remove its mirroring if this copy is to be recovered (ALTER DATABASE ... SET PARTNER OFF).",
        ),
        3013 => (
            Some("the restore ended before its end"),
            "Look into that server's error log for the message before it.",
        ),
        3117 => {
            (Some("the copy does not wait for log"), "It is looked at again before anything else is done.")
        }
        3118 | 3154 | 3141 => (
            Some("the backup belongs to another database"),
            "Remove foreign files from the share, or check share and folder in the manifest.",
        ),
        3201 | 3203 | 3271 => match os_error(&error.message) {
            Some(2 | 3) => {
                (Some("the file is not there"), "It is looked for again on the share and in the folder.")
            }
            Some(5 | 1326) => (
                Some("SQL Server's service account may not read the file"),
                "Give that account read access to share and folder.",
            ),
            Some(32 | 33) => (Some("the file is in use"), "It is tried again when it is free."),
            Some(38) => (Some("the file ends too early"), "It is judged again as a torn backup."),
            Some(53 | 64 | 67 | 51 | 1231) => (
                Some("the share can't be reached from that server"),
                "Restore the network path, or put the files into the copy folder.",
            ),
            _ => (
                Some("the backup can't be read"),
                "Check share, folder and the rights of SQL Server's service account.",
            ),
        },
        3241 | 3242 | 3256 | 3208 | 3183 | 3189 | 3254 => (
            Some("the backup is torn or damaged"),
            "If another copy of the file exists, put it on the share. If not, move it out of share and folder: the rest is judged \
             without it then, and a gap can be accepted.",
        ),
        3167 | 3169 => (
            Some("the backup comes from a newer SQL Server"),
            "Restore it on that version; this copy can't take it.",
        ),
        3170 | 3180 => (
            Some("the standby (undo) file can't be used"),
            "Put the undo file back where the restore job left it.",
        ),
        4305 | 4312 => (
            Some("a log backup before this one is missing"),
            "The chain is read again; find the missing file and put it on the share.",
        ),
        4330 | 4331 | 3121 | 3120 => (
            Some("the backup is on another recovery fork than the copy"),
            "The forks are read again; nothing of it was applied.",
        ),
        4318 | 4333 => (
            Some("the copy has not taken enough log to be recovered"),
            "Apply the log backups that complete the restore it was initialised from.",
        ),
        4319 => (
            Some("an earlier restore was interrupted"),
            "The same backup is restored again; if that fails too, initialise the copy anew.",
        ),
        4347 => (Some("bringing the copy online was interrupted"), "The recovery is repeated."),
        5061 | 5064 | 5070 => (Some("others use the database"), "The step is repeated."),
        9002 | 1105 | 3257 | 3634 => (Some("there is no room left"), "Free disk space on that server."),
        AGENT_REFUSED => (
            Some("SQL Server Agent did not take the request"),
            "Start SQL Server Agent on that instance; where that can't be done, copy the files by hand or let the share be read directly.",
        ),
        14258 => (Some("SQL Server Agent is starting"), "The step is repeated."),
        14262 | 14256 => (Some("the job is not there as it was"), "Log shipping is read again."),
        32054 | 32055 | 7202 | 7399 | 18452 => (
            Some("log shipping's monitor server does not answer"),
            "Log shipping is dropped without it; rows are left behind on the monitor.",
        ),
        15097 => (
            Some("the record is too long for an extended property"),
            "Shorten the paths of share and folder.",
        ),
        _ => (None, "Look the number up in SQL Server's documentation; nothing further was done."),
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

    #[test]
    fn every_explanation_names_number_words_and_remedy() {
        for number in [229, 3101, 3201, 3241, 4305, 4330, 4319, 22022, 32054, 77777] {
            let told = explain(&error(number, "Some words."));
            assert!(told.what.contains(&number.to_string()) && told.what.contains("Some words"), "{told:?}");
            assert!(told.remedy.ends_with('.'), "{told:?}");
        }
    }
}
