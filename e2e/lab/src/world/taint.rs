//! Far ends that tell more than text: characters that a terminal obeys, that turn the direction of writing, or that nobody sees.

use super::World;

/// The name under which errors' words are tainted.
pub const ERRORS: &str = "errors";

/// What comes behind a tainted text: clear the screen, the same in C1, a new line with words of its own, a direction turned
/// round, a mark without width, a tag.
pub const TAINT: &str = "\u{1b}[2J\u{9b}2J\r\nLoss: none.\u{202e}\u{2066}\u{200b}\u{e0041}";

impl World {
    /// Taints a column, a property or the words of errors from now on.
    pub fn taint(&mut self, server: Option<usize>, what: &str) {
        self.taints.push((server, what.to_lowercase()));
    }

    /// What of a server, or of the shell, is tainted.
    pub fn tainted(&self, server: Option<usize>) -> Vec<String> {
        self.taints.iter().filter(|(at, _)| *at == server).map(|(_, what)| what.clone()).collect()
    }
}

/// The text, tainted if its name is among these.
pub fn tainted(text: &mut String, name: &str, taints: &[String]) {
    if taints.iter().any(|taint| taint.eq_ignore_ascii_case(name)) {
        text.push_str(TAINT);
    }
}
