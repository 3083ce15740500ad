//! The truth: every message that a chat server was told is stored.
//!
//! Answers for counting what was lost after a run. It is filled by the chat servers' acknowledgements and
//! by nothing else, and it must never look at what an operator reports.

use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One acknowledged message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    pub id: Uuid,
    /// The chat server that was told.
    pub server: String,
    /// The instance that acknowledged it.
    pub database: String,
    /// When the acknowledgement arrived (UTC).
    pub at: Timestamp,
}

/// All acknowledged messages in the order of their acknowledgement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    messages: Vec<Message>,
}

/// What a database lacks of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// The instance that was held against the ledger.
    pub database: String,
    /// Acknowledged messages in all.
    pub acknowledged: usize,
    /// Those that the database holds.
    pub present: usize,
    /// Those that it lacks.
    pub lost: usize,
    /// Acknowledgement times of the first and last lost one.
    pub first_lost: Option<Timestamp>,
    pub last_lost: Option<Timestamp>,
    /// Per instance that had acknowledged them.
    pub by_origin: BTreeMap<String, usize>,
}

/// What one instance acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Acknowledged {
    /// How many messages.
    pub count: usize,
    /// When the first acknowledgement arrived.
    pub first: Timestamp,
    /// When the last one did.
    pub last: Timestamp,
}

impl Ledger {
    /// What each instance acknowledged, and when: two sides that overlap here were both writable.
    pub fn by_instance(&self) -> BTreeMap<&str, Acknowledged> {
        let mut all: BTreeMap<&str, Acknowledged> = BTreeMap::new();
        for m in &self.messages {
            let entry = all.entry(&m.database).or_insert(Acknowledged { count: 0, first: m.at, last: m.at });
            entry.count += 1;
            entry.last = m.at;
        }
        all
    }

    /// Notes an acknowledgement.
    pub fn acknowledge(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// All of it.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Holds the message ids that a database has against the ledger.
    pub fn against(&self, database: &str, present: &BTreeSet<Uuid>) -> Loss {
        let lost: Vec<&Message> = self.messages.iter().filter(|m| !present.contains(&m.id)).collect();
        let mut by_origin = BTreeMap::new();
        for m in &lost {
            *by_origin.entry(m.database.clone()).or_insert(0) += 1;
        }
        Loss {
            database: database.to_owned(),
            acknowledged: self.messages.len(),
            present: self.messages.len() - lost.len(),
            lost: lost.len(),
            first_lost: lost.iter().map(|m| m.at).min(),
            last_lost: lost.iter().map(|m| m.at).max(),
            by_origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_the_survivor_lacks_is_counted_with_its_time() {
        let mut l = Ledger::default();
        let at = |n: i64| Timestamp::from_second(n).expect("in range");
        for n in 1..=3 {
            let id = Uuid::from_u128(n);
            l.acknowledge(Message { id, server: "pc".into(), database: "a".into(), at: at(n as i64) });
        }
        let loss = l.against("b", &BTreeSet::from([Uuid::from_u128(1)]));
        assert_eq!((loss.acknowledged, loss.lost), (3, 2));
        assert_eq!((loss.first_lost, loss.last_lost), (Some(at(2)), Some(at(3))));
    }
}
