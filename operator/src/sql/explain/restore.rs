//! RESTORE: what the copy lacks, or what the backup is not.

use super::Meaning;

const LOOKED_AT: &str = "It is looked at again before anything else is done.";

/// While the other side is lost a damaged copy may be all there is: nothing is restored over it.
macro_rules! kept {
    ($first:literal) => {
        concat!(
            $first,
            " Do not overwrite this copy while the other side is lost: keep its files, and restore a full backup and the log backups \
             behind it under another name."
        )
    };
}

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[3013, 3119],
        "the statement ended before its end",
        "Look into the error log of that server for the message before it.",
    ),
    Meaning(
        &[3101],
        "sessions are in the database again",
        "The step is repeated; keep readers away from the copy meanwhile.",
    ),
    Meaning(&[3102], "this session is in the database itself", "The step is repeated from master."),
    Meaning(&[3117], "the copy does not wait for log", LOOKED_AT),
    Meaning(&[3153], "the database is recovered already", LOOKED_AT),
    Meaning(&[3120, 4326], "the copy stands behind this backup already", LOOKED_AT),
    Meaning(
        &[3118, 3141, 3154],
        "the backup belongs to another database",
        "Remove foreign files from the share, or check share and folder in the manifest.",
    ),
    Meaning(
        &[3121, 4330, 4331],
        "the backup is on another recovery fork than the copy",
        "The forks are read again; nothing of it was applied.",
    ),
    Meaning(
        &[3135, 3136, 3140],
        "the file holds no log backup that continues the copy",
        "Move it out of share and folder: only log backups are applied.",
    ),
    Meaning(
        &[3142],
        "another file stands already at the path of a data file that was added at the primary",
        "See which database of this server uses the file that the message names: if none does, move it away and keep it, and never \
         overwrite it. Then the same backup is restored again.",
    ),
    Meaning(
        &[3156],
        "a data file that was added at the primary can't be created at its path on this server",
        "Create the folder that the message names on this server, on a disk with room, and let the SQL Server service account write to it; \
         then the same backup is restored again.",
    ),
    Meaning(
        &[3159],
        "the database holds log that was never backed up",
        "Save the end of its log before anything is restored over it.",
    ),
    Meaning(
        &[3163],
        "the log of the copy is damaged, and no further log backup goes into it",
        kept!("The error log of this server says what broke it."),
    ),
    Meaning(
        &[3185],
        "the copy is SUSPECT, and no further log backup goes into it",
        kept!(
            "The error log of this server says what broke it: bring back the disk or file that it names first."
        ),
    ),
    Meaning(
        &[4320],
        "a file of the copy was not restored completely",
        "Complete the restore of the file that the message names, from the backup that the copy was initialised from, WITH NORECOVERY; \
         then the same log backup is restored again. Keep the copy's other files as they are while the other side is lost.",
    ),
    Meaning(
        &[4323],
        "an earlier restore of the copy went on after an error, so it may be damaged",
        "Every further RESTORE of it must say CONTINUE_AFTER_ERROR: restore the log backups by hand that way, WITH NORECOVERY, and keep \
         its files while the other side is lost. Have its consistency checked once it is recovered.",
    ),
    Meaning(
        &[3166, 3167],
        "the server could not drop or start the database",
        "The error log of this server says why; bring its files and disks back, then the step is repeated.",
    ),
    Meaning(
        &[3169, 3243, 3255, 3268],
        "the backup was made by a SQL Server, or on a disk, that this one can't read",
        "A backup of a newer version can't be restored on an older one: bring this instance to that version. The message names both.",
    ),
    Meaning(
        &[3180, 3419],
        "STANDBY is not possible between two versions of SQL Server",
        "Set log shipping's restore mode here to no recovery; the next log backup is restored WITH NORECOVERY.",
    ),
    Meaning(
        &[3170, 3441],
        "the undo file of the STANDBY copy can't be used",
        "Put the undo file that the message names back where the restore job left it, and let the SQL Server service account read and \
         write it. Without it no further log goes into the copy: keep its files while the other side is lost, and restore a full backup \
         and the log backups behind it under another name.",
    ),
    Meaning(&[3187], "the backup has no checksums to be verified", "It is restored without them."),
    Meaning(
        &[3217, 3250, 3234, 4038, 3287],
        "the file does not hold what its header promises",
        super::OTHER_COPY,
    ),
    Meaning(
        &[4303, 4318, 4333],
        "the copy has not taken enough log to be recovered",
        "Apply the log backups that complete the restore it was initialised from.",
    ),
    Meaning(
        &[4305, 4312, 4349],
        "a log backup before this one is missing",
        "The chain is read again; find the missing file and put it on the share.",
    ),
    Meaning(
        &[4319],
        "an earlier restore was interrupted",
        "The same backup is restored again. If that fails too, keep the copy's files while the other side is lost, and restore a full \
         backup and the log backups behind it under another name.",
    ),
    Meaning(&[4332, 4347], "bringing the copy online was interrupted", "The recovery is repeated."),
    Meaning(
        &[33111],
        "the backup is encrypted, and the certificate that it needs is not on this server",
        "Restore that certificate with its private key into master here, from the backup that was made of it.",
    ),
    Meaning(
        &[15507, 15581, 33101],
        "the server's own keys can't be opened",
        "Open or restore the master key of master on this server.",
    ),
    Meaning(
        &[3021, 3025, 3031, 3032, 3044, 3057, 3132],
        "the statement does not fit this server",
        super::REPORT,
    ),
];
