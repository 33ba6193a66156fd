//! The checksums of a copy, one for each chunk.
//!
//! Fields: magic, length of the copy, its seal, the CRC32 of each chunk in order, the CRC32 of
//! everything before. Little endian. Source: SPEC 2.8.
//!
//! Invariants: what does not have exactly this form is no checksum file.

use crate::seal::Tail;

/// Bytes of a copy that have one checksum; the last chunk may be shorter.
pub(super) const CHUNK_LEN_BYTES: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"ALVCOPY1";
const HEAD_LEN_BYTES: usize = 8 + 8 + 4;

/// Takes the checksums of bytes as they pass.
#[derive(Debug, Default)]
pub(super) struct SumsBuilder {
    chunks: Vec<u32>,
    chunk: crc32fast::Hasher,
    in_chunk: usize,
    len_bytes: u64,
    tail: Tail,
}

impl SumsBuilder {
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.len_bytes += bytes.len() as u64;
        self.tail.push(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_LEN_BYTES - self.in_chunk));
            self.chunk.update(now);
            self.in_chunk += now.len();
            bytes = rest;
            if self.in_chunk == CHUNK_LEN_BYTES {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        self.chunks.push(std::mem::take(&mut self.chunk).finalize());
        self.in_chunk = 0;
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.len_bytes.to_le_bytes());
        bytes.extend(self.tail.seal().to_le_bytes());
        bytes.extend(self.chunks.iter().flat_map(|sum| sum.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }
}

/// The checksums of a copy.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) len_bytes: u64,
    pub(super) seal: u32,
    pub(super) chunks: Vec<u32>,
}

impl Sums {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, own) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*own) {
            return None;
        }
        let (head, chunks) = body.split_at_checked(HEAD_LEN_BYTES)?;
        let (len_bytes, seal) = head.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let len_bytes = u64::from_le_bytes(*len_bytes);
        let seal = u32::from_le_bytes(seal.try_into().ok()?);
        let (chunks, rest) = chunks.as_chunks::<4>();
        let chunks: Vec<u32> = chunks.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
        let is_whole = len_bytes.div_ceil(CHUNK_LEN_BYTES as u64) == chunks.len() as u64;
        (rest.is_empty() && is_whole).then_some(Self { len_bytes, seal, chunks })
    }
}

#[cfg(test)]
mod tests;
