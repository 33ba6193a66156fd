//! The files that the newest version of the database consists of.

use std::cmp::{Ordering, Reverse};
use std::ffi::{CStr, c_char};

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB};

use super::call::bytes;
use crate::engine::EngineError;

/// One SST file, as RocksDB describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveFile {
    /// The column family, by its name in RocksDB.
    pub(crate) column: String,
    /// The number of the file; its name begins with it.
    pub(crate) number: u64,
    /// The name, in the folder of the database.
    pub(crate) file_name: String,
    /// The level; 0 is the newest.
    pub(crate) level: u32,
    /// The length.
    pub(crate) size_bytes: u64,
    /// The smallest row key, or the begin of a range that is deleted.
    pub(crate) smallest_key: Vec<u8>,
    /// The largest row key, or the end of a range that is deleted.
    pub(crate) largest_key: Vec<u8>,
    /// The smallest sequence number of a row in it.
    pub(crate) smallest_seqno: u64,
    /// The largest sequence number of a row in it.
    pub(crate) largest_seqno: u64,
    /// Rows, with deletions.
    pub(crate) entries: u64,
    /// Deletions.
    pub(crate) deletions: u64,
}

impl LiveFile {
    /// By level; in level 0 the newest first, below by key.
    pub(in crate::engine) fn level_order(&self, other: &Self) -> Ordering {
        let place = |file: &Self| {
            let newest = if file.level == 0 { file.largest_seqno } else { 0 };
            (file.level, Reverse(newest))
        };
        place(self)
            .cmp(&place(other))
            .then_with(|| self.smallest_key.cmp(&other.smallest_key))
            .then_with(|| self.number.cmp(&other.number))
    }
}

/// Lists the files of all column families, at one moment.
pub(in crate::engine) fn live_files(db: &DB) -> Result<Vec<LiveFile>, EngineError> {
    // SAFETY: the database is open during the call.
    let list = List(unsafe { ffi::rocksdb_livefiles(db.as_raw_ptr()) });
    // SAFETY: the list is alive.
    let count = unsafe { ffi::rocksdb_livefiles_count(list.0) };
    (0..count).map(|index| list.file(index)).collect()
}

struct List(*const ffi::rocksdb_livefiles_t);

impl List {
    /// `index` is below the count.
    fn file(&self, index: i32) -> Result<LiveFile, EngineError> {
        // SAFETY: the list is alive and has this index; the string ends with a zero byte.
        let text = |get: unsafe extern "C" fn(_, _) -> *const c_char| unsafe {
            CStr::from_ptr(get(self.0, index)).to_string_lossy().into_owned()
        };
        // SAFETY: as above; the key has the length that is written to `len`.
        let key = |get: unsafe extern "C" fn(_, _, *mut usize) -> *const c_char| unsafe {
            let mut len = 0;
            let key = get(self.0, index, &raw mut len);
            bytes(key, len).to_vec()
        };
        // SAFETY: the list is alive and has this index.
        let number = |get: unsafe extern "C" fn(_, _) -> u64| unsafe { get(self.0, index) };
        // SAFETY: as above.
        let (level, size) = unsafe {
            (
                ffi::rocksdb_livefiles_level(self.0, index),
                ffi::rocksdb_livefiles_size(self.0, index),
            )
        };
        let strange = |what: String| EngineError::new("list its files", what);
        let file_name = text(ffi::rocksdb_livefiles_name).trim_start_matches('/').to_owned();
        Ok(LiveFile {
            column: text(ffi::rocksdb_livefiles_column_family_name),
            number: file_name
                .strip_suffix(".sst")
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| strange(format!("`{file_name}` is no name of an SST")))?,
            level: u32::try_from(level).map_err(|_| strange(format!("level {level}")))?,
            size_bytes: size as u64,
            smallest_key: key(ffi::rocksdb_livefiles_smallestkey),
            largest_key: key(ffi::rocksdb_livefiles_largestkey),
            smallest_seqno: number(ffi::rocksdb_livefiles_smallest_seqno),
            largest_seqno: number(ffi::rocksdb_livefiles_largest_seqno),
            entries: number(ffi::rocksdb_livefiles_entries),
            deletions: number(ffi::rocksdb_livefiles_deletions),
            file_name,
        })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from RocksDB and is destroyed once.
        unsafe { ffi::rocksdb_livefiles_destroy(self.0) };
    }
}
