use std::sync::Arc;

use alluvium_core::CheckpointId;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium_state::{KeyedStateBackend, SnapshotMode, StateBackend, UpdateType};
use alluvium_storage::{HandleReader, ReadAccess};

use super::*;
use crate::null_storage::NullStorage;
use crate::targets::{full_target, spec_of, write};

const FEW: u64 = 1_000;

fn subject(
    map: StateMapKind,
    kind: Kind,
    expiry: Option<Expiry>,
) -> Subject<HeapKeyedStateBackend<u64, DefaultCodec>> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let backend = HeapStateBackend::new(map);
    let keyed = backend.open(spec_of::<u64>(0, 1, KEY_GROUPS), &[], &nowhere).unwrap();
    Subject::new(keyed, kind, FEW, expiry)
}

#[test]
fn names_of_cases_kinds_and_steps_are_read_back() {
    assert!(Case::ALL.into_iter().all(|case| Case::of(case.name()) == Some(case)));
    assert!(Kind::ALL.into_iter().all(|kind| Kind::of(kind.name()) == Some(kind)));
    assert!(Step::ALL.into_iter().all(|step| Step::of(step.name()) == Some(step)));
    let of_kinds: usize = Kind::ALL.into_iter().map(|kind| kind.cases().count()).sum();
    assert_eq!(of_kinds, Case::ALL.len());
}

/// The first numbers that `benches/flink` draws as well: `SplitMix.java`, `Inputs.java`.
#[test]
fn inputs_are_the_same_on_every_machine() {
    assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
    let inputs = Inputs::new(FEW);
    let mut keys: Vec<u64> = inputs.accesses(0, FEW).iter().map(|access| access.key).collect();
    assert_ne!(keys, (0..FEW).collect::<Vec<_>>(), "they are shuffled");
    keys.sort_unstable();
    assert_eq!(keys, (0..FEW).collect::<Vec<_>>(), "each key has its turn");
    let [first, again] = [inputs.accesses(0, 1), inputs.accesses(1_000_000, 1)];
    assert_eq!(first[0].value, again[0].value);
    assert!(first[0].new_key >= FEW);
}

#[test]
fn a_case_leaves_behind_what_it_found() {
    for case in [Case::ValueGet, Case::ValueAdd, Case::ListGetAndIterate, Case::ListAdd]
        .into_iter()
        .chain([Case::MapGet, Case::MapContains, Case::MapIterate, Case::MapAdd])
    {
        let mut subject = subject(StateMapKind::CopyOnWrite, case.kind(), None);
        let before = subject.digest();
        subject.run(case, FEW / 2);
        subject.run(case, FEW / 2);
        assert_eq!(subject.digest(), before, "{}", case.name());
    }
}

#[test]
fn what_a_case_writes_is_there() {
    for case in [Case::ValueUpdate, Case::ListAppend, Case::ListUpdate].into_iter().chain([
        Case::MapUpdate,
        Case::MapPutAll,
        Case::MapRemove,
    ]) {
        let mut subject = subject(StateMapKind::CopyOnWrite, case.kind(), None);
        let before = subject.digest();
        subject.run(case, FEW);
        assert_ne!(subject.digest(), before, "{}", case.name());
    }
}

#[test]
fn both_maps_read_the_same() {
    for kind in Kind::ALL {
        let mut maps =
            [StateMapKind::CopyOnWrite, StateMapKind::Nested].map(|map| subject(map, kind, None));
        for case in kind.cases() {
            let [first, second] = maps.each_mut().map(|subject| subject.run(case, FEW).checksum);
            assert_eq!(first, second, "{}", case.name());
        }
        let [first, second] = maps.each_mut().map(Subject::digest);
        assert_eq!(first, second, "{}", kind.name());
    }
}

#[test]
fn what_was_restored_is_what_was_filled() {
    let policy = crate::targets::IN_MEMORY;
    for kind in Kind::ALL {
        let mut filled = subject(StateMapKind::CopyOnWrite, kind, None);
        let before = filled.digest();
        let storage = Arc::new(NullStorage::default());
        let target = full_target(storage.clone(), policy, CheckpointId::FIRST);
        let frozen = filled.keyed().freeze(CheckpointId::FIRST).unwrap();
        let handle = write(frozen, &target);
        let reader = HandleReader::new(storage, ReadAccess::Copy);
        let spec = spec_of::<u64>(0, 1, KEY_GROUPS);
        let keyed = HeapStateBackend::default().open(spec, &[handle], &reader).unwrap();
        assert_eq!(Subject::restored(keyed, kind, FEW).digest(), before, "{}", kind.name());
    }
}

#[test]
fn one_half_of_the_user_keys_that_are_asked_for_is_there() {
    let mut subject = subject(StateMapKind::CopyOnWrite, Kind::Map, None);
    assert_eq!(subject.run(Case::MapContains, FEW).checksum, FEW / 2);
}

#[test]
fn state_that_expires_is_filled_again_after_some_runs() {
    let expiry = Expiry { percent_per_run: 3, update: UpdateType::OnCreateAndWrite };
    let mut subject = subject(StateMapKind::CopyOnWrite, Kind::Value, Some(expiry));
    // The sum of what is left; runs 1 and 11 find the same.
    let sums: Vec<u64> = (0..11).map(|_| subject.run(Case::ValueGet, FEW).checksum).collect();
    assert_ne!(sums[0], sums[9]);
    assert_eq!(sums[0], sums[10]);
}

#[test]
fn rescaled_state_reads_the_same_at_every_parallelism() {
    let rescaling = Rescaling::new(HeapStateBackend::default(), FEW, SnapshotMode::Full);
    let [restored, out, into_one] = Step::ALL.map(|step| rescaling.run(step).checksum);
    assert_ne!(restored, 0);
    assert_eq!(restored, out);
    assert_eq!(restored, into_one);
}
