//! Any index and all records of a checkpoint changed, under checksums and seals that are right everywhere.
//!
//! 1. Records of blocks are changed, in the stream or where they lie in a shared file, and items of operator
//!    state; the streams are written anew around them.
//! 2. The index of each stream is changed, and gets a header and a footer.
//! 3. The metadata gets their lengths and seals; its own index is changed last.
//!
//! Ladder of names: streams (of a checkpoint) > stream > part (its index, its items, or a block), which are
//! numbered through in the order of the metadata, its index being number 0.
//!
//! Invariants: without changes, every file comes out as it was.

use alluvium_core::{
    CheckpointMetadata, KeyedStateHandle, OperatorStateHandle, StateHandle, StoragePath,
};
use alluvium_format::envelope::{Block, Envelope, EnvelopeWriter, StreamIdentity, StreamKind};
use alluvium_format::keyed::{BlockRef, Chain, KeyedReader, KeyedWriter, MapEntry, MapLayout};
use alluvium_format::metadata::write_metadata;
use alluvium_format::operator::{read_operator_state, write_operator_state};
use bytes::Bytes;

use super::apply;

/// A file and its bytes.
pub(super) type File = (StoragePath, Vec<u8>);

/// The files of a checkpoint, and what its metadata says of them.
pub(super) struct Streams {
    metadata: CheckpointMetadata,
    files: Vec<File>,
}

/// Changes, by the number of the part that each is for.
struct Changes<'c> {
    all: &'c [u8],
    parts: usize,
    next: usize,
}

impl Changes<'_> {
    /// Changes the next part.
    fn of_next(&mut self, bytes: &mut Vec<u8>) {
        let number = self.next;
        self.next += 1;
        for change in self.all.chunks_exact(6) {
            let wanted = change.first().copied().unwrap_or_default();
            if usize::from(wanted) % self.parts.max(1) == number {
                apply(change, bytes);
            }
        }
    }
}

impl Streams {
    pub(super) fn new(metadata: &CheckpointMetadata, files: &[File]) -> Self {
        Self { metadata: metadata.clone(), files: files.to_vec() }
    }

    pub(super) fn into_files(self) -> Vec<File> {
        self.files
    }

    /// Makes all changes and says how many parts there are; `None` where what was changed cannot be written.
    pub(super) fn change(&mut self, metadata_path: &StoragePath, changes: &[u8]) -> Option<usize> {
        // Once to count the parts, and once in earnest.
        let mut counted = Changes { all: &[], parts: 0, next: 0 };
        self.pass(metadata_path, &mut counted)?;
        self.pass(metadata_path, &mut Changes { all: changes, parts: counted.next, next: 0 })?;
        Some(counted.next)
    }

    fn pass(&mut self, metadata_path: &StoragePath, changes: &mut Changes<'_>) -> Option<()> {
        let mut of_metadata = Vec::new();
        changes.of_next(&mut of_metadata);
        let mut metadata = self.metadata.clone();
        for subtask in metadata.operators.iter_mut().flat_map(|it| &mut it.subtasks) {
            if let Some(handle) = &mut subtask.keyed {
                self.keyed(handle, changes)?;
            }
            if let Some(OperatorStateHandle { stream }) = &mut subtask.operator {
                self.operator(stream, changes)?;
            }
        }
        let bytes = write_metadata(&metadata).ok()?;
        let mut again = Changes { next: 0, ..*changes };
        let resealed = with_index(&bytes, StreamKind::Metadata, &mut again)?;
        self.put(metadata_path, resealed)
    }

    fn bytes(&self, path: &StoragePath) -> Option<&Vec<u8>> {
        self.files.iter().find(|(known, _)| known == path).map(|(_, bytes)| bytes)
    }

    fn put(&mut self, path: &StoragePath, bytes: Vec<u8>) -> Option<()> {
        let file = self.files.iter_mut().find(|(known, _)| known == path)?;
        file.1 = bytes;
        Some(())
    }

    /// Puts a stream in its place, and its length and seal into its handle.
    fn put_stream(&mut self, handle: &mut StateHandle, bytes: Vec<u8>) -> Option<()> {
        handle.len_bytes = bytes.len() as u64;
        handle.seal = u32::from_le_bytes(*bytes.last_chunk()?);
        let path = handle.file()?.clone();
        self.put(&path, bytes)
    }

    fn keyed(&mut self, handle: &mut KeyedStateHandle, changes: &mut Changes<'_>) -> Option<()> {
        let bytes = self.bytes(handle.stream.file()?)?.clone();
        let kind = u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
        let resealed = if kind == StreamKind::SstIndex.code() {
            with_index(&bytes, StreamKind::SstIndex, changes)?
        } else {
            let rewritten = self.with_records(bytes, handle, changes)?;
            with_index(&rewritten, StreamKind::Keyed, changes)?
        };
        self.put_stream(&mut handle.stream, resealed)
    }

    /// The same maps with changed records.
    fn with_records(
        &mut self,
        bytes: Vec<u8>,
        handle: &KeyedStateHandle,
        changes: &mut Changes<'_>,
    ) -> Option<Vec<u8>> {
        let keyed = KeyedReader::open_bytes(Bytes::from(bytes)).ok()?;
        let mut writer = KeyedWriter::new(Vec::new(), keyed.identity(), keyed.header()).ok()?;
        for file in &handle.shared {
            writer.shared_file(file).ok()?;
        }
        let mut block = |block: &BlockRef| {
            let place = usize::from(block.file).checked_sub(1);
            let Some(file) = place.and_then(|place| handle.shared.get(place)) else {
                let mut records = keyed.block(block).ok()?.to_vec();
                changes.of_next(&mut records);
                return writer.block(block.is_delta, block.records, &records).ok();
            };
            self.shared_block(&file.path, block, changes)
        };
        let mut maps = Vec::new();
        for map in keyed.maps() {
            let layout = match &map.layout {
                MapLayout::Segmented(chains) => {
                    let mut segments = Vec::new();
                    for Chain { entry_count, blocks } in chains {
                        let blocks = blocks.iter().map(&mut block).collect::<Option<_>>()?;
                        segments.push(Chain { entry_count: *entry_count, blocks });
                    }
                    MapLayout::Segmented(segments)
                }
                MapLayout::Unsegmented(blocks) => {
                    MapLayout::Unsegmented(blocks.iter().map(&mut block).collect::<Option<_>>()?)
                }
            };
            maps.push(MapEntry { layout, ..map.clone() });
        }
        for map in maps {
            writer.map(map).ok()?;
        }
        Some(writer.finish().ok()?.out)
    }

    /// A block where it lies in a shared file, whose length and seal stay: so the block keeps its length, too.
    fn shared_block(
        &mut self,
        path: &StoragePath,
        block: &BlockRef,
        changes: &mut Changes<'_>,
    ) -> Option<BlockRef> {
        let (_, file) = self.files.iter_mut().find(|(known, _)| known == path)?;
        let start = usize::try_from(block.block.offset).ok()?;
        let stored = file.get_mut(start..start + usize::try_from(block.block.len_bytes).ok()?)?;
        let mut records = stored.to_vec();
        changes.of_next(&mut records);
        records.resize(stored.len(), 0);
        stored.copy_from_slice(&records);
        // CRC32 is what the checksum of an SST is, too.
        let checksum = alluvium_format::sst::checksum_of(&records);
        Some(BlockRef { block: Block { checksum, ..block.block }, ..*block })
    }

    fn operator(&mut self, handle: &mut StateHandle, changes: &mut Changes<'_>) -> Option<()> {
        let bytes = self.bytes(handle.file()?)?.clone();
        let (uid, identity, mut states) = read_operator_state(bytes.into()).ok()?;
        for item in states.iter_mut().flat_map(|state| &mut state.items) {
            let mut bytes = item.to_vec();
            changes.of_next(&mut bytes);
            *item = bytes.into();
        }
        let (bytes, _) = write_operator_state(Vec::new(), &identity, &uid, &states).ok()?;
        let resealed = with_index(&bytes, StreamKind::Operator, changes)?;
        self.put_stream(handle, resealed)
    }
}

/// A stream with a changed index and a right frame.
fn with_index(bytes: &[u8], kind: StreamKind, changes: &mut Changes<'_>) -> Option<Vec<u8>> {
    let envelope = Envelope::open_bytes(Bytes::copy_from_slice(bytes), kind).ok()?;
    let mut index = envelope.index().to_vec();
    changes.of_next(&mut index);
    let end = usize::try_from(envelope.index_offset()).ok()?;
    let identity: &StreamIdentity = envelope.identity();
    let mut writer = EnvelopeWriter::new(Vec::new(), identity).ok()?;
    writer.block(bytes.get(40..end)?).ok()?;
    Some(writer.finish(&index).ok()?.0)
}
