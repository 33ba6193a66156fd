//! A backend whose task goes on while snapshot jobs and the background load run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};

use alluvium_core::{CheckpointId, KeyedStateHandle, MaxParallelism, StoragePath};
use alluvium_format::codec::Framed;
use alluvium_state::{KeyedStateBackend, SnapshotMode, ValueState, ValueStateDescriptor};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::{KeyedOf, TestJob, fresh_memory};
use bytes::Bytes;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};

use super::{Number, Slow, SlowCodec, run_all};
use crate::sync::point;
use crate::{HeapStateBackend, StateMapKind};

/// Segments of just so many entries that their tables are worth to be used again.
const EAGER: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(15);
const LAZY: HeapStateBackend = EAGER.lazy();

/// Keys at the beginning: 29 of them in one of the two key groups, where two more split a segment.
/// As many may come.
const KEYS: u64 = 50;
/// Steps of the task.
const STEPS: usize = 8;
/// Checkpoints before the one that is restored, so that its file has a name of its own.
const EARLIER_CHECKPOINTS: usize = 50;

type Model = BTreeMap<u64, u64>;
type Backend = KeyedOf<HeapStateBackend, u64>;
type State<T> = ValueState<Slow<T>>;

fn register<T: Number>(backend: &mut Backend) -> State<T> {
    let codec = Framed::new(SlowCodec);
    backend.value_state(ValueStateDescriptor::with_codec("slow", codec)).unwrap()
}

fn job(backend: &HeapStateBackend) -> TestJob<'_, HeapStateBackend, u64> {
    let mut job = TestJob::with_storage(backend, fresh_memory());
    job.max_parallelism = MaxParallelism::new(2).unwrap();
    job.policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
    job
}

/// A checkpoint that every execution begins with.
#[derive(Clone)]
struct Restored {
    mode: SnapshotMode,
    model: Model,
    handles: Vec<KeyedStateHandle>,
    files: Vec<(StoragePath, Bytes)>,
}

impl Restored {
    fn make<T: Number>(mode: SnapshotMode) -> Self {
        let mut job = job(&EAGER);
        job.mode = mode;
        let mut backend = job.open_one(&[]);
        let state = register::<T>(&mut backend);
        for key in 0..KEYS {
            state.set(&mut backend.at(&key).unwrap(), Slow(T::from(key))).unwrap();
        }
        for _ in 0..EARLIER_CHECKPOINTS {
            drop(job.freeze_one(&mut backend));
        }
        let handles = job.snapshot_one(&mut backend);
        let files = handles.iter().map(|handle| {
            let path = handle.stream.file().unwrap().clone();
            let bytes = job.storage().read_all(&path).unwrap();
            (path, bytes)
        });
        let files = files.collect();
        Self { mode, model: (0..KEYS).map(|key| (key, key)).collect(), handles, files }
    }
}

/// A checkpoint on its way.
struct Running {
    model: Model,
    /// Files that it may refer to.
    allowed: BTreeSet<StoragePath>,
    is_full: bool,
}

/// What a job sends when it is through.
type Answer = (CheckpointId, Vec<KeyedStateHandle>);

/// The files of a checkpoint that later ones may refer to.
fn files_of(handles: &[KeyedStateHandle], mode: SnapshotMode) -> BTreeSet<StoragePath> {
    if mode == SnapshotMode::Full {
        return BTreeSet::new();
    }
    let shared = handles.iter().flat_map(|handle| &handle.shared).map(|file| file.path.clone());
    let own = handles.iter().filter_map(|handle| handle.stream.file().cloned());
    shared.chain(own).collect()
}

/// One execution: a task, and the threads that it began.
struct Execution<'b, T: Number> {
    job: TestJob<'b, HeapStateBackend, u64>,
    backend: Backend,
    state: State<T>,
    model: Model,
    running: BTreeMap<CheckpointId, Running>,
    threads: Vec<JoinHandle<()>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    written: BTreeMap<CheckpointId, Vec<KeyedStateHandle>>,
    /// The newest checkpoint that was completed or given up.
    last_heard: Option<CheckpointId>,
    /// Files that the next checkpoint may refer to.
    base: BTreeSet<StoragePath>,
}

impl<'b, T: Number> Execution<'b, T> {
    fn new(backend: &'b HeapStateBackend, restored: &Restored) -> Self {
        let job = job(backend);
        for (path, bytes) in &restored.files {
            job.storage().create(path, bytes).unwrap();
        }
        let mut backend = job.open_one(&restored.handles);
        Self {
            state: register::<T>(&mut backend),
            job,
            backend,
            model: restored.model.clone(),
            running: BTreeMap::new(),
            threads: Vec::new(),
            answers: channel(),
            written: BTreeMap::new(),
            last_heard: None,
            base: files_of(&restored.handles, restored.mode),
        }
    }

    fn run(mut self) {
        // Without another thread there is nothing to choose.
        self.freeze();
        for _ in 0..STEPS {
            match thread_rng().gen_range(0..8) {
                0..4 => self.change(),
                4..6 => self.freeze(),
                6 => self.hear(),
                _ => self.load(),
            }
            point();
        }
        self.finish();
    }

    fn change(&mut self) {
        for _ in 0..thread_rng().gen_range(1..4) {
            let key = thread_rng().gen_range(0..2 * KEYS);
            let mut at = self.backend.at(&key).unwrap();
            match thread_rng().gen_range(0..4) {
                0 => {
                    self.state.clear(&mut at).unwrap();
                    self.model.remove(&key);
                }
                1 => {
                    let add_one = |value: &mut Slow<T>| value.0 = T::from(value.0.borrow() + 1);
                    let zero = || Slow(T::from(0));
                    self.state.update_or_insert_with(&mut at, zero, add_one).unwrap();
                    *self.model.entry(key).or_default() += 1;
                }
                _ => self.set(key, thread_rng().gen_range(1000..2000)),
            }
        }
    }

    fn set(&mut self, key: u64, value: u64) {
        self.state.set(&mut self.backend.at(&key).unwrap(), Slow(T::from(value))).unwrap();
        self.model.insert(key, value);
    }

    /// Freezes for a job that writes, or gives up at once.
    fn freeze(&mut self) {
        let is_full = thread_rng().gen_range(0..4) == 0;
        self.job.mode = if is_full { SnapshotMode::Full } else { SnapshotMode::Incremental };
        let frozen = self.job.freeze_one(&mut self.backend);
        let (checkpoint, answer) = (frozen.checkpoint(), self.answers.0.clone());
        let allowed = if is_full { BTreeSet::new() } else { self.base.clone() };
        let model = self.model.clone();
        self.running.insert(checkpoint, Running { model, allowed, is_full });
        let gives_up = thread_rng().gen_range(0..6) == 0;
        self.threads.push(thread::spawn(move || {
            if !gives_up {
                answer.send((checkpoint, frozen.write())).unwrap();
            }
        }));
    }

    /// Completes the newest checkpoint that was written meanwhile, or gives it up.
    fn hear(&mut self) {
        self.written.extend(self.answers.1.try_iter());
        let Some((checkpoint, handles)) = self.written.last_key_value() else { return };
        if self.last_heard >= Some(*checkpoint) {
            return;
        }
        self.last_heard = Some(*checkpoint);
        if thread_rng().gen_range(0..4) == 0 {
            self.backend.abort(*checkpoint);
        } else {
            self.backend.complete(*checkpoint);
            let is_full = self.running[checkpoint].is_full;
            let mode = if is_full { SnapshotMode::Full } else { SnapshotMode::Incremental };
            self.base = files_of(handles, mode);
        }
    }

    /// Loads the rest beside the task.
    fn load(&mut self) {
        if let Some(load) = self.backend.background_load() {
            self.threads.push(thread::spawn(move || load.run().unwrap()));
        }
    }

    fn finish(mut self) {
        assert_eq!(content(&mut self.backend, self.state), self.model, "the live content");
        // Jobs go on without the backend.
        drop(self.backend);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.written.extend(self.answers.1.try_iter());
        for (checkpoint, handles) in &self.written {
            let Running { model, allowed, .. } = &self.running[checkpoint];
            let shared = handles.iter().flat_map(|handle| &handle.shared);
            assert!(shared.clone().all(|file| allowed.contains(&file.path)), "{shared:?}");
            let mut restored = self.job.open_one(handles);
            let state = register::<T>(&mut restored);
            assert_eq!(content(&mut restored, state), *model, "checkpoint {checkpoint}");
        }
    }
}

fn content<T: Number>(backend: &mut Backend, state: State<T>) -> Model {
    let keys = backend.keys(state, &()).unwrap();
    assert_eq!(keys.len(), backend.entry_count().unwrap());
    let value_of = |key: u64| {
        let at = backend.at(&key).unwrap();
        let value = *state.get(&at).unwrap().unwrap().0.borrow();
        (key, value)
    };
    keys.into_iter().map(value_of).collect()
}

fn check<T: Number>(backend: &'static HeapStateBackend, mode: SnapshotMode) {
    let restored = Restored::make::<T>(mode);
    run_all(move || Execution::<T>::new(backend, &restored).run());
}

#[test]
fn jobs_write_what_was_frozen_while_the_task_goes_on() {
    check::<u64>(&EAGER, SnapshotMode::Incremental);
}

#[test]
fn so_they_do_with_entries_behind_pointers() {
    check::<Box<u64>>(&EAGER, SnapshotMode::Full);
}

#[test]
fn so_they_do_while_entries_are_loaded() {
    check::<u64>(&LAZY, SnapshotMode::Incremental);
}

#[test]
fn so_they_do_while_entries_behind_pointers_are_loaded() {
    check::<Box<u64>>(&LAZY, SnapshotMode::Full);
}

/// The task may hear of the fate of a checkpoint before its job is through. Then the next one
/// refers to nothing, or to the files of that checkpoint, and never to older ones alone.
#[test]
fn a_checkpoint_that_ends_before_it_is_written_leaves_nothing_or_all_of_it() {
    let restored = Restored::make::<u64>(SnapshotMode::Incremental);
    run_all(move || {
        let mut execution = Execution::<u64>::new(&EAGER, &restored);
        let before = execution.base.clone();
        // In all segments, so that one key more does not make all that is written here needless.
        (0..20).for_each(|key| execution.set(key, 1));
        execution.job.mode = SnapshotMode::Incremental;
        let frozen = execution.job.freeze_one(&mut execution.backend);
        let checkpoint = frozen.checkpoint();
        let job = thread::spawn(move || frozen.write());
        execution.set(7, 2);
        let is_completed = thread_rng().gen_bool(0.5);
        if is_completed {
            execution.backend.complete(checkpoint);
        } else {
            execution.backend.abort(checkpoint);
        }
        execution.set(7, 3);
        let frozen = execution.job.freeze_one(&mut execution.backend);
        let model = execution.model.clone();
        execution.change();
        let last = frozen.write();
        let written = job.join().unwrap();
        let shared: BTreeSet<_> =
            last.iter().flat_map(|handle| &handle.shared).map(|file| file.path.clone()).collect();
        if is_completed {
            let own = written[0].stream.file().unwrap();
            assert!(shared.is_empty() || shared.contains(own), "{shared:?} without {own}");
            assert!(shared.is_subset(&files_of(&written, SnapshotMode::Incremental)));
        } else {
            assert!(shared.is_subset(&before), "{shared:?} of {before:?}");
        }
        let mut backend = execution.job.open_one(&last);
        let state = register::<u64>(&mut backend);
        assert_eq!(content(&mut backend, state), model);
        execution.finish();
    });
}
