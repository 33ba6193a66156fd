//! The job that is measured: sources of random keys, a count of each key, a sink that throws away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium_benches::random::Random;
use alluvium_benches::targets::ACCESS_SEED;
use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_core::{CheckpointId, JobId, KeyGroup, OperatorUid};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStore, InFlightCodec, JobConfig, JobControl, JobGraph, KeyedOperator, KeyedRecord,
    OperatorContext, Sink, Source, SourceStatus, SystemClock, TaskError, TokioHost, run_graph,
};
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, SnapshotMode, ValueState, ValueStateDescriptor,
};

/// Subtasks of each stage.
pub(crate) const PARALLELISM: u32 = 2;

/// One occurrence of a key.
#[derive(Debug, Clone, Copy)]
struct Hit(u64);

impl KeyedRecord for Hit {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

/// What is turned while the job runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    pub(crate) is_paused: Arc<AtomicBool>,
    /// What a record costs the sink, in nanoseconds.
    pub(crate) sink_ns: Arc<AtomicU64>,
    /// Records that sinks have taken.
    pub(crate) written: Arc<AtomicU64>,
}

/// Every key once, then random ones for ever.
struct Hits {
    keys: u64,
    /// The next of its own keys.
    next: u64,
    random: Random,
    is_paused: Arc<AtomicBool>,
}

impl Source for Hits {
    type Record = Hit;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Hit>, limit: usize) -> Result<SourceStatus, TaskError> {
        if self.is_paused.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(200));
            return Ok(SourceStatus::More);
        }
        for _ in 0..limit {
            let key = if self.next < self.keys {
                let own = self.next;
                self.next += u64::from(PARALLELISM);
                own
            } else {
                self.random.below(self.keys)
            };
            records.push(Hit(key));
        }
        Ok(SourceStatus::More)
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }
}

#[derive(Default)]
struct Count(Option<ValueState<u64>>);

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Count {
    type Input = Hit;
    type Output = u64;
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.0 = Some(keyed.value_state(ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Hit(key): Hit,
        keyed: &mut B,
        output: &mut Vec<u64>,
    ) -> Result<(), TaskError> {
        let counts = self.0.ok_or("not open")?;
        let count = counts.update(&mut keyed.at_key_group(group, &key, &())?, |count| {
            *count += 1;
            *count
        })?;
        output.push(count);
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

struct Nowhere(Knobs);

impl Sink for Nowhere {
    type Input = u64;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn write(&mut self, records: Vec<u64>) -> Result<(), TaskError> {
        let count = std::hint::black_box(records).len() as u64;
        let ns = self.0.sink_ns.load(Ordering::Relaxed) * count;
        if ns > 0 {
            std::thread::sleep(Duration::from_nanos(ns));
        }
        self.0.written.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    fn pre_commit(
        &mut self,
        _: CheckpointId,
        _: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    fn commit(&mut self, _: CheckpointId) -> Result<(), TaskError> {
        Ok(())
    }
}

fn graph(keys: u64, knobs: &Knobs) -> JobGraph<HeapStateBackend, ()> {
    let uid = |name: &str| OperatorUid::new(name).expect("a valid name");
    let mut graph = JobGraph::new();
    let is_paused = Arc::clone(&knobs.is_paused);
    let hits = graph.source(uid("hits"), move |context: &OperatorContext| {
        let subtask = u64::from(context.subtask.get());
        let random = Random::new(ACCESS_SEED + subtask);
        Ok(Hits { keys, next: subtask, random, is_paused: Arc::clone(&is_paused) })
    });
    let hits = hits.in_flight(InFlightCodec::through(DefaultCodec, |Hit(key)| *key, Hit));
    let counts = graph.keyed(uid("count"), hits.keyed(), |_| Ok(Count::default()));
    let counts = counts.in_flight(InFlightCodec::new(DefaultCodec));
    let knobs = knobs.clone();
    graph.sink(uid("nowhere"), counts.forward(), move |_| Ok(Nowhere(knobs.clone())));
    graph
}

/// A running job.
pub(crate) struct Running {
    pub(crate) knobs: Knobs,
    pub(crate) control: JobControl,
    /// Records that sources have read.
    pub(crate) read: Arc<AtomicU64>,
}

impl Running {
    /// Waits until everything that was read has come to the sink, once the sources are paused.
    pub(crate) async fn drained(&self) {
        loop {
            let read = self.read.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let written = self.knobs.written.load(Ordering::Relaxed);
            if read == written && read == self.read.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Runs the job on local files while somebody measures it; all keys are there by then.
pub(crate) fn measured<T>(
    keys: u64,
    is_unaligned: bool,
    mode: SnapshotMode,
    measure: impl AsyncFnOnce(&Running) -> T,
) -> T {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let root = alluvium_storage::open(&dir.path().display().to_string()).expect("a storage");
    let job = JobId::new("measured").expect("a valid name");
    let store = CheckpointStore::open_exclusive(&*root, job).expect("a store");
    let config = JobConfig {
        parallelism: PARALLELISM,
        max_parallelism: Some(128),
        checkpoints: CoordinatorConfig::new().unaligned(is_unaligned),
        restart: RestartStrategy::None,
        snapshot_mode: mode,
        ..JobConfig::for_graph(Arc::new(SystemClock), Arc::new(TokioHost::new()))
    };
    let knobs = Knobs::default();
    let (control, read) = (config.control.clone(), Arc::clone(&config.records));
    let running = Running { knobs: knobs.clone(), control, read };
    let job = run_graph(graph(keys, &knobs), HeapStateBackend::default(), Arc::new(store), config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime");
    let (outcome, measured) = runtime.block_on(async {
        tokio::join!(job, async {
            while running.knobs.written.load(Ordering::Relaxed) < keys {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let measured = measure(&running).await;
            running.control.cancel();
            measured
        })
    });
    assert!(matches!(outcome, Err(alluvium_runtime::JobError::Cancelled)), "{outcome:?}");
    measured
}
