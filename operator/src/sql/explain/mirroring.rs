//! Database mirroring: setting it up, failing over, ending it.

use super::Meaning;

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[1404, 1413, 1414, 1421, 1438],
        "the partner was busy or broke off",
        "The step is repeated; the error log of the partner says what happened there.",
    ),
    Meaning(
        &[1405, 1410, 1460],
        "the database is in a mirroring session already",
        "Look at the session on both partners; end the old one where it is left over, then the step is repeated.",
    ),
    Meaning(
        &[1406, 1455],
        "the mirror can't be forced into service as it stands",
        "End the session on it and recover it by hand, if its data is to be used.",
    ),
    Meaning(
        &[1407, 1408, 1409, 1411, 1412, 1475, 1478],
        "the mirror's copy does not fit the principal's log",
        "Restore the log backups that were made since its full backup there WITH NORECOVERY. If that is not enough, keep the files of \
         what stands there and seed it again; disable log backup jobs until the session runs.",
    ),
    Meaning(
        &[1415, 1451, 1459, 1462],
        "the mirroring session is broken",
        "End it on both partners and set it up again; the error logs of both say what broke it.",
    ),
    Meaning(
        &[1416, 1417],
        "the database is not mirrored, or mirroring was switched off",
        "Nothing is left to be ended there.",
    ),
    Meaning(
        &[1418, 1449, 1456, 1479, 26023],
        "the partners' mirroring endpoints don't reach each other",
        "Check on both that the endpoint is STARTED, that its port is open between them and free, and that each service account may \
         connect to the other's endpoint.",
    ),
    Meaning(
        &[1419, 1448, 1464],
        "the mirror has no copy that is RESTORING",
        "If something else stands there under that name, give it another name and keep it: it may hold what this database lacks. Then \
         restore the copy WITH NORECOVERY.",
    ),
    Meaning(
        &[1422, 1447, 1477, 1470],
        "a failover is not possible: the mirror is not connected and caught up, or this is not the principal",
        "Bring the partner back and wait until the session is SYNCHRONIZED, with safety FULL.",
    ),
    Meaning(
        &[1426, 1427, 1429, 1431, 1439],
        "the witness or the partners do not answer together",
        "Bring them back, or take the witness out of the session.",
    ),
    Meaning(
        &[1430],
        "mirroring was ended at a moment when the copies may differ",
        "Verify the data after the recovery.",
    ),
    Meaning(
        &[1436, 1452],
        "the partners' names or identities do not fit",
        "The mirror must be another server, and its copy restored from the principal's own backup.",
    ),
    Meaning(
        &[1453, 1454, 3051],
        "the session was suspended after an error at a partner",
        "The message names the partner and its error: resolve that, then let the session go on.",
    ),
    Meaning(
        &[1463],
        "this edition of SQL Server has no mirroring",
        "Declare backup.mirror: {none: true}, or use an edition that has it.",
    ),
    Meaning(
        &[1465, 1466, 1467, 1469],
        "the database's options exclude mirroring",
        "It must be ONLINE, read-write, in recovery model FULL and without AUTO_CLOSE on the principal.",
    ),
    Meaning(
        &[1468, 3048, 3059, 3104, 3743],
        "the database is mirrored, and a mirrored one does not allow this",
        "End its session first, if this copy is to be used by itself; the next look tells how.",
    ),
];
