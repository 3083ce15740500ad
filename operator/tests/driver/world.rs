//! Far ends in memory that carry out what the planner's actions say, and fail on order.
//!
//! Only as much of a world as the driver can notice; what a far end really does is tried over the wire against the
//! lab, and every interleaving of it in the planner's model.

use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use pchat_operator::far_end::{ActError, Applied, Done, FarEnd, Freshness, Order, Progress, Sign, Turn};
use pchat_operator::reconcile::{Driver, Interrupt, Keeper, Outcome, Settings, StateFile, interrupts};
use pchat_operator::report::{Report, Silent};
use pchat_operator::sql::refusal::{Refusal, RefusalCode};
use pchat_planner::facts::*;
use pchat_planner::journal::{Epoch, Note, Owner, Transition};
use pchat_planner::lsn::Position;
use pchat_planner::plan::{Action, StepId};
use tokio::sync::{Notify, Semaphore};

use crate::common::{self, B, BM, Case, known, on, state_of, t, wall};

thread_local! {
    static SECONDS: Cell<i64> = const { Cell::new(1001) };
}

/// The test's clock: it stands still but for what the world's actions take.
pub fn now() -> Timestamp {
    t(SECONDS.get())
}

/// Lets time pass.
pub fn pass(seconds: i64) {
    SECONDS.set(SECONDS.get() + seconds);
}

/// What goes wrong, and at which action (counted from one over all runs of the world).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The executor dies before the far end hears of it.
    KillBefore,
    /// The executor dies after the effect.
    KillAfter,
    /// The reply is lost after the effect.
    LostReply,
    /// The request is lost, and nobody knows.
    LostRequest,
    /// There is no connection.
    NotSent,
    /// The far end says no.
    Fails,
    /// Somebody presses Ctrl-C while it runs.
    Interrupt,
}

/// Something that happens to the world by itself.
pub type Change = Box<dyn FnMut(&mut Case, usize) + Send>;

/// Everything behind the far ends.
pub struct World {
    case: Mutex<Case>,
    sent: Mutex<Vec<StepId>>,
    fault: Mutex<Option<(usize, Fault)>>,
    /// Runs at each news, with the number of it.
    pub on_news: Mutex<Option<Change>>,
    /// What the looks at hand show of everything but the backup instance itself, until newer ones are demanded.
    pub at_hand: Mutex<Option<Facts>>,
    /// How many may act at a time, if not all.
    pub acts: Option<Arc<Semaphore>>,
    news: Mutex<usize>,
    killed: Notify,
    interrupter: Mutex<Option<pchat_operator::reconcile::Interrupter>>,
}

impl World {
    /// A world in this state.
    pub fn new(case: Case) -> Self {
        World {
            case: Mutex::new(case),
            sent: Mutex::new(Vec::new()),
            fault: Mutex::new(None),
            on_news: Mutex::new(None),
            at_hand: Mutex::new(None),
            acts: None,
            news: Mutex::new(0),
            killed: Notify::new(),
            interrupter: Mutex::new(None),
        }
    }

    /// From now on `fault` happens at the `n`th action.
    pub fn at(self, n: usize, fault: Fault) -> Self {
        *self.fault.lock().expect("no panic") = Some((n, fault));
        self
    }

    /// What is.
    pub fn case(&self) -> MutexGuard<'_, Case> {
        self.case.lock().expect("no panic")
    }

    /// From now on, what is now is known from looks at hand, until a run demands newer ones.
    pub fn keep_looks(&self) {
        let facts = self.looked(self.case().facts.clone());
        *self.at_hand.lock().expect("no panic") = Some(facts);
    }

    /// Facts from looks that began just now.
    fn looked(&self, mut facts: Facts) -> Facts {
        for (id, instance) in &mut facts.instances {
            instance.at = now();
            if let Fact::Known { value, at, .. } = &mut instance.state {
                *at = now();
                value.clock = now();
                assert!(*id != B || value.journal_damage.is_none());
            }
        }
        facts
    }

    /// The steps of which actions were sent, in order.
    pub fn sent(&self) -> Vec<StepId> {
        self.sent.lock().expect("no panic").clone()
    }

    /// One run of an executor against it; `None`: it was killed.
    pub async fn run(&self, name: &str) -> Option<Outcome> {
        self.run_with(name, &Silent, None, &[], Duration::ZERO).await
    }

    /// One run, told to `report`.
    pub async fn run_with(
        &self,
        name: &str,
        report: &dyn Report,
        file: Option<StateFile>,
        approvals: &[String],
        stay: Duration,
    ) -> Option<Outcome> {
        let pool = self.case().pool.clone();
        let (keeper, notice) = Keeper::open(file, &pool, name, approvals, now());
        if let Some(notice) = notice {
            report.notice(&notice);
        }
        let interrupt = self.interrupt();
        let settings = Settings { stay, clock: now, ..Settings::default() };
        let driver = Driver::new(&pool, self, &pchat_planner::plan, report, interrupt, settings, keeper);
        tokio::select! {
            outcome = driver.run() => Some(outcome),
            () = self.killed.notified() => None,
        }
    }

    /// Asks the run that goes on to stop.
    pub fn ask_to_stop(&self) {
        if let Some(interrupter) = self.interrupter.lock().expect("no panic").as_ref() {
            interrupter.ask();
        }
    }

    fn interrupt(&self) -> Interrupt {
        let (interrupter, interrupt) = interrupts();
        *self.interrupter.lock().expect("no panic") = Some(interrupter);
        interrupt
    }

    fn carry_out(&self, order: Order<'_>) -> Result<Done, ActError> {
        let mut case = self.case();
        let refuse = |code| {
            let refusal = Refusal { code, words: String::new() };
            Err(ActError::Refused { target: r"mgc on sql-ks1.contoso.com\PCHAT".into(), refusal })
        };
        let owner = case.b().journal.owner.as_ref().map(|owner| owner.epoch.clone());
        let own = |transition: &Transition, case: &mut Case| {
            case.b().journal.transition = Some(transition.clone());
        };
        let mut done = Done::default();
        if let Action::TakeOwnership { expected, epoch, transition } = order.action {
            if owner != *expected {
                return refuse(RefusalCode::Fenced);
            }
            case.b().journal.owner = Some(Owner {
                epoch: epoch.clone(),
                executor: order.executor.into(),
                mark: now(),
                ended: false,
            });
            own(transition, &mut case);
            return Ok(done);
        }
        if owner.as_ref() != Some(order.epoch) {
            return refuse(RefusalCode::Fenced);
        }
        match order.action {
            Action::TakeOwnership { .. } => {}
            Action::QuiesceLogShipping { transition, .. } | Action::ResumeLogShipping { transition, .. } => {
                own(transition, &mut case);
                let enabled = matches!(order.action, Action::ResumeLogShipping { .. });
                if let Some(secondary) = case.b().secondary.as_mut() {
                    common::jobs(secondary).for_each(|job| job.enabled = Some(enabled));
                }
            }
            Action::StartCopy { .. } => {
                let files = case.files();
                files.files.values_mut().for_each(|file| file.in_folder.clone_from(&file.on_share));
                files.folder = files.share.clone();
            }
            Action::ApplyLogs { from, files } => {
                if case.db().position != Ok(*from) {
                    return refuse(RefusalCode::Position);
                }
                for file in files {
                    let at = Position { lsn: file.last_lsn, fork: from.fork };
                    case.db().position = Ok(at);
                    case.db().last_restored = Some(RestoredBackup {
                        file: file.path.clone(),
                        last_lsn: file.last_lsn,
                        fork: from.fork,
                        started: wall(t(file.last_lsn.0 as i64)),
                        zone: Some(jiff::tz::Offset::UTC),
                    });
                    done.applied.push(Applied {
                        name: file.name.clone(),
                        last_lsn: file.last_lsn,
                        from_fallback: false,
                    });
                }
            }
            Action::FindPosition { .. } | Action::LeaveStandby => return refuse(RefusalCode::Position),
            Action::DisconnectSessions => case.b().sessions.clear(),
            Action::RecoverDatabase { at, transition, .. } => {
                if case.db().position != Ok(*at) {
                    return refuse(RefusalCode::Position);
                }
                own(transition, &mut case);
                let lsn = at.lsn;
                *case = case.clone().online(lsn.0);
            }
            Action::SetMultiUser => case.db().user_access = UserAccess::Multi,
            Action::SetPoolState { identity, state } => {
                case.facts.shell.pool_state = known((identity.clone(), *state));
            }
            Action::SetActiveServers { identity, servers } => {
                let servers: Vec<String> = servers.iter().map(|server| server.to_lowercase()).collect();
                case.facts.shell.servers = known(Servers {
                    identity: identity.clone(),
                    active: servers.clone(),
                    inactive: Vec::new(),
                });
                case.facts.shell.replicated =
                    known(servers.iter().map(|server| (server.clone(), true)).collect());
                case.b().sessions = (51..)
                    .zip(&servers)
                    .map(|(id, host)| Session {
                        id,
                        host: host.split('.').next().unwrap_or_default().to_uppercase(),
                        program: "Persistent Chat".into(),
                        login: "chat".into(),
                    })
                    .collect();
            }
            Action::EstablishMirror { .. } => {
                case.db().mirroring = on(Role::Principal);
                let mut mirror = common::database(DatabaseState::Restoring);
                mirror.mirroring = on(Role::Mirror);
                let facts = case.facts.instances.get_mut(&BM).expect("the backup's mirror");
                state_of(facts).database = Some(mirror);
            }
            Action::RemoveLogShipping { transition, .. } => {
                own(transition, &mut case);
                case.b().secondary = None;
            }
            Action::ReleaseOwnership { transition } => {
                own(transition, &mut case);
                case.b().journal.owner = None;
            }
        }
        Ok(done)
    }
}

impl FarEnd for World {
    async fn turn(&self) -> Turn {
        let Some(acts) = &self.acts else { return Turn::default() };
        let waited = acts.available_permits() == 0;
        Turn { waited, permit: Some(Arc::clone(acts).acquire_owned().await.expect("open")) }
    }

    async fn observe(&self, demand: Freshness) -> Facts {
        let facts = self.looked(self.case().facts.clone());
        let mut at_hand = self.at_hand.lock().expect("no panic");
        let Some(mut older) = at_hand.clone() else { return facts };
        if demand.others.is_some() {
            // Asked for in every doubt; the test's runs have no other reason to.
            *at_hand = None;
            return facts;
        }
        older.instances.insert(B, facts.instances[&B].clone());
        older
    }

    async fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        let number = {
            let mut sent = self.sent.lock().expect("no panic");
            sent.push(order.step);
            sent.len()
        };
        let fault = self.fault.lock().expect("no panic").filter(|(at, _)| *at == number).map(|(_, f)| f);
        let target = r"mgc on sql-ks1.contoso.com\PCHAT".to_owned();
        let unknown =
            || ActError::OutcomeUnknown { target: target.clone(), detail: "The reply was lost.".into() };
        pass(2);
        progress(Progress::Doing("working".into()));
        match fault {
            Some(Fault::KillBefore) => {
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(Fault::LostRequest) => Err(unknown()),
            Some(Fault::NotSent) => {
                Err(ActError::NotSent { target, detail: "The connection was refused.".into() })
            }
            Some(Fault::Fails) => Err(ActError::Failed {
                target,
                code: "3201".into(),
                what: "Cannot open backup device (error 3201).".into(),
                remedy: "Give the SQL Server account the right to read it.".into(),
            }),
            Some(Fault::Interrupt) => {
                self.ask_to_stop();
                self.carry_out(order)
            }
            Some(Fault::KillAfter) => {
                self.carry_out(order)?;
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(Fault::LostReply) => {
                self.carry_out(order)?;
                Err(unknown())
            }
            None => self.carry_out(order),
        }
    }

    async fn sign(&self, sign: Sign, epoch: &Epoch, _: &str) -> Result<(), ActError> {
        let mut case = self.case();
        if let Some(owner) = case.b().journal.owner.as_mut().filter(|owner| owner.epoch == *epoch) {
            (owner.mark, owner.ended) = (now(), sign == Sign::Ended);
        }
        Ok(())
    }

    async fn note(&self, note: &Note, _: &str) -> Result<(), String> {
        self.case().b().journal.silence = match note {
            Note::Keep { silence, .. } => Some(silence.clone()),
            Note::Forget(_) => None,
        };
        Ok(())
    }

    async fn news(&self, at_most: Duration) {
        // As long as the driver asks for; the test's time stands still, so that it costs none.
        tokio::time::sleep(at_most).await;
        let number = {
            let mut news = self.news.lock().expect("no panic");
            *news += 1;
            *news
        };
        pass(1);
        if let Some(change) = self.on_news.lock().expect("no panic").as_mut() {
            change(&mut self.case(), number);
        }
    }
}

/// Where a report is written to.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    /// What stands on it.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
