//! What can be wrong with a plan, a start point or the text of a restart strategy.

use alluvium_core::{CheckpointId, JobId, MaxParallelism, OperatorUid};

/// Options, a plan or a start point that a coordinator cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An option lies below its least value.
    #[error("option {option} is {found}, at least {min} is needed")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// The value that was given.
        found: u64,
        /// The least value that is allowed.
        min: u64,
    },
    /// A job without operators has nothing to checkpoint.
    #[error("the plan of job {job} has no operators")]
    NoOperators {
        /// The job.
        job: JobId,
    },
    /// Two operators share a uid, so their state could not be told apart.
    #[error("operator uid {uid} stands twice in the plan of job {job}")]
    DuplicateOperator {
        /// The job.
        job: JobId,
        /// The uid.
        uid: OperatorUid,
    },
    /// The parallelism of an operator was checked against another max parallelism.
    #[error("operator {uid} was planned for max parallelism {found}, the job has {expected}")]
    MaxParallelism {
        /// The operator.
        uid: OperatorUid,
        /// The max parallelism of the operator.
        found: MaxParallelism,
        /// The max parallelism of the job.
        expected: MaxParallelism,
    },
    /// A retained checkpoint belongs to another job.
    #[error("retained checkpoint {checkpoint} belongs to job {found}, not to {expected}")]
    ForeignCheckpoint {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The job it belongs to.
        found: JobId,
        /// The job of the plan.
        expected: JobId,
    },
    /// Ids must increase from the oldest retained checkpoint to the next one.
    #[error("checkpoint {checkpoint} is followed by {found}: ids must increase")]
    CheckpointOrder {
        /// A retained checkpoint.
        checkpoint: CheckpointId,
        /// The one after it, or the next one to be triggered.
        found: CheckpointId,
    },
}

/// A text that does not name a restart strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a restart strategy: {reason}; write none, fixed-delay:<attempts>:<delay> \
     (fixed-delay:3:1s), failure-rate:<failures>:<interval>:<delay> (failure-rate:3:60s:1s), \
     exponential-delay or exponential-delay:<initial>:<max>:<multiplier>:<reset>:<jitter>[:<attempts>] \
     (exponential-delay:1s:60s:1.5:1h:0.1)"
)]
pub struct RestartStrategyError {
    /// The text that was given.
    pub found: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}
