use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointProperties, JobId, MaxParallelism,
    OperatorState, OperatorStateHandle, StateHandle, StateLocation, SubtaskIndex, SubtaskState,
};
use alluvium_storage::open;

use super::*;

fn metadata(checkpoint: u64, triggered_at_ms: u64) -> CheckpointMetadata {
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("job").unwrap(),
            checkpoint: CheckpointId::new(checkpoint).unwrap(),
            attempt: AttemptId::new(1),
            triggered_at_ms,
            completed_at_ms: 2,
            max_parallelism: MaxParallelism::new(4).unwrap(),
            assigner: AssignerName::Stable,
        },
        operators: Vec::new(),
    }
}

#[test]
fn only_a_checkpoint_that_the_run_owns_is_referred_to_by_later_ones() {
    let (own, other) = (open("memory:restore-own").unwrap(), open("memory:restore-other").unwrap());
    let retained = [metadata(4, 1), metadata(5, 1)];
    let shares = |metadata, storage: &Arc<dyn Storage>| {
        let point =
            RestorePoint { metadata, storage: Arc::clone(storage), is_owned: true, copies: None };
        point.owned_by(&*own, &retained).reader().is_shareable()
    };
    assert!(shares(metadata(4, 1), &own) && shares(metadata(5, 1), &own));
    assert!(!shares(metadata(5, 1), &other), "it lies in another folder");
    assert!(!shares(metadata(6, 1), &own), "nobody counts its files");
    assert!(!shares(metadata(5, 9), &own), "it is another checkpoint of the same number");
}

const SAME: [&str; 3] = ["in", "count", "out"];

fn uids(names: [&str; 3]) -> [OperatorUid; 3] {
    names.map(|name| OperatorUid::new(name).unwrap())
}

/// A checkpoint of the operators `in`, `count` and `out`, of which `count` has state.
fn point() -> RestorePoint {
    let mut metadata = metadata(7, 1);
    let parallelism = Parallelism::new(2, metadata.properties.max_parallelism).unwrap();
    metadata.operators = uids(SAME)
        .map(|uid| OperatorState { uid, parallelism, subtasks: Vec::new() })
        .into_iter()
        .collect();
    let location = StateLocation::Inline(Vec::new().into());
    let stream = StateHandle { location, len_bytes: 0, seal: 0 };
    metadata.operators[1].subtasks.push(SubtaskState {
        index: SubtaskIndex::new(0),
        keyed: None,
        operator: Some(OperatorStateHandle { stream }),
    });
    let storage = open("memory:restore-check").unwrap();
    RestorePoint { metadata, storage, is_owned: true, copies: None }
}

fn check(
    point: &RestorePoint,
    (job, max): (&str, u32),
    assigner: AssignerName,
    names: [&str; 3],
) -> Result<(), JobError> {
    let plan = JobPlan {
        job: JobId::new(job).unwrap(),
        attempt: AttemptId::new(2),
        max_parallelism: MaxParallelism::new(max).unwrap(),
        assigner,
        operators: Vec::new(),
    };
    let uids = uids(names);
    point.check(&plan, &uids.each_ref().map(|uid| (uid, uid.as_str() != "in")))
}

#[test]
fn what_differs_between_a_checkpoint_and_the_job_is_named() {
    let refused = |job, assigner, names| {
        let refused = check(&point(), job, assigner, names).unwrap_err();
        assert!(matches!(refused, JobError::Incompatible { .. }) && !refused.may_restart());
        refused.to_string()
    };
    check(&point(), ("job", 4), AssignerName::Stable, SAME).unwrap();
    // The job may have operators that the checkpoint has nothing of, and lack some without state.
    let mut smaller = point();
    smaller.metadata.operators.truncate(1);
    check(&smaller, ("job", 4), AssignerName::Stable, SAME).unwrap();
    check(&point(), ("job", 4), AssignerName::Stable, ["in", "count", "there"]).unwrap();

    assert_eq!(
        refused(("other", 4), AssignerName::Stable, SAME),
        "checkpoint 7 has job job, and the job has other"
    );
    assert_eq!(
        refused(("job", 8), AssignerName::Stable, SAME),
        "checkpoint 7 has max parallelism 4, and the job has 8"
    );
    assert_eq!(
        refused(("job", 4), AssignerName::Flink, SAME),
        "checkpoint 7 has key-group assigner stable, and the job has flink"
    );
    assert_eq!(
        refused(("job", 4), AssignerName::Stable, ["in", "tally", "out"]),
        "checkpoint 7 has state of operator \"count\", and the job has \"in\", \"tally\", \"out\""
    );
}
