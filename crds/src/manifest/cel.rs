//! The CEL rules of the schema, evaluated over a manifest.
//!
//! The rule texts are those of the CustomResourceDefinition; none is written here.

use super::problem::{Complaint, Problem};
use super::structure::{at, found};
use super::yaml::Document;
use crate::crd::{self, CrdError};
use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;
use std::sync::OnceLock;

/// The rules, compiled once in a process: they are fixed, and compiling them is most of the cost of a check.
static RULES: OnceLock<Result<CompiledSchema, CrdError>> = OnceLock::new();

/// Evaluates every rule. Where the structure is `broken` a rule cannot be judged: what it says about such a field, or
/// that it cannot be evaluated for want of one, is left unsaid, because the broken field is reported already.
pub(super) fn check(value: &Value, document: &Document, broken: &[String], problems: &mut Vec<Problem>) {
    let rules = match RULES.get_or_init(|| Ok(compile_schema(&crd::schema()?))) {
        Ok(rules) => rules,
        Err(error) => {
            return problems.push(document.marks.problem("", Complaint::RuleFault(error.to_string())));
        }
    };
    let Err(errors) = Validator::new().validate_compiled(rules, value, None) else { return };
    for error in errors.into_vec() {
        let path = error.field_path.trim_start_matches('.');
        if error.kind != ErrorKind::ValidationFailure {
            if broken.is_empty() {
                problems.push(document.marks.problem(path, Complaint::RuleFault(error.message)));
            }
            continue;
        }
        if broken.iter().any(|field| field.starts_with(path)) {
            continue;
        }
        let found = at(document, path)
            .filter(|value| !value.is_object() && !value.is_array())
            .map(|value| found(value, path));
        problems.push(document.marks.problem(path, Complaint::Rule { sentence: error.message, found }));
    }
}
