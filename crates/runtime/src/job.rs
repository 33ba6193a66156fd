//! A job over its restarts: claims an attempt, restores, runs, and decides what a failure means.

mod beginning;
mod config;

pub use config::{CheckpointRetention, ClaimMode, JobConfig, JobEvent, Listener, RestoreFrom};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_coordinator::{
    Action, Coordinator, JobPlan, RestartDecision, RestartTracker, StartPoint,
};
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{StateBackend, StateKey};
use alluvium_storage::LocalCopies;

use self::beginning::{Beginning, claim_after, first_beginning, next_beginning};
use crate::driver::{Attempt, run_attempt};
use crate::job_graph::{JobGraph, of_pipeline};
use crate::operator::{KeyedOperator, Pipeline};
use crate::{CheckpointStore, GraphError, JobError, JobStatus, Savepoint, running};

/// A job that ended well.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobOutcome<R> {
    /// What each operator subtask handed over.
    pub results: Vec<R>,
    /// How often the job was started anew.
    pub restarts: u32,
    /// How many checkpoints and savepoints completed.
    pub checkpoints: u64,
    /// The savepoint that the job was stopped with; `None` when it came to the end of its input.
    pub savepoint: Option<Savepoint>,
}

type ResultOf<K, B, P> =
    <<P as Pipeline<<B as StateBackend>::Keyed<K, DefaultCodec>>>::Operator as KeyedOperator<
        <B as StateBackend>::Keyed<K, DefaultCodec>,
    >>::Result;

/// Runs a job to its end, over all its restarts.
///
/// On a [`TokioHost`](crate::TokioHost) it must be called inside a multi-threaded tokio runtime with
/// its timer on.
/// Errors: [`JobError`]; what was stored stays as it is, unless
/// [`JobConfig::retention`] says that checkpoints go.
pub async fn run<K, B, P>(
    pipeline: Arc<P>,
    backend: B,
    store: Arc<CheckpointStore>,
    config: JobConfig,
) -> Result<JobOutcome<ResultOf<K, B, P>>, JobError>
where
    K: StateKey + HasCodec,
    B: StateBackend,
    P: Pipeline<B::Keyed<K, DefaultCodec>>,
{
    let graph = match &config.uids {
        Some(uids) => Ok(of_pipeline::<K, B, P>(&pipeline, uids)),
        None => Err(JobError::from(GraphError::NoUids)),
    };
    run_to_its_end(graph, backend, store, config).await
}

/// Runs a job that is a graph of stages, as [`run`] does for one of three.
///
/// Errors: as [`run`].
pub async fn run_graph<B: StateBackend, R: Send + 'static>(
    graph: JobGraph<B, R>,
    backend: B,
    store: Arc<CheckpointStore>,
    config: JobConfig,
) -> Result<JobOutcome<R>, JobError> {
    run_to_its_end(Ok(graph), backend, store, config).await
}

async fn run_to_its_end<B: StateBackend, R: Send + 'static>(
    graph: Result<JobGraph<B, R>, JobError>,
    backend: B,
    store: Arc<CheckpointStore>,
    config: JobConfig,
) -> Result<JobOutcome<R>, JobError> {
    let control = config.control.clone();
    let outcome = match graph {
        Ok(graph) => run_all(Arc::new(graph), backend, store, config).await,
        Err(error) => Err(error),
    };
    control.set_status(match &outcome {
        Ok(JobOutcome { savepoint: Some(savepoint), .. }) => {
            JobStatus::Stopped { savepoint: savepoint.location.clone() }
        }
        Ok(_) => JobStatus::Finished,
        Err(JobError::Cancelled) => JobStatus::Cancelled,
        Err(error) => JobStatus::Failed { error: error.to_string() },
    });
    outcome
}

async fn run_all<B: StateBackend, R: Send + 'static>(
    graph: Arc<JobGraph<B, R>>,
    backend: B,
    store: Arc<CheckpointStore>,
    config: JobConfig,
) -> Result<JobOutcome<R>, JobError> {
    graph.check(config.parallelism)?;
    let mut tracker = RestartTracker::new(config.restart, config.hash_seed);
    let copies = config
        .local_recovery
        .as_ref()
        .map(|dir| LocalCopies::new(dir, store.job(), store.storage().root()));
    let (near, widest) = (copies.clone(), graph.widest(config.parallelism));
    let begin = move |store: &CheckpointStore, config: &JobConfig| {
        first_beginning(store, config, widest, near.as_ref())
    };
    let (first, mut beginning) = blocking(&store, &config, begin).await?;
    let (mut attempt, mut restarts, mut checkpoints) = (first, 0, 0);
    // The number after all that were given to checkpoints and savepoints.
    let mut issued = None;
    // Checkpoints that could not be restored, and why.
    let mut refused = BTreeMap::new();
    loop {
        let plan = plan_of(&store, &config, attempt, &beginning, &graph)?;
        check_point(&plan, &beginning, &graph)?;
        tell_beginning(&config, attempt, &mut beginning);
        let point = beginning.point.clone().map(|it| it.near(&**store.storage(), copies.as_ref()));
        let run = Attempt {
            graph: Arc::clone(&graph),
            backend: backend.clone(),
            store: Arc::clone(&store),
            config: config.clone(),
            point,
            copies: copies.clone(),
            claimed: beginning.claimed.clone(),
            leftovers: beginning.leftovers.clone(),
            plan,
            start: start_of(&beginning),
        };
        let end = run_attempt(run).await;
        checkpoints += end.completed;
        let mut coordinator = end.coordinator;
        let next = coordinator.as_ref().map(Coordinator::next_checkpoint);
        issued = issued.max(next.filter(|_| !museum::makes(Mistake::GivesNumbersTwice)));
        if coordinator.as_ref().is_some_and(|coordinator| !coordinator.has_claimed()) {
            beginning.claimed = None;
        }
        let savepoint = end.stopped_with;
        let mut error = match end.outcome {
            Ok(results) => {
                if config.retention.goes_when_finished() {
                    delete_retained(&store, &config, attempt, coordinator.take()).await;
                }
                return Ok(JobOutcome { results, restarts, checkpoints, savepoint });
            }
            Err(error) => error,
        };
        if let Some(Savepoint { location, .. }) = savepoint {
            return Err(JobError::AfterStop { location, source: Box::new(error) });
        }
        // A storage that fails for a moment between two attempts counts like a failed attempt.
        beginning = loop {
            let can_fall_back = note_refusal(&error, &beginning, &mut refused);
            // Not by the clock, which somebody may set.
            let now_ms = u64::try_from(config.host.now().as_millis()).unwrap_or(u64::MAX);
            let decision = if error.may_restart() || can_fall_back {
                tracker.on_failure(now_ms)
            } else {
                RestartDecision::GiveUp
            };
            let RestartDecision::Restart { after_ms } = decision else {
                if config.retention.goes_after(&error) {
                    delete_retained(&store, &config, attempt, coordinator.take()).await;
                }
                return Err(error);
            };
            (config.listener)(&JobEvent::Restarting { error: &error, after_ms });
            config.control.set_status(JobStatus::Restarting { error: error.to_string() });
            if is_cancelled_within(&config, Duration::from_millis(after_ms)).await {
                error = JobError::Cancelled;
                continue;
            }
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
            let (previous, passed_over) = (beginning.clone(), refused.clone());
            let next = move |store: &CheckpointStore, _: &JobConfig| {
                next_beginning(store, first, previous, &passed_over)
            };
            match blocking(&store, &config, next).await {
                // 1. Attempt 1 creates the metadata of checkpoint 3, the storage does not answer, and it
                //    fails;
                // 2. attempt 2 restores checkpoint 2, stops with savepoint 3, and its sinks commit;
                // 3. the metadata of checkpoint 3 appears after all, is the newest checkpoint, and what
                //    sinks have committed under that number is not of it.
                Ok(next) => {
                    break Beginning {
                        next: issued.map_or(next.next, |it| next.next.max(it)),
                        ..next
                    };
                }
                Err(refused) => error = refused,
            }
        };
    }
}

/// What the coordinator of an attempt begins with.
fn start_of(beginning: &Beginning) -> StartPoint {
    StartPoint {
        next: beginning.next,
        retained: beginning.retained.clone(),
        spared: beginning.spared.clone(),
        claimed: beginning.claimed.is_some(),
    }
}

/// Tells people where an attempt begins.
fn tell_beginning(config: &JobConfig, attempt: AttemptId, beginning: &mut Beginning) {
    let restored = beginning.point.as_ref().map(|it| it.metadata.properties.checkpoint);
    config.control.set_status(JobStatus::Running { attempt, restored });
    if let Some(checkpoint) = restored {
        config.control.note_restore(checkpoint, config.clock.now_ms());
    }
    if let (Some(to), Some(damage)) = (restored, beginning.damage.take()) {
        (config.listener)(&JobEvent::FellBack { damage, to });
    }
}

/// A checkpoint of this run that turns out to be damaged when it is restored is passed over from
/// then on, if there is an older one. Says whether there is.
fn note_refusal(
    error: &JobError,
    beginning: &Beginning,
    refused: &mut BTreeMap<CheckpointId, String>,
) -> bool {
    let JobError::Restore { checkpoint, .. } = error else { return false };
    let is_older = |it: &alluvium_core::CheckpointMetadata| {
        let older = it.properties.checkpoint;
        older < *checkpoint && !refused.contains_key(&older)
    };
    let is_retained = beginning.retained.iter().any(|it| it.properties.checkpoint == *checkpoint);
    if error.may_restart() || !is_retained || !beginning.retained.iter().any(is_older) {
        return false;
    }
    refused.insert(*checkpoint, error.to_string());
    true
}

/// Waits, and says whether somebody cancels the job meanwhile.
async fn is_cancelled_within(config: &JobConfig, duration: Duration) -> bool {
    tokio::select! {
        biased;
        () = config.control.cancelled() => true,
        () = config.host.sleep(duration) => false,
    }
}

/// Deletes the checkpoints of a job that is over.
async fn delete_retained(
    store: &Arc<CheckpointStore>,
    config: &JobConfig,
    attempt: AttemptId,
    coordinator: Option<Coordinator>,
) {
    let Some(mut coordinator) = coordinator else { return };
    let delete = move |store: &CheckpointStore, _: &JobConfig| {
        for action in coordinator.delete_retained() {
            if let Action::DeleteCheckpoint { checkpoint, files } = action {
                store.delete(attempt, checkpoint, &files)?;
            }
        }
        Ok(())
    };
    if let Err(error) = blocking(store, config, delete).await {
        (config.listener)(&JobEvent::CleanUpFailed { reason: error.to_string() });
    }
}

/// The checkpoint that an attempt begins from must fit the job.
fn check_point<B, R>(
    plan: &JobPlan,
    beginning: &Beginning,
    graph: &JobGraph<B, R>,
) -> Result<(), JobError> {
    match &beginning.point {
        Some(point) => point.check(plan, &graph.uids()),
        None => Ok(()),
    }
}

fn plan_of<B, R>(
    store: &CheckpointStore,
    config: &JobConfig,
    attempt: AttemptId,
    beginning: &Beginning,
    graph: &JobGraph<B, R>,
) -> Result<JobPlan, JobError> {
    Ok(JobPlan {
        job: store.job().clone(),
        attempt,
        max_parallelism: beginning.max,
        assigner: graph.assigner(),
        operators: graph.plan(config.parallelism, beginning.max)?,
    })
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
