//! A thin runtime: sources, one keyed operator and a sink, in one process, on tokio.
//!
//! It exists to exercise the other crates end to end and to be read as the example of an engine
//! that uses them. A job is a [`Pipeline`]: `n` source subtasks send batches of records through a
//! keyed exchange to `n` operator subtasks, each of which feeds its own sink subtask. Barriers
//! travel with the records; the [coordinator](alluvium_coordinator::Coordinator) decides when, and
//! the [`CheckpointStore`] keeps what they leave behind.
//!
//! Ladder of names: [`run`] (a job, over its restarts) > attempt (one run of all tasks) > task (one
//! subtask) > batch > record.
//!
//! Invariants:
//! - a record before a barrier is in the checkpoint, a record after it is not (exactly-once), or
//!   may be (at-least-once);
//! - nothing outside the checkpoint storage changes because of a checkpoint that is not committed;
//! - a task that fails or panics ends its attempt, never the process.

mod alignment;
mod clock;
mod driver;
mod element;
mod error;
mod exchange;
mod file_sink;
mod job;
mod operator;
mod rate;
mod restore;
mod store;
mod task;

pub use alignment::{Aligner, Arrival, CheckpointMode};
pub use clock::{Clock, SystemClock};
pub use error::{JobError, StoreError, TaskError};
pub use file_sink::{FileSink, UPDATES_DIR};
pub use job::{JobConfig, JobEvent, JobOutcome, Listener, RestoreFrom, run};
pub use operator::{
    KeyedOperator, KeyedRecord, OperatorContext, Pipeline, Sink, Source, SourceStatus,
};
pub use restore::OperatorUids;
pub use store::{CheckpointEntry, CheckpointStatus, CheckpointStore, verify_checkpoint};
