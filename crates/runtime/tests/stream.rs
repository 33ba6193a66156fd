//! Records and barriers through a small job: rescaling of every kind of operator state, the
//! exactly-once file sink, and restarts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails by panicking")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_core::{JobId, KeyGroup, OperatorUid, StoragePath};
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointMode, CheckpointStore, FileSink, JobConfig, JobEvent, KeyedOperator, KeyedRecord,
    OperatorContext, OperatorUids, Pipeline, Source, SourceStatus, SystemClock, TaskError,
    TokioHost, run,
};
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, KeyedStateBackend, ListStateDescriptor,
    OperatorListState, OperatorStateBackend, ReducingState, ReducingStateDescriptor, SnapshotMode,
};
use alluvium_storage::{
    Location, Storage, StorageEntry, StorageError, StorageLock, StorageWriter, open,
};
use bytes::Bytes;

/// Numbers below this are emitted, a range for each split.
const SPLITS: u64 = 5;
const SPLIT_LEN: u64 = 400;

#[derive(Debug, Clone)]
struct Number(u64);

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

/// Emits the ranges of its splits, and stops before `stop_at` of each.
struct Ranges {
    context: OperatorContext,
    stop_at: u64,
    splits: Vec<(u64, u64)>,
    split_state: Option<OperatorListState<(u64, u64)>>,
    seen_state: Option<OperatorListState<u64>>,
    rule_state: Option<BroadcastState<String, u64>>,
}

impl Source for Ranges {
    type Record = Number;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let splits = state.list_state(ListStateDescriptor::<(u64, u64)>::new("splits"))?;
        let seen = state.union_list_state(ListStateDescriptor::<u64>::new("parallelisms"))?;
        let rules = state.broadcast_state(BroadcastStateDescriptor::<String, u64>::new("rules"))?;
        let own = u64::from(self.context.subtask.get());
        let parallelism = u64::from(self.context.parallelism.get());
        if self.context.restored.is_some() {
            self.splits = state.items(splits)?.to_vec();
            let rule = state.broadcast_get(rules, &"len".to_owned())?;
            assert_eq!(rule, Some(&SPLIT_LEN), "broadcast state is everywhere");
            let everyone = state.items(seen)?;
            assert_eq!(everyone.len() as u64, everyone[0], "one item of each old subtask");
        } else {
            let splits = (0..SPLITS).filter(|split| split % parallelism == own);
            self.splits = splits.map(|split| (split, 0)).collect();
        }
        state.update(seen, vec![parallelism])?;
        state.broadcast_put(rules, "len".to_owned(), SPLIT_LEN)?;
        (self.split_state, self.seen_state) = (Some(splits), Some(seen));
        self.rule_state = Some(rules);
        Ok(())
    }

    fn poll(
        &mut self,
        records: &mut Vec<Number>,
        _limit: usize,
    ) -> Result<SourceStatus, TaskError> {
        let stop_at = self.stop_at;
        for (split, next) in self.splits.iter_mut().filter(|(_, next)| *next < stop_at) {
            records.push(Number(*split * SPLIT_LEN + *next));
            *next += 1;
        }
        Ok(if records.is_empty() { SourceStatus::Ended } else { SourceStatus::More })
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let splits = self.split_state.ok_or("not open")?;
        Ok(state.update(splits, self.splits.clone())?)
    }
}

#[derive(Default)]
struct Sum {
    sums: Option<ReducingState<u64>>,
    fail_once: Arc<AtomicBool>,
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Sum {
    type Input = Number;
    type Output = String;
    type Result = Vec<(u64, u64)>;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let sum = ReducingStateDescriptor::<u64>::new("sum", |sum, n| *sum += n);
        self.sums = Some(keyed.reducing_state(sum)?);
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        Number(n): Number,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        if n % SPLIT_LEN == SPLIT_LEN / 2 && self.fail_once.swap(false, Ordering::SeqCst) {
            return Err("this record is one too many".into());
        }
        let sums = self.sums.ok_or("not open")?;
        sums.add(&mut keyed.at_key_group(key_group, &n, &())?, 1)?;
        output.push(n.to_string());
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError> {
        let sums = self.sums.ok_or("not open")?;
        let keys = keyed.keys(sums, &())?;
        let sum = |key: u64| Ok((key, sums.get(&keyed.at(&key)?)?.map_or(0, |sum| *sum)));
        keys.into_iter().map(sum).collect()
    }
}

struct Job {
    stop_at: u64,
    fail_once: Arc<AtomicBool>,
    output: Arc<dyn Storage>,
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Ranges;
    type Operator = Sum;
    type Sink = FileSink;

    fn source(&self, context: &OperatorContext) -> Result<Ranges, TaskError> {
        Ok(Ranges {
            context: context.clone(),
            stop_at: self.stop_at,
            splits: Vec::new(),
            split_state: None,
            seen_state: None,
            rule_state: None,
        })
    }

    fn operator(&self, _context: &OperatorContext) -> Result<Sum, TaskError> {
        Ok(Sum { sums: None, fail_once: Arc::clone(&self.fail_once) })
    }

    fn sink(&self, context: &OperatorContext) -> Result<FileSink, TaskError> {
        Ok(FileSink::new(Arc::clone(&self.output), context))
    }
}

/// A storage whose root cannot be listed once, when that was asked for.
#[derive(Debug)]
struct Unlisted {
    inner: Arc<dyn Storage>,
    fails: Arc<AtomicBool>,
}

impl Storage for Unlisted {
    fn root(&self) -> &str {
        self.inner.root()
    }
    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.create(path, bytes)
    }
    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.inner.writer(path)
    }
    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.inner.read(path, range)
    }
    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.inner.read_all(path)
    }
    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.inner.len_bytes(path)
    }
    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        if dir.is_none() && self.fails.swap(false, Ordering::SeqCst) {
            let location = Location::new(self.root(), None);
            let source = Arc::new(std::io::ErrorKind::TimedOut.into());
            return Err(StorageError::Io { operation: "list", location, source });
        }
        self.inner.list(dir)
    }
    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }
    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_dir(dir)
    }
    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_empty_dir(dir)
    }
    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.inner.lock(path)
    }
    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let (inner, fails) = (self.inner.below(dir)?, Arc::clone(&self.fails));
        Ok(Arc::new(Self { inner, fails }))
    }
}

struct World {
    storage: Arc<dyn Storage>,
    restarts: Arc<AtomicU64>,
    /// Set at the first restart, for [`Unlisted`].
    unlist: Arc<AtomicBool>,
}

impl World {
    fn new(name: &str) -> Self {
        let storage = open(&format!("memory:stream-{name}")).unwrap();
        Self { storage, restarts: Arc::default(), unlist: Arc::default() }
    }

    fn below(&self, name: &str) -> Arc<dyn Storage> {
        self.storage.below(&StoragePath::new(name).unwrap()).unwrap()
    }

    fn run(
        &self,
        parallelism: u32,
        stop_at: u64,
        fails: bool,
        mode: CheckpointMode,
    ) -> Vec<(u64, u64)> {
        let (restarts, unlist) = (Arc::clone(&self.restarts), Arc::clone(&self.unlist));
        let uid = |name: &str| OperatorUid::new(name).unwrap();
        let (source, operator, sink) = (uid("ranges"), uid("sum"), uid("files"));
        let config = JobConfig {
            parallelism,
            mode,
            checkpoints: CoordinatorConfig::new().interval_ms(Some(2)).retained(2),
            restart: RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 },
            snapshot_mode: SnapshotMode::Incremental,
            records_per_s: Some(100_000.0),
            hash_seed: 3,
            listener: Arc::new(move |event| {
                if matches!(event, JobEvent::Restarting { .. }) {
                    let is_first = restarts.fetch_add(1, Ordering::SeqCst) == 0;
                    unlist.store(is_first, Ordering::SeqCst);
                }
            }),
            ..JobConfig::new(
                OperatorUids { source, operator, sink },
                Arc::new(SystemClock),
                Arc::new(TokioHost::new()),
            )
        };
        let fail_once = Arc::new(AtomicBool::new(fails));
        let job = Arc::new(Job { stop_at, fail_once, output: self.below("output") });
        let id = JobId::new("sums").unwrap();
        let store = CheckpointStore::open_exclusive(&*self.below("chk"), id).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let run = run::<u64, _, _>(job, HeapStateBackend::default(), Arc::new(store), config);
        let mut sums: Vec<_> =
            runtime.block_on(run).unwrap().results.into_iter().flatten().collect();
        sums.sort_unstable();
        sums
    }

    fn committed(&self) -> Vec<u64> {
        let output = self.below("output");
        let updates = StoragePath::new("updates").unwrap();
        let mut lines = Vec::new();
        for entry in output.list(Some(&updates)).unwrap() {
            if entry.name.starts_with("part-") {
                let bytes = output.read_all(&updates.join(&entry.name).unwrap()).unwrap();
                let text = std::str::from_utf8(&bytes).unwrap();
                lines.extend(text.lines().map(|line| line.parse::<u64>().unwrap()));
            }
        }
        lines.sort_unstable();
        lines
    }
}

fn once_each(stop_at: u64) -> Vec<(u64, u64)> {
    let of_split = |split: u64| (0..stop_at).map(move |i| (split * SPLIT_LEN + i, 1));
    (0..SPLITS).flat_map(of_split).collect()
}

#[test]
fn every_kind_of_state_follows_a_chain_of_rescales() {
    let world = World::new("rescale");
    let mut stop_at = 0;
    for parallelism in [2, 5, 1, 3, 4, 3, 6] {
        stop_at += SPLIT_LEN / 7;
        let sums = world.run(parallelism, stop_at, false, CheckpointMode::ExactlyOnce);
        assert_eq!(sums, once_each(stop_at), "parallelism {parallelism}");
        let lines: Vec<u64> = sums.into_iter().map(|(n, _)| n).collect();
        assert_eq!(world.committed(), lines, "parallelism {parallelism}");
    }
}

#[test]
fn a_failed_task_restarts_the_job_from_its_last_checkpoint() {
    for parallelism in [1, 3] {
        let world = World::new(&format!("restart-{parallelism}"));
        let sums = world.run(parallelism, SPLIT_LEN, true, CheckpointMode::ExactlyOnce);
        assert_eq!(world.restarts.load(Ordering::SeqCst), 1);
        assert_eq!(sums, once_each(SPLIT_LEN));
        assert_eq!(world.committed().len() as u64, SPLITS * SPLIT_LEN);
    }
}

/// 1. A task fails, and the next attempt is claimed;
/// 2. the checkpoints cannot be listed for a moment;
/// 3. the retry meets its own claim, which is no other process.
#[test]
fn a_storage_that_fails_between_two_attempts_is_asked_again() {
    let mut world = World::new("unlisted");
    let (inner, fails) = (Arc::clone(&world.storage), Arc::clone(&world.unlist));
    world.storage = Arc::new(Unlisted { inner, fails });
    let sums = world.run(2, SPLIT_LEN, true, CheckpointMode::ExactlyOnce);
    assert_eq!(world.restarts.load(Ordering::SeqCst), 2);
    assert_eq!(sums, once_each(SPLIT_LEN));
}

#[test]
fn at_least_once_counts_every_record_once_or_more() {
    let world = World::new("at-least-once");
    let sums = world.run(3, SPLIT_LEN, true, CheckpointMode::AtLeastOnce);
    let keys: Vec<u64> = sums.iter().map(|(n, _)| *n).collect();
    let expected: Vec<u64> = once_each(SPLIT_LEN).into_iter().map(|(n, _)| n).collect();
    assert_eq!(keys, expected);
    assert!(sums.iter().all(|(_, count)| *count >= 1));
}
