//! Every shape of every guarded batch: one list, from which both the statements and the walks of the guards come.

use pchat_operator::sql::batches::guard::Warrant;
use pchat_operator::sql::batches::{Batch, log_shipping, ownership, recover, restore, sessions, silence};
use pchat_planner::journal::{Note, Silence};
use pchat_planner::lsn::Position;
use pchat_planner::pool::LogSource;
use uuid::Uuid;

/// What the batches are made of.
pub struct Parts {
    pub warrant: Warrant,
    pub transition: String,
    pub secondary: Uuid,
    pub copy_job: Uuid,
    pub last_restored: Option<String>,
    pub at: Position,
    pub source: LogSource,
    pub known: Vec<String>,
    pub must: Option<String>,
    pub file: String,
    pub silence: Silence,
}

/// Who may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The owner.
    Owner,
    /// Whoever names the owner before it.
    Successor,
    /// Whoever saw that nobody owns the pool.
    First,
    /// Anybody who names the text that stands there.
    Anybody,
}

/// Every shape, by a name of its own.
pub fn guarded(p: &Parts) -> Vec<(&'static str, Whose, Batch)> {
    use Whose::{Anybody, First, Owner, Successor};
    let (w, text, id) = (&p.warrant, p.transition.as_str(), p.secondary);
    let (last, file) = (p.last_restored.as_deref(), p.file.as_str());
    let note = |note| silence::note(w, &note).unwrap();
    let keep = |over| note(Note::Keep { over, silence: p.silence.clone() });
    let recover = |source, known: &[String], must| recover::recover(w, p.at, source, known, must, text);
    let apply = |count| restore::apply(w, p.at, &vec![(file, 1); count]);
    vec![
        ("take-first", First, ownership::take(w, None, text)),
        ("take-over", Successor, ownership::take(w, Some(&w.epoch), text)),
        ("release", Owner, ownership::release(w, text)),
        ("release-delivered", Owner, ownership::release_delivered(w, text)),
        ("silence-first", Anybody, keep(None)),
        ("silence-again", Anybody, keep(Some(p.silence.clone()))),
        ("silence-over", Anybody, note(Note::Forget(p.silence.clone()))),
        ("renew", Owner, ownership::renew(w)),
        ("end", Owner, ownership::end(w)),
        ("hold", Owner, ownership::hold(w)),
        ("quiesce", Owner, log_shipping::set_jobs(w, id, text, false)),
        ("resume", Owner, log_shipping::set_jobs(w, id, text, true)),
        ("copy", Owner, log_shipping::start_copy(w, p.copy_job)),
        ("remove", Owner, log_shipping::remove(w, id, last, text, "|a|", true)),
        ("remove-fresh", Owner, log_shipping::remove(w, id, None, text, "|", false)),
        ("disconnect", Owner, sessions::disconnect(w)),
        ("recover", Owner, recover(Some(&p.source), &p.known, p.must.as_deref())),
        ("recover-unproved", Owner, recover(Some(&p.source), &p.known, None)),
        ("recover-nowhere", Owner, recover(None, &[], None)),
        ("find-position", Owner, restore::find(w, file, 1)),
        ("leave-standby", Owner, restore::leave_standby(w)),
        ("multi-user", Owner, recover::set_multi_user(w)),
        ("apply", Owner, apply(1)),
        ("apply-two", Owner, apply(2)),
        ("apply-most", Owner, apply(restore::MOST_FILES)),
    ]
}
