use alluvium_core::{MaxParallelism, OperatorUid, Parallelism};
use alluvium_format::operator::OperatorStateItems;
use alluvium_storage::TaskOwnedFiles;

use super::*;
use crate::AttemptFence;

/// One output folder, and the state of its checkpoints.
struct World {
    output: Arc<dyn Storage>,
    checkpoints: Vec<(u64, u32, Vec<OperatorStateItems>)>,
}

struct Run {
    sink: FileSink,
    state: OperatorStateBackend,
    attempt: u32,
}

impl World {
    fn new(name: &str) -> Self {
        let output = alluvium_storage::open(&format!("memory:sink-{name}")).unwrap();
        Self { output, checkpoints: Vec::new() }
    }

    /// The number after those of all checkpoints.
    fn next(&self) -> CheckpointId {
        let highest = self.checkpoints.iter().map(|(id, ..)| *id).max();
        CheckpointId::new(highest.unwrap_or(0) + 1).unwrap()
    }

    /// The sink of an attempt that begins from a checkpoint, or from nothing.
    fn sink(&self, restored: Option<u64>, fence: AttemptFence, attempt: u32) -> Run {
        let found = self.checkpoints.iter().find(|(id, ..)| Some(*id) == restored);
        let items = found.map_or_else(Vec::new, |(_, _, items)| items.clone());
        let max = MaxParallelism::new(1).unwrap();
        let (uid, subtask) = (OperatorUid::new("sink").unwrap(), SubtaskIndex::new(0));
        let (folder, attempt_id) = (Arc::clone(&self.output), AttemptId::new(attempt));
        let context = OperatorContext {
            task_owned: TaskOwnedFiles::new(folder, uid.clone(), subtask, attempt_id),
            uid,
            subtask,
            parallelism: Parallelism::new(1, max).unwrap(),
            attempt: attempt_id,
            fence,
            first_checkpoint: self.next(),
            restored: restored.map(|id| CheckpointId::new(id).unwrap()),
            restored_attempt: found.map(|(_, attempt, _)| AttemptId::new(*attempt)),
        };
        let sink = FileSink::new(Arc::clone(&self.output), &context);
        Run { sink, state: OperatorStateBackend::new(items), attempt }
    }

    /// Begins an attempt that nobody replaces.
    fn run(&self, attempt: u32, restored: Option<u64>) -> Run {
        let mut run = self.sink(restored, AttemptFence::open(AttemptId::new(attempt)), attempt);
        run.sink.open(&mut run.state).unwrap();
        run
    }

    /// Writes a line and pre-commits it; the checkpoint can be restored from then on.
    fn checkpoint(&mut self, run: &mut Run, id: u64, line: &str) {
        run.sink.write(vec![line.to_owned()]).unwrap();
        run.sink.pre_commit(CheckpointId::new(id).unwrap(), &mut run.state).unwrap();
        let items = run.state.freeze().unwrap().states().to_vec();
        self.checkpoints.push((id, run.attempt, items));
    }

    fn commit(run: &mut Run, id: u64) {
        run.sink.commit(CheckpointId::new(id).unwrap()).unwrap();
        run.sink.forget_older().unwrap();
    }

    /// The committed lines, in the order of their checkpoints.
    fn committed(&self) -> Vec<String> {
        let updates = StoragePath::new(UPDATES_DIR).unwrap();
        let mut lines = Vec::new();
        for entry in self.output.list(Some(&updates)).unwrap() {
            if entry.name.starts_with("part-") {
                let bytes = self.output.read_all(&updates.join(&entry.name).unwrap()).unwrap();
                lines.extend(std::str::from_utf8(&bytes).unwrap().lines().map(str::to_owned));
            }
        }
        lines
    }
}

#[test]
fn lines_appear_when_their_checkpoint_is_complete() {
    let mut world = World::new("appear");
    let mut run = world.run(1, None);
    world.checkpoint(&mut run, 1, "a");
    assert!(world.committed().is_empty());
    World::commit(&mut run, 1);
    world.checkpoint(&mut run, 2, "b");
    // Checkpoint 2 was given up: its lines come with the next one.
    world.checkpoint(&mut run, 3, "c");
    World::commit(&mut run, 3);
    assert_eq!(world.committed(), ["a", "b", "c"]);
}

#[test]
fn a_restore_commits_what_was_pre_committed_and_forgets_the_rest() {
    let mut world = World::new("restore");
    let mut run = world.run(1, None);
    world.checkpoint(&mut run, 1, "a");
    run.sink.write(vec!["never in a checkpoint".to_owned()]).unwrap();
    drop(run);
    let run = world.run(2, Some(1));
    assert_eq!(world.committed(), ["a"]);
    drop(run);
    drop(world.run(3, Some(1)));
    assert_eq!(world.committed(), ["a"], "a second restore finds it done");
}

/// 1. Attempt 1 completes checkpoint 2 and is killed before it commits its last file;
/// 2. attempt 2 restores an older checkpoint, or none, and is killed before its first one;
/// 3. attempt 3 restores checkpoint 2, which is still the latest.
#[test]
fn an_attempt_that_comes_to_nothing_takes_nothing_away() {
    for older in [None, Some(1)] {
        let mut world = World::new(&format!("nothing-{older:?}"));
        let mut run = world.run(1, None);
        world.checkpoint(&mut run, 1, "a");
        World::commit(&mut run, 1);
        world.checkpoint(&mut run, 2, "b");
        drop(run);
        drop(world.run(2, older));
        let expected: &[&str] = if older.is_some() { &["a"] } else { &[] };
        assert_eq!(world.committed(), expected);
        let mut run = world.run(3, Some(2));
        assert_eq!(world.committed(), ["a", "b"]);
        world.checkpoint(&mut run, 3, "c");
        World::commit(&mut run, 3);
        assert_eq!(world.committed(), ["a", "b", "c"]);
    }
}

#[test]
fn a_restore_of_an_older_checkpoint_replaces_what_came_after_it() {
    let mut world = World::new("older");
    let mut run = world.run(1, None);
    for (id, line) in [(1, "a"), (2, "b"), (3, "c")] {
        world.checkpoint(&mut run, id, line);
        World::commit(&mut run, id);
    }
    drop(run);
    let mut run = world.run(2, Some(1));
    world.checkpoint(&mut run, 4, "B");
    World::commit(&mut run, 4);
    assert_eq!(world.committed(), ["a", "B"]);
    drop(run);
    drop(world.run(3, Some(3)));
    assert_eq!(world.committed(), ["a", "b", "c"], "the passed-over one is restored by name");
}

/// 1. Attempt 1 takes savepoint 2 and is killed before it commits anything of it;
/// 2. attempt 2 begins from checkpoint 1, takes a savepoint, 2 as well, and is killed;
/// 3. attempt 3 begins from the first savepoint, and is killed; attempt 4 begins from the second, and attempt 5
///    from the first again.
#[test]
fn savepoints_of_two_lines_have_parts_of_their_own() {
    let mut world = World::new("lines");
    let mut run = world.run(1, None);
    world.checkpoint(&mut run, 1, "a");
    World::commit(&mut run, 1);
    world.checkpoint(&mut run, 2, "b");
    let first = world.checkpoints.pop().unwrap();
    let mut run = world.run(2, Some(1));
    world.checkpoint(&mut run, 2, "B");
    let second = world.checkpoints.pop().unwrap();
    for (attempt, (savepoint, line)) in
        [(&first, "b"), (&second, "B"), (&first, "b"), (&second, "B")].into_iter().enumerate()
    {
        world.checkpoints.push(savepoint.clone());
        drop(world.run(3 + u32::try_from(attempt).unwrap(), Some(2)));
        assert_eq!(world.committed(), ["a", line]);
        world.checkpoints.pop();
    }
}

/// 1. Attempt 1 completes checkpoint 2 and is killed before it commits;
/// 2. attempt 2 begins from checkpoint 1, and is stopped with savepoint 3;
/// 3. the latest checkpoint is still 2, and attempt 3 begins from it.
#[test]
fn a_savepoint_leaves_what_the_latest_checkpoint_needs() {
    let mut world = World::new("stopped");
    let mut run = world.run(1, None);
    world.checkpoint(&mut run, 1, "a");
    World::commit(&mut run, 1);
    world.checkpoint(&mut run, 2, "b");
    let mut run = world.run(2, Some(1));
    world.checkpoint(&mut run, 3, "B");
    run.sink.commit(CheckpointId::new(3).unwrap()).unwrap();
    assert_eq!(world.committed(), ["a", "B"]);
    drop(world.run(3, Some(2)));
    assert_eq!(world.committed(), ["a", "b"]);
    drop(world.run(4, Some(3)));
    assert_eq!(world.committed(), ["a", "B"]);
}

/// 1. A process that keeps its checkpoints in memory commits parts in attempt 1;
/// 2. the next one begins anew, in attempt 1 too, and sets them aside; checkpoint 1 of it has no lines;
/// 3. its attempt 2 restores that: parts of the same attempt and checkpoint lie aside, and are not its own.
#[test]
fn parts_of_an_attempt_of_the_same_number_do_not_come_back() {
    let mut world = World::new("same-number");
    let mut run = world.run(1, None);
    world.checkpoint(&mut run, 1, "of the first process");
    World::commit(&mut run, 1);
    world.checkpoints.clear();
    let mut run = world.run(1, None);
    run.sink.pre_commit(CheckpointId::FIRST, &mut run.state).unwrap();
    world.checkpoints.push((1, 1, run.state.freeze().unwrap().states().to_vec()));
    World::commit(&mut run, 1);
    drop(world.run(2, Some(1)));
    assert!(world.committed().is_empty());
}

/// Attempts and checkpoints begin at 1 again in each process that keeps checkpoints in memory.
#[test]
fn attempts_of_the_same_number_follow_each_other() {
    for round in 0..3 {
        let mut world = World::new("again");
        let mut run = world.run(1, None);
        world.checkpoint(&mut run, 1, &format!("round {round}"));
        if round != 1 {
            World::commit(&mut run, 1);
            assert_eq!(world.committed(), [format!("round {round}")]);
        }
    }
}

/// 1. Attempt 1 begins, and is slow;
/// 2. attempt 2 replaces it, and its sink commits the part of checkpoint 1;
/// 3. attempt 1 goes on: what it finds was written behind its back.
#[test]
fn an_attempt_that_was_replaced_moves_nothing() {
    let mut world = World::new("replaced");
    let folder = alluvium_storage::open("memory:sink-replaced-job").unwrap();
    let slow = alluvium_storage::claim_attempt(&*folder).unwrap();
    let mut slow = world.sink(None, AttemptFence::new(Arc::clone(&folder), slow), slow.get());
    let attempt = alluvium_storage::claim_attempt(&*folder).unwrap();
    let mut run = world.run(attempt.get(), None);
    world.checkpoint(&mut run, 1, "a");
    World::commit(&mut run, 1);
    let refused = slow.sink.open(&mut slow.state).unwrap_err();
    let refused = refused.downcast_ref::<alluvium_storage::StorageError>();
    assert!(matches!(refused, Some(alluvium_storage::StorageError::Fenced { .. })));
    assert_eq!(world.committed(), ["a"]);
}

/// 1. Attempt 1 completes checkpoint 2, and is stopped before it commits;
/// 2. a person lets attempt 2 begin from checkpoint 1;
/// 3. attempt 1 goes on, and is told that checkpoint 2 is complete.
#[test]
fn an_attempt_that_was_replaced_commits_nothing() {
    let mut world = World::new("replaced-commit");
    let folder = alluvium_storage::open("memory:sink-replaced-commit-job").unwrap();
    let first = alluvium_storage::claim_attempt(&*folder).unwrap();
    let mut slow = world.sink(None, AttemptFence::new(Arc::clone(&folder), first), first.get());
    slow.sink.open(&mut slow.state).unwrap();
    world.checkpoint(&mut slow, 1, "a");
    World::commit(&mut slow, 1);
    world.checkpoint(&mut slow, 2, "b");
    let second = alluvium_storage::claim_attempt(&*folder).unwrap();
    let mut run = world.run(second.get(), Some(1));
    let refused = slow.sink.commit(CheckpointId::new(2).unwrap()).unwrap_err();
    assert!(refused.downcast_ref::<alluvium_storage::StorageError>().is_some(), "{refused}");
    world.checkpoint(&mut run, 3, "B");
    World::commit(&mut run, 3);
    assert_eq!(world.committed(), ["a", "B"]);
}

/// 1. Attempt 2 restores checkpoint 2, checks that it is the newest, and is stopped;
/// 2. a person lets attempt 3 begin from checkpoint 1;
/// 3. attempt 2 goes on behind its check, and finishes the part of checkpoint 2, before the first
///    checkpoint of attempt 3, or tries to after it.
#[test]
fn what_a_replaced_attempt_finishes_late_is_set_aside() {
    for is_before in [true, false] {
        let mut world = World::new(&format!("late-{is_before}"));
        let mut run = world.run(1, None);
        world.checkpoint(&mut run, 1, "a");
        World::commit(&mut run, 1);
        world.checkpoint(&mut run, 2, "b");
        let [transaction] = &run.sink.waiting.clone()[..] else { panic!("one file waits") };
        let slow = world.sink(Some(2), AttemptFence::open(AttemptId::new(2)), 2);
        let mut next = world.run(3, Some(1));
        if is_before {
            slow.sink.finish(transaction).unwrap();
            assert_eq!(world.committed(), ["a", "b"], "for a while");
        }
        world.checkpoint(&mut next, 3, "B");
        World::commit(&mut next, 3);
        if !is_before {
            slow.sink.finish(transaction).unwrap_err();
        }
        world.checkpoint(&mut next, 4, "C");
        World::commit(&mut next, 4);
        assert_eq!(world.committed(), ["a", "B", "C"]);
        drop(next);
        // Nothing is lost: a restore of that checkpoint by name finds it.
        if is_before {
            drop(world.run(4, Some(2)));
            assert_eq!(world.committed(), ["a", "b"]);
        }
    }
}
