//! Cases: restoring at another parallelism.

use alluvium_core::{KeyGroupAssigner, MaxParallelism};
use alluvium_state::StateBackend;

use super::snapshots::{NAMESPACES, change_at_random, random_snapshot};
use crate::job::TestJob;
use crate::model::change::Change;
use crate::model::{Model, check_contents};
use crate::random::Random;

/// Largest parallelism of these cases.
const MAX: u32 = 5;

/// From every parallelism to every other: `check_contents` looks at each entry's subtask.
fn rescale_all<B: StateBackend>(job: &TestJob<'_, B, String>) {
    for before in 1..=MAX {
        let (handles, model) = random_snapshot(job, before, u64::from(before));
        for after in 1..=MAX {
            let mut subtasks = job.open(after, &handles);
            check_contents(job, &mut subtasks, &NAMESPACES, &model);

            // And on from there, back to the first.
            let mut model = model.clone();
            let mut random = Random::new(u64::from(after));
            change_at_random(job, &mut subtasks, &mut model, &mut random, 50);
            let handles = job.snapshot(&mut subtasks);
            let mut subtasks = job.open(before, &handles);
            check_contents(job, &mut subtasks, &NAMESPACES, &model);
        }
    }
}

/// From every parallelism of 1 to 5 to every other, each entry comes back once, in the subtask
/// that owns its key group. So it does with as many key groups as subtasks.
pub fn every_entry_comes_back_once_with_the_stable_assigner<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    rescale_all(&job);
    job.max_parallelism = MaxParallelism::new(MAX).unwrap();
    rescale_all(&job);
}

/// The same with the key groups that Flink gives to the keys.
pub fn every_entry_comes_back_once_with_the_flink_assigner<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.assigner = KeyGroupAssigner::flink();
    rescale_all(&job);
}

/// State that nobody registers moves with its key groups, through two rescales.
pub fn state_that_nobody_registers_is_rescaled<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut handles, model) = random_snapshot(&job, 3, 10);
    for parallelism in [5, 2] {
        handles = job.snapshot(&mut job.open(parallelism, &handles));
    }
    check_contents(&job, &mut job.open(4, &handles), &NAMESPACES, &model);
}

/// One key in one key group: the other subtasks are restored empty and take new keys.
pub fn a_subtask_without_any_entry_is_restored_empty<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut model = Model::default();
    let mut subtasks = job.open(2, &[]);
    let key = "key-0".to_owned();
    let change = Change::ListAdd("x".to_owned());
    change.apply(subtasks.get_mut(job.owner_of(&key, 2)).unwrap(), &key, 1);
    model.apply(&key, 1, &change);
    let handles = job.snapshot(&mut subtasks);
    let mut subtasks = job.open(4, &handles);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    change_at_random(&job, &mut subtasks, &mut model, &mut Random::new(11), 200);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
}
