//! Every reason that a condition or an event can have, with its meaning: the one list, and the page of the documentation
//! that is made of it.

use std::fmt::Write as _;

use pchat_planner::plan::Reason;

use crate::report::words::{meaning, opening, sentence};

/// Of the conditions that tell how a run goes, beside the plan's own [`Reason`]s.
const RUN: [(&str, &str); 8] = [
    ("ActionFailing", "an action ends in an error again and again"),
    ("ActionWithoutEffect", "an action was confirmed, and what it should bring about is not seen"),
    ("InvalidDeclaration", "what is declared, or one of its Secrets, can't be worked with"),
    ("NotServing", "the primary side is wanted, and is not seen to serve"),
    ("NotStalled", "nothing holds the operator up"),
    ("SplitBrainSuspected", "the pool is as declared, and the other side may be writable as well"),
    ("Stalled", "nothing has moved for as long as the deadlines allow"),
    ("Suspended", "the annotation persistentchat.io/suspend asks to change nothing"),
];

/// Of every condition: what it is about was not looked at yet.
pub(super) const LOOKING: &str = "Looking";

/// Of the conditions that tell how the pool is.
const POOL: [(&str, &[(&str, &str)]); 8] = [
    (
        "FailoverReady",
        &[
            ("Ready", "the pool could be moved right now"),
            (
                "ReadyWithWarnings",
                "the pool could be moved right now, and something is wrong that would hurt a later step",
            ),
            ("TransitionOpen", "the pool is being moved already"),
        ],
    ),
    (
        "Protected",
        &[
            ("LogShippingHealthy", "log backups arrive and are restored"),
            ("LogShippingLate", "the last log backup that was restored is older than 45 min"),
            ("LogShippingUnhealthy", "a job of log shipping is disabled or has failed"),
            ("NeverRestored", "no log backup was restored yet"),
            ("LogShippingLagUnknown", "how old the last restored log backup is can't be told"),
            ("NoLogShipping", "nothing ships the log of the side that serves"),
            ("BackupUnreachable", "the backup instance can't be asked"),
        ],
    ),
    (
        "Mirrored",
        &[
            ("MirrorSynchronized", "the side that serves has its mirror"),
            ("MirrorNotSynchronized", "the session is suspended or disconnected"),
            ("MirrorUnreachable", "one of the partners can't be asked"),
            ("NotMirrored", "the database has no mirroring session"),
            ("NoMirrorDeclared", "the side that serves has no mirror, by declaration"),
            ("NotSeen", "which side serves is not known"),
        ],
    ),
    (
        "SplitBrainSuspected",
        &[
            ("OneWritableSide", "the side that does not serve is not writable"),
            ("OtherSideAlive", "the side that does not serve is writable, or may be"),
            ("OtherSideUnseen", "the side that does not serve can't be asked"),
            ("NotSeen", "which side serves is not known"),
        ],
    ),
    ("ApprovalRequired", &[("NothingToApprove", "nothing waits for a person")]),
    (
        "ComplianceAtRisk",
        &[
            ("FailedOver", "mgccomp stays behind where the pool was failed over"),
            ("NotFailedOver", "the pool runs where its compliance data is"),
        ],
    ),
    ("IntentConflict", &[("OneIntent", "nobody else is moving the pool")]),
    (
        "Encrypted",
        &[
            ("AllEncrypted", "all that is sent to SQL Server is encrypted, and its certificate is verified"),
            ("EncryptionWeakened", "servers are reached without full encryption, as declared"),
        ],
    ),
];

/// Conditions whose reason can be that of a stop or a wait as well.
const WITH_STOPS: [&str; 6] =
    ["Ready", "Reconciling", "Stalled", "FailoverReady", "ApprovalRequired", "IntentConflict"];

/// Whether a condition of this kind can have this reason.
pub(super) fn listed(kind: &str, reason: &str) -> bool {
    let own = POOL.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, own)| own);
    own.iter().chain(&RUN).any(|(name, _)| *name == reason)
        // What was not looked at yet has no other answer.
        || reason == LOOKING
        || WITH_STOPS.contains(&kind) && Reason::ALL.iter().any(|known| known.to_string() == reason)
}

/// The page of the documentation.
pub fn page() -> String {
    let mut page = String::from(
        "# Reasons\n\n\
         Plan, terminal, status, events and metrics use the same words; these are all of them. This page is made from the \
         code, and a test holds it against that. What helps in a case, with host, object and number, is said by the message \
         beside the reason.\n\n\
         ## Of a run\n\n\
         `Ready`, `Reconciling` and `Stalled` have one of these; `FailoverReady`, `ApprovalRequired` and `IntentConflict` have \
         one of the first table when it is what stands in the way.\n\n",
    );
    let stops: Vec<_> = Reason::ALL.iter().map(|reason| (reason.to_string(), meaning(*reason))).collect();
    table(&mut page, stops.iter().map(|(name, text)| (name.as_str(), *text)));
    table(&mut page, RUN.into_iter());
    page.push_str("## Of the pool\n\n");
    for (kind, own) in POOL {
        let _ = writeln!(page, "### {kind}\n");
        table(&mut page, own.iter().copied());
    }
    page.push_str(
        "## Of events\n\n\
         A step that begins is told as its name with `Started`, one whose effect was observed as its name with `Done`: \
         `RecoverDatabaseStarted`, `RecoverDatabaseDone`. A condition that has another answer is told by its reason; the event \
         is a Warning where that is bad.\n",
    );
    page
}

fn table<'a>(page: &mut String, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    page.push_str("| reason | meaning |\n|---|---|\n");
    for (name, text) in rows {
        let _ = writeln!(page, "| `{name}` | {} |", opening(&sentence(text), &["mgccomp"]));
    }
    page.push('\n');
}
