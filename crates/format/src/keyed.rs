//! Keyed state of one subtask as a stream of blocks.
//!
//! A *block* holds entries (key, namespace, value) of one state in one key group. The index says
//! which state and key group each block belongs to, so a subtask that owns some of the key groups
//! reads only those blocks. A state that is large in one key group has several blocks there, one
//! per *segment* of its map.
//!
//! Invariants:
//! - blocks are in the order of key group, state, segment;
//! - every key group of a block lies in the stream's range, every state id is in its table;
//! - version 1 has full blocks in this stream only; delta blocks and blocks of other streams have
//!   their fields in the index, and a reader refuses what it does not know.
//!
//! Source: SPEC 6.

mod index;
mod reader;
mod writer;

pub use index::{BLOCK_ENTRY_LEN, BlockEntry, KeyedHeader, StateKind, StateMeta};
pub use reader::KeyedReader;
pub use writer::KeyedWriter;

#[cfg(test)]
mod tests;
