//! Which pools there are, and a worker for each.
//!
//! Two watches: the pools, and the metadata of Secrets. What comes in is handed to the worker of the pool and never
//! waited for here, so that one pool in trouble slows no other.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::stored::Stored;
use super::{Context, declared, worker};
use crate::reconcile::Interrupt;

/// What the watches have brought.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The object; `None`: it is gone.
    pub object: Option<Arc<Stored>>,
    /// Counts the changes of its Secrets.
    pub secrets: u64,
}

/// Namespace and name.
type Key = (String, String);

/// How long the pools wait for the watch of Secrets. Without it they are worked on all the same.
const SECRETS: Duration = Duration::from_secs(5);

/// Objects that a list brings at a time.
const PAGE: u32 = 20;

/// Works on all pools until `term` is over and every worker has come to a safe point.
pub async fn lead(context: &Arc<Context>, mut term: Interrupt) {
    let client = context.client.clone();
    let (pools, secrets): (Api<DynamicObject>, Api<PartialObjectMeta<Secret>>) =
        match &context.options.namespace {
            Some(namespace) => (
                Api::namespaced_with(client.clone(), namespace, &context.resource),
                Api::namespaced(client, namespace),
            ),
            None => (Api::all_with(client.clone(), &context.resource), Api::all(client)),
        };
    // The objects of a page are in memory at once, with all that is pruned from them.
    let config = watcher::Config::default().page_size(PAGE);
    let mut pools = watcher(pools, config.clone()).default_backoff().boxed();
    let mut secrets = watcher(secrets, config).default_backoff().boxed();
    let mut fleet = Fleet {
        context: Arc::clone(context),
        term: term.clone(),
        crew: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    let mut listed = BTreeSet::new();
    // A Secret that is read before the watch of Secrets stands would have to be read again.
    let mut ready = false;
    let mut patience = pin!(sleep(SECRETS));
    loop {
        tokio::select! {
            biased;
            () = term.wait() => break,
            () = &mut patience, if !ready => ready = true,
            event = pools.next(), if ready => match event {
                Some(Ok(watcher::Event::Init)) => listed.clear(),
                Some(Ok(watcher::Event::InitApply(object))) => {
                    listed.insert(key(&object));
                    fleet.see(&object);
                }
                Some(Ok(watcher::Event::InitDone)) => fleet.keep(&listed),
                Some(Ok(watcher::Event::Apply(object))) => fleet.see(&object),
                Some(Ok(watcher::Event::Delete(object))) => fleet.forget(&key(&object)),
                Some(Err(error)) => tracing::warn!(%error, "the watch of pools is begun again"),
                None => break,
            },
            event = secrets.next() => match event {
                Some(Ok(watcher::Event::Apply(secret) | watcher::Event::Delete(secret))) => fleet.secret(&secret),
                // What happened before, or while nothing was heard, is not known: one may have gone, too.
                Some(Ok(watcher::Event::InitDone)) => {
                    ready = true;
                    fleet.all_secrets();
                }
                Some(Err(error)) => tracing::warn!(%error, "the watch of Secrets is begun again"),
                _ => {}
            },
            Some(_) = fleet.tasks.join_next() => {}
        }
    }
    // Workers hear of the end by themselves; what runs at a far end is seen to its end.
    while fleet.tasks.join_next().await.is_some() {}
}

struct Fleet {
    context: Arc<Context>,
    term: Interrupt,
    crew: BTreeMap<Key, watch::Sender<Seen>>,
    tasks: JoinSet<()>,
}

/// How long a pool is left alone whose worker has failed.
const AFTER_FAULT: Duration = Duration::from_secs(30);

/// Sees that there is a worker for a pool: a fault of ours must not leave it alone.
async fn attend(context: Arc<Context>, seen: watch::Receiver<Seen>, mut term: Interrupt) {
    while let Err(error) = tokio::spawn(worker::work(Arc::clone(&context), seen.clone(), term.clone())).await
    {
        tracing::error!(%error, "a worker has failed; its pool is taken up again in 30 s");
        tokio::select! { () = tokio::time::sleep(AFTER_FAULT) => {}, () = term.wait() => return }
    }
}

impl Fleet {
    /// An object is there, new or changed.
    fn see(&mut self, object: &DynamicObject) {
        let key = key(object);
        let object = Stored::new(object);
        // A new object of the same name, seen by a list: that the old one went was never told.
        let uid = self.crew.get(&key).and_then(|worker| Some(worker.borrow().object.as_ref()?.uid.clone()));
        if uid.is_some_and(|uid| uid != object.uid) {
            self.forget(&key);
        }
        if let Some(worker) = self.crew.get(&key).filter(|worker| !worker.is_closed()) {
            worker.send_modify(|seen| seen.object = Some(Arc::new(object)));
            return;
        }
        let (sender, seen) = watch::channel(Seen { object: Some(Arc::new(object)), secrets: 0 });
        self.tasks.spawn(attend(Arc::clone(&self.context), seen, self.term.clone()));
        self.crew.insert(key, sender);
        self.context.metrics.pools(self.crew.len());
    }

    /// An object is gone. Its worker stops at a safe point; no far end is touched for it.
    fn forget(&mut self, key: &Key) {
        if let Some(worker) = self.crew.remove(key) {
            worker.send_modify(|seen| seen.object = None);
        }
        self.context.metrics.forget(&key.0, &key.1);
        self.context.metrics.pools(self.crew.len());
    }

    /// Only these are there.
    fn keep(&mut self, listed: &BTreeSet<Key>) {
        let gone: Vec<Key> = self.crew.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        gone.iter().for_each(|key| self.forget(key));
    }

    /// Any Secret may have changed.
    fn all_secrets(&self) {
        self.crew.values().for_each(|worker| worker.send_modify(|seen| seen.secrets += 1));
    }

    /// A Secret has changed: the pools that name it read it again.
    fn secret(&mut self, secret: &PartialObjectMeta<Secret>) {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        for (_, worker) in self.crew.iter().filter(|(key, _)| key.0 == namespace) {
            let named = worker.borrow().object.as_ref().is_some_and(|o| declared::secrets(o).contains(&name));
            if named {
                worker.send_modify(|seen| seen.secrets += 1);
            }
        }
    }
}

fn key(object: &impl Resource) -> Key {
    (object.meta().namespace.clone().unwrap_or_default(), object.meta().name.clone().unwrap_or_default())
}
