//! Log shipping, its jobs and its monitor.

use super::{AGENT_REFUSED, Meaning, NOT_A_SECONDARY};

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        &[AGENT_REFUSED],
        "SQL Server Agent did not take the request",
        "Start SQL Server Agent on that instance; where that can't be done, copy the files by hand or let the share be read directly.",
    ),
    Meaning(&[14258], "SQL Server Agent is starting", "The step is repeated."),
    Meaning(
        &[14262, 14256, 14257, 14234, 14294, 14528],
        "the job is not there as it was, or has no server or step",
        "Log shipping is read again; a job that was changed by hand has to be mended by hand.",
    ),
    Meaning(
        &[14274],
        "the job belongs to a master server",
        "Change it on the server that sends it (multi-server administration), or take this one out of that.",
    ),
    Meaning(
        &[14261, 32009, 32012, 32013, 32022, 32024],
        "that part of log shipping exists already",
        "Log shipping is read again.",
    ),
    Meaning(
        &[NOT_A_SECONDARY, 32010, 32023],
        "log shipping of this database is not there any more",
        "It is read again; where it was removed by hand, declare share and folder under logShipping.",
    ),
    Meaning(
        &[32011, 32025],
        "a secondary still hangs on that part of log shipping",
        "Remove the secondary there first.",
    ),
    Meaning(
        &[32007, 32008],
        "log shipping works on a database that is ONLINE only",
        "Bring the database that the message names ONLINE.",
    ),
    Meaning(
        &[32015],
        "the primary is in recovery model SIMPLE",
        "Set it to FULL and make a full backup; while the primary serves, initialise log shipping from that.",
    ),
    Meaning(
        &[32016],
        "log shipping's monitor has no entry for this job: its tables were set up or cleaned up incompletely",
        "Set log shipping up again, which writes the entry anew. A failover does not need it: the log backups are read from share and folder.",
    ),
    Meaning(
        &[32017, 32018],
        "this SQL Server has no log shipping",
        "It is part of the Standard and Enterprise editions; where it is not installed, add the feature or read the files from declared \
         share and folder.",
    ),
    Meaning(
        &[32028, 32052, 14200, 14266],
        "a parameter of log shipping is not what this version expects",
        super::REPORT,
    ),
    Meaning(
        &[32053],
        "this server has no name of its own (@@SERVERNAME is NULL)",
        "Give it its host's name again as the local server, and restart SQL Server there.",
    ),
    Meaning(
        &[32030, 32031, 32054, 32055, 7202, 7399],
        "log shipping's monitor server does not answer",
        "Log shipping is dropped without it; rows are left behind on the monitor.",
    ),
    Meaning(
        &[14420],
        "the primary has not backed up its log for longer than agreed",
        "See whether its log backup job runs, and whether it reaches the share.",
    ),
    Meaning(
        &[14421],
        "the copy has not been restored for longer than agreed",
        "See whether copy and restore job run here; their history in SQL Server Agent says what stops them.",
    ),
];
