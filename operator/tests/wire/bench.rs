//! A lab with the real far ends on it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pchat_crds::manifest::{Source, load};
use pchat_lab::{Lab, Scenario};
use pchat_operator::far_end::{ActError, Done, FarEnd, Freshness, Order, Progress};
use pchat_operator::observe::{Ends, HOME};
use pchat_operator::real::RealFarEnd;
use pchat_operator::sql::target::Target;
use pchat_operator::validate::{Hosts, Installation, validate};
use pchat_planner::facts::{Facts, InstanceFacts, InstanceState};
use pchat_planner::journal::{Epoch, Phase, Transition};
use pchat_planner::plan::{Action, Next, Plan, StepId};
use pchat_planner::pool::{InstanceId, Partner, Side};
use pchat_planner::run::Run;
use uuid::Uuid;

/// Where everything happens.
pub const BACKUP: &str = "sql-ks1.contoso.com";
/// The backup side's mirror.
pub const BACKUP_MIRROR: &str = "sql-ks2.contoso.com";
/// The old principal.
pub const PRIMARY: InstanceId = InstanceId::new(Side::Primary, Partner::Database);
/// Its mirror.
pub const PRIMARY_MIRROR: InstanceId = InstanceId::new(Side::Primary, Partner::Mirror);

/// A running lab, and what the manifest says of it.
pub struct Bench {
    pub lab: Lab,
    pub ends: Ends,
    _dir: tempfile::TempDir,
}

/// A lab without chat traffic and without jobs of its own, so that only the test changes it.
pub async fn quiet(more: &str) -> Bench {
    with(&format!("logShipping: {{backups: 8, copied: 4, restored: 2, jobEveryS: 0}}\n{more}")).await
}

/// A lab without chat traffic.
pub async fn with(more: &str) -> Bench {
    let yaml = format!("messageEveryMs: 0\n{more}\n");
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(Scenario::from_yaml(&yaml).unwrap(), dir.path()).await.unwrap();
    println!("lab seed {}", lab.seed());
    let manifest = load(&[Source::Path(dir.path().join("pool.yaml"))]).unwrap_or_else(|e| panic!("{e:?}"));
    let hosts = std::fs::read_to_string(dir.path().join("hosts")).unwrap();
    let mut ends =
        validate(&manifest, &Installation::of_a_run(Hosts::parse("hosts", &hosts).unwrap())).unwrap();
    ends.pool.active = Side::Backup;
    ends.deadlines.connect = Duration::from_millis(1500);
    Bench { lab, ends, _dir: dir }
}

impl Bench {
    pub async fn order(&self, line: &str) {
        self.lab.order(line).await.unwrap_or_else(|e| panic!("{line}: {e}"));
    }

    /// How often the state of this server was asked for.
    pub async fn looks(&self, host: &str) -> usize {
        let told = self.lab.order(&format!("statements {host}")).await.unwrap();
        let statements = told["statements"].as_array().unwrap_or_else(|| panic!("{told}"));
        statements.iter().filter(|s| s.to_string().contains("IS_SRVROLEMEMBER")).count()
    }

    /// The far ends, looked at from now on.
    pub fn far(&self) -> RealFarEnd {
        RealFarEnd::start(Arc::new(self.ends.clone()))
    }

    pub fn target(&self, id: InstanceId) -> &Target {
        &self.ends.targets[&id]
    }
}

/// Everything, looked at now, as long as that takes.
pub async fn look(far: &RealFarEnd) -> Facts {
    far.observe(Freshness { patient: true, ..Freshness::all_since(jiff::Timestamp::now()) }).await
}

pub fn instance(facts: &Facts, id: InstanceId) -> &InstanceFacts {
    &facts.instances[&id]
}

/// The backup instance's state, which must be known.
pub fn home(facts: &Facts) -> &InstanceState {
    let state = &instance(facts, HOME).state;
    state.value().unwrap_or_else(|| panic!("{:?}", state.why()))
}

/// A run of this test.
pub fn run() -> Run {
    Run {
        executor: "a test".into(),
        epoch: None,
        next_epoch: Epoch(Uuid::new_v4().to_string()),
        next_transition: Uuid::new_v4(),
        over: None,
        held: None,
        first_look: None,
        approvals: Vec::new(),
        asked: Vec::new(),
    }
}

/// A transition to write.
pub fn transition() -> Transition {
    let text = format!(
        r#"{{"id":"{}","intent":"backup","phase":"Open","opened":"2026-11-22T23:41:07Z"}}"#,
        Uuid::new_v4()
    );
    let transition: Transition = serde_json::from_str(&text).unwrap();
    assert_eq!(transition.phase, Phase::Open);
    transition
}

/// Progress, collected.
#[derive(Clone, Default)]
pub struct Heard(pub Arc<Mutex<Vec<Progress>>>);

/// Does one thing as `epoch`.
pub async fn act(far: &RealFarEnd, epoch: &Epoch, step: StepId, action: &Action) -> Result<Done, ActError> {
    act_heard(far, epoch, step, action, &Heard::default()).await
}

pub async fn act_heard(
    far: &RealFarEnd,
    epoch: &Epoch,
    step: StepId,
    action: &Action,
    heard: &Heard,
) -> Result<Done, ActError> {
    let order = Order { step, action, epoch, executor: "a test" };
    far.act(order, &|progress| heard.0.lock().unwrap().push(progress)).await
}

/// Goes on as planned until `until` comes next, which is handed out, or until there is nothing left to do.
pub async fn drive(bench: &Bench, far: &RealFarEnd, run: &mut Run, until: Option<StepId>) -> Option<Action> {
    let begun = Instant::now();
    let mut demand = Freshness::all_since(jiff::Timestamp::now());
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "it takes too long");
        let facts = far.observe(demand).await;
        let plan = plan(bench, &facts, run);
        match plan.next {
            Next::Converged => return None,
            Next::Blocked(stop) => panic!("{stop:?}"),
            Next::Wait { .. } => {
                far.news(Duration::from_millis(500)).await;
                demand = Freshness::LATEST;
            }
            Next::Run(step, action) => {
                if Some(step) == until {
                    return Some(action);
                }
                let epoch = match &action {
                    Action::TakeOwnership { epoch, .. } => epoch.clone(),
                    _ => run.epoch.clone().expect("owned"),
                };
                act(far, &epoch, step, &action).await.unwrap_or_else(|e| panic!("{step:?}: {e}"));
                let ended = jiff::Timestamp::now();
                run.epoch = Some(epoch);
                demand = Freshness::after(&action, ended);
            }
        }
    }
}

pub fn plan(bench: &Bench, facts: &Facts, run: &mut Run) -> Plan {
    let owner = home(facts).journal.owner.as_ref().map(|o| o.epoch.clone());
    run.first_look.get_or_insert(owner);
    pchat_planner::plan(&bench.ends.pool, facts, run, jiff::Timestamp::now())
}
