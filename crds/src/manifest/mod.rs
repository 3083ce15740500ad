//! Reading manifests for a run without a cluster.
//!
//! Answers for one thing: from files to exactly one valid `PersistentChatPool` and the Secrets it names, or to *all*
//! that is wrong with them, each with file, line, field, what was expected and what was found. It holds the manifest
//! against the same schema and the same CEL rules that the API server holds; it has no rule of its own about a spec.
//! It never prints what a Secret holds, and it never takes a part of a broken manifest.

mod cel;
mod documents;
mod problem;
mod references;
mod structure;
mod yaml;

pub use problem::{Complaint, Place, Problem};

use crate::pool::PersistentChatPool;
use crate::secrets::Secrets;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No manifest is larger; what is larger is something else.
const SIZE_LIMIT: usize = 4 * 1024 * 1024;

/// Where manifests are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder whose .yaml, .yml and .json files are read in the order of their names.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A text that is already here, under a name for messages.
    Text {
        /// What messages call it.
        name: String,
        /// The text.
        text: String,
    },
}

impl From<&str> for Source {
    /// A path, or standard input for `-`.
    fn from(argument: &str) -> Self {
        if argument == "-" { Self::Stdin } else { Self::Path(PathBuf::from(argument)) }
    }
}

/// A valid pool and the Secrets that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The pool. Its spec keeps every rule of the schema; defaults are filled in.
    pub pool: PersistentChatPool,
    /// The Secrets; each one that the pool names is there, with the keys that are needed.
    pub secrets: Secrets,
    /// Where the pool stands.
    pub place: Place,
    marks: yaml::Marks,
}

impl Manifest {
    /// Where a field of the pool stands, such as `spec.backup.database.host`; for one that does not, the nearest field above it.
    pub fn place_of(&self, path: &str) -> Place {
        self.marks.place(path)
    }
}

/// Everything that is wrong with the manifests, in the order of files and lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}

/// Reads manifests from all sources and takes them together.
pub fn load(sources: &[Source]) -> Result<Manifest, ManifestError> {
    let mut problems = Vec::new();
    let mut texts = Vec::new();
    for source in sources {
        match source {
            Source::Text { name, text } => texts.push((name.clone(), text.clone())),
            Source::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin()
                    .lock()
                    .take(SIZE_LIMIT as u64 + 1)
                    .read_to_end(&mut bytes)
                    .map(|_| bytes);
                take("-".to_owned(), read, &mut texts, &mut problems);
            }
            Source::Path(path) if path.is_dir() => folder(path, &mut texts, &mut problems),
            Source::Path(path) => file(path, &mut texts, &mut problems),
        }
    }
    documents::assemble(&texts, problems)
}

fn folder(path: &Path, texts: &mut Vec<(String, String)>, problems: &mut Vec<Problem>) {
    let entries = std::fs::read_dir(path).and_then(|entries| {
        let mut files = Vec::new();
        for entry in entries {
            let file = entry?.path();
            let manifest = file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
            // Kustomize's own file is no manifest, and may lack a kind.
            let kustomization =
                file.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("kustomization"));
            if manifest && !kustomization && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        Ok(files)
    });
    match entries {
        Ok(files) if files.is_empty() => problems.push(whole_file(path, 1, Complaint::EmptyFolder)),
        Ok(files) => files.iter().for_each(|path| file(path, texts, problems)),
        Err(error) => problems.push(whole_file(path, 1, Complaint::Unreadable(error.to_string()))),
    }
}

fn file(path: &Path, texts: &mut Vec<(String, String)>, problems: &mut Vec<Problem>) {
    let read = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    take(path.display().to_string(), read, texts, problems);
}

fn take(
    name: String,
    read: std::io::Result<Vec<u8>>,
    texts: &mut Vec<(String, String)>,
    problems: &mut Vec<Problem>,
) {
    match read {
        Err(error) => {
            problems.push(whole_file(Path::new(&name), 1, Complaint::Unreadable(error.to_string())))
        }
        Ok(bytes) if bytes.len() > SIZE_LIMIT => {
            problems.push(whole_file(Path::new(&name), 1, Complaint::TooLarge { limit: SIZE_LIMIT }));
        }
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => texts.push((name, text)),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
                problems.push(whole_file(Path::new(&name), line, Complaint::NotUtf8));
            }
        },
    }
}

fn whole_file(path: &Path, line: usize, complaint: Complaint) -> Problem {
    let place = Place { file: path.display().to_string(), line, column: 1 };
    Problem { place, path: String::new(), complaint }
}
