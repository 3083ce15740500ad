//! The gate at which held effects wait, so that something can be done to their client in the meantime.
//!
//! Answers for letting them through or turning them back. It must never decide which effect is held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What becomes of a held effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes on.
    Through,
    /// It does not happen.
    Refused,
}

/// A gate. It lets those through who wait when it is opened, and holds those who come later.
#[derive(Clone, Debug)]
pub struct Gate {
    waiting: Arc<Mutex<Vec<String>>>,
    opened: Arc<watch::Sender<(u64, Passage)>>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { waiting: Arc::default(), opened: Arc::new(watch::Sender::new((0, Passage::Through))) }
    }
}

impl Gate {
    fn list(&self) -> MutexGuard<'_, Vec<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the gate is opened.
    pub async fn wait(&self, what: &str) -> Passage {
        // Subscribed before it is listed: whoever sees it waiting can open the gate for it.
        let mut opened = self.opened.subscribe();
        let since = opened.borrow_and_update().0;
        self.list().push(what.to_owned());
        match opened.wait_for(|(turn, _)| *turn > since).await {
            Ok(turn) => turn.1,
            Err(_) => Passage::Refused,
        }
    }

    /// What waits.
    pub fn waiting(&self) -> Vec<String> {
        self.list().clone()
    }

    /// Lets all through, or turns them back; says how many.
    pub fn open(&self, passage: Passage) -> usize {
        let mut list = self.list();
        self.opened.send_modify(|(turn, how)| {
            *turn += 1;
            *how = passage;
        });
        std::mem::take(&mut *list).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_those_who_wait_get_through_when_the_gate_opens() {
        let gate = Gate::default();
        assert_eq!(gate.open(Passage::Refused), 0);
        let held = tokio::spawn({
            let gate = gate.clone();
            async move { gate.wait("RESTORE LOG mgc").await }
        });
        while gate.waiting().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.waiting(), ["RESTORE LOG mgc"]);
        assert_eq!(gate.open(Passage::Through), 1);
        assert_eq!(held.await.expect("it went on"), Passage::Through);
        assert!(gate.waiting().is_empty());
    }
}
