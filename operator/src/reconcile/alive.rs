//! Signs of life beside something that takes long: a look at dead ends, a turn that is waited for, a cmdlet.
//!
//! Sent by the run's own clock, for no look tells it anything meanwhile. A run that owns nothing is refused at the far end.

use std::time::Duration;

use pchat_planner::ownership::RENEW;
use pchat_planner::run::Run;

use crate::far_end::{FarEnd, Sign};

/// Runs `work`, and renews the owner's mark for as long as that takes.
pub async fn beside<T>(far: &impl FarEnd, run: &Run, work: impl Future<Output = T>) -> T {
    let signs = async {
        let Some(epoch) = &run.epoch else { return std::future::pending().await };
        loop {
            tokio::time::sleep(Duration::try_from(RENEW).unwrap_or(Duration::from_secs(25))).await;
            let _ = far.sign(Sign::Lives, epoch, &run.executor).await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = signs => never,
    }
}
