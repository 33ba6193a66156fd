//! The tables of the index of a keyed stream.

use alluvium_core::{KeyGroup, SharedFile, StoragePath};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::envelope::{Block, Envelope, StreamKind};
use alluvium_format::keyed::{BlockRef, Chain, KeyedWriter, MapEntry, MapLayout};

use crate::fields::{compare, text};
use crate::{CHECKED, SEED, identity, keyed_header, number, section, table, to_hex, unhex};

fn file(number: u16) -> SharedFile {
    let path = StoragePath::new(&format!("shared/count-0-keyed-1-{number}")).unwrap();
    SharedFile { path, len_bytes: 1 << 20, seal: u32::from(number) }
}

fn index_of(bytes: Vec<u8>) -> Vec<u8> {
    Envelope::open_bytes(bytes.into(), StreamKind::Keyed).unwrap().index().to_vec()
}

/// An index of fields of known values, in the order of the tables of 6.2 and 6.5.
#[test]
fn the_index_of_a_keyed_stream_has_the_fields_of_the_tables() {
    let header = keyed_header();
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &header).unwrap();
    let number = writer.shared_file(&file(1)).unwrap();
    let block = Block { offset: 40, len_bytes: 300, checksum: 0x0102_0304 };
    let blocks = vec![BlockRef { file: number, is_delta: false, records: 9, block }];
    let layout = MapLayout::Segmented(vec![Chain { entry_count: 9, blocks }, Chain::default()]);
    let key_group = KeyGroup::new(2, header.max_parallelism).unwrap();
    writer.map(MapEntry { key_group, state: 0, layout }).unwrap();
    let index = index_of(writer.finish().unwrap().out);

    let snapshot = |codec: &CodecSnapshot| {
        let mut bytes = Vec::new();
        codec.encode(&mut bytes).unwrap();
        bytes
    };
    let state = &header.states[0];
    let parts = [
        ("operator uid", text("count")),
        ("max parallelism", vec![4, 0]),
        ("assigner", vec![1]),
        ("first key group", vec![0, 0]),
        ("last key group", vec![3, 0]),
        ("key codec", snapshot(&header.key)),
        ("number of seed runs", vec![1, 0]),
        ("seed runs: last key group", vec![3, 0]),
        ("seed runs: hash seed", SEED.to_le_bytes().to_vec()),
        ("number of states", vec![1, 0]),
        ("states: name", text("n")),
        ("states: kind", vec![1]),
        ("states: namespace codec", snapshot(&state.namespace)),
        ("states: value codec", snapshot(&state.value)),
        ("number of shared files", vec![1, 0]),
        ("shared files: path", text("shared/count-0-keyed-1-1")),
        ("shared files: stream length", (1_u64 << 20).to_le_bytes().to_vec()),
        ("shared files: seal", vec![1, 0, 0, 0]),
        ("number of maps", vec![1, 0, 0, 0]),
        ("maps: key group", vec![2, 0]),
        ("maps: state", vec![0, 0]),
        ("maps: layout", vec![1]),
        ("maps: number of parts", vec![2]),
        ("maps: parts: chain length", vec![1]),
        ("maps: parts: entry count", vec![9]),
        ("maps: parts: blocks: flags", vec![2]),
        ("maps: parts: blocks: file number", vec![1]),
        ("maps: parts: blocks: offset", vec![40]),
        ("maps: parts: blocks: stored length", vec![0xac, 2]),
        ("maps: parts: blocks: records", vec![9]),
        ("maps: parts: blocks: checksum", vec![4, 3, 2, 1]),
        ("maps: parts: chain length", vec![0]),
    ];
    let tables = [
        ("", "6.2", "operator uid"),
        ("seed runs: ", "6.2", "last key group"),
        ("states: ", "6.2", "name"),
        ("shared files: ", "6.2", "path"),
        ("maps: ", "6.5", "key group"),
        ("maps: parts: ", "6.5", "chain length"),
        ("maps: parts: blocks: ", "6.5", "flags"),
    ];
    compare(&index, &parts, &tables);
}

#[test]
fn blocks_in_an_index_are_the_bytes_of_the_table() {
    let checksum = crc32fast::hash(CHECKED);
    assert!(section("6.5").contains(&format!("has the checksum `{checksum:08x}`")));
    for [block, hex] in table("6.5", ["block", "bytes (hex)"]) {
        let words: Vec<_> = block.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let before = |unit: &str| {
            let at = words.iter().position(|word| word.trim_end_matches('s') == unit).unwrap();
            number::<u32>(words[at - 1])
        };
        let after = |word: &str| {
            let at = words.iter().position(|found| *found == word)?;
            Some(number::<u64>(words[at + 1]))
        };
        let (len_bytes, records, is_delta) =
            (before("byte"), before("record"), words[0] == "delta");
        let mut writer = KeyedWriter::new(Vec::new(), &identity(), &keyed_header()).unwrap();
        let far = after("file").map(|file| (u16::try_from(file).unwrap(), after("at").unwrap()));
        let place = |file, offset, len_bytes, records, checksum| {
            let block = Block { offset, len_bytes, checksum };
            BlockRef { file, is_delta: false, records, block }
        };
        // Whatever is before the block: every other shared file, and the full block of the chain.
        let others: Vec<_> = (1..=far.map_or(0, |(file, _)| file))
            .map(|number| place(writer.shared_file(&file(number)).unwrap(), 40, 0, 0, 0))
            .collect();
        let base = is_delta.then(|| writer.block(false, 0, b"").unwrap());
        let block = match far {
            Some((file, offset)) => {
                BlockRef { is_delta, ..place(file, offset, len_bytes, records, checksum) }
            }
            None => writer.block(is_delta, records, CHECKED).unwrap(),
        };
        let all = others.into_iter().map(|other| Chain { entry_count: 0, blocks: vec![other] });
        let last = Chain { entry_count: 0, blocks: base.into_iter().chain([block]).collect() };
        let layout = MapLayout::Segmented(all.chain([last]).collect());
        let key_group = keyed_header().key_groups.first();
        writer.map(MapEntry { key_group, state: 0, layout }).unwrap();
        let index = index_of(writer.finish().unwrap().out);
        assert!(index.ends_with(&unhex(hex)), "{block:?}: {}", to_hex(&index));
    }
}
