//! RESTORE: brings backup sets into a copy, and copies online.
//!
//! Answers for RESTORE LOG, RESTORE DATABASE and the reading of headers, in two calls around the service
//! time: `begin_restore` finds every refusal and holds the copy, `finish_restore` changes it. Losing the client in
//! between changes nothing. It must never bring a copy ONLINE except by RECOVERY.

use super::backup_file::{self, Kind, Set, Unreadable};
use super::chain;
use super::database::{Database, State};
use super::error::{Failure, SqlError, raise, terminated};
use super::history::RestoreRow;
use super::timeline::Operation;
use super::{Key, World};

/// The state in which a RESTORE leaves the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Recovery,
    NoRecovery,
    /// With the path of the undo file.
    Standby(String),
}

/// A RESTORE LOG or RESTORE DATABASE statement.
#[derive(Clone, Debug)]
pub struct Restore {
    /// RESTORE LOG instead of DATABASE.
    pub log: bool,
    pub database: String,
    /// The backup file; none for a mere recovery.
    pub path: Option<String>,
    /// FILE = n: which set of the file.
    pub position: i32,
    pub end: End,
    pub replace: bool,
}

impl Restore {
    /// The statement's name in messages and in `dm_exec_requests.command`.
    pub fn verb(&self) -> &'static str {
        if self.log { "RESTORE LOG" } else { "RESTORE DATABASE" }
    }

    /// What its service time is.
    pub fn operation(&self) -> Operation {
        match (&self.path, self.log) {
            (None, _) => Operation::Recovery,
            (Some(_), true) => Operation::RestoreLog,
            (Some(_), false) => Operation::RestoreFull,
        }
    }
}

/// A RESTORE that holds its copy.
#[derive(Debug)]
pub struct Restoring {
    pub request: Restore,
    server: usize,
    spid: i32,
    key: Key,
    set: Option<Set>,
    created: bool,
}

impl World {
    /// Reads the sets of a backup file as a server's account, with SQL Server's error for each way to fail.
    pub fn read_sets(&self, server: usize, path: &str) -> Result<Vec<Set>, SqlError> {
        let bytes = self.read_file(server, path).map_err(|e| raise(3201, &[&path, &e]))?;
        backup_file::parse(&bytes).map_err(|e| match e {
            Unreadable::Empty => raise(3254, &[&path]),
            Unreadable::NotMedia => raise(3242, &[&path]),
            Unreadable::Malformed => raise(3241, &[&path]),
        })
    }

    fn read_set(&self, server: usize, path: &str, position: i32) -> Result<Set, SqlError> {
        let mut sets = self.read_sets(server, path)?;
        let at = usize::try_from(position - 1).unwrap_or(usize::MAX);
        if at >= sets.len() {
            return Err(raise(4038, &[&position, &path]));
        }
        let set = sets.swap_remove(at);
        if set.incomplete {
            return Err(raise(3256, &[&path]));
        }
        if set.corrupt {
            return Err(raise(3189, &[]));
        }
        let theirs = set.header.software;
        let ours = self.servers[server].version;
        if (theirs.0, theirs.1) > (ours.0, ours.1) {
            let text = |v: (i32, i32, i32)| format!("{}.{:02}.{}", v.0, v.1, v.2);
            return Err(raise(3169, &[&text(theirs), &text(ours)]));
        }
        Ok(set)
    }

    /// Begins a RESTORE for a session.
    pub fn begin_restore(
        &mut self,
        server: usize,
        spid: i32,
        request: Restore,
    ) -> Result<Restoring, Failure> {
        let verb = request.verb();
        let fail = |e: SqlError| terminated(verb, e);
        let found = self.find(server, &request.database).map(|d| Key { server, database: d.id });
        if let Some(key) = found {
            let overwrites = !request.log && request.path.is_some();
            self.may_restore(key, spid, overwrites).map_err(fail)?;
        }
        let (key, set, created) = match (&request.path, found) {
            (None, None) => return Err(fail(raise(911, &[&request.database]))),
            (None, Some(key)) => {
                let db = self.existing(key).map_err(fail)?;
                if db.state == State::Online && db.standby.is_none() {
                    return Err(fail(raise(3153, &[])));
                }
                if db.state != State::Restoring && db.standby.is_none() {
                    return Err(fail(raise(3117, &[])));
                }
                (key, None, false)
            }
            (Some(path), found) if request.log => {
                let key = found.ok_or_else(|| fail(raise(3118, &[&request.database])))?;
                let db = self.existing(key).map_err(fail)?;
                if db.state != State::Restoring && db.standby.is_none() {
                    return Err(fail(raise(3117, &[])));
                }
                let set = self.read_set(server, path, request.position).map_err(fail)?;
                if set.header.kind != Kind::Log {
                    return Err(fail(raise(3135, &[path, &"BACKUP DATABASE"])));
                }
                let db = self.existing(key).map_err(fail)?;
                chain::check_log(db, &set).map_err(fail)?;
                (key, Some(set), false)
            }
            (Some(path), found) => {
                let set = self.read_set(server, path, request.position).map_err(fail)?;
                if set.header.kind != Kind::Full {
                    return Err(fail(raise(3135, &[path, &"BACKUP LOG"])));
                }
                match found {
                    Some(key) => {
                        let db = self.existing(key).map_err(fail)?;
                        check_overwrite(db, &set, request.replace).map_err(fail)?;
                        (key, Some(set), false)
                    }
                    None => (self.make_shell(server, &request.database, &set), Some(set), true),
                }
            }
        };
        if let End::Standby(undo) = &request.end
            && !self.look(server, undo).is_ok_and(|(p, _)| p.parent().is_some_and(|f| f.is_dir()))
        {
            return Err(fail(raise(3170, &[])));
        }
        let db = self.existing_mut(key).map_err(fail)?;
        db.held_by = Some(spid);
        if request.path.is_none() {
            db.state = State::Recovering;
        }
        Ok(Restoring { request, server, spid, key, set, created })
    }

    fn may_restore(&self, key: Key, spid: i32, overwrites: bool) -> Result<(), SqlError> {
        let db = self.existing(key)?;
        if db.mirroring.is_some() {
            return Err(raise(3104, &[&db.name]));
        }
        let mine = self.servers[key.server].sessions.get(&spid).is_some_and(|s| s.database == key.database);
        if mine {
            return Err(raise(3102, &[&"RESTORE", &db.name]));
        }
        // Already online is told before anybody is found using it, when nothing is to be overwritten.
        if !overwrites && db.state == State::Online && db.standby.is_none() && db.held_by.is_none() {
            return Ok(());
        }
        let users = self.servers[key.server].users_of(key.database, spid);
        if db.held_by.is_some_and(|h| h != spid) || !users.is_empty() {
            return Err(raise(3101, &[]));
        }
        Ok(())
    }

    fn make_shell(&mut self, server: usize, name: &str, set: &Set) -> Key {
        let (guid, now) = (self.new_guid(), self.now());
        let id = self.servers[server].databases.iter().map(|d| d.id).max().unwrap_or(4).max(4) + 1;
        let ids = [set.header.family, guid, set.header.fork];
        let mut db = Database::new(id, name, set.header.first, now, ids);
        db.state = State::Restoring;
        self.servers[server].databases.push(db);
        Key { server, database: id }
    }

    /// Gives up a RESTORE that was stopped on its way (KILL, attention, death of the host): nothing was changed.
    pub fn abandon_restore(&mut self, r: Restoring) {
        if r.created {
            self.servers[r.server].databases.retain(|d| d.id != r.key.database);
            return;
        }
        if let Some(db) = self.database_mut(r.key) {
            if db.held_by == Some(r.spid) {
                db.held_by = None;
            }
            if db.state == State::Recovering {
                db.state = if db.standby.is_some() { State::Online } else { State::Restoring };
            }
        }
    }

    /// Finishes a RESTORE.
    pub fn finish_restore(&mut self, r: Restoring) -> Result<(), Failure> {
        let verb = r.request.verb();
        if !self.reach.alive(&self.servers[r.server].host) {
            self.abandon_restore(r);
            return Err(terminated(verb, raise(3204, &[])));
        }
        let fork = self.new_guid();
        let now = self.now();
        let user = self.servers[r.server].sessions.get(&r.spid).map(|s| s.login.clone());
        let db = self.existing_mut(r.key).map_err(|e| terminated(verb, e))?;
        if db.held_by == Some(r.spid) {
            db.held_by = None;
        }
        match &r.set {
            Some(set) if r.request.log => chain::apply_log(db, set),
            Some(set) => {
                chain::apply_full(db, set);
                db.model = model_of(&set.header.recovery_model);
            }
            None => {}
        }
        let name = db.name.clone();
        match &r.request.end {
            End::Recovery => db.recover(fork),
            End::NoRecovery => {
                db.state = State::Restoring;
                db.standby = None;
            }
            End::Standby(undo) => {
                db.state = State::Online;
                db.standby = Some(undo.clone());
            }
        }
        if let (Some(set), Some(path)) = (&r.set, &r.request.path) {
            let history = &mut self.servers[r.server].history;
            let id = history.note_set(&set.header, path, r.request.position, set.size);
            history.note_restore(RestoreRow {
                id: 0,
                at: now,
                database: name,
                user: user.unwrap_or_else(|| "sa".into()),
                set: id,
                kind: if r.request.log { 'L' } else { 'D' },
                replace: r.request.replace,
                recovery: r.request.end == End::Recovery,
            });
        }
        Ok(())
    }

    /// A RESTORE in one go, for set-up and jobs.
    pub fn restore_now(&mut self, server: usize, spid: i32, request: Restore) -> Result<(), Failure> {
        let r = self.begin_restore(server, spid, request)?;
        self.finish_restore(r)
    }
}

fn check_overwrite(db: &Database, set: &Set, replace: bool) -> Result<(), SqlError> {
    if replace || db.state == State::Restoring && db.family == set.header.family {
        return Ok(());
    }
    if db.family != set.header.family {
        return Err(raise(3154, &[&db.name]));
    }
    // A database in the full model whose log runs on past its last log backup still has a tail.
    if db.next > db.backed_up_to {
        return Err(raise(3159, &[&db.name]));
    }
    Ok(())
}

fn model_of(text: &str) -> super::database::RecoveryModel {
    use super::database::RecoveryModel::{BulkLogged, Full, Simple};
    match text {
        "SIMPLE" => Simple,
        "BULK-LOGGED" => BulkLogged,
        _ => Full,
    }
}
