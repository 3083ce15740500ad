//! A pool as the API server has it, kept small.
//!
//! One is kept for each pool for as long as it is there. As the trees that the watch brings, spec and status would take
//! ten times the room of their text, and are read only when something has changed.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;
use pchat_crds::status::PersistentChatPoolStatus;
use serde_json::Value;

use super::annotation;

/// One object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from another one of the same name.
    pub uid: Option<String>,
    /// Versions of one resource are numbers that grow (API conventions since 1.35).
    pub version: u64,
    /// Counts the changes of its spec.
    pub generation: Option<i64>,
    /// The annotations that are commands.
    pub annotations: BTreeMap<String, String>,
    /// Whose write put the approval there, as the field management tells.
    pub approver: Option<String>,
    spec: Box<str>,
    status: Box<str>,
}

impl Stored {
    /// Of the object as a watch or a list brings it.
    pub fn new(object: &DynamicObject) -> Self {
        let commands = [annotation::APPROVE, annotation::SUSPEND, annotation::RECONCILE_AT];
        let text = |field| object.data.get(field).unwrap_or(&Value::Null).to_string().into_boxed_str();
        let given = |name: &str| Some((name.to_owned(), object.annotations().get(name)?.clone()));
        Stored {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid(),
            version: version(object),
            generation: object.metadata.generation,
            annotations: commands.into_iter().filter_map(given).collect(),
            approver: approver(object),
            spec: text("spec"),
            status: text("status"),
        }
    }

    /// What is wanted.
    pub fn spec(&self) -> Value {
        serde_json::from_str(&self.spec).unwrap_or_default()
    }

    /// What was told; an unreadable status counts as none.
    pub fn status(&self) -> PersistentChatPoolStatus {
        serde_json::from_str(&self.status).unwrap_or_default()
    }
}

/// The version of an object; 0, if it does not tell.
pub fn version(object: &DynamicObject) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn approver(object: &DynamicObject) -> Option<String> {
    let field = format!("f:{}", annotation::APPROVE);
    let managers = object.metadata.managed_fields.as_ref()?;
    let owner = managers.iter().rev().find(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.and_then(|f| f.get("f:metadata")?.get("f:annotations")?.get(&field)).is_some()
    })?;
    owner.manager.clone()
}
