//! The decision table of a forced failover.
//!
//! [`TABLE`] is the policy, whole: read it beside the table of the documentation. The first row that applies decides. Rows of
//! the first stage stop before anything is touched; rows of the second stop before the point of no return, after what can be
//! applied was applied. A row whose hazard a person accepted does not apply. Nothing outside this file decides whether a
//! failover may be forced.

use crate::judge::copy::Copy;
use crate::judge::evidence::Evidence;
use crate::model::plan::Reason;

/// When a row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is touched, and again before each step up to the point of no return.
    Start,
    /// When nothing more can be applied, before the point of no return.
    Recovery,
    /// At any time; it stops nothing.
    Always,
}

/// What a row decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A named stop.
    Stop(Reason),
    /// Look again later.
    Wait(Reason),
    /// Said, and gone on.
    Warn(Reason),
    /// Recover.
    Go,
}

/// One row of the table.
pub struct Row {
    /// Its name, for tests and sentences.
    pub id: &'static str,
    /// The evidence, as the documentation words it.
    pub evidence: &'static str,
    /// When it is read.
    pub stage: Stage,
    /// What it decides.
    pub decision: Decision,
    /// Whether it applies.
    pub(crate) applies: fn(&Evidence) -> bool,
}

use Decision::{Go, Stop, Wait, Warn};

/// The decision table of a forced failover.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    Row { id: "other-side-serves", stage: Stage::Start, decision: Stop(Reason::PlannedSwitchoverNeeded),
          evidence: "the other side serves (principal ONLINE, on either partner)",
          applies: |e| e.other.serves.is_some() && !e.copy.is_online() },
    Row { id: "not-looked-at-yet", stage: Stage::Start, decision: Wait(Reason::Looking),
          evidence: "a partner of the other side, or what a question would have to hold, was not looked at yet",
          applies: |e| e.looks_first() },
    Row { id: "mirror-holds-commits", stage: Stage::Start, decision: Stop(Reason::MirrorHoldsCommits),
          evidence: "primary silent, mirror answers as mirror",
          applies: |e| e.stands(Reason::MirrorHoldsCommits) },
    Row { id: "primary-damaged", stage: Stage::Start, decision: Stop(Reason::PrimaryDamaged),
          evidence: "instance answers, database damaged (SUSPECT, RECOVERY_PENDING)",
          applies: |e| e.stands(Reason::PrimaryDamaged) },
    Row { id: "primary-may-be-alive", stage: Stage::Start, decision: Stop(Reason::PrimaryMayBeAlive),
          evidence: "alive but unusable (login, TLS, browser, refused connection)",
          applies: |e| e.stands(Reason::PrimaryMayBeAlive) && e.other.may_be_alive() },
    Row { id: "life-after-silence", stage: Stage::Start, decision: Stop(Reason::PrimaryMayBeAlive),
          evidence: "a backup that started after silence began appears",
          applies: |e| e.life_after_silence && e.stands(Reason::PrimaryMayBeAlive) },
    Row { id: "silence-too-short", stage: Stage::Start, decision: Wait(Reason::SilenceTooShort),
          evidence: "both partners silent for less than silentFor",
          applies: |e| e.other.serves.is_none() && e.other.too_young(e.pool, e.now).is_some() },
    Row { id: "both-sides-online", stage: Stage::Start, decision: Stop(Reason::BothSidesOnline),
          evidence: "ONLINE at the backup without our record and the other side serves",
          applies: |e| e.stands(Reason::BothSidesOnline) },
    Row { id: "stale-copy", stage: Stage::Start, decision: Stop(Reason::StaleCopySuspected),
          evidence: "ONLINE at the backup, provenance not proved",
          applies: |e| e.stands(Reason::StaleCopySuspected) },
    Row { id: "source-unknown", stage: Stage::Start, decision: Stop(Reason::LogShippingSourceUnknown),
          evidence: "log shipping gone, source neither recorded nor declared",
          applies: |e| e.copy == Copy::Restoring && e.source.is_none() },
    Row { id: "not-listed-yet", stage: Stage::Recovery, decision: Wait(Reason::Looking),
          evidence: "share or copy folder not listed yet",
          applies: |e| e.listing_first() },
    Row { id: "position-unknown", stage: Stage::Recovery, decision: Stop(Reason::DatabaseUnusable),
          evidence: "STANDBY, msdb has lost its history, and no readable file applies",
          applies: |e| e.nowhere() && e.stands(Reason::DatabaseUnusable) },
    Row { id: "backup-damaged", stage: Stage::Recovery, decision: Stop(Reason::BackupDamaged),
          evidence: "the next file's header can be read and its body can't, wherever it lies",
          applies: |e| e.stands(Reason::BackupDamaged) },
    Row { id: "log-chain-gap", stage: Stage::Recovery, decision: Stop(Reason::LogChainGap),
          evidence: "a file missing or unreadable with readable ones behind it (gap)",
          applies: |e| e.stands(Reason::LogChainGap) },
    Row { id: "fork-ambiguous", stage: Stage::Recovery, decision: Stop(Reason::ForkAmbiguous),
          evidence: "the next file changes the fork, alone or beside another at the same LSN",
          applies: |e| e.stands(Reason::ForkAmbiguous) },
    Row { id: "backups-unknown", stage: Stage::Recovery, decision: Stop(Reason::BackupsUnknown),
          evidence: "listing or headers unknown (unreachable, denied), or more than one file torn",
          applies: |e| e.stands(Reason::BackupsUnknown) },
    Row { id: "torn-not-stable", stage: Stage::Recovery, decision: Wait(Reason::WaitingForFarEnd),
          evidence: "last file torn or unreadable, and not stable yet",
          applies: |e| e.settles().is_some() },
    Row { id: "loss-above-limit", stage: Stage::Recovery, decision: Stop(Reason::LossAboveLimit),
          evidence: "loss above maxDataLossMinutes, or unknown while it is set",
          applies: |e| e.stands(Reason::LossAboveLimit) },
    Row { id: "pool-unknown", stage: Stage::Recovery, decision: Stop(Reason::PoolUnknown),
          evidence: "the management shell answers and knows no such pool",
          applies: |e| e.stands(Reason::PoolUnknown) },
    Row { id: "cmdlet-missing", stage: Stage::Recovery, decision: Stop(Reason::CmdletMissing),
          evidence: "the management shell answers and does not offer a cmdlet without which nobody is served",
          applies: |e| e.stands(Reason::CmdletMissing) },
    Row { id: "chat-servers-unknown", stage: Stage::Recovery, decision: Stop(Reason::ChatServersUnknown),
          evidence: "the topology does not know a chat server that is declared for the backup side",
          applies: |e| e.stands(Reason::ChatServersUnknown) },
    Row { id: "chain-complete", stage: Stage::Recovery, decision: Go,
          evidence: "chain complete to the last file",
          applies: |e| e.course().is_some_and(|c| c.known_end() && c.torn.is_empty()) },
    Row { id: "torn-last", stage: Stage::Recovery, decision: Go,
          evidence: "one file torn or unreadable, stable, nothing readable behind it",
          applies: |e| e.course().is_some_and(|c| c.known_end() && !c.torn.is_empty()) },
    Row { id: "accepted", stage: Stage::Recovery, decision: Go,
          evidence: "a person accepted every hazard at this point or an earlier one",
          applies: |e| e.accepted.is_some() && e.at.is_some() },
    Row { id: "store-not-writable", stage: Stage::Always, decision: Warn(Reason::CentralManagementUnavailable),
          evidence: "Central Management Store not writable",
          applies: |e| matches!(e.facts.shell.store_writable.value(), Some(Err(_))) },
];

/// The first row of `stage` that applies.
pub(crate) fn row(e: &Evidence, stage: Stage) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.stage == stage && (row.applies)(e))
}
