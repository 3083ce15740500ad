//! Restores: long, watched from a second connection, with a deadline of their own.
//!
//! The driver can't stop a statement without spoiling the connection, so when the deadline passes the
//! session is ended from another connection, and the outcome counts as unknown.

use std::time::Duration;

use pchat_planner::lsn::{Fork, Lsn, Position};
use pchat_planner::plan::LogFile;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::batch::Session;
use super::{BUDGET, Failure, Task};
use crate::far_end::{ActError, Applied, Done, Progress};
use crate::observe::damage::FileTrouble;
use crate::sql::batches::restore::{MOST_FILES, apply, find};
use crate::sql::batches::{Batch, sessions};
use crate::sql::connect::{PROGRAM, connect};
use crate::sql::connection::{Answer, Connection, Lost, ServerError};
use crate::sql::explain::{TOO_EARLY, TOO_LATE, about_the_file, file_fault};
use crate::sql::rows::Misread;

/// Most bytes of backups in one batch: between batches the owner's mark is renewed, and a run that was
/// asked to stop can.
const MOST_BYTES: u64 = 512 << 20;

/// Shorter batches end before anybody wants to know how far they are.
const WATCH_EVERY: Duration = Duration::from_millis(700);

impl Task<'_> {
    /// Restores the files in order. A file that can't be read where it was expected is taken from its other place. One that does
    /// not fit is not what its header told: it is reported to be asked anew, and what follows is planned again.
    pub(super) async fn apply_logs(&self, from: Position, files: &[LogFile]) -> Result<Done, ActError> {
        let mut at = from;
        let mut done: Vec<Applied> = Vec::with_capacity(files.len());
        let mut next = 0;
        let mut fallback = false;
        let mut first: Option<FileTrouble> = None;
        while next < files.len() {
            let round = round(&files[next..], fallback);
            let paths: Vec<(&str, u16)> =
                round.iter().enumerate().map(|(k, f)| (path(f, fallback && k == 0), f.set)).collect();
            (self.progress)(Progress::Restoring { done: next as u64, of: files.len() as u64, percent: None });
            let batch = apply(&self.warrant(BUDGET)?, at, &paths);
            let mut answer = self.send_watched(&batch, files).await.map_err(|failure| self.error(failure))?;
            let restored = self.read_restored(&answer)?;
            for (file, position) in round.iter().zip(&restored) {
                done.push(Applied {
                    name: file.name.clone(),
                    last_lsn: position.lsn,
                    from_fallback: fallback,
                });
                let expected = position.lsn == file.last_lsn;
                if !expected {
                    self.stumbled(path(file, fallback), file.set, &odd(position.lsn, file));
                }
                (fallback, first) = (false, None);
                at = *position;
                next += 1;
                if !expected {
                    return Ok(applied(files, done));
                }
            }
            let Some(error) = answer.error.take() else {
                if restored.len() < round.len() {
                    return Err(ActError::OutcomeUnknown {
                        target: self.object(),
                        detail: format!(
                            "only {} of {} restores were confirmed.",
                            restored.len(),
                            round.len()
                        ),
                    });
                }
                continue;
            };
            let file = &files[next.min(files.len() - 1)];
            if error.refusal().is_some() || !about_the_file(&error) {
                return Err(self.error(Failure::Server(error)));
            }
            // What was applied is told first; the file is tried again from there.
            if (fallback || file.fallback.is_none()) && !done.is_empty() {
                return Ok(applied(files, done));
            }
            let here = path(file, fallback).to_owned();
            if file.fallback.is_some() && !fallback {
                first = Some(FileTrouble { path: here, position: file.set, error });
                fallback = true;
                continue;
            }
            self.actor.stumbled(first.take());
            self.stumbled(&here, file.set, &error);
            let mut told = self.error(Failure::Server(error));
            if let ActError::Failed { what, .. } = &mut told {
                *what = format!("{} ({here}): {what}", file.name);
            }
            return Err(told);
        }
        Ok(applied(files, done))
    }

    /// Tries files in the order of their log until the server takes one: what it calls too early (4326) lies behind the copy, what
    /// it calls too late (4305) before it. A file that it refuses for another reason tells nothing and is left out.
    pub(super) async fn find_position(&self, files: &[LogFile]) -> Result<Done, ActError> {
        let mut left: Vec<&LogFile> = files.iter().collect();
        while !left.is_empty() {
            let middle = left.len() / 2;
            let file = left[middle];
            let mut places = std::iter::once(&file.path).chain(&file.fallback);
            let error = loop {
                let Some(path) = places.next() else { break None };
                let batch = find(&self.warrant(BUDGET)?, path, file.set);
                let mut answer =
                    self.send_watched(&batch, files).await.map_err(|failure| self.error(failure))?;
                match answer.error.take() {
                    None => {
                        let position = self.read_restored(&answer)?.last().copied();
                        let last_lsn = position.ok_or_else(|| self.unread("it was not told"))?.lsn;
                        let from_fallback = *path != file.path;
                        let done = vec![Applied { name: file.name.clone(), last_lsn, from_fallback }];
                        return Ok(applied(std::slice::from_ref(file), done));
                    }
                    Some(error) if error.refusal().is_some() || !about_the_file(&error) => {
                        return Err(self.error(Failure::Server(error)));
                    }
                    Some(error) if file_fault(&error).is_some() => self.stumbled(path, file.set, &error),
                    Some(error) => break Some(error),
                }
            };
            match error.map(|e| e.number) {
                Some(TOO_EARLY) => drop(left.drain(..=middle)),
                Some(TOO_LATE) => left.truncate(middle),
                _ => drop(left.remove(middle)),
            }
        }
        Ok(Done {
            note: format!("the server takes none of {} log backups where it stands", files.len()),
            already: true,
            applied: Vec::new(),
        })
    }

    /// What was restored, as the server tells it: no header tells where the copy stands now.
    fn read_restored(&self, answer: &Answer) -> Result<Vec<Position>, ActError> {
        read_restored(answer).map_err(|e| self.unread(&e.to_string()))
    }

    fn unread(&self, why: &str) -> ActError {
        let detail = format!("where it stands can't be read ({why}).");
        ActError::OutcomeUnknown { target: self.object(), detail }
    }

    fn stumbled(&self, path: &str, position: u16, error: &ServerError) {
        let path = path.to_owned();
        self.actor.stumbled([FileTrouble { path, position, error: error.clone() }]);
    }

    /// Asks, tells how far it is, and ends the session when the deadline passes.
    pub(super) async fn ask_watched(
        &self,
        connection: &mut Connection,
        session: &Session,
        batch: &Batch,
        files: &[LogFile],
    ) -> Result<Answer, Failure> {
        let answer = tokio::select! {
            answer = connection.ask(batch, self.actor.ends.deadlines.restore) => answer,
            never = self.watch(session, files) => match never {},
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(lost @ Lost::NoAnswer(_)) => {
                let ended = self.end_own(session).await;
                Err(Failure::Unknown(format!("{lost}; {ended}.")))
            }
            Err(lost) => Err(Failure::Unknown(format!("{lost}."))),
        }
    }

    /// Tells how far the restore of `session` is, from a second connection, until it is dropped.
    async fn watch(&self, session: &Session, files: &[LogFile]) -> std::convert::Infallible {
        let mut second: Option<Connection> = None;
        let deadlines = &self.actor.ends.deadlines;
        loop {
            sleep(WATCH_EVERY).await;
            if second.is_none() {
                second = connect(self.target, deadlines).await.ok();
            }
            let Some(connection) = &mut second else { continue };
            let batch = sessions::progress(&self.actor.ends.pool.database, session.spid);
            match connection.ask(&batch, deadlines.look).await {
                Ok(answer) => self.tell(&answer, files),
                Err(_) => second = None,
            }
        }
    }

    fn tell(&self, answer: &Answer, files: &[LogFile]) {
        let row = |column: &str| answer.sets.iter().find(|s| s.has(column)).and_then(|s| s.rows().first());
        let percent = row("per_cent").and_then(|r| r.int("per_cent").ok().flatten());
        let percent = percent.map(|p| u8::try_from(p.clamp(0, 100)).unwrap_or(100));
        if files.is_empty() {
            let words = match percent {
                Some(percent) if percent > 0 => format!("recovery is running, {percent} %"),
                _ => "recovery is running".to_owned(),
            };
            return (self.progress)(Progress::Doing(words));
        }
        let stands = row("redo_start_lsn").and_then(|r| r.lsn("redo_start_lsn").ok().flatten());
        let done = stands.map_or(0, |at: Lsn| files.iter().filter(|f| f.last_lsn <= at).count());
        (self.progress)(Progress::Restoring { done: done as u64, of: files.len() as u64, percent });
    }

    async fn end_own(&self, session: &Session) -> String {
        let spid = session.spid;
        let deadlines = &self.actor.ends.deadlines;
        let kill = async {
            let mut connection = connect(self.target, deadlines).await.map_err(|e| e.to_string())?;
            let batch = sessions::kill_own(spid, &session.login_time, PROGRAM);
            let answer = connection.ask(&batch, deadlines.look).await.map_err(|e| e.to_string())?;
            let found = super::number(&answer, "found");
            match (answer.error, found) {
                (Some(error), _) => Err(error.message),
                (None, Some(1)) => Ok(()),
                (None, Some(_)) => Err("it is gone already".into()),
                (None, None) => Err("whether it was found was not told".into()),
            }
        };
        match timeout(deadlines.login + deadlines.look, kill).await {
            Ok(Ok(())) => format!("its session {spid} was told to end"),
            Ok(Err(why)) => format!("its session {spid} could not be ended ({why})"),
            Err(_) => format!("its session {spid} could not be ended in time"),
        }
    }
}

fn applied(files: &[LogFile], done: Vec<Applied>) -> Done {
    let bytes: u64 = files.iter().take(done.len()).map(|f| f.size).sum();
    Done { note: format!("{} files, {}", done.len(), size(bytes)), already: done.is_empty(), applied: done }
}

/// What a restore says that ended elsewhere than the header told.
fn odd(stands: Lsn, file: &LogFile) -> ServerError {
    let message = format!("the copy stands at LSN {stands} after it, its header told {}", file.last_lsn);
    ServerError { number: 0, state: 0, class: 0, message }
}

fn path(file: &LogFile, fallback: bool) -> &str {
    match &file.fallback {
        Some(path) if fallback => path,
        _ => &file.path,
    }
}

/// As many files as go into one batch; alone, if it is taken from its fallback.
fn round(files: &[LogFile], fallback: bool) -> &[LogFile] {
    let most = if fallback { 1 } else { MOST_FILES };
    let mut bytes = 0u64;
    let fit = files.iter().take(most).take_while(|f| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(f.size.max(1));
        first || bytes <= MOST_BYTES
    });
    &files[..fit.count()]
}

fn read_restored(answer: &Answer) -> Result<Vec<Position>, Misread> {
    let mut positions = Vec::new();
    for row in answer.sets.iter().filter(|s| s.has("restored")).flat_map(|s| s.rows()) {
        let lsn = row.lsn("redo_start_lsn")?.ok_or_else(|| Misread::new("redo_start_lsn", "is NULL"))?;
        if row.lsn("redo_start_lsn_max")? != Some(lsn) {
            return Err(Misread::new("redo_start_lsn", "differs between data files"));
        }
        let fork = Uuid::parse_str(&row.need_text("fork")?)
            .map_err(|_| Misread::new("fork", "is no uniqueidentifier"))?;
        positions.push(Position { lsn, fork: Fork(fork) });
    }
    Ok(positions)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} KB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64) -> LogFile {
        LogFile {
            name: "a.trn".into(),
            path: r"D:\a.trn".into(),
            fallback: Some(r"\\s\a.trn".into()),
            set: 1,
            first_lsn: Lsn(1),
            last_lsn: Lsn(2),
            size,
        }
    }

    #[test]
    fn a_round_is_bounded_in_files_and_bytes_and_never_empty() {
        assert_eq!(round(&vec![file(1); 200], false).len(), MOST_FILES);
        assert_eq!(round(&[file(MOST_BYTES * 3), file(1)], false).len(), 1);
        assert_eq!(round(&[file(1), file(MOST_BYTES), file(1)], false).len(), 1);
        assert_eq!(round(&vec![file(1); 5], true).len(), 1);
    }

    #[test]
    fn a_fallback_is_the_other_place() {
        assert_eq!(path(&file(1), false), r"D:\a.trn");
        assert_eq!(path(&file(1), true), r"\\s\a.trn");
    }
}
