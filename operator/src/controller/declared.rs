//! What an object and its Secrets declare, ready to be worked with, or all that is wrong with it.
//!
//! The object goes through the same reader and the same rules as a manifest in a file: one that was stored under an
//! older schema, or by an API server that did not hold the rules, is told as bad input and never half understood.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use pchat_crds::audience::HOSTS;
use pchat_crds::manifest::{self, Source};
use pchat_crds::status::ApprovalStatus;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use super::annotation;
use super::fleet::Seen;
use super::stored::Stored;
use crate::observe::Ends;
use crate::report::status::Object;
use crate::report::words::millis;
use crate::validate::{Installation, validate};

/// SHA-256: what is as large as a spec with its Secrets is not kept for being compared.
type Digest = [u8; 32];

fn digest<'a>(values: impl IntoIterator<Item = &'a Value>) -> Digest {
    let mut hash = Sha256::new();
    for value in values {
        let text = value.to_string();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// One object, read.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What the status needs to know of it.
    pub object: Object,
    /// Ready to be worked with, or what is wrong, a sentence each.
    pub ends: Result<Arc<Ends>, Vec<String>>,
    /// The spec's digest.
    spec: Digest,
    /// That of all that tells where the far ends are and how to reach them; another one means that they are to be reached anew.
    pub reached_by: Digest,
    /// The value of the annotation that asks for a look.
    pub look_at: Option<String>,
    /// How often its Secrets had changed by then.
    pub secrets: u64,
}

/// Names of the Secrets that a spec refers to.
pub fn secrets(object: &Stored) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    references(&object.spec(), &mut names);
    names
}

fn references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("secretRef").and_then(|secret| secret.get("name")).and_then(Value::as_str);
            names.extend(name.map(str::to_owned));
            fields.values().for_each(|field| references(field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

/// Reads it with its Secrets, which are asked for only if spec or Secrets have changed since `before` was read. The error is
/// the API server's.
pub async fn read(
    seen: &Seen,
    before: Option<&Declared>,
    client: &Client,
    here: &Installation,
) -> Result<Option<Declared>, kube::Error> {
    let Some(object) = &seen.object else { return Ok(None) };
    let spec = object.spec();
    let latched = before.and_then(|before| before.object.approval.as_ref());
    let look_at = object.annotations.get(annotation::RECONCILE_AT).cloned();
    let written = digest([&spec]);
    let asked = before.is_some_and(|before| before.look_at != look_at);
    if let Some(before) = before.filter(|b| b.secrets == seen.secrets && b.spec == written) {
        if let Some(ends) = before.ends.as_ref().ok().filter(|_| asked) {
            ends.lift_brakes();
        }
        return Ok(Some(Declared { object: about(object, latched), look_at, ..before.clone() }));
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), &object.namespace);
    let reached_at = where_and_how(&spec);
    let mut made_from = vec![spec];
    for name in secrets(object) {
        if let Some(secret) = api.get_opt(&name).await? {
            let mut hosts = secret.metadata.annotations.unwrap_or_default();
            hosts.retain(|name, _| name == HOSTS);
            made_from.push(json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": object.namespace, "annotations": hosts},
                "data": secret.data,
            }));
        }
    }
    let reached_by = digest(std::iter::once(&reached_at).chain(&made_from[1..]));
    let ends = ends(object, &made_from, here);
    made_from[1..].iter_mut().for_each(wipe);
    // What a person has changed, or asks for, is tried at once. That the watch of Secrets was begun anew is nobody's wish.
    let changed = before.is_some_and(|before| before.spec != written || before.reached_by != reached_by);
    if let Some(ends) = ends.as_ref().ok().filter(|_| asked || changed) {
        ends.lift_brakes();
    }
    Ok(Some(Declared {
        object: about(object, latched),
        ends,
        spec: written,
        reached_by,
        look_at,
        secrets: seen.secrets,
    }))
}

/// Overwrites every text of a value that came out of a Secret.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

/// The spec without what is wanted: who turns the field has looked at both sides for long, and begins at once.
fn where_and_how(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| name != "activeDatabase" && name != "mode");
    }
    spec
}

fn about(object: &Stored, latched: Option<&ApprovalStatus>) -> Object {
    let annotations = &object.annotations;
    // The object's own may lack what is being written.
    let latched = latched.cloned().or_else(|| object.status().approval);
    let given = annotations.get(annotation::APPROVE).map(|digest| digest.trim().to_lowercase());
    let given = given.filter(|digest| !digest.is_empty() && digest.len() <= 64);
    let approval = match (given, latched) {
        (Some(digest), Some(latched)) if latched.digest == digest => Some(latched),
        (Some(digest), _) => {
            Some(ApprovalStatus { digest, seen_at: millis(Timestamp::now()), by: object.approver.clone() })
        }
        (None, latched) => latched,
    };
    Object {
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        generation: object.generation,
        suspended: annotations.get(annotation::SUSPEND).is_some_and(|value| value.trim() != "false"),
        approval,
    }
}

fn ends(object: &Stored, made_from: &[Value], here: &Installation) -> Result<Arc<Ends>, Vec<String>> {
    let [spec, secrets @ ..] = made_from else { return Err(vec!["The object has no spec.".into()]) };
    let pool = json!({
        "apiVersion": "persistentchat.io/v1alpha1",
        "kind": "PersistentChatPool",
        "metadata": {"name": object.name, "namespace": object.namespace},
        "spec": spec,
    });
    let name = format!("PersistentChatPool {}/{}", object.namespace, object.name);
    let text = |value: &Value| Source::Text { name: name.clone(), text: value.to_string() };
    let sources: Vec<Source> = std::iter::once(text(&pool)).chain(secrets.iter().map(text)).collect();
    let manifest = manifest::load(&sources).map_err(|error| {
        let problems = error.problems.iter();
        problems.map(|problem| sentence(&problem.path, &problem.complaint.to_string())).collect::<Vec<_>>()
    })?;
    validate(&manifest, here).map(Arc::new).map_err(|problems| {
        problems.0.iter().map(|problem| sentence(&problem.field, &problem.expected)).collect()
    })
}

fn sentence(field: &str, what: &str) -> String {
    // What is said of files is meant for people who have files.
    let what = what.replace(": add its manifest to the files that are read", " in the pool's namespace");
    if field.is_empty() { format!("{what}.") } else { format!("{field}: {what}.") }
}

impl Declared {
    /// Whether what was seen asks for something else than this was read from. Our own writes of the status don't.
    pub fn differs(&self, seen: &Seen) -> bool {
        let Some(object) = &seen.object else { return true };
        let now = about(object, self.object.approval.as_ref());
        let digest = |object: &Object| object.approval.as_ref().map(|approval| approval.digest.clone());
        seen.secrets != self.secrets
            || now.generation != self.object.generation
            || now.suspended != self.object.suspended
            || digest(&now) != digest(&self.object)
            || object.annotations.get(annotation::RECONCILE_AT) != self.look_at.as_ref()
    }
}
