//! Takes rows out of SSTs that are not state of the source they come from.
//!
//! A source that was restored at another parallelism may still have files with rows of key groups
//! that it does not own: it took them as they were. Beside the files of their owner they cannot lie:
//! RocksDB refuses files that overlap, and sequence numbers of two databases do not tell which row
//! counts. So the files of such a source are opened in a database of their own, and those that hold
//! foreign rows are compacted there with a filter; the others keep their bytes.
//!
//! Invariants: what is handed on lies inside the wanted key groups, or is handed on as rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::{KeyGroupRange, MaxParallelism};
use alluvium_format::keyed::StateMeta;
use alluvium_state::RestoreError;
use rocksdb::{BottommostLevelCompaction, CompactOptions};

use super::import::import_files;
use super::{LocalSst, LocalState, RestoreStatistics};
use crate::engine::{Column, Engine, EngineError, LiveFile};
use crate::history::Uploaded;
use crate::options::EngineOptions;
use crate::row_filter::keep_only;
use crate::row_key::RowRange;
use crate::sst_meta::meta_of;
use crate::store::Failure;

const OPERATION: &str = "clip files to key groups";

/// A source after clipping. The database must live until its files are linked elsewhere.
pub(super) struct Clipped<'r> {
    pub(super) engine: Arc<Engine>,
    pub(super) states: Vec<ClippedState<'r>>,
}

/// A state of a clipped source.
pub(super) enum ClippedState<'r> {
    /// Files that hold wanted rows only.
    Files(LocalState<'r>),
    /// A column whose wanted rows have to be copied: its files could not be clipped.
    Rows(&'r StateMeta, Column),
}

/// Whether some file may hold rows of ours that are not state of its source.
pub(super) fn is_needed(
    states: &[LocalState<'_>],
    wanted: KeyGroupRange,
    own: KeyGroupRange,
    max: MaxParallelism,
) -> bool {
    let (first, last) = (wanted.first().get(), wanted.last().get());
    let before = first.checked_sub(1).and_then(|end| range(own.first().get(), end, max));
    let behind = range(last.saturating_add(1), own.last().get(), max);
    let foreign = [before, behind];
    let mut files = states.iter().flat_map(|state| &state.files);
    files.any(|file| foreign.iter().flatten().any(|&groups| file.meta.may_hold(groups, max)))
}

/// The range between two key groups, if there is one.
fn range(first: u16, last: u16, max: MaxParallelism) -> Option<KeyGroupRange> {
    KeyGroupRange::new(first, last, max).ok()
}

/// Clips the files of a source to the key groups that are wanted from it, in a database that is
/// made in a folder that is not there yet.
pub(super) fn clip<'r>(
    states: Vec<LocalState<'r>>,
    rows: &RowRange,
    dir: &Path,
    options: &EngineOptions,
    statistics: &mut RestoreStatistics,
) -> Result<Clipped<'r>, RestoreError> {
    let engine = Engine::create(dir, &options.database()).map_err(failed)?;
    statistics.sources_clipped += 1;
    let mut clipped = Vec::with_capacity(states.len());
    for (number, state) in states.into_iter().enumerate() {
        let name = format!("clipped-{number}");
        clipped.push(clip_state(&name, state, rows, &engine, options, statistics)?);
    }
    Ok(Clipped { engine, states: clipped })
}

fn clip_state<'r>(
    name: &str,
    state: LocalState<'r>,
    rows: &RowRange,
    engine: &Arc<Engine>,
    options: &EngineOptions,
    statistics: &mut RestoreStatistics,
) -> Result<ClippedState<'r>, RestoreError> {
    let LocalState { meta, files } = state;
    let mut column_options = options.column(meta);
    keep_only(rows, &mut column_options);
    column_options.set_disable_auto_compactions(true);
    let (column, numbers) = import_files(engine, name, &column_options, &files)?;
    let origins: BTreeMap<u64, Option<Uploaded>> =
        numbers.into_iter().zip(files.into_iter().map(|file| file.origin)).collect();
    let mut live = Vec::new();
    let is_clean = |file: &LiveFile| rows.holds_all(&file.smallest_key, &file.largest_key);
    // What was merged in the first compaction is shown to the filter of the second.
    for _ in 0..2 {
        compact_around(&column, rows);
        engine.check().map_err(|error| Failure::new(OPERATION, error))?;
        live = column.live_files().map_err(failed)?;
        if live.iter().all(is_clean) {
            break;
        }
    }
    if !live.iter().all(is_clean) {
        return Ok(ClippedState::Rows(meta, column));
    }
    let mut files = Vec::with_capacity(live.len());
    for file in live {
        let known = origins.get(&file.number);
        if known.is_none() {
            statistics.bytes_rewritten += file.size_bytes;
        }
        let origin = known.cloned().flatten();
        let path = engine.dir().join(&file.file_name);
        // The checksum is that of a shared file, which rewritten files are not.
        let checksum = origin.as_ref().map_or(0, |origin| origin.checksum);
        let meta = meta_of(&file, checksum).map_err(|source| RestoreError::Damaged {
            stream: path.display().to_string(),
            source,
        })?;
        files.push(LocalSst { path, len_bytes: file.size_bytes, meta, origin });
    }
    Ok(ClippedState::Files(LocalState { meta, files }))
}

/// Rewrites every file that holds other rows.
fn compact_around(column: &Column, rows: &RowRange) {
    #[cfg(test)]
    if super::tests::clips_nothing() {
        return;
    }
    let mut options = CompactOptions::default();
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    let db = column.engine().db();
    db.compact_range_cf_opt(&column, None::<&[u8]>, Some(rows.first.as_slice()), &options);
    if let Some(end) = &rows.end {
        db.compact_range_cf_opt(&column, Some(end.as_slice()), None::<&[u8]>, &options);
    }
}

fn failed(error: EngineError) -> Failure {
    Failure::new(OPERATION, error)
}
