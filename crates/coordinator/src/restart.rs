//! Whether and when a failed job starts anew.
//!
//! Invariants: a tracker decides from the times it is given and from nothing else; every text that
//! `Display` writes parses back to the same strategy.
//!
//! Source: Flink `FixedDelayRestartBackoffTimeStrategy`, `FailureRateRestartBackoffTimeStrategy`.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use crate::RestartStrategyError;

/// When a failed job starts anew.
///
/// Shape as text: `none`, `fixed-delay:<attempts>:<delay>` or
/// `failure-rate:<failures>:<interval>:<delay>`; a duration is an integer and `ms`, `s`, `m` or
/// `h`. `Display` writes durations in `s` when they are whole seconds and else in `ms`, so
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
}

impl RestartTracker {
    /// A tracker of a job that has not failed yet.
    pub fn new(strategy: RestartStrategy) -> Self {
        Self { strategy, restarts: 0, failures_ms: VecDeque::new() }
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
}

impl FromStr for RestartStrategy {
    type Err = RestartStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| RestartStrategyError { found: text.to_owned(), reason })
    }
}

impl fmt::Display for RestartStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => f.write_str("none"),
            Self::FixedDelay { attempts, delay_ms } => {
                write!(f, "fixed-delay:{attempts}:{}", Duration(delay_ms))
            }
            Self::FailureRate { max_failures, interval_ms, delay_ms } => {
                let (interval, delay) = (Duration(interval_ms), Duration(delay_ms));
                write!(f, "failure-rate:{max_failures}:{interval}:{delay}")
            }
        }
    }
}

/// A number of milliseconds, to be printed.
struct Duration(u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(f, "{}s", self.0 / 1_000)
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

fn parse(text: &str) -> Result<RestartStrategy, &'static str> {
    let (name, options) = text.split_once(':').unwrap_or((text, ""));
    let options: Vec<&str> = if options.is_empty() { vec![] } else { options.split(':').collect() };
    match (name, options.as_slice()) {
        ("none", []) => Ok(RestartStrategy::None),
        ("fixed-delay", [attempts, delay]) => Ok(RestartStrategy::FixedDelay {
            attempts: count(attempts)?,
            delay_ms: duration_ms(delay)?,
        }),
        ("failure-rate", [failures, interval, delay]) => Ok(RestartStrategy::FailureRate {
            max_failures: count(failures)?,
            interval_ms: duration_ms(interval)?,
            delay_ms: duration_ms(delay)?,
        }),
        ("none" | "fixed-delay" | "failure-rate", _) => Err("the number of options is wrong"),
        _ => Err("the name is unknown"),
    }
}

fn count(text: &str) -> Result<u32, &'static str> {
    const REASON: &str = "a count is an integer from 0 to 4294967295";
    digits(text).and_then(|digits| digits.parse().ok()).ok_or(REASON)
}

fn duration_ms(text: &str) -> Result<u64, &'static str> {
    const REASON: &str = "a duration is an integer followed by ms, s, m or h";
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(REASON)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(REASON),
    };
    let number: Option<u64> = digits(number).ok_or(REASON)?.parse().ok();
    number.and_then(|number| number.checked_mul(unit_ms)).ok_or("a duration is too long")
}

/// The text itself if it is a plain number: `parse` alone would take a plus sign as well.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests;
