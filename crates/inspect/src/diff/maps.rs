//! The entries of one state in one key group on both sides.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{SharedFile, StoragePath};
use alluvium_format::codec::{Extent, Input, read_count};
use alluvium_format::keyed::{BlockRef, MapEntry, StateKind, StateMeta};
use alluvium_state::{Segment, StreamEntries};

use super::StateDiff;
use crate::entries::BlockStream;
use crate::key_group::EncodedAssigner;
use crate::{InspectError, Progress};

/// One of two maps.
pub(super) struct Side<'s> {
    stream: &'s BlockStream,
    map: &'s MapEntry,
    meta: &'s StateMeta,
}

/// Where a block lies, whoever refers to it, and its checksum.
type BlockId = (StoragePath, u64, u32, u64, u32, u32);

impl<'s> Side<'s> {
    pub(super) fn new((stream, map, meta): (&'s BlockStream, &'s MapEntry, &'s StateMeta)) -> Self {
        Self { stream, map, meta }
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'s>> {
        Segment::of(self.map)
    }

    /// `None` for a block inside of metadata: the other side has another one.
    fn id(&self, block: &BlockRef) -> Option<BlockId> {
        let handle = &self.stream.handle;
        let own = || {
            let path = handle.stream.file()?.clone();
            let (len_bytes, seal) = (handle.stream.len_bytes, handle.stream.seal);
            Some(SharedFile { path, len_bytes, seal })
        };
        let file = match block.file.checked_sub(1) {
            Some(place) => handle.shared.get(usize::from(place)).cloned(),
            None => own(),
        };
        let SharedFile { path, len_bytes, seal } = file?;
        let block = block.block;
        Some((path, len_bytes, seal, block.offset, block.len_bytes, block.checksum))
    }

    fn chain(&self, segment: Segment<'_>) -> Option<Vec<BlockId>> {
        segment.blocks.iter().map(|block| self.id(block)).collect()
    }

    fn chains(&self) -> BTreeSet<Vec<BlockId>> {
        self.segments().filter_map(|it| self.chain(it)).filter(|it| !it.is_empty()).collect()
    }

    fn blocks(&self) -> BTreeSet<BlockId> {
        self.map.blocks().filter_map(|block| self.id(block)).collect()
    }

    /// Entries of a segment, as the index counts them.
    fn count(segment: Segment<'_>) -> u64 {
        let records = || segment.blocks.iter().map(|block| u64::from(block.records)).sum();
        segment.entry_count.map_or_else(records, u64::from)
    }
}

/// Entries of one side that have not met their counterpart.
type Pending = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn diff_maps(
    left: &Side<'_>,
    right: &Side<'_>,
    found: &mut StateDiff,
    progress: &dyn Progress,
) -> Result<(), InspectError> {
    let shared = left.blocks();
    let shared = right.blocks().into_iter().filter(|block| shared.contains(block));
    found.shared_bytes = shared.map(|(_, _, _, _, len_bytes, _)| u64::from(len_bytes)).sum();
    let same_codec = left.meta.kind == right.meta.kind && left.meta.value == right.meta.value;
    let chains = left.chains();
    let equal: BTreeSet<_> = if same_codec {
        right.chains().intersection(&chains).cloned().collect()
    } else {
        BTreeSet::new()
    };
    let is_equal =
        |side: &Side<'_>, it: Segment<'_>| side.chain(it).is_some_and(|it| equal.contains(&it));
    let equal_entries = left.segments().filter(|it| is_equal(left, *it)).map(Side::count);
    found.unchanged = equal_entries.sum();
    let mut values = Values::of(left.meta, same_codec)?;
    let (mut reader, mut other) = (Reader::new(left), Reader::new(right));
    let mut before = left.segments().filter(|it| !is_equal(left, *it));
    let mut after = right.segments().filter(|it| !is_equal(right, *it));
    let (mut pending, mut others) = (Pending::new(), Pending::new());
    loop {
        let (old, new) = (before.next(), after.next());
        if old.is_none() && new.is_none() {
            break;
        }
        if let Some(segment) = old {
            reader.visit(segment, progress, |pair, value| match others.remove(pair) {
                Some(new) => values.compare(value, &new, found),
                None => drop(pending.insert(pair.to_vec(), value.to_vec())),
            })?;
        }
        if let Some(segment) = new {
            other.visit(segment, progress, |pair, value| match pending.remove(pair) {
                Some(old) => values.compare(&old, value, found),
                None => drop(others.insert(pair.to_vec(), value.to_vec())),
            })?;
        }
    }
    (found.removed, found.added) = (pending.len() as u64, others.len() as u64);
    Ok(())
}

struct Reader<'s> {
    side: &'s Side<'s>,
    entries: StreamEntries,
    assigner: EncodedAssigner,
}

impl<'s> Reader<'s> {
    fn new(side: &'s Side<'s>) -> Self {
        let (entries, assigner) = (side.stream.entries(), side.stream.assigner());
        Self { side, entries, assigner }
    }

    fn visit(
        &mut self,
        segment: Segment<'_>,
        progress: &dyn Progress,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), InspectError> {
        let Side { stream, map, .. } = self.side;
        let (keyed, assigner) = (&stream.keyed, &self.assigner);
        let len_bytes = segment.blocks.iter().map(|it| u64::from(it.block.len_bytes)).sum();
        progress.expect(len_bytes);
        self.entries.visit(
            keyed,
            map,
            segment,
            |key| assigner.of(key),
            |entry| {
                visit(entry.pair(), entry.value());
                Ok::<_, InspectError>(())
            },
        )?;
        progress.advance(len_bytes);
        Ok(())
    }
}

/// Tells whether two values are equal. The entries of a map state are stored in no order; maps inside of
/// other values are compared by their bytes.
struct Values {
    map: Option<(Extent, Extent)>,
    same_codec: bool,
}

impl Values {
    fn of(meta: &StateMeta, same_codec: bool) -> Result<Self, InspectError> {
        let refused = |source| InspectError::Decode { state: meta.name.clone(), source };
        let map = match meta.value.children.as_slice() {
            [key, value] if meta.kind == StateKind::Map && same_codec => {
                Some((Extent::of(key).map_err(refused)?, Extent::of(value).map_err(refused)?))
            }
            _ => None,
        };
        Ok(Self { map, same_codec })
    }

    fn compare(&mut self, old: &[u8], new: &[u8], found: &mut StateDiff) {
        let is_equal = self.same_codec
            && (old == new
                || self.map.as_ref().is_some_and(|map| {
                    matches!((entries(map, old), entries(map, new)), (Some(a), Some(b)) if a == b)
                }));
        *(if is_equal { &mut found.unchanged } else { &mut found.changed }) += 1;
    }
}

/// The entries of a map, in one order.
fn entries<'v>(
    (key, value): &(Extent, Extent),
    map: &'v [u8],
) -> Option<BTreeMap<&'v [u8], &'v [u8]>> {
    let mut input = Input::new(map);
    let count = read_count(&mut input).ok()?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        entries.insert(key.take(&mut input).ok()?, value.take(&mut input).ok()?);
    }
    Some(entries)
}
