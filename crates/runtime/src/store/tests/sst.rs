//! Checkpoints whose keyed state is SST files.

use alluvium_core::CheckpointMetadata;
use alluvium_format::codec::{Codec, HasCodec};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_format::sst::{SstIndexHeader, SstIndexWriter, SstMeta};

use super::*;

const TABLES: [&[u8]; 2] = [b"the first table", b"a second table"];

fn index_of(
    ssts: impl IntoIterator<Item = (SharedFile, SstMeta)>,
) -> alluvium_format::keyed::Finished<Vec<u8>> {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let codec = <u64 as HasCodec>::Codec::default().snapshot();
    let state = StateMeta {
        name: "n".to_owned(),
        kind: StateKind::Value,
        namespace: <() as HasCodec>::Codec::default().snapshot(),
        value: codec.clone(),
    };
    let mut writer = SstIndexWriter::new(SstIndexHeader {
        uid: OperatorUid::new("op").unwrap(),
        max_parallelism,
        assigner: AssignerName::Stable,
        key_groups: max_parallelism.all_key_groups(),
        key: codec,
        states: vec![state],
    });
    for (file, meta) in ssts {
        writer.sst(0, file, meta).unwrap();
    }
    let identity = StreamIdentity {
        kind: StreamKind::SstIndex,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: id(1),
        attempt: AttemptId::new(1),
    };
    writer.finish(Vec::new(), &identity).unwrap()
}

fn sst_of(number: u32, table: &[u8]) -> (SharedFile, SstMeta) {
    let uid = OperatorUid::new("op").unwrap();
    let path =
        JobLayout::shared_sst_file(id(1), &uid, SubtaskIndex::new(0), AttemptId::new(1), number);
    let seal = alluvium_storage::seal_of(table);
    let meta = SstMeta {
        level: 0,
        smallest_seqno: 1,
        largest_seqno: 2,
        entry_count: 3,
        checksum: alluvium_format::sst::checksum_of(table),
        smallest_key: vec![0],
        largest_key: vec![3],
    };
    (SharedFile { path, len_bytes: table.len() as u64, seal }, meta)
}

/// A checkpoint of two SSTs, whose index is inlined.
fn checkpoint_of_ssts() -> CheckpointMetadata {
    let index = index_of((0..).zip(TABLES).map(|(number, table)| sst_of(number, table)));
    let len_bytes = index.out.len() as u64;
    let location = StateLocation::Inline(index.out.into());
    let mut metadata =
        with_keyed(1, AttemptId::new(1), StateHandle { location, len_bytes, seal: index.seal });
    keyed_of(&mut metadata).shared = index.shared;
    metadata
}

fn keyed_of(metadata: &mut CheckpointMetadata) -> &mut KeyedStateHandle {
    metadata.operators[0].subtasks[0].keyed.as_mut().unwrap()
}

fn write(store: &CheckpointStore, tables: [&[u8]; 2]) {
    for (number, table) in (0..).zip(tables) {
        let (file, _) = sst_of(number, b"");
        store.storage().delete(&file.path).unwrap();
        store.storage().create(&file.path, table).unwrap();
    }
}

fn refused(store: &CheckpointStore, metadata: &CheckpointMetadata) -> RestoreError {
    match store.verify(metadata).unwrap_err() {
        StoreError::State { source, .. } => *source,
        other => panic!("{other}"),
    }
}

#[test]
fn every_byte_of_every_sst_is_compared() {
    let store = store("sst-bytes");
    let metadata = checkpoint_of_ssts();
    let missing = refused(&store, &metadata);
    assert!(matches!(missing, RestoreError::Storage(StorageError::NotFound { .. })), "{missing}");
    write(&store, TABLES);
    store.verify(&metadata).unwrap();
    for place in 0..TABLES[1].len() {
        let mut damaged = TABLES[1].to_vec();
        damaged[place] ^= 1;
        write(&store, [TABLES[0], &damaged]);
        let error = refused(&store, &metadata);
        let in_seal = place >= TABLES[1].len() - 4;
        match &error {
            RestoreError::Storage(StorageError::SealMismatch { .. }) if in_seal => {}
            RestoreError::Damaged { .. } if !in_seal => {}
            other => panic!("byte {place}: {other}"),
        }
        assert!(error.to_string().contains("shared/op-0-sst-1-1-1"), "{error}");
    }
    write(&store, [TABLES[0], &TABLES[1][1..]]);
    let cut = refused(&store, &metadata);
    assert!(matches!(cut, RestoreError::Storage(StorageError::Truncated { .. })), "{cut}");
}

#[test]
fn the_index_must_be_the_one_that_the_metadata_says() {
    let store = store("sst-index");
    write(&store, TABLES);
    let metadata = checkpoint_of_ssts();
    let differs = |change: &dyn Fn(&mut CheckpointMetadata), wanted: &str| {
        let mut metadata = metadata.clone();
        change(&mut metadata);
        let error = refused(&store, &metadata);
        let RestoreError::Mismatch { what, .. } = &error else { panic!("{error}") };
        assert_eq!(*what, wanted, "{error}");
    };
    differs(&|it| it.operators[0].uid = OperatorUid::new("other").unwrap(), "operator");
    differs(&|it| it.operators[0].subtasks[0].index = SubtaskIndex::new(1), "subtask");
    differs(&|it| it.properties.assigner = AssignerName::Flink, "key-group assigner");
    differs(
        &|it| it.properties.max_parallelism = MaxParallelism::new(8).unwrap(),
        "max parallelism",
    );
    let half = KeyGroupRange::new(0, 1, MaxParallelism::new(4).unwrap()).unwrap();
    differs(&|it| keyed_of(it).key_groups = half, "key-group range");
    differs(&|it| keyed_of(it).shared.reverse(), "shared files");
    differs(&|it| drop(keyed_of(it).shared.pop()), "shared files");
}

#[test]
fn an_index_that_is_damaged_is_named() {
    let store = store("sst-damaged");
    write(&store, TABLES);
    let mut metadata = checkpoint_of_ssts();
    let stream = &mut keyed_of(&mut metadata).stream;
    let StateLocation::Inline(bytes) = &stream.location else { panic!("inlined") };
    let mut damaged = bytes.to_vec();
    damaged[50] ^= 1;
    stream.location = StateLocation::Inline(damaged.into());
    let error = refused(&store, &metadata);
    assert!(matches!(error, RestoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("state of op subtask 0 inside the metadata"), "{error}");
}

#[test]
fn sst_files_that_no_checkpoint_refers_to_are_leftovers() {
    let folder = Folder::new();
    let store = folder.open();
    store.claim_attempt().unwrap();
    write(&store, TABLES);
    folder.write("shared/op-0-sst-1-1-2");
    folder.write("shared/op-0-sst-1-2-0");
    let metadata = checkpoint_of_ssts();
    store.commit(&metadata).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(folder.names("shared"), ["op-0-sst-1-1-0", "op-0-sst-1-1-1"]);
    store.verify(&metadata).unwrap();
}
