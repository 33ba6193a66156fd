//! How a job runs, what it begins from, and what it tells.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata};
use alluvium_state::SnapshotMode;
use alluvium_storage::{Storage, StreamPolicy};

use crate::{CheckpointMode, Clock, Host, JobControl, JobError, OperatorUids};

/// What to begin from.
#[derive(Debug, Clone)]
pub enum RestoreFrom {
    /// Nothing: existing checkpoints are neither used nor removed.
    Nothing,
    /// The newest checkpoint of the job, or nothing when there is none. If it is damaged, the newest
    /// one that is whole, which is told by [`JobEvent::FellBack`]: what the job did after that one is
    /// done once more, and sinks set aside what they have committed since.
    Latest,
    /// The same, but a newest checkpoint that is damaged is refused.
    LatestStrict,
    /// One checkpoint, wherever it lies.
    Checkpoint {
        /// Its metadata.
        metadata: Box<CheckpointMetadata>,
        /// The folder of the job that it lies in, or that of a savepoint.
        storage: Arc<dyn Storage>,
        /// Who owns it from now on.
        claim: ClaimMode,
    },
}

/// Who owns the checkpoint or savepoint that a job begins from.
///
/// Source: Flink `RecoveryClaimMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClaimMode {
    /// Whoever has owned it: the job neither deletes it nor refers to any file of it, so its first
    /// checkpoint is a full one.
    #[default]
    NoClaim,
    /// The job: it may refer to its files, and deletes it when newer checkpoints replace it.
    Claim,
}

/// Whether checkpoints stay when a job is over; savepoints always do.
///
/// Source: Flink `ExternalizedCheckpointRetention`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CheckpointRetention {
    /// They stay, however the job has ended.
    #[default]
    Retain,
    /// They go when the job has come to its end or was stopped with a savepoint, and stay when it
    /// failed or was cancelled. Source: Flink `RETAIN_ON_CANCELLATION`.
    RetainOnCancellation,
    /// They stay only when the job failed. Source: Flink `DELETE_ON_CANCELLATION`.
    DeleteOnCancellation,
    /// They go, however the job has ended. Source: Flink `NO_EXTERNALIZED_CHECKPOINTS`.
    Delete,
}

impl CheckpointRetention {
    /// Whether checkpoints go when the job has come to its end.
    pub(super) fn goes_when_finished(self) -> bool {
        self != Self::Retain
    }

    /// Whether they go when it has ended with an error.
    pub(super) fn goes_after(self, error: &JobError) -> bool {
        let is_cancelled = matches!(error, JobError::Cancelled);
        self == Self::Delete || is_cancelled && self == Self::DeleteOnCancellation
    }
}

/// Something worth telling a person.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobEvent<'a> {
    /// An attempt begins.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// The checkpoint it begins from; `None` for a fresh start.
        restored: Option<CheckpointId>,
    },
    /// A checkpoint is complete.
    Completed {
        /// The checkpoint.
        metadata: &'a CheckpointMetadata,
        /// Whether it was the job's last one.
        is_final: bool,
        /// Where it lies, if it is a savepoint.
        savepoint: Option<String>,
    },
    /// The newest checkpoint is damaged, and the job begins from an older one.
    FellBack {
        /// What is wrong with the newest.
        damage: String,
        /// The one it begins from.
        to: CheckpointId,
    },
    /// A checkpoint did not complete.
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why, in one sentence.
        reason: String,
    },
    /// An attempt failed, and the job starts anew.
    Restarting {
        /// Why it failed.
        error: &'a JobError,
        /// Time to wait before.
        after_ms: u64,
    },
    /// State was restored, and there is a folder for [copies](JobConfig::local_recovery). What is
    /// loaded later, lazily, may still meet damaged copies.
    LocalRecovery {
        /// Files that are read from their copies.
        local_files: u64,
        /// Files that are read from the storage, because there was no right copy.
        remote_files: u64,
        /// Copies that were damaged.
        damaged_files: u64,
    },
    /// A local copy could not be made; the checkpoint is not concerned. Said once for each checkpoint.
    CopyFailed {
        /// Why, in one sentence.
        reason: String,
    },
    /// Something that is no longer needed could not be removed. It is tried again with what comes
    /// after it, and said once.
    CleanUpFailed {
        /// Why, in one sentence.
        reason: String,
    },
}

/// Receives what is worth telling.
pub type Listener = Arc<dyn Fn(&JobEvent<'_>) + Send + Sync>;

/// How a job runs.
#[derive(Clone)]
pub struct JobConfig {
    /// Names of the operators of a pipeline; `None` for a graph, whose stages have theirs.
    pub uids: Option<OperatorUids>,
    /// Subtasks of each stage that says nothing else, 1 to max parallelism.
    pub parallelism: u32,
    /// Key groups, 1 to 32768; `None` takes that of the restored checkpoint, else the default for
    /// the parallelism.
    pub max_parallelism: Option<u32>,
    /// What a restore promises.
    pub mode: CheckpointMode,
    /// When checkpoints are taken and how many are kept.
    pub checkpoints: CoordinatorConfig,
    /// With [unaligned](CoordinatorConfig::unaligned) checkpoints: how long barriers stay among the
    /// records before they overtake them, in milliseconds from the trigger. With 0 they overtake at
    /// once; a checkpoint that is fast anyway holds no records in flight with a few hundred.
    /// Source: Flink `execution.checkpointing.aligned-checkpoint-timeout`.
    pub aligned_timeout_ms: u64,
    /// What to do when an attempt fails.
    pub restart: RestartStrategy,
    /// What to begin from.
    pub restore: RestoreFrom,
    /// Where state streams go.
    pub streams: StreamPolicy,
    /// A folder of this machine for second copies of the files of the newest confirmed checkpoint, from
    /// which a restart reads them; `None`, the default, keeps none. A copy that is missing or damaged
    /// costs a read of the file itself, and one that cannot be written nothing but its use.
    /// Source: Flink `execution.state-recovery.from-local`.
    pub local_recovery: Option<PathBuf>,
    /// Whether checkpoints may build on earlier ones, with backends that can.
    pub snapshot_mode: SnapshotMode,
    /// Most records per second of all sources together; `None` is as fast as it goes.
    pub records_per_s: Option<f64>,
    /// Seed of the in-memory hash tables, drawn once per process.
    pub hash_seed: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether checkpoints stay when the job is over.
    pub retention: CheckpointRetention,
    /// What others may ask of the job.
    pub control: JobControl,
    /// Runs the tasks.
    pub host: Arc<dyn Host>,
    /// Counts the records that sources have read.
    pub records: Arc<AtomicU64>,
    /// Told what happens.
    pub listener: Listener,
}

impl JobConfig {
    /// A pipeline on its defaults: parallelism 1, exactly once, no checkpoints but those that somebody asks
    /// for and the last one, restarts with growing delays, from the newest checkpoint, full snapshots
    /// into files, and nobody who listens.
    pub fn new(uids: OperatorUids, clock: Arc<dyn Clock>, host: Arc<dyn Host>) -> Self {
        Self { uids: Some(uids), ..Self::for_graph(clock, host) }
    }

    /// The same for a [graph](crate::JobGraph).
    pub fn for_graph(clock: Arc<dyn Clock>, host: Arc<dyn Host>) -> Self {
        Self {
            uids: None,
            parallelism: 1,
            max_parallelism: None,
            mode: CheckpointMode::ExactlyOnce,
            checkpoints: CoordinatorConfig::default(),
            aligned_timeout_ms: 0,
            restart: RestartStrategy::default_for(true),
            restore: RestoreFrom::Latest,
            retention: CheckpointRetention::default(),
            streams: StreamPolicy::files(),
            local_recovery: None,
            snapshot_mode: SnapshotMode::default(),
            records_per_s: None,
            hash_seed: 0,
            control: JobControl::new(),
            clock,
            host,
            records: Arc::default(),
            listener: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for JobConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobConfig")
            .field("parallelism", &self.parallelism)
            .field("max_parallelism", &self.max_parallelism)
            .field("mode", &self.mode)
            .field("snapshot_mode", &self.snapshot_mode)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}
