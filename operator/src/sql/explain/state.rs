//! Databases that can't be opened or changed in the state in which they are.

use super::Meaning;

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[911, 15010],
        "the database is not there",
        "Check its name in the manifest against sys.databases of that server.",
    ),
    Meaning(
        &[913, 921, 922, 941, 952, 5059, 3402],
        "the server is starting or recovering the database",
        "It is looked at again; the error log of that server shows how far it is.",
    ),
    Meaning(
        &[923, 924, 5064, 1488],
        "the database is in restricted or single-user mode",
        "End the session that holds it, then set it to MULTI_USER.",
    ),
    Meaning(
        &[926],
        "the database is SUSPECT",
        "The error log of that server says why: bring back the disk or file that it names. Keep the database's files, and restore nothing \
         over them while it may be all that is left.",
    ),
    Meaning(
        &[927],
        "the database is in the middle of a restore",
        "That is how a copy waits for log; nothing has to be done.",
    ),
    Meaning(
        &[942],
        "the database is OFFLINE",
        "Somebody took it out of service: bring it ONLINE if it is to be used.",
    ),
    Meaning(
        &[945],
        "files of the database can't be reached, or memory or disk space is short",
        "The error log of that server names the file; bring back its disk or make room, then bring the database ONLINE.",
    ),
    Meaning(
        &[3414],
        "recovery of the database failed",
        "The error log of that server says at which record. Keep the database's files, and restore a good backup under another name beside \
         them.",
    ),
    Meaning(
        &[954, 957],
        "the database is mirrored, and what was asked is not for a mirrored one",
        "Look at its session on both partners; the next look tells what to do about it.",
    ),
    Meaning(
        &[955, 956],
        "the mirrored database waits for its partner or witness",
        "Bring the partner or the witness back, or end the session.",
    ),
    Meaning(
        &[902, 5004],
        "the database can't be written to as it is now",
        "Bring it ONLINE and read-write; then the step is repeated.",
    ),
    Meaning(
        &[5030, 5061, 5070],
        "others use the database",
        "The step is repeated; keep users and jobs away from it meanwhile.",
    ),
    Meaning(
        &[5052, 5063, 5069],
        "the state of the database does not allow that change",
        "It is looked at again before anything else is done.",
    ),
    Meaning(&[5062], "two options of the change exclude each other", super::REPORT),
];
