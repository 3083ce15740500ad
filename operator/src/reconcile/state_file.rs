//! The state file of a run without a cluster: a copy of the journal, whether the last run is over, what a person accepted,
//! the last report.
//!
//! The truth stands at the far end; this file serves the reader, and a far end whose journal was lost. So no
//! trouble with it stops a failover: what can't be read or is another pool's is set aside and told, what can't be
//! written is told. It is replaced as a whole: a reader, or a crash, finds the old one or the new one. Only its owner may
//! read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pchat_planner::journal::{Epoch, Journal};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What files of this version say they are. A kind of its own, so that a folder of manifests may hold one.
const VERSION: &str = "state.persistentchat.io/v1alpha1";
const KIND: &str = "RunState";
/// No state file is larger; what is larger is something else.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stored {
    api_version: String,
    kind: String,
    /// Pool FQDN.
    pub pool: String,
    /// Chat database.
    pub database: String,
    /// When it was written, in the executor's clock.
    pub written: Timestamp,
    /// Who wrote it.
    pub executor: String,
    /// Copy of the journal, as it was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
    /// The owner's token of the last run that acted, once that run has ended by itself; a killed one leaves none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Epoch>,
    /// What a person accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The report of the last run, as `-o yaml` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_yaml::Value>,
}

/// A digest that a person accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The digest.
    pub digest: String,
    /// The transition that it was first seen with; dropped when that one is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<Uuid>,
}

impl Stored {
    /// An empty one.
    pub fn new(pool: &str, database: &str, executor: &str, now: Timestamp) -> Self {
        Stored {
            api_version: VERSION.into(),
            kind: KIND.into(),
            pool: pool.into(),
            database: database.into(),
            written: now,
            executor: executor.into(),
            journal: None,
            ended: None,
            approvals: Vec::new(),
            report: None,
        }
    }
}

/// The file of one pool.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The content, if it could be used.
    pub stored: Option<Stored>,
    /// A sentence for the user, if there was trouble.
    pub notice: Option<String>,
}

impl StateFile {
    /// The file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        StateFile { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it; sets aside what is damaged or belongs to another pool.
    pub fn load(&self, pool: &str, database: &str, now: Timestamp) -> Found {
        let trouble = match self.read() {
            Ok(None) => return Found { stored: None, notice: None },
            Ok(Some(stored)) if stored.api_version != VERSION || stored.kind != KIND => {
                format!(
                    "it is of another version ({} {}, expected {VERSION} {KIND})",
                    stored.api_version, stored.kind
                )
            }
            Ok(Some(stored)) if !stored.pool.eq_ignore_ascii_case(pool) || stored.database != database => {
                format!("it belongs to {} of pool {}", stored.database, stored.pool)
            }
            Ok(Some(stored)) => return Found { stored: Some(stored), notice: None },
            Err(trouble) => trouble,
        };
        let aside = self.aside(now);
        let done = match fs::rename(&self.path, &aside) {
            Ok(()) => format!("It was set aside as {}.", aside.display()),
            Err(error) => format!("It could not be set aside ({error}) and will be overwritten."),
        };
        let notice = format!(
            "The state file {} can't be used: {trouble}. {done} Nothing is lost: the journal on the backup \
             instance is what counts.",
            self.path.display()
        );
        Found { stored: None, notice: Some(notice) }
    }

    fn read(&self) -> Result<Option<Stored>, String> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("it can't be read ({error})")),
            Ok(meta) if !meta.is_file() => return Err("it is not a file".into()),
            Ok(meta) if meta.len() > SIZE_LIMIT => return Err("it is too large to be one".into()),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&self.path).map_err(|error| format!("it can't be read ({error})"))?;
        serde_yaml::from_str(&text).map(Some).map_err(|error| format!("it is damaged ({error})"))
    }

    fn aside(&self, now: Timestamp) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".aside-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
        self.path.with_file_name(name)
    }

    /// Replaces it as a whole, on disk when this returns.
    pub fn save(&self, stored: &Stored) -> Result<(), String> {
        self.replace(stored).map_err(|error| {
            format!(
                "The state file {} can't be written ({error}). The run goes on: the journal on the backup \
                 instance is what counts. Name another file with --state.",
                self.path.display()
            )
        })
    }

    fn replace(&self, stored: &Stored) -> io::Result<()> {
        let body = serde_yaml::to_string(stored).map_err(io::Error::other)?;
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", Uuid::new_v4().simple()));
        let temporary = folder.join(name);
        let written = write_through(&temporary, &body).and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // Best effort: the error to be told is the first one.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        sync_folder(folder)
    }
}

fn write_through(path: &Path, body: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // It names servers, files and people: nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(
        b"# Written by pchat-operator: a copy of the journal that stands on the backup instance.\n\
          # It may be read, kept with the records, or deleted; nothing depends on it.\n",
    )?;
    file.write_all(body.as_bytes())?;
    file.sync_all()
}

/// A rename lasts only once its folder is on disk; Windows has no such thing to ask for.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
