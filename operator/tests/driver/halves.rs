//! A look takes its time, and the two ends of a side are looked at one after the other: what changes meanwhile is told by halves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pchat_operator::far_end::{ActError, Done, FarEnd, Freshness, Order, Progress};
use pchat_planner::facts::{Contact, DatabaseState, Facts, InstanceFacts, Role};
use pchat_planner::plan::{Reason, StepId};
use pchat_planner::pool::InstanceId;

use crate::common::{BM, Case, P, PM, answers, database, on, silent};
use crate::world::{Fault, World, now, pass};
use crate::{drive, reason};

/// One end is known from a look that began before the latest change, until a newer one is asked for.
struct ReadFirst {
    world: World,
    end: InstanceId,
    as_before: InstanceFacts,
    newer: fn(&Freshness) -> Option<Timestamp>,
    begun: Timestamp,
    asked: AtomicBool,
}

impl ReadFirst {
    fn new(
        world: World,
        end: InstanceId,
        as_before: InstanceFacts,
        newer: fn(&Freshness) -> Option<Timestamp>,
    ) -> Self {
        ReadFirst { world, end, as_before, newer, begun: now(), asked: AtomicBool::new(false) }
    }
}

impl FarEnd for ReadFirst {
    async fn observe(&self, demand: Freshness) -> Facts {
        let before = now();
        pass(1);
        let mut facts = self.world.observe(demand).await;
        // That all looks are to be newer than the run is another doubt.
        if (self.newer)(&demand).is_some_and(|at| at > self.begun) {
            self.asked.store(true, Ordering::Relaxed);
        }
        if !self.asked.load(Ordering::Relaxed) {
            facts.instances.insert(self.end, InstanceFacts { at: before, ..self.as_before.clone() });
        }
        facts
    }
    async fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        self.world.act(order, progress).await
    }
    async fn news(&self, at_most: Duration) {
        self.world.news(at_most).await;
    }
}

fn mirror() -> InstanceFacts {
    let mut mirror = database(DatabaseState::Restoring);
    mirror.mirroring = on(Role::Mirror);
    answers("SQL-TP2", Some(mirror))
}

#[tokio::test(start_paused = true)]
async fn a_side_of_which_the_mirror_is_back_first_is_read_again_before_the_run_stops_over_it() {
    let world = World::new(Case::disaster());
    {
        let instances = &mut world.case().facts.instances;
        instances.insert(PM, mirror());
        instances.insert(P, answers("SQL-RED1", Some(database(DatabaseState::Online))));
    }
    let far = ReadFirst::new(world, P, silent(0), |demand| demand.others);
    let outcome = drive(&far, &far.world, Duration::ZERO).await;
    assert_eq!(reason(&outcome.ending), Some(Reason::PlannedSwitchoverNeeded), "{:?}", outcome.ending);

    // Where it stays silent, that is what is told.
    let world = World::new(Case::disaster());
    world.case().facts.instances.insert(PM, mirror());
    let far = ReadFirst::new(world, P, silent(0), |demand| demand.others);
    let outcome = drive(&far, &far.world, Duration::ZERO).await;
    assert_eq!(reason(&outcome.ending), Some(Reason::MirrorHoldsCommits), "{:?}", outcome.ending);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_was_looked_at_while_it_came_back_is_looked_at_again_before_the_run_stops_over_it() {
    let world = World::new(Case::disaster());
    world.case().facts.instances.insert(P, answers("SQL-RED1", Some(database(DatabaseState::Online))));
    let detail = "SQL Server Browser does not answer, but the host is alive".into();
    let half = InstanceFacts { contact: Contact::Unusable { detail }, ..silent(0) };
    let far = ReadFirst::new(world, P, half, |demand| demand.others);
    let outcome = drive(&far, &far.world, Duration::ZERO).await;
    assert_eq!(reason(&outcome.ending), Some(Reason::PlannedSwitchoverNeeded), "{:?}", outcome.ending);
}

/// The clock is set back while the run looks at one side for the second time.
struct SetBack {
    looks: ReadFirst,
    seen: AtomicUsize,
}

impl FarEnd for SetBack {
    async fn observe(&self, demand: Freshness) -> Facts {
        let mut facts = self.looks.world.observe(demand).await;
        let before = now();
        if self.seen.fetch_add(1, Ordering::Relaxed) == 1 {
            pass(-3600);
        }
        facts
            .instances
            .insert(self.looks.end, InstanceFacts { at: before.min(now()), ..self.looks.as_before.clone() });
        pass(1);
        facts
    }
    async fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Done, ActError> {
        self.looks.act(order, progress).await
    }
    async fn news(&self, at_most: Duration) {
        self.looks.news(at_most).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_keep_the_run_from_telling_what_it_saw_twice() {
    let world = World::new(Case::disaster());
    world.case().facts.instances.insert(PM, mirror());
    let far = SetBack {
        looks: ReadFirst::new(world, P, silent(0), |demand| demand.others),
        seen: AtomicUsize::new(0),
    };
    let outcome = drive(&far, &far.looks.world, Duration::ZERO).await;
    assert_eq!(reason(&outcome.ending), Some(Reason::MirrorHoldsCommits), "{:?}", outcome.ending);
    let looks = far.seen.load(Ordering::Relaxed);
    assert!(looks < 20, "{looks} looks at a side that stays as it is");
}

#[tokio::test(start_paused = true)]
async fn a_new_mirror_is_read_again_before_its_session_is_told_to_be_unhealthy() {
    let world = World::new(Case::disaster()).at(7, Fault::KillAfter);
    assert!(world.run("first").await.is_none());
    assert_eq!(world.sent().last(), Some(&StepId::EstablishMirror));
    // The mark of the killed run has lapsed.
    pass(1000);
    let far =
        ReadFirst::new(world, BM, answers("SQL-KS2", Some(database(DatabaseState::Restoring))), |demand| {
            demand.mirror
        });
    let outcome = drive(&far, &far.world, Duration::ZERO).await;
    assert_eq!(reason(&outcome.ending), None, "{:?}", outcome.ending);
}
