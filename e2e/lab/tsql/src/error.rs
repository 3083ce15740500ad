//! Errors and messages of the simulated server: number, class, state, line and the documented text.
//!
//! Texts come from `data/messages.tsv` (Microsoft's message list) and `data/own-messages.tsv` (texts that
//! no list read has; general knowledge). A number in neither has the text "Error N", never an empty one.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::OnceLock;

/// One ERROR or INFO token's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Msg {number}, Level {class}, State {state}, Line {line}: {text}")]
pub struct SqlError {
    /// Message number.
    pub number: i32,
    /// Severity; up to 10 is information.
    pub class: u8,
    /// State.
    pub state: u8,
    /// Line in the batch or procedure, from 1; 0 while not known.
    pub line: u32,
    /// Text with its arguments.
    pub text: String,
    /// Procedure that raised it, or empty.
    pub procedure: String,
}

/// All errors that one statement raised, in the order in which the server sends them: a failed RESTORE
/// has its cause first and 3013 last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Failure(pub Vec<SqlError>);

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure(vec![error])
    }
}

impl SqlError {
    /// The documented message `number`, its placeholders filled in order; state 1, severity as listed
    /// (16 where no list has it).
    pub fn new(number: i32, arguments: &[&dyn Display]) -> SqlError {
        let (class, text) = match texts().get(&number) {
            Some((class, template)) => (*class, fill(template, arguments)),
            None => (16, format!("Error {number}.")),
        };
        SqlError { number, class, state: 1, line: 0, text, procedure: String::new() }
    }

    /// A message with a text of its own.
    pub fn custom(number: i32, class: u8, state: u8, text: impl Into<String>) -> SqlError {
        SqlError { number, class, state, line: 0, text: text.into(), procedure: String::new() }
    }

    /// 102 near a token.
    pub fn near(token: impl Display) -> SqlError {
        SqlError::new(102, &[&token])
    }

    /// The same with another state.
    pub fn with_state(mut self, state: u8) -> SqlError {
        self.state = state;
        self
    }

    /// The same, raised by a procedure at one of its lines.
    pub fn within(mut self, procedure: &str, line: u32) -> SqlError {
        procedure.clone_into(&mut self.procedure);
        self.line = line;
        self
    }

    /// The same at `line`, unless a line is known already.
    pub(crate) fn at(mut self, line: u32) -> SqlError {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

/// Text template of a message, with its severity.
pub fn template(number: i32) -> Option<(u8, &'static str)> {
    texts().get(&number).copied()
}

fn texts() -> &'static HashMap<i32, (u8, &'static str)> {
    static TEXTS: OnceLock<HashMap<i32, (u8, &'static str)>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let own = include_str!("../data/own-messages.tsv").lines().skip(1);
        let listed = include_str!("../data/messages.tsv").lines().skip(1);
        own.chain(listed)
            .filter_map(|line| {
                let mut fields = line.splitn(3, '\t');
                let number = fields.next()?.parse().ok()?;
                let class = fields.next()?.parse().ok()?;
                Some((number, (class, fields.next()?)))
            })
            .collect()
    })
}

/// Fills `%d`, `%.*ls`, `%S_MSG` and their kin in order; an argument too few leaves the placeholder.
fn fill(template: &str, arguments: &[&dyn Display]) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut arguments = arguments.iter();
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = placeholder(rest);
        match (length, arguments.as_slice().first()) {
            (0, _) | (_, None) => {
                out.push('%');
                rest = &rest[1..];
            }
            (n, Some(argument)) => {
                out.push_str(&argument.to_string());
                arguments.next();
                rest = &rest[n..];
            }
        }
    }
    out + rest
}

fn placeholder(text: &str) -> usize {
    let named =
        ["%S_MSG", "%S_PGID", "%S_DATE", "%S_GUID", "%I64d", "%I64u", "%.*ls", "%.*s", "%.*hs", "%hs", "%ls"];
    if let Some(p) = named.iter().find(|p| text.starts_with(**p)) {
        return p.len();
    }
    let bytes = text.as_bytes();
    let mut i = 1;
    while i < bytes.len() && matches!(bytes[i], b'0'..=b'9' | b'l' | b'#') {
        i += 1;
    }
    match bytes.get(i) {
        Some(b'd' | b'u' | b's' | b'x' | b'X' | b'c' | b'i') => i + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_order_and_data_is_not_scanned_again() {
        let e = SqlError::new(207, &[&"%d]'"]);
        assert_eq!((e.number, e.class, e.text.as_str()), (207, 16, "Invalid column name '%d]''."));
        let e = SqlError::new(4305, &[&"41", &"40"]);
        assert!(e.text.contains("41") && e.text.contains("40") && !e.text.contains("%"), "{e}");
    }

    #[test]
    fn a_number_without_a_text_still_says_its_number() {
        assert_eq!(SqlError::new(65_000, &[]).text, "Error 65000.");
    }
}
