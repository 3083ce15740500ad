//! Observing: turns what the far ends answer into facts.
//!
//! The backup instance, where everything happens, is asked in the pass itself: one round trip. Everything
//! else (the other instances, share and folder with the headers, the management shell) is looked at in the
//! background, so that a dead server or share costs the pass nothing. Nothing here decides.

pub mod background;
pub mod backups;
pub mod damage;
mod growth;
pub mod headers;
mod home;
mod lookers;
pub mod probe;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use pchat_planner::facts::{Backups, Contact, Fact, Facts, InstanceFacts, ShellFacts};
use pchat_planner::pool::{BACKUP, InstanceId, Pool};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

use self::background::{Attention, Background, Pace};
use self::backups::{Place, Twins, Which, both};
use self::damage::FileTrouble;
use self::growth::Growth;
use self::home::Home;
use self::lookers::{Instance, PlaceLooks, PlaceSeen, ShellLooks, Troubles, same_instance};
use self::probe::Series;
use crate::far_end::Freshness;
use crate::powershell::Shell;
use crate::powershell::look::{Memory as ShellMemory, Part};
use crate::sql::target::{Deadlines, Target};

/// The instance on which a forced failover happens.
pub const HOME: InstanceId = BACKUP;

/// The longest pause between two looks at the shell: it keeps the session from being closed for idleness. A new one costs
/// the shell's host seconds.
const SHELL: Duration = Duration::from_secs(15);

/// Everything that observing needs to know.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The pool as declared.
    pub pool: Pool,
    /// Each declared instance.
    pub targets: BTreeMap<InstanceId, Arc<Target>>,
    /// The management shell.
    pub shell: Shell,
    /// How long things may take.
    pub deadlines: Deadlines,
}

impl Ends {
    /// A person wants refused logins to be tried again now.
    pub fn lift_brakes(&self) {
        self.targets.values().for_each(|target| target.credentials.brake.lift());
        self.shell.brake.lift();
    }
}

/// The far end's clock, as it was told with the latest state.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    told: Timestamp,
    heard: Instant,
}

impl Clock {
    /// What it shows now, at most (the answer's way here makes it a little early).
    pub fn now(&self) -> Option<Timestamp> {
        let since = jiff::SignedDuration::try_from(self.heard.elapsed()).ok()?;
        self.told.checked_add(since).ok()
    }
}

/// For so long a pass waits for looks that are under way, before it goes on with what is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// No look takes longer: each has deadlines of its own.
const LONGEST: Duration = Duration::from_secs(3600);

/// What was demanded so far. What is older is not there.
#[derive(Default)]
struct Demand {
    floor: Freshness,
    /// Until when a pass waits for it; nothing before the first pass.
    until: Option<Instant>,
}

/// Share and folder together, as they were put together last.
#[derive(Default)]
struct Together {
    /// When the looks began: at the share, at the folder.
    when: [Option<Timestamp>; 2],
    backups: Option<Backups>,
    growth: Growth,
}

/// Looks at everything, again and again.
pub struct Observer {
    ends: Arc<Ends>,
    home: Home,
    others: BTreeMap<InstanceId, Background<InstanceFacts>>,
    share: Background<Option<PlaceSeen>>,
    folder: Background<Option<PlaceSeen>>,
    together: Lock<Together>,
    /// What actions stumbled over and the next looks at the share and at the folder take in.
    troubles: [Troubles; 2],
    shell: Background<ShellFacts>,
    shell_part: watch::Sender<Part>,
    shell_memory: Arc<Mutex<ShellMemory>>,
    attention: Attention,
    demand: Lock<Demand>,
    /// How much news there was when the latest pass began.
    heard: AtomicU64,
}

impl Observer {
    /// Begins to look. Must be called within a tokio runtime; ends when dropped.
    pub fn start(ends: Arc<Ends>) -> Self {
        let attention = Attention::default();
        let seconds = Duration::from_secs;
        let often = Pace { least: seconds(2), most: seconds(2), rest: None };
        let others = ends
            .targets
            .iter()
            .filter(|(id, _)| **id != HOME)
            .map(|(id, target)| {
                let (ends, target) = (Arc::clone(&ends), Arc::clone(target));
                let looker = Instance { ends, target, connection: None, series: Series::default() };
                (*id, Background::start(looker, often, &attention))
            })
            .collect();
        let (wanted, read) = watch::channel(None);
        let twins = Twins::default();
        let troubles: [Troubles; 2] = Default::default();
        let files_pace = Pace { least: Duration::from_millis(500), most: seconds(5), rest: None };
        let place = |which, troubles: &Troubles| {
            let (ends, wanted, place) = (Arc::clone(&ends), read.clone(), Place::new(Arc::clone(&twins)));
            let troubles = Arc::clone(troubles);
            Background::start(PlaceLooks { ends, wanted, which, place, troubles }, files_pace, &attention)
        };
        let shell_memory = Arc::default();
        let (shell_part, part) = watch::channel(Part::All);
        let shell = ShellLooks { ends: Arc::clone(&ends), memory: Arc::clone(&shell_memory), part };
        let shell_pace = Pace { least: Duration::from_millis(100), most: SHELL, rest: Some(SHELL) };
        let home = Home::new(&ends, wanted, &attention);
        Observer {
            share: place(Which::Share, &troubles[0]),
            folder: place(Which::Folder, &troubles[1]),
            troubles,
            shell: Background::start(shell, shell_pace, &attention),
            together: Lock::default(),
            shell_part,
            shell_memory,
            home,
            ends,
            others,
            attention,
            demand: Lock::default(),
            heard: AtomicU64::new(0),
        }
    }

    /// Reads the facts. What is not as new as was demanded, now or earlier, and does not come in a moment, is pending.
    pub async fn observe(&self, freshness: Freshness) -> Facts {
        self.heard.store(*self.attention.news.borrow(), Ordering::Relaxed);
        let (floor, until) = self.demanded(freshness);
        let others = async {
            let looked = self.others.iter().map(|(id, looks)| async move {
                let since = if id.side == HOME.side { floor.mirror } else { floor.others };
                let shown = looks.look_for(|at, _| since.is_none_or(|since| at >= since), until).await;
                let seen = shown.latest.filter(|_| shown.enough).map(|(_, seen)| seen);
                (*id, seen.unwrap_or_else(|| self.being_asked(*id, shown.begun)))
            });
            join_all(looked).await
        };
        let here = async {
            let home = self.look_home().await;
            let backups = self.backups(&home, floor.backups, until).await;
            (home, backups)
        };
        let ((home, backups), others, shell) = tokio::join!(here, others, self.look_shell(floor, until));
        let mut instances: BTreeMap<_, _> = others.into_iter().collect();
        instances.insert(HOME, home);
        Facts { instances, backups, shell }
    }

    /// What was demanded in all, and until when this pass waits for it.
    fn demanded(&self, freshness: Freshness) -> (Freshness, Instant) {
        let mut demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if freshness != Freshness::LATEST || demand.until.is_none() {
            let patience = if freshness.patient { LONGEST } else { PATIENCE };
            demand.until = Some(now + patience);
        }
        demand.floor = demand.floor.and(Freshness { patient: false, ..freshness });
        (demand.floor, demand.until.unwrap_or(now))
    }

    /// An instance that has not answered yet, or not since that was demanded.
    fn being_asked(&self, id: InstanceId, since: Timestamp) -> InstanceFacts {
        let target = self.ends.targets.get(&id);
        let source = target.map(|t| t.display.clone()).unwrap_or_default();
        InstanceFacts {
            contact: Contact::Pending { since },
            at: since,
            login: target.map(|t| t.credentials.shown.clone()).unwrap_or_default(),
            state: Fact::Pending { source, since },
        }
    }

    /// The shell's facts, with those parts read anew that are demanded.
    async fn look_shell(&self, floor: Freshness, until: Instant) -> ShellFacts {
        let Freshness { shell, pool_state, servers, .. } = floor;
        let new = |at: Timestamp, since: Option<Timestamp>| since.is_none_or(|since| at >= since);
        let state_new = |facts: &ShellFacts| new(facts.pool_state.at(), shell.max(pool_state));
        let servers_new = |facts: &ShellFacts| {
            new(facts.servers.at(), shell.max(servers)) && new(facts.replicated.at(), shell.max(servers))
        };
        let rest_new = |at, facts: &ShellFacts| new(at, shell) && new(facts.store_writable.at(), shell);
        // Each cmdlet takes its time: only what is not new enough is asked for.
        let part = match self.shell.latest_at() {
            Some((at, facts)) if rest_new(at, &facts) => match (state_new(&facts), servers_new(&facts)) {
                (false, true) => Part::PoolState,
                (true, false) => Part::Servers,
                _ => Part::All,
            },
            _ => Part::All,
        };
        self.shell_part.send_replace(part);
        let enough = |at, facts: &ShellFacts| {
            let parts = [&facts.pool_state.pending(), &facts.servers.pending(), &facts.replicated.pending()];
            rest_new(at, facts)
                && state_new(facts)
                && servers_new(facts)
                && parts.iter().all(|part| part.is_none())
                && !facts.store_writable.is_pending()
        };
        let shown = self.shell.look_for(enough, until).await;
        let since = shown.begun;
        let Some((at, mut facts)) = shown.latest else {
            return self.ends.shell.pending(since);
        };
        if !shown.enough {
            let display = self.ends.shell.display();
            fn older<T>(fact: &mut Fact<T>, old: bool, source: &str, since: Timestamp) {
                if old {
                    *fact = Fact::Pending { source: source.to_owned(), since };
                }
            }
            let (old_state, old_servers) = (!state_new(&facts), !servers_new(&facts));
            let old_store = !new(facts.store_writable.at(), shell);
            older(&mut facts.pool_state, old_state, &display, since);
            older(&mut facts.servers, old_servers, &display, since);
            older(&mut facts.replicated, old_servers, &display, since);
            older(&mut facts.store_writable, old_store, &display, since);
            if !new(at, shell) {
                facts.contact = Contact::Pending { since };
            }
        }
        facts
    }

    /// Tells what an action stumbled over: the next looks at the files ask them anew.
    pub fn stumbled(&self, over: &[FileTrouble]) {
        for troubles in &self.troubles {
            troubles.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(over);
        }
    }

    /// Returns when something has changed since the latest pass, at the latest after `at_most`.
    pub async fn news(&self, at_most: Duration) {
        self.rouse();
        let before = self.home.known().lock().await.latest.clone();
        let heard = self.heard.load(Ordering::Relaxed);
        let mut news = self.attention.news.subscribe();
        let changes = async {
            let mut pause = Duration::from_millis(100);
            loop {
                tokio::select! {
                    _ = news.wait_for(|count| *count != heard) => return,
                    () = sleep(pause) => {}
                }
                match self.home.left_over().await {
                    // Its answer is for the next pass.
                    Some(true) => return,
                    Some(false) => continue,
                    None => {}
                }
                let now = self.look_home().await;
                if !before.as_ref().is_some_and(|b| same_instance(b, &now)) {
                    return;
                }
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        };
        let _ = timeout(at_most, changes).await;
    }

    /// Leaves the pool at rest: until something is done or waited for, nobody looks who is not asked to, and what the looks
    /// left open is closed. The shell's session stays, without a connection.
    pub async fn rest(&self) {
        self.attention.rest.send_replace(true);
        self.home.known().lock().await.connection = None;
    }

    /// Ends the rest.
    pub fn rouse(&self) {
        self.attention.rest.send_if_modified(std::mem::take);
    }

    /// Ends the looks and closes what they hold open at the far ends.
    pub async fn close(self) {
        let Observer { shell, shell_memory, ends, .. } = self;
        drop(shell);
        shell_memory.lock().await.close(&ends.shell, ends.deadlines.connect).await;
    }

    /// The far end's clock, once it was heard.
    pub async fn clock(&self) -> Option<Clock> {
        self.home.known().lock().await.clock
    }

    /// Names by which a silent instance may be registered as a monitor server.
    pub fn silent_servers(&self) -> BTreeSet<String> {
        let silent = |looks: &Background<InstanceFacts>| {
            looks.latest().is_some_and(|f| matches!(f.contact, Contact::Silent { .. }))
        };
        let mut names = BTreeSet::new();
        for id in self.others.iter().filter(|(_, looks)| silent(looks)).map(|(id, _)| *id) {
            let Some(instance) = self.ends.pool.instance(id) else { continue };
            let short = instance.host.split('.').next().unwrap_or_default();
            for host in [instance.host.as_str(), short] {
                names.insert(match &instance.instance {
                    Some(name) => format!("{host}\\{name}"),
                    None => host.to_owned(),
                });
            }
        }
        names
    }

    async fn look_home(&self) -> InstanceFacts {
        self.home.look().await.unwrap_or_else(|since| self.being_asked(HOME, since))
    }

    /// What was asked of the backup instance before now is of no interest: something is being done there.
    pub async fn forget_home(&self) {
        self.home.forget().await;
    }

    async fn backups(&self, home: &InstanceFacts, since: Option<Timestamp>, until: Instant) -> Fact<Backups> {
        let at = Timestamp::now();
        let source = "share and copy folder".to_owned();
        if let Some((_, since)) = home.state.pending() {
            return Fact::Pending { source, since };
        }
        let wanted = self.home.wanted().filter(|_| home.state.value().is_some());
        let Some(wanted) = wanted else {
            let why = match home.state.why() {
                Some(why) => why.to_owned(),
                None => {
                    "log shipping is gone, and share and folder are neither recorded nor declared".to_owned()
                }
            };
            return Fact::Unknown { why, source, at };
        };
        // The look must have been for these places, not for those of an earlier state.
        let enough = |_: Timestamp, seen: &Option<PlaceSeen>| {
            seen.as_ref().is_some_and(|seen| {
                seen.source == wanted.source && since.is_none_or(|since| seen.at >= since)
            })
        };
        let (share, folder) =
            tokio::join!(self.share.look_for(enough, until), self.folder.look_for(enough, until));
        let begun = [share.begun, folder.begun];
        let [share, folder] = [share, folder].map(|shown| shown.latest.filter(|_| shown.enough)?.1);
        let when = [&share, &folder].map(|seen| seen.as_ref().map(|seen| seen.at));
        let mut together = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        let together = &mut *together;
        let known = together.backups.as_ref().filter(|known| known.source == wanted.source);
        let value = match known.filter(|_| together.when == when && !when.contains(&None)) {
            Some(known) => known.clone(),
            None => {
                let shown = |seen: &Option<PlaceSeen>, path: &str, since| match seen {
                    Some(seen) => seen.names.clone(),
                    None => Fact::Pending { source: path.to_owned(), since },
                };
                let names = [
                    shown(&share, &wanted.source.share, begun[0]),
                    shown(&folder, &wanted.source.folder, begun[1]),
                ];
                let nothing = BTreeMap::new();
                let headers =
                    [&share, &folder].map(|seen| seen.as_ref().map_or(&nothing, |seen| &*seen.headers));
                let mut backups = both(&wanted.source, names, headers);
                let seen = || [&share, &folder].into_iter().flatten();
                backups.restless = seen().filter_map(|seen| seen.restless).min();
                backups.damaged = seen().flat_map(|seen| seen.damaged.iter().cloned()).collect();
                let began = when[0].unwrap_or(at);
                let database = &self.ends.pool.database;
                backups.grown = together.growth.take(&backups, database, began, Timestamp::now());
                together.when = when;
                together.backups = Some(backups.clone());
                backups
            }
        };
        let source = format!("{} and {}", wanted.source.share, wanted.source.folder);
        // A place that is still being listed says so by itself.
        let looked = when.into_iter().flatten().min();
        Fact::Known { value, source, at: looked.unwrap_or(begun[0].min(begun[1])) }
    }
}
