//! Random programs: changes, freezes that are held, checkpoints that fail, restores, rescales.
//!
//! Files that no checkpoint needs are deleted as an engine would: after each completed checkpoint,
//! what neither it nor a checkpoint on its way may refer to is gone.
//!
//! Invariants: a program depends on its seed and its number of steps alone; the model is copied at
//! every freeze, and what is written from the freeze is compared with that copy.

use std::collections::BTreeSet;

use alluvium_core::{
    CheckpointId, KeyGroupAssigner, KeyedStateHandle, MaxParallelism, StoragePath,
};
use alluvium_state::{BackgroundLoad, KeyedStateBackend, SnapshotMode, StateBackend, TimeDomain};
use alluvium_storage::StreamPolicy;

use super::change::{Change, TIMES_MS, register_all};
use super::firing::{check_timers, fire};
use super::{Address, Contents, Model, check_contents, content_at, contents_of, merging};
use crate::job::{FrozenCheckpoint, KeyedOf, TestJob, abort_all, complete_all};
use crate::random::Random;

/// Namespaces of all programs.
const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
/// Most freezes that are held at a time.
const MAX_HELD: usize = 3;
/// A freeze is written after fewer steps than this.
const MAX_HELD_STEPS: u64 = 60;

/// Runs a random program and compares the backend with the model throughout; gives the contents
/// at its end.
///
/// Keys, number of key groups, assigner, parallelism and the size from which snapshots become
/// files are drawn from the seed as well.
/// Panics: at the first difference; the seed is printed.
pub fn run_program<B: StateBackend>(backend: &B, seed: u64, operations: usize) -> Contents {
    let mut running = PrintedOnPanic { seed, operations, step: 0 };
    let mut program = Program::new(backend, seed);
    for step in 0..operations {
        running.step = step;
        program.step(step as u64);
    }
    running.step = operations;
    program.finish()
}

/// Says how to repeat a program that fails.
struct PrintedOnPanic {
    seed: u64,
    operations: usize,
    step: usize,
}

impl Drop for PrintedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, operations, step } = self;
            eprintln!("failed at step {step} of run_program(backend, {seed}, {operations})");
        }
    }
}

/// A freeze that is not written yet.
struct Held {
    frozen: FrozenCheckpoint,
    model: Model,
    until_step: u64,
    /// Files that what is written may refer to.
    may_need: BTreeSet<StoragePath>,
}

/// A checkpoint that was written.
struct Written {
    handles: Vec<KeyedStateHandle>,
    model: Model,
}

struct Program<'b, B: StateBackend> {
    random: Random,
    job: TestJob<'b, B, String>,
    subtasks: Vec<KeyedOf<B, String>>,
    model: Model,
    held: Vec<Held>,
    /// What brings in the rest of lazily restored subtasks.
    loads: Vec<BackgroundLoad>,
    last: Written,
    /// The newest checkpoint that completed after the last restore.
    completed: Option<CheckpointId>,
    key_count: u64,
    /// The longer this is, the rarer snapshots and restores are.
    steps_per_event: u64,
}

impl<'b, B: StateBackend> Program<'b, B> {
    fn new(backend: &'b B, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut job = TestJob::new(backend);
        job.max_parallelism = MaxParallelism::new(*random.pick(&[1, 2, 5, 16, 128])).unwrap();
        if random.one_in(3) {
            job.assigner = KeyGroupAssigner::flink();
        }
        if random.one_in(2) {
            let inline_below_bytes = *random.pick(&[0, 600]);
            job.policy = StreamPolicy { inline_below_bytes, ..StreamPolicy::files() };
        }
        let subtasks = job.open(draw_parallelism(&mut random, job.max_parallelism), &[]);
        Self {
            key_count: *random.pick(&[1, 8, 40, 300]),
            steps_per_event: *random.pick(&[5, 25, 100]),
            completed: None,
            random,
            job,
            subtasks,
            model: Model::default(),
            held: Vec::new(),
            loads: Vec::new(),
            last: Written { handles: Vec::new(), model: Model::default() },
        }
    }

    fn step(&mut self, step: u64) {
        if self.random.one_in(self.steps_per_event) {
            match self.random.below(8) {
                0..4 if self.held.len() < MAX_HELD => self.freeze(step),
                4 => self.restore(),
                5 => self.rescale(),
                6 if self.random.one_in(2) => self.compare(),
                6 => self.run_loads(),
                _ => self.drop_held(),
            }
        }
        self.write_due(step);
        if self.random.one_in(40) {
            self.fire();
        }
        if self.random.one_in(20) {
            self.merge();
        }
        self.change();
    }

    fn draw_key(&mut self) -> String {
        format!("key-{}", self.random.below(self.key_count))
    }

    fn change(&mut self) {
        let key = self.draw_key();
        let namespace = *self.random.pick(&NAMESPACES);
        let change = Change::draw(&mut self.random);
        self.model.apply(&key, namespace, &change);
        change.apply(self.owner_of(&key), &key, namespace);

        let changed = Address { kind: change.kind(), key, namespace };
        let other = Address { key: self.draw_key(), ..changed.clone() };
        for address in [changed, other] {
            let found = content_at(self.owner_of(&address.key), &address);
            let expected = self.model.get(&address);
            assert_eq!(found.as_ref(), expected, "{address:?} after {change:?}");
        }
    }

    /// Fires the timers of a domain up to a time; some functions register others meanwhile.
    fn fire(&mut self) {
        let domain = *self.random.pick(&TimeDomain::ALL);
        let up_to_ms = *self.random.pick(&TIMES_MS);
        let Self { random, job, subtasks, model, key_count, .. } = self;
        fire(job, subtasks, model, (domain, up_to_ms), |backend| {
            let key = format!("key-{}", random.below(*key_count));
            let time_ms = *random.pick(&TIMES_MS);
            let is_own = backend.key_groups().contains(job.key_group_of(&key));
            (is_own && random.one_in(5)).then(|| (key, *random.pick(&NAMESPACES), time_ms))
        });
    }

    /// Merges namespaces of a key, some of them several times, and perhaps into one of them.
    fn merge(&mut self) {
        let (key, kind) = (self.draw_key(), *self.random.pick(&merging::KINDS));
        let target = *self.random.pick(&NAMESPACES);
        let count = self.random.below(4);
        let sources: Vec<u32> = (0..count).map(|_| *self.random.pick(&NAMESPACES)).collect();
        self.model.merge(kind, &key, target, &sources);
        merging::merge(self.owner_of(&key), kind, &key, target, &sources);
        for namespace in NAMESPACES {
            let address = Address { kind, key: key.clone(), namespace };
            let found = content_at(self.owner_of(&key), &address);
            let expected = self.model.get(&address);
            assert_eq!(found.as_ref(), expected, "{address:?} after merging {sources:?}");
        }
    }

    fn owner_of(&mut self, key: &String) -> &mut KeyedOf<B, String> {
        let parallelism = u32::try_from(self.subtasks.len()).unwrap();
        let owner = self.job.owner_of(key, parallelism);
        self.subtasks.get_mut(owner).unwrap()
    }

    fn compare(&mut self) {
        check_contents(&self.job, &mut self.subtasks, &NAMESPACES, &self.model);
    }

    fn freeze(&mut self, step: u64) {
        let frozen = self.job.freeze(&mut self.subtasks);
        let until_step = step + self.random.below(MAX_HELD_STEPS);
        let may_need = files_of(&self.last.handles);
        self.held.push(Held { frozen, model: self.model.clone(), until_step, may_need });
    }

    fn write_due(&mut self, step: u64) {
        while let Some(due) = self.held.iter().position(|held| held.until_step <= step) {
            let Held { frozen, model, .. } = self.held.swap_remove(due);
            let checkpoint = frozen.checkpoint();
            self.job.mode =
                if self.random.one_in(5) { SnapshotMode::Full } else { SnapshotMode::Incremental };
            let written = self.write(frozen, model);
            let is_subsumed = self.completed > Some(checkpoint);
            if is_subsumed || self.random.one_in(4) {
                // A newer one is complete already, or another task declined.
                self.discard(&written);
                abort_all(&mut self.subtasks, checkpoint);
            } else {
                self.last = written;
                self.completed = Some(checkpoint);
                complete_all(&mut self.subtasks, checkpoint);
                self.delete_unneeded();
            }
        }
    }

    /// Removes the files of a checkpoint that came to nothing, but for those it shares.
    fn discard(&self, written: &Written) {
        let shared = files_of(&self.last.handles);
        let held = self.held.iter().flat_map(|held| &held.may_need);
        let kept: BTreeSet<_> = shared.iter().chain(held).collect();
        for file in files_of(&written.handles) {
            if !kept.contains(&file) {
                self.job.storage().delete(&file).unwrap();
            }
        }
    }

    fn delete_unneeded(&self) {
        let storage = self.job.storage();
        let mut needed = files_of(&self.last.handles);
        needed.extend(self.held.iter().flat_map(|held| held.may_need.iter().cloned()));
        for dir in storage.list(None).unwrap().iter().filter(|entry| entry.is_dir) {
            let dir = StoragePath::new(&dir.name).unwrap();
            for entry in storage.list(Some(&dir)).unwrap() {
                let file = StoragePath::new(&format!("{dir}/{}", entry.name)).unwrap();
                if !needed.contains(&file) {
                    storage.delete(&file).unwrap();
                }
            }
        }
    }

    fn run_loads(&mut self) {
        for load in self.loads.drain(..) {
            load.run().unwrap();
        }
    }

    /// Writes a freeze, restores it aside, and compares that with the model of the freeze.
    fn write(&mut self, frozen: FrozenCheckpoint, model: Model) -> Written {
        let handles = frozen.write();
        let written = Written { handles, model };
        let mut restored = self.open(&written);
        check_contents(&self.job, &mut restored, &NAMESPACES, &written.model);
        check_timers(&self.job, &mut restored, &written.model);
        written
    }

    fn open(&mut self, written: &Written) -> Vec<KeyedOf<B, String>> {
        let parallelism = draw_parallelism(&mut self.random, self.job.max_parallelism);
        self.job.open(parallelism, &written.handles)
    }

    fn drop_held(&mut self) {
        if let Some(Held { frozen, .. }) = self.held.pop() {
            let checkpoint = frozen.checkpoint();
            drop(frozen);
            abort_all(&mut self.subtasks, checkpoint);
        }
    }

    /// Goes back to the last checkpoint, as after a failure. What is held outlives its backend.
    fn restore(&mut self) {
        let last = Written { handles: self.last.handles.clone(), model: self.last.model.clone() };
        self.subtasks = self.open(&last);
        self.model = last.model;
        self.prepare_loads();
        while let Some(Held { frozen, model, .. }) = self.held.pop() {
            if self.random.one_in(2) {
                let written = self.write(frozen, model);
                self.discard(&written);
            }
        }
        self.compare_sometimes();
    }

    /// Takes a checkpoint and goes on from it at another parallelism.
    fn rescale(&mut self) {
        let handles = self.job.snapshot(&mut self.subtasks);
        self.last = Written { handles, model: self.model.clone() };
        self.held.clear();
        self.delete_unneeded();
        let parallelism = draw_parallelism(&mut self.random, self.job.max_parallelism);
        self.subtasks = self.job.open(parallelism, &self.last.handles);
        self.prepare_loads();
        self.compare_sometimes();
    }

    /// Registers all states of some subtasks, and has the rest of them loaded at some later time.
    fn prepare_loads(&mut self) {
        self.loads.clear();
        for subtask in &mut self.subtasks {
            if self.random.one_in(2) {
                register_all(subtask);
                self.loads.extend(subtask.background_load());
            }
        }
    }

    /// Comparing registers every state; without it some stay as they were restored.
    fn compare_sometimes(&mut self) {
        if self.random.one_in(3) {
            self.compare();
        }
    }

    fn finish(mut self) -> Contents {
        self.write_due(u64::MAX);
        self.rescale();
        self.compare();
        let contents = contents_of(&self.job, &mut self.subtasks, &NAMESPACES);
        check_timers(&self.job, &mut self.subtasks, &self.model);
        contents
    }
}

fn files_of(handles: &[KeyedStateHandle]) -> BTreeSet<StoragePath> {
    handles.iter().flat_map(KeyedStateHandle::files).cloned().collect()
}

fn draw_parallelism(random: &mut Random, max: MaxParallelism) -> u32 {
    let most = u64::from(max.get()).min(5);
    u32::try_from(1 + random.below(most)).unwrap()
}
