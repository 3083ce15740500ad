//! What can be wrong with a manifest, in words for the person who wrote it.
//!
//! Every problem has a file and a line. No problem carries a value out of a Secret, or out of a field in which
//! somebody may have put one by mistake.

use crate::secrets::SecretError;
use std::fmt;

/// Where something stands. Lines and columns count from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named, or `-` for standard input.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The field, such as `spec.backup.database.host`; empty where it is about the file.
    pub path: String,
    /// What is wrong.
    pub complaint: Complaint,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.place, self.complaint)
        } else {
            write!(f, "{}: {}: {}", self.place, self.path, self.complaint)
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// The file cannot be read at all.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// The file is not UTF-8.
    #[error("expected text in UTF-8, found other bytes on this line; save the file as UTF-8")]
    NotUtf8,
    /// The file is larger than any manifest.
    #[error("expected a manifest, found a file of more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A folder without a manifest.
    #[error("expected files ending in .yaml, .yml or .json in this folder, found none")]
    EmptyFolder,
    /// Not YAML.
    #[error("this is not YAML: {0}")]
    Syntax(String),
    /// A tab where only blanks may stand.
    #[error("found a tab; YAML is indented with blanks only")]
    Tab,
    /// Nested deeper than any manifest.
    #[error("nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A key that is not a text.
    #[error("expected a field name, found a list or a group of fields in its place")]
    ComplexKey,
    /// A merge key.
    #[error("YAML merge keys (<<) are not read; write the fields out")]
    MergeKey,
    /// A field that stands twice.
    #[error("this field stands twice, first on line {first_line}; leave one of them out")]
    DuplicateField {
        /// Where it stood first.
        first_line: usize,
    },
    /// A field that nobody knows.
    #[error("there is no such field{}", suggestion(.nearest.as_deref(), .known))]
    UnknownField {
        /// The known field whose name is nearest.
        nearest: Option<String>,
        /// All fields that may stand there.
        known: Vec<String>,
    },
    /// A field that must be there and is not.
    #[error("this field is missing; expected {expected}")]
    Missing {
        /// What belongs there.
        expected: String,
    },
    /// A value of the wrong kind.
    #[error("expected {expected}, found {found}")]
    Wrong {
        /// What belongs there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A rule that does not hold.
    #[error("{sentence}{}", found_text(.found.as_deref()))]
    Rule {
        /// What was expected.
        sentence: String,
        /// What stands there, where it is one value.
        found: Option<String>,
    },
    /// A rule that could not be evaluated.
    #[error("a rule could not be evaluated ({0}); this is a fault of the operator itself, please report it")]
    RuleFault(String),
    /// Neither a pool nor a Secret.
    #[error("expected a manifest with apiVersion and kind, found {0}")]
    NotAManifest(String),
    /// Our kind in a version that we do not know.
    #[error("expected apiVersion {expected}, found {found}")]
    ApiVersion {
        /// The version that is known.
        expected: &'static str,
        /// The one that was found.
        found: String,
    },
    /// A kind that looks like ours.
    #[error("there is no kind {found}; did you mean PersistentChatPool?")]
    Kind {
        /// The one that was found.
        found: String,
    },
    /// No pool at all.
    #[error("expected one PersistentChatPool, found none")]
    NoPool,
    /// More than one pool.
    #[error(
        "expected one PersistentChatPool, found another one ({first} is the first); give one pool at a time"
    )]
    SecondPool {
        /// Where the first one stands.
        first: Place,
    },
    /// A Secret that stands twice.
    #[error("this Secret stands twice, first at {first}; leave one of them out")]
    SecondSecret {
        /// Where the first one stands.
        first: Place,
    },
    /// A value under `data` of a Secret that is not base64.
    #[error("expected base64, found something else; plain text belongs under stringData")]
    NotBase64,
    /// A Secret that is named and cannot serve.
    #[error("{0}")]
    Secret(SecretError),
    /// A Secret of another namespace.
    #[error("Secret {secret} is in namespace {found}, the pool in {expected}; they must be in the same")]
    SecretNamespace {
        /// The Secret.
        secret: String,
        /// Its namespace.
        found: String,
        /// The pool's.
        expected: String,
    },
}

fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => format!("; known here are {}", known.join(", ")),
    }
}

fn found_text(found: Option<&str>) -> String {
    found.map(|found| format!("; found {found}")).unwrap_or_default()
}
