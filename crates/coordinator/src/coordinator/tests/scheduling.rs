use crate::coordinator::fixture::*;
use crate::{AbortReason, Coordinator, CoordinatorConfig, StartPoint};

fn every_100() -> CoordinatorConfig {
    CoordinatorConfig::new()
        .interval_ms(Some(100))
        .timeout_ms(1_000)
        .tolerable_failed_checkpoints(100)
}

fn acknowledge_all(script: &mut Script, now_ms: u64, checkpoint: u64) {
    for number in 0..TASKS {
        let _ = script.0.handle(now_ms, ack(checkpoint, number, "-"));
    }
}

#[test]
fn the_first_trigger_is_due_one_interval_after_the_start() {
    let mut coordinator = Coordinator::new(every_100(), plan(), StartPoint::default()).unwrap();
    assert_eq!(coordinator.next_deadline_ms(), None);
    assert_eq!(coordinator.handle(500, TICK), []);
    assert_eq!(coordinator.handle(1_000, STARTED), [wake(1_100)]);
    assert_eq!(coordinator.next_deadline_ms(), Some(1_100));
    assert_eq!(coordinator.handle(1_099, TICK), []);
    assert_eq!(coordinator.handle(1_100, TICK), [trigger(1, 1_100), wake(2_100)]);
}

#[test]
fn the_next_trigger_is_due_one_interval_after_the_previous_one() {
    let mut script = Script::started(every_100());
    // The tick comes late; the interval counts from the trigger, not from when it was due.
    script.step(130, TICK, &[trigger(1, 130), wake(1_130)]);
    acknowledge_all(&mut script, 140, 1);
    script.step(150, committed(1), &[complete(1, None), wake(230)]);
    script.step(230, TICK, &[trigger(2, 230), wake(1_230)]);
}

#[test]
fn a_due_trigger_waits_for_the_pending_checkpoint() {
    let mut script = Script::started(every_100());
    script.step(100, TICK, &[trigger(1, 100), wake(1_100)]);
    script.step(250, TICK, &[]);
    acknowledge_all(&mut script, 300, 1);
    script.step(310, TICK, &[]);
    script.step(320, committed(1), &[complete(1, None), trigger(2, 320), wake(1_320)]);
}

#[test]
fn the_minimum_pause_counts_from_completion_and_from_abort() {
    let mut script = Script::started(every_100().min_pause_ms(70));
    script.step(100, TICK, &[trigger(1, 100), wake(1_100)]);
    acknowledge_all(&mut script, 110, 1);
    script.step(180, committed(1), &[complete(1, None), wake(250)]);
    script.step(249, TICK, &[]);
    script.step(250, TICK, &[trigger(2, 250), wake(1_250)]);
    script.step(340, decline(2, 0), &[aborted(2, declined(0)), wake(410)]);
    script.step(410, TICK, &[trigger(3, 410), wake(1_410)]);
    // A short checkpoint ends long before the interval: the pause changes nothing.
    script.step(411, decline(3, 0), &[aborted(3, declined(0)), wake(510)]);
}

#[test]
fn without_an_interval_only_requests_trigger() {
    let mut script = Script::started(CoordinatorConfig::new());
    assert_eq!(script.0.next_deadline_ms(), None);
    script.step(1_000_000, TICK, &[]);
    script.step(1_000_001, REQUEST, &[trigger(1, 1_000_001), wake(1_600_001)]);
}

#[test]
fn a_request_waits_for_the_start() {
    let mut coordinator = Coordinator::new(every_100(), plan(), StartPoint::default()).unwrap();
    assert_eq!(coordinator.handle(10, REQUEST), []);
    assert_eq!(coordinator.handle(20, STARTED), [trigger(1, 20), wake(1_020)]);
}

#[test]
fn requests_wait_in_one_slot_for_the_pending_checkpoint_and_the_pause() {
    let mut script = Script::started(every_100().min_pause_ms(30));
    script.step(10, REQUEST, &[trigger(1, 10), wake(1_010)]);
    script.step(11, REQUEST, &[]);
    script.step(12, REQUEST, &[]);
    script.step(13, decline(1, 0), &[aborted(1, declined(0)), wake(43)]);
    script.step(14, REQUEST, &[]);
    script.step(43, TICK, &[trigger(2, 43), wake(1_043)]);
    // All three are served: what follows is the interval.
    script.step(50, decline(2, 0), &[aborted(2, declined(0)), wake(143)]);
}

#[test]
fn a_final_request_ignores_the_pause_and_the_interval_but_not_the_pending_checkpoint() {
    let mut script = Script::started(every_100().min_pause_ms(10_000));
    script.step(10, REQUEST, &[trigger(1, 10), wake(1_010)]);
    script.step(11, FINAL_REQUEST, &[]);
    script.step(12, REQUEST, &[]);
    let expected = [aborted(1, declined(0)), final_trigger(2, 13), wake(1_013)];
    script.step(13, decline(1, 0), &expected);
    // It failed: the interval and the pause hold again, until it is requested anew.
    script.step(14, decline(2, 0), &[aborted(2, declined(0)), wake(10_014)]);
    script.step(15, FINAL_REQUEST, &[final_trigger(3, 15), wake(1_015)]);
}

#[test]
fn a_time_that_goes_backwards_counts_as_the_latest_seen() {
    let mut script = Script::started(every_100());
    script.step(90, TICK, &[]);
    script.step(20, REQUEST, &[trigger(1, 90), wake(1_090)]);
    let _ = script.0.handle(0, ack(1, 0, "a"));
    let _ = script.0.handle(95, ack(1, 1, "b"));
    script.step(1, ack(1, 2, "c"), &[commit(1, (90, 95), ["a", "b", "c"])]);
    script.step(2, committed(1), &[complete(1, None), wake(190)]);
}

#[test]
fn times_at_the_end_of_the_range_do_not_overflow() {
    let config = every_100().interval_ms(Some(u64::MAX)).min_pause_ms(u64::MAX);
    let mut script = Script::started(config.timeout_ms(u64::MAX));
    // Its timeout is the same time as the interval that was announced at the start.
    script.step(u64::MAX - 1, REQUEST, &[trigger(1, u64::MAX - 1)]);
    script.step(u64::MAX, TICK, &[aborted(1, AbortReason::Expired), trigger(2, u64::MAX)]);
}

#[test]
fn a_wake_up_is_asked_for_only_when_the_deadline_changes() {
    let mut script = Script::started(every_100());
    script.step(1, TICK, &[]);
    script.step(100, TICK, &[trigger(1, 100), wake(1_100)]);
    script.step(101, ack(1, 0, "-"), &[]);
    script.step(102, REQUEST, &[]);
    assert_eq!(script.0.next_deadline_ms(), Some(1_100));
}
