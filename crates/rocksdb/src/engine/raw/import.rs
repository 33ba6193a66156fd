//! A column family of SST files, with metadata made by hand.

use std::ffi::c_int;
use std::os::unix::ffi::OsStrExt;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB, Options};

use super::ColumnHandle;
use super::call::{c_string, call};
use crate::engine::{EngineError, ImportFile};

const OPERATION: &str = "import a column family";

/// The name of the order of bytes, which all our column families have.
const COMPARATOR: &std::ffi::CStr = c"leveldb.BytewiseComparator";

impl ColumnHandle {
    /// Creates a column family of these files, which RocksDB links and then removes.
    ///
    /// RocksDB finds the key range of each file by reading it.
    pub(in crate::engine) fn import(
        db: &DB,
        name: &str,
        options: &Options,
        files: &[ImportFile],
    ) -> Result<Self, EngineError> {
        let name = c_string(name.as_bytes())?;
        let import_options = ImportOptions::new();
        let metadata = Metadata::new(files)?;
        // SAFETY: all that is pointed to is alive during the call.
        let handle = unsafe {
            call!(
                OPERATION,
                rocksdb_create_column_family_with_import(
                    db.as_raw_ptr(),
                    options.as_raw_ptr(),
                    name.as_ptr(),
                    import_options.0,
                    metadata.0,
                )
            )
        }?;
        Self::new(OPERATION, handle)
    }
}

struct Metadata(*mut ffi::rocksdb_export_import_files_metadata_t);

impl Metadata {
    fn new(files: &[ImportFile]) -> Result<Self, EngineError> {
        // SAFETY: made here, destroyed once. The name is copied.
        let metadata = unsafe {
            let metadata = ffi::rocksdb_export_import_files_metadata_create();
            ffi::rocksdb_export_import_files_metadata_set_db_comparator_name(
                metadata,
                COMPARATOR.as_ptr().cast_mut(),
            );
            Self(metadata)
        };
        let list = List::new();
        for file in files {
            list.add(file)?;
        }
        // SAFETY: both are alive; the list is taken over and freed, so it is given up here.
        unsafe { ffi::rocksdb_export_import_files_metadata_set_files(metadata.0, list.release()) };
        Ok(metadata)
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once.
        unsafe { ffi::rocksdb_export_import_files_metadata_destroy(self.0) };
    }
}

struct List(*mut ffi::rocksdb_livefiles_t);

impl List {
    fn new() -> Self {
        // SAFETY: made here, destroyed or released once.
        Self(unsafe { ffi::rocksdb_livefiles_create() })
    }

    fn release(self) -> *mut ffi::rocksdb_livefiles_t {
        std::mem::ManuallyDrop::new(self).0
    }

    fn add(&self, file: &ImportFile) -> Result<(), EngineError> {
        let (Some(dir), Some(name)) = (file.path.parent(), file.path.file_name()) else {
            let reason = "it has no folder or no name".to_owned();
            return Err(EngineError::Import { path: file.path.clone(), reason });
        };
        let dir = c_string(dir.as_os_str().as_bytes())?;
        let name = c_string(name.as_bytes())?;
        let number = |error| EngineError::new(OPERATION, error);
        let level = c_int::try_from(file.level).map_err(number)?;
        let size = usize::try_from(file.size_bytes).map_err(number)?;
        // SAFETY: the entry is made here; strings are copied; the list takes the entry over.
        unsafe {
            let entry = ffi::rocksdb_livefile_create();
            ffi::rocksdb_livefile_set_directory(entry, dir.as_ptr());
            ffi::rocksdb_livefile_set_name(entry, name.as_ptr());
            ffi::rocksdb_livefile_set_level(entry, level);
            ffi::rocksdb_livefile_set_size(entry, size);
            ffi::rocksdb_livefile_set_smallest_seqno(entry, file.smallest_seqno);
            ffi::rocksdb_livefile_set_largest_seqno(entry, file.largest_seqno);
            ffi::rocksdb_livefiles_add(self.0, entry);
        }
        Ok(())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once, unless released.
        unsafe { ffi::rocksdb_livefiles_destroy(self.0) };
    }
}

struct ImportOptions(*mut ffi::rocksdb_import_column_family_options_t);

impl ImportOptions {
    fn new() -> Self {
        // SAFETY: made here, destroyed once.
        unsafe {
            let options = ffi::rocksdb_import_column_family_options_create();
            ffi::rocksdb_import_column_family_options_set_move_files(options, 1);
            Self(options)
        }
    }
}

impl Drop for ImportOptions {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once.
        unsafe { ffi::rocksdb_import_column_family_options_destroy(self.0) };
    }
}
