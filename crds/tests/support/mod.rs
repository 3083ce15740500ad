//! What the tests share: the examples of the tree, edited and loaded.
#![allow(dead_code)]

use pchat_crds::manifest::{Manifest, ManifestError, Source, load};
use std::path::PathBuf;

/// The text of an example, as a user has it.
pub fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Loads texts under the names `1.yaml`, `2.yaml` and so on.
pub fn load_texts(texts: &[&str]) -> Result<Manifest, ManifestError> {
    let sources: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Source::Text { name: format!("{}.yaml", index + 1), text: (*text).to_owned() })
        .collect();
    load(&sources)
}

/// Loads a pool with the Secrets of the examples behind it.
pub fn load_pool(text: &str) -> Result<Manifest, ManifestError> {
    load_texts(&[text, &example("pool-secrets.yaml"), &example("overrides-secrets.yaml")])
}

/// Replaces `from` by `to` once; that `from` is there is part of the test.
pub fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example has no {from:?}");
    text.replacen(from, to, 1)
}

/// The problems as lines.
pub fn lines(result: Result<Manifest, ManifestError>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}
