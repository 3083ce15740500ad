//! Columns and properties that are told as NULL on command.
//!
//! Answers for `null HOST SET COLUMN`: SET is a view by its full name, whose column is then NULL for every statement, or the first
//! column of a result set that is sent, of which only that answer knows. For the shell SET is a cmdlet and COLUMN a property.
//! `nulls HOST` says what is armed and whether anybody was told, so that a misspelt name does not pass for a harmless one.

use pchat_psrp::Value;
use pchat_tsql::{Version, schema};
use serde_json::json;

use crate::world::World;
use crate::world::instance::Null;

/// Arms one.
pub fn arm(w: &mut World, at: Option<usize>, set: &str, column: &str) -> Result<String, String> {
    if set.contains('.') {
        let (schema_name, view) = set.rsplit_once('.').unwrap_or_default();
        let columns = schema::view(schema_name, view, Version::V2019).ok_or(format!("no view {set}"))?;
        if !columns.iter().any(|c| c.name.eq_ignore_ascii_case(column)) {
            return Err(format!("{set} has no column {column}"));
        }
    }
    if at.is_none() && !set.contains('-') {
        return Err(format!("{set} is no cmdlet"));
    }
    list(w, at).push(Null { set: set.to_owned(), column: column.to_owned(), told: false });
    Ok(format!("{column} of {set} is told as NULL"))
}

/// What is armed.
pub fn armed(w: &mut World, at: Option<usize>) -> serde_json::Value {
    json!({ "nulls": list(w, at) })
}

/// Tells everything again.
pub fn disarm(w: &mut World, at: Option<usize>) {
    list(w, at).clear();
}

fn list(w: &mut World, at: Option<usize>) -> &mut Vec<Null> {
    match at {
        Some(at) => &mut w.servers[at].nulls,
        None => &mut w.store_nulls,
    }
}

/// Takes the properties out of what a cmdlet gives.
pub fn strike(nulls: &mut [Null], cmdlet: &str, output: &mut [Value]) {
    for null in nulls.iter_mut().filter(|n| n.set.eq_ignore_ascii_case(cmdlet)) {
        for value in output.iter_mut() {
            let Value::Object(object) = value else { continue };
            let properties = object.adapted.iter_mut().chain(&mut object.extended);
            for (_, value) in properties.filter(|(name, _)| name.eq_ignore_ascii_case(&null.column)) {
                *value = Value::Null;
                null.told = true;
            }
        }
    }
}
