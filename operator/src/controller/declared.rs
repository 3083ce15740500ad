//! What an object and its Secrets declare, ready to be worked with, or all that is wrong with it.
//!
//! The object goes through the same reader and the same rules as a manifest in a file: one that was stored under an
//! older schema, or by an API server that did not hold the rules, is told as bad input and never half understood.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use kube::{Client, ResourceExt};
use pchat_crds::manifest::{self, Source};
use pchat_crds::status::{ApprovalStatus, PersistentChatPoolStatus};
use serde_json::{Value, json};

use super::annotation;
use super::fleet::Seen;
use crate::observe::Ends;
use crate::report::status::Object;
use crate::report::words::millis;
use crate::validate::{Hosts, validate};

/// One object, read.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What the status needs to know of it.
    pub object: Object,
    /// Ready to be worked with, or what is wrong, a sentence each.
    pub ends: Result<Ends, Vec<String>>,
    /// All that `ends` was made from; another value means that the far ends are to be reached anew.
    pub made_from: Vec<Value>,
    /// The value of the annotation that asks for a look.
    pub look_at: Option<String>,
    /// How often its Secrets had changed by then.
    pub secrets: u64,
}

/// The status that stands on the object; an unreadable one counts as none.
pub fn status(object: &DynamicObject) -> PersistentChatPoolStatus {
    object
        .data
        .get("status")
        .and_then(|status| serde_json::from_value(status.clone()).ok())
        .unwrap_or_default()
}

/// Names of the Secrets that a spec refers to.
pub fn secrets(object: &DynamicObject) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    references(object.data.get("spec").unwrap_or(&Value::Null), &mut names);
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

/// Reads it with its Secrets. `latched` is the approval that was seen before. The error is the API server's.
pub async fn read(
    seen: &Seen,
    latched: Option<&ApprovalStatus>,
    client: &Client,
    hosts: &Hosts,
) -> Result<Option<Declared>, kube::Error> {
    let Some(object) = &seen.object else { return Ok(None) };
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let mut made_from = vec![object.data.get("spec").cloned().unwrap_or(Value::Null)];
    for name in secrets(object) {
        if let Some(secret) = api.get_opt(&name).await? {
            made_from.push(json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "data": secret.data,
            }));
        }
    }
    Ok(Some(Declared {
        object: about(object, latched),
        ends: ends(object, &made_from, hosts),
        made_from,
        look_at: object.annotations().get(annotation::RECONCILE_AT).cloned(),
        secrets: seen.secrets,
    }))
}

fn about(object: &DynamicObject, latched: Option<&ApprovalStatus>) -> Object {
    let annotations = object.annotations();
    // The object's own may lack what is being written.
    let latched = latched.cloned().or_else(|| status(object).approval);
    let given = annotations.get(annotation::APPROVE).map(|digest| digest.trim().to_lowercase());
    let given = given.filter(|digest| !digest.is_empty() && digest.len() <= 64);
    let approval = match (given, latched) {
        (Some(digest), Some(latched)) if latched.digest == digest => Some(latched),
        (Some(digest), _) => {
            Some(ApprovalStatus { digest, seen_at: millis(Timestamp::now()), by: approver(object) })
        }
        (None, latched) => latched,
    };
    Object {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        generation: object.metadata.generation,
        suspended: annotations.get(annotation::SUSPEND).is_some_and(|value| value.trim() != "false"),
        approval,
    }
}

/// Whose write put the approval there, as the API server's field management tells.
fn approver(object: &DynamicObject) -> Option<String> {
    let field = format!("f:{}", annotation::APPROVE);
    let managers = object.metadata.managed_fields.as_ref()?;
    let owner = managers.iter().rev().find(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.and_then(|f| f.get("f:metadata")?.get("f:annotations")?.get(&field)).is_some()
    })?;
    owner.manager.clone()
}

fn ends(object: &DynamicObject, made_from: &[Value], hosts: &Hosts) -> Result<Ends, Vec<String>> {
    let [spec, secrets @ ..] = made_from else { return Err(vec!["The object has no spec.".into()]) };
    let pool = json!({
        "apiVersion": "persistentchat.io/v1alpha1",
        "kind": "PersistentChatPool",
        "metadata": {"name": object.name_any(), "namespace": object.namespace()},
        "spec": spec,
    });
    let name = format!("PersistentChatPool {}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let text = |value: &Value| Source::Text { name: name.clone(), text: value.to_string() };
    let sources: Vec<Source> = std::iter::once(text(&pool)).chain(secrets.iter().map(text)).collect();
    let manifest = manifest::load(&sources).map_err(|error| {
        let problems = error.problems.iter();
        problems.map(|problem| sentence(&problem.path, &problem.complaint.to_string())).collect::<Vec<_>>()
    })?;
    validate(&manifest, hosts).map_err(|problems| {
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
            || object.annotations().get(annotation::RECONCILE_AT) != self.look_at.as_ref()
    }
}
