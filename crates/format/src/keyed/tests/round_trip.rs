//! Any stream that the writer writes is what the reader reads, and the writer writes no other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// A block as a test asks for it: in this stream, or somewhere in a shared file.
#[derive(Debug, Clone)]
struct Wanted {
    far: Option<(u16, u64)>,
    records: u16,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Layout {
    Segmented(Vec<Vec<Wanted>>),
    Unsegmented(Vec<Wanted>),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let far = proptest::option::of((1..4_u16, 40..u64::from(u32::MAX)));
    let bytes = vec(any::<u8>(), 0..200);
    (far, any::<u16>(), bytes).prop_map(|(far, records, bytes)| Wanted { far, records, bytes })
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        vec(vec(wanted(), 0..5), 1..9).prop_map(Layout::Segmented),
        vec(wanted(), 1..9).prop_map(Layout::Unsegmented),
    ]
}

fn write_block(writer: &mut KeyedWriter<Vec<u8>>, is_delta: bool, wanted: &Wanted) -> BlockRef {
    let records = u32::from(wanted.records);
    let Some((file, offset)) = wanted.far else {
        return writer.block(is_delta, records, &wanted.bytes).unwrap();
    };
    let large = SharedFile { len_bytes: u64::MAX, ..shared(file) };
    let file = writer.shared_file(&large).unwrap();
    let len_bytes = u32::try_from(wanted.bytes.len()).unwrap();
    let checksum = crc32fast::hash(&wanted.bytes);
    BlockRef { file, is_delta, records, block: Block { offset, len_bytes, checksum } }
}

fn write_map(writer: &mut KeyedWriter<Vec<u8>>, layout: &Layout) -> MapLayout {
    match layout {
        Layout::Segmented(chains) => MapLayout::Segmented(
            chains
                .iter()
                .map(|chain| {
                    let blocks: Vec<_> = chain
                        .iter()
                        .enumerate()
                        .map(|(place, wanted)| write_block(writer, place > 0, wanted))
                        .collect();
                    let records = blocks.iter().map(|block| block.records).sum::<u32>();
                    Chain { entry_count: records / 2, blocks }
                })
                .collect(),
        ),
        Layout::Unsegmented(blocks) => MapLayout::Unsegmented(
            blocks.iter().map(|wanted| write_block(writer, false, wanted)).collect(),
        ),
    }
}

proptest! {
    #[test]
    fn any_stream_comes_back(
        layouts in btree_map((10..=20_u16, 0..2_u16), layout(), 0..8),
    ) {
        let mut writer = writer();
        let mut maps = Vec::new();
        for (&(key_group, state), layout) in &layouts {
            let layout = write_map(&mut writer, layout);
            let map = MapEntry { key_group: group(key_group), state, layout };
            writer.map(map.clone()).unwrap();
            maps.push(map);
        }
        let finished = writer.finish().unwrap();
        let reader = open(&finished.out).unwrap();
        prop_assert_eq!(reader.maps(), maps);
        prop_assert_eq!(reader.shared(), finished.shared);
        prop_assert_eq!(reader.seal(), finished.seal);
        let asked = layouts.values().flat_map(|layout| match layout {
            Layout::Segmented(chains) => chains.concat(),
            Layout::Unsegmented(blocks) => blocks.clone(),
        });
        let blocks = reader.maps().iter().flat_map(MapEntry::blocks);
        for (asked, block) in asked.zip(blocks) {
            prop_assert_eq!(asked.far.is_none(), block.is_own());
            if block.is_own() {
                prop_assert_eq!(reader.block(block).unwrap(), asked.bytes);
            }
        }
    }

    #[test]
    fn random_bytes_as_an_index_never_panic(
        index in vec(any::<u8>(), 0..300),
        head in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        if head {
            header().encode(&mut bytes).unwrap();
        }
        bytes.extend(index);
        let writer = crate::envelope::EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
        let _ = open(&writer.finish(&bytes).unwrap().0);
    }
}

/// What the writer says, and the maps of which it says so.
type Case<'a> = (&'a str, &'a dyn Fn(&mut KeyedWriter<Vec<u8>>) -> Vec<MapEntry>);

/// What the writer says when a caller breaks a rule.
fn panic_of(act: impl FnOnce(&mut KeyedWriter<Vec<u8>>)) -> String {
    let mut writer = writer();
    let panic = catch_unwind(AssertUnwindSafe(move || {
        act(&mut writer);
        drop(writer.finish());
    }));
    *panic.expect_err("the writer panics").downcast::<String>().unwrap()
}

#[test]
fn the_writer_writes_no_map_that_the_reader_refuses() {
    let map = |key_group, state, layout| MapEntry { key_group: group(key_group), state, layout };
    let chains = |chains| MapLayout::Segmented(chains);
    let empty = |key_group, state| map(key_group, state, chains(vec![Chain::default()]));
    let of = |entry_count, blocks| chains(vec![Chain { entry_count, blocks }]);
    let cases: [Case<'_>; 14] = [
        ("comes after", &|_| vec![empty(11, 0), empty(11, 0)]),
        ("comes after", &|_| vec![empty(11, 0), empty(10, 1)]),
        ("key group 21 is in 10..=20", &|_| vec![empty(21, 0)]),
        ("state 2 is one of 2", &|_| vec![empty(10, 2)]),
        ("a map has no segments", &|_| vec![map(10, 0, chains(Vec::new()))]),
        ("a map has no blocks", &|_| vec![map(10, 0, MapLayout::Unsegmented(Vec::new()))]),
        ("then delta blocks", &|writer| {
            vec![map(10, 0, of(1, vec![writer.block(true, 1, b"x").unwrap()]))]
        }),
        ("has a delta block", &|writer| {
            let block = writer.block(true, 1, b"x").unwrap();
            vec![map(10, 0, MapLayout::Unsegmented(vec![block]))]
        }),
        ("more entries than", &|writer| {
            vec![map(10, 0, of(2, vec![writer.block(false, 1, b"x").unwrap()]))]
        }),
        ("more than 255 blocks", &|writer| {
            let block = |place| writer.block(place > 0, 1, b"x").unwrap();
            vec![map(10, 0, of(1, (0..256).map(block).collect()))]
        }),
        ("as they were written", &|writer| {
            let mut blocks = [b"x", b"y"].map(|bytes| writer.block(false, 1, bytes).unwrap());
            blocks.reverse();
            let blocks = blocks.to_vec();
            vec![map(10, 0, MapLayout::Unsegmented(blocks))]
        }),
        ("every block belongs to a map", &|writer| {
            writer.block(false, 1, b"x").unwrap();
            Vec::new()
        }),
        ("every shared file is referred to", &|writer| {
            writer.shared_file(&shared(1)).unwrap();
            Vec::new()
        }),
        ("lie in shared file 1", &|_| vec![map(10, 0, of(1, vec![in_shared(1, false, 40)]))]),
    ];
    for (said, maps) in cases {
        let panic = panic_of(|writer| {
            for map in maps(writer) {
                writer.map(map).unwrap();
            }
        });
        assert!(panic.contains(said), "{panic} says {said:?}");
    }
}

#[test]
fn a_shared_file_has_one_length_and_one_seal() {
    let mut writer = writer();
    writer.shared_file(&shared(1)).unwrap();
    for other in [SharedFile { seal: 9, ..shared(1) }, SharedFile { len_bytes: 9, ..shared(1) }] {
        let error = writer.shared_file(&other).unwrap_err();
        assert!(matches!(error, FormatError::Malformed { what: "shared file", .. }), "{error}");
    }
}

#[test]
fn at_most_65_535_shared_files() {
    let mut writer = writer();
    let numbers: BTreeMap<u16, u16> = (1..=u16::MAX)
        .map(|number| (number, writer.shared_file(&shared(number)).unwrap()))
        .collect();
    assert!(numbers.iter().all(|(number, given)| number == given));
    let error = writer.shared_file(&shared(0)).unwrap_err();
    assert!(matches!(error, FormatError::Limit { limit: 65_535, .. }), "{error}");
}
