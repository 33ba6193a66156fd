//! A job over its restarts: claims an attempt, restores, runs, and decides what a failure means.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use alluvium_coordinator::{
    CoordinatorConfig, JobPlan, RestartDecision, RestartStrategy, RestartTracker, StartPoint,
};
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, MaxParallelism, Parallelism,
    StoragePath,
};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{SnapshotMode, StateBackend, StateKey};
use alluvium_storage::{Storage, StreamPolicy};

use crate::driver::{Attempt, run_attempt};
use crate::operator::{KeyedOperator, Pipeline};
use crate::restore::RestorePoint;
use crate::{
    CheckpointMode, CheckpointStatus, CheckpointStore, Clock, Host, JobError, OperatorUids, running,
};

/// What to begin from.
#[derive(Debug, Clone)]
pub enum RestoreFrom {
    /// Nothing: existing checkpoints are neither used nor removed.
    Nothing,
    /// The newest checkpoint of the job, or nothing when there is none.
    Latest,
    /// One checkpoint, wherever it lies.
    Checkpoint {
        /// Its metadata.
        metadata: Box<CheckpointMetadata>,
        /// The folder of the job that it lies in.
        storage: Arc<dyn Storage>,
    },
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
    /// Something that is no longer needed could not be removed.
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
    /// Names of the operators.
    pub uids: OperatorUids,
    /// Subtasks of each operator, 1 to max parallelism.
    pub parallelism: u32,
    /// Key groups, 1 to 32768; `None` takes that of the restored checkpoint, else the default for
    /// the parallelism.
    pub max_parallelism: Option<u32>,
    /// What a restore promises.
    pub mode: CheckpointMode,
    /// When checkpoints are taken and how many are kept.
    pub checkpoints: CoordinatorConfig,
    /// What to do when an attempt fails.
    pub restart: RestartStrategy,
    /// What to begin from.
    pub restore: RestoreFrom,
    /// Where state streams go.
    pub streams: StreamPolicy,
    /// Whether checkpoints may build on earlier ones, with backends that can.
    pub snapshot_mode: SnapshotMode,
    /// Most records per second of all sources together; `None` is as fast as it goes.
    pub records_per_s: Option<f64>,
    /// Seed of the in-memory hash tables, drawn once per process.
    pub hash_seed: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Runs the tasks.
    pub host: Arc<dyn Host>,
    /// Counts the records that sources have read.
    pub records: Arc<AtomicU64>,
    /// Told what happens.
    pub listener: Listener,
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

/// A job that ended well.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobOutcome<R> {
    /// What each operator subtask handed over.
    pub results: Vec<R>,
    /// How often the job was started anew.
    pub restarts: u32,
    /// How many checkpoints completed.
    pub checkpoints: u64,
}

/// The key-group numbers of a job and where it begins.
#[derive(Debug, Clone)]
struct Beginning {
    parallelism: Parallelism,
    point: Option<RestorePoint>,
    /// Checkpoints that this run owns and subsumes.
    retained: Vec<CheckpointMetadata>,
    /// Files of the other checkpoints of the job, and those that damaged ones may refer to.
    spared: Vec<StoragePath>,
    next: CheckpointId,
}

/// Runs a job to its end, over all its restarts.
///
/// On a [`TokioHost`](crate::TokioHost) it must be called inside a multi-threaded tokio runtime with
/// its timer on.
/// Errors: [`JobError`]; what was stored stays as it is.
pub async fn run<K, B, P>(
    pipeline: Arc<P>,
    backend: B,
    store: Arc<CheckpointStore>,
    config: JobConfig,
) -> Result<JobOutcome<<P::Operator as KeyedOperator<B::Keyed<K, DefaultCodec>>>::Result>, JobError>
where
    K: StateKey + HasCodec,
    B: StateBackend,
    P: Pipeline<B::Keyed<K, DefaultCodec>>,
{
    let mut tracker = RestartTracker::new(config.restart);
    let (first, mut beginning) = blocking(&store, &config, first_beginning).await?;
    let (mut attempt, mut restarts, mut checkpoints) = (first, 0, 0);
    let assigner = pipeline.assigner().name();
    loop {
        check_point(&store, &config, &beginning, assigner)?;
        let run = Attempt {
            pipeline: Arc::clone(&pipeline),
            backend: backend.clone(),
            store: Arc::clone(&store),
            config: config.clone(),
            parallelism: beginning.parallelism,
            point: beginning.point.clone(),
            plan: plan_of(&store, &config, attempt, beginning.parallelism, assigner),
            start: StartPoint {
                next: beginning.next,
                retained: beginning.retained.clone(),
                spared: beginning.spared.clone(),
            },
        };
        let end = run_attempt::<K, B, P>(run).await;
        checkpoints += end.completed;
        let mut error = match end.outcome {
            Ok(results) => return Ok(JobOutcome { results, restarts, checkpoints }),
            Err(error) => error,
        };
        // A storage that fails for a moment between two attempts counts like a failed attempt.
        beginning = loop {
            let after_ms = match tracker.on_failure(config.clock.now_ms()) {
                RestartDecision::Restart { after_ms } if error.may_restart() => after_ms,
                _ => return Err(error),
            };
            (config.listener)(&JobEvent::Restarting { error: &error, after_ms });
            config.host.sleep(Duration::from_millis(after_ms)).await;
            restarts += 1;
            // A step of its own: the claim stands even if what follows fails.
            let claim = move |store: &CheckpointStore, _: &JobConfig| claim_after(store, attempt);
            match blocking(&store, &config, claim).await {
                Ok(claimed) => attempt = claimed,
                Err(refused) => {
                    error = refused;
                    continue;
                }
            }
            let previous = beginning.clone();
            let next = move |store: &CheckpointStore, _: &JobConfig| {
                next_beginning(store, first, previous)
            };
            match blocking(&store, &config, next).await {
                Ok(next) => break next,
                Err(refused) => error = refused,
            }
        };
    }
}

/// The checkpoint that an attempt begins from must fit the job.
fn check_point(
    store: &CheckpointStore,
    config: &JobConfig,
    beginning: &Beginning,
    assigner: AssignerName,
) -> Result<(), JobError> {
    match &beginning.point {
        Some(point) => {
            point.check(store.job(), beginning.parallelism.max(), assigner, &config.uids)
        }
        None => Ok(()),
    }
}

fn plan_of(
    store: &CheckpointStore,
    config: &JobConfig,
    attempt: AttemptId,
    parallelism: Parallelism,
    assigner: AssignerName,
) -> JobPlan {
    JobPlan {
        job: store.job().clone(),
        attempt,
        max_parallelism: parallelism.max(),
        assigner,
        operators: config.uids.all().map(|uid| (uid.clone(), parallelism)).to_vec(),
    }
}

/// Runs storage work where it may block.
async fn blocking<T: Send + 'static>(
    store: &Arc<CheckpointStore>,
    config: &JobConfig,
    work: impl FnOnce(&CheckpointStore, &JobConfig) -> Result<T, JobError> + Send + 'static,
) -> Result<T, JobError> {
    let (store, host, config) = (Arc::clone(store), Arc::clone(&config.host), config.clone());
    let done = running::blocking(&*host, "between attempts", move || work(&store, &config)).await;
    done.finished("work for the storage")?
}

fn parallelism_of(
    config: &JobConfig,
    point: Option<&RestorePoint>,
) -> Result<Parallelism, JobError> {
    let restored = point.map(|point| point.metadata.properties.max_parallelism);
    let max = match (config.max_parallelism, restored) {
        (Some(max), _) => MaxParallelism::new(max)?,
        (None, Some(restored)) => restored,
        (None, None) => MaxParallelism::default_for(config.parallelism)?,
    };
    Ok(Parallelism::new(config.parallelism, max)?)
}

/// Claims the first attempt of this process, then looks for what to begin from.
fn first_beginning(
    store: &CheckpointStore,
    config: &JobConfig,
) -> Result<(AttemptId, Beginning), JobError> {
    // Checked before anything is claimed, so that a wrong number leaves no trace.
    if config.max_parallelism.is_some() || matches!(config.restore, RestoreFrom::Nothing) {
        parallelism_of(config, None)?;
    }
    let attempt = store.claim_attempt()?;
    let at = |metadata, storage| RestorePoint { metadata, storage, is_owned: false };
    let here = |metadata| at(metadata, Arc::clone(store.storage()));
    let point = match &config.restore {
        RestoreFrom::Nothing => None,
        RestoreFrom::Latest => store.latest()?.map(here),
        RestoreFrom::Checkpoint { metadata, storage } => {
            let metadata = CheckpointMetadata::clone(metadata);
            Some(at(metadata, Arc::clone(storage)))
        }
    };
    let entries = store.list()?;
    // Also beyond a checkpoint of another root: what a sink has committed is named after ids.
    let next = point
        .as_ref()
        .map_or(CheckpointId::FIRST, |point| point.metadata.properties.checkpoint.next());
    let next = CheckpointStore::next_id(&entries).max(next);
    let restored = point.as_ref().filter(|point| point.storage.root() == store.storage().root());
    let restored = restored.map(|point| point.metadata.properties.checkpoint);
    let mut spared = store.needed_by_damaged(&entries)?;
    // Older ones are subsumed in time; newer ones, which were passed over, are left alone.
    let complete = entries.into_iter().filter_map(|entry| match entry.status {
        CheckpointStatus::Complete(metadata) => Some(*metadata),
        _ => None,
    });
    let (retained, others): (Vec<_>, Vec<_>) =
        complete.partition(|metadata| Some(metadata.properties.checkpoint) <= restored);
    spared.extend(files_of(&others));
    let point = point.map(|point| point.owned_by(&**store.storage(), &retained));
    let parallelism = parallelism_of(config, point.as_ref())?;
    Ok((attempt, Beginning { parallelism, point, retained, spared, next }))
}

fn files_of(checkpoints: &[CheckpointMetadata]) -> Vec<StoragePath> {
    checkpoints.iter().flat_map(CheckpointMetadata::files).cloned().collect()
}

/// Claims the next attempt. A run that was replaced must not take the job back from the one that
/// replaced it.
fn claim_after(store: &CheckpointStore, failed: AttemptId) -> Result<AttemptId, JobError> {
    store.check_attempt(failed)?;
    Ok(store.claim_attempt()?)
}

/// Takes the newest checkpoint of this process, or what it began from. The storage is asked and not
/// memory: a commit whose answer was lost may have happened.
fn next_beginning(
    store: &CheckpointStore,
    first: AttemptId,
    previous: Beginning,
) -> Result<Beginning, JobError> {
    let entries = store.list()?;
    let next = CheckpointStore::next_id(&entries).max(previous.next);
    let mut spared = store.needed_by_damaged(&entries)?;
    let known: Vec<CheckpointId> =
        previous.retained.iter().map(|metadata| metadata.properties.checkpoint).collect();
    let (mut retained, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.status {
            CheckpointStatus::Complete(metadata) => {
                let properties = &metadata.properties;
                let is_own = properties.attempt >= first || known.contains(&properties.checkpoint);
                (if is_own { &mut retained } else { &mut others }).push(*metadata);
            }
            // One of this process, perhaps its newest: an older one is not what the job had.
            CheckpointStatus::Damaged(error) if entry.checkpoint >= previous.next => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    let newest = retained.iter().rfind(|it: &&CheckpointMetadata| it.properties.attempt >= first);
    let point = match newest {
        Some(newest) => {
            let (metadata, storage) = (newest.clone(), Arc::clone(store.storage()));
            Some(RestorePoint { metadata, storage, is_owned: false })
        }
        None => previous.point,
    };
    spared.extend(files_of(&others));
    let point = point.map(|point| point.owned_by(&**store.storage(), &retained));
    Ok(Beginning { point, retained, spared, next, ..previous })
}
