//! Looks that go on in the background, so that nothing slow sits on the way to the next action.
//!
//! Each look has its own deadlines; its latest result stands ready with the time at which it began.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Somebody who looks again and again.
pub trait Looker: Send + 'static {
    /// What a look brings.
    type Seen: Clone + Send + Sync + 'static;

    /// Looks once; `at` is now. What is known before the end may be told.
    fn look(&mut self, at: Timestamp, tell: &Tell<'_, Self::Seen>)
    -> impl Future<Output = Self::Seen> + Send;

    /// Whether two looks brought the same, apart from times that always differ.
    fn same(a: &Self::Seen, b: &Self::Seen) -> bool;

    /// Closes what a look has left open: the pool is at rest.
    fn close(&mut self) {}
}

/// Takes what a look knows before its end.
pub type Tell<'a, T> = dyn Fn(T) + Send + Sync + 'a;

/// How long to pause between looks that nobody demands. The pause grows with the time since the last demand, so that
/// what is waited for is seen at most a quarter later than it came.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Right after a demand.
    pub least: Duration,
    /// When nobody has demanded a look for long.
    pub most: Duration,
    /// While the pool is at rest; nothing: only a demand brings a look.
    pub rest: Option<Duration>,
}

impl Pace {
    fn pause(self, since_demand: Duration, at_rest: bool) -> Option<Duration> {
        if at_rest { self.rest } else { Some((since_demand / 4).clamp(self.least, self.most)) }
    }
}

/// What all looks at one pool share.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Counts the looks that brought something else than the one before.
    pub news: watch::Sender<u64>,
    /// Whether the pool is at rest: it is as declared, and nobody waits for anything.
    pub rest: watch::Sender<bool>,
}

impl Default for Attention {
    fn default() -> Self {
        Attention { news: watch::Sender::new(0), rest: watch::Sender::new(false) }
    }
}

/// A running series of looks. Ends when dropped.
#[derive(Debug)]
pub struct Background<T> {
    latest: watch::Receiver<Option<(Timestamp, T)>>,
    /// Since when the look that is under way is, or the last one was.
    begun: watch::Receiver<Timestamp>,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

/// What a series of looks has to show.
#[derive(Clone, Debug)]
pub struct Shown<T> {
    /// The latest look, with the time at which it began.
    pub latest: Option<(Timestamp, T)>,
    /// Whether it is what was asked for.
    pub enough: bool,
    /// When the look began that is under way, if one is.
    pub begun: Timestamp,
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Clone + Send + Sync + 'static> Background<T> {
    /// Begins to look with the first question.
    pub fn start<L: Looker<Seen = T>>(mut looker: L, pace: Pace, attention: &Attention) -> Self {
        let (send, latest) = watch::channel(None::<(Timestamp, T)>);
        let (begin, begun) = watch::channel(Timestamp::now());
        let wake = Arc::new(Notify::new());
        let woken = Arc::clone(&wake);
        let (attention, mut rest) = (attention.clone(), attention.rest.subscribe());
        let task = tokio::spawn(async move {
            woken.notified().await;
            let mut demanded = Instant::now();
            loop {
                let at = Timestamp::now();
                begin.send_replace(at);
                let tell = |seen: T| {
                    let known = send.borrow().as_ref().is_some_and(|(_, before)| L::same(before, &seen));
                    send.send_replace(Some((at, seen)));
                    if !known {
                        attention.news.send_modify(|count| *count += 1);
                    }
                };
                // On the heap for as long as it lasts: between looks it would take its room for nothing.
                let seen = Box::pin(looker.look(at, &tell)).await;
                tell(seen);
                let begun = Instant::now();
                loop {
                    let at_rest = *rest.borrow_and_update();
                    if at_rest {
                        looker.close();
                    }
                    let pause = pace.pause(demanded.elapsed(), at_rest);
                    let pause = async {
                        match pause {
                            Some(pause) => sleep_until(begun + pause).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = woken.notified() => demanded = Instant::now(),
                        () = pause => {}
                        Ok(()) = rest.changed() => continue,
                    }
                    break;
                }
            }
        });
        Background { latest, begun, wake, task }
    }

    /// The latest look, if there was one.
    pub fn latest(&self) -> Option<T> {
        self.latest.borrow().as_ref().map(|(_, seen)| seen.clone())
    }

    /// The latest look with the time at which it began, if there was one.
    pub fn latest_at(&self) -> Option<(Timestamp, T)> {
        self.latest.borrow().clone()
    }

    /// The first look from the latest one on that is `enough`, by the time at which it began and what it brought; at `until` what
    /// there is by then, while the look goes on.
    pub async fn look_for(&self, enough: impl Fn(Timestamp, &T) -> bool, until: Instant) -> Shown<T> {
        let mut receiver = self.latest.clone();
        loop {
            let latest = receiver.borrow_and_update().clone();
            let enough = latest.as_ref().is_some_and(|(at, seen)| enough(*at, seen));
            if !enough {
                self.wake.notify_one();
                // An error is the end of the task, and of all looks.
                if let Ok(Ok(())) = timeout_at(until, receiver.changed()).await {
                    continue;
                }
            }
            return Shown { latest, enough, begun: *self.begun.borrow() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u32);

    impl Looker for Counter {
        type Seen = u32;
        async fn look(&mut self, _: Timestamp, _: &Tell<'_, u32>) -> u32 {
            self.0 += 1;
            self.0
        }
        fn same(a: &u32, b: &u32) -> bool {
            a == b
        }
    }

    async fn look(looks: &Background<u32>, since: Option<Timestamp>) -> Option<u32> {
        let until = Instant::now() + Duration::from_secs(600);
        let shown = looks.look_for(|at, _| since.is_none_or(|since| at >= since), until).await;
        shown.latest.filter(|_| shown.enough).map(|(_, seen)| seen)
    }

    fn steady(pause: Duration) -> Pace {
        Pace { least: pause, most: pause, rest: None }
    }

    #[tokio::test]
    async fn the_first_look_is_new_enough_for_whoever_asked_first() {
        let pace = steady(Duration::from_secs(3600));
        let looks = Background::start(Counter(0), pace, &Attention::default());
        tokio::task::yield_now().await;
        assert_eq!(looks.latest(), None);
        assert_eq!(look(&looks, Some(Timestamp::now())).await, Some(1));
    }

    #[tokio::test]
    async fn a_demand_is_met_by_a_look_that_began_after_it() {
        let pace = steady(Duration::from_secs(3600));
        let looks = Background::start(Counter(0), pace, &Attention::default());
        assert_eq!(look(&looks, None).await, Some(1));
        assert_eq!(look(&looks, None).await, Some(1));
        assert_eq!(look(&looks, Some(Timestamp::now())).await, Some(2));
    }

    #[test]
    fn a_pause_grows_with_the_time_that_was_waited_already() {
        let seconds = Duration::from_secs;
        let pace = Pace { least: Duration::from_millis(100), most: seconds(15), rest: Some(seconds(20)) };
        let pause = |ms| pace.pause(Duration::from_millis(ms), false).map(|pause| pause.as_millis());
        assert_eq!(
            (pause(0), pause(1_000), pause(8_000), pause(600_000)),
            (Some(100), Some(250), Some(2_000), Some(15_000))
        );
        assert_eq!(pace.pause(Duration::ZERO, true), Some(seconds(20)));
    }

    struct Slow(u32);

    impl Looker for Slow {
        type Seen = u32;
        async fn look(&mut self, _: Timestamp, tell: &Tell<'_, u32>) -> u32 {
            self.0 += 1;
            tell(self.0);
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.0 += 1;
            self.0
        }
        fn same(a: &u32, b: &u32) -> bool {
            a == b
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_takes_long_shows_what_it_has_and_goes_on() {
        let looks = Background::start(Slow(0), steady(Duration::from_secs(3600)), &Attention::default());
        let shown = looks.look_for(|_, seen| *seen == 2, Instant::now() + Duration::from_secs(2)).await;
        assert_eq!((shown.latest.map(|(_, seen)| seen), shown.enough), (Some(1), false));
        let shown = looks.look_for(|_, seen| *seen >= 2, Instant::now() + Duration::from_secs(60)).await;
        assert!(shown.enough && shown.latest.is_some_and(|(_, seen)| seen >= 2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_roused_from_rest_looks_at_once() {
        let minute = Duration::from_secs(60);
        let pace = Pace { least: minute / 60, most: minute / 60, rest: None };
        let attention = Attention::default();
        let looks = Background::start(Counter(0), pace, &attention);
        assert_eq!(look(&looks, None).await, Some(1));
        attention.rest.send_replace(true);
        tokio::time::sleep(minute).await;
        assert_eq!(looks.latest(), Some(1), "a pool at rest is left alone");
        assert_eq!(look(&looks, Some(Timestamp::now())).await, Some(2), "unless somebody asks");
        tokio::time::sleep(minute).await;
        assert_eq!(looks.latest(), Some(2));
        attention.rest.send_replace(false);
        tokio::time::sleep(minute / 600).await;
        assert_eq!(looks.latest(), Some(3));
    }
}
