//! The errors that the simulated servers raise.
//!
//! Answers for making them in the order in which a server sends them. Texts are the documented ones
//! (`pchat_tsql::error`); what the lab does not model is an error of its own by [`unsupported`], which
//! must never be taken for a documented answer.

pub use pchat_tsql::SqlError;
use std::fmt::Display;

/// The errors of one failed statement in the order in which they were raised: the cause first.
pub type Failure = Vec<SqlError>;

/// Raises message `number` with its placeholders filled in order.
pub fn raise(number: i32, args: &[&dyn Display]) -> SqlError {
    SqlError::new(number, args)
}

/// The failure of `statement` (for example `RESTORE LOG`) for one reason: the cause, then 3013.
pub fn terminated(statement: &str, cause: SqlError) -> Failure {
    vec![cause, raise(3013, &[&statement])]
}

/// An error of the lab's own: it met something that it does not simulate.
pub fn unsupported(what: &str) -> SqlError {
    SqlError::custom(50000, 16, 255, format!("The lab does not simulate {what}."))
}

/// SQLServerAgent's refusals (22022) are in no published list; the text is what the Agent prints.
pub fn agent_error(text: &str) -> SqlError {
    SqlError::custom(22022, 16, 1, format!("SQLServerAgent Error: {text}"))
}

/// 3906, which is in no list read for the reference (general knowledge).
pub fn read_only(database: &str) -> SqlError {
    let text = format!("Failed to update database \"{database}\" because the database is read-only.");
    SqlError::custom(3906, 16, 1, text)
}
