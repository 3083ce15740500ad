//! Reads what the user named, and tells everything that is wrong with it at once.

use std::path::{Path, PathBuf};

use pchat_crds::manifest::{self, Manifest, Source};

use super::Look;
use crate::observe::Ends;
use crate::validate::{Hosts, Installation, validate};

/// What was read.
pub struct Loaded {
    /// Ready to work with.
    pub ends: Ends,
    /// Where the state file is, unless the user names another.
    pub state: PathBuf,
}

/// Reads it. The error is one line for each problem.
pub fn load(look: &Look) -> Result<Loaded, Vec<String>> {
    let mut problems = Vec::new();
    let hosts = look.hosts.as_deref().map_or(Ok(Hosts::default()), read_hosts);
    let hosts = hosts.unwrap_or_else(|mistakes| {
        problems.extend(mistakes);
        Hosts::default()
    });
    let here = look.allowed.apply(Installation::of_a_run(hosts));
    let sources: Vec<Source> = look.files.iter().map(|file| Source::from(file.as_str())).collect();
    let manifest = match manifest::load(&sources) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            problems.extend(error.problems.iter().map(ToString::to_string));
            None
        }
    };
    let validated = manifest.as_ref().and_then(|manifest| match validate(manifest, &here) {
        Ok(validated) => Some(validated),
        Err(error) => {
            problems.extend(error.0.iter().map(ToString::to_string));
            None
        }
    });
    match (manifest, validated) {
        (Some(manifest), Some(validated)) if problems.is_empty() => {
            Ok(Loaded { ends: validated, state: state_path(&manifest) })
        }
        _ => Err(problems),
    }
}

/// Reads a file of addresses.
pub fn read_hosts(path: &Path) -> Result<Hosts, Vec<String>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{name}: the hosts file can't be read: {error}")])?;
    Hosts::parse(&name, &text).map_err(|error| error.0)
}

/// `chat.state.yaml` beside `chat.yaml`; by the pool's name where the manifest came from standard input.
fn state_path(manifest: &Manifest) -> PathBuf {
    if manifest.place.file == "-" {
        let name = manifest.pool.metadata.name.as_deref().unwrap_or("pool");
        PathBuf::from(format!("{name}.state.yaml"))
    } else {
        Path::new(&manifest.place.file).with_extension("state.yaml")
    }
}
