use std::collections::BTreeSet;

use super::*;
use crate::behaviour::path;

#[test]
fn a_later_claim_fences_the_earlier_one() {
    let storage = crate::open("memory:fencing-two").unwrap();
    let first = claim_attempt(storage.as_ref()).unwrap();
    assert_eq!(first.get(), 1);
    check_attempt(storage.as_ref(), first).unwrap();
    let second = claim_attempt(storage.as_ref()).unwrap();
    assert_eq!(second.get(), 2);
    check_attempt(storage.as_ref(), second).unwrap();
    let error = check_attempt(storage.as_ref(), first).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attempt 1 of this job was replaced by attempt 2: \
         another process took over the checkpoint root"
    );
    assert_eq!(storage.read_all(&path("attempts/0000000002")).unwrap(), "2\n");
}

#[test]
fn claims_continue_after_the_highest_number_and_skip_foreign_names() {
    let storage = crate::open("memory:fencing-highest").unwrap();
    for name in ["0000000009", "0000000010", "99", "x", "0000000003.bak"] {
        storage.create(&path(&format!("attempts/{name}")), b"").unwrap();
    }
    assert_eq!(claim_attempt(storage.as_ref()).unwrap().get(), 11);
}

#[test]
fn claims_of_many_threads_all_differ() {
    let dir = tempfile::tempdir().unwrap();
    let storage = crate::LocalStorage::open(dir.path()).unwrap();
    let claimed: Vec<_> = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..8).map(|_| scope.spawn(|| claim_attempt(&storage))).collect();
        claims.into_iter().map(|claim| claim.join().unwrap().unwrap().get()).collect()
    });
    let distinct: BTreeSet<_> = claimed.iter().copied().collect();
    assert_eq!(distinct, (1..=8).collect(), "{claimed:?}");
}

#[test]
fn after_the_last_number_there_is_no_claim() {
    let storage = crate::open("memory:fencing-last").unwrap();
    storage.create(&JobLayout::attempt(AttemptId::new(u32::MAX)), b"").unwrap();
    let error = claim_attempt(storage.as_ref()).unwrap_err();
    assert!(matches!(error, StorageError::ClaimContended { .. }), "{error}");
}
