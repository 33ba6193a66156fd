//! The tables of the index of SST files.

use alluvium_core::{SharedFile, StoragePath};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::envelope::{Envelope, StreamIdentity, StreamKind};
use alluvium_format::sst::{
    MAX_LEVEL, MAX_SEQUENCE_NUMBER, SstIndexHeader, SstIndexWriter, SstMeta,
};

use crate::fields::{compare, text};
use crate::{identity, keyed_header, section};

fn snapshot(codec: &CodecSnapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(&mut bytes).unwrap();
    bytes
}

/// An index of fields of known values, in the order of the tables of 12.2.
#[test]
fn the_index_of_sst_files_has_the_fields_of_the_tables() {
    let keyed = keyed_header();
    let header = SstIndexHeader {
        uid: keyed.uid,
        max_parallelism: keyed.max_parallelism,
        assigner: keyed.assigner,
        key_groups: keyed.key_groups,
        key: keyed.key,
        states: keyed.states,
    };
    let path = "shared/count-0-sst-2-3-0";
    let file =
        SharedFile { path: StoragePath::new(path).unwrap(), len_bytes: 1 << 20, seal: 0x88e2_41b7 };
    let meta = SstMeta {
        level: 1,
        smallest_seqno: 2,
        largest_seqno: 3,
        entry_count: 4,
        checksum: 0x0102_0304,
        smallest_key: vec![0, 1, b'a'],
        largest_key: vec![3, 1, b'z'],
    };
    let mut writer = SstIndexWriter::new(header.clone());
    writer.sst(0, file, meta).unwrap();
    let identity = StreamIdentity { kind: StreamKind::SstIndex, ..identity() };
    let bytes = writer.finish(Vec::new(), &identity).unwrap().out;
    let envelope = Envelope::open_bytes(bytes.into(), StreamKind::SstIndex).unwrap();
    assert_eq!(envelope.index_offset(), 40);

    let state = &header.states[0];
    let number = |number: u64| number.to_le_bytes().to_vec();
    let parts = [
        ("operator uid", text("count")),
        ("max parallelism", vec![4, 0]),
        ("assigner", vec![1]),
        ("first key group", vec![0, 0]),
        ("last key group", vec![3, 0]),
        ("key codec", snapshot(&header.key)),
        ("number of states", vec![1, 0]),
        ("states: name", text("n")),
        ("states: kind", vec![1]),
        ("states: namespace codec", snapshot(&state.namespace)),
        ("states: value codec", snapshot(&state.value)),
        ("number of shared files", vec![1, 0]),
        ("shared files: path", text(path)),
        ("shared files: stream length", number(1 << 20)),
        ("shared files: seal", vec![0xb7, 0x41, 0xe2, 0x88]),
        ("SST lists: number of SSTs", vec![1, 0]),
        ("SST lists: SSTs: file number", vec![1, 0]),
        ("SST lists: SSTs: level", vec![1]),
        ("SST lists: SSTs: smallest sequence number", number(2)),
        ("SST lists: SSTs: largest sequence number", number(3)),
        ("SST lists: SSTs: entries", number(4)),
        ("SST lists: SSTs: checksum", vec![4, 3, 2, 1]),
        ("SST lists: SSTs: smallest key", vec![3, 0, 1, b'a']),
        ("SST lists: SSTs: largest key", vec![3, 3, 1, b'z']),
    ];
    let tables = [
        ("", "12.2", "operator uid"),
        ("states: ", "6.2", "name"),
        ("shared files: ", "6.2", "path"),
        ("SST lists: ", "12.2", "number of SSTs"),
        ("SST lists: SSTs: ", "12.2", "file number"),
    ];
    compare(envelope.index(), &parts, &tables);
    assert!(section("12.2").contains("the seal is always `88e241b7`"));
    assert!(section("12.2").contains(&format!("at most {MAX_LEVEL} |")));
    assert_eq!(MAX_SEQUENCE_NUMBER.count_ones(), 56);
}
