//! What a user of the runtime writes: sources, keyed operators, sinks.
//!
//! Invariants: all calls to one instance come from one task, in order; `snapshot` sees everything
//! up to the barrier and nothing behind it.

mod broadcast;
mod logic;
mod two_input;

pub use broadcast::BroadcastOperator;
pub(crate) use broadcast::WithBroadcast;
pub(crate) use logic::{KeyedLogic, OneInput};
pub use two_input::TwoInputOperator;
pub(crate) use two_input::TwoInputs;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroup, KeyGroupAssigner, OperatorUid, Parallelism, SubtaskIndex,
};
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, StateKey, TimeDomain, Timer, Timers,
};
use alluvium_storage::TaskOwnedFiles;

use crate::{AttemptFence, InFlightCodec, TaskError};

/// Which subtask an instance is for.
#[derive(Debug, Clone)]
pub struct OperatorContext {
    /// The operator.
    pub uid: OperatorUid,
    /// The subtask.
    pub subtask: SubtaskIndex,
    /// How many subtasks there are.
    pub parallelism: Parallelism,
    /// The run of the job.
    pub attempt: AttemptId,
    /// Whether that run was replaced by a newer one.
    pub fence: AttemptFence,
    /// Files that the operator owns: no checkpoint keeps them and no clean-up takes them.
    pub task_owned: TaskOwnedFiles,
    /// The number of the first checkpoint that this run may take: the numbers of all its own are at
    /// least this, and those of what was there before are lower.
    pub first_checkpoint: CheckpointId,
    /// The checkpoint that was restored; `None` at a fresh start.
    pub restored: Option<CheckpointId>,
    /// The run of the job that wrote that checkpoint.
    pub restored_attempt: Option<AttemptId>,
}

/// A record that belongs to a key.
pub trait KeyedRecord: Send + 'static {
    /// The type of the key.
    type Key: StateKey;

    /// The key.
    fn key(&self) -> &Self::Key;
}

/// What a source has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStatus {
    /// There may be more.
    More,
    /// There is nothing more, ever.
    Ended,
}

/// Reads records, and can read them again from a position that it keeps in operator state.
pub trait Source: Send + 'static {
    /// What it reads.
    type Record: Send + 'static;

    /// Registers its state and goes to the restored position.
    ///
    /// Errors: anything, as for all methods; the task fails with it.
    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// Appends at most `limit` records. It must not wait for long.
    fn poll(
        &mut self,
        records: &mut Vec<Self::Record>,
        limit: usize,
    ) -> Result<SourceStatus, TaskError>;

    /// How far event time has come, in milliseconds: no record of this time or an earlier one
    /// comes any more from this subtask. Asked after each `poll`; it only counts when it has grown.
    /// `None`, the default, while nothing is known. When the source has ended, event time is at its
    /// end.
    fn watermark_ms(&self) -> Option<i64> {
        None
    }

    /// Puts its position into its state.
    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError>;
}

/// Processes the records of its keys with keyed state.
pub trait KeyedOperator<B: KeyedStateBackend>: Send + 'static {
    /// What it takes in.
    type Input: KeyedRecord<Key = B::Key>;
    /// What it sends on.
    type Output: Send + 'static;
    /// What each subtask hands to the caller of the job when the job has ended.
    type Result: Send + 'static;
    /// The namespaces of its timers; `()` where it has none.
    type TimerNamespace: StateKey;

    /// Registers its states.
    ///
    /// Errors: anything, as for all methods; the task fails with it.
    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// Processes one record.
    fn process(
        &mut self,
        key_group: KeyGroup,
        record: Self::Input,
        keyed: &mut B,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    /// The timer service that fires, once it is registered. By default there is none.
    fn timers(&self) -> Option<Timers<Self::TimerNamespace>> {
        None
    }

    /// A timer has fired: event time, or the clock, has come to its time. Timers of a domain come in
    /// the order of their times. In what a checkpoint holds each has fired once or not yet, as with
    /// records. When all sources have ended, those in processing time fire no more: they are left in
    /// the last checkpoint.
    fn on_timer(
        &mut self,
        _domain: TimeDomain,
        _timer: Timer<B::Key, Self::TimerNamespace>,
        _keyed: &mut B,
        _output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Event time has come to a watermark, in milliseconds: no input brings a record of this time or
    /// an earlier one any more. The timers up to it fire next. After a restore event time is unknown
    /// until the next watermark.
    fn on_watermark(&mut self, _watermark_ms: i64) {}

    /// All sources have ended and all timers in event time have fired; the job's last checkpoint
    /// comes next. Called once, also when the job is restored from a checkpoint that was taken
    /// afterwards.
    fn end_of_input(
        &mut self,
        _keyed: &mut B,
        _output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Puts what it wants to keep besides keyed state into its operator state.
    fn snapshot(&mut self, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    /// The last checkpoint is complete: what the state has come to.
    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError>;
}

/// Writes records to the outside, in transactions that follow the checkpoints.
///
/// Source: Flink `TwoPhaseCommitSinkFunction`.
pub trait Sink: Send + 'static {
    /// What it takes in.
    type Input: Send + 'static;

    /// Registers its state, commits what the restored checkpoint had pre-committed, and sets aside
    /// what was committed after it. What earlier runs left behind goes at the first
    /// [`Sink::forget_older`] only: until then a restore may begin from any older checkpoint.
    ///
    /// Errors: anything, as for all methods; the task fails with it.
    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// Takes records into the open transaction.
    fn write(&mut self, records: Vec<Self::Input>) -> Result<(), TaskError>;

    /// Makes the open transaction durable and puts its name into the state. It must be possible
    /// to commit it after any crash from here on.
    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError>;

    /// The checkpoint is complete: commits its transactions and all earlier ones.
    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError>;

    /// After `commit`: what was committed is the latest checkpoint of the job from now on. After a savepoint
    /// this is not called, since the next run may begin from a checkpoint of an earlier one.
    fn forget_older(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Encodes the records between the sources and the operator of a pipeline.
pub type InputCodec<B, P> =
    InFlightCodec<<<P as Pipeline<B>>::Operator as KeyedOperator<B>>::Input>;
/// Encodes the records between the operator and the sink of a pipeline.
pub type OutputCodec<B, P> =
    InFlightCodec<<<P as Pipeline<B>>::Operator as KeyedOperator<B>>::Output>;

/// How the instances of a job are made; called once per subtask and attempt.
pub trait Pipeline<B: KeyedStateBackend>: Send + Sync + 'static {
    /// The source.
    type Source: Source<Record = <Self::Operator as KeyedOperator<B>>::Input>;
    /// The keyed operator.
    type Operator: KeyedOperator<B>;
    /// The sink.
    type Sink: Sink<Input = <Self::Operator as KeyedOperator<B>>::Output>;

    /// How keys are assigned to key groups; fixed for the life of the job's state.
    fn assigner(&self) -> KeyGroupAssigner<B::Key> {
        KeyGroupAssigner::Stable
    }

    /// How the records between the sources and the operator are encoded when an unaligned checkpoint
    /// finds them in flight. `None`, the default, leaves the job with aligned checkpoints.
    fn input_codec(&self) -> Option<InputCodec<B, Self>> {
        None
    }

    /// The same for the records between the operator and the sink.
    fn output_codec(&self) -> Option<OutputCodec<B, Self>> {
        None
    }

    /// Makes the source of a subtask.
    ///
    /// Errors: anything, as for all methods; the attempt fails with it.
    fn source(&self, context: &OperatorContext) -> Result<Self::Source, TaskError>;

    /// Makes the operator of a subtask.
    fn operator(&self, context: &OperatorContext) -> Result<Self::Operator, TaskError>;

    /// Makes the sink of a subtask.
    fn sink(&self, context: &OperatorContext) -> Result<Self::Sink, TaskError>;
}
