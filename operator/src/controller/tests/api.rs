//! An API server in this process: pools, Secrets, status and events, as far as the controller asks for them.
//!
//! It keeps what was asked, so that a test can tell silence from work, and can be told to refuse.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// One request, as far as tests ask for it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    #[expect(dead_code, reason = "a failing test prints it")]
    pub path: String,
    pub body: Value,
}

/// What a write of a status is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// This error, and nothing is written.
    Refused(StatusCode),
    /// It is written, and the answer is an error.
    Lost,
}

#[derive(Default)]
struct State {
    version: u64,
    pools: Vec<Value>,
    secrets: Vec<Value>,
    watches: Vec<(&'static str, mpsc::UnboundedSender<Bytes>)>,
    asked: Vec<Asked>,
    answers: VecDeque<Answer>,
}

/// The server. Clones are the same one.
#[derive(Clone, Default)]
pub struct Server {
    state: Arc<Mutex<State>>,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "lync")
    }

    /// Puts a pool there, or another in its place.
    pub fn pool(&self, name: &str, uid: &str, spec: &Value) {
        let mut state = self.state();
        state.version += 1;
        let object = json!({
            "apiVersion": "persistentchat.io/v1alpha1",
            "kind": "PersistentChatPool",
            "metadata": {"name": name, "namespace": "lync", "uid": uid, "generation": state.version,
                         "resourceVersion": state.version.to_string()},
            "spec": spec,
        });
        let known = state.pools.iter_mut().find(|pool| pool["metadata"]["name"] == name);
        let kind = match known {
            Some(pool) => {
                *pool = object.clone();
                "MODIFIED"
            }
            None => {
                state.pools.push(object.clone());
                "ADDED"
            }
        };
        state.tell("pools", kind, &object);
    }

    /// Changes the annotations of a pool.
    pub fn annotate(&self, name: &str, annotations: &Value) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version.to_string();
        let pool = state.pools.iter_mut().find(|pool| pool["metadata"]["name"] == name).expect("it is there");
        pool["metadata"]["annotations"] = annotations.clone();
        pool["metadata"]["resourceVersion"] = json!(version);
        let object = pool.clone();
        state.tell("pools", "MODIFIED", &object);
    }

    /// Takes a pool away.
    pub fn delete(&self, name: &str) {
        let mut state = self.state();
        let at = state.pools.iter().position(|pool| pool["metadata"]["name"] == name).expect("it is there");
        let object = state.pools.remove(at);
        state.tell("pools", "DELETED", &object);
    }

    /// Puts a Secret there, or another in its place.
    pub fn secret(&self, name: &str, user: &str) {
        let mut state = self.state();
        state.version += 1;
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "lync", "uid": name, "resourceVersion": state.version.to_string()},
            "data": {"username": base64(user), "password": base64("a long one")},
        });
        state.secrets.retain(|secret| secret["metadata"]["name"] != name);
        state.secrets.push(object.clone());
        state.tell("secrets", "MODIFIED", &object);
    }

    /// The next writes of a status are answered so.
    pub fn will_answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers.extend(answers);
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// The writes of a status among it.
    pub fn writes(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.method == Method::PATCH).collect()
    }

    /// The status of a pool as it stands.
    pub fn status(&self, name: &str) -> Value {
        let state = self.state();
        let pool = state.pools.iter().find(|pool| pool["metadata"]["name"] == name);
        pool.map(|pool| pool["status"].clone()).unwrap_or_default()
    }

    /// The reason of a condition of a pool, once `wanted` says so.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let patience = async {
            while !wanted(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), patience).await.is_err() {
            panic!("{what} did not come; asked: {:#?}", self.asked());
        }
    }

    async fn answer(&self, request: Request<Body>) -> Response<BoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let watch = head.uri.query().is_some_and(|query| query.contains("watch=true"));
        let mut state = self.state();
        state.asked.push(Asked { method: head.method.clone(), path: path.clone(), body });
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (head.method, parts.as_slice()) {
            (Method::GET, [.., "persistentchatpools"]) if watch => state.watch("pools"),
            (Method::GET, [.., "secrets"]) if watch => state.watch("secrets"),
            (Method::GET, [.., "persistentchatpools"]) => {
                state.list("persistentchat.io/v1alpha1", "PersistentChatPool", |state| &state.pools)
            }
            (Method::GET, [.., "secrets"]) => state.list("v1", "Secret", |state| &state.secrets),
            (Method::GET, [.., "secrets", name]) => {
                let found = state.secrets.iter().find(|secret| secret["metadata"]["name"] == *name);
                found.map_or_else(
                    || failure(StatusCode::NOT_FOUND),
                    |secret| json_answer(StatusCode::OK, secret),
                )
            }
            (Method::PATCH, [.., name, "status"]) => state.write(name),
            (Method::POST, [.., "events"]) => {
                let event = state.asked.last().map(|asked| asked.body.clone()).unwrap_or_default();
                json_answer(StatusCode::CREATED, &event)
            }
            (method, path) => panic!("{method} {path:?} is not expected"),
        }
    }
}

impl State {
    fn tell(&mut self, what: &str, kind: &str, object: &Value) {
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        self.watches.retain(|(watched, send)| *watched != what || send.unbounded_send(line.clone()).is_ok());
    }

    fn watch(&mut self, what: &'static str) -> Response<BoxBody<Bytes, Infallible>> {
        let (send, lines) = mpsc::unbounded();
        self.watches.push((what, send));
        Response::new(BodyExt::boxed(StreamBody::new(lines.map(|line| Ok(Frame::data(line))))))
    }

    fn list(
        &self,
        version: &str,
        kind: &str,
        items: impl Fn(&Self) -> &Vec<Value>,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let list = json!({
            "apiVersion": version,
            "kind": format!("{kind}List"),
            "metadata": {"resourceVersion": self.version.to_string()},
            "items": items(self),
        });
        json_answer(StatusCode::OK, &list)
    }

    /// A server-side apply of the status, bound to uid and version.
    fn write(&mut self, name: &str) -> Response<BoxBody<Bytes, Infallible>> {
        let lost = match self.answers.pop_front() {
            Some(Answer::Refused(code)) => return failure(code),
            Some(Answer::Lost) => true,
            None => false,
        };
        let body = self.asked.last().map(|asked| asked.body.clone()).unwrap_or_default();
        let version = self.version + 1;
        let Some(pool) = self.pools.iter_mut().find(|pool| pool["metadata"]["name"] == name) else {
            return failure(StatusCode::NOT_FOUND);
        };
        let (given, stands) = (&body["metadata"], &pool["metadata"]);
        if given["uid"] != stands["uid"] || given["resourceVersion"] != stands["resourceVersion"] {
            return failure(StatusCode::CONFLICT);
        }
        pool["status"] = body["status"].clone();
        pool["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = pool.clone();
        self.version = version;
        self.tell("pools", "MODIFIED", &object);
        if lost { failure(StatusCode::GATEWAY_TIMEOUT) } else { json_answer(StatusCode::OK, &object) }
    }
}

fn base64(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).expect("text")
}

fn json_answer(code: StatusCode, value: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    let body = BodyExt::boxed(Full::new(Bytes::from(value.to_string())));
    Response::builder().status(code).header("content-type", "application/json").body(body).expect("an answer")
}

fn failure(code: StatusCode) -> Response<BoxBody<Bytes, Infallible>> {
    let reason = code.canonical_reason().unwrap_or_default();
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason,
                        "reason": reason.replace(' ', ""), "code": code.as_u16()});
    json_answer(code, &status)
}
