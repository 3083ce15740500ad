//! The only writer of a pool's status, and of its events.
//!
//! It writes what has changed and nothing else, the latest state when several came while one was written. A write is a
//! server-side apply of the whole status, bound to the object's uid and version: a new object of the same name is never
//! touched, and nothing is overwritten that was not read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use pchat_crds::status::PersistentChatPoolStatus;
use pchat_planner::plan::StepId;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fleet::Seen;
use super::metrics::Metrics;
use super::stored::{Stored, version};
use super::teller::{Make, Sink};
use super::{Context, MANAGER, answered};
use crate::reconcile::Backoff;
use crate::report::status::{Change, Kind, NOTE, agreed, changes};

/// The least time between two writes of one status: progress within it is told in one.
const GRAIN: Duration = Duration::from_millis(200);

/// Events that wait to be written at most, for one pool. Beyond that the oldest goes: the status tells what holds now.
const EVENTS: usize = 256;

/// Where the next status is put.
pub struct Publisher {
    told: watch::Sender<Told>,
    metrics: Arc<Metrics>,
    namespace: String,
    name: String,
    uid: Option<String>,
    seen: watch::Receiver<Seen>,
}

/// What was told so far.
#[derive(Clone, Default)]
struct Told {
    status: Arc<PersistentChatPoolStatus>,
    /// Not published yet.
    events: Arc<Mutex<VecDeque<Change>>>,
}

impl Sink for Publisher {
    fn put(&self, make: Make<'_>) {
        self.told.send_if_modified(|told| {
            let status = make(&told.status);
            if status == *told.status {
                return false;
            }
            let mut events = told.events.lock().unwrap_or_else(PoisonError::into_inner);
            for change in changes(&told.status, &status) {
                tracing::info!(reason = change.reason, about = change.action, "{}", change.note);
                remember(&mut events, change);
            }
            drop(events);
            // The series of an object that is gone were taken away with it.
            if stands(&self.seen.borrow(), self.uid.as_deref()) {
                self.metrics.conditions(&self.namespace, &self.name, &status);
            }
            told.status = Arc::new(status);
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

/// Keeps an event until it can be written; a server that does not answer for days must not fill the memory.
fn remember(events: &mut VecDeque<Change>, change: Change) {
    if events.len() == EVENTS {
        tracing::warn!(
            reason = events[0].reason,
            "too many events wait to be written; the oldest is dropped"
        );
        events.pop_front();
    }
    events.push_back(change);
}

/// Begins to write for `object`. The task ends when the publisher is dropped and all is written.
pub fn begin(
    context: &Arc<Context>,
    object: &Stored,
    seen: watch::Receiver<Seen>,
) -> (Publisher, JoinHandle<()>) {
    let status = Arc::new(object.status());
    let (told, read) = watch::channel(Told { status: Arc::clone(&status), ..Told::default() });
    let (namespace, name) = (object.namespace.clone(), object.name.clone());
    context.metrics.conditions(&namespace, &name, &status);
    let writer = Writer {
        api: Api::namespaced_with(context.client.clone(), &namespace, &context.resource),
        name: name.clone(),
        uid: object.uid.clone(),
        resource: context.resource.clone(),
        recorder: Recorder::new(
            context.client.clone(),
            Reporter { controller: MANAGER.into(), instance: Some(context.options.pod.name.clone()) },
        ),
        about: ObjectReference {
            api_version: Some(context.resource.api_version.clone()),
            kind: Some(context.resource.kind.clone()),
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: object.uid.clone(),
            ..ObjectReference::default()
        },
        metrics: Arc::clone(&context.metrics),
        written: status,
        version: object.version,
        pause: Backoff::new(Duration::from_millis(250), Duration::from_secs(15)),
        rivalry: Backoff::new(Duration::from_millis(250), Duration::from_secs(60)),
    };
    let (metrics, uid) = (Arc::clone(&context.metrics), object.uid.clone());
    let publisher = Publisher { told, metrics, namespace, name, uid, seen: seen.clone() };
    (publisher, tokio::spawn(writer.run(read, seen)))
}

/// Whether the object with this uid is there, as far as the watch has told.
fn stands(seen: &Seen, uid: Option<&str>) -> bool {
    seen.object.as_ref().is_some_and(|object| object.uid.as_deref() == uid)
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
    written: Arc<PersistentChatPoolStatus>,
    /// The object's version with that.
    version: u64,
    pause: Backoff,
    /// Two who disagree must not write in turns without end.
    rivalry: Backoff,
}

/// What became of an attempt to bring the status up to what was told.
enum After {
    Done,
    /// It does not stand yet; a pause was made.
    Again,
    /// There is nothing to write to any more.
    Gone,
}

impl Writer {
    async fn run(mut self, mut told: watch::Receiver<Told>, mut seen: watch::Receiver<Seen>) {
        let mut news = true;
        loop {
            let now = told.borrow_and_update().clone();
            let foreign = self.compare(&seen.borrow_and_update());
            // On the heap for as long as it lasts: a pool at rest would pay for its room.
            match Box::pin(self.bring(now, foreign && !news, &mut seen)).await {
                After::Done => {}
                After::Again => continue,
                After::Gone => return,
            }
            tokio::time::sleep(GRAIN).await;
            news = tokio::select! {
                changed = told.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.rivalry.reset();
                    true
                }
                Ok(()) = seen.changed() => false,
            };
        }
    }

    /// `rivals`: somebody else has written something else, and there is no news here.
    async fn bring(&mut self, now: Told, rivals: bool, seen: &mut watch::Receiver<Seen>) -> After {
        let status = agreed(&now.status, &self.written);
        if status != *self.written {
            if rivals {
                tokio::time::sleep(self.rivalry.pause()).await;
                return After::Again;
            }
            // What is told and what stands are mostly the same: then it is kept once.
            let status = if status == *now.status { Arc::clone(&now.status) } else { Arc::new(status) };
            match self.write(status).await {
                Ok(()) => self.pause.reset(),
                Err(kube::Error::Api(told))
                    if told.code == 404
                        || (told.code == 409 && !stands(&seen.borrow(), self.uid.as_deref())) =>
                {
                    tracing::info!("the object is gone or another one by now: nothing more is written");
                    return After::Gone;
                }
                Err(kube::Error::Api(told)) if told.code == 409 => {
                    // The watch brings what has changed.
                    tokio::select! { () = tokio::time::sleep(self.pause.pause()) => {}, Ok(()) = seen.changed() => {} }
                    return After::Again;
                }
                Err(error) => {
                    tracing::warn!(%error, "the status can't be written; tried again");
                    // An object that breaks a rule newer than itself takes no status: its events are all that tells.
                    if matches!(&error, kube::Error::Api(told) if told.code == 422) {
                        self.publish_all(&now).await;
                    }
                    tokio::time::sleep(self.pause.pause()).await;
                    return After::Again;
                }
            }
        }
        self.publish_all(&now).await;
        After::Done
    }

    /// Takes in what stands on the object. Whether somebody else has changed the status.
    fn compare(&mut self, seen: &Seen) -> bool {
        let Some(object) = seen.object.as_ref().filter(|object| object.version > self.version) else {
            return false;
        };
        self.version = object.version;
        let stands = object.status();
        let foreign = stands != *self.written;
        if foreign {
            self.written = Arc::new(stands);
        }
        foreign
    }

    async fn write(&mut self, status: Arc<PersistentChatPoolStatus>) -> kube::Result<()> {
        let known = (self.version > 0).then(|| self.version.to_string());
        let patch = Patch::Apply(json!({
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": self.name, "uid": self.uid, "resourceVersion": known},
            "status": &*status,
        }));
        let params = PatchParams::apply(MANAGER).force();
        let object = answered(self.api.patch_status(&self.name, &params, &patch)).await?;
        self.version = version(&object);
        self.metrics.wrote();
        self.written = status;
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
        if let Err(error) = answered(self.recorder.publish(&event, &self.about)).await {
            tracing::warn!(%error, reason = event.reason, "an event can't be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_can_not_be_written_for_days_leave_the_newest() {
        let mut waiting = VecDeque::new();
        for n in 0..EVENTS + 3 {
            let (reason, action) = ("LogChainGap".into(), "ApplyLogs".into());
            remember(&mut waiting, Change { kind: Kind::Warning, reason, action, note: n.to_string() });
        }
        assert_eq!(waiting.len(), EVENTS);
        assert_eq!(waiting.front().map(|change| change.note.as_str()), Some("3"));
        assert_eq!(waiting.back().map(|change| change.note.clone()), Some((EVENTS + 2).to_string()));
    }
}
