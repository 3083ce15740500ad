//! Logging in, and what a login may do.

use super::Meaning;

/// The connection and the login are in order, a right is missing.
pub(super) const DENIED: &[u32] =
    &[229, 230, 262, 297, 300, 371, 916, 3110, 6102, 8189, 14252, 14260, 14393, 14525, 15003, 15247];

pub(super) const TABLE: &[Meaning] = &[
    Meaning(
        DENIED,
        "the login lacks a right",
        "Make it a member of sysadmin on this instance, or grant the rights listed in docs/rights.md.",
    ),
    Meaning(
        &[18452],
        "the server takes Windows accounts only, or the account is of a domain that it does not trust",
        "Allow SQL Server authentication there (mixed mode, then a restart), or use a SQL login.",
    ),
    // The state that a client is told is 1, whatever the reason: the server keeps that for its own log.
    Meaning(
        &[18456],
        "user or password is wrong, or the login may not log in there; the error log of that server says which, behind the word State",
        "Correct user and password in the Secret. In the error log, state 2 or 5: there is no such login; 6: a Windows account was given \
         to a SQL login; 7: the login is disabled; 8 or 9: the password; 11 or 12: it may not log in to this server; 13: the service is \
         paused; 18: the password must be changed; 38 or 40: its database can't be opened; 58: only Windows accounts are taken.",
    ),
    Meaning(&[18470], "the login is disabled", "Enable it on that server, as a member of sysadmin."),
    Meaning(
        &[18486],
        "the login is locked out after wrong passwords",
        "Put the right password into the Secret first, then unlock the login on that server.",
    ),
    Meaning(
        &[18487, 18488],
        "the login's password has expired or must be changed",
        "Set a new one on that server and put it into the Secret.",
    ),
    Meaning(
        &[18401],
        "the server is running its upgrade scripts",
        "Wait until it has finished; its error log shows how far it is.",
    ),
    Meaning(
        &[18451, 18461],
        "the server lets administrators in only, or one administrator",
        "Start it without single-user or minimal mode, or wait until maintenance is over.",
    ),
    Meaning(
        &[4060, 4061, 4062, 4063, 4064],
        "the login has no way into the database that it asked for",
        "Let the login use master, and see that master is ONLINE.",
    ),
    Meaning(
        &[5011, 15151, 4902],
        "the object is not there, or the login may not see it",
        "Check the name, and make the login a member of sysadmin on this instance.",
    ),
];
