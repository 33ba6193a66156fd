//! Statistics of checkpoints in Flink's words.
//!
//! Source: Flink `CheckpointingStatistics`, `CheckpointStatistics`.

use std::collections::BTreeMap;

use alluvium_coordinator::{
    CheckpointKind, CheckpointOutcome, CheckpointRecord, SavepointFormat, Statistics, Summary,
};
use alluvium_core::CheckpointId;
use alluvium_storage::JobLayout;
use serde_json::{Map, Value, json};

use crate::facts::JobFacts;

/// Statistics of a job, and where its savepoints lie, as far as that is known.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    pub(crate) facts: &'a JobFacts,
    pub(crate) statistics: Statistics,
    pub(crate) savepoints: BTreeMap<CheckpointId, String>,
}

impl Snapshot<'_> {
    /// `GET /jobs/:job/checkpoints`.
    pub(crate) fn overview(&self) -> Value {
        let statistics = &self.statistics;
        let failed = statistics.failed.total();
        let ended = statistics.completed.saturating_add(failed);
        let (times, point) = self.facts.control.restored();
        let restored =
            point.map(|it| json!({"id": it.checkpoint.get(), "restore_timestamp": it.at_ms}));
        let newest_first = || statistics.history.iter().rev();
        let newest = |is_wanted: fn(&CheckpointRecord) -> bool| {
            let kept = statistics.latest_completed();
            newest_first().chain(kept).find(|record| is_wanted(record)).map(|it| self.record(it))
        };
        let history: Vec<Value> = newest_first().map(|record| self.record(record)).collect();
        json!({
            "counts": {
                "restored": times,
                "total": statistics.triggered,
                "in_progress": statistics.triggered.saturating_sub(ended),
                "completed": statistics.completed,
                "failed": failed,
            },
            "summary": {
                "checkpointed_size": summary(&statistics.checkpointed_len_bytes()),
                "state_size": summary(&statistics.state_len_bytes()),
                "end_to_end_duration": summary(&statistics.duration_ms()),
                "persisted_data": summary(&statistics.persisted_bytes()),
            },
            "latest": {
                "completed": newest(|it| is_completed(it) && !it.kind.is_savepoint()),
                "savepoint": newest(|it| is_completed(it) && it.kind.is_savepoint()),
                "failed": newest(|it| matches!(it.outcome, CheckpointOutcome::Aborted { .. })),
                "restored": restored,
            },
            "history": history,
        })
    }

    /// A checkpoint of the history, or the newest that completed.
    pub(crate) fn find(&self, checkpoint: CheckpointId) -> Option<&CheckpointRecord> {
        let kept = self.statistics.latest_completed();
        let mut known = self.statistics.history.iter().rev().chain(kept);
        known.find(|record| record.checkpoint == checkpoint)
    }

    /// One checkpoint, without its tasks.
    pub(crate) fn record(&self, record: &CheckpointRecord) -> Value {
        Value::Object(self.fields_of(record))
    }

    pub(crate) fn fields_of(&self, record: &CheckpointRecord) -> Map<String, Value> {
        let CheckpointRecord { checkpoint, kind, .. } = record;
        let (processed, persisted) = record.in_flight_bytes();
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("className", status_of(record).to_ascii_lowercase().into());
        put("id", checkpoint.get().into());
        put("status", status_of(record).into());
        put("is_savepoint", kind.is_savepoint().into());
        put("checkpoint_type", type_of(*kind).into());
        put("trigger_timestamp", record.triggered_at_ms.into());
        put("latest_ack_timestamp", record.latest_ack_at_ms.map_or(json!(-1), Value::from));
        put("checkpointed_size", record.checkpointed_len_bytes.into());
        put("state_size", record.state_len_bytes.into());
        put("end_to_end_duration", record.end_to_end_ms().into());
        put("processed_data", processed.into());
        put("persisted_data", persisted.into());
        put("num_subtasks", record.tasks.into());
        put("num_acknowledged_subtasks", record.acknowledged().into());
        put("tasks", json!({}));
        if let Some(format) = kind.savepoint() {
            let is_native = format == SavepointFormat::Native;
            put("savepointFormat", if is_native { "NATIVE" } else { "CANONICAL" }.into());
        }
        match &record.outcome {
            CheckpointOutcome::Completed { .. } => {
                if let Some(path) = self.path_of(record) {
                    put("external_path", path.into());
                }
            }
            CheckpointOutcome::Aborted { at_ms, reason } => {
                put("failure_timestamp", (*at_ms).into());
                put("failure_message", format!("{}: {reason}", reason.name()).into());
            }
            _ => {}
        }
        fields
    }

    fn path_of(&self, record: &CheckpointRecord) -> Option<String> {
        if record.kind.is_savepoint() {
            return self.savepoints.get(&record.checkpoint).cloned();
        }
        let folder = JobLayout::checkpoint_dir(record.checkpoint);
        Some(format!("{}/{folder}", self.facts.root))
    }
}

/// Source: Flink `CheckpointStatsStatus`.
pub(crate) fn status_of(record: &CheckpointRecord) -> &'static str {
    match record.outcome {
        CheckpointOutcome::Completed { .. } => "COMPLETED",
        CheckpointOutcome::Aborted { .. } => "FAILED",
        _ => "IN_PROGRESS",
    }
}

fn is_completed(record: &CheckpointRecord) -> bool {
    matches!(record.outcome, CheckpointOutcome::Completed { .. })
}

/// Source: Flink `RestAPICheckpointType`.
fn type_of(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Savepoint(_) => "SAVEPOINT",
        CheckpointKind::StopWithSavepoint { .. } => "SYNC_SAVEPOINT",
        _ => "CHECKPOINT",
    }
}

/// Source: Flink `StatsSummaryDto`.
pub(crate) fn summary(summary: &Summary) -> Value {
    let Summary { min, max, avg, p50, p90, p95, p99, p999, .. } = *summary;
    json!({
        "min": min, "max": max, "avg": avg,
        "p50": p50, "p90": p90, "p95": p95, "p99": p99, "p999": p999,
    })
}
