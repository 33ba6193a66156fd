use super::*;

fn id(n: u64) -> CheckpointId {
    CheckpointId::new(n).unwrap()
}

#[test]
fn an_input_is_held_until_all_barriers_have_come() {
    let mut aligner = Aligner::new(CheckpointMode::ExactlyOnce, 3);
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Waiting);
    assert_eq!([0, 1, 2].map(|input| aligner.is_held(input)), [false, true, false]);
    assert_eq!(aligner.barrier(0, id(1)), Arrival::Waiting);
    assert_eq!(aligner.barrier(2, id(1)), Arrival::Complete);
    assert_eq!([0, 1, 2].map(|input| aligner.is_held(input)), [false; 3]);
    assert_eq!(aligner.barrier(2, id(1)), Arrival::Ignored, "it completed already");
}

#[test]
fn at_least_once_holds_nothing() {
    let mut aligner = Aligner::new(CheckpointMode::AtLeastOnce, 2);
    assert_eq!(aligner.barrier(0, id(1)), Arrival::Waiting);
    assert!(!aligner.is_held(0));
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Complete);
}

#[test]
fn a_newer_barrier_ends_an_older_alignment() {
    let mut aligner = Aligner::new(CheckpointMode::ExactlyOnce, 2);
    assert_eq!(aligner.barrier(0, id(1)), Arrival::Waiting);
    assert_eq!(aligner.barrier(1, id(2)), Arrival::Waiting);
    assert!(!aligner.is_held(0), "input 0 goes on to its barrier of checkpoint 2");
    assert!(aligner.is_held(1));
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Ignored);
    assert_eq!(aligner.barrier(0, id(2)), Arrival::Complete);
}

#[test]
fn barriers_of_an_aborted_checkpoint_are_ignored() {
    let mut aligner = Aligner::new(CheckpointMode::ExactlyOnce, 2);
    assert_eq!(aligner.barrier(0, id(1)), Arrival::Waiting);
    aligner.abort(id(1));
    assert!(!aligner.is_held(0));
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Ignored);
    aligner.abort(id(2));
    assert_eq!(aligner.barrier(0, id(2)), Arrival::Ignored, "the abort came first");
    assert_eq!(aligner.barrier(0, id(3)), Arrival::Waiting);
    aligner.abort(id(2));
    assert!(aligner.is_held(0), "an older abort changes nothing");
}

#[test]
fn one_input_aligns_at_once() {
    let mut aligner = Aligner::new(CheckpointMode::ExactlyOnce, 1);
    assert_eq!(aligner.barrier(0, id(5)), Arrival::Complete);
    assert!(!aligner.is_held(0));
}

#[test]
fn an_abort_ends_the_alignment_of_that_checkpoint_alone() {
    let mut aligner = Aligner::new(CheckpointMode::ExactlyOnce, 2);
    assert_eq!(aligner.barrier(0, id(5)), Arrival::Waiting);
    aligner.abort(id(6));
    assert!(aligner.is_held(0), "a savepoint that was triggered after it has failed");
    assert_eq!(aligner.barrier(1, id(5)), Arrival::Complete);
    assert_eq!(aligner.barrier(0, id(6)), Arrival::Ignored);
    assert_eq!(aligner.barrier(0, id(7)), Arrival::Waiting);
}

#[test]
fn without_held_inputs_several_checkpoints_are_waited_for() {
    let mut aligner = Aligner::new(CheckpointMode::AtLeastOnce, 2);
    assert_eq!(aligner.barrier(0, id(1)), Arrival::Waiting);
    assert_eq!(aligner.barrier(0, id(2)), Arrival::Waiting);
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Complete);
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Ignored);
    assert_eq!(aligner.barrier(1, id(2)), Arrival::Complete);
}

#[test]
fn what_is_waited_for_is_bounded() {
    let mut aligner = Aligner::new(CheckpointMode::AtLeastOnce, 2);
    for n in 1..=MAX_TRACKED as u64 + 1 {
        assert_eq!(aligner.barrier(0, id(n)), Arrival::Waiting);
    }
    assert_eq!(aligner.barrier(1, id(1)), Arrival::Ignored, "the oldest is given up");
    assert_eq!(aligner.barrier(1, id(2)), Arrival::Complete);
}
