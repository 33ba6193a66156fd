use crate::coordinator::fixture::*;
use crate::{Action, CheckpointKind, CheckpointOutcome, CoordinatorConfig, HISTORY_LEN};

#[test]
fn a_checkpoint_goes_from_trigger_to_completion() {
    let mut script = Script::started(CoordinatorConfig::new().timeout_ms(50));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    // Acknowledged out of order; the metadata is in the order of the plan.
    script.step(11, ack(1, 2, "c"), &[]);
    script.step(12, ack(1, 0, "- s"), &[]);
    script.step(13, ack(1, 1, "a b"), &[commit(1, (10, 13), ["- s", "a b", "c"])]);
    assert_eq!(script.0.next_deadline_ms(), None);
    assert_eq!(script.0.latest(), None, "it exists only once it is committed");
    script.step(20, committed(1), &[complete(1, None)]);
    assert_eq!(script.0.latest(), Some(&metadata(1, (10, 13), ["- s", "a b", "c"])));
}

#[test]
fn completion_is_notified_before_older_checkpoints_are_deleted() {
    let mut script = Script::started(CoordinatorConfig::new());
    assert_eq!(script.complete(10, 1, ["a", "b", "c"]), [complete(1, None)]);
    let actions = script.complete(20, 2, ["d", "e", "f"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "a b c")]);
}

#[test]
fn the_configured_number_is_kept_and_the_newest_is_never_deleted() {
    let mut script = Script::started(CoordinatorConfig::new().retained(2));
    assert_eq!(script.complete(10, 1, ["a", "-", "-"]), [complete(1, None)]);
    assert_eq!(script.complete(20, 2, ["b", "-", "-"]), [complete(2, None)]);
    let actions = script.complete(30, 3, ["c", "-", "-"]);
    assert_eq!(actions, [complete(3, Some(1)), delete(1, "a")]);
    assert_eq!(script.retained(), [2, 3]);
    // A failure afterwards takes none of them away.
    script.step(40, REQUEST, &[trigger(4, 40), wake(600_040)]);
    let _ = script.0.handle(41, decline(4, 0));
    assert_eq!(script.retained(), [2, 3]);
    assert_eq!(script.0.latest().unwrap().properties.checkpoint, id(3));
}

#[test]
fn after_the_final_checkpoint_nothing_is_triggered() {
    let mut script = Script::started(CoordinatorConfig::new().interval_ms(Some(100)));
    script.step(10, FINAL_REQUEST, &[final_trigger(1, 10), wake(600_010)]);
    script.step(11, ack(1, 0, "a"), &[]);
    script.step(12, ack(1, 1, "b"), &[]);
    let written = metadata(1, (10, 13), ["a", "b", "c"]);
    script.step(
        13,
        ack(1, 2, "c"),
        &[Action::Commit { metadata: written, kind: CheckpointKind::Final }],
    );
    let end =
        Action::NotifyComplete { checkpoint: id(1), subsumed: None, kind: CheckpointKind::Final };
    script.step(14, committed(1), &[end]);
    script.step(1_000, TICK, &[]);
    script.step(1_001, REQUEST, &[]);
    assert_eq!(script.0.statistics().refused_requests, 1);
}

#[test]
fn a_commit_in_flight_when_the_job_stops_is_retained_but_not_notified() {
    let mut script = Script::started(CoordinatorConfig::new().interval_ms(Some(100)));
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    script.step(20, REQUEST, &[trigger(2, 20), wake(600_020)]);
    for number in 0..TASKS {
        let _ = script.0.handle(21, ack(2, number, ["d", "e", "f"][number]));
    }
    script.step(30, STOPPED, &[]);
    script.step(31, ack(2, 0, "d"), &[]);
    // The next run may be restoring checkpoint 1, so that stays too.
    script.step(40, committed(2), &[]);
    assert_eq!(script.retained(), [1, 2]);
    script.step(1_000, TICK, &[]);
    assert_eq!(script.0.statistics().completed, 2);
}

#[test]
fn a_commit_that_is_not_under_way_is_an_impossible_event() {
    let mut script = Script::started(CoordinatorConfig::new());
    script.step(1, committed(1), &[]);
    script.step(2, REQUEST, &[trigger(1, 2), wake(600_002)]);
    script.step(3, committed(1), &[]);
    script.step(3, commit_failed(1), &[]);
    for number in 0..TASKS {
        let _ = script.0.handle(4, ack(1, number, "-"));
    }
    script.step(5, committed(2), &[]);
    script.step(6, STARTED, &[]);
    script.step(7, committed(1), &[complete(1, None)]);
    script.step(8, committed(1), &[]);
    script.step(8, commit_failed(1), &[]);
    assert_eq!(script.0.statistics().impossible_events, 7);
    assert_eq!(script.retained(), [1]);
}

#[test]
fn the_history_lists_the_last_ten_with_sizes_and_outcome() {
    let mut script = Script::started(CoordinatorConfig::new());
    for checkpoint in 1..=11 {
        let _ = script.complete(checkpoint * 10, checkpoint, ["a b", "-", "c"]);
    }
    let _ = script.0.handle(120, REQUEST);
    let _ = script.0.handle(121, ack(12, 1, "d"));
    let statistics = script.0.statistics();
    assert_eq!((statistics.triggered, statistics.completed), (12, 11));
    assert_eq!(statistics.history.len(), HISTORY_LEN);
    let oldest = statistics.history.front().unwrap();
    assert_eq!((oldest.checkpoint, oldest.triggered_at_ms), (id(3), 30));
    assert_eq!(oldest.outcome, CheckpointOutcome::Completed { at_ms: 30 });
    assert_eq!((oldest.state_len_bytes, oldest.acknowledged(), oldest.tasks), (300, 3, 3));
    let newest = statistics.history.back().unwrap();
    assert_eq!((newest.checkpoint, &newest.outcome), (id(12), &CheckpointOutcome::Pending));
    assert_eq!((newest.state_len_bytes, newest.acknowledged(), newest.tasks), (100, 1, 3));
}
