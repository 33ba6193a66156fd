//! The worked example: it is what the code writes, and says what its text says.

use std::collections::BTreeMap;

use alluvium_core::key_hash::{stable_hash, stable_key_group};
use alluvium_core::{
    AssignerName, CheckpointMetadata, CheckpointProperties, JobId, KeyGroup, KeyGroupRange,
    KeyedStateHandle, MaxParallelism, OperatorState, OperatorUid, Parallelism, StateHandle,
    StateLocation, SubtaskIndex, SubtaskState,
};
use alluvium_format::codec::{Codec, Input, StringCodec};
use alluvium_format::keyed::{
    BlockRef, Chain, Finished, KeyedReader, KeyedWriter, MapEntry, MapLayout, read_delta_header,
    write_delta_header,
};
use alluvium_format::metadata::{read_metadata, write_metadata};

use crate::{encode, identity, keyed_header, number, section, table, to_hex, unhex};

/// The file of section 11: its lines are offset, bytes, `;` and a meaning.
fn example_file() -> Vec<u8> {
    let (_, block) = section("11").split_once("```hex\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    let mut file = Vec::new();
    for line in block.lines() {
        let (bytes, meaning) = line.split_once(';').unwrap();
        assert!(!meaning.trim().is_empty(), "a meaning: {line}");
        let (offset, bytes) = bytes.split_once("  ").unwrap();
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), file.len(), "offset of {line}");
        file.extend(unhex(bytes));
    }
    file
}

/// The entries of the example: key, encoded key, key group, value.
fn example_entries() -> Vec<(&'static str, Vec<u8>, KeyGroup, u64)> {
    let max = MaxParallelism::new(4).unwrap();
    let rows = table("11", ["key", "encoded key", "XXH64", "key group", "value"]);
    rows.into_iter()
        .map(|[key, encoded, hash, group, value]| {
            let (encoded, group) = (unhex(encoded), KeyGroup::new(number(group), max).unwrap());
            assert_eq!(encode(&key.to_owned()).1, encoded);
            assert_eq!(format!("{:016x}", stable_hash(&encoded)), hash);
            assert_eq!(stable_key_group(&encoded, max), group);
            (key, encoded, group, number(value))
        })
        .collect()
}

/// The stream that the text of the example tells: two segments, of which the first is empty, and a
/// chain of a full block and a delta block.
fn example_stream() -> Finished<Vec<u8>> {
    let entry = |key: &str, value: u64| [encode(&key.to_owned()).1, encode(&value).1].concat();
    let [(a, _, first, one), (be, _, second, now)] = &example_entries()[..] else {
        panic!("two entries")
    };
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &keyed_header()).unwrap();
    let only = writer.block(false, 1, &entry(a, *one)).unwrap();
    let before = [entry(be, 299), entry("e", 5)].concat();
    let full = writer.block(false, 2, &before).unwrap();
    let mut changes = Vec::new();
    write_delta_header(1, &mut changes);
    changes.extend(encode(&"e".to_owned()).1);
    changes.extend(entry(be, *now));
    let delta = writer.block(true, 2, &changes).unwrap();
    let chain = |blocks: Vec<BlockRef>| Chain { entry_count: 1, blocks };
    let (empty, map) = (Chain::default(), |key_group, chains| MapEntry {
        key_group,
        state: 0,
        layout: MapLayout::Segmented(chains),
    });
    writer.map(map(*first, vec![empty, chain(vec![only])])).unwrap();
    writer.map(map(*second, vec![chain(vec![full, delta])])).unwrap();
    writer.finish().unwrap()
}

/// What the text of the example says, as the code writes it.
fn example_metadata() -> CheckpointMetadata {
    let Finished { out: bytes, seal, shared } = example_stream();
    let len_bytes = bytes.len() as u64;
    let stream = StateHandle { location: StateLocation::Inline(bytes.into()), len_bytes, seal };
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let key_groups = max_parallelism.all_key_groups();
    let keyed = KeyedStateHandle { key_groups, stream, shared, written: Vec::new() };
    let index = SubtaskIndex::new(0);
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("wordcount").unwrap(),
            checkpoint: identity().checkpoint,
            attempt: identity().attempt,
            triggered_at_ms: 1_700_000_000_000,
            completed_at_ms: 1_700_000_000_250,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState {
            uid: OperatorUid::new("count").unwrap(),
            parallelism: Parallelism::new(1, max_parallelism).unwrap(),
            subtasks: vec![SubtaskState { index, keyed: Some(keyed), operator: None }],
        }],
    }
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let written = write_metadata(&example_metadata()).unwrap();
    assert_eq!(to_hex(&example_file()), to_hex(&written));
}

/// The entries of a map once its chains are applied.
fn entries_of(reader: &KeyedReader, map: &MapEntry) -> Vec<(String, KeyGroup, u64)> {
    let MapLayout::Segmented(chains) = &map.layout else { panic!("segmented") };
    let mut all = Vec::new();
    for chain in chains {
        let mut entries = BTreeMap::new();
        for block in &chain.blocks {
            let bytes = reader.block(block).unwrap();
            let mut input = Input::new(&bytes);
            let removals = if block.is_delta {
                read_delta_header(&mut input, block.records).unwrap()
            } else {
                0
            };
            for _ in 0..removals {
                entries.remove(&StringCodec.decode(&mut input).unwrap());
            }
            for _ in removals..block.records {
                let key = StringCodec.decode(&mut input).unwrap();
                entries.insert(key, input.u64("value").unwrap());
            }
            assert!(input.is_empty());
        }
        assert_eq!(entries.len() as u64, u64::from(chain.entry_count));
        all.extend(entries.into_iter().map(|(key, value)| (key, map.key_group, value)));
    }
    all
}

#[test]
fn the_worked_example_says_what_its_text_says() {
    let metadata = read_metadata(example_file().into()).unwrap();
    assert_eq!(metadata, example_metadata());
    assert_eq!(write_metadata(&metadata).unwrap(), example_file());

    let [operator] = &metadata.operators[..] else { panic!("one operator") };
    let [subtask] = &operator.subtasks[..] else { panic!("one subtask") };
    let handle = subtask.keyed.as_ref().unwrap();
    let all = KeyGroupRange::new(0, 3, metadata.properties.max_parallelism).unwrap();
    assert_eq!((handle.key_groups, &subtask.operator), (all, &None));
    let StateLocation::Inline(stream) = &handle.stream.location else { panic!("inlined") };
    assert_eq!(stream.len() as u64, handle.stream.len_bytes);
    assert_eq!(stream[stream.len() - 4..], handle.stream.seal.to_le_bytes());

    let reader = KeyedReader::open_bytes(stream.clone()).unwrap();
    assert_eq!((reader.header(), reader.identity()), (&keyed_header(), &identity()));
    assert_eq!((reader.shared(), &handle.shared), (&[][..], &Vec::new()));
    let found: Vec<_> = reader.maps().iter().flat_map(|map| entries_of(&reader, map)).collect();
    let expected: Vec<_> = example_entries()
        .into_iter()
        .map(|(key, _, group, value)| (key.to_owned(), group, value))
        .collect();
    assert_eq!(found, expected);

    let text = section("11");
    let seals = [
        format!("the seal `{}`", to_hex(&example_file()[example_file().len() - 4..])),
        format!("the length {} and", stream.len()),
        format!("the seal `{}`", to_hex(&handle.stream.seal.to_le_bytes())),
    ];
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in seals {
        assert!(flat.contains(&said), "section 11 says {said:?}");
    }
}
