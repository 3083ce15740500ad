//! The wish to stop, as the driver sees it: asked for or not.
//!
//! It is looked at between actions and while waiting, never in the middle of one: an action that was begun
//! is seen to its end.

use tokio::sync::watch;

/// Where a signal handler tells that it is time to stop.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

/// The handler's end.
#[derive(Debug)]
pub struct Interrupter(watch::Sender<bool>);

/// Both ends.
pub fn channel() -> (Interrupter, Interrupt) {
    let (sender, receiver) = watch::channel(false);
    (Interrupter(sender), Interrupt(receiver))
}

impl Interrupter {
    /// Asks the driver to stop at the next safe point.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

impl Interrupt {
    /// Whether it was asked to stop.
    pub fn asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked to stop; never, if nobody can ask any more.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
