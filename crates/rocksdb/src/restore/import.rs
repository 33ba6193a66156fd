//! Makes column families of the files of all sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::{KeyGroupRange, MaxParallelism};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::keyed::StateMeta;
use alluvium_state::{RestoreError, StateError};
use alluvium_storage::HandleReader;

use super::clip::{self, Clipped, ClippedState};
use super::fetch::Fetch;
use super::{LocalSst, LocalState, RestoreStatistics, SstSource};
use crate::engine::{Column, ColumnOptions, Engine, ImportFile};
use crate::history::Base;
use crate::options::EngineOptions;
use crate::row_filter::filter;
use crate::row_format::RowFormat;
use crate::row_key::{RowKeyLayout, RowRange};
use crate::store::{Batch, Failure, Rows, Store};

const OPERATION: &str = "import files of a checkpoint";

/// A restore of SSTs into a new database.
pub(crate) struct SstRestore<'a> {
    pub(crate) store: &'a Store,
    pub(crate) options: &'a EngineOptions,
    pub(crate) reader: &'a HandleReader,
    /// The key groups of the subtask.
    pub(crate) own: KeyGroupRange,
    pub(crate) max: MaxParallelism,
    /// Codec of the keys.
    pub(crate) key: &'a CodecSnapshot,
    /// A folder of this restore alone, which is not there yet; on the file system of the database.
    pub(crate) dir: &'a Path,
}

/// A state that was restored.
pub(crate) struct ImportedState {
    pub(crate) meta: StateMeta,
    pub(crate) format: RowFormat,
    pub(crate) column: Column,
}

/// What one state gets from all sources.
#[derive(Default)]
struct Gathered {
    files: Vec<LocalSst>,
    /// Columns of other databases whose rows are copied, and which rows.
    rows: Vec<(Column, RowRange)>,
}

impl SstRestore<'_> {
    /// Restores the states of all sources, by name; also says which files later checkpoints may
    /// refer to.
    ///
    /// Shape: the states of a name are the same in all sources.
    pub(crate) fn run(
        &self,
        sources: &[SstSource<'_>],
        statistics: &mut RestoreStatistics,
    ) -> Result<(Vec<ImportedState>, Base), RestoreError> {
        fs::create_dir(self.dir)
            .map_err(|error| Failure::of_io("make a folder for files", error))?;
        let layout = RowKeyLayout::new(self.max);
        let parallel = self.options.parallel_transfers;
        let fetch = Fetch { reader: self.reader, dir: self.dir, parallel };
        let mut gathered: BTreeMap<&str, (&StateMeta, Gathered)> = BTreeMap::new();
        // Databases of clipped sources, which must outlive the import of their files.
        let mut engines: Vec<Arc<Engine>> = Vec::new();
        for (number, source) in sources.iter().enumerate() {
            let states = fetch.source(number, source, self.max, statistics)?;
            let rows = layout.rows_of(source.wanted);
            let states = if clip::is_needed(&states, source.wanted, self.own, self.max) {
                let dir = self.dir.join(format!("clip-{number}"));
                let Clipped { engine, states } =
                    clip::clip(states, &rows, &dir, self.options, statistics)?;
                engines.push(engine);
                states
            } else {
                states.into_iter().map(ClippedState::Files).collect()
            };
            for state in states {
                let (meta, files, copied) = match state {
                    ClippedState::Files(LocalState { meta, files }) => (meta, files, None),
                    ClippedState::Rows(meta, column) => (meta, Vec::new(), Some(column)),
                };
                let (_, gathered) =
                    gathered.entry(&meta.name).or_insert_with(|| (meta, Gathered::default()));
                gathered.files.extend(files);
                gathered.rows.extend(copied.map(|column| (column, rows.clone())));
            }
        }
        let mut imported = Vec::with_capacity(gathered.len());
        let mut base = Base::new();
        for (number, (meta, gathered)) in gathered.into_values().enumerate() {
            // Names of states may hold bytes that those of column families may not.
            let name = format!("restored-{number}");
            let refused = |source| StateError::Decode { state: meta.name.clone(), source };
            let format = RowFormat::new(layout, self.key, meta).map_err(refused)?;
            let options = self.options.column(meta);
            let column = self.import(&name, (options, &format), gathered, &mut base, statistics)?;
            imported.push(ImportedState { meta: meta.clone(), format, column });
        }
        drop(engines);
        // Its files are in the database now; what is left goes with the folder of the backend.
        let _ = fs::remove_dir_all(self.dir);
        Ok((imported, base))
    }

    fn import(
        &self,
        name: &str,
        (mut options, format): (ColumnOptions, &RowFormat),
        gathered: Gathered,
        base: &mut Base,
        statistics: &mut RestoreStatistics,
    ) -> Result<Column, RestoreError> {
        let rows = RowKeyLayout::new(self.max).rows_of(self.own);
        let mut files = gathered.files.iter().map(|file| &file.meta);
        let is_clean = files.all(|file| rows.holds_all(&file.smallest_key, &file.largest_key));
        filter((!is_clean).then_some(&rows), format.expiry.as_ref(), &mut options);
        let (column, numbers) = import_files(self.store.engine(), name, &options, &gathered.files)?;
        for (number, file) in numbers.into_iter().zip(gathered.files) {
            if let Some(origin) = file.origin {
                base.insert(number, origin);
            }
        }
        for (from, rows) in gathered.rows {
            statistics.rows_copied += self.copy_rows(&from, rows, &column)?;
        }
        Ok(column)
    }

    /// Copies rows of another database.
    fn copy_rows(&self, from: &Column, rows: RowRange, to: &Column) -> Result<u64, RestoreError> {
        let mut batch = Batch::new(self.store, to);
        let mut rows = Rows::open(from, None, rows)?;
        let mut count = 0;
        while let Some((row, value)) = rows.row()? {
            batch.put(row, value)?;
            count += 1;
            rows.advance();
        }
        batch.finish()?;
        Ok(count)
    }
}

/// Makes a column family of local files; also gives their numbers in the database.
pub(super) fn import_files(
    engine: &Arc<Engine>,
    name: &str,
    options: &ColumnOptions,
    files: &[LocalSst],
) -> Result<(Column, Vec<u64>), RestoreError> {
    let files: Vec<ImportFile> = files
        .iter()
        .map(|file| ImportFile {
            path: file.path.clone(),
            level: u32::from(file.meta.level),
            size_bytes: file.len_bytes,
            smallest_seqno: file.meta.smallest_seqno,
            largest_seqno: file.meta.largest_seqno,
        })
        .collect();
    let imported = Column::import(engine, name, options, &files);
    Ok(imported.map_err(|error| Failure::new(OPERATION, error))?)
}
