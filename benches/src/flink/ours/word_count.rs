//! Counting words on the runtime: sources of random words, a count of each, a sink that throws away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_benches::cases::{KEY_GROUPS, mixed};
use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_core::{CheckpointId, JobId, KeyGroup, OperatorUid};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStore, InFlightCodec, JobConfig, JobError, JobGraph, KeyedOperator, KeyedRecord,
    OperatorContext, Sink, Source, SourceStatus, SystemClock, TaskError, TokioHost, run_graph,
};
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, SnapshotMode, ValueState, ValueStateDescriptor,
};

use super::{Service, nanos};

/// Subtasks of each stage.
const PARALLELISM: u32 = 2;
/// Time between two checkpoints.
const INTERVAL_MS: u64 = 1_000;
/// Where the numbers of a subtask begin.
const NUMBERS: u64 = 1 << 60;

struct WordCount {
    words: Arc<[String]>,
}

pub(super) fn service(backend: &str, words: &str) -> Option<Box<dyn Service>> {
    let count: u64 = words.parse().ok()?;
    if backend != "heap" {
        return None;
    }
    let words = (0..count).map(|number| format!("{:x}", mixed(number) & 0xffff_ffff)).collect();
    Some(Box::new(WordCount { words }))
}

impl Service for WordCount {
    fn answer(&mut self, request: &[&str]) -> Option<Vec<u64>> {
        let ["run", warm_up_ms, ms] = request else { return None };
        let [warm_up, window] = [warm_up_ms, ms].map(|ms| ms.parse().map(Duration::from_millis));
        Some(count(&self.words, warm_up.ok()?, window.ok()?))
    }
}

/// Runs a job, and says how many records it counted within a window, the nanoseconds of that, and how
/// many checkpoints completed in it.
fn count(words: &Arc<[String]>, warm_up: Duration, window: Duration) -> Vec<u64> {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let root = alluvium_storage::open(&dir.path().display().to_string()).expect("a storage");
    let job = JobId::new("words").expect("a valid name");
    let store = CheckpointStore::open_exclusive(&*root, job).expect("a store");
    let config = JobConfig {
        parallelism: PARALLELISM,
        max_parallelism: Some(KEY_GROUPS),
        checkpoints: CoordinatorConfig::new().interval_ms(Some(INTERVAL_MS)),
        restart: RestartStrategy::None,
        snapshot_mode: SnapshotMode::Full,
        ..JobConfig::for_graph(Arc::new(SystemClock), Arc::new(TokioHost::new()))
    };
    let counted = Arc::new(AtomicU64::new(0));
    let control = config.control.clone();
    let graph = graph(words, &counted);
    let job = run_graph(graph, HeapStateBackend::default(), Arc::new(store), config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let (outcome, (records, took, completed)) = runtime.expect("a runtime").block_on(async {
        tokio::join!(job, async {
            // The warm-up begins when the job counts.
            while counted.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(warm_up).await;
            let completed = async || control.statistics().await.expect("it runs").completed;
            let earlier = completed().await;
            let (start, before) = (Instant::now(), counted.load(Ordering::Relaxed));
            tokio::time::sleep(window).await;
            let (took, after) = (start.elapsed(), counted.load(Ordering::Relaxed));
            let later = completed().await;
            control.cancel();
            (after - before, took, later - earlier)
        })
    });
    assert!(matches!(outcome, Err(JobError::Cancelled)), "{outcome:?}");
    vec![records, nanos(took), completed]
}

struct Word(String);

impl KeyedRecord for Word {
    type Key = String;

    fn key(&self) -> &String {
        &self.0
    }
}

struct Words {
    words: Arc<[String]>,
    next: u64,
}

impl Source for Words {
    type Record = Word;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Word>, limit: usize) -> Result<SourceStatus, TaskError> {
        let count = self.words.len() as u64;
        for number in (self.next..).take(limit) {
            let position = usize::try_from(mixed(number) % count)?;
            let word = self.words.get(position).ok_or("no words")?;
            records.push(Word(word.clone()));
            self.next = number + 1;
        }
        Ok(SourceStatus::More)
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }
}

#[derive(Default)]
struct Count(Option<ValueState<u64>>);

impl<B: KeyedStateBackend<Key = String>> KeyedOperator<B> for Count {
    type Input = Word;
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
        Word(word): Word,
        keyed: &mut B,
        output: &mut Vec<u64>,
    ) -> Result<(), TaskError> {
        let counts = self.0.ok_or("not open")?;
        let count = counts.update(&mut keyed.at_key_group(group, &word, &())?, |count| {
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

struct Nowhere(Arc<AtomicU64>);

impl Sink for Nowhere {
    type Input = u64;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn write(&mut self, records: Vec<u64>) -> Result<(), TaskError> {
        let count = std::hint::black_box(records).len() as u64;
        self.0.fetch_add(count, Ordering::Relaxed);
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

fn graph(words: &Arc<[String]>, counted: &Arc<AtomicU64>) -> JobGraph<HeapStateBackend, ()> {
    let uid = |name: &str| OperatorUid::new(name).expect("a valid name");
    let mut graph = JobGraph::new();
    let words = Arc::clone(words);
    let source = graph.source(uid("words"), move |context: &OperatorContext| {
        let next = u64::from(context.subtask.get()) * NUMBERS;
        Ok(Words { words: Arc::clone(&words), next })
    });
    let codec = InFlightCodec::through(DefaultCodec, |Word(word)| word.clone(), Word);
    let words = source.in_flight(codec);
    let counts = graph.keyed(uid("count"), words.keyed(), |_| Ok(Count::default()));
    let counts = counts.in_flight(InFlightCodec::new(DefaultCodec));
    let counted = Arc::clone(counted);
    graph.sink(uid("nowhere"), counts.forward(), move |_| Ok(Nowhere(Arc::clone(&counted))));
    graph
}
