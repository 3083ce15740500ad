//! Backup sets whose header can be read and whose body could not be restored, and what to do about them at the next looks.
//!
//! A header says nothing of the body behind it, so the file is looked at anew: another set in its place ends the matter at
//! once, and the same one is verified from time to time, for a whole copy may have been put there. Never restores anything.

use std::collections::BTreeMap;
use std::time::Duration;

use pchat_planner::facts::{Damaged, Header};
use tokio::time::Instant;

use super::headers::{Cache, path};
use crate::sql::batches::files::verify;
use crate::sql::connect::connect;
use crate::sql::connection::ServerError;
use crate::sql::explain::{body_damaged, explain};
use crate::sql::target::{Deadlines, Target};

/// Pauses between two verifications of the same set: each reads it to its end.
const VERIFY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// A file about which an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTrouble {
    /// Where RESTORE read it.
    pub path: String,
    /// Position of the set.
    pub position: u16,
    /// What the server said.
    pub error: ServerError,
}

/// What is known to be damaged.
#[derive(Debug, Default)]
pub struct Damage {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    damaged: Damaged,
    /// It was verified since and found whole; should it fail again, it is not believed as quickly.
    whole: bool,
    pause: Duration,
    due: Instant,
}

impl Damage {
    /// Takes in what an action stumbled over: the header is asked anew, whatever the error; a damaged body is remembered.
    /// What lies in another directory is none of this.
    pub fn take_in(&mut self, trouble: FileTrouble, directory: &str, cache: &mut Cache) {
        let FileTrouble { path: at, position, error } = trouble;
        if !lies_in(&at, directory) {
            return;
        }
        let set = cache.set_at(&at, position).map(|s| s.id);
        cache.forget(&at);
        let (true, Some(set)) = (body_damaged(&error), set) else { return };
        let what = explain(&error).what;
        let now = Instant::now();
        match self.known.iter_mut().find(|k| k.damaged.path == at && k.damaged.set == set) {
            Some(known) => {
                known.whole = false;
                known.pause = (known.pause * 2).min(VERIFY.1);
                known.due = now + known.pause;
                known.damaged.what = what;
            }
            None => {
                let damaged = Damaged { path: at, position, set, what };
                self.known.push(Known { damaged, whole: false, pause: VERIFY.0, due: now + VERIFY.0 });
            }
        }
    }

    /// What is still damaged, by the headers of this look and, when it is time, by a verification.
    pub async fn standing(
        &mut self,
        target: &Target,
        deadlines: &Deadlines,
        directory: &str,
        headers: &BTreeMap<String, Header>,
    ) -> Vec<Damaged> {
        self.known.retain(|k| still_there(&k.damaged, directory, headers));
        let now = Instant::now();
        for known in self.known.iter_mut().filter(|k| !k.whole && k.due <= now) {
            let Damaged { path, position, .. } = &known.damaged;
            known.pause = (known.pause * 2).min(VERIFY.1);
            known.due = now + known.pause;
            let Ok(mut connection) = connect(target, deadlines).await else { break };
            // No answer is no proof of anything, and the look waits for it.
            let Ok(answer) = connection.ask(&verify(path, *position), deadlines.files).await else { break };
            known.whole = answer.error.is_none();
        }
        self.known.iter().filter(|k| !k.whole).map(|k| k.damaged.clone()).collect()
    }
}

fn lies_in(at: &str, directory: &str) -> bool {
    at.rsplit_once('\\').is_some_and(|(_, name)| path(directory, name) == at)
}

/// Whether the file still holds that set at that position, by its header.
fn still_there(damaged: &Damaged, directory: &str, headers: &BTreeMap<String, Header>) -> bool {
    headers.iter().filter(|(name, _)| path(directory, name) == damaged.path).any(|(_, header)| {
        header.sets().iter().any(|s| s.id == damaged.set && s.position == damaged.position)
    })
}
