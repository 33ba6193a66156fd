//! State that another backend wrote as its own files is refused, with what to do.

use alluvium_core::{AttemptId, KeyedStateHandle, StateHandle, StateLocation, SubtaskIndex};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_format::keyed::KeyedReader;
use alluvium_format::sst::{SstIndexHeader, SstIndexWriter};
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::{KeyedStateBackend, RestoreError, ValueStateDescriptor};
use alluvium_testkit::job::TestJob;

#[test]
fn sst_files_are_refused_by_name() {
    for backend in
        [HeapStateBackend::default(), HeapStateBackend::new(StateMapKind::CopyOnWrite).lazy()]
    {
        let job = TestJob::<_, u32>::new(&backend);
        let mut state = job.open_one(&[]);
        let number = state.value_state(ValueStateDescriptor::<u32>::new("n")).unwrap();
        number.set(&mut state.at(&1).unwrap(), 1).unwrap();
        let [handle] = <[_; 1]>::try_from(job.snapshot_one(&mut state)).unwrap();
        let keyed = KeyedReader::open_bytes(job.reader().open(&handle.stream).unwrap()).unwrap();
        let header = keyed.header().clone();
        let writer = SstIndexWriter::new(SstIndexHeader {
            uid: header.uid,
            max_parallelism: header.max_parallelism,
            assigner: header.assigner,
            key_groups: header.key_groups,
            key: header.key,
            states: header.states,
        });
        let identity = StreamIdentity {
            kind: StreamKind::SstIndex,
            subtask: Some(SubtaskIndex::new(0)),
            checkpoint: keyed.identity().checkpoint,
            attempt: AttemptId::new(1),
        };
        let index = writer.finish(Vec::new(), &identity).unwrap();
        let len_bytes = index.out.len() as u64;
        let location = StateLocation::Inline(index.out.into());
        let stream = StateHandle { location, len_bytes, seal: index.seal };
        let Err(error) = job.try_open_one(&[KeyedStateHandle { stream, ..handle }]) else {
            panic!("an index of SST files is restored")
        };
        let kind = StreamKind::SstIndex;
        assert!(matches!(error, RestoreError::OtherBackend { kind: it, .. } if it == kind));
        assert!(error.to_string().contains("take a checkpoint or savepoint"), "{error}");
    }
}
