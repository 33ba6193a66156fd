//! One checkpoint by operator and by subtask, in Flink's words.
//!
//! Source: Flink `CheckpointStatistics.tasks`, `TaskCheckpointStatisticsWithSubtaskDetails`,
//! `SubtaskCheckpointStatistics`.

use alluvium_coordinator::{CheckpointRecord, SubtaskRecord, Summary};
use serde_json::{Map, Value, json};

use crate::checkpoints::{Snapshot, status_of, summary};

/// What the subtasks of one operator have acknowledged.
#[derive(Debug)]
struct OperatorRecord<'a> {
    record: &'a CheckpointRecord,
    /// How many subtasks there are.
    parallelism: u16,
    /// Those that have acknowledged.
    subtasks: Vec<(u16, &'a SubtaskRecord)>,
}

impl<'a> OperatorRecord<'a> {
    fn new(record: &'a CheckpointRecord, operator: usize, parallelism: u32) -> Self {
        let subtasks = record.subtasks.range((operator, 0)..=(operator, u16::MAX));
        Self {
            record,
            parallelism: u16::try_from(parallelism).unwrap_or(u16::MAX),
            subtasks: subtasks.map(|((_, index), subtask)| (*index, subtask)).collect(),
        }
    }

    fn sum(&self, of: impl Fn(&SubtaskRecord) -> u64) -> u64 {
        self.subtasks.iter().fold(0, |sum, (_, subtask)| sum.saturating_add(of(subtask)))
    }

    fn summary(&self, of: impl Fn(&SubtaskRecord) -> u64) -> Value {
        summary(&Summary::of(self.subtasks.iter().map(|(_, subtask)| of(subtask))))
    }

    fn end_to_end_ms(&self, subtask: &SubtaskRecord) -> u64 {
        subtask.ack_at_ms.saturating_sub(self.record.triggered_at_ms)
    }

    fn fields(&self) -> Map<String, Value> {
        let latest = self.subtasks.iter().map(|(_, subtask)| subtask.ack_at_ms).max();
        let took = self.subtasks.iter().map(|(_, subtask)| self.end_to_end_ms(subtask)).max();
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("id", self.record.checkpoint.get().into());
        put("status", status_of(self.record).into());
        put("latest_ack_timestamp", latest.map_or(json!(-1), Value::from));
        put("checkpointed_size", self.sum(|it| it.checkpointed_len_bytes).into());
        put("state_size", self.sum(|it| it.state_len_bytes).into());
        put("end_to_end_duration", took.unwrap_or(0).into());
        put("processed_data", self.sum(|it| it.metrics.processed_bytes).into());
        put("persisted_data", self.sum(|it| it.metrics.persisted_bytes).into());
        put("num_subtasks", self.parallelism.into());
        put("num_acknowledged_subtasks", self.subtasks.len().into());
        fields
    }

    fn with_subtasks(&self) -> Value {
        let mut fields = self.fields();
        let of_all = json!({
            "checkpointed_size": self.summary(|it| it.checkpointed_len_bytes),
            "state_size": self.summary(|it| it.state_len_bytes),
            "end_to_end_duration": self.summary(|it| self.end_to_end_ms(it)),
            "checkpoint_duration": {
                "sync": self.summary(|it| it.metrics.sync_ms),
                "async": self.summary(|it| it.metrics.async_ms),
            },
            "alignment": {
                "processed": self.summary(|it| it.metrics.processed_bytes),
                "persisted": self.summary(|it| it.metrics.persisted_bytes),
                "duration": self.summary(|it| it.metrics.alignment_ms),
            },
            "start_delay": self.summary(|it| it.metrics.start_delay_ms),
        });
        let subtasks = (0..self.parallelism).map(|index| {
            let found = self.subtasks.iter().find(|(found, _)| *found == index);
            found.map_or_else(
                || json!({"index": index, "status": "pending_or_failed"}),
                |(_, subtask)| self.subtask(index, subtask),
            )
        });
        fields.insert("summary".to_owned(), of_all);
        fields.insert("subtasks".to_owned(), subtasks.collect());
        Value::Object(fields)
    }

    fn subtask(&self, index: u16, subtask: &SubtaskRecord) -> Value {
        let metrics = &subtask.metrics;
        json!({
            "index": index,
            "status": "completed",
            "ack_timestamp": subtask.ack_at_ms,
            "end_to_end_duration": self.end_to_end_ms(subtask),
            "checkpointed_size": subtask.checkpointed_len_bytes,
            "state_size": subtask.state_len_bytes,
            "checkpoint": {"sync": metrics.sync_ms, "async": metrics.async_ms},
            "alignment": {
                "processed": metrics.processed_bytes,
                "persisted": metrics.persisted_bytes,
                "duration": metrics.alignment_ms,
            },
            "start_delay": metrics.start_delay_ms,
            "unaligned_checkpoint": metrics.is_unaligned,
        })
    }
}

impl Snapshot<'_> {
    /// `GET /jobs/:job/checkpoints/details/:checkpoint`.
    pub(crate) fn details(&self, record: &CheckpointRecord) -> Value {
        let operators = &self.facts.operators;
        let tasks = operators.iter().enumerate().map(|(operator, (name, parallelism))| {
            let tasks = OperatorRecord::new(record, operator, *parallelism);
            (name.clone(), Value::Object(tasks.fields()))
        });
        let mut fields = self.fields_of(record);
        fields.insert("tasks".to_owned(), Value::Object(tasks.collect()));
        Value::Object(fields)
    }

    /// `GET /jobs/:job/checkpoints/details/:checkpoint/subtasks/:operator`; `None` for an operator
    /// that the job does not have.
    pub(crate) fn subtasks(&self, record: &CheckpointRecord, operator: &str) -> Option<Value> {
        let operators = &self.facts.operators;
        let mut operators = operators.iter().enumerate();
        let (at, (_, parallelism)) = operators.find(|(_, (name, _))| name == operator)?;
        Some(OperatorRecord::new(record, at, *parallelism).with_subtasks())
    }
}
