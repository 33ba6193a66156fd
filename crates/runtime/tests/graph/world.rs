//! Numbers, a source of them, and a world to run graphs in.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium_coordinator::{CheckpointRecord, CoordinatorConfig, RestartStrategy};
use alluvium_core::{JobId, OperatorUid, StoragePath};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStore, FileSink, InFlightCodec, JobConfig, JobControl, JobError, JobGraph,
    JobOutcome, KeyedRecord, OperatorContext, Source, SourceStatus, Stage, Stream, SystemClock,
    TaskError, TokioHost, run_graph,
};
use alluvium_state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, SnapshotMode};
use alluvium_storage::{Storage, open};

pub(crate) type Graph = JobGraph<HeapStateBackend, ()>;

/// A number of a stream, whose key it is; `SIDE` makes types of streams different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number<const SIDE: u8>(pub(crate) u64);

impl<const SIDE: u8> KeyedRecord for Number<SIDE> {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

pub(crate) fn codec<const SIDE: u8>() -> InFlightCodec<Number<SIDE>> {
    InFlightCodec::through(DefaultCodec, |number: &Number<SIDE>| number.0, Number)
}

/// Subtask 0 counts up to an end, 16 at a time; the others have ended.
pub(crate) struct Count<T> {
    is_first: bool,
    next: u64,
    end: Arc<AtomicU64>,
    make: fn(u64) -> T,
    /// How many were read by all.
    read: Arc<AtomicU64>,
    state: Option<OperatorListState<u64>>,
    record: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> Source for Count<T> {
    type Record = T;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let positions = state.union_list_state(ListStateDescriptor::<u64>::new("next"))?;
        self.next = state.items(positions)?.iter().copied().max().unwrap_or(0);
        state.update(positions, Vec::new())?;
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<T>, limit: usize) -> Result<SourceStatus, TaskError> {
        if !self.is_first {
            return Ok(SourceStatus::Ended);
        }
        let end = self.end.load(Ordering::SeqCst);
        let to = end.min(self.next + limit.min(16) as u64);
        records.extend((self.next..to).map(self.make));
        self.read.fetch_add(to.saturating_sub(self.next), Ordering::SeqCst);
        self.next = to.max(self.next);
        Ok(if self.next >= end { SourceStatus::Ended } else { SourceStatus::More })
    }

    fn watermark_ms(&self) -> Option<i64> {
        // A number is its own time; those that are done lie behind.
        self.next.checked_sub(1).and_then(|done| i64::try_from(done).ok()).filter(|_| self.is_first)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let own = if self.is_first { vec![self.next] } else { Vec::new() };
        Ok(state.update(self.state.ok_or("not open")?, own)?)
    }
}

/// What a person may turn while a job runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    /// Lets the next record of a keyed operator fail.
    pub(crate) fails: Arc<AtomicBool>,
    /// How long a record takes, in microseconds, by input or stage.
    pub(crate) slow_us: [Arc<AtomicU64>; 2],
    /// How many records the sources have read.
    pub(crate) read: Arc<AtomicU64>,
}

impl Knobs {
    /// What any record meets.
    pub(crate) fn meet(&self, input: usize) -> Result<(), TaskError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err("somebody let it fail".into());
        }
        let us = self.slow_us.get(input).map_or(0, |us| us.load(Ordering::Relaxed));
        if us > 0 {
            std::thread::sleep(Duration::from_micros(us));
        }
        Ok(())
    }

    pub(crate) fn slow_down(&self, us: [u64; 2]) {
        for (knob, us) in self.slow_us.iter().zip(us) {
            knob.store(us, Ordering::SeqCst);
        }
    }

    /// Waits until the sources have read so many records more.
    pub(crate) async fn read_more(&self, count: u64) {
        let until = self.read.load(Ordering::SeqCst) + count;
        while self.read.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) struct World {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) knobs: Knobs,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn stage(name: &str) -> Stage {
    Stage::new(OperatorUid::new(name).unwrap())
}

/// An end that is never come to.
pub(crate) const NEVER: u64 = u64::MAX;

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(4).enable_time().build().unwrap();
        let storage = open(&format!("memory:graph-{name}")).unwrap();
        Self { storage, knobs: Knobs::default(), runtime }
    }

    fn below(&self, name: &str) -> Arc<dyn Storage> {
        self.storage.below(&StoragePath::new(name).unwrap()).unwrap()
    }

    /// Numbers of a type from 0 to an end.
    pub(crate) fn numbers<const SIDE: u8>(
        &self,
        graph: &mut Graph,
        stage: Stage,
        end: u64,
    ) -> Stream<Number<SIDE>> {
        let (read, end) = (Arc::clone(&self.knobs.read), Arc::new(AtomicU64::new(end)));
        let numbers = graph.source(stage, move |context: &OperatorContext| {
            Ok(Count {
                is_first: context.subtask.get() == 0,
                next: 0,
                end: Arc::clone(&end),
                make: Number::<SIDE>,
                read: Arc::clone(&read),
                state: None,
                record: PhantomData,
            })
        });
        numbers.in_flight(codec())
    }

    pub(crate) fn lines(&self) -> impl Fn(&OperatorContext) -> Result<FileSink, TaskError> + use<> {
        let output = self.below("output");
        move |context| Ok(FileSink::new(Arc::clone(&output), context))
    }

    /// Runs a graph to its end, while somebody asks for things.
    pub(crate) fn run<T>(
        &self,
        graph: Graph,
        config: JobConfig,
        asking: impl AsyncFnOnce(JobControl) -> T,
    ) -> (Result<JobOutcome<()>, JobError>, T) {
        let job = JobId::new("graph").unwrap();
        let store = Arc::new(CheckpointStore::open_exclusive(&*self.below("chk"), job).unwrap());
        let control = config.control.clone();
        let job = run_graph(graph, HeapStateBackend::default(), store, config);
        self.runtime.block_on(async { tokio::join!(job, asking(control)) })
    }

    /// Runs a graph to its end, and lets it fail now and then.
    pub(crate) fn run_failing(&self, graph: Graph, config: JobConfig) {
        let fails = Arc::clone(&self.knobs.fails);
        let (outcome, ()) = self.run(graph, config, async move |control| {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(25)).await;
                if control.status().is_over() {
                    break;
                }
                fails.store(true, Ordering::SeqCst);
            }
            fails.store(false, Ordering::SeqCst);
        });
        assert!(outcome.unwrap().restarts > 0, "it failed now and then");
    }

    /// Runs a graph without an end until it is held up, takes a checkpoint then, and cancels it.
    pub(crate) fn overtake(
        &self,
        graph: Graph,
        config: JobConfig,
        us: [u64; 2],
    ) -> CheckpointRecord {
        self.knobs.slow_down([0; 2]);
        let knobs = self.knobs.clone();
        let (outcome, record) = self.run(graph, config, async move |control| {
            knobs.read_more(300).await;
            knobs.slow_down(us);
            // Until the channels are full.
            tokio::time::sleep(Duration::from_millis(40)).await;
            control.checkpoint(false).await.unwrap();
            let statistics = control.statistics().await.unwrap();
            control.cancel();
            statistics.latest_completed().unwrap().clone()
        });
        assert!(matches!(outcome, Err(JobError::Cancelled)), "{outcome:?}");
        self.knobs.slow_down([0; 2]);
        record
    }

    /// Lines that sinks have committed, sorted: numbers, then words.
    pub(crate) fn committed(&self) -> (Vec<u64>, Vec<String>) {
        let updates = StoragePath::new("output/updates").unwrap();
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        for entry in self.storage.list(Some(&updates)).unwrap() {
            if entry.name.starts_with("part-") {
                let bytes = self.storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
                for line in std::str::from_utf8(&bytes).unwrap().lines() {
                    match line.parse() {
                        Ok(number) => numbers.push(number),
                        Err(_) => words.push(line.to_owned()),
                    }
                }
            }
        }
        numbers.sort_unstable();
        words.sort_unstable();
        (numbers, words)
    }
}

/// A graph's configuration.
pub(crate) fn job_config(parallelism: u32, checkpoints: CoordinatorConfig) -> JobConfig {
    JobConfig {
        parallelism,
        max_parallelism: Some(16),
        checkpoints,
        restart: RestartStrategy::FixedDelay { attempts: 100, delay_ms: 1 },
        snapshot_mode: SnapshotMode::Incremental,
        ..JobConfig::for_graph(Arc::new(SystemClock), Arc::new(TokioHost::new()))
    }
}

/// What holds of a checkpoint that overtook records.
pub(crate) fn persisted(record: &CheckpointRecord) -> u64 {
    record.in_flight_bytes().1
}

pub(crate) fn unaligned() -> CoordinatorConfig {
    CoordinatorConfig::new().unaligned(true)
}

/// How a job may take its checkpoints, with a name for each.
pub(crate) fn all_ways() -> [(&'static str, JobConfig); 3] {
    let often = |checkpoints: CoordinatorConfig| checkpoints.interval_ms(Some(5)).retained(2);
    let timeout = JobConfig { aligned_timeout_ms: 3, ..job_config(2, often(unaligned())) };
    [
        ("aligned", job_config(2, often(CoordinatorConfig::new()))),
        ("unaligned", job_config(2, often(unaligned()))),
        ("timeout", timeout),
    ]
}
