use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointProperties, JobId, MaxParallelism,
    OperatorState,
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

fn uids(names: [&str; 3]) -> OperatorUids {
    let [source, operator, sink] = names.map(|name| OperatorUid::new(name).unwrap());
    OperatorUids { source, operator, sink }
}

/// A checkpoint of the operators `in`, `count` and `out`.
fn point() -> RestorePoint {
    let mut metadata = metadata(7, 1);
    let parallelism = Parallelism::new(2, metadata.properties.max_parallelism).unwrap();
    metadata.operators = uids(["in", "count", "out"])
        .all()
        .map(|uid| OperatorState { uid: uid.clone(), parallelism, subtasks: Vec::new() })
        .to_vec();
    let storage = open("memory:restore-check").unwrap();
    RestorePoint { metadata, storage, is_owned: true, copies: None }
}

#[test]
fn what_differs_between_a_checkpoint_and_the_job_is_named() {
    let (job, max) = (JobId::new("job").unwrap(), MaxParallelism::new(4).unwrap());
    let same = ["in", "count", "out"];
    let check = |job: &str, max, assigner, names| {
        let (job, max) = (JobId::new(job).unwrap(), MaxParallelism::new(max).unwrap());
        let refused = point().check(&job, max, assigner, &uids(names)).unwrap_err();
        assert!(matches!(refused, JobError::Incompatible { .. }) && !refused.may_restart());
        refused.to_string()
    };
    point().check(&job, max, AssignerName::Stable, &uids(same)).unwrap();
    // The job may have operators that the checkpoint has nothing of.
    let mut smaller = point();
    smaller.metadata.operators.truncate(1);
    smaller.check(&job, max, AssignerName::Stable, &uids(same)).unwrap();

    assert_eq!(
        check("other", 4, AssignerName::Stable, same),
        "checkpoint 7 has job job, and the job has other"
    );
    assert_eq!(
        check("job", 8, AssignerName::Stable, same),
        "checkpoint 7 has max parallelism 4, and the job has 8"
    );
    assert_eq!(
        check("job", 4, AssignerName::Flink, same),
        "checkpoint 7 has key-group assigner stable, and the job has flink"
    );
    assert_eq!(
        check("job", 4, AssignerName::Stable, ["in", "tally", "out"]),
        "checkpoint 7 has state of operator \"count\", and the job has \"in\", \"tally\", \"out\""
    );
}
