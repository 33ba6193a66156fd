//! The streams that a backend was restored from: where each block is read.
//!
//! Blocks name streams by number, from 1, in the one list of the backend.
//!
//! Invariants: bytes are handed out only after their checksum was compared; a block that is kept
//! stays readable whatever happens to its file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::SharedFile;
use alluvium_format::envelope::Block;
use alluvium_format::keyed::{BlockRef, read_block};
use alluvium_format::{FormatError, Source};
use alluvium_state::{RestoreError, SnapshotError, StateError};
use bytes::Bytes;
use rayon::prelude::*;

/// One stream.
#[derive(Debug)]
struct Stream {
    name: String,
    source: Arc<dyn Source>,
    /// The file, if a later checkpoint may refer to it.
    file: Option<SharedFile>,
}

/// Where a block lies: file, offset, length. One without bytes begins where the next does.
type Place = (u16, u64, u32);

const fn place(block: &BlockRef) -> Place {
    (block.file, block.block.offset, block.block.len_bytes)
}

/// Blocks of one state that stay readable whatever happens to their files, as long as somebody
/// holds this: the state until it is registered, its maps until they are loaded, and the frozen
/// states that have yet to write it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    blocks: Mutex<BTreeMap<Place, Bytes>>,
}

impl Kept {
    fn get(&self, block: &BlockRef) -> Option<Bytes> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.get(&place(block)).cloned()
    }

    fn put(&self, block: &BlockRef, bytes: Bytes) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.insert(place(block), bytes);
    }
}

/// All streams of a restore.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: Vec<Stream>,
}

/// A block that cannot be read.
pub(crate) struct BlockError {
    stream: String,
    source: FormatError,
}

impl fmt::Debug for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stream, self.source)
    }
}

impl BlockError {
    pub(crate) fn into_state_error(self, state: &str) -> StateError {
        let (state, stream) = (state.to_owned(), self.stream);
        StateError::Restore { state, stream, source: Arc::new(self.source.into()) }
    }

    pub(crate) fn into_restore_error(self) -> RestoreError {
        RestoreError::of_stream(self.stream, self.source)
    }

    pub(crate) fn into_snapshot_error(self) -> SnapshotError {
        match self.into_restore_error() {
            RestoreError::Storage(error) => SnapshotError::Storage(error),
            RestoreError::Damaged { source, .. } => SnapshotError::Format(source),
            other => unreachable!("a block is damaged or unreadable: {other}"),
        }
    }
}

impl Streams {
    /// Adds a stream and gives its number; `None` when there are too many.
    pub(crate) fn add(
        &mut self,
        name: String,
        source: Arc<dyn Source>,
        file: Option<SharedFile>,
    ) -> Option<u16> {
        self.streams.push(Stream { name, source, file });
        u16::try_from(self.streams.len()).ok()
    }

    /// The number of a file that was added already.
    pub(crate) fn number_of(&self, path: &alluvium_core::StoragePath) -> Option<u16> {
        let same = |stream: &Stream| stream.file.as_ref().is_some_and(|file| file.path == *path);
        self.streams.iter().position(same).and_then(|at| u16::try_from(at + 1).ok())
    }

    /// The files, by number; `None` for streams that no later checkpoint may refer to.
    pub(crate) fn files(&self) -> Vec<Option<SharedFile>> {
        self.streams.iter().map(|stream| stream.file.clone()).collect()
    }

    fn stream_of(&self, number: u16) -> &Stream {
        let stream = usize::from(number).checked_sub(1).and_then(|at| self.streams.get(at));
        let Some(stream) = stream else { unreachable!("stream {number} was never added") };
        stream
    }

    /// The bytes of a block.
    pub(crate) fn block(&self, block: &BlockRef, kept: &Kept) -> Result<Bytes, BlockError> {
        match kept.get(block) {
            Some(bytes) => Ok(bytes),
            None => self.stream_of(block.file).read(&block.block),
        }
    }

    /// Reads a block and keeps it, in memory of our own: a piece of a mapped file would go with
    /// that file when it is cut short.
    pub(crate) fn keep(&self, block: &BlockRef, kept: &Kept) -> Result<Bytes, BlockError> {
        if let Some(bytes) = kept.get(block) {
            return Ok(bytes);
        }
        let bytes = Bytes::copy_from_slice(&self.stream_of(block.file).read(&block.block)?);
        kept.put(block, bytes.clone());
        Ok(bytes)
    }
}

/// Bytes of a stream that one read brings at most.
const READ_LEN_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes between two blocks that are rather read than skipped.
const GAP_LEN_BYTES: u64 = 64 * 1024;

/// A part of a stream in memory.
#[derive(Debug)]
struct Window {
    /// Length of the whole stream.
    len_bytes: u64,
    start: u64,
    bytes: Bytes,
}

impl Source for Window {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        let within = |at: u64| at.checked_sub(self.start).unwrap_or(u64::MAX);
        self.bytes.read(within(range.start)..within(range.end))
    }
}

impl Streams {
    /// Reads blocks, neighbours together, on all threads, and keeps each for its state.
    pub(crate) fn keep_all(&self, mut blocks: Vec<(BlockRef, &Kept)>) -> Result<(), BlockError> {
        blocks.sort_unstable_by_key(|(block, _)| place(block));
        let end = |block: &BlockRef| block.block.offset + u64::from(block.block.len_bytes);
        let mut first: Option<u64> = None;
        let runs = blocks.chunk_by(|(a, _), (b, _)| {
            let start = *first.get_or_insert(a.block.offset);
            let is_near = a.file == b.file
                && b.block.offset <= end(a) + GAP_LEN_BYTES
                && end(b) - start.min(a.block.offset) <= READ_LEN_BYTES;
            if !is_near {
                first = None;
            }
            is_near
        });
        let runs: Vec<&[(BlockRef, &Kept)]> = runs.collect();
        runs.par_iter().try_for_each(|run| self.keep_run(run))
    }

    /// Keeps blocks of one stream by one read.
    fn keep_run(&self, run: &[(BlockRef, &Kept)]) -> Result<(), BlockError> {
        let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else { return Ok(()) };
        let stream = self.stream_of(first.file);
        let start = first.block.offset;
        let end = last.block.offset + u64::from(last.block.len_bytes);
        let failed = |source| BlockError { stream: stream.name.clone(), source };
        let bytes = stream.source.read(start..end).map_err(failed)?;
        let window = Window { len_bytes: stream.source.len_bytes(), start, bytes };
        for (block, kept) in run {
            kept.put(block, read_block(&window, &block.block).map_err(failed)?);
        }
        Ok(())
    }
}

impl Stream {
    fn read(&self, block: &Block) -> Result<Bytes, BlockError> {
        read_block(&*self.source, block)
            .map_err(|source| BlockError { stream: self.name.clone(), source })
    }
}
