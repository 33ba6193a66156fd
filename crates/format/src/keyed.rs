//! Keyed state of one subtask as a stream of blocks.
//!
//! Ladder of names: the *map* of a state in one key group is split into *segments* by the writer's
//! hash; a segment is a *chain* of *blocks*; a block holds *records*. The first block of a chain is
//! *full*: its records are entries (key, namespace, value). Those after it are *deltas*: removals
//! and entries that change what the blocks before them say. A block lies in this stream or in a
//! *shared file*, a stream of an earlier checkpoint, so what has not changed is not written again.
//! A map may also be *unsegmented*: full blocks in no order of hashes.
//!
//! The index names every block, so a subtask that owns some of the key groups reads only their
//! blocks, and reads each when it needs it.
//!
//! Invariants:
//! - maps are in the order of key group, state; the blocks of this stream are in the order of the
//!   index and fill it without gap;
//! - every key group of a map lies in the stream's range, every state id is in its table;
//! - every shared file holds at least one block of this stream, between its header and its footer.
//!
//! Source: SPEC 6.

mod delta;
mod header;
mod index;
mod map;
mod reader;
mod timer;
mod writer;

pub use crate::envelope::read_block;
pub use delta::{read_delta_header, write_delta_header};
pub use header::{HashSeedRun, KeyedHeader, StateKind, StateMeta};
pub(crate) use header::{put_scope, put_states, read_scope, read_states};
pub use map::{BlockRef, Chain, MAX_CHAIN_LEN, MapEntry, MapLayout};
pub use reader::KeyedReader;
pub use timer::{TimeDomain, ordered_time, time_of_ordered, timer_namespace};
pub use writer::{Finished, KeyedWriter};

#[cfg(test)]
mod tests;
