//! Writes the state file on a thread of its own: a folder that hangs, on a share that died with the site, holds up no run.
//!
//! Only the newest content counts. What could not be written is told once it is known; at the end of a run it is waited
//! for what is still to be written, for a bounded time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::state_file::{StateFile, Stored};

/// How long a folder may take that holds the state file: at the beginning of a run, and at its end.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What writer and keeper share.
#[derive(Debug, Default)]
struct Desk {
    /// The newest content that was handed over and not begun.
    next: Option<Box<Stored>>,
    writing: bool,
    /// What the last attempt failed from; taken when it is told.
    trouble: Option<String>,
    closed: bool,
    /// It was waited for in vain.
    given_up: bool,
}

type Shared = Arc<(Mutex<Desk>, Condvar)>;

/// The one who writes.
#[derive(Debug)]
pub struct Scribe {
    shared: Shared,
}

impl Scribe {
    /// Writes to this file.
    pub fn of(file: StateFile) -> Self {
        Scribe::begin(move |stored| file.save(stored))
    }

    fn begin(mut write: impl FnMut(&Stored) -> Result<(), String> + Send + 'static) -> Self {
        let shared = Shared::default();
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (desk, changed) = &*theirs;
            loop {
                let waited = changed.wait_while(lock(desk), |desk| desk.next.is_none() && !desk.closed);
                let mut open = waited.unwrap_or_else(PoisonError::into_inner);
                let Some(stored) = open.next.take() else { return };
                open.writing = true;
                drop(open);
                let trouble = write(&stored).err();
                let mut open = lock(desk);
                open.writing = false;
                open.trouble = trouble;
                changed.notify_all();
            }
        });
        Scribe { shared }
    }

    /// Hands content over to be written, and returns at once.
    pub fn write(&self, stored: Stored) {
        let (desk, changed) = &*self.shared;
        lock(desk).next = Some(Box::new(stored));
        changed.notify_all();
    }

    /// What the last attempt failed from, once.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.shared.0).trouble.take()
    }

    /// Whether all is written or has failed within this time.
    pub fn finish(&self, within: Duration) -> bool {
        let (desk, changed) = &*self.shared;
        let busy = |desk: &mut Desk| desk.writing || desk.next.is_some();
        let waited = changed.wait_timeout_while(lock(desk), within, busy);
        let (mut desk, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        desk.given_up = waited.timed_out();
        !desk.given_up
    }
}

impl Drop for Scribe {
    /// What was handed over is still written, unless it was waited for in vain already.
    fn drop(&mut self) {
        let given_up = {
            let mut desk = lock(&self.shared.0);
            desk.closed = true;
            desk.given_up
        };
        self.shared.1.notify_all();
        if !given_up {
            self.finish(PATIENCE);
        }
    }
}

/// What `work` gives, if it does in time; otherwise it goes on for nobody.
pub fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    wait.recv_timeout(time).ok()
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    fn stored(executor: &str) -> Stored {
        Stored::new("chat.contoso.com", "mgc", executor, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_folder_that_hangs_holds_up_nobody_and_the_newest_content_is_written_when_it_is_back() {
        let (back, hangs) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let scribe = Scribe::begin(move |stored| {
            let _ = hangs.recv();
            tell.send(stored.executor.clone()).map_err(|error| error.to_string())
        });
        for executor in ["first", "second", "third"] {
            scribe.write(stored(executor));
            assert!(!scribe.finish(SOON), "the wait at the end is bounded");
        }
        drop(back);
        assert!(scribe.finish(LONG));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["first", "third"]);
        assert!(within(SOON, || std::thread::sleep(LONG)).is_none(), "nor does reading one");
    }

    #[test]
    fn what_can_not_be_written_is_told_once() {
        let scribe = Scribe::begin(|_| Err("no room".into()));
        scribe.write(stored("a"));
        assert!(scribe.finish(LONG));
        assert_eq!((scribe.trouble(), scribe.trouble()), (Some("no room".into()), None));
    }
}
