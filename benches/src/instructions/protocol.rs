//! The checkpoint protocol: the coordinator alone, which neither reads a clock nor does I/O.

use alluvium_coordinator::{
    Action, Coordinator, CoordinatorConfig, Event, JobPlan, StartPoint, SubtaskMetrics, TaskId,
};
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, JobId, MaxParallelism, OperatorUid, Parallelism,
    SubtaskIndex, SubtaskState,
};

use crate::counted;

const TASKS: u16 = 100;
const CHECKPOINTS: u64 = 200;
const INTERVAL_MS: u64 = 1_000;
/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a valid job";

/// Checkpoints of a job of one operator with 100 subtasks, from the trigger to completion; counted by
/// checkpoint.
pub(crate) fn checkpoint() -> u64 {
    let (max, attempt) = (MaxParallelism::new(128).expect(RIGHT_USE), AttemptId::new(1));
    let uid = OperatorUid::new("count").expect(RIGHT_USE);
    let parallelism = Parallelism::new(u32::from(TASKS), max).expect(RIGHT_USE);
    let plan = JobPlan {
        job: JobId::new("counted").expect(RIGHT_USE),
        attempt,
        max_parallelism: max,
        assigner: AssignerName::Stable,
        operators: vec![(uid.clone(), parallelism)],
    };
    let config = CoordinatorConfig::new().interval_ms(Some(INTERVAL_MS));
    let mut coordinator = Coordinator::new(config, plan, StartPoint::default()).expect(RIGHT_USE);
    coordinator.handle(0, Event::Started);
    let mut completed = 0;
    counted(&mut || {
        for round in 1..=CHECKPOINTS {
            let now_ms = round * INTERVAL_MS;
            let checkpoint = triggered(&coordinator.handle(now_ms, Event::Tick));
            for subtask in 0..TASKS {
                let index = SubtaskIndex::new(subtask);
                let task = TaskId { operator: uid.clone(), subtask: index };
                let state = SubtaskState { index, keyed: None, operator: None };
                let metrics = SubtaskMetrics::default();
                let event = Event::Acknowledged { checkpoint, attempt, task, state, metrics };
                coordinator.handle(now_ms, event);
            }
            coordinator.handle(now_ms, Event::Committed { checkpoint });
            completed += 1;
        }
    });
    let latest = coordinator.latest().map(|metadata| metadata.properties.checkpoint.get());
    assert_eq!(latest, Some(CHECKPOINTS), "each checkpoint completes");
    completed
}

fn triggered(actions: &[Action]) -> CheckpointId {
    let found = actions.iter().find_map(|action| match action {
        Action::Trigger { checkpoint, .. } => Some(*checkpoint),
        _ => None,
    });
    found.expect("a checkpoint is due")
}
