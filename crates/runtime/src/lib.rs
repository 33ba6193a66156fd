//! A thin runtime: stages of sources, operators and sinks, in one process, on tokio.
//!
//! It exists to exercise the other crates end to end and to be read as the example of an engine
//! that uses them. A job is a [`JobGraph`], or, where that is enough, a [`Pipeline`]: `n` source
//! subtasks send batches of records over a keyed edge to `n` operator subtasks, each of which feeds
//! its own sink subtask. Barriers travel with the records; the
//! [coordinator](alluvium_coordinator::Coordinator) decides when, and the [`CheckpointStore`] keeps
//! what they leave behind.
//!
//! Watermarks travel with the records too, and with them, or with the clock, timers fire:
//! [`KeyedOperator::on_timer`].
//!
//! Ladder of names: [`run`] (a job, over its restarts) > attempt (one run of all tasks) > stage (an
//! operator) > task (one subtask) > batch > record.
//!
//! Invariants:
//! - a record before a barrier is in the checkpoint, a record after it is not (exactly-once), or
//!   may be (at-least-once);
//! - nothing outside the checkpoint storage changes because of a checkpoint that is not committed;
//! - a task that fails or panics ends its attempt, never the process.
//!
//! A whole job: a source of three words, an operator that counts, a sink that prints nothing.
//!
//! ```
//! use std::sync::Arc;
//!
//! use alluvium_coordinator::CoordinatorConfig;
//! use alluvium_core::{CheckpointId, JobId, KeyGroup, OperatorUid};
//! use alluvium_heap::HeapStateBackend;
//! use alluvium_runtime::{
//!     CheckpointStore, JobConfig, KeyedOperator, KeyedRecord, OperatorContext, OperatorUids,
//!     Pipeline, Sink, Source, SourceStatus, SystemClock, TaskError, TokioHost, run,
//! };
//! use alluvium_state::{
//!     KeyedStateBackend, OperatorStateBackend, SnapshotMode, ValueState, ValueStateDescriptor,
//! };
//!
//! struct Word(String);
//! impl KeyedRecord for Word {
//!     type Key = String;
//!     fn key(&self) -> &String { &self.0 }
//! }
//!
//! struct Words(Vec<&'static str>);
//! impl Source for Words {
//!     type Record = Word;
//!     fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> { Ok(()) }
//!     fn poll(&mut self, words: &mut Vec<Word>, _: usize) -> Result<SourceStatus, TaskError> {
//!         words.extend(self.0.drain(..).map(|word| Word(word.to_owned())));
//!         Ok(SourceStatus::Ended)
//!     }
//!     fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> { Ok(()) }
//! }
//!
//! #[derive(Default)]
//! struct Count(Option<ValueState<u64>>);
//! impl<B: KeyedStateBackend<Key = String>> KeyedOperator<B> for Count {
//!     type Input = Word;
//!     type Output = ();
//!     type Result = Vec<(String, u64)>;
//!     type TimerNamespace = ();
//!     fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
//!         self.0 = Some(keyed.value_state(ValueStateDescriptor::new("count"))?);
//!         Ok(())
//!     }
//!     fn process(
//!         &mut self, group: KeyGroup, Word(word): Word, keyed: &mut B, _: &mut Vec<()>,
//!     ) -> Result<(), TaskError> {
//!         let counts = self.0.ok_or("not open")?;
//!         Ok(counts.update(&mut keyed.at_key_group(group, &word, &())?, |n| *n += 1)?)
//!     }
//!     fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError> {
//!         let counts = self.0.ok_or("not open")?;
//!         let mut rows = Vec::new();
//!         for word in keyed.keys(counts, &())? {
//!             let count = counts.get(&keyed.at(&word)?)?.map_or(0, |n| *n);
//!             rows.push((word, count));
//!         }
//!         Ok(rows)
//!     }
//! }
//!
//! struct Nowhere;
//! impl Sink for Nowhere {
//!     type Input = ();
//!     fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> { Ok(()) }
//!     fn write(&mut self, _: Vec<()>) -> Result<(), TaskError> { Ok(()) }
//!     fn pre_commit(
//!         &mut self, _: CheckpointId, _: &mut OperatorStateBackend,
//!     ) -> Result<(), TaskError> { Ok(()) }
//!     fn commit(&mut self, _: CheckpointId) -> Result<(), TaskError> { Ok(()) }
//! }
//!
//! struct Wordcount;
//! impl<B: KeyedStateBackend<Key = String>> Pipeline<B> for Wordcount {
//!     type Source = Words;
//!     type Operator = Count;
//!     type Sink = Nowhere;
//!     fn source(&self, context: &OperatorContext) -> Result<Words, TaskError> {
//!         let is_first = context.subtask.get() == 0;
//!         Ok(Words(if is_first { vec!["sand", "silt", "sand"] } else { Vec::new() }))
//!     }
//!     fn operator(&self, _: &OperatorContext) -> Result<Count, TaskError> { Ok(Count::default()) }
//!     fn sink(&self, _: &OperatorContext) -> Result<Nowhere, TaskError> { Ok(Nowhere) }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let uids = OperatorUids {
//!     source: OperatorUid::new("words")?,
//!     operator: OperatorUid::new("count")?,
//!     sink: OperatorUid::new("nowhere")?,
//! };
//! let config = JobConfig {
//!     parallelism: 2,
//!     checkpoints: CoordinatorConfig::new().interval_ms(Some(1_000)),
//!     snapshot_mode: SnapshotMode::Incremental,
//!     listener: Arc::new(|event| println!("{event:?}")),
//!     ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
//! };
//! let root = alluvium_storage::open("memory:runtime-doc")?;
//! let store = CheckpointStore::open_exclusive(&*root, JobId::new("wordcount")?)?;
//! let job = run::<String, _, _>(
//!     Arc::new(Wordcount), HeapStateBackend::default(), Arc::new(store), config,
//! );
//! let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
//! let mut counts: Vec<_> = runtime.block_on(job)?.results.concat();
//! counts.sort();
//! assert_eq!(counts, [("sand".to_owned(), 2), ("silt".to_owned(), 1)]);
//! # Ok(())
//! # }
//! ```

mod alignment;
mod barrier;
mod clock;
mod control;
mod driver;
mod element;
mod error;
mod event_time;
mod exchange;
mod fence;
mod file_sink;
mod host;
mod in_flight;
mod inputs;
mod job;
mod job_graph;
mod operator;
mod outlet;
mod outputs;
mod rate;
mod restore;
mod running;
mod store;
mod task;

pub use alignment::{Aligner, Arrival, CheckpointMode};
pub use clock::{Clock, SystemClock};
pub use control::{ControlError, JobControl, JobStatus, Restored, Savepoint, Stop};
pub use error::{GraphError, JobError, StoreError, TaskError};
pub use exchange::Partitioner;
pub use fence::AttemptFence;
pub use file_sink::{FileSink, UPDATES_DIR};
pub use host::{AbortHandle, Host, HostTask, HostWork, TokioHost};
pub use in_flight::InFlightCodec;
pub use job::{
    CheckpointRetention, ClaimMode, JobConfig, JobEvent, JobOutcome, Listener, RestoreFrom, run,
    run_graph,
};
pub use job_graph::{BroadcastEdge, Edge, JobGraph, KeyedEdge, Stage, Stream};
pub use operator::{
    BroadcastOperator, InputCodec, KeyedOperator, KeyedRecord, OperatorContext, OutputCodec,
    Pipeline, Sink, Source, SourceStatus, TwoInputOperator,
};
pub use restore::OperatorUids;
pub use store::{
    CheckpointEntry, CheckpointStatus, CheckpointStore, read_savepoint, verify_checkpoint,
};
