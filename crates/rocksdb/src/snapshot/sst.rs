//! An incremental checkpoint: the SSTs of a freeze, those that the base has by reference.
//!
//! 1. The files of the freeze are listed, and those that are not in the base are linked into a
//!    folder of this job, so that the database may drop them meanwhile.
//! 2. They are uploaded, several at a time.
//! 3. The index names all of them.
//!
//! Invariants: a job that fails leaves no file of its own, here or in the storage, as far as both
//! can be reached.
//!
//! Source: SPEC 12; Flink `RocksIncrementalSnapshotStrategy`, `RocksDBStateUploader`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use alluvium_core::{KeyedStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::sst::{SstIndexHeader, SstIndexWriter};
use alluvium_state::{SnapshotError, SnapshotTarget};
use alluvium_storage::StorageError;

use crate::engine::{Collected, CollectedFile, FreezePoint};
use crate::history::{Base, Uploaded};
use crate::parallel::for_each;
use crate::sst_meta::meta_of;
use crate::store::Failure;

/// Bytes that are copied at a time, in each thread that uploads; not charged to the budget.
const PIECE_LEN_BYTES: usize = 256 * 1024;

/// What an incremental checkpoint is made from.
pub(super) struct SstSnapshot<'a> {
    pub(super) header: SstIndexHeader,
    pub(super) subtask: SubtaskIndex,
    pub(super) base: &'a Base,
    /// A folder of this job alone, which is not there yet; on the file system of the database.
    pub(super) link_dir: &'a Path,
    /// Files that are uploaded at a time, at least 1.
    pub(super) parallel_uploads: usize,
}

impl SstSnapshot<'_> {
    /// Writes the checkpoint; also says what it has, by file number.
    ///
    /// Shape: the columns of `point` are the states of the header, in their order.
    pub(super) fn write(
        self,
        point: FreezePoint,
        target: &SnapshotTarget,
    ) -> Result<(KeyedStateHandle, Base), SnapshotError> {
        let _links = LinkDir::create(self.link_dir)?;
        let collected = point
            .collect(self.link_dir, |file| !self.base.contains_key(&file.number))
            .map_err(|error| Failure::new("list the files of a checkpoint", error))?;
        let new: Vec<(u64, &PathBuf)> = files_of(&collected)
            .filter_map(|file| Some((file.file.number, file.link.as_ref()?)))
            .collect();
        let uid = self.header.uid.clone();
        let uploads = Uploads { target, uid: &uid, subtask: self.subtask };
        let uploaded = uploads.run(&new, self.parallel_uploads)?;
        let outcome = self.index(&collected, &uploaded, target);
        if outcome.is_err() {
            target.discard(uploaded.values().map(|uploaded| &uploaded.file));
        }
        outcome
    }

    fn index(
        self,
        collected: &Collected,
        uploaded: &Base,
        target: &SnapshotTarget,
    ) -> Result<(KeyedStateHandle, Base), SnapshotError> {
        let (uid, key_groups) = (self.header.uid.clone(), self.header.key_groups);
        let mut writer = SstIndexWriter::new(self.header);
        let mut has = Base::new();
        for (state, column) in collected.columns.iter().enumerate() {
            for CollectedFile { file, .. } in &column.files {
                let known = self.base.get(&file.number).or_else(|| uploaded.get(&file.number));
                let Some(known) = known else { unreachable!("files are in the base or uploaded") };
                writer.sst(state, known.file.clone(), meta_of(file, known.checksum)?)?;
                has.insert(file.number, known.clone());
            }
        }
        let (stream, identity) = target.sst_index_stream(&uid, self.subtask);
        let finished = writer.finish(stream, &identity)?;
        let (stream, seal, shared) = (finished.out, finished.seal, finished.shared);
        let handle = SnapshotTarget::finish_keyed(stream, seal, key_groups, shared)?;
        let written = uploaded.values().map(|uploaded| uploaded.file.path.clone()).collect();
        Ok((KeyedStateHandle { written, ..handle }, has))
    }
}

fn files_of(collected: &Collected) -> impl Iterator<Item = &CollectedFile> {
    collected.columns.iter().flat_map(|column| &column.files)
}

/// A folder of hard links that is removed when this is dropped.
struct LinkDir<'a>(&'a Path);

impl<'a> LinkDir<'a> {
    fn create(dir: &'a Path) -> Result<Self, Failure> {
        fs::create_dir(dir).map_err(|error| Failure::of_io("make a folder for links", error))?;
        Ok(Self(dir))
    }
}

impl Drop for LinkDir<'_> {
    fn drop(&mut self) {
        // What is left goes with the folder of the backend.
        let _ = fs::remove_dir_all(self.0);
    }
}

/// Copies a file, in pieces that storages like.
fn copy(from: &mut File, to: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE_LEN_BYTES];
    loop {
        let len = from.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        to.write_all(piece.get(..len).unwrap_or_default())?;
    }
}

/// Files on their way into the storage.
struct Uploads<'a> {
    target: &'a SnapshotTarget,
    uid: &'a OperatorUid,
    subtask: SubtaskIndex,
}

impl Uploads<'_> {
    /// Uploads all files, or leaves none.
    fn run(&self, files: &[(u64, &PathBuf)], parallel: usize) -> Result<Base, SnapshotError> {
        let outcomes = for_each(files, parallel, |at, (_, path)| self.upload(at, path));
        if outcomes.iter().all(Result::is_ok) {
            let numbers = files.iter().map(|(number, _)| *number);
            return numbers.zip(outcomes).map(|(number, file)| Ok((number, file?))).collect();
        }
        let mut failed = Ok(Base::new());
        for outcome in outcomes {
            match outcome {
                Ok(uploaded) => self.target.discard([&uploaded.file]),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    fn upload(&self, at: usize, path: &Path) -> Result<Uploaded, SnapshotError> {
        let failed = |error| Failure::of_io("read a file of a checkpoint", error);
        let mut from = File::open(path).map_err(failed)?;
        let Ok(number) = u32::try_from(at) else { unreachable!("an index has 65,535 files") };
        let mut to = self.target.sst_file(self.uid, self.subtask, number);
        to.also_at(path);
        if let Err(error) = copy(&mut from, &mut to) {
            to.abort();
            // What the storage said comes out of the stream that carried it.
            return Err(match error.downcast::<StorageError>() {
                Ok(storage) => SnapshotError::Storage(storage),
                Err(other) => failed(other).into(),
            });
        }
        let (file, checksum) = to.finish()?;
        Ok(Uploaded { file, checksum })
    }
}
