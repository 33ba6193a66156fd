//! What a job tells through the facades for metrics and spans, and only to whoever listens.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{CheckpointId, JobId, KeyGroup, OperatorUid};
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointStore, JobConfig, KeyedOperator, KeyedRecord, OperatorContext, OperatorUids,
    Pipeline, RestoreFrom, Sink, Source, SourceStatus, SystemClock, TaskError, TokioHost, run,
};
use alluvium_state::{KeyedStateBackend, OperatorStateBackend, ValueState, ValueStateDescriptor};
use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

#[derive(Debug, Clone)]
struct Number(u64);

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

/// A hundred numbers.
struct Numbers;

impl Source for Numbers {
    type Record = Number;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Number>, _: usize) -> Result<SourceStatus, TaskError> {
        records.extend((0..100).map(Number));
        Ok(SourceStatus::Ended)
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }
}

#[derive(Default)]
struct Tally(Option<ValueState<u64>>);

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Tally {
    type Input = Number;
    type Output = ();
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.0 = Some(keyed.value_state(ValueStateDescriptor::<u64>::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Number(key): Number,
        keyed: &mut B,
        _: &mut Vec<()>,
    ) -> Result<(), TaskError> {
        let mut at = keyed.at_key_group(group, &key, &())?;
        Ok(self.0.ok_or("not open")?.update(&mut at, |count| *count += 1)?)
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

struct Nowhere;

impl Sink for Nowhere {
    type Input = ();

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn write(&mut self, _: Vec<()>) -> Result<(), TaskError> {
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

struct Job;

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Numbers;
    type Operator = Tally;
    type Sink = Nowhere;

    fn source(&self, _: &OperatorContext) -> Result<Numbers, TaskError> {
        Ok(Numbers)
    }

    fn operator(&self, _: &OperatorContext) -> Result<Tally, TaskError> {
        Ok(Tally::default())
    }

    fn sink(&self, _: &OperatorContext) -> Result<Nowhere, TaskError> {
        Ok(Nowhere)
    }
}

/// A job that nobody listens to, beside one that somebody does, switches spans off for both while their
/// places in the code are registered.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run_job(name: &str) {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let uids =
        OperatorUids { source: uid("numbers"), operator: uid("tally"), sink: uid("nowhere") };
    let config = JobConfig {
        restore: RestoreFrom::Latest,
        ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
    };
    let root = alluvium_storage::open(&format!("memory:telemetry-{name}")).unwrap();
    let job = JobId::new("tally").unwrap();
    let store = Arc::new(CheckpointStore::open_exclusive(&*root, job).unwrap());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_time().build().unwrap();
    let job = run::<u64, _, _>(Arc::new(Job), HeapStateBackend::default(), store, config);
    runtime.block_on(job).unwrap();
}

/// Keeps the last value of each gauge, by name and labels.
#[derive(Debug, Clone, Default)]
struct Gauges(Arc<Mutex<BTreeMap<String, f64>>>);

struct OneGauge(Gauges, String);

impl GaugeFn for OneGauge {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl metrics::Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        panic!("{key} is a counter, and Flink has none of checkpoints")
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let labels = key.labels().map(|label| label.value().to_owned());
        let name = std::iter::once(key.name().to_owned()).chain(labels);
        Gauge::from_arc(Arc::new(OneGauge(self.clone(), name.collect::<Vec<_>>().join(" "))))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("{key} is a histogram")
    }
}

#[test]
fn counts_and_the_last_checkpoint_are_gauges_of_flinks_names() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let gauges = Gauges::default();
    metrics::with_local_recorder(&gauges, || {
        run_job("metrics");
        run_job("metrics");
    });
    let gauges = gauges.0.lock().unwrap();
    let get = |name: &str| *gauges.get(name).unwrap_or_else(|| panic!("{name} in {gauges:?}"));
    for (name, value) in [
        ("totalNumberOfCheckpoints tally", 1.0),
        ("numberOfInProgressCheckpoints tally", 0.0),
        ("numberOfCompletedCheckpoints tally", 1.0),
        ("numberOfFailedCheckpoints tally", 0.0),
        ("lastCompletedCheckpointId tally", 2.0),
        ("lastCheckpointProcessedData tally", 0.0),
        ("lastCheckpointPersistedData tally", 0.0),
    ] {
        assert!((get(name) - value).abs() < 0.5, "{name} is {}", get(name));
    }
    assert!(get("lastCheckpointSize tally") > 100.0);
    assert!(get("lastCheckpointFullSize tally") >= get("lastCheckpointSize tally"));
    assert!(get("lastCheckpointDuration tally") < 60_000.0);
    let restored = get("lastCheckpointRestoreTimestamp tally");
    assert!(restored > 1.0 && restored <= get("lastCheckpointCompletedTimestamp tally"));
    for operator in ["numbers", "tally", "nowhere"] {
        get(&format!("checkpointAlignmentTime tally {operator} 0"));
        get(&format!("checkpointStartDelayNanos tally {operator} 0"));
    }
}

/// Keeps the spans that are open, and those that have ended: the ids of these are used again.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<OpenAndEnded>>);

type OpenAndEnded = (BTreeMap<u64, Seen>, Vec<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The names of its parents and its own.
    path: String,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let (spans, _) = &mut *self.0.lock().unwrap();
        let parent = attributes.parent().and_then(|parent| spans.get(&parent.into_u64()));
        let parent = parent.map(|parent| format!("{}/", parent.path)).unwrap_or_default();
        let path = format!("{parent}{}", attributes.metadata().name());
        let mut seen = Seen { path, ..Seen::default() };
        attributes.record(&mut seen);
        spans.insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(seen) = self.0.lock().unwrap().0.get_mut(&id.into_u64()) {
            values.record(seen);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let (open, ended) = &mut *self.0.lock().unwrap();
        ended.extend(open.remove(&id.into_u64()));
    }
}

#[test]
fn each_attempt_and_each_checkpoint_is_a_span_with_its_phases() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    tracing::subscriber::with_default(subscriber, || run_job("spans"));
    let (open, spans) = &*spans.0.lock().unwrap();
    assert!(open.is_empty(), "{open:?}");
    let mut paths: Vec<&str> = spans.iter().map(|span| span.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "Attempt",
        "Attempt/Checkpoint",
        "Attempt/Checkpoint/Acknowledge",
        "Attempt/Checkpoint/Commit",
        "Attempt/Restore",
        "Attempt/Run",
    ];
    assert_eq!(paths, expected, "{spans:?}");
    let checkpoint = spans.iter().find(|span| span.path == "Attempt/Checkpoint").unwrap();
    let field = |name| checkpoint.fields.get(name).map(String::as_str);
    assert_eq!(field("checkpointId"), Some("1"));
    assert_eq!(field("checkpointType"), Some("final checkpoint"));
    assert_eq!(field("checkpointStatus"), Some("\"COMPLETED\""));
    assert!(field("checkpointedSize").unwrap().parse::<u64>().unwrap() > 100);
}
