//! Log backups in the hands of people and jobs that are not log shipping's own: renamed, appended to, damaged behind the header,
//! restored by hand; and files that are no backups.
//!
//! Answers for what may happen to files while the database knows nothing of it. The content stays what BACKUP wrote, unless it is
//! to be damaged.

use super::trouble::told;
use crate::world::World;
use crate::world::files::join;
use std::path::{Path, PathBuf};

fn failed(e: std::io::Error) -> String {
    e.to_string()
}

impl World {
    /// The folders that `share`, `folder` or `both` means, with the name of the file that is meant.
    fn meant(&self, place: &str, file: &str) -> Result<(Vec<PathBuf>, String), String> {
        let [share, folder] = self.backup_folders()?;
        let places = match place {
            "share" => vec![share],
            "folder" => vec![folder],
            "both" => vec![share, folder],
            _ => return Err(format!("expected share, folder or both, found {place}")),
        };
        let path = self.backup_path(file)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((places, name))
    }

    /// Does something with a file in each of the places where it lies; it must lie in one.
    fn in_places(
        &self,
        place: &str,
        file: &str,
        act: impl Fn(&Path, &str) -> std::io::Result<()>,
    ) -> Result<String, String> {
        let (places, name) = self.meant(place, file)?;
        let there: Vec<&PathBuf> = places.iter().filter(|p| p.join(&name).is_file()).collect();
        if there.is_empty() {
            return Err(format!("{name} does not lie there"));
        }
        there.iter().try_for_each(|folder| act(folder, &name).map_err(failed))?;
        Ok(name)
    }

    /// Gives a file another name, over whatever has that name there.
    pub fn move_file(&self, place: &str, file: &str, to: &str) -> Result<String, String> {
        let to = self.meant("share", to).map_or_else(|_| to.to_owned(), |(_, name)| name);
        self.in_places(place, file, |folder, name| std::fs::rename(folder.join(name), folder.join(&to)))
    }

    /// Appends the sets of a file to another one, as BACKUP does WITH NOINIT, and takes the file away.
    pub fn append_file(&self, place: &str, file: &str, to: &str) -> Result<String, String> {
        let (_, to) = self.meant("share", to)?;
        self.in_places(place, file, |folder, name| {
            let sets = std::fs::read(folder.join(name))?;
            let media = sets.iter().position(|b| *b == b'\n').map_or(sets.len(), |at| at + 1);
            let mut all = std::fs::read(folder.join(&to))?;
            all.extend_from_slice(&sets[media..]);
            std::fs::write(folder.join(&to), all)?;
            std::fs::remove_file(folder.join(name))
        })
    }

    /// Changes one byte behind the first set's header: HEADERONLY tells as before, RESTORE finds the damage (3189).
    pub fn damage_file(&self, place: &str, file: &str) -> Result<String, String> {
        self.in_places(place, file, |folder, name| {
            let mut bytes = std::fs::read(folder.join(name))?;
            let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
            let (Some(header), Some(next)) = (ends.get(1), ends.get(2)) else {
                return Err(std::io::Error::other("there is nothing behind its header"));
            };
            bytes[(header + next) / 2] ^= 1;
            std::fs::write(folder.join(name), bytes)
        })
    }

    /// Puts a file on the share that is no backup.
    pub fn litter(&self, name: &str) -> Result<(), String> {
        let [share, _] = self.backup_folders()?;
        std::fs::write(share.join(name), b"MZ this is not a backup").map_err(failed)
    }

    /// RESTORE LOG WITH NORECOVERY by an administrator, from the copy folder or else the share.
    pub fn restore_by_hand(&mut self, file: &str) -> Result<String, String> {
        let (_, backup) = self.roles()?;
        let (_, name) = self.meant("share", file)?;
        let l = &self.scenario.log_shipping;
        let folder = join(&l.folder, &name);
        let copied = self.look(backup, &folder).is_ok_and(|(real, _)| real.is_file());
        let path = if copied { folder } else { join(&l.share, &name) };
        let restore = self.log_from(&path);
        self.restore_now(backup, 0, restore).map_err(told)?;
        Ok(name)
    }
}
