//! What requests trigger, and how they hear of it.
//!
//! Source: Flink `SavepointHandlers`, `StopWithSavepointRequestBody`, `CheckpointHandlers`,
//! `JobCancellationHandler`, `AsynchronousOperationResult`.

use std::sync::Arc;

use alluvium_coordinator::SavepointFormat;
use alluvium_runtime::{JobControl, Stop};
use alluvium_state::SnapshotMode;
use alluvium_storage::Storage;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::facts::JobFacts;
use crate::request::{CheckpointBody, CheckpointType, SavepointBody, StopBody, check_trigger_id};
use crate::triggers::{Kind, Progress, Triggers};

/// Triggers things and remembers them.
#[derive(Debug, Clone)]
pub(crate) struct Operations {
    control: JobControl,
    /// Different for each start of the job.
    salt: u64,
    snapshots: SnapshotMode,
    pub(crate) triggers: Arc<Triggers>,
}

impl Operations {
    pub(crate) fn new(facts: &JobFacts) -> Self {
        let (control, salt) = (facts.control.clone(), facts.started_at_ms);
        Self { control, salt, snapshots: facts.snapshots, triggers: Arc::default() }
    }

    pub(crate) fn checkpoint(&self, body: CheckpointBody) -> Result<Value, Refusal> {
        let is_full = body.checkpoint_type == CheckpointType::Full;
        if body.checkpoint_type == CheckpointType::Incremental
            && self.snapshots != SnapshotMode::Incremental
        {
            return Err(Refusal::bad("checkpointType INCREMENTAL: the job takes full checkpoints"));
        }
        self.check_runs()?;
        let (id, is_new) = self.begin(Kind::Checkpoint, body.trigger_id)?;
        if is_new {
            let (this, trigger) = (self.clone(), id.clone());
            tokio::spawn(async move {
                let end = this.control.checkpoint(is_full).await.map(Progress::Checkpoint);
                this.triggers.end(Kind::Checkpoint, &trigger, end);
            });
        }
        Ok(json!({ "request-id": id }))
    }

    pub(crate) async fn savepoint(&self, body: SavepointBody) -> Result<Value, Refusal> {
        if body.cancel_job {
            return Err(Refusal::bad("cancel-job true: POST .../stop ends a job with a savepoint"));
        }
        let target = target("target-directory", body.target_directory).await?;
        self.write(target, body.format_type.into(), None, body.trigger_id)
    }

    pub(crate) async fn stop(&self, body: StopBody) -> Result<Value, Refusal> {
        let stop = Some(body.stop());
        let target = target("targetDirectory", body.target_directory).await?;
        self.write(target, body.format_type.into(), stop, body.trigger_id)
    }

    fn write(
        &self,
        target: Arc<dyn Storage>,
        format: SavepointFormat,
        stop: Option<Stop>,
        chosen: Option<String>,
    ) -> Result<Value, Refusal> {
        self.check_runs()?;
        let (id, is_new) = self.begin(Kind::Savepoint, chosen)?;
        if is_new {
            let (this, trigger) = (self.clone(), id.clone());
            tokio::spawn(async move {
                let end = match stop {
                    Some(stop) => this.control.stop(target, format, stop).await,
                    None => this.control.savepoint(target, format).await,
                };
                if stop.is_some() && end.is_ok() {
                    this.triggers.owe_end();
                }
                this.triggers.end(Kind::Savepoint, &trigger, end.map(Progress::Savepoint));
            });
        }
        Ok(json!({ "request-id": id }))
    }

    fn begin(&self, kind: Kind, chosen: Option<String>) -> Result<(String, bool), Refusal> {
        self.triggers.begin(kind, check_trigger_id(chosen)?, self.salt)
    }

    /// Ends the job.
    pub(crate) fn cancel(&self, query: &str) -> Result<Value, Refusal> {
        if query != "mode=cancel" {
            return Err(Refusal::bad(format!("mode=cancel is wanted, not {query:?}")));
        }
        self.check_runs()?;
        self.triggers.owe_end();
        self.control.cancel();
        Ok(json!({}))
    }

    fn check_runs(&self) -> Result<(), Refusal> {
        let status = self.control.status();
        if status.is_over() {
            let reason = format!("the job is over: {}", status.name());
            return Err(Refusal::new(StatusCode::CONFLICT, reason));
        }
        Ok(())
    }

    /// What became of a trigger.
    pub(crate) fn progress(&self, kind: Kind, id: &str) -> Result<Value, Refusal> {
        let progress = self.triggers.tell(kind, id);
        let progress =
            progress.ok_or_else(|| Refusal::unknown(format!("no trigger {id} is known")))?;
        let (status, operation) = match progress {
            Progress::UnderWay => ("IN_PROGRESS", Value::Null),
            Progress::Checkpoint(checkpoint) => {
                ("COMPLETED", json!({ "checkpointId": checkpoint.get() }))
            }
            Progress::Savepoint(savepoint) => {
                ("COMPLETED", json!({ "location": savepoint.location }))
            }
            Progress::Failed { name, reason } => {
                let cause = json!({"class": name, "stack-trace": reason});
                let field = match kind {
                    Kind::Checkpoint => "failureCause",
                    Kind::Savepoint => "failure-cause",
                };
                ("COMPLETED", json!({ field: cause }))
            }
        };
        Ok(json!({"status": {"id": status}, "operation": operation}))
    }
}

/// Opens what a body names as the folder for a savepoint.
async fn target(field: &str, target: Option<String>) -> Result<Arc<dyn Storage>, Refusal> {
    let Some(target) = target else {
        let reason = format!("{field} is missing, and the job has no folder for savepoints");
        return Err(Refusal::bad(reason));
    };
    let opening = target.clone();
    let opened = tokio::task::spawn_blocking(move || alluvium_storage::open(&opening)).await;
    match opened {
        Ok(Ok(storage)) => Ok(storage),
        Ok(Err(error)) => Err(Refusal::bad(format!("{field} {target:?}: {error}"))),
        Err(_) => {
            let reason = format!("{field} {target:?} could not be opened");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, reason))
        }
    }
}
