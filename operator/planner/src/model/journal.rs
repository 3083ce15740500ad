//! The journal: the little that must be remembered, kept at the far end.
//!
//! Three extended properties in `master` of the backup instance, where every executor meets: the owner, the transition, and what
//! was seen of a side that does not answer. What status or a state file hold of them are copies. The JSON of a transition must stay
//! within 3,700 characters (an extended property holds 7,500 bytes).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::lsn::{Fork, Lsn, Position};
use crate::model::pool::{LogSource, Side};

/// A fencing token: who may act. Never used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub String);

/// Who owns the pool, while a transition is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// The token that every mutating batch must present.
    pub epoch: Epoch,
    /// Who holds it, for a person: host, process, or cluster and pod.
    pub executor: String,
    /// Last sign of life, in the far end's clock; renewed by each batch of an open transition.
    pub mark: Timestamp,
    /// Its run has ended, though its transition is open: nobody need wait for the mark to lapse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// How far a transition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display)]
pub enum Phase {
    /// Begun; nothing irreversible was done.
    Open,
    /// The point of no return was journaled: from here the plan only goes forward.
    Recovering,
    /// Finished. Proves nothing later.
    Closed,
    /// Given up before the point of no return.
    CalledOff,
}

/// What log shipping knew before it was touched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipping {
    /// Share and folder.
    #[serde(flatten)]
    pub source: LogSource,
    /// `log_shipping_secondary.secondary_id`.
    pub secondary_id: Uuid,
    /// Server that log shipping names as the primary; not always the one that wrote the last file.
    pub primary_server: String,
    /// Copy job, where msdb had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_job: Option<Uuid>,
    /// Restore job, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_job: Option<Uuid>,
    /// `last_copied_file`, when it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_copied: Option<String>,
    /// `last_restored_file`, when it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_restored: Option<String>,
    /// Position of the database when it was read, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redo: Option<Lsn>,
    /// Fork at that position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
}

/// Written before the recovering RESTORE, so that a lost reply leaves a copy that can be vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Where the log that was applied ends.
    pub lsn: Lsn,
    /// Fork of that log.
    pub fork: Fork,
    /// Last file applied, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_file: Option<String>,
    /// Every message stored before this moment is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_until: Option<Timestamp>,
    /// No message was stored on the other side after this moment, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_until: Option<Timestamp>,
    /// First observed silence of the other side: a lower bound of the upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// Files that could not be read and may have held more, the first few by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl Recovery {
    /// Names of files as they are kept: the record has little room.
    pub(crate) fn unread(names: &[String]) -> Vec<String> {
        const KEPT: usize = 8;
        const LONGEST: usize = 40;
        let short = |n: &String| n.chars().take(LONGEST).collect::<String>();
        let mut out: Vec<String> = names.iter().take(KEPT).map(short).collect();
        if names.len() > KEPT {
            out.push(format!("{} more", names.len() - KEPT));
        }
        out
    }
}

/// One change of the active side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// Its identity; evidence and approvals belong to one transition.
    pub id: Uuid,
    /// How often it was written since it was opened. Each writing batch is refused unless the one before it stands at the far
    /// end: a delayed batch would otherwise put back what was true when it was planned, and with it lose the recovery record.
    /// `id` and `rev` come first in the text, so that its head tells.
    #[serde(default)]
    pub rev: u32,
    /// The side that the pool moves to.
    pub intent: Side,
    /// How far it has come.
    pub phase: Phase,
    /// It is being called off. Written under a new token before anything is taken back, so that what was sent forward and is
    /// late is refused; and so when it goes forward again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// When it was opened, in the far end's clock.
    pub opened: Timestamp,
    /// What log shipping knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Shipping>,
    /// The digest that a person accepted, if one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// What that approval covered, so that a smaller question at a later point need not be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// The point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// The set of hazards that an approval covered, short enough for the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accepted {
    /// The recovery point that was shown, if it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// Each hazard: a key made of its kind, subject and fork, and the LSN at which it stood.
    pub hazards: Vec<(String, Option<Lsn>)>,
}

impl Transition {
    /// The same, as it is to be written next.
    pub(crate) fn next(&self) -> Transition {
        Transition { rev: self.rev.saturating_add(1), ..self.clone() }
    }

    /// Whether it still owns the pool.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Recovering)
    }
}

/// What runs saw of a side that does not answer, so that the next run, wherever it runs, knows it too. All times are the far
/// end's. It stands until the side is seen to serve or to be stopped, or until a transition that goes on without it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Silence {
    /// How often it was written. `rev` and `since` come first in the text, so that its head tells which one it is.
    pub rev: u32,
    /// Its oldest known beginning.
    pub since: Timestamp,
    /// End of the last look that met silence.
    pub until: Timestamp,
    /// How far the log reached that was found when the silence began: the highest LSN of each fork. Empty: not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<(Fork, Lsn)>,
    /// Backups that show a side that lives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signs: Vec<Life>,
}

/// A backup that shows that the side which made it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Life {
    /// File.
    pub file: String,
    /// The server that made it.
    pub server: String,
    /// When it began; `None`: not known, it came after the silence began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When a run saw it.
    pub seen: Timestamp,
}

/// What is to be written of a silent side, beside whatever the plan does. Only over what stood there when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// This is known now.
    Keep {
        /// What stands there.
        over: Option<Silence>,
        /// What is to stand there.
        silence: Silence,
    },
    /// The side was seen to serve or to be stopped: what was seen of its silence is over.
    Forget(Silence),
}

/// What stands at the far end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Journal {
    /// The owner, if there ever was one.
    pub owner: Option<Owner>,
    /// The latest transition, open or not.
    pub transition: Option<Transition>,
    /// What was seen of a side that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
}
