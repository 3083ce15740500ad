//! The look at the backup instance, which is made in the pass itself: where everything happens, nothing old will do.
//!
//! One that takes long goes on when the pass does not wait for it any longer, and the next pass has its answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::facts::{Contact, Fact, InstanceFacts, InstanceState, Secondary};
use pchat_planner::pool::Pool;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::background::Attention;
use super::backups::Wanted;
use super::probe::{Look, Series, look};
use super::{Clock, Ends, HOME};
use crate::sql::connection::Connection;

/// For so long a pass waits for the backup instance, without which there is nothing to go on with.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the looks at it leave.
#[derive(Default)]
pub(super) struct Known {
    pub connection: Option<Connection>,
    series: Series,
    pub clock: Option<Clock>,
    pub latest: Option<InstanceFacts>,
}

/// What a look needs of its own, to go on without the pass that began it.
#[derive(Clone)]
struct Task {
    ends: Arc<Ends>,
    known: Arc<Mutex<Known>>,
    wanted: watch::Sender<Option<Wanted>>,
    attention: Attention,
}

/// A look that is under way.
struct Asking {
    since: Timestamp,
    task: JoinHandle<InstanceFacts>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The backup instance.
pub(super) struct Home {
    task: Task,
    asking: Mutex<Option<Asking>>,
}

impl Home {
    /// Not looked at yet. Where share and folder are is told to `wanted`.
    pub fn new(ends: &Arc<Ends>, wanted: watch::Sender<Option<Wanted>>, attention: &Attention) -> Self {
        let (ends, attention) = (Arc::clone(ends), attention.clone());
        Home { task: Task { ends, known: Arc::default(), wanted, attention }, asking: Mutex::default() }
    }

    /// What the looks so far have left.
    pub fn known(&self) -> &Mutex<Known> {
        &self.task.known
    }

    /// Where share and folder are, by the latest look.
    pub fn wanted(&self) -> Option<Wanted> {
        self.task.wanted.borrow().clone()
    }

    /// The state, read now; since when it is being asked, if that takes long.
    pub async fn look(&self) -> Result<InstanceFacts, Timestamp> {
        let mut slot = self.asking.lock().await;
        let asking = slot.get_or_insert_with(|| Asking {
            since: Timestamp::now(),
            task: tokio::spawn(Box::pin(self.task.clone().look())),
        });
        let since = asking.since;
        match timeout(PATIENCE, &mut asking.task).await {
            Ok(seen) => {
                *slot = None;
                seen.map_err(|_| since)
            }
            Err(_) => Err(since),
        }
    }

    /// Whether a look goes on that no pass has waited for, and whether it has ended by now.
    pub async fn left_over(&self) -> Option<bool> {
        self.asking.lock().await.as_ref().map(|asking| asking.task.is_finished())
    }

    /// What was asked before now is of no interest: something is being done there.
    pub async fn forget(&self) {
        *self.asking.lock().await = None;
    }
}

impl Task {
    async fn look(self) -> InstanceFacts {
        let mut home = self.known.lock().await;
        let home = &mut *home;
        let at = Timestamp::now();
        let Some(target) = self.ends.targets.get(&HOME) else {
            let why = "the backup instance is not declared".to_owned();
            let state = Fact::Unknown { why: why.clone(), source: "manifest".into(), at };
            let contact = Contact::Unusable { detail: why };
            return InstanceFacts { contact, at, login: String::new(), state };
        };
        let seen = look(target, &self.ends.pool.database, &self.ends.deadlines, &mut home.connection).await;
        if let Look::Read(read) = &seen {
            home.clock = Some(Clock { told: read.state.clock, heard: Instant::now() });
            let wanted = wanted(&self.ends.pool, &read.state);
            self.wanted.send_if_modified(|w| {
                let other = *w != wanted;
                *w = wanted;
                other
            });
        }
        let facts = home.series.take(at, &seen, target);
        home.latest = Some(facts.clone());
        if *self.attention.rest.borrow() {
            home.connection = None;
        }
        facts
    }
}

fn base_name(path: &str) -> String {
    path.rsplit(['\\', '/']).next().unwrap_or_default().to_lowercase()
}

/// Where to look, in the planner's order: discovered, else recorded in the open transition, else declared.
fn wanted(pool: &Pool, state: &InstanceState) -> Option<Wanted> {
    let open = state.journal.transition.as_ref().filter(|t| t.is_open());
    let evidence = open.and_then(|t| t.evidence.as_ref());
    let discovered = state.secondary.as_ref().and_then(Secondary::source);
    let certain = discovered.is_some();
    let source =
        discovered.or_else(|| evidence.map(|e| e.source.clone())).or_else(|| pool.log_source.clone())?;
    let restored = state.database.as_ref().and_then(|d| d.last_restored.as_ref()).map(|r| r.file.as_str());
    let mut known = BTreeSet::new();
    if let Some(s) = &state.secondary {
        known.extend([&s.last_copied, &s.last_restored].into_iter().flatten().map(|f| base_name(f)));
    }
    if let Some(e) = evidence {
        known.extend([&e.last_copied, &e.last_restored].into_iter().flatten().map(|f| base_name(f)));
    }
    if !certain {
        known.extend(restored.map(base_name));
    }
    known.retain(|name| !name.is_empty());
    Some(Wanted {
        source,
        folder_may_be_empty: certain && known.is_empty(),
        database: pool.database.clone(),
        known,
    })
}
