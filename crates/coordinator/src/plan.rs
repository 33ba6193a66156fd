//! What a run of a job consists of and where it begins.

use std::collections::BTreeSet;
use std::fmt;

use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, JobId, MaxParallelism, OperatorUid,
    Parallelism, StoragePath, SubtaskIndex,
};

use crate::PlanError;

/// One run of a job: who has to acknowledge a checkpoint, and what its metadata says.
///
/// `Coordinator::new` checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlan {
    /// The job.
    pub job: JobId,
    /// This run of it.
    pub attempt: AttemptId,
    /// Number of key groups, the same for every operator.
    pub max_parallelism: MaxParallelism,
    /// How keys are assigned to key groups.
    pub assigner: AssignerName,
    /// The operators in the order in which the metadata lists them.
    pub operators: Vec<(OperatorUid, Parallelism)>,
}

/// Where a run begins.
///
/// `Coordinator::new` checks it. Default: checkpoint 1 comes next, none is retained, and no
/// file is spared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPoint {
    /// Id of the first checkpoint to trigger.
    pub next: CheckpointId,
    /// Completed checkpoints of this job that this run owns and may delete, oldest first. More
    /// than the run is to keep are cut down at its first completion.
    pub retained: Vec<CheckpointMetadata>,
    /// Files of checkpoints that exist but that this run does not own. They are never named for
    /// deletion, although checkpoints of this run may reference them too:
    /// 1. checkpoints 5 and 6 reference file f, and a person restores 5;
    /// 2. the run goes on with 7, which does not reference f, and 5 is subsumed;
    /// 3. deleting f would damage 6, which was passed over but is left alone.
    pub spared: Vec<StoragePath>,
    /// Whether the run began from a checkpoint or savepoint of another folder that it owns from now
    /// on: it counts as the oldest retained one and is deleted when newer ones replace it. No
    /// checkpoint of this run refers to it, since paths are relative to the folder of the job.
    pub claimed: bool,
}

/// Names one task: a subtask of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The operator.
    pub operator: OperatorUid,
    /// Which of its subtasks.
    pub subtask: SubtaskIndex,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subtask {} of {}", self.subtask, self.operator)
    }
}

impl Default for StartPoint {
    fn default() -> Self {
        let (retained, spared) = (Vec::new(), Vec::new());
        Self { next: CheckpointId::FIRST, retained, spared, claimed: false }
    }
}

impl JobPlan {
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if self.operators.is_empty() {
            return Err(PlanError::NoOperators { job: self.job.clone() });
        }
        let mut seen = BTreeSet::new();
        for (uid, parallelism) in &self.operators {
            if !seen.insert(uid) {
                let (job, uid) = (self.job.clone(), uid.clone());
                return Err(PlanError::DuplicateOperator { job, uid });
            }
            let (found, expected) = (parallelism.max(), self.max_parallelism);
            if found != expected {
                return Err(PlanError::MaxParallelism { uid: uid.clone(), found, expected });
            }
        }
        Ok(())
    }

    pub(crate) fn task_count(&self) -> usize {
        self.operators.iter().map(|(_, parallelism)| usize::from(parallelism.get())).sum()
    }
}

impl StartPoint {
    pub(crate) fn check(&self, job: &JobId) -> Result<(), PlanError> {
        let ids = || self.retained.iter().map(|metadata| metadata.properties.checkpoint);
        for (checkpoint, found) in ids().zip(ids().skip(1).chain([self.next])) {
            if found <= checkpoint {
                return Err(PlanError::CheckpointOrder { checkpoint, found });
            }
        }
        match self.retained.iter().find(|metadata| metadata.properties.job != *job) {
            Some(foreign) => Err(PlanError::ForeignCheckpoint {
                checkpoint: foreign.properties.checkpoint,
                found: foreign.properties.job.clone(),
                expected: job.clone(),
            }),
            None => Ok(()),
        }
    }
}
