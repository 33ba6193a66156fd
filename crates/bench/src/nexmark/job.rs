//! One run of one query on one backend, to the end of its input.
//!
//! Invariants: a run has a folder of its own, which is removed; a failure ends it, so that what was measured
//! is one attempt.

#[cfg(test)]
mod halt;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use halt::Halt;
#[cfg(test)]
pub(crate) use tests::run_in_memory;

use std::sync::{Arc, Mutex, PoisonError};

use alluvium::coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium::core::CheckpointMetadata;
use alluvium::runtime::{JobConfig, JobEvent, SystemClock, TokioHost, run_graph};
use alluvium::state::{SnapshotMode, StateBackend};

use super::events::Feed;
use super::options::KEY_GROUPS;
use super::queries::{self, Shared};
use super::report::Checkpoint;
use super::stopwatch::Lap;
use super::totals::Totals;
use super::{Plan, Query};
use crate::error::BenchError;
use crate::machine::{forget_peak, resident_bytes};
use crate::place::Place;

/// Seed of the hash tables.
const HASH_SEED: u64 = 42;

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) lap: Lap,
    /// Memory of the process before, in bytes.
    pub(crate) before_bytes: Option<u64>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) results: Totals,
    /// Records that sinks took.
    pub(crate) written: u64,
    /// Name of the storage, without secrets.
    pub(crate) storage: String,
    #[cfg(test)]
    pub(crate) restarts: u32,
}

/// Runs a query, with checkpoints or without.
///
/// Errors: [`BenchError::Job`], [`BenchError::Store`], [`BenchError::Storage`], [`BenchError::System`].
pub(crate) fn run<B: StateBackend>(
    backend: B,
    plan: &Plan,
    query: Query,
    feed: &Feed,
    has_checkpoints: bool,
) -> Result<Ran, BenchError> {
    let interval_ms = has_checkpoints.then(|| plan.interval_ms());
    run_with(backend, plan, (query, feed), interval_ms, &Shared::default())
}

fn run_with<B: StateBackend>(
    backend: B,
    plan: &Plan,
    (query, feed): (Query, &Feed),
    interval_ms: Option<u64>,
    shared: &Shared,
) -> Result<Ran, BenchError> {
    let place = Place::open(&plan.options().target, "bench-nexmark")?;
    let store = Arc::new(place.store()?);
    let graph = queries::graph(query, feed, shared)?;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let config = JobConfig {
        parallelism: plan.options().parallelism,
        max_parallelism: Some(KEY_GROUPS),
        checkpoints: CoordinatorConfig::new().interval_ms(interval_ms),
        restart: restart_of(shared),
        snapshot_mode: SnapshotMode::Incremental,
        hash_seed: HASH_SEED,
        listener: listener(&taken, shared),
        ..JobConfig::for_graph(Arc::new(SystemClock), Arc::new(TokioHost::new()))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let runtime =
        runtime.map_err(|source| BenchError::System { what: "start the runtime", source })?;
    forget_peak();
    let before_bytes = resident_bytes();
    let outcome = runtime.block_on(run_graph(graph, backend, store, config));
    // Waits for work on the storage, which is below the folder that is removed next.
    drop(runtime);
    let outcome = outcome?;
    let lap = shared.stopwatch.lap().ok_or_else(|| BenchError::Wrong {
        what: "what the job says about its end",
        expected: "a time".to_owned(),
        found: "none".to_owned(),
    })?;
    let output = shared.output.totals();
    let written = output.count;
    let state = outcome.results.into_iter().fold(Totals::default(), Totals::and);
    let results = if queries::results_are_state(query) { state } else { output };
    let checkpoints = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ran {
        lap,
        before_bytes,
        checkpoints,
        results,
        written,
        storage: place.name().to_owned(),
        #[cfg(test)]
        restarts: outcome.restarts,
    })
}

/// Notes checkpoints, but for the last one, which ends every job.
fn listener(taken: &Arc<Mutex<Vec<Checkpoint>>>, shared: &Shared) -> alluvium::runtime::Listener {
    let (taken, shared) = (Arc::clone(taken), shared.clone());
    Arc::new(move |event| {
        if let JobEvent::Completed { metadata, is_final: false, .. } = event {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.push(checkpoint_of(metadata));
            shared.note_checkpoint();
        }
    })
}

fn checkpoint_of(metadata: &CheckpointMetadata) -> Checkpoint {
    let properties = &metadata.properties;
    let subtasks = metadata.operators.iter().flat_map(|operator| &operator.subtasks);
    Checkpoint {
        number: properties.checkpoint.get(),
        duration_ms: properties.completed_at_ms.saturating_sub(properties.triggered_at_ms),
        new_bytes: subtasks.map(alluvium::core::SubtaskState::written_len_bytes).sum(),
    }
}

/// A job that has to go on after a failure is one of a test.
fn restart_of(shared: &Shared) -> RestartStrategy {
    if shared.may_fail() {
        RestartStrategy::FixedDelay { attempts: 1, delay_ms: 1 }
    } else {
        RestartStrategy::None
    }
}
