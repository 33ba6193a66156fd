//! Writes an envelope to any [`Write`], front to back.

use std::io::Write;

use super::{Block, covered};
use super::{
    FOOTER_LEN, HEADER_CHECKSUM_OFFSET, HEADER_LEN, KNOWN_INCOMPATIBLE_FEATURES, MAGIC, NO_SUBTASK,
    StreamIdentity, VERSION,
};
use crate::FormatError;

/// Largest block in bytes: 2^31 - 1.
const MAX_BLOCK_LEN_BYTES: u64 = i32::MAX as u64;

/// Writes the header at once, then blocks, then index and footer.
#[derive(Debug)]
#[must_use = "a stream without its footer cannot be read"]
pub struct EnvelopeWriter<W> {
    out: W,
    header: [u8; HEADER_LEN],
    position: u64,
}

impl<W: Write> EnvelopeWriter<W> {
    /// Writes the header.
    ///
    /// Errors: [`FormatError::Write`].
    pub fn new(mut out: W, identity: &StreamIdentity) -> Result<Self, FormatError> {
        let header = header_of(identity);
        out.write_all(&header)?;
        Ok(Self { out, header, position: HEADER_LEN as u64 })
    }

    /// Writes a block and says where it lies.
    ///
    /// Errors: [`FormatError::Limit`] above 2^31 - 1 bytes; [`FormatError::Write`].
    pub fn block(&mut self, bytes: &[u8]) -> Result<Block, FormatError> {
        let found = bytes.len() as u64;
        let len_bytes = u32::try_from(found).ok().filter(|_| found <= MAX_BLOCK_LEN_BYTES).ok_or(
            FormatError::Limit { what: "block size in bytes", found, limit: MAX_BLOCK_LEN_BYTES },
        )?;
        let block = Block { offset: self.position, len_bytes, checksum: crc32fast::hash(bytes) };
        self.out.write_all(bytes)?;
        self.position += found;
        Ok(block)
    }

    /// Writes index and footer, and gives back what was written to and the seal.
    ///
    /// Errors: [`FormatError::Write`].
    pub fn finish(mut self, index: &[u8]) -> Result<(W, u32), FormatError> {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(covered(&self.header));
        checksum.update(index);
        let mut footer = Vec::with_capacity(FOOTER_LEN);
        footer.extend_from_slice(&self.position.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&checksum.finalize().to_le_bytes());
        let seal = crc32fast::hash(&footer);
        footer.extend_from_slice(&seal.to_le_bytes());
        self.out.write_all(index)?;
        self.out.write_all(&footer)?;
        Ok((self.out, seal))
    }
}

fn header_of(identity: &StreamIdentity) -> [u8; HEADER_LEN] {
    let subtask = identity.subtask.map_or(NO_SUBTASK, |subtask| u32::from(subtask.get()));
    let fields: [&[u8]; 8] = [
        &MAGIC,
        &identity.kind.code().to_le_bytes(),
        &VERSION.to_le_bytes(),
        &0_u32.to_le_bytes(),
        &KNOWN_INCOMPATIBLE_FEATURES.to_le_bytes(),
        &subtask.to_le_bytes(),
        &identity.checkpoint.get().to_le_bytes(),
        &identity.attempt.get().to_le_bytes(),
    ];
    let mut bytes = fields.concat();
    let checksum = crc32fast::hash(&bytes);
    assert_eq!(bytes.len(), HEADER_CHECKSUM_OFFSET, "the header has its specified length");
    bytes.extend_from_slice(&checksum.to_le_bytes());
    let mut header = [0; HEADER_LEN];
    header.copy_from_slice(&bytes);
    header
}
