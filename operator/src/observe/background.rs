//! Looks that go on in the background, so that nothing slow sits on the way to the next action.
//!
//! Each look has its own deadlines; its latest result stands ready with the time at which it began.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Somebody who looks again and again.
pub trait Looker: Send + 'static {
    /// What a look brings.
    type Seen: Clone + Send + Sync + 'static;

    /// Looks once; `at` is now.
    fn look(&mut self, at: Timestamp) -> impl Future<Output = Self::Seen> + Send;

    /// Whether two looks brought the same, apart from times that always differ.
    fn same(a: &Self::Seen, b: &Self::Seen) -> bool;
}

/// How long to pause between looks that nobody demands. The pause grows with the time since the last demand, so that
/// what is waited for is seen at most a quarter later than it came, and a far end at rest is left alone.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Right after a demand.
    pub least: Duration,
    /// When nobody has demanded a look for long.
    pub most: Duration,
}

impl Pace {
    /// Always the same pause.
    pub const fn steady(pause: Duration) -> Self {
        Pace { least: pause, most: pause }
    }

    fn pause(self, since_demand: Duration) -> Duration {
        (since_demand / 4).clamp(self.least, self.most)
    }
}

/// A running series of looks. Ends when dropped.
#[derive(Debug)]
pub struct Background<T> {
    latest: watch::Receiver<Option<(Timestamp, T)>>,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Clone + Send + Sync + 'static> Background<T> {
    /// Begins to look with the first question; `news` is told when a look brings something else than the one
    /// before.
    pub fn start<L: Looker<Seen = T>>(mut looker: L, pace: Pace, news: Arc<Notify>) -> Self {
        let (send, latest) = watch::channel(None::<(Timestamp, T)>);
        let wake = Arc::new(Notify::new());
        let woken = Arc::clone(&wake);
        let task = tokio::spawn(async move {
            woken.notified().await;
            let mut demanded = Instant::now();
            loop {
                let at = Timestamp::now();
                let seen = looker.look(at).await;
                let same = send.borrow().as_ref().is_some_and(|(_, before)| L::same(before, &seen));
                send.send_replace(Some((at, seen)));
                if !same {
                    news.notify_waiters();
                }
                tokio::select! {
                    () = woken.notified() => demanded = Instant::now(),
                    () = sleep(pace.pause(demanded.elapsed())) => {}
                }
            }
        });
        Background { latest, wake, task }
    }

    /// The latest look, if there was one.
    pub fn latest(&self) -> Option<T> {
        self.latest.borrow().as_ref().map(|(_, seen)| seen.clone())
    }

    /// The latest look, or with `since` one that began then or later. `None` only when the task is gone.
    pub async fn look(&self, since: Option<Timestamp>) -> Option<T> {
        self.look_for(|at, _| since.is_none_or(|since| at >= since)).await
    }

    /// The first look from the latest one on that is `enough`, by the time at which it began and what it brought. `None` only
    /// when the task is gone.
    pub async fn look_for(&self, enough: impl Fn(Timestamp, &T) -> bool) -> Option<T> {
        let mut latest = self.latest.clone();
        loop {
            let found = latest.borrow_and_update().clone();
            match found {
                Some((at, seen)) if enough(at, &seen) => return Some(seen),
                _ => self.wake.notify_one(),
            }
            latest.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u32);

    impl Looker for Counter {
        type Seen = u32;
        async fn look(&mut self, _: Timestamp) -> u32 {
            self.0 += 1;
            self.0
        }
        fn same(a: &u32, b: &u32) -> bool {
            a == b
        }
    }

    #[tokio::test]
    async fn the_first_look_is_new_enough_for_whoever_asked_first() {
        let pace = Pace::steady(Duration::from_secs(3600));
        let looks = Background::start(Counter(0), pace, Arc::new(Notify::new()));
        tokio::task::yield_now().await;
        assert_eq!(looks.latest(), None);
        assert_eq!(looks.look(Some(Timestamp::now())).await, Some(1));
    }

    #[tokio::test]
    async fn a_demand_is_met_by_a_look_that_began_after_it() {
        let pace = Pace::steady(Duration::from_secs(3600));
        let looks = Background::start(Counter(0), pace, Arc::new(Notify::new()));
        assert_eq!(looks.look(None).await, Some(1));
        assert_eq!(looks.look(None).await, Some(1));
        assert_eq!(looks.look(Some(Timestamp::now())).await, Some(2));
    }

    #[test]
    fn a_pause_grows_with_the_time_that_was_waited_already() {
        let pace = Pace { least: Duration::from_millis(100), most: Duration::from_secs(15) };
        let pause = |ms| pace.pause(Duration::from_millis(ms)).as_millis();
        assert_eq!((pause(0), pause(1_000), pause(8_000), pause(600_000)), (100, 250, 2_000, 15_000));
    }
}
