//! The driver over the real planner, against far ends in memory: it reaches the same end whatever fails on the way.

mod changed;
#[path = "../../planner/tests/common/mod.rs"]
mod common;
mod golden;
mod halves;
mod status;
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pchat_operator::far_end::{ActError, Done, FarEnd, Freshness, Order, Progress, Sign};
use pchat_operator::reconcile::{Driver, Ending, Keeper, Outcome, Settings, StateFile, interrupts};
use pchat_operator::report::{Halt, Silent};
use pchat_operator::sql::refusal::{Refusal, RefusalCode};
use pchat_planner::facts::{BackupSet, DatabaseState, Facts, PoolState, Session, ShellFacts};
use pchat_planner::journal::{Epoch, Phase};
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::{Reason, StepId};
use pchat_planner::pool::{Mode, Side};
use tokio::sync::Semaphore;

use common::{Case, P, answers, database, fork, known, name, set, shared, silent, whole};
use world::{Fault, World, now, pass};

/// Longer than any run here may take.
const HOURS: Duration = Duration::from_secs(24 * 3600);

/// How an outcome ended.
fn ending(outcome: Option<Outcome>) -> Ending {
    outcome.expect("it was not killed").ending
}

fn reason(ending: &Ending) -> Option<Reason> {
    match ending {
        Ending::Halted(Halt::Planned(stop)) => Some(stop.reason),
        _ => None,
    }
}

/// The pool is where it was wanted, and a second run finds nothing to do.
async fn converged_for_good(world: &World) {
    let before = world.sent().len();
    {
        let mut case = world.case();
        let transition = case.b().journal.transition.clone().expect("a transition");
        assert_eq!(transition.phase, Phase::Closed);
        assert_eq!(case.b().journal.owner, None);
        assert!(case.db().serves());
        assert!(case.b().secondary.is_none());
    }
    assert_eq!(ending(world.run("another").await), Ending::Converged);
    assert_eq!(world.sent().len(), before, "the second run changed something");
}

#[tokio::test(start_paused = true)]
async fn a_dead_primary_site_is_failed_over_in_one_run() {
    let world = World::new(Case::disaster());
    assert_eq!(ending(world.run("here").await), Ending::Converged);
    assert_eq!(
        world.sent(),
        [
            StepId::TakeOwnership,
            StepId::QuiesceLogShipping,
            StepId::ApplyLogs,
            StepId::RecoverDatabase,
            StepId::SetPoolState,
            StepId::SetActiveServers,
            StepId::EstablishMirror,
            StepId::RemoveLogShipping,
            StepId::ReleaseOwnership,
        ]
    );
    converged_for_good(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_action_is_finished_by_the_next_one() {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        let mut killed = 0;
        for at in 1.. {
            let world = World::new(Case::disaster()).at(at, fault);
            match world.run("first").await {
                None => killed += 1,
                Some(outcome) => {
                    assert_eq!(outcome.ending, Ending::Converged);
                    break;
                }
            }
            assert_eq!(ending(world.run("second").await), Ending::Converged, "{fault:?} at action {at}");
            converged_for_good(&world).await;
        }
        assert_eq!(killed, 9, "{fault:?}: one for each action");
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_an_action_without_an_answer_is_looked_up_and_gone_on_from() {
    for fault in [Fault::LostReply, Fault::LostRequest, Fault::NotSent, Fault::Fails] {
        for at in 1..=9 {
            let world = World::new(Case::disaster()).at(at, fault);
            let outcome = world.run("here").await.expect("it was not killed");
            assert_eq!(outcome.ending, Ending::Converged, "{fault:?} at action {at}");
            assert_eq!(outcome.record.failures.len(), 1, "{fault:?} at action {at}");
            let expected = if fault == Fault::LostReply { 9 } else { 10 };
            assert_eq!(world.sent().len(), expected, "{fault:?} at action {at}: {:?}", world.sent());
            converged_for_good(&world).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_lets_the_running_action_end_and_the_next_run_goes_on() {
    for at in 1..=8 {
        let world = World::new(Case::disaster()).at(at, Fault::Interrupt);
        assert_eq!(ending(world.run("first").await), Ending::Interrupted, "at action {at}");
        assert_eq!(world.sent().len(), at, "an action was begun after Ctrl-C");
        assert_eq!(ending(world.run("second").await), Ending::Converged);
        converged_for_good(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_during_the_last_action_of_all_is_no_reason_to_say_that_it_is_not_done() {
    let world = World::new(Case::disaster()).at(9, Fault::Interrupt);
    assert_eq!(ending(world.run("first").await), Ending::Converged);
}

fn gap() -> Case {
    // The second of four files is missing.
    Case::disaster().with_files([
        (name(0), whole(set(50, 100))),
        (name(2), whole(set(200, 300))),
        (name(3), shared(set(300, 400))),
    ])
}

/// The log parts behind what is applied: one way ends soon, and on the other a file is missing.
fn parted() -> Case {
    let turns = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(300)), ..set(300, 450) };
    let behind = BackupSet { fork: fork(0xC), ..set(500, 600) };
    Case::disaster().with(|case| {
        case.files().files.insert(name(3), whole(set(300, 400)));
        case.files().files.insert(name(4), whole(turns));
        case.files().files.insert(name(6), whole(behind));
    })
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_left_by_itself_when_its_cause_goes_away_while_the_run_stays() {
    let world = World::new(gap());
    *world.on_news.lock().expect("no panic") = Some(Box::new(|case, number| {
        if number == 3 {
            let mut files = case.files().files.clone();
            files.insert(name(1), shared(set(100, 200)));
            *case = case.clone().with_files(files);
        }
    }));
    let outcome = world.run_with("here", &Silent, None, &[], Duration::from_secs(600)).await;
    assert_eq!(ending(outcome), Ending::Converged);
    converged_for_good(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_an_end_when_its_time_is_up_and_the_digest_of_one_run_counts_in_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = || Some(StateFile::new(folder.path().join("chat.state.yaml")));
    let world = World::new(gap());
    let stopped = ending(world.run_with("first", &Silent, file(), &[], Duration::from_secs(20)).await);
    assert_eq!(reason(&stopped), Some(Reason::LogChainGap));
    let Ending::Halted(halt) = stopped else { panic!("it did not stop") };
    let digest = halt.digest().expect("an approval resolves it").to_owned();
    let sent = world.sent();
    assert!(!sent.contains(&StepId::RecoverDatabase), "{sent:?}");

    let other =
        ending(world.run_with("second", &Silent, file(), &["0000-0000".into()], Duration::ZERO).await);
    assert_eq!(reason(&other), Some(Reason::LogChainGap), "another digest accepts nothing");
    let third = world.run_with("third", &Silent, file(), &[digest], Duration::ZERO).await;
    assert_eq!(ending(third), Ending::Converged);
    let text = std::fs::read_to_string(folder.path().join("chat.state.yaml")).expect("a state file");
    assert!(text.contains("phase: Closed"), "{text}");
    assert!(!text.contains("approvals:"), "approvals end with their transition: {text}");
    converged_for_good(&world).await;
}

/// One run against `far`, which stands before `world`; at a stop it stays for so long.
async fn drive(far: &impl FarEnd, world: &World, stay: Duration) -> Outcome {
    let pool = world.case().pool.clone();
    let (keeper, _) = Keeper::open(None, &pool, "here", &[], now());
    let (_interrupter, interrupt) = interrupts();
    let settings = Settings { stay, clock: now, ..Settings::default() };
    Driver::new(&pool, far, &pchat_planner::plan, &Silent, interrupt, settings, keeper).run().await
}

#[tokio::test(start_paused = true)]
async fn an_action_that_always_fails_ends_in_a_named_stop() {
    struct Stubborn(World);
    impl FarEnd for Stubborn {
        async fn observe(&self, freshness: Freshness) -> Facts {
            self.0.observe(freshness).await
        }
        async fn act(
            &self,
            order: Order<'_>,
            progress: &(dyn Fn(Progress) + Send + Sync),
        ) -> Result<Done, ActError> {
            if order.step == StepId::SetPoolState {
                return Err(ActError::Failed {
                    target: "the management shell on fe-ks1".into(),
                    code: "Denied".into(),
                    what: "Access is denied (Denied).".into(),
                    remedy: "Add the account to CsAdministrator.".into(),
                });
            }
            self.0.act(order, progress).await
        }
        async fn news(&self, at_most: Duration) {
            self.0.news(at_most).await;
        }
    }
    for stay in [Duration::ZERO, Duration::from_secs(600)] {
        let far = Stubborn(World::new(Case::disaster()));
        let outcome = tokio::time::timeout(HOURS, drive(&far, &far.0, stay)).await.expect("it gives up");
        let Ending::Halted(Halt::Failing { step, tries, error }) = outcome.ending else {
            panic!("{:?}", outcome.ending)
        };
        assert_eq!((step, tries), (StepId::SetPoolState, 6));
        assert!(error.to_string().contains("CsAdministrator"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_does_not_allow_acting_changes_nothing_and_says_so() {
    for mode in [Mode::Observe, Mode::Plan] {
        let world = World::new(Case::disaster().with(|case| case.pool.mode = mode));
        assert_eq!(ending(world.run("here").await), Ending::NotEnforced);
        assert!(world.sent().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_field_turned_back_before_the_point_of_no_return_puts_log_shipping_back_to_work() {
    let world = World::new(gap());
    assert_eq!(reason(&ending(world.run("first").await)), Some(Reason::LogChainGap));
    assert!(
        world.case().b().secondary.as_ref().expect("log shipping").jobs().all(|j| j.enabled == Some(false))
    );
    world.case().pool.active = Side::Primary;
    // The first run's sign of life must have lapsed: its intent was the opposite one.
    world::pass(300);
    let outcome = world.run("second").await.expect("it was not killed");
    assert!(
        world.case().b().secondary.as_ref().expect("log shipping").jobs().all(|j| j.enabled == Some(true)),
        "{:?}",
        outcome.ending
    );
    let transition = world.case().b().journal.transition.clone().expect("a transition");
    assert_eq!(transition.phase, Phase::CalledOff);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ended_stands_in_nobodys_way() {
    let world = World::new(gap());
    assert_eq!(reason(&ending(world.run("first").await)), Some(Reason::LogChainGap));
    assert!(world.case().b().journal.owner.as_ref().is_some_and(|owner| owner.ended));
    world.case().pool.active = Side::Primary;
    world.run("stranger").await.expect("it was not killed");
    let transition = world.case().b().journal.transition.clone().expect("a transition");
    assert_eq!(transition.phase, Phase::CalledOff);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_is_not_known_to_be_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = || Some(StateFile::new(folder.path().join("chat.state.yaml")));
    let world = World::new(gap());
    let mut ended = world.run_with("ended", &Silent, file(), &[], Duration::ZERO).await.expect("not killed");
    assert_eq!(ended.keeper.finish(now()), None);
    // The next one is killed when it has taken over.
    let taking_over = world.sent().len() + 1;
    let world = world.at(taking_over, Fault::KillAfter);
    world.case().pool.active = Side::Primary;
    assert!(world.run_with("killed", &Silent, file(), &[], Duration::ZERO).await.is_none());
    let next = world.run_with("next", &Silent, file(), &[], Duration::ZERO).await;
    assert_eq!(reason(&ending(next)), Some(Reason::IntentConflict));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_stays_at_a_stop_or_waits_renews_its_mark() {
    let world = World::new(gap());
    let oldest = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&oldest);
    *world.on_news.lock().expect("no panic") = Some(Box::new(move |case, _| {
        if let Some(owner) = &case.b().journal.owner {
            let mut oldest = seen.lock().expect("no panic");
            *oldest = (*oldest).max(now().duration_since(owner.mark).as_secs());
        }
    }));
    world.run_with("here", &Silent, None, &[], Duration::from_secs(900)).await.expect("it was not killed");
    let oldest = *oldest.lock().expect("no panic");
    assert!((20..40).contains(&oldest), "{oldest} s, of the 40 that are a third of the lapse");
}

/// A cmdlet, a look at dead ends, a turn that is waited for: the far end's clock tells nothing meanwhile.
#[tokio::test(start_paused = true)]
async fn an_owner_shows_that_it_lives_beside_what_takes_long() {
    struct Slow {
        world: World,
        signs: Mutex<u32>,
    }
    impl FarEnd for Slow {
        async fn observe(&self, freshness: Freshness) -> Facts {
            self.world.observe(freshness).await
        }
        async fn act(
            &self,
            order: Order<'_>,
            progress: &(dyn Fn(Progress) + Send + Sync),
        ) -> Result<Done, ActError> {
            if order.step == StepId::EstablishMirror {
                tokio::time::sleep(Duration::from_secs(600)).await;
            }
            self.world.act(order, progress).await
        }
        async fn sign(&self, _: Sign, _: &Epoch, _: &str) -> Result<(), ActError> {
            *self.signs.lock().expect("no panic") += 1;
            Ok(())
        }
        async fn news(&self, at_most: Duration) {
            self.world.news(at_most).await;
        }
    }
    let far = Slow { world: World::new(Case::disaster()), signs: Mutex::new(0) };
    assert_eq!(drive(&far, &far.world, Duration::ZERO).await.ending, Ending::Converged);
    let signs = *far.signs.lock().expect("no panic");
    assert!((15..=30).contains(&signs), "{signs} in 600 s");
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_waited_for_however_long_and_counts_as_no_failed_try() {
    // Seen held at first; then taken again and again between the look and the request.
    struct Locked {
        world: World,
        refusals: Mutex<u32>,
    }
    impl FarEnd for Locked {
        async fn observe(&self, freshness: Freshness) -> Facts {
            self.world.observe(freshness).await
        }
        async fn act(
            &self,
            order: Order<'_>,
            progress: &(dyn Fn(Progress) + Send + Sync),
        ) -> Result<Done, ActError> {
            {
                let mut left = self.refusals.lock().expect("no panic");
                assert!(self.world.case().b().holder.is_none(), "a request was sent into the lock");
                if *left > 0 {
                    *left -= 1;
                    let refusal =
                        Refusal { code: RefusalCode::Locked, words: "session 77 holds the lock".into() };
                    return Err(ActError::Refused { target: "mgc".into(), refusal });
                }
            }
            self.world.act(order, progress).await
        }
        async fn news(&self, at_most: Duration) {
            self.world.news(at_most).await;
        }
    }
    let world = World::new(Case::disaster());
    let holder = Session { id: 77, host: "laptop".into(), program: "x".into(), login: "sa".into() };
    world.case().b().holder = Some(holder);
    *world.on_news.lock().expect("no panic") = Some(Box::new(|case, number| {
        if number == 200 {
            case.b().holder = None;
        }
    }));
    let far = Locked { world, refusals: Mutex::new(60) };
    let outcome = drive(&far, &far.world, Duration::ZERO).await;
    assert_eq!(outcome.ending, Ending::Converged);
    assert_eq!(outcome.record.failures, []);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_which_nothing_moves_for_very_long_is_a_stop() {
    // The restore job never ends.
    let world = World::new(Case::disaster());
    world.case().b().secondary.as_mut().expect("log shipping").restore_job.as_mut().expect("a job").running =
        true;
    for stay in [Duration::ZERO, Duration::from_secs(600)] {
        let run = world.run_with("here", &Silent, None, &[], stay);
        let outcome =
            tokio::time::timeout(HOURS, run).await.expect("it gives up").expect("it was not killed");
        match outcome.ending {
            Ending::Halted(Halt::Stalled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!world.sent().contains(&StepId::ApplyLogs), "{:?}", world.sent());
}

#[tokio::test(start_paused = true)]
async fn of_two_executors_one_does_it_and_the_other_stands_by_and_says_so() {
    let world = World::new(Case::disaster());
    let (first, second) = tokio::join!(world.run("anna"), world.run("bert"));
    let (first, second) = (first.expect("not killed"), second.expect("not killed"));
    assert_eq!((&first.ending, &second.ending), (&Ending::Converged, &Ending::Converged));
    assert_eq!(first.record.actions.min(second.record.actions), 0, "only one of them has changed anything");
    assert_eq!(first.record.actions.max(second.record.actions), 9);
    converged_for_good(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_came_too_late_concludes_nothing_from_what_it_saw_before() {
    /// The shell is looked at in the background; while the first order is on its way, another executor does everything.
    struct Late {
        world: World,
        shell: Mutex<Option<ShellFacts>>,
    }
    impl FarEnd for Late {
        async fn observe(&self, freshness: Freshness) -> Facts {
            let mut facts = self.world.observe(freshness).await;
            let mut shell = self.shell.lock().expect("no panic");
            if freshness.shell.is_some() {
                *shell = None;
            }
            facts.shell = shell.get_or_insert(facts.shell).clone();
            facts
        }
        async fn act(&self, _: Order<'_>, _: &(dyn Fn(Progress) + Send + Sync)) -> Result<Done, ActError> {
            assert_eq!(ending(self.world.run("another").await), Ending::Converged);
            let refusal =
                Refusal { code: RefusalCode::Evidence, words: "the transition was written meanwhile".into() };
            Err(ActError::Refused { target: "mgc".into(), refusal })
        }
        async fn news(&self, at_most: Duration) {
            self.world.news(at_most).await;
        }
    }
    let far = Late { world: World::new(Case::disaster()), shell: Mutex::default() };
    assert_eq!(drive(&far, &far.world, Duration::ZERO).await.ending, Ending::Converged);
}

#[tokio::test(start_paused = true)]
async fn a_run_recovers_nothing_while_only_older_looks_say_that_the_primary_is_dead() {
    let world = World::new(Case::disaster());
    world.keep_looks();
    pass(5);
    world.case().facts.instances.insert(P, answers("SQL-RED1", Some(database(DatabaseState::Online))));
    let ended = ending(world.run("here").await);
    assert_eq!(reason(&ended), Some(Reason::PlannedSwitchoverNeeded), "{ended:?}");
    assert!(!world.sent().contains(&StepId::RecoverDatabase), "{:?}", world.sent());
}

#[tokio::test(start_paused = true)]
async fn a_run_concludes_neither_the_end_nor_a_stop_from_looks_that_are_older_than_it() {
    let world = World::new(Case::disaster());
    assert_eq!(ending(world.run("first").await), Ending::Converged);
    world.keep_looks();
    pass(5);
    let identity = "service:chat.contoso.com".to_owned();
    world.case().facts.shell.pool_state = known((identity, PoolState::Normal));
    let before = world.sent().len();
    assert_eq!(ending(world.run("second").await), Ending::Converged);
    let repaired = world.sent().split_off(before);
    assert!(
        repaired.contains(&StepId::SetPoolState),
        "somebody has failed the pool back since: {repaired:?}"
    );

    let world = World::new(Case::disaster());
    world.case().facts.instances.insert(P, answers("SQL-RED1", Some(database(DatabaseState::Online))));
    world.keep_looks();
    pass(5);
    world.case().facts.instances.insert(P, silent(0));
    assert_eq!(ending(world.run("third").await), Ending::Converged, "the primary has died since");
}

/// A world in which other pools act, and `meanwhile` happens before they end.
async fn waits_for_its_turn(meanwhile: impl FnOnce(&World)) -> (World, Outcome) {
    let acts = Arc::new(Semaphore::new(1));
    let others = Arc::clone(&acts).acquire_owned().await.expect("free");
    let mut world = World::new(Case::disaster());
    world.acts = Some(acts);
    let (outcome, ()) = tokio::join!(world.run("here"), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        meanwhile(&world);
        drop(others);
    });
    let outcome = outcome.expect("it was not killed");
    (world, outcome)
}

#[tokio::test(start_paused = true)]
async fn what_was_planned_before_the_turn_of_a_pool_came_is_planned_again() {
    let (world, outcome) = waits_for_its_turn(|world| {
        world.case().facts.instances.insert(P, answers("SQL-TP1", Some(database(DatabaseState::Online))));
    })
    .await;
    assert_eq!(reason(&outcome.ending), Some(Reason::PlannedSwitchoverNeeded));
    assert!(world.sent().is_empty(), "{:?}", world.sent());

    let (world, outcome) = waits_for_its_turn(World::ask_to_stop).await;
    assert_eq!(outcome.ending, Ending::Interrupted);
    assert!(world.sent().is_empty(), "{:?}", world.sent());

    let (world, outcome) = waits_for_its_turn(|_| ()).await;
    assert_eq!(outcome.ending, Ending::Converged);
    converged_for_good(&world).await;
}
