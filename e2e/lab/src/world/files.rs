//! The files of the simulated data centres: Windows paths over real folders.
//!
//! Answers for mapping `\\server\share\...` and `D:\...` to folders under the lab's own, for who may read
//! what, and for the operating system errors that SQL Server quotes. It must never leave the lab's folder.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A Windows error as SQL Server quotes it: number and text, `5(Access is denied.)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsError(pub u32, pub &'static str);

impl std::fmt::Display for OsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.0, self.1)
    }
}

pub const NOT_FOUND: OsError = OsError(2, "The system cannot find the file specified.");
pub const NO_PATH: OsError = OsError(3, "The system cannot find the path specified.");
pub const DENIED: OsError = OsError(5, "Access is denied.");
pub const IN_USE: OsError =
    OsError(32, "The process cannot access the file because it is being used by another process.");
pub const NO_NETWORK_PATH: OsError = OsError(53, "The network path was not found.");
pub const BAD_NAME: OsError =
    OsError(123, "The filename, directory name, or volume label syntax is incorrect.");

/// Where a Windows path lies: the host that serves it and the real folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host whose death makes the path unreachable.
    pub host: String,
    /// The real path, whether it exists or not.
    pub path: PathBuf,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    File,
    Folder,
}

/// The mapping and its access rules.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    /// Share (`host\share`, lower case) to its folder.
    shares: BTreeMap<String, (String, PathBuf)>,
    /// Denied pairs: account's host, path prefix (lower case).
    denied: BTreeSet<(String, String)>,
    /// Files held open for writing by somebody (`IN_USE` to readers).
    busy: BTreeSet<PathBuf>,
}

impl Files {
    /// A file system without shares under `root`.
    pub fn new(root: &Path) -> Files {
        Files {
            root: root.to_owned(),
            shares: BTreeMap::new(),
            denied: BTreeSet::new(),
            busy: BTreeSet::new(),
        }
    }

    /// Offers `\\host\share` from a folder of its own; the short host name works too.
    pub fn share(&mut self, unc: &str, host: &str) -> std::io::Result<()> {
        let parts = components(unc);
        let [server, share, ..] = &parts[..] else { return Err(std::io::ErrorKind::InvalidInput.into()) };
        let folder = self.root.join("shares").join(short(server)).join(share.to_lowercase());
        std::fs::create_dir_all(&folder)?;
        let key = format!("{}\\{}", short(server), share.to_lowercase());
        self.shares.insert(key, (host.to_owned(), folder));
        Ok(())
    }

    /// Creates the folder that `path` means on `host`.
    pub fn make_folder(&self, host: &str, path: &str) -> std::io::Result<()> {
        let place = self.locate(host, path).map_err(|e| std::io::Error::other(e.to_string()))?;
        std::fs::create_dir_all(place.path)
    }

    /// The real place of `path` as `host` names it.
    pub fn locate(&self, host: &str, path: &str) -> Result<Place, OsError> {
        let parts = components(path);
        let wrong = |p: &&str| {
            *p == ".." || p.chars().any(|c| matches!(c, '/' | '<' | '>' | '"' | '|' | '?' | '*' | '\0'))
        };
        if parts.iter().any(|p| wrong(&p.as_str())) {
            return Err(BAD_NAME);
        }
        if path.starts_with(r"\\") {
            let [server, share, rest @ ..] = &parts[..] else { return Err(NO_NETWORK_PATH) };
            let key = format!("{}\\{}", short(server), share.to_lowercase());
            let (host, folder) = self.shares.get(&key).ok_or(NO_NETWORK_PATH)?;
            return Ok(Place { host: host.clone(), path: below(folder, rest) });
        }
        let [drive, rest @ ..] = &parts[..] else { return Err(NO_PATH) };
        let letter = drive.strip_suffix(':').filter(|d| d.len() == 1).ok_or(NO_PATH)?;
        let folder = self.root.join("hosts").join(host.to_lowercase()).join(letter.to_uppercase());
        Ok(Place { host: host.to_owned(), path: below(&folder, rest) })
    }

    /// Denies (or allows again) the account of `host` everything under `path`.
    pub fn deny(&mut self, host: &str, path: &str, denied: bool) {
        let key = (host.to_lowercase(), normal(path));
        if denied {
            self.denied.insert(key)
        } else {
            self.denied.remove(&key)
        };
    }

    /// Whether the account of `host` is kept from `path`.
    pub fn is_denied(&self, host: &str, path: &str) -> bool {
        let (host, path) = (host.to_lowercase(), normal(path));
        self.denied.iter().any(|(h, p)| *h == host && path.starts_with(p.as_str()))
    }

    /// Marks a real file as open for writing, or closed again.
    pub fn set_busy(&mut self, path: &Path, busy: bool) {
        if busy {
            self.busy.insert(path.to_owned())
        } else {
            self.busy.remove(path)
        };
    }

    /// Whether a writer holds the file exclusively.
    pub fn is_busy(&self, path: &Path) -> bool {
        self.busy.contains(path)
    }

    /// What lies at a real path.
    pub fn at(path: &Path) -> Found {
        match std::fs::metadata(path) {
            Ok(m) if m.is_dir() => Found::Folder,
            Ok(_) => Found::File,
            Err(_) => Found::Nothing,
        }
    }

    /// The names in a real folder, sorted, with whether each is a file.
    pub fn list(path: &Path) -> Vec<(String, bool)> {
        let mut names: Vec<(String, bool)> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| (e.file_name().to_string_lossy().into_owned(), e.file_type().is_ok_and(|t| t.is_file())))
            .collect();
        names.sort();
        names
    }
}

/// The last component of a Windows path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('\\').next().unwrap_or(path)
}

/// `folder\name` with exactly one separator.
pub fn join(folder: &str, name: &str) -> String {
    format!("{}\\{name}", folder.trim_end_matches('\\'))
}

fn components(path: &str) -> Vec<String> {
    path.split('\\').filter(|p| !p.is_empty() && *p != ".").map(str::to_owned).collect()
}

fn short(server: &str) -> String {
    server.split('.').next().unwrap_or(server).to_lowercase()
}

fn normal(path: &str) -> String {
    let unc = if path.starts_with(r"\\") { r"\\" } else { "" };
    let mut parts = components(path);
    if !unc.is_empty()
        && let Some(server) = parts.first_mut()
    {
        *server = short(server);
    }
    format!("{unc}{}", parts.join("\\").to_lowercase())
}

/// Joins components, each by the name that is there in another case, as Windows would find it.
fn below(folder: &Path, parts: &[String]) -> PathBuf {
    parts.iter().fold(folder.to_owned(), |at, part| {
        let exact = at.join(part);
        if exact.exists() {
            return exact;
        }
        let other = std::fs::read_dir(&at)
            .into_iter()
            .flatten()
            .flatten()
            .find(|e| e.file_name().to_string_lossy().to_lowercase() == part.to_lowercase());
        other.map_or(exact, |e| e.path())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_drives_map_into_the_lab_and_nothing_leaves_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut f = Files::new(dir.path());
        f.share(r"\\files\pchat-logs", "files.contoso.com").expect("shared");
        f.make_folder("sql-ks1.contoso.com", r"D:\LogShip").expect("made");
        let a = f.locate("sql-ks1.contoso.com", r"\\FILES.contoso.com\PChat-Logs\a.trn").expect("located");
        assert_eq!((a.host.as_str(), a.path.starts_with(dir.path())), ("files.contoso.com", true));
        let b = f.locate("sql-ks1.contoso.com", r"d:\logship\x.trn").expect("located");
        assert!(b.path.parent().is_some_and(Path::is_dir), "found in another case: {:?}", b.path);
        assert_eq!(f.locate("h", r"D:\..\..\etc\passwd"), Err(BAD_NAME));
        assert_eq!(f.locate("h", r"\\nowhere\share"), Err(NO_NETWORK_PATH));
    }

    #[test]
    fn access_is_denied_by_prefix_and_per_server() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut f = Files::new(dir.path());
        f.deny("SQL-KS1.contoso.com", r"\\files.contoso.com\pchat-logs", true);
        assert!(f.is_denied("sql-ks1.contoso.com", r"\\FILES\pchat-logs\a.trn"));
        assert!(!f.is_denied("sql-ks2.contoso.com", r"\\files\pchat-logs\a.trn"));
    }
}
