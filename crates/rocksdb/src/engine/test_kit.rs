//! What the tests of the engine share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{OperatorUid, SubtaskIndex};
use alluvium_state::ScanOrder;
use rocksdb::{DBCompressionType, MergeOperands, Options};

use super::freeze::CollectedColumn;
use super::{Collected, Column, Cursor, Engine, ImportFile, write_options};
use crate::folder::{FolderOwner, LocalFolder};
use crate::row_key::RowRange;

/// Rows of a column.
pub(super) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) fn engine(dir: &Path) -> Arc<Engine> {
    engine_with(dir, |_| ())
}

/// An engine whose folder goes with it.
pub(super) fn engine_in_folder(base: &Path) -> Arc<Engine> {
    let uid = OperatorUid::new("engine").unwrap();
    let owner = FolderOwner { uid: &uid, subtask: SubtaskIndex::new(0), seed: 1 };
    Engine::create_in(LocalFolder::create(base, owner).unwrap(), &Options::default()).unwrap()
}

pub(super) fn engine_with(dir: &Path, change: impl FnOnce(&mut Options)) -> Arc<Engine> {
    let mut options = Options::default();
    options.set_max_background_jobs(3);
    change(&mut options);
    Engine::create(dir, &options).unwrap()
}

/// Small files and many levels, so that little data makes much work.
pub(super) fn column_options(write_buffer_bytes: usize) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(write_buffer_bytes);
    options.set_max_write_buffer_number(4);
    options.set_level_zero_file_num_compaction_trigger(2);
    options.set_target_file_size_base(256 << 10);
    options.set_max_bytes_for_level_base(1 << 20);
    options.set_max_bytes_for_level_multiplier(4.0);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_merge_operator_associative("append", append);
    options
}

#[expect(clippy::unnecessary_wraps, reason = "RocksDB's signature")]
fn append(_: &[u8], old: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let mut value = old.unwrap_or_default().to_vec();
    for operand in operands {
        value.extend_from_slice(operand);
    }
    Some(value)
}

pub(super) fn put(column: &Column, key: &[u8], value: &[u8]) {
    column.engine().db().put_cf_opt(&column, key, value, &write_options()).unwrap();
}

pub(super) fn delete(column: &Column, key: &[u8]) {
    column.engine().db().delete_cf_opt(&column, key, &write_options()).unwrap();
}

pub(super) fn merge(column: &Column, key: &[u8], operand: &[u8]) {
    column.engine().db().merge_cf_opt(&column, key, operand, &write_options()).unwrap();
}

/// Flushes a column and waits for it.
pub(super) fn flush(column: &Column) {
    column.engine().db().flush_cf(&column).unwrap();
}

pub(super) fn compact(column: &Column) {
    column.engine().db().compact_range_cf(&column, None::<&[u8]>, None::<&[u8]>);
}

/// All rows of a column.
pub(super) fn rows(column: &Column) -> Rows {
    let snapshot = column.engine().snapshot();
    let mut cursor =
        Cursor::open(column, Some(&snapshot), RowRange::default(), ScanOrder::Ascending).unwrap();
    let mut rows = Vec::new();
    while let Some((key, value)) = cursor.row().unwrap() {
        rows.push((key.to_vec(), value.to_vec()));
        cursor.advance();
    }
    rows
}

/// What a freeze says of its files, as an import wants it.
pub(super) fn import_files(column: &CollectedColumn) -> Vec<ImportFile> {
    let import = |file: &super::CollectedFile| ImportFile {
        path: file.link.clone().unwrap(),
        level: file.file.level,
        size_bytes: file.file.size_bytes,
        smallest_seqno: file.file.smallest_seqno,
        largest_seqno: file.file.largest_seqno,
    };
    column.files.iter().map(import).collect()
}

/// A new engine that holds what was collected.
pub(super) fn imported(collected: &Collected, dir: &Path) -> Vec<Column> {
    let engine = engine(dir);
    let import = |column: &CollectedColumn| {
        let files = import_files(column);
        let (column, numbers) =
            Column::import(&engine, "state", &column_options(1 << 20), &files).unwrap();
        assert_eq!(numbers.len(), files.len());
        assert!(files.iter().all(|file| !file.path.exists()));
        column
    };
    collected.columns.iter().map(import).collect()
}

/// A folder that is there.
pub(super) fn made(dir: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Waits, but not for ever.
pub(super) fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("twenty seconds, and not yet: {what}");
}

/// Numbers that look random.
pub(super) const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
