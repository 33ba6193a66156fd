//! Whether and when a failed job starts anew.
//!
//! Invariants: a tracker decides from the times and the seed that it is given and from nothing else.
//!
//! Source: Flink `FixedDelayRestartBackoffTimeStrategy`, `FailureRateRestartBackoffTimeStrategy`,
//! `ExponentialDelayRestartBackoffTimeStrategy`.

mod text;

use std::collections::VecDeque;

/// When a failed job starts anew.
///
/// Shape as text: `none`, `fixed-delay:<attempts>:<delay>`,
/// `failure-rate:<failures>:<interval>:<delay>`, `exponential-delay` or
/// `exponential-delay:<initial>:<max>:<multiplier>:<reset>:<jitter>[:<attempts>]`; a duration is an
/// integer and `ms`, `s`, `m` or `h`, a multiplier or a jitter a decimal number with at most three
/// places. `Display` writes durations in `s` when they are whole seconds and else in `ms`, so
/// `failure-rate:3:1m:1s` comes back as `failure-rate:3:60s:1s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartStrategy {
    /// Never.
    None,
    /// A number of times, each after the same delay.
    FixedDelay {
        /// How many restarts there are in all; the failure after the last one is final.
        attempts: u32,
        /// Time between failure and restart.
        delay_ms: u64,
    },
    /// As long as failures are rare enough.
    FailureRate {
        /// How many failures within the interval are answered with a restart; one more is final.
        /// With 1, the first failure restarts and a second one within the interval gives up.
        max_failures: u32,
        /// Length of the window that ends with the newest failure; both ends belong to it.
        interval_ms: u64,
        /// Time between failure and restart.
        delay_ms: u64,
    },
    /// Each time after a longer delay, until the job has run long enough.
    ExponentialDelay(ExponentialDelay),
}

/// Options of [`RestartStrategy::ExponentialDelay`].
///
/// Default: 1 s, 1 min, 1.5, 1 h, 0.1 and any number of attempts, as Flink has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExponentialDelay {
    /// First delay.
    pub initial_ms: u64,
    /// Longest delay, jitter aside.
    pub max_ms: u64,
    /// Each delay over the one before, in thousandths; at least 1,000.
    pub multiplier_permille: u32,
    /// A job that has run so long since its last restart begins with the first delay again.
    pub reset_after_ms: u64,
    /// Most that a delay is made longer or shorter at random, in thousandths of it; at most 1,000.
    /// Jobs that failed for one cause do not all come back at once.
    pub jitter_permille: u32,
    /// How many restarts there are before the delay is reset; `None` is without limit.
    pub attempts: Option<u32>,
}

impl Default for ExponentialDelay {
    fn default() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 60_000,
            multiplier_permille: 1_500,
            reset_after_ms: 3_600_000,
            jitter_permille: 100,
            attempts: None,
        }
    }
}

impl RestartStrategy {
    /// What a job does that was told nothing: restarts with growing delays if it takes checkpoints,
    /// and never if it does not, since it would begin from nothing.
    ///
    /// Source: Flink `restart-strategy.type`.
    pub fn default_for(takes_checkpoints: bool) -> Self {
        if takes_checkpoints {
            Self::ExponentialDelay(ExponentialDelay::default())
        } else {
            Self::None
        }
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RestartDecision {
    /// Start the job anew.
    Restart {
        /// Time to wait before.
        after_ms: u64,
    },
    /// The job has failed for good.
    GiveUp,
}

/// Counts the failures of one job and decides about each.
#[derive(Debug, Clone)]
pub struct RestartTracker {
    strategy: RestartStrategy,
    restarts: u32,
    failures_ms: VecDeque<u64>,
    backoff: Option<Backoff>,
    /// State of the random numbers that jitter is drawn from.
    random: u64,
}

/// Where the growing delay has come to.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    /// The next delay.
    delay_ms: u64,
    /// When the job was to run again after its last failure.
    restart_at_ms: u64,
}

impl RestartTracker {
    /// A tracker of a job that has not failed yet. The seed is for the jitter of
    /// [`RestartStrategy::ExponentialDelay`]; jobs should have different ones.
    pub fn new(strategy: RestartStrategy, seed: u64) -> Self {
        Self { strategy, restarts: 0, failures_ms: VecDeque::new(), backoff: None, random: seed }
    }

    /// Notes a failure and decides. A time before that of the last failure counts as that one.
    pub fn on_failure(&mut self, now_ms: u64) -> RestartDecision {
        let (allowed, after_ms) = match self.strategy {
            RestartStrategy::None => (false, 0),
            RestartStrategy::FixedDelay { attempts, delay_ms } => {
                (self.restarts < attempts, delay_ms)
            }
            RestartStrategy::FailureRate { max_failures, interval_ms, delay_ms } => {
                let recent = self.failures_within(interval_ms, now_ms);
                (u32::try_from(recent).is_ok_and(|recent| recent <= max_failures), delay_ms)
            }
            RestartStrategy::ExponentialDelay(options) => {
                let after_ms = self.back_off(options, now_ms);
                (options.attempts.is_none_or(|attempts| self.restarts < attempts), after_ms)
            }
        };
        if allowed {
            self.restarts = self.restarts.saturating_add(1);
            RestartDecision::Restart { after_ms }
        } else {
            RestartDecision::GiveUp
        }
    }

    /// Number of failures in the window that ends now, this one included.
    fn failures_within(&mut self, interval_ms: u64, now_ms: u64) -> usize {
        let now_ms = self.failures_ms.back().map_or(now_ms, |last| now_ms.max(*last));
        self.failures_ms.push_back(now_ms);
        self.failures_ms.retain(|failure| now_ms - failure <= interval_ms);
        self.failures_ms.len()
    }

    /// The delay of this failure; the next one will be longer.
    fn back_off(&mut self, options: ExponentialDelay, now_ms: u64) -> u64 {
        let first = Backoff { delay_ms: options.initial_ms, restart_at_ms: now_ms };
        let mut backoff = self.backoff.unwrap_or(first);
        if now_ms.saturating_sub(backoff.restart_at_ms) >= options.reset_after_ms {
            backoff = first;
            self.restarts = 0;
        }
        let after_ms = self.with_jitter(backoff.delay_ms, options.jitter_permille);
        let longer = u128::from(backoff.delay_ms) * u128::from(options.multiplier_permille) / 1_000;
        let longer_ms = u64::try_from(longer).unwrap_or(u64::MAX).max(backoff.delay_ms);
        self.backoff = Some(Backoff {
            delay_ms: longer_ms.min(options.max_ms),
            restart_at_ms: now_ms.max(backoff.restart_at_ms).saturating_add(after_ms),
        });
        after_ms
    }

    /// Makes a delay longer or shorter by at most so many thousandths.
    fn with_jitter(&mut self, delay_ms: u64, permille: u32) -> u64 {
        let most = u128::from(delay_ms) * u128::from(permille.min(1_000)) / 1_000;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        // splitmix64: one multiplication more than a counter, and good enough to spread restarts.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let span = u128::from(most) * 2 + 1;
        let offset = u64::try_from((u128::from(bits) * span) >> 64).unwrap_or(0);
        (delay_ms - most).saturating_add(offset)
    }
}

#[cfg(test)]
mod tests;
