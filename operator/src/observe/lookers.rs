//! Who looks in the background: at one instance, at share or copy folder, at the management shell.
//!
//! Each has its own connections and deadlines, so that none holds up another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use jiff::Timestamp;
use pchat_planner::facts::{Contact, Damaged, Fact, Header, InstanceFacts, InstanceState, ShellFacts};
use pchat_planner::pool::LogSource;
use tokio::sync::{Mutex, watch};

use super::background::{Looker, Tell};
use super::backups::{Contents, Place, Wanted, Which};
use super::damage::FileTrouble;
use super::probe::{Series, look};
use super::{Ends, HOME};
use crate::powershell::look::{Memory as ShellMemory, Part};
use crate::sql::connection::Connection;
use crate::sql::target::Target;

/// Looks at one instance.
pub(super) struct Instance {
    pub ends: Arc<Ends>,
    pub target: Arc<Target>,
    pub connection: Option<Connection>,
    pub series: Series,
}

impl Looker for Instance {
    type Seen = InstanceFacts;

    async fn look(&mut self, at: Timestamp, _: &Tell<'_, InstanceFacts>) -> InstanceFacts {
        let seen =
            look(&self.target, &self.ends.pool.database, &self.ends.deadlines, &mut self.connection).await;
        self.series.take(at, &seen, &self.target)
    }

    fn close(&mut self) {
        self.connection = None;
    }

    fn same(a: &InstanceFacts, b: &InstanceFacts) -> bool {
        same_instance(a, b)
    }
}

/// The same, but for the clocks.
pub(super) fn same_instance(a: &InstanceFacts, b: &InstanceFacts) -> bool {
    let contact = match (&a.contact, &b.contact) {
        (Contact::Silent { since: a, .. }, Contact::Silent { since: b, .. }) => a == b,
        (a, b) => a == b,
    };
    contact
        && match (a.state.value(), b.state.value()) {
            (Some(a), Some(b)) => *a == InstanceState { clock: a.clock, ..b.clone() },
            (a, b) => a.is_none() == b.is_none(),
        }
}

/// What a look at share or copy folder brought.
#[derive(Clone)]
pub(super) struct PlaceSeen {
    /// For which places it was made.
    pub source: LogSource,
    pub at: Timestamp,
    pub names: Fact<Vec<String>>,
    pub headers: Arc<BTreeMap<String, Header>>,
    pub restless: Option<Timestamp>,
    pub damaged: Vec<Damaged>,
}

/// What actions stumbled over.
pub(super) type Troubles = Arc<Lock<Vec<FileTrouble>>>;

/// Looks at share or copy folder.
pub(super) struct PlaceLooks {
    pub ends: Arc<Ends>,
    pub wanted: watch::Receiver<Option<Wanted>>,
    pub which: Which,
    pub place: Place,
    pub troubles: Troubles,
}

impl Looker for PlaceLooks {
    type Seen = Option<PlaceSeen>;

    async fn look(&mut self, _: Timestamp, _: &Tell<'_, Option<PlaceSeen>>) -> Option<PlaceSeen> {
        // The first look can only begin when the backup instance has told where.
        let wanted = loop {
            let wanted = self.wanted.borrow_and_update().clone();
            match wanted {
                Some(wanted) => break wanted,
                None => self.wanted.changed().await.ok()?,
            }
        };
        let target = self.ends.targets.get(&HOME)?;
        let at = Timestamp::now();
        let troubles = std::mem::take(&mut *self.troubles.lock().unwrap_or_else(PoisonError::into_inner));
        let deadlines = &self.ends.deadlines;
        let shown = self.place.look(target, self.which, &wanted, deadlines, troubles).await;
        let Contents { names, headers, restless, damaged } = shown;
        Some(PlaceSeen { source: wanted.source, at, names, headers: Arc::new(headers), restless, damaged })
    }

    fn close(&mut self) {
        self.place.close();
    }

    fn same(a: &Option<PlaceSeen>, b: &Option<PlaceSeen>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => {
                a.headers == b.headers
                    && a.damaged == b.damaged
                    && a.names.value() == b.names.value()
                    && a.source == b.source
            }
            (a, b) => a.is_none() == b.is_none(),
        }
    }
}

/// Looks at the management shell.
pub(super) struct ShellLooks {
    pub ends: Arc<Ends>,
    pub memory: Arc<Mutex<ShellMemory>>,
    pub part: watch::Receiver<Part>,
}

impl Looker for ShellLooks {
    type Seen = ShellFacts;

    async fn look(&mut self, at: Timestamp, tell: &Tell<'_, ShellFacts>) -> ShellFacts {
        let part = *self.part.borrow_and_update();
        let mut memory = self.memory.lock().await;
        self.ends.shell.look(&self.ends.pool, &self.ends.deadlines, part, &mut memory, at, tell).await
    }

    fn close(&mut self) {
        // Who else holds it is closing the session.
        if let Ok(mut memory) = self.memory.try_lock() {
            memory.hang_up();
        }
    }

    fn same(a: &ShellFacts, b: &ShellFacts) -> bool {
        fn same<T: PartialEq>(a: &Fact<T>, b: &Fact<T>) -> bool {
            a.value() == b.value() && a.is_pending() == b.is_pending()
        }
        std::mem::discriminant(&a.contact) == std::mem::discriminant(&b.contact)
            && same(&a.pool_state, &b.pool_state)
            && same(&a.servers, &b.servers)
            && same(&a.replicated, &b.replicated)
            && same(&a.store_writable, &b.store_writable)
            && a.cmdlets == b.cmdlets
            && a.other_pools == b.other_pools
    }
}
