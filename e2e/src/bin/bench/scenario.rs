//! What is measured: the pools, their service times, and why they have these.

use pchat_lab::Scenario;

/// Log backups of the failover that the targets are about.
pub const BACKUPS: u32 = 200;

/// Sizes at which growth is measured.
pub const GROWTH: [u32; 3] = [50, 500, 2_000];

/// How many log backups are left to apply, how long each takes to restore, and the declared silence.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub backups: u32,
    pub restore_log_ms: u32,
    /// Longer than two looks at a dead host and than reading all headers, which go on meanwhile.
    pub silent_for_s: u64,
}

/// The failover that the targets are about: five minutes of log, restored in 75 ms each.
pub const FAILOVER: Size = Size { backups: BACKUPS, restore_log_ms: 75, silent_for_s: 10 };

/// For growth the far ends are quick, so that what the operator adds shows, and 2,000 backups do not take minutes.
pub const SMALL_STEPS: Size = Size { backups: BACKUPS, restore_log_ms: 20, silent_for_s: 20 };

/// Log backups that were restored before the disaster.
const RESTORED: u32 = 20;

/// A pool whose primary side has died, with so many log backups on the share; half of them are not copied yet.
pub fn failover(size: Size) -> Result<Scenario, String> {
    let Size { backups, restore_log_ms, silent_for_s } = size;
    let (all, copied) = (backups + RESTORED, backups / 2 + RESTORED);
    Scenario::from_yaml(&format!(
        "
seed: 7
latencyMs: 2.5
silentFor: {silent_for_s}s
messageEveryMs: 250
replicationDelayMs: 300
logShipping: {{backups: {all}, copied: {copied}, restored: {RESTORED}, messagesPerBackup: 4, jobEveryS: 0}}
serviceTimes:
  restoreLogMs: {restore_log_ms}
  recoveryMs: 3000
  setCmdletMs: 1000
  readCmdletMs: 100
  mirrorSeedingMs: 5000
  jobStartMs: 1000
  copyFileMs: 40
  headerMs: 5
  listingMs: 5
"
    ))
}

/// A pool at which nothing happens but that people write.
pub fn calm() -> Result<Scenario, String> {
    Scenario::from_yaml(
        "
seed: 7
messageEveryMs: 250
logShipping: {backups: 20, copied: 20, restored: 19, messagesPerBackup: 4, jobEveryS: 0}
serviceTimes: {readCmdletMs: 20, headerMs: 5, listingMs: 5}
",
    )
}
