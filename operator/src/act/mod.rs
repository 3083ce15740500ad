//! Acting: carries out one action of a plan at the far end.
//!
//! An action is one batch, or one cmdlet under the pool's lock. Each carries its precondition along and is
//! refused where that does not hold. What no answer came for is unknown, never assumed; what is done
//! already is success. Nothing is retried here but what was certainly not carried out.

mod batch;
mod cmdlet;
mod note;
mod restore;
mod sign;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pchat_planner::journal::{Phase, Transition};
use pchat_planner::plan::Action;
use pchat_psrp::Session;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use self::batch::Kept;
use crate::far_end::{ActError, Done, Order, Progress};
use crate::observe::damage::FileTrouble;
use crate::observe::{Clock, Ends, HOME};
use crate::sql::batches::guard::{Warrant, transition_text};
use crate::sql::batches::restore::leave_standby;
use crate::sql::batches::{log_shipping, ownership, recover, sessions};
use crate::sql::connection::{Answer, ServerError};
use crate::sql::explain::{AGENT_REFUSED, ALREADY_RECOVERED, NOT_A_SECONDARY, explain};
use crate::sql::target::Target;

/// How long a request may be on its way before the far end refuses it.
const BUDGET: Duration = Duration::from_secs(30);

/// Carries out actions on the backup instance and in the management shell.
pub struct Actor {
    ends: Arc<Ends>,
    kept: Mutex<Option<Kept>>,
    /// The management session that was opened ahead or that the last cmdlet left, and when.
    shell: Arc<Mutex<Option<(Session, Instant)>>>,
    /// Dropping log shipping got no answer once: its monitor server counts as dead from then on.
    monitor_hangs: AtomicBool,
    /// Files that actions stumbled over since somebody asked.
    troubles: std::sync::Mutex<Vec<FileTrouble>>,
}

/// What an order needs beside itself.
pub struct Situation {
    /// The far end's clock.
    pub clock: Option<Clock>,
    /// Names of declared servers that are silent.
    pub silent_servers: BTreeSet<String>,
}

/// One order on its way.
struct Task<'a> {
    actor: &'a Actor,
    target: &'a Target,
    order: Order<'a>,
    situation: &'a Situation,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Actor {
    /// An actor for these ends.
    pub fn new(ends: Arc<Ends>) -> Self {
        Actor {
            ends,
            kept: Mutex::new(None),
            shell: Arc::default(),
            monitor_hangs: AtomicBool::new(false),
            troubles: std::sync::Mutex::default(),
        }
    }

    fn stumbled(&self, over: impl IntoIterator<Item = FileTrouble>) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).extend(over);
    }

    /// Files that actions stumbled over since this was asked last.
    pub fn troubles(&self) -> Vec<FileTrouble> {
        std::mem::take(&mut *self.troubles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes what it holds open in the management shell.
    pub async fn close(&self) {
        let within = self.ends.deadlines.connect;
        // One that is still being opened, or does not close, is ended by the far end later: nothing depends on it.
        let Ok(mut kept) = timeout(within, self.shell.lock()).await else { return };
        if let Some((session, _)) = kept.take() {
            self.ends.shell.close(session, within).await;
        }
    }

    /// Begins to open the session that the next cmdlets need: a Lync Server takes seconds for it.
    fn open_ahead(&self) {
        let (ends, shell) = (Arc::clone(&self.ends), Arc::clone(&self.shell));
        tokio::spawn(async move {
            let mut kept = shell.lock().await;
            // Whoever needs a session waits for this one, and tries again by himself where there is none.
            if kept.is_none()
                && let Ok(session) = ends.shell.open(ends.deadlines.connect, ends.deadlines.cmdlet).await
            {
                *kept = Some((session, Instant::now()));
            }
        });
    }

    /// Carries out one order.
    pub async fn act(
        &self,
        order: Order<'_>,
        situation: &Situation,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        let target = self.ends.targets.get(&HOME).ok_or_else(|| ActError::NotSent {
            target: "the backup instance".into(),
            detail: "it is not declared.".into(),
        })?;
        Task { actor: self, target, order, situation, progress }.carry_out().await
    }
}

impl Task<'_> {
    async fn carry_out(&self) -> Result<Done, ActError> {
        match self.order.action {
            Action::TakeOwnership { expected, transition, .. } => {
                let text = self.text(transition)?;
                let batch = ownership::take(&self.warrant(BUDGET)?, expected.as_ref(), &text);
                self.send(batch).await?;
                Ok(Done::default())
            }
            Action::QuiesceLogShipping { secondary, transition } => {
                self.set_jobs(*secondary, transition, false).await
            }
            Action::ResumeLogShipping { secondary, transition } => {
                self.set_jobs(*secondary, transition, true).await
            }
            Action::StartCopy { job } => self.start_copy(*job).await,
            Action::ApplyLogs { from, files } => self.apply_logs(*from, files).await,
            Action::FindPosition { files } => self.find_position(files).await,
            Action::LeaveStandby => {
                self.send(leave_standby(&self.warrant(BUDGET)?)).await?;
                Ok(Done::default())
            }
            Action::DisconnectSessions => {
                let answer = self.send(sessions::disconnect(&self.warrant(BUDGET)?)).await?;
                let ended = number(&answer, "ended");
                let note = match ended {
                    Some(ended) => format!("{ended} ended"),
                    None => "how many were ended was not told".into(),
                };
                Ok(Done { note, already: ended == Some(0), ..Done::default() })
            }
            Action::RecoverDatabase { at, source, known, must, transition } => {
                let text = self.text(transition)?;
                // Listing a dead share comes before the clock is read.
                let warrant = self.warrant(BUDGET + self.actor.ends.deadlines.files * 2)?;
                let batch = recover::recover(&warrant, *at, source.as_ref(), known, must.as_deref(), &text);
                self.actor.open_ahead();
                (self.progress)(Progress::Doing("recovery is running".into()));
                let answer = self.send_watched(&batch, &[]).await.map_err(|failure| self.error(failure))?;
                match answer.error {
                    None => Ok(Done::default()),
                    Some(e) if e.number == ALREADY_RECOVERED => Ok(already()),
                    Some(error) => Err(self.error(Failure::Server(error))),
                }
            }
            Action::SetMultiUser => {
                self.send(recover::set_multi_user(&self.warrant(BUDGET)?)).await?;
                Ok(Done::default())
            }
            Action::RemoveLogShipping { secondary, last_restored, transition } => {
                self.remove_log_shipping(*secondary, last_restored.as_deref(), transition).await
            }
            Action::ReleaseOwnership { transition } => {
                let text = self.text(transition)?;
                let warrant = self.warrant(BUDGET)?;
                let batch = match transition.phase {
                    Phase::Closed => ownership::release_delivered(&warrant, &text),
                    _ => ownership::release(&warrant, &text),
                };
                self.send(batch).await?;
                Ok(Done::default())
            }
            Action::SetPoolState { .. }
            | Action::SetActiveServers { .. }
            | Action::EstablishMirror { .. } => self.run_cmdlet().await,
        }
    }

    async fn set_jobs(
        &self,
        secondary: uuid::Uuid,
        transition: &Transition,
        enabled: bool,
    ) -> Result<Done, ActError> {
        let text = self.text(transition)?;
        self.send(log_shipping::set_jobs(&self.warrant(BUDGET)?, secondary, &text, enabled)).await?;
        Ok(Done::default())
    }

    async fn start_copy(&self, job: uuid::Uuid) -> Result<Done, ActError> {
        match self.try_send(&log_shipping::start_copy(&self.warrant(BUDGET)?, job)).await {
            Ok(answer) => Ok(Done {
                already: number(&answer, "running_before").is_some_and(|n| n > 0),
                ..Done::default()
            }),
            // Agent is not running, or the job runs already: either way nothing more can come of asking, and
            // copying is no condition of anything. What is not copied is read on the share.
            Err(Failure::Server(e)) if e.number == AGENT_REFUSED => Ok(Done {
                note: format!("SQL Server Agent did not start it (error {}: {})", e.number, e.message.trim()),
                ..Done::default()
            }),
            Err(failure) => Err(self.error(failure)),
        }
    }

    async fn remove_log_shipping(
        &self,
        secondary: uuid::Uuid,
        last_restored: Option<&str>,
        transition: &Transition,
    ) -> Result<Done, ActError> {
        let text = self.text(transition)?;
        let mut down = String::from("|");
        for name in &self.situation.silent_servers {
            down.push_str(name);
            down.push('|');
        }
        let hangs = self.actor.monitor_hangs.load(Ordering::Relaxed);
        let batch =
            log_shipping::remove(&self.warrant(BUDGET)?, secondary, last_restored, &text, &down, hangs);
        match self.try_send(&batch).await {
            Ok(answer) => {
                let monitor = words(&answer, "monitor_server").unwrap_or_default();
                let note = match number(&answer, "monitor_ignored") {
                    Some(0) => String::new(),
                    Some(_) => format!("rows are left behind on the monitor server {monitor}"),
                    None => {
                        format!("whether rows are left behind on the monitor server {monitor} was not told")
                    }
                };
                Ok(Done { note, ..Done::default() })
            }
            Err(Failure::Server(e)) if e.number == NOT_A_SECONDARY => Ok(already()),
            Err(failure) => {
                let monitor = match &failure {
                    Failure::Unknown(_) => true,
                    Failure::Server(e) => matches!(e.number, 32_054 | 32_055 | 7_202 | 7_399),
                    _ => false,
                };
                self.actor.monitor_hangs.fetch_or(monitor, Ordering::Relaxed);
                Err(self.error(failure))
            }
        }
    }

    fn warrant(&self, budget: Duration) -> Result<Warrant, ActError> {
        let now = self.situation.clock.and_then(|c| c.now());
        let not_after =
            now.and_then(|now| now.checked_add(budget).ok()).ok_or_else(|| ActError::NotSent {
                target: self.object(),
                detail: "its clock is not known: it has not answered yet.".into(),
            })?;
        Ok(Warrant {
            database: self.actor.ends.pool.database.clone(),
            epoch: self.order.epoch.clone(),
            executor: self.order.executor.to_owned(),
            not_after,
        })
    }

    fn text(&self, transition: &Transition) -> Result<String, ActError> {
        transition_text(transition)
            .map_err(|why| ActError::NotSent { target: self.object(), detail: format!("{why}.") })
    }

    /// `mgc on host\instance`.
    fn object(&self) -> String {
        format!("{} on {}", self.actor.ends.pool.database, self.target.display)
    }

    fn error(&self, failure: Failure) -> ActError {
        let target = self.object();
        match failure {
            Failure::NotSent(detail) => ActError::NotSent { target, detail },
            Failure::Unknown(detail) => ActError::OutcomeUnknown { target, detail },
            Failure::Server(error) => match error.refusal() {
                Some(refusal) => ActError::Refused { target, refusal },
                None => {
                    let mut told = explain(&error);
                    told.what = self.target.credentials.hide(&told.what);
                    let code = error.number.to_string();
                    ActError::Failed { target, code, what: told.what, remedy: told.remedy }
                }
            },
        }
    }
}

/// Why a batch did not succeed.
enum Failure {
    /// There was no connection.
    NotSent(String),
    /// There was no answer.
    Unknown(String),
    /// The server reported this error first.
    Server(ServerError),
}

fn already() -> Done {
    Done { already: true, ..Done::default() }
}

fn number(answer: &Answer, column: &str) -> Option<i64> {
    let set = answer.sets.iter().find(|s| s.has(column))?;
    set.rows().first()?.int(column).ok().flatten()
}

fn words(answer: &Answer, column: &str) -> Option<String> {
    let set = answer.sets.iter().find(|s| s.has(column))?;
    set.rows().first()?.text(column).ok().flatten()
}
