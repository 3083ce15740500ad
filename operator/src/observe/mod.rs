//! Observing: turns what the far ends answer into facts.
//!
//! The backup instance, where everything happens, is asked in the pass itself: one round trip. Everything
//! else (the other instances, share and folder with the headers, the management shell) is looked at in the
//! background, so that a dead server or share costs the pass nothing. Nothing here decides.

pub mod background;
pub mod backups;
mod growth;
pub mod headers;
pub mod probe;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use pchat_planner::facts::{
    Backups, Contact, Fact, Facts, InstanceFacts, InstanceState, Secondary, ShellFacts,
};
use pchat_planner::pool::{InstanceId, LogSource, Partner, Pool, Side};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

use self::background::{Attention, Background, Looker, Pace};
use self::backups::{Memory, Wanted};
use self::probe::{Look, Series, look};
use crate::far_end::Freshness;
use crate::powershell::Shell;
use crate::powershell::look::{Memory as ShellMemory, Part};
use crate::sql::connection::Connection;
use crate::sql::target::{Deadlines, Target};

/// The instance on which a forced failover happens.
pub const HOME: InstanceId = InstanceId::new(Side::Backup, Partner::Database);

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

#[derive(Default)]
struct Home {
    connection: Option<Connection>,
    series: Series,
    clock: Option<Clock>,
    latest: Option<InstanceFacts>,
}

/// Looks at everything, again and again.
pub struct Observer {
    ends: Arc<Ends>,
    home: Mutex<Home>,
    others: BTreeMap<InstanceId, Background<InstanceFacts>>,
    wanted: watch::Sender<Option<Wanted>>,
    files: Background<Option<FilesSeen>>,
    shell: Background<ShellFacts>,
    shell_part: watch::Sender<Part>,
    shell_memory: Arc<Mutex<ShellMemory>>,
    attention: Attention,
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
        let files = Files { ends: Arc::clone(&ends), wanted: read, memory: Memory::default() };
        let shell_memory = Arc::default();
        let (shell_part, part) = watch::channel(Part::All);
        let shell = ShellLooks { ends: Arc::clone(&ends), memory: Arc::clone(&shell_memory), part };
        let files_pace = Pace { least: Duration::from_millis(500), most: seconds(5), rest: None };
        let shell_pace = Pace { least: Duration::from_millis(100), most: SHELL, rest: Some(SHELL) };
        Observer {
            files: Background::start(files, files_pace, &attention),
            shell: Background::start(shell, shell_pace, &attention),
            shell_part,
            shell_memory,
            home: Mutex::new(Home::default()),
            ends,
            others,
            wanted,
            attention,
        }
    }

    /// Reads the facts, as new as demanded.
    pub async fn observe(&self, freshness: Freshness) -> Facts {
        let others = async {
            let mut instances = BTreeMap::new();
            let looked = self.others.iter().map(|(id, looks)| async move {
                let since = if id.side == HOME.side { freshness.mirror } else { freshness.others };
                Some((*id, looks.look(since).await?))
            });
            for (id, seen) in join_all(looked).await.into_iter().flatten() {
                instances.insert(id, seen);
            }
            instances
        };
        let here = async {
            let home = self.look_home().await;
            let backups = self.backups(&home, freshness.backups).await;
            (home, backups)
        };
        let shell = self.look_shell(freshness);
        let ((home, backups), mut instances, shell) = tokio::join!(here, others, shell);
        instances.insert(HOME, home);
        let shell =
            shell.unwrap_or_else(|| self.ends.shell.unknown("the look was given up", Timestamp::now()));
        Facts { instances, backups, shell }
    }

    /// The shell's facts, with those parts read anew that are demanded.
    async fn look_shell(&self, freshness: Freshness) -> Option<ShellFacts> {
        let Freshness { shell, pool_state, servers, .. } = freshness;
        let part = match (shell, pool_state, servers) {
            (None, None, None) => return self.shell.look(None).await,
            (None, Some(_), None) => Part::PoolState,
            (None, None, Some(_)) => Part::Servers,
            _ => Part::All,
        };
        self.shell_part.send_replace(part);
        let new = |at: Timestamp, since: Option<Timestamp>| since.is_none_or(|since| at >= since);
        self.shell
            .look_for(|at, facts| {
                new(at, shell)
                    && new(facts.pool_state.at(), shell.max(pool_state))
                    && new(facts.servers.at(), shell.max(servers))
                    && new(facts.replicated.at(), shell.max(servers))
                    && new(facts.store_writable.at(), shell)
            })
            .await
    }

    /// Returns when something has changed, at the latest after `at_most`.
    pub async fn news(&self, at_most: Duration) {
        self.rouse();
        let before = self.home.lock().await.latest.clone();
        let changes = async {
            let mut pause = Duration::from_millis(100);
            loop {
                tokio::select! {
                    () = self.attention.news.notified() => return,
                    () = sleep(pause) => {}
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
        self.home.lock().await.connection = None;
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
        self.home.lock().await.clock
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
        let mut home = self.home.lock().await;
        let home = &mut *home;
        let at = Timestamp::now();
        let Some(target) = self.ends.targets.get(&HOME) else {
            let why = "the backup instance is not declared".to_owned();
            let state = Fact::Unknown { why: why.clone(), source: "manifest".into(), at };
            let contact = Contact::Unusable { detail: why };
            return InstanceFacts { contact, at, login: String::new(), state };
        };
        let seen = look(target, &self.ends.pool.database, &self.ends.deadlines, &mut home.connection).await;
        if let Look::Read(read) = &seen {
            home.clock = Some(Clock { told: read.state.clock, heard: Instant::now() });
            let wanted = wanted(&self.ends.pool, &read.state);
            self.wanted.send_if_modified(|w| {
                let other = *w != wanted;
                *w = wanted;
                other
            });
        }
        let facts = home.series.take(at, &seen, target);
        home.latest = Some(facts.clone());
        if *self.attention.rest.borrow() {
            home.connection = None;
        }
        facts
    }

    async fn backups(&self, home: &InstanceFacts, since: Option<Timestamp>) -> Fact<Backups> {
        let at = Timestamp::now();
        let source = "share and copy folder".to_owned();
        let Some(wanted) = self.wanted.borrow().clone().filter(|_| home.state.value().is_some()) else {
            let why = match home.state.why() {
                Some(why) => why.to_owned(),
                None => {
                    "log shipping is gone, and share and folder are neither recorded nor declared".to_owned()
                }
            };
            return Fact::Unknown { why, source, at };
        };
        // The look must have been for these places, not for those of an earlier state.
        let mut since = since;
        loop {
            match self.files.look(since).await {
                Some(Some(seen)) if seen.source == wanted.source => {
                    return Fact::Known {
                        value: seen.backups,
                        source: format!("{} and {}", wanted.source.share, wanted.source.folder),
                        at: seen.at,
                    };
                }
                Some(_) => since = Some(Timestamp::now()),
                None => return Fact::Unknown { why: "the look was given up".into(), source, at },
            }
        }
    }
}

fn base_name(path: &str) -> String {
    path.rsplit(['\\', '/']).next().unwrap_or_default().to_lowercase()
}

/// Where to look, in the planner's order: discovered, else recorded in the open transition, else declared.
fn wanted(pool: &Pool, state: &InstanceState) -> Option<Wanted> {
    let open = state.journal.transition.as_ref().filter(|t| t.is_open());
    let evidence = open.and_then(|t| t.evidence.as_ref());
    let discovered = state.secondary.as_ref().and_then(Secondary::source);
    let certain = discovered.is_some();
    let source =
        discovered.or_else(|| evidence.map(|e| e.source.clone())).or_else(|| pool.log_source.clone())?;
    let restored = state.database.as_ref().and_then(|d| d.last_restored.as_ref()).map(|r| r.file.as_str());
    let mut known = BTreeSet::new();
    if let Some(s) = &state.secondary {
        known.extend([&s.last_copied, &s.last_restored].into_iter().flatten().map(|f| base_name(f)));
    }
    if let Some(e) = evidence {
        known.extend([&e.last_copied, &e.last_restored].into_iter().flatten().map(|f| base_name(f)));
    }
    if !certain {
        known.extend(restored.map(base_name));
    }
    known.retain(|name| !name.is_empty());
    Some(Wanted {
        source,
        folder_may_be_empty: certain && known.is_empty(),
        database: pool.database.clone(),
        known,
        last_restored: restored.map(str::to_owned),
    })
}

struct Instance {
    ends: Arc<Ends>,
    target: Arc<Target>,
    connection: Option<Connection>,
    series: Series,
}

impl Looker for Instance {
    type Seen = InstanceFacts;

    async fn look(&mut self, at: Timestamp) -> InstanceFacts {
        let seen =
            look(&self.target, &self.ends.pool.database, &self.ends.deadlines, &mut self.connection).await;
        self.series.take(at, &seen, &self.target)
    }

    fn close(&mut self) {
        self.connection = None;
    }

    fn same(a: &InstanceFacts, b: &InstanceFacts) -> bool {
        same_instance(a, b)
    }
}

/// The same, but for the clocks.
fn same_instance(a: &InstanceFacts, b: &InstanceFacts) -> bool {
    let contact = match (&a.contact, &b.contact) {
        (Contact::Silent { since: a, .. }, Contact::Silent { since: b, .. }) => a == b,
        (a, b) => a == b,
    };
    contact
        && match (a.state.value(), b.state.value()) {
            (Some(a), Some(b)) => *a == InstanceState { clock: a.clock, ..b.clone() },
            (a, b) => a.is_none() == b.is_none(),
        }
}

#[derive(Clone)]
struct FilesSeen {
    source: LogSource,
    at: Timestamp,
    backups: Backups,
}

struct Files {
    ends: Arc<Ends>,
    wanted: watch::Receiver<Option<Wanted>>,
    memory: Memory,
}

impl Looker for Files {
    type Seen = Option<FilesSeen>;

    async fn look(&mut self, _: Timestamp) -> Option<FilesSeen> {
        // The first look can only begin when the backup instance has told where.
        let wanted = loop {
            let wanted = self.wanted.borrow_and_update().clone();
            match wanted {
                Some(wanted) => break wanted,
                None => self.wanted.changed().await.ok()?,
            }
        };
        let target = self.ends.targets.get(&HOME)?;
        let at = Timestamp::now();
        let backups = backups::look(target, &wanted, &self.ends.deadlines, &mut self.memory).await;
        Some(FilesSeen { source: wanted.source, at, backups })
    }

    fn close(&mut self) {
        self.memory.close();
    }

    fn same(a: &Option<FilesSeen>, b: &Option<FilesSeen>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => {
                a.backups.files == b.backups.files
                    && a.backups.share.value() == b.backups.share.value()
                    && a.backups.folder.value() == b.backups.folder.value()
            }
            (a, b) => a.is_none() == b.is_none(),
        }
    }
}

struct ShellLooks {
    ends: Arc<Ends>,
    memory: Arc<Mutex<ShellMemory>>,
    part: watch::Receiver<Part>,
}

impl Looker for ShellLooks {
    type Seen = ShellFacts;

    async fn look(&mut self, at: Timestamp) -> ShellFacts {
        let part = *self.part.borrow_and_update();
        let mut memory = self.memory.lock().await;
        self.ends.shell.look(&self.ends.pool, &self.ends.deadlines, part, &mut memory, at).await
    }

    fn close(&mut self) {
        // Who else holds it is closing the session.
        if let Ok(mut memory) = self.memory.try_lock() {
            memory.hang_up();
        }
    }

    fn same(a: &ShellFacts, b: &ShellFacts) -> bool {
        std::mem::discriminant(&a.contact) == std::mem::discriminant(&b.contact)
            && a.pool_state.value() == b.pool_state.value()
            && a.servers.value() == b.servers.value()
            && a.replicated.value() == b.replicated.value()
            && a.store_writable.value() == b.store_writable.value()
    }
}
