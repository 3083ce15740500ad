//! From YAML documents to one pool and its Secrets.
//!
//! Documents of other kinds are passed over: a folder of manifests holds more than ours.

use super::problem::{Complaint, Place, Problem};
use super::structure::{check, found, nearest};
use super::yaml::{self, Document};
use super::{Manifest, ManifestError, cel, references};
use crate::audience;
use crate::crd;
use crate::pool::PersistentChatPool;
use crate::secrets::{Secret, Secrets};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const API_VERSION: &str = "persistentchat.io/v1alpha1";
const KIND: &str = "PersistentChatPool";

struct FoundPool {
    document: Document,
    /// The typed pool, where nothing is wrong with its document.
    pool: Option<PersistentChatPool>,
}

#[derive(Default)]
struct FoundSecrets {
    by_name: BTreeMap<String, (Secret, Place)>,
    /// Some Secret could not be taken, so that none can be called missing.
    incomplete: bool,
}

pub(super) fn assemble(
    texts: &[(String, String)],
    mut problems: Vec<Problem>,
) -> Result<Manifest, ManifestError> {
    let mut incomplete = !problems.is_empty();
    let mut pool: Option<FoundPool> = None;
    let mut secrets = FoundSecrets::default();
    for (file, text) in texts {
        let reading = yaml::read(file, text, &mut problems);
        incomplete |= reading.incomplete;
        for document in reading.documents {
            match kind(&document, &mut problems) {
                Kind::Pool => match &pool {
                    Some(first) => {
                        let first = first.document.marks.place("kind");
                        problems.push(document.marks.problem("kind", Complaint::SecondPool { first }));
                    }
                    None => {
                        let before = problems.len();
                        let typed = take_pool(&document, &mut problems);
                        let pool_is_good = problems.len() == before;
                        pool = Some(FoundPool { document, pool: typed.filter(|_| pool_is_good) });
                    }
                },
                Kind::Secret => take_secret(&document, &mut secrets, &mut problems),
                Kind::Other => {}
                Kind::Broken => incomplete = true,
            }
        }
    }
    let found_pool = pool.is_some();
    let taken = pool.and_then(|found| found.pool.map(|pool| (found.document, pool)));
    if let Some((document, pool)) = &taken {
        let complete = !incomplete && !secrets.incomplete;
        references::check(pool, document, &secrets_of(&secrets), complete, &mut problems);
    }
    if !found_pool && !incomplete {
        let place = Place {
            file: texts.last().map_or_else(|| "-".to_owned(), |(name, _)| name.clone()),
            line: texts.last().map_or(1, |(_, text)| text.lines().count().max(1)),
            column: 1,
        };
        problems.push(Problem { place, path: String::new(), complaint: Complaint::NoPool });
    }
    match taken {
        Some((document, pool)) if problems.is_empty() => {
            let place = document.marks.place("kind");
            Ok(Manifest { pool, secrets: secrets_of(&secrets), place, marks: document.marks })
        }
        _ => {
            problems.sort_by(|a, b| a.place.cmp(&b.place));
            problems.dedup();
            Err(ManifestError { problems })
        }
    }
}

fn secrets_of(found: &FoundSecrets) -> Secrets {
    let mut secrets = Secrets::default();
    for (name, (secret, _)) in &found.by_name {
        secrets.insert(name.clone(), secret.clone());
    }
    secrets
}

enum Kind {
    Pool,
    Secret,
    Other,
    Broken,
}

fn kind(document: &Document, problems: &mut Vec<Problem>) -> Kind {
    let value = &document.value;
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let what = match value {
            Value::Object(fields) if fields.contains_key("apiVersion") => "no kind".to_owned(),
            Value::Object(fields) if fields.contains_key("kind") => "no apiVersion".to_owned(),
            Value::Object(_) => "neither".to_owned(),
            other => found(other, ""),
        };
        problems.push(document.marks.problem("", Complaint::NotAManifest(what)));
        return Kind::Broken;
    };
    match (version, kind) {
        (API_VERSION, KIND) => Kind::Pool,
        ("v1", "Secret") => Kind::Secret,
        (_, KIND) => {
            let found = version.to_owned();
            let complaint = Complaint::ApiVersion { expected: API_VERSION, found };
            problems.push(document.marks.problem("apiVersion", complaint));
            Kind::Broken
        }
        _ if version.starts_with("persistentchat.io/") || nearest(kind, &[KIND.to_owned()]).is_some() => {
            problems.push(document.marks.problem("kind", Complaint::Kind { found: kind.to_owned() }));
            Kind::Broken
        }
        _ => Kind::Other,
    }
}

fn take_pool(document: &Document, problems: &mut Vec<Problem>) -> Option<PersistentChatPool> {
    let mut schema = match crd::schema() {
        Ok(schema) => schema,
        Err(error) => {
            problems.push(document.marks.problem("", Complaint::RuleFault(error.to_string())));
            return None;
        }
    };
    // The API server knows these fields of every object; a CustomResourceDefinition does not list them.
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata_schema();
    schema["required"] = json!(["metadata", "spec"]);
    let mut value = document.value.clone();
    if let Some(fields) = value.as_object_mut() {
        // `kubectl get -o yaml` prints a status; it is ours to write, not to read.
        fields.remove("status");
    }
    let mut broken: Vec<String> = Vec::new();
    check(&schema, &value, "", &mut |path, complaint| {
        broken.push(path.to_owned());
        problems.push(document.marks.problem(path, complaint));
    });
    check_name(document, &mut |path, complaint| {
        broken.push(path.to_owned());
        problems.push(document.marks.problem(path, complaint));
    });
    cel::check(&value, document, &broken, problems);
    if !broken.is_empty() {
        return None;
    }
    match serde_json::from_value(value) {
        Ok(pool) => Some(pool),
        Err(error) => {
            // What the schema lets through and the types do not is in the parts that are Kubernetes' own.
            let expected = "the metadata of a Kubernetes object".to_owned();
            let found = error.to_string().split(" at line ").next().unwrap_or("something else").to_owned();
            problems.push(document.marks.problem("metadata", Complaint::Wrong { expected, found }));
            None
        }
    }
}

fn take_secret(document: &Document, secrets: &mut FoundSecrets, problems: &mut Vec<Problem>) {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let schema = json!({
        "type": "object",
        "required": ["metadata"],
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "type": {"type": "string"},
            "immutable": {"type": "boolean"}, "metadata": metadata_schema(), "data": texts, "stringData": texts,
        },
    });
    let before = problems.len();
    check(&schema, &document.value, "", &mut |path, complaint| {
        problems.push(document.marks.problem(path, complaint));
    });
    check_name(document, &mut |path, complaint| problems.push(document.marks.problem(path, complaint)));
    let mut data = BTreeMap::new();
    for (key, text) in entries(&document.value, "data") {
        // Line breaks inside are what `base64` prints for long values.
        let packed: String = text.split_whitespace().collect();
        match base64::engine::general_purpose::STANDARD.decode(packed) {
            Ok(bytes) => drop(data.insert(key.clone(), bytes)),
            Err(_) => problems.push(document.marks.problem(&format!("data.{key}"), Complaint::NotBase64)),
        }
    }
    for (key, text) in entries(&document.value, "stringData") {
        data.insert(key.clone(), text.as_bytes().to_vec());
    }
    let text = |field: &str| document.value["metadata"][field].as_str().map(str::to_owned);
    let Some(name) = text("name").filter(|_| problems.len() == before) else {
        secrets.incomplete = true;
        return;
    };
    let place = document.marks.place("metadata.name");
    if let Some((_, first)) = secrets.by_name.get(&name) {
        let complaint = Complaint::SecondSecret { first: first.clone() };
        problems.push(document.marks.problem("metadata.name", complaint));
        return;
    }
    let hosts = document.value["metadata"]["annotations"][audience::HOSTS].as_str().map(str::to_owned);
    secrets.by_name.insert(name, (Secret::new(text("namespace"), data).for_hosts(hosts), place));
}

/// The name of an object as the API server wants it (RFC 1123 subdomain). It also becomes a part of file names.
fn check_name(document: &Document, report: &mut impl FnMut(&str, Complaint)) {
    let Some(name) = document.value["metadata"]["name"].as_str().filter(|name| !name.is_empty()) else {
        return;
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let labels_are_good = name.split('.').all(|label| {
        label.bytes().all(|byte| plain(byte) || byte == b'-')
            && label.bytes().next().is_some_and(plain)
            && label.bytes().last().is_some_and(plain)
    });
    if !labels_are_good {
        let sentence = "expected lower-case letters, digits, - and . as the name of an object".to_owned();
        let found = found(&Value::from(name), "metadata.name");
        report("metadata.name", Complaint::Rule { sentence, found: Some(found) });
    }
}

fn entries<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    let fields = value.get(field).and_then(Value::as_object);
    fields.into_iter().flatten().filter_map(|(key, value)| Some((key, value.as_str()?)))
}

/// ObjectMeta, as far as a person writes it or `kubectl get` prints it.
fn metadata_schema() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "required": ["name"],
        "description": "The name and namespace of the object.",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 253},
            "namespace": {"type": "string", "minLength": 1, "maxLength": 63},
            "labels": texts, "annotations": texts,
            "creationTimestamp": {}, "deletionGracePeriodSeconds": {}, "deletionTimestamp": {}, "finalizers": {},
            "generateName": {}, "generation": {}, "managedFields": {}, "ownerReferences": {}, "resourceVersion": {},
            "selfLink": {}, "uid": {},
        },
    })
}
