//! From the keyed streams of SPEC 6 to rows.
//!
//! All states of the streams become column families when the backend is opened, whether anybody
//! will register them or not.
//!
//! Invariants: every block that is needed is read and checked before `open` returns.

use alluvium_format::CodecError;
use alluvium_format::codec::Codec;
use alluvium_format::keyed::MapEntry;
use alluvium_state::{
    KeyedStreams, RestoreError, RestoredEntries, StateError, StateKey, StreamContent,
};
use alluvium_storage::HandleReader;

use super::RocksDbKeyedStateBackend;
use super::kept::Kept;
use crate::history::History;
use crate::restore::{ImportedState, SstRestore, SstSource};
use crate::store::{Batch, Failure};

/// Why an entry is refused, before the state is named.
enum Refusal {
    Codec(CodecError),
    Engine(Failure),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Engine(failure)
    }
}

impl Refusal {
    fn into_error(self, state: &str) -> RestoreError {
        let state = state.to_owned();
        match self {
            Self::Codec(source) => StateError::Decode { state, source }.into(),
            Self::Engine(failure) => failure.into(),
        }
    }
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    /// Writes everything that the streams hold of this subtask.
    pub(super) fn restore(
        &mut self,
        restored: &KeyedStreams<'_>,
        reader: &HandleReader,
    ) -> Result<(), RestoreError> {
        self.restore_ssts(restored, reader)?;
        for meta in restored.states.values() {
            if self.kept.contains_key(&meta.name) {
                continue;
            }
            let format = self.format_of(meta)?;
            let column = self.create_column(meta, &format)?;
            let kept = Kept { meta: meta.clone(), format, column };
            self.kept.insert(meta.name.clone(), kept);
        }
        for stream in &restored.streams {
            if matches!(stream.content, StreamContent::Ssts(_)) {
                continue;
            }
            let mut entries = RestoredEntries::new(&self.spec, stream, reader)?;
            for (meta, map) in entries.maps() {
                let Some(kept) = self.kept.get(&meta.name) else { continue };
                self.restore_map(kept, map, &mut entries)?;
            }
        }
        Ok(())
    }

    /// Imports the files of the streams that consist of them.
    fn restore_ssts(
        &mut self,
        restored: &KeyedStreams<'_>,
        reader: &HandleReader,
    ) -> Result<(), RestoreError> {
        let sources: Vec<SstSource<'_>> = restored
            .streams
            .iter()
            .filter_map(|stream| match &stream.content {
                StreamContent::Ssts(index) => Some(SstSource { index, wanted: stream.wanted }),
                StreamContent::Blocks(_) => None,
            })
            .collect();
        if sources.is_empty() {
            return Ok(());
        }
        let restore = SstRestore {
            store: &self.store,
            options: &self.options,
            reader,
            own: self.key_groups,
            max: self.spec.parallelism.max(),
            key: &self.spec.key.snapshot(),
            dir: &self.store.engine().sibling_dir("restore"),
        };
        let (states, base) = restore.run(&sources, &mut self.statistics)?;
        for ImportedState { meta, format, column } in states {
            self.kept.insert(meta.name.clone(), Kept { meta, format, column });
        }
        self.history = History::new(base);
        Ok(())
    }

    fn restore_map(
        &self,
        kept: &Kept,
        map: &MapEntry,
        entries: &mut RestoredEntries<'_, K, C>,
    ) -> Result<(), RestoreError> {
        let mut batch = Batch::new(&self.store, &kept.column);
        let mut row = Vec::new();
        self.layout.put_key_group(map.key_group, &mut row);
        let group_len = row.len();
        entries.visit(map, |entry| {
            row.truncate(group_len);
            let put = kept.format.put_pair(entry.pair(), &mut row).map_err(Refusal::Codec);
            let put = put.and_then(|()| {
                kept.format.put_rows(&mut row, entry.value(), |row, value| {
                    batch.put(row, value).map_err(Refusal::Engine)
                })
            });
            put.map_err(|refusal| refusal.into_error(&kept.meta.name))
        })?;
        Ok(batch.finish()?)
    }
}
