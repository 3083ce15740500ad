//! The CustomResourceDefinition, as it is installed and as manifests are checked against it.
//!
//! It is generated from the types and never edited by hand; `crdgen --check` says when the file in the tree is stale.

use crate::pool::PersistentChatPool;
use kube::CustomResourceExt;
use serde_json::Value;

/// Why the CustomResourceDefinition could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The types produced something that is not JSON or not a schema. A fault of this crate.
    #[error("the CustomResourceDefinition cannot be generated: {0}; this is a fault of the operator itself")]
    Generate(String),
}

/// The CustomResourceDefinition as JSON.
///
/// Optional fields are absent or have a value: `null` is refused, because it reads like a value that somebody forgot.
/// Therefore the `nullable` that comes with optional Rust fields is taken out, and with it the formats of unsigned
/// integers, which Kubernetes does not know (the bounds say the same).
pub fn definition() -> Result<Value, CrdError> {
    let mut crd = serde_json::to_value(PersistentChatPool::crd())
        .map_err(|error| CrdError::Generate(error.to_string()))?;
    for_kubernetes(&mut crd);
    Ok(crd)
}

/// The structural schema of a `PersistentChatPool`.
pub fn schema() -> Result<Value, CrdError> {
    definition()?
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .map(Value::take)
        .ok_or_else(|| CrdError::Generate("it has no schema".to_owned()))
}

/// The CustomResourceDefinition as the YAML file that is installed.
pub fn yaml() -> Result<String, CrdError> {
    let body =
        serde_yaml::to_string(&definition()?).map_err(|error| CrdError::Generate(error.to_string()))?;
    Ok(format!("# Generated: cargo run -p pchat-crds --bin crdgen > crds/persistentchatpools.yaml\n{body}"))
}

fn for_kubernetes(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A property may be called `nullable`; the keyword is the one that is a boolean.
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            fields.values_mut().for_each(for_kubernetes);
        }
        Value::Array(items) => items.iter_mut().for_each(for_kubernetes),
        _ => {}
    }
}
