//! Brings SSTs into a local folder.
//!
//! Invariants: a file is handed on only when length, seal and the checksum of all its bytes are
//! those of the index.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::{KeyGroupRange, MaxParallelism, SharedFile};
use alluvium_format::FormatError;
use alluvium_format::sst::{SstChecksum, SstMeta};
use alluvium_state::{RestoreError, StreamSource};
use alluvium_storage::{HandleReader, ReadAccess, ReadAt};

use super::{LocalSst, LocalState, RestoreStatistics, SstSource};
use crate::history::Uploaded;
use crate::parallel::for_each;
use crate::store::Failure;

/// Bytes that are copied at a time.
const PIECE_LEN_BYTES: u64 = 4 * 1024 * 1024;

/// Where files are brought, and how many at a time.
pub(super) struct Fetch<'a> {
    pub(super) reader: &'a HandleReader,
    /// A folder that is there; each source gets one below.
    pub(super) dir: &'a Path,
    /// Files that are brought at a time, at least 1.
    pub(super) parallel: usize,
}

/// One file to be brought.
struct Wanted<'r> {
    state: usize,
    file: &'r SharedFile,
    meta: &'r SstMeta,
}

impl Fetch<'_> {
    /// Brings what a source has of some key groups.
    pub(super) fn source<'r>(
        &self,
        number: usize,
        source: &SstSource<'r>,
        max: MaxParallelism,
        statistics: &mut RestoreStatistics,
    ) -> Result<Vec<LocalState<'r>>, RestoreError> {
        let dir = self.dir.join(number.to_string());
        fs::create_dir(&dir).map_err(|error| Failure::of_io("make a folder for files", error))?;
        let states = &source.index.header().states;
        let wanted = wanted_of(source, source.wanted, max);
        statistics.files_skipped += (source.index.shared().len() - wanted.len()) as u64;
        let fetched = self.all(&wanted, &dir, statistics)?;
        let mut local: Vec<LocalState<'r>> =
            states.iter().map(|meta| LocalState { meta, files: Vec::new() }).collect();
        for (wanted, sst) in wanted.iter().zip(fetched) {
            if let Some(state) = local.get_mut(wanted.state) {
                state.files.push(sst);
            }
        }
        Ok(local)
    }

    /// Brings all files, in their order.
    fn all(
        &self,
        wanted: &[Wanted<'_>],
        dir: &Path,
        statistics: &mut RestoreStatistics,
    ) -> Result<Vec<LocalSst>, RestoreError> {
        let outcomes = for_each(wanted, self.parallel, |at, wanted| {
            self.one(wanted, &dir.join(format!("{at:06}.sst")))
        });
        let mut files = Vec::with_capacity(wanted.len());
        for outcome in outcomes {
            let (sst, counted) = outcome?;
            statistics.add(counted);
            files.push(sst);
        }
        Ok(files)
    }

    /// From a local copy if there is one. That has the path, the length and the seal of the file, but
    /// all SSTs end alike: only the checksum of the index tells that it is the file.
    fn one(&self, wanted: &Wanted<'_>, to: &Path) -> Outcome {
        let fetched = Self::from(self.reader, wanted, to);
        match (fetched, self.reader.without_copies()) {
            (Err(RestoreError::Damaged { .. }), Some(itself)) => {
                fs::remove_file(to).map_err(|error| Failure::of_io("remove a file", error))?;
                Self::from(&itself, wanted, to)
            }
            (fetched, _) => fetched,
        }
    }

    fn from(reader: &HandleReader, wanted: &Wanted<'_>, to: &Path) -> Outcome {
        let Wanted { file, meta, .. } = wanted;
        let name = || format!("{}/{}", reader.root(), file.path);
        // Mapped, so that a file that is only compared is not copied.
        let source = reader.with_access(ReadAccess::Map).shared_source(file)?;
        let linked = reader.local_path(file).is_some_and(|from| fs::hard_link(from, to).is_ok());
        let statistics = if linked {
            SstChecksum::verify(&StreamSource::new(source), meta.checksum)
                .map_err(|error| RestoreError::of_stream(name(), error))?;
            RestoreStatistics { files_linked: 1, ..RestoreStatistics::default() }
        } else {
            let found = copy(&source, to)?;
            if found != meta.checksum {
                let (what, offset, expected) = ("sst", 0, meta.checksum);
                let error = FormatError::Checksum { what, offset, expected, found };
                return Err(RestoreError::of_stream(name(), error));
            }
            let bytes_copied = file.len_bytes;
            RestoreStatistics { files_copied: 1, bytes_copied, ..RestoreStatistics::default() }
        };
        let origin = reader.is_shareable();
        let origin = origin.then(|| Uploaded { file: (*file).clone(), checksum: meta.checksum });
        let (path, len_bytes, meta) = (to.to_owned(), file.len_bytes, (*meta).clone());
        Ok((LocalSst { path, len_bytes, meta, origin }, statistics))
    }
}

type Outcome = Result<(LocalSst, RestoreStatistics), RestoreError>;

fn wanted_of<'r>(
    source: &SstSource<'r>,
    key_groups: KeyGroupRange,
    max: MaxParallelism,
) -> Vec<Wanted<'r>> {
    let index = source.index;
    let states = 0..index.header().states.len();
    let all = states.flat_map(|state| {
        index.ssts_of(state).map(move |(file, meta)| Wanted { state, file, meta })
    });
    all.filter(|wanted| wanted.meta.may_hold(key_groups, max)).collect()
}

/// Copies a file and gives the checksum of its bytes.
fn copy(source: &Arc<dyn ReadAt>, to: &Path) -> Result<u32, RestoreError> {
    let failed = |error| Failure::of_io("write a restored file", error);
    let mut out = File::create_new(to).map_err(failed)?;
    let (mut checksum, len_bytes) = (SstChecksum::default(), source.len_bytes());
    let mut start = 0;
    while start < len_bytes {
        let end = len_bytes.min(start + PIECE_LEN_BYTES);
        let piece = source.read(start..end)?;
        checksum.update(&piece);
        out.write_all(&piece).map_err(failed)?;
        start = end;
    }
    Ok(checksum.value())
}
