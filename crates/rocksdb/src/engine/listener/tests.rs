//! The gate and the wait on their own, without a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{EngineError, EngineState};

fn until(condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing happened for ten seconds");
}

#[test]
fn a_compaction_waits_for_the_holds_before_it_and_not_for_those_after() {
    let state = Arc::new(EngineState::default());
    let (first, second) = (state.hold(), state.hold());
    let passed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            state.pass_gate();
            passed.store(true, Ordering::SeqCst);
        });
        until(|| state.held_back() == 1);
        let third = state.hold();
        drop(second);
        assert!(!passed.load(Ordering::SeqCst));
        drop(first);
        until(|| passed.load(Ordering::SeqCst));
        drop(third);
    });
    state.pass_gate();
    assert_eq!(state.held_back(), 1);
}

#[test]
fn closing_lets_a_compaction_go_on_and_ends_the_wait_for_a_flush() {
    let state = Arc::new(EngineState::default());
    let hold = state.hold();
    std::thread::scope(|scope| {
        scope.spawn(|| state.pass_gate());
        let waiting = scope.spawn(|| state.wait_flushed_past(5, || Ok(())));
        until(|| state.held_back() == 1);
        state.close();
        let error = waiting.join().expect("no panic").expect_err("closed");
        assert!(matches!(*error, EngineError::Closed { .. }), "{error}");
    });
    drop(hold);
}

#[test]
fn a_wait_ends_with_the_flush_or_with_the_first_error() {
    let state = Arc::new(EngineState::default());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| state.wait_flushed_past(5, || Ok(())));
        state.flush_completed(5);
        state.flush_completed(6);
        state.flush_completed(2);
        assert!(matches!(waiting.join().expect("no panic"), Ok(())));
        let waiting = scope.spawn(|| state.wait_flushed_past(6, || Ok(())));
        state.poison(EngineError::new("flush", "first"));
        state.poison(EngineError::new("flush", "second"));
        let error = waiting.join().expect("no panic").expect_err("poisoned");
        assert_eq!(error.to_string(), "RocksDB cannot flush: first");
    });
    let silent = EngineState::default();
    let look = || Err(EngineError::new("flush", "found by looking"));
    assert!(matches!(silent.wait_flushed_past(0, look), Err(error)
        if error.to_string().contains("found by looking")));
    assert!(silent.check().is_err());
}
