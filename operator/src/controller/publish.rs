//! The only writer of a pool's status, and of its events.
//!
//! It writes what has changed and nothing else, the latest state when several came while one was written. A write is a
//! server-side apply of the whole status, bound to the object's uid and version: a new object of the same name is never
//! touched, and nothing is overwritten that was not read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use pchat_crds::status::PersistentChatPoolStatus;
use pchat_planner::plan::StepId;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fleet::Seen;
use super::metrics::Metrics;
use super::teller::{Make, Sink};
use super::{Context, MANAGER, declared};
use crate::reconcile::Backoff;
use crate::report::status::{Change, Kind, agreed, changes};

/// The least time between two writes of one status: progress within it is told in one.
const GRAIN: Duration = Duration::from_millis(200);

/// The longest note that the API server takes in an event, in bytes.
const NOTE: usize = 1024;

/// Where the next status is put.
pub struct Publisher {
    told: watch::Sender<Told>,
    metrics: Arc<Metrics>,
    namespace: String,
    name: String,
}

/// What was told so far.
#[derive(Clone, Default)]
struct Told {
    status: PersistentChatPoolStatus,
    /// Not published yet.
    events: Arc<Mutex<Vec<Change>>>,
}

impl Sink for Publisher {
    fn put(&self, make: Make<'_>) {
        self.told.send_if_modified(|told| {
            let status = make(&told.status);
            if status == told.status {
                return false;
            }
            let mut events = told.events.lock().unwrap_or_else(PoisonError::into_inner);
            for change in changes(&told.status, &status) {
                tracing::info!(reason = change.reason, about = change.action, "{}", change.note);
                events.push(change);
            }
            drop(events);
            self.metrics.conditions(&self.namespace, &self.name, &status);
            told.status = status;
            true
        });
    }

    fn passed(&self) {
        self.metrics.passed();
    }

    fn acted(&self, step: StepId, confirmed: bool) {
        self.metrics.acted(step, confirmed);
    }
}

/// Begins to write for `object`. The task ends when the publisher is dropped and all is written.
pub fn begin(
    context: &Arc<Context>,
    object: &DynamicObject,
    seen: watch::Receiver<Seen>,
) -> (Publisher, JoinHandle<()>) {
    let status = declared::status(object);
    let (told, read) = watch::channel(Told { status: status.clone(), ..Told::default() });
    let meta = object.meta();
    let (namespace, name) =
        (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    context.metrics.conditions(&namespace, &name, &status);
    let writer = Writer {
        api: Api::namespaced_with(context.client.clone(), &namespace, &context.resource),
        name: name.clone(),
        uid: meta.uid.clone(),
        resource: context.resource.clone(),
        recorder: Recorder::new(
            context.client.clone(),
            Reporter { controller: MANAGER.into(), instance: Some(context.options.pod.name.clone()) },
        ),
        about: ObjectReference {
            api_version: Some(context.resource.api_version.clone()),
            kind: Some(context.resource.kind.clone()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        },
        metrics: Arc::clone(&context.metrics),
        written: status,
        version: version(object),
    };
    let publisher = Publisher { told, metrics: Arc::clone(&context.metrics), namespace, name };
    (publisher, tokio::spawn(writer.run(read, seen)))
}

fn version(object: &DynamicObject) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

struct Writer {
    api: Api<DynamicObject>,
    name: String,
    uid: Option<String>,
    resource: kube::api::ApiResource,
    recorder: Recorder,
    about: ObjectReference,
    metrics: Arc<Metrics>,
    /// What stands on the object, as far as is known here.
    written: PersistentChatPoolStatus,
    /// The object's version with that; versions of one resource are numbers that grow (API conventions since 1.35).
    version: u64,
}

impl Writer {
    async fn run(mut self, mut told: watch::Receiver<Told>, mut seen: watch::Receiver<Seen>) {
        let mut pause = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
        // Two who disagree must not write in turns without end.
        let mut rivalry = Backoff::new(Duration::from_millis(250), Duration::from_secs(60));
        let mut news = true;
        loop {
            let now = told.borrow_and_update().clone();
            let foreign = self.compare(&seen.borrow_and_update());
            let status = agreed(&now.status, &self.written);
            if status != self.written {
                if foreign && !news {
                    tokio::time::sleep(rivalry.pause()).await;
                    continue;
                }
                match self.write(&status).await {
                    Ok(()) => pause.reset(),
                    Err(kube::Error::Api(told))
                        if told.code == 404 || (told.code == 409 && !self.stands(&seen.borrow())) =>
                    {
                        tracing::info!("the object is gone or another one by now: nothing more is written");
                        return;
                    }
                    Err(kube::Error::Api(told)) if told.code == 409 => {
                        // The watch brings what has changed.
                        tokio::select! { () = tokio::time::sleep(pause.pause()) => {}, Ok(()) = seen.changed() => {} }
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the status can't be written; tried again");
                        // An object that breaks a rule newer than itself takes no status: its events are all that tells.
                        if matches!(&error, kube::Error::Api(told) if told.code == 422) {
                            self.publish_all(&now).await;
                        }
                        tokio::time::sleep(pause.pause()).await;
                        continue;
                    }
                }
            }
            self.publish_all(&now).await;
            tokio::time::sleep(GRAIN).await;
            news = tokio::select! {
                changed = told.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    rivalry.reset();
                    true
                }
                Ok(()) = seen.changed() => false,
            };
        }
    }

    /// Takes in what stands on the object. Whether somebody else has changed the status.
    fn compare(&mut self, seen: &Seen) -> bool {
        let Some(object) = seen.object.as_ref().filter(|object| version(object) > self.version) else {
            return false;
        };
        self.version = version(object);
        let stands = declared::status(object);
        let foreign = stands != self.written;
        self.written = stands;
        foreign
    }

    /// Whether the object that this writes for is there, as far as the watch has told.
    fn stands(&self, seen: &Seen) -> bool {
        seen.object.as_ref().is_some_and(|object| object.metadata.uid == self.uid)
    }

    async fn write(&mut self, status: &PersistentChatPoolStatus) -> kube::Result<()> {
        let known = (self.version > 0).then(|| self.version.to_string());
        let patch = json!({
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": self.name, "uid": self.uid, "resourceVersion": known},
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let object = self.api.patch_status(&self.name, &params, &Patch::Apply(&patch)).await?;
        self.version = version(&object);
        self.metrics.wrote();
        self.written = status.clone();
        Ok(())
    }

    async fn publish_all(&self, told: &Told) {
        let events = std::mem::take(&mut *told.events.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            self.publish(event).await;
        }
    }

    /// An event that can't be written is lost: the status says the same.
    async fn publish(&self, change: Change) {
        let mut note = change.note;
        if note.len() > NOTE {
            let end = (0..=NOTE - '…'.len_utf8()).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
            note.truncate(end);
            note.push('…');
        }
        let event = Event {
            type_: if change.kind == Kind::Warning { EventType::Warning } else { EventType::Normal },
            reason: change.reason,
            note: Some(note),
            action: change.action,
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &self.about).await {
            tracing::warn!(%error, reason = event.reason, "an event can't be written");
        }
    }
}
