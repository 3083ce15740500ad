//! Refused logins have a brake: what a server has refused is not sent to it again at once.
//!
//! A wrong password that is tried every second locks the account out (CHECK_POLICY, the domain's policy) on the day on
//! which it is needed. So a refusal is known to all looks and actions of this process that use the same credentials at
//! the same server: the next try is a minute later, then longer and longer. Other credentials, or another server, are
//! another brake; a person's wish (a changed Secret or manifest, the annotation, a new run) lifts it.
//!
//! Nobody here says whether a server lives: who may not log in still knocks at its port.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long is waited after a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first one; doubled by each further one.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Pace {
    /// What every process keeps to. Domains commonly lock an account after five to ten refusals within 10 to 30 minutes.
    pub const USUAL: Pace = Pace { first: Duration::from_secs(60), most: Duration::from_secs(15 * 60) };

    fn after(self, refusals: u32) -> Duration {
        self.first.saturating_mul(1 << refusals.saturating_sub(1).min(16)).min(self.most)
    }
}

/// Where, and a digest of user and password.
type Key = (String, [u8; 32]);

/// All brakes of a process.
#[derive(Clone, Debug)]
pub struct Brakes {
    pace: Pace,
    lifted_by: &'static str,
    known: Arc<Mutex<HashMap<Key, Weak<Inner>>>>,
}

impl Brakes {
    /// `lifted_by` is a sentence that says what lifts a wait.
    pub fn new(pace: Pace, lifted_by: &'static str) -> Self {
        Brakes { pace, lifted_by, known: Arc::default() }
    }

    /// Of a run that reads its files once.
    pub fn of_a_run() -> Self {
        Brakes::new(Pace::USUAL, "A new run tries at once.")
    }

    /// Of the operator in a cluster.
    pub fn of_a_cluster() -> Self {
        Brakes::new(
            Pace::USUAL,
            "A changed Secret or manifest, or another value of the annotation persistentchat.io/reconcile-at, is tried at \
             once.",
        )
    }

    /// The brake of these credentials at `place`; everybody who asks for the same one shares it.
    pub fn of(&self, place: &str, user: &str, password: &[u8]) -> Brake {
        let mut hash = Sha256::new();
        hash.update((user.len() as u64).to_le_bytes());
        hash.update(user);
        hash.update(password);
        let key = (place.to_lowercase(), hash.finalize().into());
        let mut known = lock(&self.known);
        if let Some(inner) = known.get(&key).and_then(Weak::upgrade) {
            return Brake(inner);
        }
        known.retain(|_, inner| inner.strong_count() > 0);
        let inner = Arc::new(Inner {
            pace: self.pace,
            lifted_by: self.lifted_by,
            state: Mutex::new(State::Unknown),
            turn: tokio::sync::Mutex::new(()),
        });
        known.insert(key, Arc::downgrade(&inner));
        Brake(inner)
    }
}

/// The brake of one login at one place. Clones are the same brake.
#[derive(Clone)]
pub struct Brake(Arc<Inner>);

struct Inner {
    pace: Pace,
    lifted_by: &'static str,
    state: Mutex<State>,
    /// One at a time until it is known whether the login is taken: four looks at once would be four refusals.
    turn: tokio::sync::Mutex<()>,
}

enum State {
    /// Not tried yet, or lifted.
    Unknown,
    /// Taken the last time.
    Good,
    /// Refused, and not to be tried before `next`.
    Refused { why: String, times: u32, next: Instant, told: String },
}

/// Leave to log in. Dropped without a word it leaves open how that ended.
pub struct Leave<'a> {
    brake: &'a Brake,
    _turn: Option<tokio::sync::MutexGuard<'a, ()>>,
}

impl Brake {
    /// Leave to log in now, or the sentence that says why not and when.
    pub async fn leave(&self) -> Result<Leave<'_>, String> {
        if self.is_good()? {
            return Ok(Leave { brake: self, _turn: None });
        }
        let turn = self.0.turn.lock().await;
        let turn = if self.is_good()? { None } else { Some(turn) };
        Ok(Leave { brake: self, _turn: turn })
    }

    fn is_good(&self) -> Result<bool, String> {
        match &*self.state() {
            State::Good => Ok(true),
            State::Refused { next, told, .. } if Instant::now() < *next => Err(told.clone()),
            State::Unknown | State::Refused { .. } => Ok(false),
        }
    }

    /// The server refused it: `why` is a sentence with the cause. Gives it with the time of the next try.
    pub fn refused(&self, why: &str) -> String {
        let mut state = self.state();
        let times = match &*state {
            State::Refused { times, .. } => times.saturating_add(1),
            State::Unknown | State::Good => 1,
        };
        let wait = self.0.pace.after(times);
        let next_at = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        let tried =
            if times == 1 { String::new() } else { format!(" It was refused {times} times in a row.") };
        let told = format!(
            "{why}{tried} So that the account is not locked out, the next try is at {} UTC. {}",
            next_at.strftime("%H:%M:%S"),
            self.0.lifted_by
        );
        *state =
            State::Refused { why: why.to_owned(), times, next: Instant::now() + wait, told: told.clone() };
        told
    }

    /// A person wants it to be tried now.
    pub fn lift(&self) {
        *self.state() = State::Unknown;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl Leave<'_> {
    /// The server took it.
    pub fn accepted(self) {
        *self.brake.state() = State::Good;
    }

    /// As [`Brake::refused`].
    pub fn refused(self, why: &str) -> String {
        self.brake.refused(why)
    }
}

impl Default for Brake {
    fn default() -> Self {
        Brakes::of_a_run().of("", "", &[])
    }
}

/// Two logins are compared by what they are, not by how they fare.
impl PartialEq for Brake {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Brake {}

impl fmt::Debug for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state() {
            State::Unknown => f.write_str("Brake(not tried)"),
            State::Good => f.write_str("Brake(taken)"),
            State::Refused { why, times, .. } => write!(f, "Brake(refused {times} times: {why})"),
        }
    }
}

/// `text` with every `user` in it replaced by `shown`, whatever its case, where it stands as a word of its own.
pub fn hide(text: &str, user: &str, shown: &str) -> String {
    if user.is_empty() || user == shown {
        return text.to_owned();
    }
    let (lower, user) = (text.to_ascii_lowercase(), user.to_ascii_lowercase());
    let of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(&user) {
        let end = at + user.len();
        let whole = !text[..at].ends_with(of_a_name) && !text[end..].starts_with(of_a_name);
        if at >= from && whole {
            out.push_str(&text[from..at]);
            out.push_str(shown);
            from = end;
        }
    }
    out.push_str(&text[from..]);
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a server is asked that refuses everybody, by one who looks every second for so many minutes.
    async fn tries(brake: &Brake, minutes: u64) -> u32 {
        let mut tries = 0;
        for _ in 0..minutes * 60 {
            if let Ok(leave) = brake.leave().await {
                tries += 1;
                leave.refused("The login is refused.");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tries
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_is_tried_after_a_minute_then_ever_later_up_to_a_quarter_of_an_hour() {
        let brake = Brakes::of_a_run().of("sql-ks1", "pchat", b"wrong");
        // At 0, 1, 3, 7, 15, 30 and 45 minutes.
        assert_eq!(tries(&brake, 1).await, 1);
        assert_eq!(tries(&brake, 6).await, 2);
        assert_eq!(tries(&brake, 52).await, 4);
        let told = brake.leave().await.map(drop).unwrap_err();
        assert!(
            told.starts_with("The login is refused. It was refused 7 times in a row.")
                && told.contains(" UTC."),
            "{told}"
        );
    }

    #[test]
    fn a_user_name_is_hidden_where_it_is_one() {
        let hidden = |text: &str| hide(text, "Sa", "<user of Secret pchat-sql>");
        assert_eq!(
            hidden("Login failed for user 'sa'."),
            "Login failed for user '<user of Secret pchat-sql>'."
        );
        assert_eq!(hidden("SA, [sa]"), "<user of Secret pchat-sql>, [<user of Secret pchat-sql>]");
        assert_eq!(hidden("the same message, sa_1 ä"), "the same message, sa_1 ä");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_login_at_the_same_place_has_one_brake_and_any_other_its_own() {
        let brakes = Brakes::of_a_cluster();
        let first = brakes.of("sql-ks1", "pchat", b"wrong");
        first.leave().await.map(|leave| leave.refused("No.")).unwrap();
        assert!(
            brakes.of("SQL-KS1", "pchat", b"wrong").leave().await.is_err(),
            "another look, or another pool"
        );
        for (place, user, password) in
            [("sql-ks2", "pchat", "wrong"), ("sql-ks1", "pchat2", "wrong"), ("sql-ks1", "pchat", "right")]
        {
            assert!(
                brakes.of(place, user, password.as_bytes()).leave().await.is_ok(),
                "{place} {user} {password}"
            );
        }
        first.lift();
        assert!(brakes.of("sql-ks1", "pchat", b"wrong").leave().await.is_ok(), "a person wants it");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_begin_together_are_one_try_until_the_login_is_known_to_be_good() {
        let brakes = Brakes::of_a_run();
        let look = async |brake: Brake, good: bool| match brake.leave().await {
            Ok(leave) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if good {
                    leave.accepted()
                } else {
                    drop(leave.refused("No."))
                }
                1
            }
            Err(_) => 0,
        };
        let wrong = brakes.of("sql-ks1", "pchat", b"wrong");
        let begun = futures::future::join_all((0..4).map(|_| look(wrong.clone(), false))).await;
        assert_eq!(begun.iter().sum::<i32>(), 1);
        let right = brakes.of("sql-ks1", "pchat", b"right");
        futures::future::join_all((0..4).map(|_| look(right.clone(), true))).await;
        let at = Instant::now();
        futures::future::join_all((0..4).map(|_| look(right.clone(), true))).await;
        assert!(at.elapsed() < Duration::from_millis(150), "who is known does not queue: {:?}", at.elapsed());
        right.refused("The password was changed.");
        assert!(right.leave().await.is_err(), "and can be refused later");
    }
}
