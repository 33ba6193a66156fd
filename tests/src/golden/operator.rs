//! Operator state of each mode: split, union, broadcast, raw, and what the runtime keeps there, which is
//! the records in flight (SPEC 7.4) and the pending files of a sink.

use alluvium::core::{KeyGroupRange, OperatorStateHandle, OperatorUid, Parallelism, SubtaskIndex};
use alluvium::state::{
    BroadcastState, BroadcastStateDescriptor, ListStateDescriptor, OperatorListState,
    OperatorStateBackend, RawKeyedState, SnapshotTarget,
};
use bytes::Bytes;

/// A file of a sink that waits to be committed: pending name, final name, checkpoint.
type Transaction = (String, String, u64);

pub(super) struct States {
    pub(super) split: OperatorListState<u64>,
    pub(super) union: OperatorListState<Transaction>,
    pub(super) broadcast: BroadcastState<String, u64>,
    pub(super) raw: OperatorListState<Bytes>,
    pub(super) keyed: [(&'static str, RawKeyedState); 2],
}

pub(super) fn register(backend: &mut OperatorStateBackend, key_groups: KeyGroupRange) -> States {
    let keyed = ["raw keyed", "alluvium.in-flight"];
    let pending = ListStateDescriptor::<Transaction>::new("pending-files");
    States {
        split: backend.list_state(ListStateDescriptor::<u64>::new("split")).unwrap(),
        union: backend.union_list_state(pending).unwrap(),
        broadcast: backend.broadcast_state(BroadcastStateDescriptor::new("broadcast")).unwrap(),
        raw: backend.raw_operator_state("raw").unwrap(),
        keyed: keyed.map(|name| (name, backend.raw_keyed_state(name, key_groups).unwrap())),
    }
}

/// Writes the operator state of all subtasks.
pub(super) fn write(
    target: &SnapshotTarget,
    uid: &OperatorUid,
    parallelism: Parallelism,
) -> Vec<OperatorStateHandle> {
    parallelism.subtasks().map(|subtask| write_one(target, uid, subtask, parallelism)).collect()
}

fn write_one(
    target: &SnapshotTarget,
    uid: &OperatorUid,
    subtask: SubtaskIndex,
    parallelism: Parallelism,
) -> OperatorStateHandle {
    let mut backend = OperatorStateBackend::new(Vec::new());
    let key_groups = KeyGroupRange::of_subtask(subtask, parallelism).unwrap();
    let states = register(&mut backend, key_groups);
    let number = u64::from(subtask.get());
    backend.update(states.split, vec![number, 10 + number]).unwrap();
    let pending = format!("updates/pending-3/1-{number}.csv");
    let committed = format!("updates/part-3-{number}.csv");
    backend.update(states.union, vec![(pending, committed, 3)]).unwrap();
    backend.broadcast_put(states.broadcast, "rule".to_owned(), 5).unwrap();
    backend.broadcast_put(states.broadcast, String::new(), 6).unwrap();
    let raw = [&b""[..], &b"partition"[..]].map(Bytes::from_static);
    backend.update(states.raw, raw.to_vec()).unwrap();
    let mut writer = backend.write_raw_keyed(states.keyed[0].1).unwrap();
    writer.start_key_group(key_groups.first()).unwrap();
    writer.start_key_group(key_groups.last()).unwrap().extend_from_slice(b"section");
    writer.finish();
    // Each record in flight is a 1 and its encoding.
    let mut writer = backend.write_raw_keyed(states.keyed[1].1).unwrap();
    let records = writer.start_key_group(key_groups.first()).unwrap();
    records.extend_from_slice(b"\x01\x03one\x01\x03two");
    writer.finish();
    backend.freeze().unwrap().write(target, uid, subtask).unwrap().unwrap()
}
