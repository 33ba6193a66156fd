//! What a server knows of its job besides what it asks.

use std::sync::Arc;

use alluvium_coordinator::CoordinatorConfig;
use alluvium_core::JobId;
use alluvium_runtime::{
    CheckpointMode, CheckpointRetention, CheckpointStore, Clock, JobConfig, JobControl, JobGraph,
    OperatorUids,
};
use alluvium_state::SnapshotMode;
use serde_json::{Value, json};

/// How Flink writes "never" where an interval is asked for.
const NEVER_MS: u64 = 9_223_372_036_854_775_807;

/// A job, how it is configured, and its control.
#[derive(Debug, Clone)]
pub struct JobFacts {
    pub(crate) job: JobId,
    pub(crate) control: JobControl,
    pub(crate) clock: Arc<dyn Clock>,
    /// Names of the operators and how many subtasks each has, as statistics number them.
    pub(crate) operators: Vec<(String, u32)>,
    /// The folder of the job.
    pub(crate) root: String,
    pub(crate) started_at_ms: u64,
    pub(crate) snapshots: SnapshotMode,
    backend: String,
    mode: CheckpointMode,
    checkpoints: CoordinatorConfig,
    retention: CheckpointRetention,
}

impl JobFacts {
    /// A [`Pipeline`](alluvium_runtime::Pipeline) that is about to start with this store and configuration,
    /// on a backend of this name.
    pub fn new(store: &CheckpointStore, config: &JobConfig, backend: &str) -> Self {
        let uids = config.uids.iter().flat_map(OperatorUids::all);
        let operators = uids.map(|uid| (uid.to_string(), config.parallelism)).collect();
        Self::of(operators, store, config, backend)
    }

    /// The same for a job that is a graph.
    pub fn for_graph<B, R>(
        graph: &JobGraph<B, R>,
        store: &CheckpointStore,
        config: &JobConfig,
        backend: &str,
    ) -> Self {
        let stages = graph.stages(config.parallelism);
        let operators = stages.map(|(uid, parallelism)| (uid.to_string(), parallelism)).collect();
        Self::of(operators, store, config, backend)
    }

    fn of(
        operators: Vec<(String, u32)>,
        store: &CheckpointStore,
        config: &JobConfig,
        backend: &str,
    ) -> Self {
        Self {
            job: store.job().clone(),
            control: config.control.clone(),
            clock: Arc::clone(&config.clock),
            operators,
            root: store.storage().root().to_owned(),
            started_at_ms: config.clock.now_ms(),
            snapshots: config.snapshot_mode,
            backend: backend.to_owned(),
            mode: config.mode,
            checkpoints: config.checkpoints.clone(),
            retention: config.retention,
        }
    }

    /// `GET /jobs`. Source: Flink `JobIdsWithStatusOverview`.
    pub(crate) fn overview(&self) -> Value {
        json!({"jobs": [{"id": self.job.as_str(), "status": self.control.status().name()}]})
    }

    /// `GET /jobs/:job`. Source: Flink `JobDetailsInfo`.
    pub(crate) fn details(&self) -> Value {
        let now = self.clock.now_ms();
        let vertices = self.operators.iter();
        let vertices = vertices
            .map(
                |(name, parallelism)| json!({"id": name, "name": name, "parallelism": parallelism}),
            )
            .collect::<Vec<_>>();
        json!({
            "jid": self.job.as_str(),
            "name": self.job.as_str(),
            "state": self.control.status().name(),
            "start-time": self.started_at_ms,
            "duration": now.saturating_sub(self.started_at_ms),
            "now": now,
            "vertices": vertices,
        })
    }

    /// `GET /jobs/:job/checkpoints/config`. Source: Flink `CheckpointConfigInfo`.
    pub(crate) fn checkpoint_config(&self) -> Value {
        let config = &self.checkpoints;
        let is_at_least_once = self.mode == CheckpointMode::AtLeastOnce;
        let deletes = matches!(
            self.retention,
            CheckpointRetention::Delete | CheckpointRetention::DeleteOnCancellation
        );
        json!({
            "mode": if is_at_least_once { "at_least_once" } else { "exactly_once" },
            "interval": config.interval_ms.unwrap_or(NEVER_MS),
            "timeout": config.timeout_ms,
            "min_pause": config.min_pause_ms,
            "max_concurrent": config.effective_max_concurrent(),
            "externalization": {
                "enabled": self.retention != CheckpointRetention::Delete,
                "delete_on_cancellation": deletes,
            },
            "state_backend": self.backend,
            "checkpoint_storage": self.root,
            "unaligned_checkpoints": config.unaligned,
            "tolerable_failed_checkpoints": config.tolerable_failed_checkpoints,
        })
    }
}
