//! Calls of RocksDB's C API that the safe crate does not have.
//!
//! All `unsafe` code of this crate is in the modules below, each block with the reason why it is
//! sound. One module for each kind of object.
#![expect(unsafe_code, reason = "the C API")]

mod call;
mod column;
mod cursor;
mod deletions;
mod files;
mod filter;
mod flush;
mod import;
mod listener;
mod options;
mod snapshot;

pub(super) use column::ColumnHandle;
pub(super) use deletions::FileDeletionsOff;
pub(super) use files::live_files;
pub(super) use flush::{FlushWait, flush};
pub(super) use listener::add_listener;
pub(super) use options::prepare_options;

pub(crate) use cursor::{Cursor, Row};
pub(crate) use files::LiveFile;
pub(crate) use filter::set_row_filters;
pub(crate) use snapshot::Snapshot;
