//! What Prometheus can ask.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pchat_crds::status::{ConditionStatus, PersistentChatPoolStatus};
use pchat_planner::plan::StepId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    namespace: String,
    name: String,
    condition: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    step: String,
    outcome: &'static str,
}

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    conditions: Family<ConditionLabels, Gauge>,
    actions: Family<ActionLabels, Counter>,
    passes: Counter,
    writes: Counter,
    pools: Gauge,
    leader: Gauge,
    known: Mutex<Vec<ConditionLabels>>,
    ready: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pchat");
        let conditions = Family::<ConditionLabels, Gauge>::default();
        let actions = Family::<ActionLabels, Counter>::default();
        let (passes, writes) = (Counter::default(), Counter::default());
        let (pools, leader) = (Gauge::<i64, AtomicI64>::default(), Gauge::<i64, AtomicI64>::default());
        registry.register(
            "condition",
            "Answer of a pool's condition: 1 True, 0 False, -1 Unknown",
            conditions.clone(),
        );
        registry.register("actions", "Actions sent to far ends, by step and outcome", actions.clone());
        registry.register("passes", "Times that a pool was observed and planned", passes.clone());
        registry.register("status_writes", "Writes of a status", writes.clone());
        registry.register("pools", "Pools that are worked on", pools.clone());
        registry.register("leader", "Whether this replica leads", leader.clone());
        Metrics {
            registry,
            conditions,
            actions,
            passes,
            writes,
            pools,
            leader,
            known: Mutex::default(),
            ready: AtomicBool::new(false),
        }
    }
}

impl Metrics {
    /// In the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// This replica takes part.
    pub fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// It leads, or no more: what it knew of the pools is old from then on.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
        if !leads {
            self.pools.set(0);
            self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.conditions.clear();
        }
    }

    /// So many pools.
    pub fn pools(&self, count: usize) {
        self.pools.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// One pass over a pool.
    pub fn passed(&self) {
        self.passes.inc();
    }

    /// One status was written.
    pub fn wrote(&self) {
        self.writes.inc();
    }

    /// One action has ended.
    pub fn acted(&self, step: StepId, confirmed: bool) {
        let outcome = if confirmed { "confirmed" } else { "failed" };
        self.actions.get_or_create(&ActionLabels { step: step.to_string(), outcome }).inc();
    }

    /// What a pool's conditions answer.
    pub fn conditions(&self, namespace: &str, name: &str, status: &PersistentChatPoolStatus) {
        for condition in &status.conditions {
            let labels = ConditionLabels {
                namespace: namespace.into(),
                name: name.into(),
                condition: condition.type_.clone(),
            };
            self.conditions.get_or_create(&labels).set(match condition.status {
                ConditionStatus::True => 1,
                ConditionStatus::False => 0,
                ConditionStatus::Unknown => -1,
            });
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.contains(&labels) {
                known.push(labels);
            }
        }
    }

    /// A pool is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let gone = labels.namespace == namespace && labels.name == name;
            if gone {
                self.conditions.remove(labels);
            }
            !gone
        });
    }
}
