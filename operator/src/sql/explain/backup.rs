//! BACKUP, and the media that backups are read from and written to.

use super::{Meaning, OTHER_COPY};

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[3183, 3186, 3189, 3208, 3209, 3241, 3242, 3246, 3254, 3256, 3266],
        "the backup is torn or damaged",
        OTHER_COPY,
    ),
    Meaning(&[3143], "the file is no backup of SQL Server", "Move it out of share and folder."),
    Meaning(
        &[3204],
        "the backup or restore was ended from outside",
        "It is begun again; look for who ends sessions on this server, or for its shutdown.",
    ),
    Meaning(
        &[3205, 3206, 3207, 3038],
        "the server does not know that backup device",
        "Check share and folder: they must be paths of a share or of a disk.",
    ),
    Meaning(
        &[3270],
        "the server found its own backup code in contradiction",
        "Its error log has a dump; take the file from another place, and ask Microsoft's support.",
    ),
    Meaning(
        &[3023],
        "another backup, or a change to the database's files, is running",
        "The step is repeated when that is over.",
    ),
    Meaning(
        &[3002, 4208, 4212],
        "the log of this database can't be backed up: it is a snapshot, master, or in recovery model SIMPLE",
        "Log shipping needs recovery model FULL and a full backup behind it; while the primary serves, initialise the copy from that.",
    ),
    Meaning(
        &[3035, 4214],
        "there is no full backup that this one could build on",
        "Make a full backup of the database first.",
    ),
    Meaning(
        &[3033, 3036],
        "a database in EMERGENCY or STANDBY can't be backed up",
        "Bring it out of that state first.",
    ),
    Meaning(
        &[3041, 3049],
        "the log of the database is damaged, or its backup failed",
        "The error log of that server says where; what is behind the damage can't be saved.",
    ),
    Meaning(
        &[3009],
        "msdb could not record the backup or restore; it was done all the same",
        "Make room in msdb, and have its consistency checked.",
    ),
    Meaning(&[9002, 1105, 3257, 3634], "there is no room left", "Free disk space on that server."),
];

/// What an operating system's error means for a file, by its number. The message names the file.
pub(super) fn of_system(error: Option<u32>) -> (&'static str, &'static str) {
    match error {
        Some(2) => ("the file is not there", "It is looked for again on the share and in the folder."),
        Some(3) => (
            "the folder is not there",
            "Create the folder that the message names on that server, or correct the path.",
        ),
        Some(5 | 1326 | 1385) => (
            "SQL Server's service account may not use the file",
            "Give the account that SQL Server runs as access to the path that the message names.",
        ),
        Some(19) => ("the disk is write-protected", "Make the disk that the message names writable."),
        Some(21 | 55 | 1117) => ("the disk is not ready", "Bring the disk that the message names back."),
        Some(32 | 33) => ("the file is in use", "It is tried again when it is free."),
        Some(38) => ("the file ends too early", "It is judged again as a torn backup."),
        Some(39 | 112) => ("there is no room left", "Free space on the disk that the message names."),
        Some(23 | 1392) => ("the disk can't read the file", OTHER_COPY),
        Some(51 | 53 | 59 | 64 | 67 | 121 | 1231 | 1232 | 1396) => (
            "the share can't be reached from that server",
            "Restore the network path, or put the files into the copy folder.",
        ),
        _ => (
            "the operating system refused the file",
            "Check the path that the message names and the rights of the account that SQL Server runs as; the number behind \"operating \
             system error\" is Windows' own.",
        ),
    }
}
