//! From the SSTs of a checkpoint to column families.
//!
//! 1. The SSTs that may hold rows of our key groups are brought into a local folder: by hard link
//!    where the storage is a folder on the same file system, by copy otherwise; their checksums are
//!    compared ([`fetch`]).
//! 2. A source whose files hold rows of key groups that are ours, but come from another source, is
//!    *clipped*: the files that hold such rows are rewritten without them ([`clip`]). All others
//!    are taken as they are, whatever else they hold: nothing reads outside our key groups, and
//!    compactions drop what they meet there.
//! 3. The files of each state become a column family ([`import`]); no row is rewritten.
//!
//! Invariants: of each key group, the rows of one source and no others are visible afterwards; what
//! failed leaves an unused local folder and nothing else.
//!
//! Source: SPEC 12.6, 12.7; Flink `RocksDBIncrementalRestoreOperation`.

mod clip;
mod fetch;
mod import;
#[cfg(test)]
mod tests;

pub(crate) use import::{ImportedState, SstRestore};

use alluvium_core::KeyGroupRange;
use alluvium_format::keyed::StateMeta;
use alluvium_format::sst::{SstIndexReader, SstMeta};

use crate::history::Uploaded;

/// What a restore did, for logs and benches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RestoreStatistics {
    /// SSTs that were linked: no byte was copied.
    pub files_linked: u64,
    /// SSTs that were copied or downloaded.
    pub files_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// SSTs of the checkpoint that hold no row of this subtask and were not touched.
    pub files_skipped: u64,
    /// Subtasks of the checkpoint whose files held rows that are state of another one, so that
    /// some had to be rewritten before they could lie in one database.
    pub sources_clipped: u64,
    /// Bytes of the files that were made by that.
    pub bytes_rewritten: u64,
    /// Rows that were copied one by one, because files could not be clipped.
    pub rows_copied: u64,
}

impl RestoreStatistics {
    fn add(&mut self, other: Self) {
        self.files_linked += other.files_linked;
        self.files_copied += other.files_copied;
        self.bytes_copied += other.bytes_copied;
        self.files_skipped += other.files_skipped;
        self.sources_clipped += other.sources_clipped;
        self.bytes_rewritten += other.bytes_rewritten;
        self.rows_copied += other.rows_copied;
    }
}

/// The SSTs of one subtask of the checkpoint.
pub(crate) struct SstSource<'r> {
    pub(crate) index: &'r SstIndexReader,
    /// The key groups that we take from it.
    pub(crate) wanted: KeyGroupRange,
}

/// An SST in a local folder, ready to be imported.
#[derive(Debug, Clone)]
struct LocalSst {
    path: std::path::PathBuf,
    len_bytes: u64,
    meta: SstMeta,
    /// The shared file with these bytes; `None` once they were rewritten.
    origin: Option<Uploaded>,
}

/// The SSTs of one state of one source.
struct LocalState<'r> {
    meta: &'r StateMeta,
    files: Vec<LocalSst>,
}
