//! The checkpoints that are damaged: all golden ones, and what a job of today leaves that retains three.

use std::path::Path;
use std::sync::Arc;

use alluvium::core::{AssignerName, CheckpointId, CheckpointMetadata, JobId, StoragePath};
use alluvium::format::keyed::{KeyedReader, MapEntry};
use alluvium::fs::FsStateBackend;
use alluvium::heap::StateMapKind;
use alluvium::runtime::{CheckpointStore, StoreError, read_savepoint, verify_checkpoint};
use alluvium::state::StateBackend;
use alluvium::storage::{HandleReader, JobLayout, ReadAccess, Storage};
use alluvium_testkit::job::fresh_memory;

use super::files::{FileMap, Files};
use crate::golden;

/// A checkpoint or a savepoint, and what lies in its folder.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Which one, for people.
    pub name: String,
    /// All files that it needs, its metadata among them.
    pub files: FileMap,
    /// The number of a checkpoint; `None` for a savepoint.
    pub checkpoint: Option<CheckpointId>,
}

impl Subject {
    /// The path of its metadata.
    pub fn metadata_path(&self) -> StoragePath {
        self.checkpoint.map_or_else(JobLayout::savepoint_metadata, JobLayout::metadata)
    }

    /// Reads and verifies it to its last byte, which is what a job does before it restores anything.
    ///
    /// Errors: those of [`CheckpointStore::read`] and [`CheckpointStore::verify`].
    pub fn gate(&self, files: &Arc<Files>) -> Result<CheckpointMetadata, StoreError> {
        let storage: Arc<dyn Storage> = Arc::clone(files) as _;
        let store = CheckpointStore::in_folder(Arc::clone(&storage), JobId::new("job").unwrap());
        let metadata = match self.checkpoint {
            Some(checkpoint) => store.read(checkpoint)?,
            None => read_savepoint(&*storage)?,
        };
        store.verify(&metadata)?;
        Ok(metadata)
    }

    /// For each shared file with blocks of keyed state: its path, and the bytes of it that the checkpoint
    /// uses, of which the last four are the seal. Of all other files every byte is used.
    pub fn used_of_shared(&self) -> Vec<(String, Vec<bool>)> {
        let files = Files::new(self.files.clone());
        let metadata = self.gate(&files).unwrap();
        let reader = HandleReader::new(files, ReadAccess::Copy);
        verify_checkpoint(&metadata, &reader).unwrap();
        let mut used: Vec<(String, Vec<bool>)> = Vec::new();
        let subtasks = metadata.operators.iter().flat_map(|operator| &operator.subtasks);
        for handle in subtasks.filter_map(|subtask| subtask.keyed.as_ref()) {
            let Ok(keyed) = KeyedReader::open_bytes(reader.open(&handle.stream).unwrap()) else {
                continue;
            };
            for (number, file) in (1_u16..).zip(keyed.shared()) {
                let len = usize::try_from(file.len_bytes).unwrap();
                let mut bytes = vec![false; len];
                bytes[len - 4..].fill(true);
                let blocks = keyed.maps().iter().flat_map(MapEntry::blocks);
                for block in blocks.filter(|block| block.file == number) {
                    let start = usize::try_from(block.block.offset).unwrap();
                    bytes[start..][..block.block.len_bytes as usize].fill(true);
                }
                used.push((file.path.to_string(), bytes));
            }
        }
        used
    }
}

/// All golden checkpoints and savepoints.
pub fn golden_subjects() -> Vec<Subject> {
    let cases = golden::CASES.iter().map(|case| {
        let dir = golden::sets_dir().join(golden::NEWEST_SET).join(case.name);
        let found = golden::find(&dir);
        let is_savepoint = found.checkpoint.ends_with(golden::SAVEPOINT);
        let top =
            if is_savepoint { &*found.checkpoint } else { found.checkpoint.parent().unwrap() };
        let checkpoint = (!is_savepoint).then_some(found.metadata.properties.checkpoint);
        Subject { name: case.name.to_owned(), files: files_below(top), checkpoint }
    });
    cases.collect()
}

fn files_below(top: &Path) -> FileMap {
    let entry = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap().into())
    };
    golden::files(top).iter().map(entry).collect()
}

/// What a backend leaves of a job with three checkpoints, each on top of the one before.
pub fn history<B: StateBackend>(backend: &B, assigner: AssignerName) -> FileMap {
    let storage = fresh_memory();
    golden::write_history(backend, assigner, &storage);
    let mut files = FileMap::new();
    for entry in storage.list(None).unwrap() {
        let dir = StoragePath::new(&entry.name).unwrap();
        for file in storage.list(Some(&dir)).unwrap() {
            let path = dir.join(&file.name).unwrap();
            files.insert(path.to_string(), storage.read_all(&path).unwrap());
        }
    }
    files
}

/// The files of the newest of three checkpoints.
pub fn newest_of(name: &str, history: &FileMap) -> Subject {
    let checkpoint = CheckpointId::new(3).unwrap();
    let own = JobLayout::metadata(checkpoint);
    let all =
        Subject { name: name.to_owned(), files: history.clone(), checkpoint: Some(checkpoint) };
    let metadata = all.gate(&Files::new(history.clone())).unwrap();
    let needed: Vec<&str> = metadata.files().chain([&own]).map(StoragePath::as_str).collect();
    let mut files = history.clone();
    files.retain(|path, _| needed.contains(&path.as_str()));
    Subject { files, ..all }
}

/// The `fs` backend with small segments, so that there are many blocks.
pub fn fs_backend() -> FsStateBackend {
    FsStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(8)
}

/// All golden subjects, and checkpoints that backends write today.
pub fn all_subjects() -> Vec<Subject> {
    let mut subjects = golden_subjects();
    let fs = history(&fs_backend(), AssignerName::Stable);
    subjects.push(newest_of("fs-incremental", &fs));
    let other = history(&fs_backend(), AssignerName::Flink);
    subjects.push(newest_of("fs-flink-incremental", &other));
    #[cfg(feature = "rocksdb")]
    subjects.push(newest_of("rocksdb-of-today", &rocksdb_history()));
    subjects
}

/// The same of RocksDB.
#[cfg(feature = "rocksdb")]
pub fn rocksdb_history() -> FileMap {
    let work = tempfile::tempdir().unwrap();
    let backend = alluvium::rocksdb::RocksDbStateBackend::new(work.path());
    history(&backend, AssignerName::Flink)
}
