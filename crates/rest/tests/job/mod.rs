//! A job that counts numbers until somebody ends it, and that is served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium_coordinator::RestartStrategy;
use alluvium_core::{CheckpointId, JobId, KeyGroup, OperatorUid};
use alluvium_heap::HeapStateBackend;
use alluvium_rest::{Client, JobFacts, RestServer};
use alluvium_runtime::{
    CheckpointStore, JobConfig, JobControl, JobError, JobGraph, JobOutcome, JobStatus,
    KeyedOperator, KeyedRecord, OperatorContext, OperatorUids, Pipeline, Sink, Source,
    SourceStatus, Stage, SystemClock, TaskError, TokioHost, run, run_graph,
};
use alluvium_state::{KeyedStateBackend, OperatorStateBackend, ValueState, ValueStateDescriptor};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug, Clone)]
pub(crate) struct Number(u64);

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

/// Counts to 99 again and again.
pub(crate) struct Numbers(u64);

impl Source for Numbers {
    type Record = Number;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Number>, limit: usize) -> Result<SourceStatus, TaskError> {
        for _ in 0..limit.min(64) {
            self.0 = (self.0 + 1) % 100;
            records.push(Number(self.0));
        }
        Ok(SourceStatus::More)
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }
}

pub(crate) struct Tally {
    counts: Option<ValueState<u64>>,
    fails: Arc<AtomicBool>,
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Tally {
    type Input = Number;
    type Output = u64;
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.counts = Some(keyed.value_state(ValueStateDescriptor::<u64>::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Number(key): Number,
        keyed: &mut B,
        _: &mut Vec<u64>,
    ) -> Result<(), TaskError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err("somebody let it fail".into());
        }
        let mut at = keyed.at_key_group(group, &key, &())?;
        Ok(self.counts.ok_or("not open")?.update(&mut at, |count| *count += 1)?)
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

pub(crate) struct Nowhere;

impl Sink for Nowhere {
    type Input = u64;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn write(&mut self, _: Vec<u64>) -> Result<(), TaskError> {
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

struct Job {
    fails: Arc<AtomicBool>,
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Numbers;
    type Operator = Tally;
    type Sink = Nowhere;

    fn source(&self, _: &OperatorContext) -> Result<Numbers, TaskError> {
        Ok(Numbers(0))
    }

    fn operator(&self, _: &OperatorContext) -> Result<Tally, TaskError> {
        Ok(Tally { counts: None, fails: Arc::clone(&self.fails) })
    }

    fn sink(&self, _: &OperatorContext) -> Result<Nowhere, TaskError> {
        Ok(Nowhere)
    }
}

pub(crate) fn config() -> JobConfig {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let uids =
        OperatorUids { source: uid("numbers"), operator: uid("tally"), sink: uid("nowhere") };
    JobConfig {
        parallelism: 2,
        restart: RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 },
        records_per_s: Some(20_000.0),
        ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
    }
}

/// Folders of a test.
pub(crate) struct World(TempDir);

/// What a test asks with.
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) control: JobControl,
    /// Lets the next record fail.
    pub(crate) fails: Arc<AtomicBool>,
    records: Arc<AtomicU64>,
}

impl Asked {
    /// Waits until the sources have read so many records.
    pub(crate) async fn read(&self, at_least: u64) {
        while self.records.load(Ordering::Relaxed) < at_least {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Runs a job that is served, while somebody asks.
    pub(crate) fn serve<T>(
        &self,
        config: JobConfig,
        asking: impl AsyncFnOnce(Asked) -> T,
    ) -> Result<(JobOutcome<()>, T), JobError> {
        let root = alluvium_storage::open(&self.path("chk")).unwrap();
        let store = CheckpointStore::open_exclusive(&*root, JobId::new("tally").unwrap()).unwrap();
        let fails: Arc<AtomicBool> = Arc::default();
        let job = Arc::new(Job { fails: Arc::clone(&fails) });
        let facts = JobFacts::new(&store, &config, "heap");
        let held = (config.control.clone(), Arc::clone(&config.records));
        let backend = HeapStateBackend::default();
        let running = run::<u64, _, _>(job, backend, Arc::new(store), config);
        serve(held, facts, fails, running, asking)
    }

    /// The same for a graph: numbers at parallelism 1, a tally at 3.
    pub(crate) fn serve_graph<T>(
        &self,
        config: JobConfig,
        asking: impl AsyncFnOnce(Asked) -> T,
    ) -> Result<(JobOutcome<()>, T), JobError> {
        let root = alluvium_storage::open(&self.path("chk")).unwrap();
        let store = CheckpointStore::open_exclusive(&*root, JobId::new("tally").unwrap()).unwrap();
        let config = JobConfig { uids: None, ..config };
        let fails: Arc<AtomicBool> = Arc::default();
        let mut graph = JobGraph::<HeapStateBackend, ()>::new();
        let stage =
            |name: &str, width| Stage::new(OperatorUid::new(name).unwrap()).parallelism(width);
        let numbers = graph.source(stage("numbers", 1), |_| Ok(Numbers(0)));
        let of_tally = Arc::clone(&fails);
        let counted = graph.keyed(stage("tally", 3), numbers.keyed(), move |_| {
            Ok(Tally { counts: None, fails: Arc::clone(&of_tally) })
        });
        graph.sink(stage("nowhere", 3), counted.forward(), |_| Ok(Nowhere));
        let facts = JobFacts::for_graph(&graph, &store, &config, "heap");
        let held = (config.control.clone(), Arc::clone(&config.records));
        let backend = HeapStateBackend::default();
        let running = run_graph(graph, backend, Arc::new(store), config);
        serve(held, facts, fails, running, asking)
    }
}

/// Serves a job while it runs.
fn serve<T>(
    (control, records): (JobControl, Arc<AtomicU64>),
    facts: JobFacts,
    fails: Arc<AtomicBool>,
    job: impl Future<Output = Result<JobOutcome<()>, JobError>>,
    asking: impl AsyncFnOnce(Asked) -> T,
) -> Result<(JobOutcome<()>, T), JobError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = RestServer::bind(any).await.unwrap();
        let address = server.address();
        let client = Client::new(&format!("http://{address}")).unwrap();
        let over = {
            let control = control.clone();
            async move { drop(control.over().await) }
        };
        let asked = Asked { client, address, control: control.clone(), fails, records };
        let asking = async {
            while !matches!(control.status(), JobStatus::Running { .. }) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            asking(asked).await
        };
        let serving = server.serve(facts, over, Duration::from_secs(2));
        let (outcome, (), told) = tokio::join!(job, serving, asking);
        outcome.map(|outcome| (outcome, told))
    })
}

/// Sends bytes as they are, and reads the answer.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer; 0 if it has none.
pub(crate) fn status_of(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}
