//! Timers through a job: windows that end by event time, and reminders that come by the clock.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_core::{JobId, KeyGroup, OperatorUid, StoragePath};
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStore, FileSink, JobConfig, KeyedOperator, KeyedRecord, OperatorContext,
    OperatorUids, Pipeline, Source, SourceStatus, SystemClock, TaskError, TokioHost, run,
};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, OperatorListState, OperatorStateBackend, SnapshotMode,
    TimeDomain, Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{Storage, open};

/// Keys of all clicks.
const KEYS: u64 = 40;
/// Clicks of each half of the input.
const HALF: u64 = 2_000;
/// Length of a window.
const WINDOW_MS: i64 = 50;
/// Clicks come this much out of order, at most.
const DISORDER_MS: i64 = 7;

#[derive(Debug, Clone)]
struct Click {
    user: u64,
    time_ms: i64,
}

impl KeyedRecord for Click {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.user
    }
}

/// The click at a position of the input.
fn click(position: u64) -> Click {
    let mixed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let late = i64::try_from(mixed / KEYS).unwrap() % (DISORDER_MS + 1);
    Click { user: mixed % KEYS, time_ms: i64::try_from(position).unwrap() - late }
}

/// Emits every `stride`-th click from its own on.
struct Clicks {
    context: OperatorContext,
    end: u64,
    /// Next positions of the splits that this subtask has, and how far apart their clicks are.
    splits: Vec<(u64, u64)>,
    state: Option<OperatorListState<(u64, u64)>>,
}

impl Source for Clicks {
    type Record = Click;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let splits = state.list_state(ListStateDescriptor::<(u64, u64)>::new("splits"))?;
        self.splits = if self.context.restored.is_some() {
            state.items(splits)?.to_vec()
        } else {
            let stride = u64::from(self.context.parallelism.get());
            vec![(u64::from(self.context.subtask.get()), stride)]
        };
        self.state = Some(splits);
        Ok(())
    }

    fn poll(&mut self, clicks: &mut Vec<Click>, _: usize) -> Result<SourceStatus, TaskError> {
        // The split that is furthest behind, so that time goes on in all of them.
        let end = self.end;
        let next = self.splits.iter_mut().filter(|(next, _)| *next < end).min();
        let Some((next, stride)) = next else { return Ok(SourceStatus::Ended) };
        clicks.push(click(*next));
        *next += *stride;
        Ok(SourceStatus::More)
    }

    fn watermark_ms(&self) -> Option<i64> {
        let slowest = self.splits.iter().map(|(next, _)| *next).min()?;
        Some(i64::try_from(slowest).ok()? - DISORDER_MS - 1)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(state.update(self.state.ok_or("not open")?, self.splits.clone())?)
    }
}

/// Counts the clicks of each user in each window, and reminds of each user once, by the clock.
struct Windows {
    handles: Option<Handles>,
    calls: Arc<Calls>,
}

/// Calls of all subtasks in all attempts; one of them fails.
#[derive(Default)]
struct Calls {
    count: AtomicU64,
    fails: u64,
    clicks: AtomicU64,
    /// Windows that fired before the last click of the first half.
    early_windows: AtomicU64,
}

#[derive(Clone, Copy)]
struct Handles {
    /// The namespace is the beginning of the window.
    timers: Timers<i64>,
    counts: ValueState<u64, i64>,
    is_reminded: ValueState<bool>,
}

/// The namespace of reminders.
const NO_WINDOW: i64 = -1;

impl Windows {
    fn call(&self) -> Result<Handles, TaskError> {
        if self.calls.count.fetch_add(1, Ordering::SeqCst) == self.calls.fails {
            return Err("this call is one too many".into());
        }
        self.handles.ok_or_else(|| "not open".into())
    }
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Windows {
    type Input = Click;
    type Output = String;
    /// Users that were reminded of.
    type Result = Vec<u64>;
    type TimerNamespace = i64;

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.handles = Some(Handles {
            timers: keyed.timers(TimerDescriptor::new("timers").namespaced())?,
            counts: keyed.value_state(ValueStateDescriptor::<u64>::new("counts").namespaced())?,
            is_reminded: keyed.value_state(ValueStateDescriptor::new("is-reminded"))?,
        });
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        Click { user, time_ms }: Click,
        keyed: &mut B,
        _: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let Handles { timers, counts, is_reminded } = self.call()?;
        self.calls.clicks.fetch_add(1, Ordering::SeqCst);
        let window = window_of(time_ms);
        let mut at = keyed.at_key_group(key_group, &user, &window)?;
        counts.update(&mut at, |count| *count += 1)?;
        timers.register(&mut at, TimeDomain::EventTime, window + WINDOW_MS - 1)?;
        drop(at);
        if is_reminded.get(&keyed.at_key_group(key_group, &user, &())?)?.is_none() {
            // Long past, so that it fires as soon as it can.
            let mut at = keyed.at_key_group(key_group, &user, &NO_WINDOW)?;
            timers.register(&mut at, TimeDomain::ProcessingTime, 1)?;
        }
        Ok(())
    }

    fn timers(&self) -> Option<Timers<i64>> {
        self.handles.map(|handles| handles.timers)
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<u64, i64>,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let Handles { counts, is_reminded, .. } = self.call()?;
        let Timer { time_ms, key_group, key: user, namespace: window } = timer;
        if domain == TimeDomain::ProcessingTime {
            assert_eq!((time_ms, window), (1, NO_WINDOW));
            return Ok(is_reminded.set(&mut keyed.at_key_group(key_group, &user, &())?, true)?);
        }
        assert_eq!(time_ms, window + WINDOW_MS - 1);
        if self.calls.clicks.load(Ordering::SeqCst) < HALF {
            self.calls.early_windows.fetch_add(1, Ordering::SeqCst);
        }
        let mut at = keyed.at_key_group(key_group, &user, &window)?;
        let count = counts.get(&at)?.map(|count| *count).ok_or("a window without clicks")?;
        counts.clear(&mut at)?;
        output.push(format!("{user} {window} {count}"));
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Vec<u64>, TaskError> {
        Ok(keyed.keys(self.handles.ok_or("not open")?.is_reminded, &())?)
    }
}

const fn window_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(WINDOW_MS) * WINDOW_MS
}

struct Job {
    end: u64,
    calls: Arc<Calls>,
    output: Arc<dyn Storage>,
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Clicks;
    type Operator = Windows;
    type Sink = FileSink;

    fn source(&self, context: &OperatorContext) -> Result<Clicks, TaskError> {
        let context = context.clone();
        Ok(Clicks { context, end: self.end, splits: Vec::new(), state: None })
    }

    fn operator(&self, _: &OperatorContext) -> Result<Windows, TaskError> {
        Ok(Windows { handles: None, calls: Arc::clone(&self.calls) })
    }

    fn sink(&self, context: &OperatorContext) -> Result<FileSink, TaskError> {
        Ok(FileSink::new(Arc::clone(&self.output), context))
    }
}

/// Runs the job up to a position of the input. Call number `fails` fails, or none. Gives the users
/// that were reminded of, and the windows that fired early.
fn run_to(
    storage: &Arc<dyn Storage>,
    parallelism: u32,
    end: u64,
    fails: Option<u64>,
) -> (Vec<u64>, u64) {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let config = JobConfig {
        parallelism,
        max_parallelism: Some(16),
        checkpoints: CoordinatorConfig::new().interval_ms(Some(2)),
        restart: RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 },
        snapshot_mode: SnapshotMode::Incremental,
        records_per_s: Some(20_000.0),
        hash_seed: 5,
        ..JobConfig::new(
            OperatorUids { source: uid("clicks"), operator: uid("windows"), sink: uid("files") },
            Arc::new(SystemClock),
            Arc::new(TokioHost::new()),
        )
    };
    let below = |name: &str| storage.below(&StoragePath::new(name).unwrap()).unwrap();
    let calls = Calls { fails: fails.unwrap_or(u64::MAX), ..Calls::default() };
    let calls = Arc::new(calls);
    let job = Arc::new(Job { end, calls: Arc::clone(&calls), output: below("output") });
    let id = JobId::new("windows").unwrap();
    let store = CheckpointStore::open_exclusive(&*below("chk"), id).unwrap();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    let run = run::<u64, _, _>(job, HeapStateBackend::default(), Arc::new(store), config);
    let outcome = runtime.block_on(run).unwrap();
    assert_eq!(outcome.restarts, u32::from(fails.is_some()), "the call that fails");
    let mut reminded = outcome.results.concat();
    reminded.sort_unstable();
    (reminded, calls.early_windows.load(Ordering::SeqCst))
}

/// What the sink has committed, sorted.
fn committed(storage: &Arc<dyn Storage>) -> Vec<String> {
    let updates = StoragePath::new("output/updates").unwrap();
    let mut lines = Vec::new();
    for entry in storage.list(Some(&updates)).unwrap() {
        if entry.name.starts_with("part-") {
            let bytes = storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
            lines.extend(std::str::from_utf8(&bytes).unwrap().lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

/// The windows of some clicks, computed without a stream. Those that are open at the end of a run
/// end with it, since event time does.
fn expected(runs: impl IntoIterator<Item = std::ops::Range<u64>>) -> Vec<String> {
    let mut lines = Vec::new();
    for positions in runs {
        let mut counts = BTreeMap::<(u64, i64), u64>::new();
        for Click { user, time_ms } in positions.map(click) {
            *counts.entry((user, window_of(time_ms))).or_default() += 1;
        }
        let windows = counts.into_iter();
        lines.extend(windows.map(|((user, window), count)| format!("{user} {window} {count}")));
    }
    lines.sort_unstable();
    lines
}

#[test]
fn each_window_fires_once_over_failures_and_rescales() {
    for (name, parallelisms, fails) in
        [("up", [1, 3], [Some(700), None]), ("down", [4, 2], [None, Some(1_500)])]
    {
        let storage = open(&format!("memory:timers-{name}")).unwrap();
        run_to(&storage, parallelisms[0], HALF, fails[0]);
        assert_eq!(committed(&storage), expected(iter::once(0..HALF)), "{name}, first half");
        let (reminded, _) = run_to(&storage, parallelisms[1], 2 * HALF, fails[1]);
        let halves = [0..HALF, HALF..2 * HALF];
        assert_eq!(committed(&storage), expected(halves), "{name}, second half");
        assert_eq!(reminded, (0..KEYS).collect::<Vec<_>>(), "{name}: users, each once");
    }
}

#[test]
fn windows_fire_while_the_input_goes_on() {
    let storage = open("memory:timers-early").unwrap();
    let (_, early) = run_to(&storage, 2, HALF, None);
    let windows = expected(iter::once(0..HALF));
    assert_eq!(committed(&storage), windows);
    assert!(early > windows.len() as u64 / 2, "{early} of {} windows", windows.len());
}
