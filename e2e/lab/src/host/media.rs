//! BACKUP and RESTORE statements.
//!
//! Answers for their options, rights and durations, and for the order of their messages; the rules are the
//! world's (`chain`, `backup`, `restore`). A statement that is stopped on its way (KILL, attention) leaves what
//! it found; one whose client is gone runs on. Options that are not simulated are refused.

use super::{LabHost, headers};
use crate::world::Shared;
use crate::world::backup::{Backup, Writing};
use crate::world::error::{Failure, SqlError, raise, terminated, unsupported};
use crate::world::restore::{End, Restore, Restoring};
use crate::world::timeline::Operation;
use pchat_tsql::host::{Device, Media, MediaKind};
use pchat_tsql::types::Rowset;
use pchat_tsql::{Event, Sink, Value};
use tokio::time::Instant;

/// Options that change nothing that the lab shows.
const HARMLESS: &[&str] = &[
    "STATS",
    "CHECKSUM",
    "NO_CHECKSUM",
    "CONTINUE_AFTER_ERROR",
    "STOP_ON_ERROR",
    "NOUNLOAD",
    "UNLOAD",
    "REWIND",
    "NOREWIND",
    "SKIP",
    "NOSKIP",
    "BUFFERCOUNT",
    "MAXTRANSFERSIZE",
    "BLOCKSIZE",
    "COMPRESSION",
    "NO_COMPRESSION",
    "MOVE",
    "MEDIANAME",
    "MEDIADESCRIPTION",
    "RETAINDAYS",
    "EXPIREDATE",
];

/// Runs one.
pub async fn run(host: &mut LabHost, media: Media, out: &mut dyn Sink) -> Result<Option<Rowset>, Failure> {
    match media.kind {
        MediaKind::BackupDatabase | MediaKind::BackupLog => backup(host, media, out).await.map(|()| None),
        MediaKind::RestoreDatabase | MediaKind::RestoreLog => restore(host, media, out).await.map(|()| None),
        MediaKind::HeaderOnly | MediaKind::FileListOnly | MediaKind::LabelOnly | MediaKind::VerifyOnly => {
            inform(host, media, out).await
        }
    }
}

fn known(media: &Media, more: &[&str]) -> Result<(), SqlError> {
    let strange =
        |o: &&(String, Vec<Value>)| !HARMLESS.contains(&o.0.as_str()) && !more.contains(&o.0.as_str());
    match media.options.iter().find(strange) {
        Some((option, _)) => Err(unsupported(&format!("the option {option}"))),
        None => Ok(()),
    }
}

fn single_disk(media: &Media) -> Result<Option<String>, SqlError> {
    match &media.devices[..] {
        [] => Ok(None),
        [Device::Disk(path)] if path.is_empty() => Err(raise(3044, &[])),
        [Device::Disk(path)] if path.chars().count() > 259 => Err(raise(3057, &[&259])),
        [Device::Disk(path)] => Ok(Some(path.clone())),
        [Device::Logical(name)] => Err(raise(3206, &[name])),
        _ => Err(unsupported("backup sets on several devices")),
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_text).map(str::to_owned)
}

/// A RESTORE that is given up when the statement is dropped before its end.
pub struct Rolling {
    world: Shared,
    running: Option<Restoring>,
}

impl Rolling {
    /// Guards a RESTORE that has begun.
    pub fn new(world: &Shared, running: Restoring) -> Rolling {
        Rolling { world: world.clone(), running: Some(running) }
    }

    /// Brings it to its end.
    pub fn finish(mut self) -> Result<(), Failure> {
        match self.running.take() {
            Some(r) => self.world.lock().finish_restore(r),
            None => Ok(()),
        }
    }
}

impl Drop for Rolling {
    fn drop(&mut self) {
        if let Some(r) = self.running.take() {
            self.world.lock().abandon_restore(r);
        }
    }
}

/// A BACKUP, likewise.
pub struct Copying {
    world: Shared,
    running: Option<Writing>,
}

impl Copying {
    /// Guards a BACKUP that has begun.
    pub fn new(world: &Shared, running: Writing) -> Copying {
        Copying { world: world.clone(), running: Some(running) }
    }

    /// Brings it to its end.
    pub fn finish(mut self) -> Result<(), Failure> {
        match self.running.take() {
            Some(w) => self.world.lock().finish_backup(w),
            None => Ok(()),
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(w) = self.running.take() {
            self.world.lock().abandon_backup(w);
        }
    }
}

async fn restore(host: &mut LabHost, media: Media, out: &mut dyn Sink) -> Result<(), Failure> {
    let log = media.kind == MediaKind::RestoreLog;
    let verb = if log { "RESTORE LOG" } else { "RESTORE DATABASE" };
    let fail = |e| terminated(verb, e);
    known(&media, &["RECOVERY", "NORECOVERY", "STANDBY", "REPLACE", "FILE", "RESTART"]).map_err(fail)?;
    let database = media.database.clone().ok_or_else(|| fail(raise(3025, &[])))?;
    let path = single_disk(&media).map_err(fail)?;
    let end = match (media.has("NORECOVERY"), text_of(media.value("STANDBY"))) {
        (true, _) => End::NoRecovery,
        (false, Some(undo)) => End::Standby(undo),
        (false, None) => End::Recovery,
    };
    if !host.is_sysadmin() {
        return Err(fail(raise(3110, &[&database])));
    }
    host.effect(format!("{verb} {database} {}", path.as_deref().unwrap_or("WITH RECOVERY"))).await?;
    if let Some(path) = &path {
        host.wait_for_dead_path(path).await;
    }
    let begin = Instant::now();
    // Without FROM the documentation wants RECOVERY, NORECOVERY or STANDBY to be said; back into STANDBY is not simulated.
    if path.is_none() && matches!(end, End::Standby(_)) {
        return Err(fail(unsupported("RESTORE without a file WITH STANDBY")));
    }
    let request = Restore {
        log: log && path.is_some(),
        database: database.clone(),
        path: path.clone(),
        position: media
            .value("FILE")
            .and_then(Value::as_int)
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(1),
        end,
        replace: media.has("REPLACE"),
    };
    let operation = request.operation();
    let (server, spid) = (host.server, host.spid);
    let (running, id, time) = {
        let mut w = host.world.lock();
        let r = w.begin_restore(server, spid, request)?;
        let id = w.find(server, &database).map_or(0, |d| d.id);
        (r, id, w.service_time(operation))
    };
    let rolling = Rolling::new(&host.world, running);
    host.set_request(Some((verb, id, time)));
    host.spend(begin, operation, format!("{verb} {database} {}", path.as_deref().unwrap_or(""))).await;
    let done = rolling.finish();
    host.set_request(None);
    done?;
    success(out, verb, path.is_some(), &database);
    Ok(())
}

fn success(out: &mut dyn Sink, verb: &str, with_file: bool, database: &str) {
    if with_file {
        out.send(Event::Message(raise(4035, &[&8, &database, &database, &1])));
    }
    out.send(Event::Message(raise(3014, &[&verb, &8, &0, &"013", &4, &"507"])));
}

async fn backup(host: &mut LabHost, media: Media, out: &mut dyn Sink) -> Result<(), Failure> {
    let log = media.kind == MediaKind::BackupLog;
    let verb = if log { "BACKUP LOG" } else { "BACKUP DATABASE" };
    let fail = |e| terminated(verb, e);
    let options = [
        "INIT",
        "NOINIT",
        "FORMAT",
        "NOFORMAT",
        "NORECOVERY",
        "NO_TRUNCATE",
        "COPY_ONLY",
        "NAME",
        "DESCRIPTION",
    ];
    known(&media, &options).map_err(fail)?;
    let database = media.database.clone().ok_or_else(|| fail(raise(3025, &[])))?;
    let path = single_disk(&media).map_err(fail)?.ok_or_else(|| fail(raise(3207, &[])))?;
    if !host.is_sysadmin() {
        return Err(fail(raise(262, &[&verb, &database])));
    }
    host.effect(format!("{verb} {database} {path}")).await?;
    host.wait_for_dead_path(&path).await;
    let begin = Instant::now();
    let request = Backup {
        log,
        database: database.clone(),
        path: path.clone(),
        overwrite: media.has("INIT") || media.has("FORMAT"),
        no_recovery: media.has("NORECOVERY"),
        no_truncate: media.has("NO_TRUNCATE"),
        copy_only: media.has("COPY_ONLY"),
        checksum: media.has("CHECKSUM"),
        name: text_of(media.value("NAME")),
        description: text_of(media.value("DESCRIPTION")),
    };
    let (server, spid) = (host.server, host.spid);
    let (running, id, time) = {
        let mut w = host.world.lock();
        let r = w.begin_backup(server, spid, request)?;
        let id = w.find(server, &database).map_or(0, |d| d.id);
        (r, id, w.service_time(Operation::Backup))
    };
    let copying = Copying::new(&host.world, running);
    host.set_request(Some((verb, id, time)));
    host.spend(begin, Operation::Backup, format!("{verb} {database} {path}")).await;
    let done = copying.finish();
    host.set_request(None);
    done?;
    success(out, verb, true, &database);
    Ok(())
}

async fn inform(host: &mut LabHost, media: Media, out: &mut dyn Sink) -> Result<Option<Rowset>, Failure> {
    let verb = match media.kind {
        MediaKind::HeaderOnly => "RESTORE HEADERONLY",
        MediaKind::FileListOnly => "RESTORE FILELIST",
        MediaKind::LabelOnly => "RESTORE LABELONLY",
        _ => "VERIFY DATABASE",
    };
    let fail = |e| terminated(verb, e);
    known(&media, &["FILE", "LOADHISTORY"]).map_err(fail)?;
    let path = single_disk(&media).map_err(fail)?.ok_or_else(|| fail(raise(3207, &[])))?;
    if !host.is_sysadmin() {
        return Err(fail(raise(262, &[&"CREATE DATABASE", &"master"])));
    }
    host.wait_for_dead_path(&path).await;
    let (server, begin) = (host.server, Instant::now());
    let sets = host.world.lock().read_sets(server, &path);
    host.spend(begin, Operation::Header, format!("{verb} {path}")).await;
    let sets = sets.map_err(fail)?;
    let position = media.value("FILE").and_then(Value::as_int);
    let version = pchat_tsql::Host::version(host);
    let pick = |sets: &[crate::world::backup_file::Set]| {
        let at = usize::try_from(position.unwrap_or(1) - 1).unwrap_or(usize::MAX);
        sets.get(at).cloned().ok_or_else(|| fail(raise(4038, &[&position.unwrap_or(1), &path])))
    };
    match media.kind {
        MediaKind::HeaderOnly => headers::headers(&sets, position, version).map(Some).map_err(fail),
        MediaKind::LabelOnly => headers::label(&sets, version).map(Some).map_err(fail),
        MediaKind::FileListOnly => {
            let set = pick(&sets)?;
            if set.incomplete {
                return Err(fail(raise(3256, &[&path])));
            }
            headers::file_list(&set, version).map(Some).map_err(fail)
        }
        _ => {
            let set = pick(&sets)?;
            if set.incomplete {
                return Err(fail(raise(3256, &[&path])));
            }
            if set.corrupt {
                return Err(fail(raise(3189, &[])));
            }
            out.send(Event::Message(raise(3262, &[&position.unwrap_or(1)])));
            Ok(None)
        }
    }
}
