//! How long to pause before trying again: longer each time, never the same twice.
//!
//! Two executors that were started together must not stay in step, and a far end that is in trouble must not
//! be asked ever more often.

use std::time::Duration;

use uuid::Uuid;

/// A pause that doubles up to a limit, with jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    tries: u32,
}

impl Backoff {
    /// Begins at `first` and doubles up to `limit`.
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Backoff { first, limit, tries: 0 }
    }

    /// Something went well, or something new was seen.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next pause: between half of the nominal one and all of it.
    pub fn pause(&mut self) -> Duration {
        let nominal = self.first.saturating_mul(1 << self.tries.min(16)).min(self.limit);
        self.tries = self.tries.saturating_add(1);
        // A random UUID is the source of chance at hand; its lowest 32 bits are random.
        let chance = (Uuid::new_v4().as_u128() & 0xffff_ffff) as f64 / f64::from(u32::MAX);
        nominal.mul_f64(0.5 + 0.5 * chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_to_its_limit_and_starts_again_after_a_success() {
        let (first, limit) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(first, limit);
        for nominal in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let pause = backoff.pause();
            assert!(pause <= Duration::from_millis(nominal), "{pause:?} for {nominal}");
            assert!(pause >= Duration::from_millis(nominal / 2), "{pause:?} for {nominal}");
        }
        for _ in 0..100 {
            assert!(backoff.pause() <= limit);
        }
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
