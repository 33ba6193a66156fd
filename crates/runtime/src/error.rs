//! What can go wrong with a job and with its checkpoint store.

use alluvium_coordinator::{JobFailure, PlanError, TaskId};
use alluvium_core::{AssignerName, AttemptId, CheckpointId, OperatorUid};
use alluvium_format::FormatError;
use alluvium_state::{MetadataError, RestoreError};
use alluvium_storage::StorageError;

/// Error of a source, an operator or a sink: whatever it has to say, in one sentence.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// The checkpoint store refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The metadata cannot be written.
    #[error("metadata of checkpoint {checkpoint} cannot be written: {source}")]
    Encode {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// Metadata is damaged or of another version.
    #[error("{location}: {source}")]
    Damaged {
        /// The metadata file.
        location: String,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// The metadata is whole but was not written for this place.
    #[error("{location}: {what} {expected} expected, {found} found")]
    Mismatch {
        /// The metadata file.
        location: String,
        /// What differs.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// State of the checkpoint is damaged or missing.
    #[error("checkpoint {checkpoint}: {source}")]
    State {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What is wrong.
        #[source]
        source: Box<RestoreError>,
    },
    /// The newest checkpoint cannot be restored.
    #[error(
        "the latest checkpoint is damaged ({source}); {}",
        match newest_whole {
            Some(whole) => format!("the newest whole one is {whole}: name it to restore it"),
            None => "no other checkpoint of the job is whole".to_owned(),
        }
    )]
    LatestDamaged {
        /// Where the newest whole checkpoint lies.
        newest_whole: Option<String>,
        /// What is wrong with the latest.
        #[source]
        source: Box<StoreError>,
    },
    /// Another run committed a checkpoint under this id.
    #[error("checkpoint {checkpoint} was committed by attempt {found}, not by attempt {own}")]
    TakenBy {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// This run.
        own: AttemptId,
        /// The run that committed it.
        found: AttemptId,
    },
    /// There is no such checkpoint.
    #[error("{location} is not a checkpoint: it has no _metadata")]
    NotACheckpoint {
        /// Where it was looked for.
        location: String,
    },
}

/// A job is not put together as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A forward edge needs as many subtasks behind it as before it.
    #[error(
        "{from} -forward-> {to} needs one parallelism, and {from} has {before}, {to} {behind}: give \
         them one, or rebalance"
    )]
    ForwardParallelism {
        /// The stage before.
        from: String,
        /// The stage behind.
        to: String,
        /// Parallelism of the one before.
        before: u32,
        /// Parallelism of the one behind.
        behind: u32,
    },
    /// A stage reads streams of its own graph.
    #[error("{to} was given a stream of another graph")]
    ForeignStream {
        /// The stage.
        to: String,
    },
    /// A pipeline is named by its configuration.
    #[error(
        "the configuration is that of a graph and has no names for the operators of a pipeline"
    )]
    NoUids,
    /// All keyed edges of a job assign keys to key groups in one way.
    #[error("{from} -keyed-> {to} has the key-group assigner {found}, and the job has {expected}")]
    Assigners {
        /// The stage before.
        from: String,
        /// The stage behind.
        to: String,
        /// That of the first keyed edge.
        expected: AssignerName,
        /// That of this one.
        found: AssignerName,
    },
}

/// A job ended without success.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A task failed.
    #[error("{task} failed: {source}")]
    Task {
        /// The task.
        task: TaskId,
        /// What it said.
        #[source]
        source: TaskError,
    },
    /// A task panicked.
    #[error("{task} panicked: {message}")]
    Panic {
        /// The task.
        task: TaskId,
        /// What it said.
        message: String,
    },
    /// Too many checkpoints failed.
    #[error("{0}")]
    Checkpoints(#[from] JobFailure),
    /// The checkpoint store refused.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Somebody cancelled the job.
    #[error("the job was cancelled")]
    Cancelled,
    /// The job was to end with a savepoint and its operators have heard that all input is over, but
    /// the savepoint failed: what they do next would not be what they would have done.
    #[error("stopping with savepoint {checkpoint} failed after all input was ended: {reason}")]
    NotDrained {
        /// The number of the savepoint.
        checkpoint: CheckpointId,
        /// Why it failed.
        reason: String,
    },
    /// The savepoint with which the job was to end is complete, but the job failed before it had
    /// ended. It does not start anew: what follows the savepoint is for whoever asked for it.
    #[error("savepoint {location} is complete, but the job failed before its end: {source}")]
    AfterStop {
        /// Where the savepoint lies.
        location: String,
        /// Why the job failed.
        #[source]
        source: Box<JobError>,
    },
    /// State was not restored.
    #[error("checkpoint {checkpoint} cannot be restored: {source}")]
    Restore {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What is wrong.
        #[source]
        source: Box<RestoreError>,
    },
    /// The checkpoint does not fit the job.
    #[error("checkpoint {checkpoint} has {what} {found}, and the job has {expected}")]
    Incompatible {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What differs.
        what: &'static str,
        /// What the job has.
        expected: String,
        /// What the checkpoint has.
        found: String,
    },
    /// Unaligned checkpoints hold records in flight, and these have no codec.
    #[error(
        "checkpoints are to be unaligned, and the records on their way to operator {operator} have no \
         codec: give the pipeline or the stream one, or leave checkpoints aligned"
    )]
    NoInFlightCodec {
        /// The operator that receives them.
        operator: OperatorUid,
    },
    /// Records in flight must stay at the subtasks that they were on their way to.
    #[error(
        "checkpoint {checkpoint} has records in flight on {edge}, which stay at parallelism {found}, and \
         the job has {expected} there: restore it with {found}, or from an aligned checkpoint"
    )]
    InFlightParallelism {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The edge, such as `orders -forward-> parsed`.
        edge: String,
        /// What the checkpoint was taken with.
        found: u16,
        /// What the job has.
        expected: u16,
    },
    /// The graph of the job contradicts itself.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The configuration is outside its domain.
    #[error("{0}")]
    Plan(#[from] PlanError),
    /// A number of the configuration is outside its domain.
    #[error("{0}")]
    KeyGroup(#[from] alluvium_core::KeyGroupError),
    /// Something of the runtime itself panicked or ended, which is a bug.
    #[error("{what} ended unexpectedly: {reason}")]
    Internal {
        /// What ended.
        what: &'static str,
        /// What is known of it.
        reason: String,
    },
}

impl StoreError {
    /// Why a metadata file cannot be had.
    pub(crate) fn of_metadata(location: String, error: MetadataError) -> Self {
        match error {
            MetadataError::Storage(error) => Self::Storage(error),
            MetadataError::Damaged(source) => Self::Damaged { location, source },
        }
    }

    /// Whether a newer run has taken over.
    pub(crate) const fn is_fenced(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Fenced { .. }))
    }

    /// Whether bytes are missing or wrong, for good. What a newer version has written is sound, and a
    /// storage that does not answer says nothing.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { source, .. } => !matches!(
                source,
                FormatError::UnsupportedVersion { .. } | FormatError::UnsupportedFeatures { .. }
            ),
            Self::State { source, .. } => match &**source {
                RestoreError::Storage(error) => !is_passing(error),
                // The streams are not those that the metadata names: files have changed places.
                RestoreError::Damaged { .. } | RestoreError::Mismatch { .. } => true,
                _ => false,
            },
            Self::Mismatch { .. } => true,
            _ => false,
        }
    }
}

impl JobError {
    /// Whether starting the job again could help.
    pub(crate) fn may_restart(&self) -> bool {
        match self {
            Self::Task { .. }
            | Self::Panic { .. }
            | Self::Checkpoints(_)
            | Self::NotDrained { .. }
            | Self::Internal { .. } => true,
            Self::Store(StoreError::Storage(error)) => is_passing(error),
            Self::Restore { source, .. } => {
                matches!(&**source, RestoreError::Storage(error) if is_passing(error))
            }
            _ => false,
        }
    }
}

/// Whether the storage may do next time what it did not do now.
const fn is_passing(error: &StorageError) -> bool {
    matches!(error, StorageError::Io { .. } | StorageError::Remote { .. })
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
