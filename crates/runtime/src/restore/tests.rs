use alluvium_core::{AttemptId, CheckpointId, CheckpointProperties};
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
