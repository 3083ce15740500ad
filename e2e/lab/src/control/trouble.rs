//! Trouble made on command: files torn, removed, hidden and foreign; sessions held; databases damaged.
//!
//! Answers for faults that lie in the world itself (those on the wire are the network's). Each leaves a state that
//! real operations could have left.

use crate::world::agent::Work;
use crate::world::backup::Backup;
use crate::world::database::State;
use crate::world::error::Failure;
use crate::world::files::{Files, base_name, join};
use crate::world::instance::Side;
use crate::world::restore::{End, Restore};
use crate::world::seed::from_full;
use crate::world::shipping_jobs::backup_file_name;
use crate::world::{Key, World};
use std::path::PathBuf;

pub(super) fn told(f: Failure) -> String {
    f.first().map_or_else(String::new, |e| format!("Msg {}: {}", e.number, e.text))
}

/// How a file is torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing is left but the name.
    Empty,
    /// Within the first header: unreadable (3241).
    Header,
    /// Behind the header: an unfinished set.
    Body,
    /// Something else under that name (3242).
    Garbage,
    /// Half of it under the name with `.wrk`, as message 32029 knows unverified backups.
    Wrk,
}

impl World {
    /// The folders in which log backups lie: the share, and the copy folder of the backup.
    pub(super) fn backup_folders(&self) -> Result<[PathBuf; 2], String> {
        let (_, backup) = self.roles()?;
        let host = &self.servers[backup].host;
        let l = &self.scenario.log_shipping;
        let at =
            |path: &str| self.files.locate(host, path).map(|p| p.path).map_err(|e| format!("{path}: {e}"));
        Ok([at(&l.share)?, at(&l.folder)?])
    }

    /// The real path of a log backup by name, or of the `last` (or `last-N`th) on the share. The share goes first.
    pub(super) fn backup_path(&self, name: &str) -> Result<PathBuf, String> {
        let [share, folder] = self.backup_folders()?;
        if let Some(back) = name.strip_prefix("last") {
            let back: usize = if back.is_empty() {
                0
            } else {
                back.trim_start_matches('-')
                    .parse()
                    .map_err(|_| format!("{name}: expected last or last-N"))?
            };
            let files: Vec<_> =
                Files::list(&share).into_iter().filter(|(n, f)| *f && n.ends_with(".trn")).collect();
            let at = files
                .len()
                .checked_sub(back + 1)
                .ok_or(format!("the share has {} log backups", files.len()))?;
            return Ok(share.join(&files[at].0));
        }
        [share.join(name), folder.join(name)]
            .into_iter()
            .find(|p| p.is_file())
            .ok_or(format!("there is no log backup {name}"))
    }

    /// Tears a file; returns its name.
    pub fn tear_file(&self, name: &str, how: Tear) -> Result<String, String> {
        let path = self.backup_path(name)?;
        let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
        let line_ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(n, _)| n + 1).collect();
        let first = line_ends.first().copied().unwrap_or(0);
        let second = line_ends.get(1).copied().unwrap_or(bytes.len());
        if how == Tear::Wrk {
            let half = &bytes[..bytes.len() / 2];
            std::fs::write(path.with_extension("wrk"), half).map_err(|e| e.to_string())?;
            std::fs::remove_file(&path).map_err(|e| e.to_string())?;
            return Ok(base(&path));
        }
        let left = match how {
            Tear::Empty => vec![],
            Tear::Header => bytes[..(first + second) / 2].to_vec(),
            Tear::Body => bytes[..second.max((second + bytes.len()) / 2).min(bytes.len() - 2)].to_vec(),
            Tear::Garbage | Tear::Wrk => b"MZ this is not a backup".to_vec(),
        };
        std::fs::write(&path, left).map_err(|e| e.to_string())?;
        Ok(base(&path))
    }

    /// Removes a log backup from share and folder for good, or hides it so that it can turn up later.
    pub fn take_file(&self, name: &str, keep: bool) -> Result<String, String> {
        let name = base(&self.backup_path(name)?);
        let [share, folder] = self.backup_folders()?;
        for (n, at) in [share, folder].iter().enumerate() {
            let path = at.join(&name);
            if !path.is_file() {
                continue;
            }
            if keep {
                let store = self.hidden(n);
                std::fs::create_dir_all(&store).map_err(|e| e.to_string())?;
                std::fs::rename(&path, store.join(&name)).map_err(|e| e.to_string())?;
            } else {
                std::fs::remove_file(&path).map_err(|e| e.to_string())?;
            }
        }
        Ok(name)
    }

    fn hidden(&self, n: usize) -> PathBuf {
        let [share, _] = self.backup_folders().unwrap_or_default();
        let root = share.parent().map(PathBuf::from).unwrap_or_default();
        root.join(format!(".hidden{n}"))
    }

    /// Puts hidden files back where they were.
    pub fn show_files(&self) -> Result<usize, String> {
        let mut shown = 0;
        for (n, at) in self.backup_folders()?.iter().enumerate() {
            for (name, _) in Files::list(&self.hidden(n)) {
                std::fs::rename(self.hidden(n).join(&name), at.join(&name)).map_err(|e| e.to_string())?;
                shown += 1;
            }
        }
        Ok(shown)
    }

    /// Adds a log backup that starts at the LSN of the last one and goes over to another recovery fork: what a
    /// forced service of the mirror would have left beside the principal's own last file.
    pub fn foreign_fork(&mut self) -> Result<String, String> {
        let (primary, backup) = self.roles()?;
        let share = self.scenario.log_shipping.share.clone();
        let last = self.backup_path("last")?;
        let bytes = std::fs::read(&last).map_err(|e| e.to_string())?;
        let mut sets = crate::world::backup_file::parse(&bytes).map_err(|e| format!("{e:?}"))?;
        let mut set = sets.pop().ok_or("the last file holds no set")?;
        let fork = self.new_guid();
        set.header.set_guid = self.new_guid();
        set.header.fork = fork;
        set.header.fork_point = Some(set.header.first);
        set.header.last = set.header.last.plus(1);
        set.header.server = self
            .mirror_of(Side::Primary)
            .map_or_else(|| self.servers[primary].name(), |m| self.servers[m].name());
        let at = crate::world::shipping_jobs::time_in_name(&base(&last)).unwrap_or_else(|| self.now());
        let name = backup_file_name(&self.scenario.database, at + jiff::SignedDuration::from_secs(1));
        let (real, _) = self.look(backup, &join(&share, &name)).map_err(|e| e.to_string())?;
        let text = crate::world::backup_file::render(&set.header, &[], &[], true);
        std::fs::write(real, text).map_err(|e| e.to_string())?;
        Ok(name)
    }

    /// The statement of the log backup job that has something to do on a side, with its server and entry.
    fn next_backup(&self, side: Side) -> Result<(usize, uuid::Uuid, Backup), String> {
        let database = self.server_at(&self.scenario.site(side).database);
        for server in [database, self.mirror_of(side)].into_iter().flatten() {
            let entry = self.servers[server].shipping.primary(&self.scenario.database).map(|p| p.id);
            let alive = self.reach.alive(&self.servers[server].host);
            let Some(id) = entry.filter(|_| alive) else { continue };
            if let Some(request) = self.backup_job(server, id)? {
                return Ok((server, id, request));
            }
        }
        Err("no live server of that side backs up its log".into())
    }

    /// One log backup by the serving server's job, now.
    pub fn backup_log_now(&mut self) -> Result<String, String> {
        let (server, id, request) = self.next_backup(Side::Primary)?;
        let path = request.path.clone();
        self.backup_now(server, 0, request).map_err(told)?;
        self.backup_job_done(server, id, &path);
        Ok(base_name(&path).to_owned())
    }

    /// Leaves a log backup half written by the death of its server, and of the other one of its side. They die in
    /// the same moment: a job that wrote one more backup in between would leave a gap, which no real death does. A
    /// backup that a job is writing already is the one that stays half written.
    pub fn die_during_backup(&mut self, side: Side) -> Result<String, String> {
        let (server, _, request) = self.next_backup(side)?;
        let [share, _] = self.backup_folders()?;
        let mut names = Files::list(&share).into_iter().map(|(name, _)| name);
        let torn = match names.find(|name| self.files.is_busy(&share.join(name))) {
            Some(name) => name,
            None => {
                let path = request.path.clone();
                let writing = self.begin_backup(server, 0, request).map_err(told)?;
                self.abandon_backup(writing);
                base_name(&path).to_owned()
            }
        };
        let hosts: Vec<String> =
            self.servers.iter().filter(|s| s.side == side).map(|s| s.host.clone()).collect();
        hosts.iter().for_each(|host| self.set_dead(host, true));
        Ok(torn)
    }

    /// Holds a session whose context is the chat database (only possible where it can be entered).
    pub fn hold_session(&mut self, server: usize, login: &str) -> Result<i32, String> {
        let key = self.chat_key(server).ok_or("no chat database there")?;
        let now = self.now();
        let s = &mut self.servers[server];
        let db = s.by_id(key.database).ok_or("no chat database there")?;
        if let Some(e) = s.entry_error(db, login, 0) {
            return Err(format!("Msg {}: {}", e.number, e.text));
        }
        let spid = s.open_session(login, "REPORTS", "Report reader", now);
        if let Some(x) = s.sessions.get_mut(&spid) {
            x.database = key.database;
        }
        Ok(spid)
    }

    /// Deletes a job of log shipping; log shipping's own tables go on naming it.
    pub fn delete_job(&mut self, server: usize, copy: bool) -> Result<String, String> {
        let s = &mut self.servers[server];
        let shipping = s.shipping.secondaries.first().ok_or("no log shipping is received there")?;
        let id = if copy { shipping.copy_job } else { shipping.restore_job };
        let name = s.agent.job(id).map(|j| j.name.clone()).ok_or("it is gone already")?;
        s.agent.remove(id);
        Ok(format!("{name} is deleted"))
    }

    /// A job of log shipping's secondary side runs since `minutes`, and does not end by itself.
    pub fn hang_job(&mut self, server: usize, which: &str, minutes: u64) -> Result<String, String> {
        let since = self.now() - jiff::SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(i64::MAX));
        let agent = &mut self.servers[server].agent;
        let is = |work: &Work| match which {
            "copy" => matches!(work, Work::Copy(_)),
            _ => matches!(work, Work::Restore(_)),
        };
        if !matches!(which, "copy" | "restore") {
            return Err("hang-job: expected copy or restore".into());
        }
        let job = agent.jobs.iter().find(|job| is(&job.work)).ok_or("there is no such job")?;
        let (id, name) = (job.id, job.name.clone());
        agent.hang(id, since);
        Ok(name)
    }

    /// The copy that log shipping was begun with, restored on a server and recovered.
    pub fn leave_copy(&mut self, server: usize) -> Result<(), String> {
        if self.chat_key(server).is_some() {
            return Err("a chat database is there already".into());
        }
        let name = self.scenario.database.clone();
        let path = join(&self.scenario.log_shipping.seed_share, &format!("{name}_initial.bak"));
        let request = Restore { end: End::Recovery, ..from_full(&name, &path) };
        self.restore_now(server, 0, request).map_err(told)
    }

    /// Damages a copy, or makes it whole again.
    pub fn set_damaged(&mut self, key: Key, state: State) -> Result<(), String> {
        self.end_sessions_in(key);
        self.database_mut(key).ok_or("no such database")?.state = state;
        Ok(())
    }
}

fn base(path: &std::path::Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::scenario::Scenario;

    #[test]
    fn a_torn_missing_or_foreign_file_is_met_with_its_own_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let scenario =
            Scenario::from_yaml("logShipping: {backups: 8, copied: 0, restored: 0}").expect("valid");
        let mut w = World::build(scenario, dir.path()).expect("a world");
        let (_, backup) = w.roles().expect("servers");
        let share = w.scenario.log_shipping.share.clone();
        let error = |w: &mut World, name: &str| {
            let r = w.log_from(&join(&share, name));
            w.restore_now(backup, 0, r).unwrap_err()[0].number
        };
        for (which, how, number) in
            [("last", Tear::Empty, 3254), ("last-1", Tear::Garbage, 3242), ("last-2", Tear::Header, 3241)]
        {
            let name = w.tear_file(which, how).expect("torn");
            assert_eq!(error(&mut w, &name), number, "{how:?}");
        }
        let name = w.tear_file("last-3", Tear::Body).expect("torn");
        assert_eq!(error(&mut w, &name), 3256);
        let gone = w.take_file("last-7", true).expect("hidden");
        assert_eq!(error(&mut w, &gone), 3201);
        let next = w.take_file("last-4", false).expect("removed");
        assert_ne!(next, gone);
        assert_eq!(w.show_files().expect("shown"), 1);
        let first = w.log_from(&join(&share, &gone));
        w.restore_now(backup, 0, first).expect("it is whole again");
    }

    #[test]
    fn a_site_that_dies_during_a_backup_leaves_one_torn_file_and_nothing_behind_it() {
        for in_flight in [false, true] {
            let dir = tempfile::tempdir().expect("a folder");
            let scenario =
                Scenario::from_yaml("logShipping: {backups: 2, copied: 0, restored: 0}").expect("valid");
            let mut w = World::build(scenario, dir.path()).expect("a world");
            let [share, _] = w.backup_folders().expect("folders");
            let before = Files::list(&share).len();
            let (server, _, request) = w.next_backup(Side::Primary).expect("a backup job");
            let path = request.path.clone();
            let writing = in_flight.then(|| w.begin_backup(server, 0, request).expect("begun"));
            let torn = w.die_during_backup(Side::Primary).expect("torn");
            if let Some(writing) = writing {
                assert_eq!(torn, base_name(&path));
                w.finish_backup(writing).expect_err("its server is dead");
            }
            w.backup_log_now().expect_err("nobody there backs up any more");
            assert_eq!(Files::list(&share).len(), before + 1, "in flight: {in_flight}");
            let (_, backup) = w.roles().expect("servers");
            let restore = w.log_from(&join(&w.scenario.log_shipping.share, &torn));
            w.restore_now(backup, 0, restore).expect_err("it is torn");
        }
    }
}
