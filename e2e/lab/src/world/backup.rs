//! BACKUP: writes backup sets to real files.
//!
//! Answers for BACKUP LOG and BACKUP DATABASE in two calls: the first checks, writes the first half straight
//! under the final name and holds the file; the second writes the rest. A host that dies in between leaves a
//! torn file, as a dying log-shipping primary does. It must never leave a database RESTORING whose tail it did not write.

use super::backup_file::{self, Header};
use super::chain::{self, Author};
use super::database::{Record, RecoveryModel, Row, State};
use super::error::{Failure, SqlError, raise, terminated};
use super::files::{self, Found};
use super::mirroring::Role;
use super::{Key, World};
use std::io::Write;
use std::path::PathBuf;

/// A BACKUP statement.
#[derive(Clone, Debug, Default)]
pub struct Backup {
    /// BACKUP LOG instead of DATABASE.
    pub log: bool,
    pub database: String,
    pub path: String,
    /// INIT or FORMAT: overwrite what is there instead of appending.
    pub overwrite: bool,
    /// Leave the database RESTORING.
    pub no_recovery: bool,
    /// NO_TRUNCATE: possible on a damaged database too.
    pub no_truncate: bool,
    pub copy_only: bool,
    pub checksum: bool,
    pub name: Option<String>,
    pub description: Option<String>,
}

impl Backup {
    /// The statement's name in messages.
    pub fn verb(&self) -> &'static str {
        if self.log { "BACKUP LOG" } else { "BACKUP DATABASE" }
    }
}

/// A backup that is being written.
#[derive(Debug)]
pub struct Writing {
    request: Backup,
    server: usize,
    spid: i32,
    path: PathBuf,
    text: String,
    half: usize,
    header: Header,
    position: i32,
}

impl World {
    /// Begins a backup for a session: checks, takes the LSN range, writes the first half of the file.
    pub fn begin_backup(&mut self, server: usize, spid: i32, request: Backup) -> Result<Writing, Failure> {
        let verb = request.verb();
        let fail = |e: SqlError| terminated(verb, e);
        let key = self.key(server, &request.database).map_err(fail)?;
        self.may_back_up(key, spid, &request).map_err(fail)?;
        let (path, found) =
            self.look(server, &request.path).map_err(|e| fail(raise(3201, &[&request.path, &e])))?;
        match found {
            Found::Folder => return Err(fail(raise(3201, &[&request.path, &files::DENIED]))),
            Found::Nothing if !path.parent().is_some_and(|p| p.is_dir()) => {
                return Err(fail(raise(3201, &[&request.path, &files::NO_PATH])));
            }
            Found::File if self.files.is_busy(&path) => {
                return Err(fail(raise(3201, &[&request.path, &files::IN_USE])));
            }
            _ => {}
        }
        let append = found == Found::File && !request.overwrite;
        let position = if append {
            let there =
                std::fs::read(&path).map_err(|_| fail(raise(3201, &[&request.path, &files::DENIED])))?;
            let sets = backup_file::parse(&there).map_err(|_| fail(raise(3242, &[&request.path])))?;
            sets.len() as i32 + 1
        } else {
            1
        };
        let author = self.author(server, spid, &request);
        let (guid, now) = (self.new_guid(), self.now());
        let tail = request.log && request.no_recovery;
        // The tail's state change belongs to the end of the statement: see `finish_backup`.
        let db = self.existing_mut(key).map_err(fail)?;
        let state = db.state;
        let (header, records, rows): (Header, Vec<Record>, Vec<Row>) = if request.log {
            let (h, r) = chain::log_backup(db, &author, guid, now);
            (h, r, vec![])
        } else {
            let (h, rows) = chain::full_backup(db, &author, guid, now);
            (h, vec![], rows)
        };
        db.state = state;
        if tail {
            db.held_by = Some(spid);
        }
        let text = backup_file::render(&header, &records, &rows, !append);
        let half = text.floor_char_boundary(text.len() / 2);
        let write = || -> std::io::Result<()> {
            let mut f = std::fs::OpenOptions::new()
                .create(true)
                .append(append)
                .truncate(!append)
                .write(true)
                .open(&path)?;
            f.write_all(&text.as_bytes()[..half])
        };
        write().map_err(|e| fail(raise(3202, &[&request.path, &e])))?;
        self.files.set_busy(&path, true);
        Ok(Writing { request, server, spid, path, text, half, header, position })
    }

    fn may_back_up(&self, key: Key, spid: i32, request: &Backup) -> Result<(), SqlError> {
        let db = self.existing(key)?;
        let name = &db.name;
        if let Some(m) = &db.mirroring {
            if m.role == Role::Mirror {
                return Err(raise(954, &[name]));
            }
            // "BACKUP LOG WITH NORECOVERY is not allowed" on a principal (Database Mirroring and Backup and Restore).
            if request.no_recovery {
                return Err(raise(1468, &[name]));
            }
        }
        if db.standby.is_some() {
            return Err(raise(3036, &[name]));
        }
        if db.held_by.is_some_and(|h| h != spid) {
            return Err(raise(3023, &[]));
        }
        let damaged = matches!(db.state, State::Suspect | State::RecoveryPending);
        match db.state {
            State::Online => {}
            State::Suspect | State::RecoveryPending if request.log && request.no_truncate => {}
            State::Suspect => return Err(raise(926, &[name])),
            State::RecoveryPending => return Err(raise(945, &[name])),
            State::Restoring => return Err(raise(927, &[name])),
            State::Recovering => return Err(raise(922, &[name])),
            State::Offline => return Err(raise(942, &[name])),
        }
        if request.log {
            if db.model == RecoveryModel::Simple {
                return Err(raise(4208, &[&"BACKUP LOG"]));
            }
            if db.base.is_none() {
                return Err(raise(4214, &[]));
            }
            if request.no_recovery && !damaged {
                let users = self.servers[key.server].users_of(key.database, 0);
                if users.contains(&spid) {
                    return Err(raise(3102, &[&"BACKUP", name]));
                }
                if !users.is_empty() {
                    return Err(raise(3101, &[]));
                }
            }
        }
        Ok(())
    }

    fn author(&self, server: usize, spid: i32, request: &Backup) -> Author {
        let s = &self.servers[server];
        Author {
            server: s.name(),
            machine: s.machine(),
            user: s
                .sessions
                .get(&spid)
                .map_or_else(|| "NT SERVICE\\SQLSERVERAGENT".into(), |x| x.login.clone()),
            clock: s.clock,
            software: s.version,
            name: request.name.clone(),
            description: request.description.clone(),
            checksum: request.checksum,
            copy_only: request.copy_only,
            tail: request.log && request.no_recovery,
        }
    }

    /// Finishes a backup. When the host died in between, the file stays torn and nothing else happened.
    pub fn finish_backup(&mut self, w: Writing) -> Result<(), Failure> {
        let verb = w.request.verb();
        self.files.set_busy(&w.path, false);
        if !self.reach.alive(&self.servers[w.server].host) {
            return Err(terminated(verb, raise(3204, &[])));
        }
        if let Err(e) = self.look(w.server, &w.request.path) {
            return Err(terminated(verb, raise(3202, &[&w.request.path, &e])));
        }
        let rest = std::fs::OpenOptions::new()
            .append(true)
            .open(&w.path)
            .and_then(|mut f| f.write_all(&w.text.as_bytes()[w.half..]));
        rest.map_err(|e| terminated(verb, raise(3202, &[&w.request.path, &e])))?;
        let size = w.text.len() as u64;
        let server = &mut self.servers[w.server];
        server.history.note_set(&w.header, &w.request.path, w.position, size);
        let tail = w.request.log && w.request.no_recovery;
        if let Some(db) = server.databases.iter_mut().find(|d| d.name == w.header.database) {
            if db.held_by == Some(w.spid) {
                db.held_by = None;
            }
            if tail {
                db.state = State::Restoring;
            }
        }
        Ok(())
    }

    /// Gives up a backup that failed on the way.
    pub fn abandon_backup(&mut self, w: Writing) {
        self.files.set_busy(&w.path, false);
        self.servers[w.server].databases.iter_mut().for_each(|d| {
            if d.held_by == Some(w.spid) {
                d.held_by = None;
            }
        });
    }

    /// A backup in one go, for set-up and for jobs whose duration does not matter.
    pub fn backup_now(&mut self, server: usize, spid: i32, request: Backup) -> Result<(), Failure> {
        let w = self.begin_backup(server, spid, request)?;
        self.finish_backup(w)
    }
}
