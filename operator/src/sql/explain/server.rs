//! What is left: sessions, locks, the journal's properties, and statements that a server does not understand.

use super::{Meaning, REPORT};

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[208, 2812, 4121],
        "an object of SQL Server itself is missing",
        "Check that msdb is ONLINE and that this edition has log shipping and SQL Server Agent.",
    ),
    Meaning(
        &[15281],
        "the server has that part switched off",
        "Switch it on in that server's configuration, as the message says.",
    ),
    Meaning(&[1205, 1222], "another session was in the way", "The step is repeated."),
    Meaning(&[1223, 1224, 1225, 1226, 1227, 1228, 1230], "the pool's lock could not be used", REPORT),
    Meaning(
        &[6101, 6104, 6106, 6107, 6120],
        "the session to be ended is gone, or is none that may be ended",
        "The sessions are read again.",
    ),
    Meaning(
        &[15097],
        "the record is too long for an extended property",
        "Shorten the paths of share and folder.",
    ),
    Meaning(
        &[15096, 15135, 15217, 15225, 15233],
        "the journal in master was changed by somebody else",
        "It is read again before anything else is done.",
    ),
    Meaning(
        &[4002, 4014],
        "the connection was garbled on its way",
        "Look for what stands between this program and the server: a proxy, a firewall, a wrong MTU.",
    ),
    Meaning(
        &[701, 802, 8645, 17803],
        "the server has no memory left",
        "Look at what uses it there; the step is repeated.",
    ),
    Meaning(
        &[
            102, 105, 107, 116, 119, 128, 134, 137, 141, 145, 147, 148, 155, 156, 174, 178, 180, 189, 195,
            197, 201, 203, 205, 206, 207, 209, 213, 214, 220, 226, 233, 241, 242, 243, 245, 257, 402, 403,
            468, 512, 515, 517, 518, 529, 1087, 1934, 2601, 2627, 2714, 2715, 2732, 2747, 2748, 2754, 2786,
            2787, 2809, 4104, 4145, 6115, 8114, 8115, 8116, 8117, 8120, 8134, 8143, 8144, 8145, 8146, 8152,
            8155, 8162, 8164, 8169, 8178, 8179, 8180, 15002,
        ],
        "the server did not understand a statement of this program",
        REPORT,
    ),
];
