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

use super::change::{Change, TIMES_MS, register};
use super::contents::contents_of_kinds;
use super::firing::{check_timers, fire};
use super::{Address, Contents, Kind, Model, content_at, merging};
use crate::job::{FrozenCheckpoint, KeyedOf, TestJob, abort_all, complete_all};
use crate::random::Random;

/// Namespaces of all programs.
const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
/// Most freezes that are held at a time.
const MAX_HELD: usize = 3;
/// A freeze is written after fewer steps than this.
const MAX_HELD_STEPS: u64 = 60;

/// A random program: a seed, a number of operations, and how closely it is looked at.
///
/// ```
/// use alluvium_testkit::backend::ModelStateBackend;
/// use alluvium_testkit::model::Program;
///
/// let backend = ModelStateBackend::new();
/// let contents = Program::new(42, 100).run(&backend);
/// assert_eq!(contents, Program::new(42, 100).restored_one_in(5).run(&backend));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    seed: u64,
    operations: usize,
    restored_one_in: u64,
}

impl Program {
    /// A program of a seed and a number of operations.
    ///
    /// Keys, number of key groups, assigner, parallelism and the size from which snapshots become
    /// files are drawn from the seed as well.
    pub const fn new(seed: u64, operations: usize) -> Self {
        Self { seed, operations, restored_one_in: 1 }
    }

    /// Restores one in so many snapshots aside, to compare it with the model of its freeze, besides
    /// those that the program goes on from. What the program does is the same with any number. For
    /// backends that are slow to open; default 1, all of them.
    #[must_use]
    pub const fn restored_one_in(mut self, snapshots: u64) -> Self {
        self.restored_one_in = if snapshots == 0 { 1 } else { snapshots };
        self
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Compares the backend with the model throughout; gives the contents at the end.
    ///
    /// Panics: at the first difference; the seed is printed.
    pub fn run<B: StateBackend>(self, backend: &B) -> Contents {
        let Self { seed, operations, .. } = self;
        let mut printed = PrintedOnPanic { seed, operations, step: 0 };
        let mut running = Running::new(backend, self);
        for step in 0..operations {
            printed.step = step;
            running.step(step as u64);
        }
        printed.step = operations;
        running.finish()
    }
}

/// Runs a [`Program`] and compares everything; gives the contents at its end.
///
/// Panics: at the first difference; the seed is printed.
pub fn run_program<B: StateBackend>(backend: &B, seed: u64, operations: usize) -> Contents {
    Program::new(seed, operations).run(backend)
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

struct Running<'b, B: StateBackend> {
    random: Random,
    /// Draws what is looked at beside the program, so that the program is the same without it.
    aside: Random,
    restored_one_in: u64,
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
    /// The kinds of state that the program uses; others are not registered.
    kinds: Vec<Kind>,
    /// The longer this is, the rarer snapshots and restores are.
    steps_per_event: u64,
}

impl<'b, B: StateBackend> Running<'b, B> {
    fn new(backend: &'b B, program: Program) -> Self {
        let Program { seed, restored_one_in, .. } = program;
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
            kinds: draw_kinds(&mut random),
            key_count: *random.pick(&[1, 8, 40, 300]),
            steps_per_event: *random.pick(&[10, 25, 50, 100]),
            completed: None,
            aside: Random::new(!seed),
            restored_one_in,
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
        if self.random.one_in(40) && self.has_timers() {
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
        let change = Change::draw_of(&mut self.random, &self.kinds);
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
        let kinds: Vec<Kind> =
            merging::KINDS.into_iter().filter(|kind| self.kinds.contains(kind)).collect();
        if kinds.is_empty() {
            return;
        }
        let (key, kind) = (self.draw_key(), *self.random.pick(&kinds));
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

    fn has_timers(&self) -> bool {
        self.kinds.contains(&Kind::Timers)
    }

    fn compare(&mut self) {
        let contents = self.contents();
        self.model.check(&contents);
    }

    fn contents(&mut self) -> Contents {
        contents_of_kinds(&self.job, &mut self.subtasks, &self.kinds, &NAMESPACES)
    }

    /// Compares subtasks with a model, and fires all their timers.
    fn check(&self, subtasks: &mut [KeyedOf<B, String>], model: &Model) {
        model.check(&contents_of_kinds(&self.job, subtasks, &self.kinds, &NAMESPACES));
        if self.has_timers() {
            check_timers(&self.job, subtasks, model);
        }
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
        if !self.aside.one_in(self.restored_one_in) {
            return written;
        }
        let parallelism = draw_parallelism(&mut self.aside, self.job.max_parallelism);
        let mut restored = self.job.open(parallelism, &written.handles);
        self.check(&mut restored, &written.model);
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
                for kind in &self.kinds {
                    register(subtask, *kind);
                }
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
        let contents = self.contents();
        self.model.check(&contents);
        if self.has_timers() {
            check_timers(&self.job, &mut self.subtasks, &self.model);
        }
        contents
    }
}

fn files_of(handles: &[KeyedStateHandle]) -> BTreeSet<StoragePath> {
    handles.iter().flat_map(KeyedStateHandle::files).cloned().collect()
}

/// All kinds in every fourth program, and a few of them in the others: each of these is changed more
/// often, and there is less to open.
fn draw_kinds(random: &mut Random) -> Vec<Kind> {
    if random.one_in(4) {
        return Kind::ALL.to_vec();
    }
    let first = *random.pick(&Kind::ALL);
    let is_drawn = |kind: &Kind| *kind == first || random.one_in(4);
    Kind::ALL.into_iter().filter(is_drawn).collect()
}

fn draw_parallelism(random: &mut Random, max: MaxParallelism) -> u32 {
    (*random.pick(&[1, 1, 2, 2, 3, 5])).min(u32::from(max.get()))
}
