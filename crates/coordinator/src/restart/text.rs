//! Restart strategies as text.
//!
//! Invariants: every text that `Display` writes parses back to the same strategy.

use std::fmt;
use std::str::FromStr;

use super::{ExponentialDelay, RestartStrategy};
use crate::RestartStrategyError;

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
            Self::ExponentialDelay(options) if options == ExponentialDelay::default() => {
                f.write_str("exponential-delay")
            }
            Self::ExponentialDelay(options) => {
                let (initial, max) = (Duration(options.initial_ms), Duration(options.max_ms));
                let multiplier = Permille(options.multiplier_permille);
                let reset = Duration(options.reset_after_ms);
                let jitter = Permille(options.jitter_permille);
                write!(f, "exponential-delay:{initial}:{max}:{multiplier}:{reset}:{jitter}")?;
                options.attempts.map_or(Ok(()), |attempts| write!(f, ":{attempts}"))
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

/// A number of thousandths, to be printed as a decimal number.
struct Permille(u32);

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(decimal.trim_end_matches('0').trim_end_matches('.'))
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
        ("exponential-delay", []) => {
            Ok(RestartStrategy::ExponentialDelay(ExponentialDelay::default()))
        }
        ("exponential-delay", [initial, max, multiplier, reset, jitter, attempts @ ..])
            if attempts.len() < 2 =>
        {
            exponential([initial, max, multiplier, reset, jitter], attempts.first().copied())
        }
        ("none" | "fixed-delay" | "failure-rate" | "exponential-delay", _) => {
            Err("the number of options is wrong")
        }
        _ => Err("the name is unknown"),
    }
}

fn exponential(
    [initial, max, multiplier, reset, jitter]: [&str; 5],
    attempts: Option<&str>,
) -> Result<RestartStrategy, &'static str> {
    let options = ExponentialDelay {
        initial_ms: duration_ms(initial)?,
        max_ms: duration_ms(max)?,
        multiplier_permille: permille(multiplier)?,
        reset_after_ms: duration_ms(reset)?,
        jitter_permille: permille(jitter)?,
        attempts: attempts.map(count).transpose()?,
    };
    if options.initial_ms == 0 || options.max_ms < options.initial_ms {
        return Err("the first delay is at least 1ms and at most the longest");
    }
    if options.multiplier_permille < 1_000 {
        return Err("a multiplier is at least 1");
    }
    if options.jitter_permille > 1_000 {
        return Err("a jitter is at most 1");
    }
    Ok(RestartStrategy::ExponentialDelay(options))
}

/// A decimal number in thousandths.
fn permille(text: &str) -> Result<u32, &'static str> {
    const REASON: &str = "a factor is a decimal number with at most three places, such as 1.5";
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    if places.len() > 3 {
        return Err(REASON);
    }
    let whole: u32 = digits(whole).and_then(|digits| digits.parse().ok()).ok_or(REASON)?;
    let places = format!("{:0<3}", digits(places).ok_or(REASON)?);
    let places: u32 = places.parse().map_err(|_| REASON)?;
    whole.checked_mul(1_000).and_then(|whole| whole.checked_add(places)).ok_or(REASON)
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
