use super::*;
use crate::RestartStrategyError;
use RestartDecision::{GiveUp, Restart};

fn decisions(strategy: &str, failures_ms: &[u64]) -> Vec<RestartDecision> {
    let mut tracker = RestartTracker::new(strategy.parse().unwrap(), 1);
    failures_ms.iter().map(|now_ms| tracker.on_failure(*now_ms)).collect()
}

#[test]
fn none_gives_up_at_once() {
    assert_eq!(decisions("none", &[0, 1_000_000]), [GiveUp, GiveUp]);
}

#[test]
fn a_fixed_delay_restarts_as_often_as_it_has_attempts() {
    let restart = Restart { after_ms: 1_500 };
    let expected = [restart, restart, GiveUp, GiveUp];
    assert_eq!(decisions("fixed-delay:2:1500ms", &[0, 1, 1_000_000, 2_000_000]), expected);
    assert_eq!(decisions("fixed-delay:0:1s", &[0]), [GiveUp]);
}

#[test]
fn a_failure_rate_of_one_gives_up_at_the_second_failure_within_the_interval() {
    let restart = Restart { after_ms: 2_000 };
    assert_eq!(decisions("failure-rate:1:10ms:2s", &[100, 110]), [restart, GiveUp]);
    assert_eq!(decisions("failure-rate:1:10ms:2s", &[100, 111, 122]), [restart; 3]);
}

#[test]
fn a_failure_rate_looks_at_a_sliding_window() {
    let restart = Restart { after_ms: 0 };
    let found = decisions("failure-rate:2:10ms:0s", &[0, 8, 16, 24, 26]);
    assert_eq!(found, [restart, restart, restart, restart, GiveUp]);
    assert_eq!(decisions("failure-rate:3:1h:0s", &[5; 4]), [restart, restart, restart, GiveUp]);
}

#[test]
fn a_time_that_goes_backwards_counts_as_the_last_failure() {
    let restart = Restart { after_ms: 0 };
    assert_eq!(decisions("failure-rate:1:10ms:0s", &[1_000, 3]), [restart, GiveUp]);
    assert_eq!(decisions("failure-rate:1:10ms:0s", &[1_000, 3, 1_010]), [restart, GiveUp, GiveUp]);
}

#[test]
fn texts_come_back_as_they_were() {
    for text in ["none", "fixed-delay:3:1s", "fixed-delay:3:0s", "failure-rate:3:60s:1500ms"] {
        assert_eq!(text.parse::<RestartStrategy>().unwrap().to_string(), text);
    }
    let long: RestartStrategy = "failure-rate:3:1m:2h".parse().unwrap();
    assert_eq!(long.to_string(), "failure-rate:3:60s:7200s");
    assert_eq!(long.to_string().parse(), Ok(long));
}

#[test]
fn other_texts_are_refused_with_the_reason_and_the_forms() {
    let count = "a count is an integer from 0 to 4294967295";
    let duration = "a duration is an integer followed by ms, s, m or h";
    let options = "the number of options is wrong";
    for (text, reason) in [
        ("", "the name is unknown"),
        ("None", "the name is unknown"),
        ("exponential", "the name is unknown"),
        ("none:1", options),
        ("fixed-delay", options),
        ("fixed-delay:3", options),
        ("fixed-delay:3:1s:", options),
        ("failure-rate:3:1s", options),
        ("fixed-delay::1s", count),
        ("fixed-delay:-1:1s", count),
        ("fixed-delay:+1:1s", count),
        ("fixed-delay:4294967296:1s", count),
        ("fixed-delay:3:1", duration),
        ("fixed-delay:3:s", duration),
        ("fixed-delay:3:1 s", duration),
        ("fixed-delay:3:1.5s", duration),
        ("fixed-delay:3:1d", duration),
        ("fixed-delay:3:-1s", duration),
        ("fixed-delay:3:18446744073709551616ms", "a duration is too long"),
        ("fixed-delay:3:18446744073709551615h", "a duration is too long"),
    ] {
        let error = text.parse::<RestartStrategy>().unwrap_err();
        assert_eq!(error, RestartStrategyError { found: text.to_owned(), reason }, "{text}");
    }
    let text = "x".parse::<RestartStrategy>().unwrap_err().to_string();
    for part in ["\"x\"", "none", "fixed-delay:3:1s", "failure-rate:3:60s:1s"] {
        assert!(text.contains(part), "{text}");
    }
}

fn delays_ms(strategy: &str, seed: u64, failures_ms: &[u64]) -> Vec<Option<u64>> {
    let mut tracker = RestartTracker::new(strategy.parse().unwrap(), seed);
    let decide = |now_ms: &u64| match tracker.on_failure(*now_ms) {
        Restart { after_ms } => Some(after_ms),
        GiveUp => None,
    };
    failures_ms.iter().map(decide).collect()
}

#[test]
fn exponential_delays_grow_to_the_longest_and_start_again_after_a_long_run() {
    let strategy = "exponential-delay:1s:4s:2:1m:0";
    // Each failure comes as the job runs again: at 0, 1, 3, 7, 11 s; then 1 ms less than a minute
    // later, and a minute after that one's restart.
    let found = delays_ms(strategy, 1, &[0, 1_000, 3_000, 7_000, 70_999, 134_999, 135_999]);
    assert_eq!(found, [1, 2, 4, 4, 4, 1, 2].map(|s| Some(s * 1_000)));
}

#[test]
fn the_jitter_stays_within_its_bounds_and_depends_on_the_seed() {
    let strategy = "exponential-delay:1s:1s:1:1h:0.1";
    let failures: Vec<u64> = (0..500).collect();
    let found = delays_ms(strategy, 7, &failures);
    assert!(found.iter().all(|delay| delay.is_some_and(|ms| (900..=1_100).contains(&ms))));
    let (least, greatest) = (found.iter().min().unwrap(), found.iter().max().unwrap());
    assert!(*least < Some(905) && *greatest > Some(1_095), "{least:?} {greatest:?}");
    assert_eq!(found, delays_ms(strategy, 7, &failures));
    assert_ne!(found, delays_ms(strategy, 8, &failures));
}

#[test]
fn attempts_are_counted_anew_when_the_delay_is() {
    let strategy = "exponential-delay:1s:1s:1:10s:0:2";
    let found = delays_ms(strategy, 1, &[0, 1, 20_000, 20_001, 20_002]);
    assert_eq!(found, [Some(1_000), Some(1_000), Some(1_000), Some(1_000), None]);
}

#[test]
fn exponential_delays_have_a_text() {
    let default = RestartStrategy::default_for(true);
    assert_eq!(default.to_string(), "exponential-delay");
    let long = "exponential-delay:1s:60s:1.5:3600s:0.1";
    assert_eq!(long.parse(), Ok(default));
    let other = "exponential-delay:20ms:2s:1.125:60s:0.05:9";
    assert_eq!(other.parse::<RestartStrategy>().unwrap().to_string(), other);
    assert_eq!(RestartStrategy::default_for(false), RestartStrategy::None);
    for wrong in [
        "exponential-delay:1s",
        "exponential-delay:1s:60s:1.5:1h:0.1:3:4",
        "exponential-delay:0s:60s:1.5:1h:0.1",
        "exponential-delay:2s:1s:1.5:1h:0.1",
        "exponential-delay:1s:2s:0.9:1h:0.1",
        "exponential-delay:1s:2s:1.5:1h:1.001",
        "exponential-delay:1s:2s:1.5555:1h:0",
        "exponential-delay:1s:2s:+2:1h:0",
        "exponential-delay:1s:2s:.5:1h:0",
    ] {
        assert!(wrong.parse::<RestartStrategy>().is_err(), "{wrong}");
    }
}
