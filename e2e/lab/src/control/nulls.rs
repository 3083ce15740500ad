//! Columns and properties that are told as NULL on command.
//!
//! Answers for `null HOST SET COLUMN`: SET is a view by its full name, whose column is then NULL for every statement, or the first
//! column of a result set that is sent, of which only that answer knows; or a procedure, whose own rows are then told so to whoever
//! asks. `function NAME` is NULL wherever it is evaluated, `procedure NAME` is a return code. For the shell SET is a cmdlet and COLUMN a property.
//! `nulls HOST` says what is armed and whether anybody was told, so that a misspelt name does not pass for a harmless one.

use pchat_psrp::Value;
use pchat_tsql::{Event, Sink, Version, schema};
use serde_json::json;

use crate::world::World;
use crate::world::instance::Null;

/// In place of a set: the column is a function.
pub const FUNCTION: &str = "function";
/// In place of a set: the column is a procedure, and what it returns is NULL.
pub const PROCEDURE: &str = "procedure";

/// Arms one.
pub fn arm(w: &mut World, at: Option<usize>, set: &str, column: &str) -> Result<String, String> {
    if set.contains('.') {
        let (schema_name, view) = set.rsplit_once('.').unwrap_or_default();
        let columns = schema::view(schema_name, view, Version::V2019).ok_or(format!("no view {set}"))?;
        if !columns.iter().any(|c| c.name.eq_ignore_ascii_case(column)) {
            return Err(format!("{set} has no column {column}"));
        }
    }
    if set == FUNCTION && !pchat_tsql::is_function(column) {
        return Err(format!("no function {column}"));
    }
    if set == PROCEDURE && schema::procedure(column).is_none() {
        return Err(format!("no procedure {column}"));
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

/// What a procedure tells, on its way to whoever called it.
pub struct Listing<'a> {
    inner: &'a mut dyn Sink,
    armed: Vec<Null>,
    /// In the result set that is being told, the columns that are NULL.
    here: Vec<(usize, usize)>,
}

impl<'a> Listing<'a> {
    /// Of this procedure.
    pub fn new(inner: &'a mut dyn Sink, mut armed: Vec<Null>, procedure: &str) -> Listing<'a> {
        armed.retain(|null| null.set.eq_ignore_ascii_case(procedure));
        Listing { inner, armed, here: vec![] }
    }

    /// Says what was told.
    pub fn note(self, known: &mut [Null]) {
        for null in self.armed.iter().filter(|null| null.told) {
            known.iter_mut().filter(|n| n.is(&null.set, &null.column)).for_each(|n| n.told = true);
        }
    }
}

impl Sink for Listing<'_> {
    fn send(&mut self, mut event: Event) {
        match &mut event {
            Event::Columns(columns) => {
                self.here.clear();
                for (at, column) in columns.iter_mut().enumerate() {
                    if let Some(null) = self.armed.iter().position(|n| n.is(&n.set, &column.name)) {
                        column.nullable = true;
                        self.here.push((at, null));
                    }
                }
            }
            Event::Row(row) => {
                for (at, null) in &self.here {
                    row[*at] = pchat_tsql::Value::Null;
                    self.armed[*null].told = true;
                }
            }
            _ => {}
        }
        self.inner.send(event);
    }

    fn flush(&mut self) -> pchat_tsql::host::Boxed<'_, ()> {
        self.inner.flush()
    }
}
