//! A job that counts numbers by key, and a world to run it in.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod watched;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_coordinator::RestartStrategy;
use alluvium_core::{CheckpointId, CheckpointMetadata, JobId, KeyGroup, OperatorUid, StoragePath};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStatus, CheckpointStore, ClaimMode, FileSink, InFlightCodec, JobConfig, JobControl,
    JobError, JobEvent, JobOutcome, KeyedOperator, KeyedRecord, OperatorContext, OperatorUids,
    Pipeline, RestoreFrom, Sink, Source, SourceStatus, SystemClock, TaskError, TokioHost,
    read_savepoint, run,
};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, OperatorListState, OperatorStateBackend, SnapshotMode,
    TimeDomain, Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{Storage, open};

pub(crate) const KEYS: u64 = 50;

#[derive(Debug, Clone)]
pub(crate) struct Number {
    n: u64,
    key: u64,
}

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.key
    }
}

/// One subtask counts up to an end, or for ever; the others have ended.
pub(crate) struct Count {
    pub(crate) is_first: bool,
    pub(crate) next: u64,
    pub(crate) end: u64,
    pub(crate) state: Option<OperatorListState<u64>>,
}

impl Source for Count {
    type Record = Number;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let positions = state.union_list_state(ListStateDescriptor::<u64>::new("next"))?;
        self.next = state.items(positions)?.iter().copied().max().unwrap_or(0);
        state.update(positions, Vec::new())?;
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Number>, limit: usize) -> Result<SourceStatus, TaskError> {
        if !self.is_first {
            return Ok(SourceStatus::Ended);
        }
        let to = self.end.min(self.next + limit.min(64) as u64);
        records.extend((self.next..to).map(|n| Number { n, key: n % KEYS }));
        self.next = to;
        Ok(if to == self.end { SourceStatus::Ended } else { SourceStatus::More })
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let own = if self.is_first { vec![self.next] } else { Vec::new() };
        Ok(state.update(self.state.ok_or("not open")?, own)?)
    }
}

/// Counts each key, and says goodbye to it at the end of event time.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) counts: Option<ValueState<u64>>,
    pub(crate) timers: Option<Timers>,
    pub(crate) fails: Arc<AtomicBool>,
    pub(crate) slow_us: Arc<AtomicU64>,
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Tally {
    type Input = Number;
    type Output = String;
    type Result = Vec<(u64, u64)>;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.counts = Some(keyed.value_state(ValueStateDescriptor::<u64>::new("count"))?);
        self.timers = Some(keyed.timers(TimerDescriptor::new("timers"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Number { n, key }: Number,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err("somebody let it fail".into());
        }
        std::thread::sleep(Duration::from_micros(self.slow_us.load(Ordering::Relaxed)));
        let (counts, timers) = (self.counts.ok_or("not open")?, self.timers.ok_or("not open")?);
        let mut at = keyed.at_key_group(group, &key, &())?;
        counts.update(&mut at, |count| *count += 1)?;
        timers.register(&mut at, TimeDomain::EventTime, i64::MAX - 1)?;
        output.push(n.to_string());
        Ok(())
    }

    fn timers(&self) -> Option<Timers> {
        self.timers
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        timer: Timer<u64, ()>,
        _: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        output.push(format!("goodbye {}", timer.key));
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError> {
        let counts = self.counts.ok_or("not open")?;
        let keys = keyed.keys(counts, &())?;
        let count = |key: u64| Ok((key, counts.get(&keyed.at(&key)?)?.map_or(0, |n| *n)));
        keys.into_iter().map(count).collect()
    }
}

#[derive(Clone)]
pub(crate) struct Job {
    end: u64,
    fails: Arc<AtomicBool>,
    slow_us: Arc<AtomicU64>,
    slow_sink_us: Arc<AtomicU64>,
    has_codecs: bool,
    output: Arc<dyn Storage>,
}

/// Takes its time.
pub(crate) struct SlowSink(FileSink, Arc<AtomicU64>);

impl Sink for SlowSink {
    type Input = String;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.0.open(state)
    }

    fn write(&mut self, records: Vec<String>) -> Result<(), TaskError> {
        let us = self.1.load(Ordering::Relaxed) * records.len() as u64;
        std::thread::sleep(Duration::from_micros(us));
        self.0.write(records)
    }

    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        self.0.pre_commit(checkpoint, state)
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.0.commit(checkpoint)
    }
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Count;
    type Operator = Tally;
    type Sink = SlowSink;

    fn input_codec(&self) -> Option<InFlightCodec<Number>> {
        self.has_codecs.then(|| {
            let parts = |number: &Number| (number.n, number.key);
            InFlightCodec::through(DefaultCodec, parts, |(n, key)| Number { n, key })
        })
    }

    fn output_codec(&self) -> Option<InFlightCodec<String>> {
        self.has_codecs.then(|| InFlightCodec::new(DefaultCodec))
    }

    fn source(&self, context: &OperatorContext) -> Result<Count, TaskError> {
        let is_first = context.subtask.get() == 0;
        Ok(Count { is_first, next: 0, end: self.end, state: None })
    }

    fn operator(&self, _: &OperatorContext) -> Result<Tally, TaskError> {
        let (fails, slow_us) = (Arc::clone(&self.fails), Arc::clone(&self.slow_us));
        Ok(Tally { fails, slow_us, ..Tally::default() })
    }

    fn sink(&self, context: &OperatorContext) -> Result<SlowSink, TaskError> {
        let sink = FileSink::new(Arc::clone(&self.output), context);
        Ok(SlowSink(sink, Arc::clone(&self.slow_sink_us)))
    }
}

pub(crate) type Outcome = Result<JobOutcome<Vec<(u64, u64)>>, JobError>;

pub(crate) struct World {
    pub(crate) storage: Arc<dyn Storage>,
    /// Lets the next record fail.
    pub(crate) fails: Arc<AtomicBool>,
    /// How long the operator, or the sink, takes for a record, in microseconds.
    pub(crate) slow_us: Arc<AtomicU64>,
    pub(crate) slow_sink_us: Arc<AtomicU64>,
    /// Whether records have codecs.
    pub(crate) has_codecs: bool,
    /// What the listener heard.
    pub(crate) heard: Arc<Mutex<Vec<String>>>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(4).enable_time().build().unwrap();
        let storage = open(&format!("memory:control-{name}")).unwrap();
        Self {
            storage,
            fails: Arc::default(),
            slow_us: Arc::default(),
            slow_sink_us: Arc::default(),
            has_codecs: true,
            heard: Arc::default(),
            runtime,
        }
    }

    pub(crate) fn below(&self, name: &str) -> Arc<dyn Storage> {
        self.storage.below(&StoragePath::new(name).unwrap()).unwrap()
    }

    pub(crate) fn store(&self, root: &str) -> CheckpointStore {
        let job = JobId::new("tally").unwrap();
        CheckpointStore::open_exclusive(&*self.below(root), job).unwrap()
    }

    pub(crate) fn config(&self) -> JobConfig {
        let uid = |name: &str| OperatorUid::new(name).unwrap();
        let uids =
            OperatorUids { source: uid("count"), operator: uid("tally"), sink: uid("files") };
        let heard = Arc::clone(&self.heard);
        JobConfig {
            parallelism: 2,
            restart: RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 },
            snapshot_mode: SnapshotMode::Incremental,
            records_per_s: Some(100_000.0),
            listener: Arc::new(move |event: &JobEvent<'_>| {
                heard.lock().unwrap().push(format!("{event:?}"));
            }),
            ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
        }
    }

    /// Runs a job from a root to its end, while somebody asks for things.
    pub(crate) fn run<T>(
        &self,
        root: &str,
        end: u64,
        config: JobConfig,
        asking: impl AsyncFnOnce(JobControl) -> T,
    ) -> (Outcome, T) {
        let job = Arc::new(Job {
            end,
            fails: Arc::clone(&self.fails),
            slow_us: Arc::clone(&self.slow_us),
            slow_sink_us: Arc::clone(&self.slow_sink_us),
            has_codecs: self.has_codecs,
            output: self.below("output"),
        });
        let (store, control) = (Arc::new(self.store(root)), config.control.clone());
        let job = run::<u64, _, _>(job, HeapStateBackend::default(), store, config);
        self.runtime.block_on(async { tokio::join!(job, asking(control)) })
    }

    /// What the sink has committed, sorted, numbers before words.
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

    pub(crate) fn checkpoints(&self, root: &str) -> Vec<u64> {
        let listed = self.store(root).list().unwrap().into_iter();
        let complete = listed.filter(|it| matches!(it.status, CheckpointStatus::Complete(_)));
        complete.map(|it| it.checkpoint.get()).collect()
    }

    /// The only folder below a target.
    pub(crate) fn savepoint(&self, target: &str) -> (Arc<dyn Storage>, CheckpointMetadata) {
        let target = self.below(target);
        let [folder] = &target.list(None).unwrap()[..] else { panic!("one savepoint expected") };
        let folder = target.below(&StoragePath::new(&folder.name).unwrap()).unwrap();
        let metadata = read_savepoint(&*folder).unwrap();
        (folder, metadata)
    }

    pub(crate) fn restore_point(&self, target: &str, claim: ClaimMode) -> RestoreFrom {
        let (storage, metadata) = self.savepoint(target);
        RestoreFrom::Checkpoint { metadata: Box::new(metadata), storage, claim }
    }

    pub(crate) fn heard(&self, part: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|event| event.contains(part)).count()
    }
}

/// Waits until the source has read so many records.
pub(crate) async fn read(records: &AtomicU64, at_least: u64) {
    while records.load(Ordering::Relaxed) < at_least {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn total(outcome: &JobOutcome<Vec<(u64, u64)>>) -> u64 {
    outcome.results.iter().flatten().map(|(_, count)| count).sum()
}

pub(crate) fn up_to(end: u64) -> Vec<u64> {
    (0..end).collect()
}
