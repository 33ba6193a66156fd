use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorState, OperatorStateHandle,
    OperatorUid, Parallelism, SharedFile, StateHandle, StateLocation, StoragePath, SubtaskState,
};
use bytes::Bytes;

use super::*;
use crate::FormatError;

fn file(path: &str) -> StateHandle {
    let location = StateLocation::File(StoragePath::new(path).unwrap());
    StateHandle { location, len_bytes: 123_456, seal: 0xdead_beef }
}

fn shared(checkpoint: u8) -> SharedFile {
    let path = StoragePath::new(&format!("shared/count-0-keyed-2-{checkpoint}")).unwrap();
    SharedFile { path, len_bytes: 1000, seal: u32::from(checkpoint) }
}

fn inline(bytes: &'static [u8]) -> StateHandle {
    let location = StateLocation::Inline(Bytes::from_static(bytes));
    StateHandle { location, len_bytes: bytes.len() as u64, seal: 7 }
}

fn metadata() -> CheckpointMetadata {
    let max_parallelism = MaxParallelism::new(128).unwrap();
    let parallelism = Parallelism::new(2, max_parallelism).unwrap();
    let operator = |uid: &str, keyed: bool| OperatorState {
        uid: OperatorUid::new(uid).unwrap(),
        parallelism,
        subtasks: parallelism
            .subtasks()
            .map(|index| SubtaskState {
                index,
                keyed: keyed.then(|| KeyedStateHandle {
                    key_groups: KeyGroupRange::of_subtask(index, parallelism).unwrap(),
                    stream: file(&format!("chk-7/count-{index}-keyed-2")),
                    shared: if index.get() == 0 { vec![shared(5), shared(6)] } else { Vec::new() },
                    written: Vec::new(),
                }),
                operator: (index.get() == 1)
                    .then(|| OperatorStateHandle { stream: inline(b"operator state") }),
            })
            .collect(),
    };
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("wordcount").unwrap(),
            checkpoint: CheckpointId::new(7).unwrap(),
            attempt: AttemptId::new(2),
            triggered_at_ms: 1_700_000_000_000,
            completed_at_ms: 1_700_000_000_250,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![operator("source", false), operator("count", true)],
    }
}

fn read(bytes: &[u8]) -> Result<CheckpointMetadata, FormatError> {
    read_metadata(Bytes::copy_from_slice(bytes))
}

#[test]
fn what_was_written_is_read() {
    let bytes = write_metadata(&metadata()).unwrap();
    assert_eq!(read(&bytes).unwrap(), metadata());
    assert_eq!(write_metadata(&metadata()).unwrap(), bytes, "the same bytes each time");
    assert_eq!(metadata().state_len_bytes(), 2 * 123_456 + 2 * 14);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = write_metadata(&metadata()).unwrap();
    for position in 0..bytes.len() {
        assert!(read(&bytes[..position]).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(read(&damaged).is_err(), "byte {position} bit {bit}");
        }
    }
}

#[test]
fn a_range_that_is_not_the_one_of_the_subtask_is_refused() {
    let mut wrong = metadata();
    let keyed = wrong.operators[1].subtasks[0].keyed.as_mut().unwrap();
    keyed.key_groups = KeyGroupRange::new(0, 64, MaxParallelism::new(128).unwrap()).unwrap();
    let error = read(&write_metadata(&wrong).unwrap()).unwrap_err();
    assert!(error.to_string().contains("0..=64 instead of 0..=63"), "{error}");
}

#[test]
fn operators_and_paths_are_checked() {
    let mut twice = metadata();
    twice.operators[1].uid = twice.operators[0].uid.clone();
    let error = read(&write_metadata(&twice).unwrap()).unwrap_err();
    assert!(matches!(error, FormatError::Malformed { .. }), "{error}");

    let mut twice = metadata();
    let keyed = twice.operators[1].subtasks[0].keyed.as_mut().unwrap();
    keyed.shared = vec![shared(5), shared(5)];
    let error = read(&write_metadata(&twice).unwrap()).unwrap_err();
    assert!(error.to_string().contains("comes twice"), "{error}");

    for path in [*b"chk-7", *b"share"] {
        path_is_checked(path);
    }
}

fn path_is_checked(path: [u8; 5]) {
    let bytes = write_metadata(&metadata()).unwrap();
    let envelope = crate::envelope::Envelope::open_bytes(
        Bytes::from(bytes),
        crate::envelope::StreamKind::Metadata,
    )
    .unwrap();
    let mut index = envelope.index().to_vec();
    let at = index.windows(5).position(|w| w == path).unwrap();
    index[at..at + 5].copy_from_slice(b"../..");
    let writer = crate::envelope::EnvelopeWriter::new(Vec::new(), envelope.identity()).unwrap();
    let error = read(&writer.finish(&index).unwrap().0).unwrap_err();
    assert!(error.to_string().contains("is not allowed"), "{error}");
}
