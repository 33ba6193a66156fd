//! Streams whose frame a fuzzer cannot guess: its checksums are made for it.
//!
//! The first byte of an input says which: even, and the rest is a whole stream; odd, and the rest is the
//! length of the blocks (`u16`, little endian), the blocks, and the index, which get a header and a footer
//! around them.

use alluvium_core::{AttemptId, CheckpointId, SubtaskIndex};
use alluvium_format::envelope::{EnvelopeWriter, StreamIdentity, StreamKind};
use bytes::Bytes;

/// The stream that an input stands for.
pub(crate) fn stream(input: &[u8], kind: StreamKind) -> Bytes {
    let Some((mode, rest)) = input.split_first() else { return Bytes::new() };
    if mode % 2 == 0 {
        return Bytes::copy_from_slice(rest);
    }
    let (len_bytes, rest) = rest.split_first_chunk().unwrap_or((&[0; 2], &[]));
    let len = usize::from(u16::from_le_bytes(*len_bytes)).min(rest.len());
    let (blocks, index) = rest.split_at(len);
    sealed(kind, blocks, index)
}

/// A stream with a right frame.
fn sealed(kind: StreamKind, blocks: &[u8], index: &[u8]) -> Bytes {
    let subtask = (kind != StreamKind::Metadata).then(|| SubtaskIndex::new(0));
    let (checkpoint, attempt) = (CheckpointId::FIRST, AttemptId::new(1));
    let identity = StreamIdentity { kind, subtask, checkpoint, attempt };
    let written = EnvelopeWriter::new(Vec::new(), &identity).and_then(|mut writer| {
        if !blocks.is_empty() {
            writer.block(blocks)?;
        }
        writer.finish(index)
    });
    match written {
        Ok((bytes, _)) => bytes.into(),
        Err(error) => unreachable!("memory takes every byte: {error}"),
    }
}
