//! A column family made of SST files.
//!
//! RocksDB gives each file a new number and keeps its inode, which is how the new number is found.
//!
//! Invariants:
//! - the files are hard links that the caller gives away; after an import they are gone;
//! - what RocksDB made of them is compared with what was asked for; if it differs, the column
//!   family is dropped;
//! - compactions wait until the files were found again.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::properties::AGGREGATED_TABLE_PROPERTIES;

use super::raw::{self, ColumnHandle};
use super::{Column, ColumnOptions, Engine, EngineError, LiveFile};

#[cfg(test)]
mod tests;

/// How the number of range deletions is told among the properties of tables.
const RANGE_DELETIONS: &str = "# range deletions=";

/// An SST file to be imported, with its place among the others.
#[derive(Debug, Clone)]
pub(crate) struct ImportFile {
    /// A hard link on the file system of the database; the import takes it.
    pub(crate) path: PathBuf,
    /// Its level.
    pub(crate) level: u32,
    /// Its length.
    pub(crate) size_bytes: u64,
    /// The smallest sequence number in it.
    pub(crate) smallest_seqno: u64,
    /// The largest sequence number in it; decides which file of level 0 is newer.
    pub(crate) largest_seqno: u64,
}

impl Column {
    /// Creates a column family of these files; also returns their new numbers, in the same order.
    ///
    /// Errors: `File` if one cannot be read; `Import` if its length is not as stated, if it has range
    /// deletions, or RocksDB took it otherwise; `RocksDb` if files of one level overlap or are no SSTs.
    pub(crate) fn import(
        engine: &Arc<Engine>,
        name: &str,
        options: &ColumnOptions,
        files: &[ImportFile],
    ) -> Result<(Self, Vec<u64>), EngineError> {
        if files.is_empty() {
            return Ok((Self::create(engine, name, options)?, Vec::new()));
        }
        let inodes = files.iter().map(inode_of).collect::<Result<Vec<_>, _>>()?;
        let family_name = engine.family_name(name);
        let hold = engine.state.hold();
        let handle = ColumnHandle::import(engine.db(), &family_name, options, files)?;
        let column = Self::new(engine, family_name, handle);
        let found = new_numbers(&column, files, &inodes)
            .and_then(|numbers| no_range_deletions(&column, files).map(|()| numbers));
        drop(hold);
        match found {
            Ok(numbers) => Ok((column, numbers)),
            Err(error) => {
                column.drop_family();
                Err(error)
            }
        }
    }
}

fn inode_of(file: &ImportFile) -> Result<u64, EngineError> {
    let metadata = metadata(&file.path)?;
    if metadata.len() != file.size_bytes {
        return Err(refused(
            file,
            format!("it has {} bytes and not {}", metadata.len(), file.size_bytes),
        ));
    }
    Ok(metadata.ino())
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, EngineError> {
    std::fs::metadata(path).map_err(|error| EngineError::file("look at", path, &error))
}

fn refused(file: &ImportFile, reason: String) -> EngineError {
    EngineError::Import { path: file.path.clone(), reason }
}

/// Refuses range deletions: only the database that wrote them knows which part of them counts
/// (SPEC 12.1), and they would hide rows of other sources.
fn no_range_deletions(column: &Column, files: &[ImportFile]) -> Result<(), EngineError> {
    const OPERATION: &str = "tell the properties of tables";
    let told = column.engine().db().property_value_cf(&column, AGGREGATED_TABLE_PROPERTIES);
    let told = told.map_err(|error| EngineError::new(OPERATION, error))?.unwrap_or_default();
    let count = told.split(';').find_map(|property| property.trim().strip_prefix(RANGE_DELETIONS));
    match (count, files.first()) {
        (Some("0"), _) | (_, None) => Ok(()),
        (Some(count), Some(file)) => {
            Err(refused(file, format!("it, or a file beside it, has range deletions: {count}")))
        }
        (None, _) => Err(EngineError::new(OPERATION, "no number of range deletions")),
    }
}

/// Finds each file by its inode among the files of the new column.
fn new_numbers(
    column: &Column,
    files: &[ImportFile],
    inodes: &[u64],
) -> Result<Vec<u64>, EngineError> {
    let engine = column.engine();
    let mut live: BTreeMap<u64, LiveFile> = BTreeMap::new();
    for file in raw::live_files(engine.db())? {
        if file.column == column.family_name() {
            live.insert(metadata(&engine.dir().join(&file.file_name))?.ino(), file);
        }
    }
    let mut numbers = Vec::with_capacity(files.len());
    for (file, inode) in files.iter().zip(inodes) {
        let Some(new) = live.remove(inode) else {
            return Err(refused(file, "it is not in the database, or was copied".to_owned()));
        };
        let asked = (file.level, file.size_bytes, file.smallest_seqno, file.largest_seqno);
        let got = (new.level, new.size_bytes, new.smallest_seqno, new.largest_seqno);
        if asked != got {
            return Err(refused(
                file,
                format!(
                    "level, length and sequence numbers are {}, {}, {} to {} and not {}, {}, {} to {}",
                    got.0, got.1, got.2, got.3, asked.0, asked.1, asked.2, asked.3
                ),
            ));
        }
        numbers.push(new.number);
    }
    Ok(numbers)
}
