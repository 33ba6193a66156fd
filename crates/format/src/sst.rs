//! Keyed state of one subtask as SST files of RocksDB.
//!
//! Ladder of names: a *state* has a list of *SSTs*; an SST is a shared file that holds *rows* as
//! RocksDB wrote them. This stream is the *index* of these files: it has no blocks. It says of each
//! SST to which state it belongs, where RocksDB had it (level, sequence numbers, keys), and the
//! checksum of all its bytes. The rows themselves are not read here.
//!
//! Invariants:
//! - each shared file of an index is one SST of one state;
//! - the SSTs of a state come level by level, those of a level from 1 on in the order of their keys;
//! - what is handed out obeys the rules that RocksDB relies on when it takes files over.
//!
//! Source: SPEC 12.

mod checksum;
mod header;
mod meta;
mod reader;
mod writer;

pub use checksum::{SstChecksum, checksum_of};
pub use header::SstIndexHeader;
pub use meta::{MAX_LEVEL, MAX_SEQUENCE_NUMBER, SstMeta};
pub use reader::SstIndexReader;
pub use writer::SstIndexWriter;

#[cfg(test)]
mod tests;
