//! Bytes of the operator's own making: in partitions, or by key group.
//!
//! For operators that keep their state themselves, such as one that comes from another engine, and
//! give it to checkpoints as bytes. Both are operator state of SPEC 7, whatever backend keeps the
//! keyed state of the job:
//! - *raw operator state* is a split list of `bytes`: a restore hands the partitions out;
//! - *raw keyed state* has a *section* of bytes for each key group that the operator writes one for: a
//!   restore hands each subtask the sections of its key groups, whatever the parallelism.
//!
//! An operator reads its sections when it is restored, and writes all of them anew before a freeze.
//!
//! Invariants: of raw keyed state, a key group has one section at most, sections are in the order of
//! their key groups, and all belong to the subtask; a writer that is not finished changes nothing.
//!
//! Source: Flink `KeyedStateCheckpointOutputStream`, `KeyGroupStatePartitionStreamProvider`,
//! `OperatorStateCheckpointOutputStream`.

use std::collections::BTreeMap;

use alluvium_core::{KeyGroup, KeyGroupRange};
use alluvium_format::codec::DefaultCodec;
use alluvium_format::operator::DistributionMode;
use bytes::Bytes;

use super::{OperatorListState, OperatorStateBackend};
use crate::{ListStateDescriptor, StateError};

/// Sections of bytes, one at most for each key group of a subtask.
#[derive(Debug, Clone, Copy)]
pub struct RawKeyedState {
    sections: OperatorListState<(u16, Bytes)>,
    key_groups: KeyGroupRange,
}

impl OperatorStateBackend {
    /// Registers raw operator state: a list of partitions, each of which goes to one subtask of a
    /// restore as it is.
    ///
    /// Errors: as [`OperatorStateBackend::list_state`].
    pub fn raw_operator_state(
        &mut self,
        name: &str,
    ) -> Result<OperatorListState<Bytes>, StateError> {
        self.list_state(ListStateDescriptor::<Bytes>::new(name))
    }

    /// Registers raw keyed state of a subtask, by its key groups.
    ///
    /// Errors: as [`OperatorStateBackend::list_state`]; [`StateError::ForeignSection`] when there are
    /// sections of other key groups, so that these are not the key groups of the subtask.
    pub fn raw_keyed_state(
        &mut self,
        name: &str,
        key_groups: KeyGroupRange,
    ) -> Result<RawKeyedState, StateError> {
        let mode = DistributionMode::Keyed;
        let sections = self.register::<(u16, Bytes), _>(name.to_owned(), mode, DefaultCodec)?;
        let own = key_groups.first().get()..=key_groups.last().get();
        let foreign = self.items(sections)?.iter().find(|(group, _)| !own.contains(group));
        match foreign {
            None => Ok(RawKeyedState { sections, key_groups }),
            Some((key_group, _)) => Err(StateError::ForeignSection {
                state: name.to_owned(),
                key_group: *key_group,
                range: key_groups,
            }),
        }
    }

    /// The sections, in the order of their key groups: those that were restored, or those that were
    /// written since. Key groups without a section do not come.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn raw_keyed_sections(
        &self,
        state: RawKeyedState,
    ) -> Result<impl Iterator<Item = (KeyGroup, &Bytes)>, StateError> {
        let mut key_groups = state.key_groups.iter();
        let sections = self.items(state.sections)?.iter();
        // Both go upwards, so each search begins where the one before has ended.
        Ok(sections.filter_map(move |(number, bytes)| {
            let key_group = key_groups.find(|key_group| key_group.get() == *number)?;
            Some((key_group, bytes))
        }))
    }

    /// Begins to write all sections anew.
    ///
    /// ```
    /// # use alluvium_core::KeyGroup;
    /// # use alluvium_state::{OperatorStateBackend, RawKeyedState, StateError};
    /// /// Puts what a foreign operator has for each of its key groups into the next checkpoint.
    /// fn snapshot(
    ///     backend: &mut OperatorStateBackend,
    ///     state: RawKeyedState,
    ///     tables: &[(KeyGroup, Vec<u8>)],
    /// ) -> Result<(), StateError> {
    ///     let mut writer = backend.write_raw_keyed(state)?;
    ///     for (key_group, table) in tables {
    ///         writer.start_key_group(*key_group)?.extend_from_slice(table);
    ///     }
    ///     writer.finish();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn write_raw_keyed(
        &mut self,
        state: RawKeyedState,
    ) -> Result<RawKeyedWriter<'_>, StateError> {
        let name = self.name_of(state.sections)?.to_owned();
        let (sections, key_groups) = (self.items_mut(state.sections)?, state.key_groups);
        Ok(RawKeyedWriter { name, key_groups, sections, written: BTreeMap::new() })
    }
}

/// Writes the sections of raw keyed state. What was there before stays until
/// [`RawKeyedWriter::finish`].
#[derive(Debug)]
#[must_use = "what is written counts once the writer is finished"]
pub struct RawKeyedWriter<'b> {
    name: String,
    key_groups: KeyGroupRange,
    sections: &'b mut Vec<(u16, Bytes)>,
    written: BTreeMap<u16, Vec<u8>>,
}

impl RawKeyedWriter<'_> {
    /// Starts the section of a key group. Key groups come in any order, each once at most; bytes are
    /// appended to what this gives, by [`std::io::Write`] or otherwise.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`], [`StateError::SectionStarted`]; the writer stays as it
    /// was.
    ///
    /// Source: Flink `KeyedStateCheckpointOutputStream.startNewKeyGroup`.
    pub fn start_key_group(&mut self, key_group: KeyGroup) -> Result<&mut Vec<u8>, StateError> {
        let range = self.key_groups;
        if !range.contains(key_group) {
            return Err(StateError::ForeignKeyGroup { key_group, range });
        }
        if self.written.contains_key(&key_group.get()) {
            return Err(StateError::SectionStarted { state: self.name.clone(), key_group });
        }
        Ok(self.written.entry(key_group.get()).or_default())
    }

    /// Puts what was written in the place of all sections that were there.
    pub fn finish(self) {
        let written = self.written.into_iter();
        *self.sections = written.map(|(key_group, bytes)| (key_group, bytes.into())).collect();
    }
}

#[cfg(test)]
mod tests;
