//! Sending a mutating batch: on a fresh connection, or on the one that the last clean answer left.

use std::time::{Duration, Instant};

use pchat_planner::plan::LogFile;
use tokio::time::sleep;

use super::{Failure, Task};
use crate::far_end::ActError;
use crate::sql::batches::{Batch, sessions};
use crate::sql::connect::connect;
use crate::sql::connection::{Answer, Connection};
use crate::sql::refusal::RefusalCode;

/// A connection that lay idle for longer may have died: it is not worth an unknown outcome.
const IDLE: Duration = Duration::from_secs(5);

/// The lock of a session that was closed a moment ago may still stand. What is refused for it was not done.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A connection between two actions.
pub(super) struct Kept {
    pub connection: Connection,
    pub session: Session,
    since: Instant,
}

/// Who a connection is at the far end.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub spid: i32,
    pub login_time: String,
}

impl Task<'_> {
    /// Sends a batch; every failure is an error.
    pub(super) async fn send(&self, batch: Batch) -> Result<Answer, ActError> {
        self.try_send(&batch).await.map_err(|failure| self.error(failure))
    }

    /// Sends a batch; an error that the server reports is a failure.
    pub(super) async fn try_send(&self, batch: &Batch) -> Result<Answer, Failure> {
        let mut answer = self.exchange(batch, None).await?;
        match answer.error.take() {
            Some(error) => Err(Failure::Server(error)),
            None => Ok(answer),
        }
    }

    /// Sends a batch that restores, watching it. The answer may hold an error and what came before it.
    pub(super) async fn send_watched(&self, batch: &Batch, files: &[LogFile]) -> Result<Answer, Failure> {
        self.exchange(batch, Some(files)).await
    }

    /// Sends a batch, and again while only the lock of an earlier session stands in the way.
    async fn exchange(&self, batch: &Batch, watched: Option<&[LogFile]>) -> Result<Answer, Failure> {
        let begun = Instant::now();
        loop {
            let (mut connection, session) = self.connection().await?;
            let answer = match watched {
                None => connection
                    .ask(batch, self.actor.ends.deadlines.batch)
                    .await
                    .map_err(|lost| Failure::Unknown(format!("{lost}.")))?,
                Some(files) => self.ask_watched(&mut connection, &session, batch, files).await?,
            };
            match &answer.error {
                None => {
                    self.keep(connection, session).await;
                    return Ok(answer);
                }
                Some(error) => {
                    // The connection is closed, and with it the lock is freed.
                    let locked = error.refusal().is_some_and(|r| r.code == RefusalCode::Locked);
                    if !locked || begun.elapsed() > LOCK_PATIENCE {
                        return Ok(answer);
                    }
                }
            }
            drop(connection);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The kept connection, or a fresh one that knows who it is.
    pub(super) async fn connection(&self) -> Result<(Connection, Session), Failure> {
        if let Some(kept) = self.actor.kept.lock().await.take()
            && kept.since.elapsed() < IDLE
            && kept.connection.is_clean()
        {
            return Ok((kept.connection, kept.session));
        }
        let deadlines = &self.actor.ends.deadlines;
        let connected = connect(self.target, deadlines).await;
        let mut connection = connected.map_err(|error| Failure::NotSent(error.to_string()))?;
        let identity = connection.ask(&sessions::identity(), deadlines.look).await;
        let identity = identity.map_err(|lost| Failure::NotSent(format!("{lost}.")))?;
        let session = identity.sets.first().and_then(|s| s.rows().first()).and_then(|row| {
            let spid = i32::try_from(row.int("spid").ok()??).ok()?;
            Some(Session { spid, login_time: row.text("login_time").ok()?? })
        });
        let session = session.ok_or_else(|| {
            Failure::NotSent(format!(
                "{} does not tell this session's number. Grant VIEW SERVER STATE or make the login a sysadmin.",
                self.target.display
            ))
        })?;
        Ok((connection, session))
    }

    pub(super) async fn keep(&self, connection: Connection, session: Session) {
        *self.actor.kept.lock().await = Some(Kept { connection, session, since: Instant::now() });
    }
}
