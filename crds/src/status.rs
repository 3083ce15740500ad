//! The status of a `PersistentChatPool`: what was seen, what is planned, what was done.
//!
//! Everything here is a copy for people and tools to read. Decisions are taken from observation and from the journal
//! on the backup instance, never from this. Lists are bounded, and no field changes while nothing happens.

use crate::pool::Side;
use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most entries of [`PersistentChatPoolStatus::history`].
pub const HISTORY_LIMIT: usize = 10;

/// The most entries of [`QuestionStatus::hazards`] and [`AlternativeStatus::hazards`].
pub const HAZARDS_LIMIT: usize = 100;

/// The most entries of [`QuestionStatus::instead`].
pub const ALTERNATIVES_LIMIT: usize = 10;

/// The longest [`HazardStatus::sentence`]: one that names some hundred files.
pub const SENTENCE_LIMIT: usize = 16_384;

/// What the operator last saw and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentChatPoolStatus {
    /// The generation of the spec that this status and its conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The side that was seen serving the pool; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_database: Option<Side>,
    /// The running step of the transition, such as 3/8 ApplyLogs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub step: Option<String>,
    /// When the last log backup began that the copy holds, in UTC. Written along with other changes, and by itself
    /// only every quarter of an hour: a pool at rest costs no write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_log_backup: Option<Timestamp>,
    /// One condition for each question that an operator of the pool asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The steps of the transition, done and to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// How much was or would be lost, as an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossStatus>,
    /// What waits for an approval, with all that one would accept; absent while nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionStatus>,
    /// The approval that was given, kept here because the annotation may be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalStatus>,
    /// A copy of the journal that stands on the backup instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalStatus>,
    /// What was seen last at each server. It changes when something else is seen, not with each look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["server".into()]))]
    pub observed: Vec<ObservedServer>,
    /// The last transitions, the newest first, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<TransitionStatus>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The question, such as Ready, FailoverReady or SplitBrainSuspected.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub type_: String,
    /// The answer: True, False or Unknown.
    pub status: ConditionStatus,
    /// Why, in one word.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// Why, in one sentence.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub message: String,
    /// The generation of the spec that the answer speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the answer last changed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_transition_time: Timestamp,
}

/// The answer of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConditionStatus {
    /// Yes.
    True,
    /// No.
    False,
    /// It cannot be told.
    Unknown,
}

/// The steps of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// What kind of transition it is, such as ForcedFailover.
    #[schemars(length(max = 64))]
    pub transition: String,
    /// Digest of what an approval would accept; absent while nothing has to be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// The steps in their order.
    #[schemars(length(max = 32))]
    pub steps: Vec<StepStatus>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// The name of the step, such as ApplyLogs.
    #[schemars(length(max = 64))]
    pub name: String,
    /// How far it is.
    pub state: StepState,
    /// What it acts on, such as mgc on sql-ks1\PCHAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub target: Option<String>,
    /// What was found or done, or why it is blocked and what helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StepState {
    /// Seen to be done.
    Done,
    /// The one that is carried out, or would be.
    Next,
    /// To come.
    Pending,
    /// It cannot go on without help.
    Blocked,
}

/// How much was or would be lost. Absent bounds are unknown, which is not the same as nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LossStatus {
    /// Messages before this moment are safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub safe_until: Option<Timestamp>,
    /// Nothing was written to the lost side after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at_most_until: Option<Timestamp>,
    /// What the bounds rest on.
    #[schemars(length(max = 2048))]
    pub explanation: String,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuestionStatus {
    /// The digest to approve. Absent where the list of hazards is not whole: what can't be read here can't be accepted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// What is lost, in one sentence.
    #[schemars(length(max = 2048))]
    pub loss: String,
    /// How many hazards there are.
    pub count: u32,
    /// Every hazard that an approval accepts.
    #[schemars(length(max = 100))]
    pub hazards: Vec<HazardStatus>,
    /// Where the log parts: the other lines that could be followed, each with a digest and hazards of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub instead: Vec<AlternativeStatus>,
}

/// Another line of the log that could be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlternativeStatus {
    /// The digest that chooses it. Absent where its list of hazards is not whole: what can't be read here can't be accepted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// Its recovery fork; absent: the one that the database is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fork: Option<String>,
    /// What is lost by it, in one sentence.
    #[schemars(length(max = 2048))]
    pub loss: String,
    /// How many hazards there are.
    pub count: u32,
    /// Every hazard that its digest accepts.
    #[schemars(length(max = 100))]
    pub hazards: Vec<HazardStatus>,
}

/// Something that only a person may accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HazardStatus {
    /// Its kind, such as LogChainGap.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What accepting it means, in one sentence that names every file and server that it is about.
    #[schemars(length(max = 16384))]
    pub sentence: String,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The digest that was approved.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// When the approval was first seen.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub seen_at: Timestamp,
    /// The field manager that wrote the annotation, such as kubectl-annotate: a name that the client chose, and no proof. Who it was
    /// stands in the API server's audit log. Absent where the API server does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub by: Option<String>,
}

/// A copy of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalStatus {
    /// The epoch of the owner; absent while nobody owns the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub epoch: Option<String>,
    /// Who carries the transition out; absent while nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub executor: Option<String>,
    /// The transition as it stands at the far end, in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3700))]
    pub transition: Option<String>,
}

/// What was seen last at one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedServer {
    /// The server, such as sql-ks1\PCHAT.
    #[schemars(length(max = 300))]
    pub server: String,
    /// What was seen, in one sentence; that it does not answer, where it does not.
    #[schemars(length(max = 1024))]
    pub state: String,
    /// Since when it has been so.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
}

/// A transition that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransitionStatus {
    /// The identity of the transition.
    #[schemars(length(max = 64))]
    pub id: String,
    /// What kind of transition it was, such as ForcedFailover.
    #[schemars(length(max = 64))]
    pub transition: String,
    /// The side that it led to.
    pub to: Side,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub finished_at: Timestamp,
    /// How it ended, in one sentence.
    #[schemars(length(max = 1024))]
    pub outcome: String,
    /// What it lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossStatus>,
    /// The digest that a person accepted for it, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub approval: Option<String>,
}
