use super::*;
use RestartDecision::{GiveUp, Restart};

fn decisions(strategy: &str, failures_ms: &[u64]) -> Vec<RestartDecision> {
    let mut tracker = RestartTracker::new(strategy.parse().unwrap());
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
fn other_texts_are_refused_with_the_reason_and_the_three_forms() {
    let count = "a count is an integer from 0 to 4294967295";
    let duration = "a duration is an integer followed by ms, s, m or h";
    let options = "the number of options is wrong";
    for (text, reason) in [
        ("", "the name is unknown"),
        ("None", "the name is unknown"),
        ("exponential-delay", "the name is unknown"),
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
