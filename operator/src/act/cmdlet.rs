//! Cmdlets. They have no guard of their own: the pool's lock is held by a session for as long as one runs,
//! and the owner is checked before and after. A cmdlet that is delayed inside WinRM can still come late;
//! that is why its effect is read again afterwards, by the caller.

use std::time::Duration;

use pchat_planner::plan::Action;
use pchat_psrp::{Command, Session};
use tokio::time::Instant;

use super::batch::Kept;
use super::{BUDGET, Failure, Task};
use crate::far_end::{ActError, Done, Progress};
use crate::observe::Ends;
use crate::powershell::{IDLE, Trouble, cmdlets, remedy};
use crate::sql::batches::guard::Warrant;
use crate::sql::batches::ownership::{free, hold};

impl Task<'_> {
    pub(super) async fn run_cmdlet(&self) -> Result<Done, ActError> {
        let (command, within) = self.command()?;
        let ends = &self.actor.ends;
        let shell = ends.shell.display();
        // The session is there first: the lock is held no longer than needed.
        let mut session = self.session().await.map_err(|trouble| ActError::NotSent {
            target: shell.clone(),
            detail: trouble.detail().to_owned(),
        })?;
        let ran = async {
            let warrant = self.warrant(BUDGET)?;
            let lock = self.hold_lock(&warrant).await?;
            (self.progress)(Progress::Doing(format!("{} is running", command.name)));
            let outcome = ends.shell.run(&mut session, &command, within).await;
            let kept = self.free_lock(lock, &warrant).await;
            match outcome {
                Err(Trouble::Unknown(detail)) => {
                    Err(ActError::OutcomeUnknown { target: shell.clone(), detail })
                }
                Err(Trouble::Silent(detail) | Trouble::Unusable(detail)) => {
                    Err(ActError::NotSent { target: shell.clone(), detail })
                }
                Ok(outcome) => match ends.shell.failure(&command.name, &outcome) {
                    Some((code, what)) => {
                        let remedy = remedy(&code, &what).to_owned();
                        Err(ActError::Failed { target: shell.clone(), code, what, remedy })
                    }
                    None if !kept => Err(ActError::OutcomeUnknown {
                        target: shell.clone(),
                        detail: "the pool's lock was lost while the cmdlet ran.".into(),
                    }),
                    None => Ok(Done { note: outcome.warnings.join("; "), ..Done::default() }),
                },
            }
        }
        .await;
        match &ran {
            // The next cmdlet is near, and a session takes a Lync Server seconds to open.
            Ok(_) => *self.actor.shell.lock().await = Some((session, Instant::now())),
            // An abandoned session ends by itself when its idle time is over.
            Err(_) => ends.shell.close(session, ends.deadlines.connect).await,
        }
        ran
    }

    /// The session that the last cmdlet left after a clean end, or a new one.
    async fn session(&self) -> Result<Session, Trouble> {
        let Ends { shell, deadlines, .. } = &*self.actor.ends;
        if let Some((session, used)) = self.actor.shell.lock().await.take() {
            if used.elapsed() < IDLE {
                return Ok(session);
            }
            // It is of no use any more, whether its end is confirmed or not.
            shell.close(session, deadlines.connect).await;
        }
        shell.open(deadlines.connect, deadlines.cmdlet).await
    }

    fn command(&self) -> Result<(Command, Duration), ActError> {
        let ends = &self.actor.ends;
        let (short, long) = (ends.deadlines.cmdlet, ends.deadlines.mirror);
        Ok(match self.order.action {
            Action::SetPoolState { identity, state } => (cmdlets::set_state(identity, *state), short),
            Action::SetActiveServers { identity, servers } => (cmdlets::set_active(identity, servers), short),
            Action::EstablishMirror { principal, share } => {
                let instance = ends.pool.instance(*principal).ok_or_else(|| ActError::NotSent {
                    target: ends.shell.display(),
                    detail: "the principal is not declared.".into(),
                })?;
                (cmdlets::install_mirror(&instance.host, instance.instance.as_deref(), share), long)
            }
            other => {
                return Err(ActError::NotSent {
                    target: ends.shell.display(),
                    detail: format!("there is no cmdlet for {}.", other.as_ref()),
                });
            }
        })
    }

    /// A session of its own, which nothing else is sent on while the cmdlet runs.
    async fn hold_lock(&self, warrant: &Warrant) -> Result<Kept, ActError> {
        self.send(hold(warrant)).await?;
        let kept = self.actor.kept.lock().await.take();
        kept.ok_or_else(|| {
            self.error(Failure::NotSent("the session that held the pool's lock is gone.".into()))
        })
    }

    /// Whether the lock was held to the end. A connection on which it was can be used further; with any other one the lock ends.
    async fn free_lock(&self, mut lock: Kept, warrant: &Warrant) -> bool {
        let Ok(answer) = lock.connection.ask(&free(warrant), self.actor.ends.deadlines.look).await else {
            return false;
        };
        let held = answer.error.is_none()
            && super::words(&answer, "mode").is_some_and(|mode| mode == "Exclusive")
            && super::number(&answer, "owned") == Some(1);
        if held {
            self.keep(lock.connection, lock.session).await;
        }
        held
    }
}
