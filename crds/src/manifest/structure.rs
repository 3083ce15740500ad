//! The structural schema, held against a manifest: kinds of values, required and unknown fields, choices, lengths.
//!
//! It reads the schema that is generated from the types, so that there is no second list of fields. It knows the part
//! of OpenAPI that a structural schema may use and this crate does use.

use super::problem::Complaint;
use super::yaml::{Document, below};
use serde_json::Value;

/// Checks `value` at `path` against `schema`; what is wrong goes to `report` with its path.
pub(super) fn check(schema: &Value, value: &Value, path: &str, report: &mut impl FnMut(&str, Complaint)) {
    let wrong = |expected: String| Complaint::Wrong { expected, found: found(value, path) };
    if let Some(choices) = schema["enum"].as_array() {
        if !choices.contains(value) {
            report(path, wrong(choice(choices, value)));
        }
        return;
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(_)) => object(schema, value, path, report),
        (Some("array"), Value::Array(items)) => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
            let count = items.len() as u64;
            if count < least || count > most {
                let found = format!("{count}");
                report(path, Complaint::Wrong { expected: expectation(schema), found });
            }
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), report);
            }
        }
        (Some("string"), Value::String(text)) => {
            let count = text.chars().count() as u64;
            if count < schema["minLength"].as_u64().unwrap_or(0) {
                report(
                    path,
                    Complaint::Wrong { expected: expectation(schema), found: "an empty one".to_owned() },
                );
            } else if let Some(most) = schema["maxLength"].as_u64().filter(|most| count > *most) {
                let expected = format!("at most {most} characters");
                report(path, Complaint::Wrong { expected, found: format!("{count}") });
            }
        }
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let least = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
            let most = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
            if number < least || number > most {
                report(path, wrong(expectation(schema)));
            }
        }
        (Some("number"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
        (Some("string"), Value::Number(_) | Value::Bool(_)) => {
            report(path, wrong(format!("{} (write it in quotes)", expectation(schema))));
        }
        (Some(_), _) => report(path, wrong(expectation(schema))),
    }
}

fn object(schema: &Value, value: &Value, path: &str, report: &mut impl FnMut(&str, Complaint)) {
    let Some(fields) = value.as_object() else { return };
    let known = schema["properties"].as_object();
    for (name, field) in fields {
        let field_path = below(path, name);
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check(schema, field, &field_path, report),
            None if schema["additionalProperties"].is_object() => {
                check(&schema["additionalProperties"], field, &field_path, report);
            }
            None if known.is_some() => {
                let known: Vec<String> = known.into_iter().flat_map(|known| known.keys().cloned()).collect();
                report(&field_path, Complaint::UnknownField { nearest: nearest(name, &known), known });
            }
            None => {}
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            let schema = &schema["properties"][name];
            let mut expected = expectation(schema);
            if let Some(description) = schema["description"].as_str() {
                let first = description.split(". ").next().unwrap_or(description).trim_end_matches('.');
                expected.push_str(": ");
                expected.push_str(&lower_first(&first.replace('\n', " ")));
            }
            report(&below(path, name), Complaint::Missing { expected });
        }
    }
}

/// The name out of `known` that `name` was probably meant to be.
pub(super) fn nearest(name: &str, known: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).clamp(1, 4))
        .map(|(_, candidate)| candidate.clone())
}

/// What a schema expects, in words.
fn expectation(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        return choice(choices, &Value::Null);
    }
    match schema["type"].as_str() {
        Some("string") => "a text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            _ => "a whole number".to_owned(),
        },
        Some("number") => "a number".to_owned(),
        Some("array") => match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
            (Some(least), Some(most)) => format!("a list of {least} to {most} entries"),
            _ => "a list".to_owned(),
        },
        _ => match schema["properties"].as_object() {
            Some(known) => {
                format!("a group of fields ({})", known.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            None => "a group of fields".to_owned(),
        },
    }
}

fn choice(choices: &[Value], found: &Value) -> String {
    let names: Vec<String> = choices.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let list = match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    };
    match found.as_str().and_then(|found| nearest(found, &names)) {
        Some(nearest) => format!("{list} (did you mean {nearest}?)"),
        None => list,
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let (first, second) = (letters.next(), letters.clone().next());
    match first {
        // A word in capitals (SQL, FQDN) stays what it is.
        Some(first) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// The value at a path of a document.
pub(super) fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    let mut value = &document.value;
    for segment in path.split(['.', '[']).filter(|segment| !segment.is_empty()) {
        value = match segment.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?)?,
            None => value.get(segment)?,
        };
    }
    Some(value)
}

/// What stands at a path, in words, shortened; never what may be a secret.
pub(super) fn found(value: &Value, path: &str) -> String {
    const LONGEST: usize = 60;
    // Somebody may write a password where the name of a Secret belongs.
    let secret = !path.starts_with("spec.") && !path.starts_with("metadata.name")
        || path.split('.').any(|field| field == "credentials" || field == "ca");
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a group of fields".to_owned(),
        Value::String(_) if secret => "a text".to_owned(),
        Value::Number(_) if secret => "a number".to_owned(),
        Value::String(text) if text.chars().count() > LONGEST => {
            format!("{:?}...", text.chars().take(LONGEST).collect::<String>())
        }
        // Quoted as YAML has it: a backslash stays one backslash.
        Value::String(text) if !text.chars().any(char::is_control) => format!("'{text}'"),
        Value::String(text) => format!("{text:?}"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
