//! What is to be compared: everything but blocks and SST files is compared while the plan is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{
    KeyGroup, KeyGroupRange, KeyedStateHandle, OperatorState, OperatorStateHandle, SharedFile,
    StoragePath, SubtaskIndex,
};
use alluvium_format::envelope::Block;
use alluvium_format::keyed::{KeyedReader, MapEntry};
use alluvium_format::operator::{DistributionMode, read_operator_state, section_key_group};
use alluvium_format::sst::SstIndexReader;
use alluvium_state::{RestoreError, StreamContent};
use alluvium_storage::{Storage, StorageError};

use super::finding::{Finding, Severity};
use super::is_damage_of_stream;
use super::pieces::{self, FileWork};
use crate::checkpoint::location;
use crate::stream::{KeyedStream, KnownStates, check_identity, stream_name};
use crate::{Checkpoint, InspectError, Progress};

/// The checkpoints of one folder.
pub(super) struct Plan {
    storage: Arc<dyn Storage>,
    work: BTreeMap<StoragePath, FileWork>,
    pub(super) findings: Vec<Finding>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) checksums: u64,
}

/// Where a stream comes from.
#[derive(Clone, Copy)]
struct Of<'c> {
    checkpoint: &'c Checkpoint,
    /// What findings call the checkpoint.
    name: &'c str,
    operator: &'c OperatorState,
    subtask: SubtaskIndex,
}

impl Plan {
    pub(super) fn new(storage: &Arc<dyn Storage>) -> Self {
        let (storage, work) = (Arc::clone(storage), BTreeMap::new());
        Self { storage, work, findings: Vec::new(), files: 0, bytes: 0, checksums: 0 }
    }

    /// Adds a checkpoint. Errors are those of a storage that does not answer.
    pub(super) fn add(&mut self, checkpoint: &Checkpoint, name: &str) -> Result<(), InspectError> {
        self.files += 1;
        self.bytes += checkpoint.metadata_len_bytes();
        for operator in &checkpoint.metadata().operators {
            self.check_ranges(checkpoint, operator, name);
            let mut known = KnownStates::default();
            for subtask in &operator.subtasks {
                let of = Of { checkpoint, name, operator, subtask: subtask.index };
                if let Some(keyed) = &subtask.keyed {
                    let added = self.add_keyed(of, keyed, &mut known);
                    self.note(
                        of,
                        stream_name(checkpoint, operator, of.subtask, &keyed.stream),
                        added,
                    )?;
                }
                if let Some(state) = &subtask.operator {
                    let added = self.add_operator(of, state);
                    self.note(
                        of,
                        stream_name(checkpoint, operator, of.subtask, &state.stream),
                        added,
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Damage is a finding; anything else ends the verification.
    fn note(
        &mut self,
        of: Of<'_>,
        file: String,
        outcome: Result<(), RestoreError>,
    ) -> Result<(), InspectError> {
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if is_damage_of_stream(&error) => {
                let finding = Finding::of_stream(file, &error).needed_by(of.name);
                self.findings.push(finding);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The key groups of the subtasks with keyed state must tile all of them.
    fn check_ranges(&mut self, checkpoint: &Checkpoint, operator: &OperatorState, name: &str) {
        let ranges: Vec<KeyGroupRange> = (operator.subtasks.iter())
            .filter_map(|subtask| subtask.keyed.as_ref().map(|keyed| keyed.key_groups))
            .collect();
        if ranges.is_empty() {
            return;
        }
        let max = checkpoint.metadata().properties.max_parallelism.get();
        let (mut next, mut gap) = (0, None);
        for range in &ranges {
            if range.first().get() != next {
                gap = gap.or(Some(next));
            }
            next = range.last().get().saturating_add(1);
        }
        if let Some(at) = gap.or((next != max).then_some(next)) {
            let file = checkpoint.location_of_metadata();
            let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
            let what = format!("key groups of operator {}", operator.uid);
            let expected = format!("ranges that tile 0..{max}");
            let found = format!("none from {at} on, in {}", ranges.join(", "));
            let finding = Finding::damage(file, &what).expected(expected, found).needed_by(name);
            // A subtask writes no keyed state before it has registered any, and nobody but its job knows
            // whether it should have (SPEC 8.3).
            self.findings.push(Finding { severity: Severity::Warning, ..finding });
        }
    }

    fn add_keyed(
        &mut self,
        of: Of<'_>,
        handle: &KeyedStateHandle,
        known: &mut KnownStates,
    ) -> Result<(), RestoreError> {
        let reader = of.checkpoint.reader();
        for file in &handle.shared {
            self.file(of, file)?;
        }
        if let Some(path) = handle.stream.file() {
            let (len_bytes, seal) = (handle.stream.len_bytes, handle.stream.seal);
            if !self.file(of, &SharedFile { path: path.clone(), len_bytes, seal })? {
                return Ok(());
            }
        }
        let stream = KeyedStream::open(of.checkpoint, of.operator, of.subtask, handle, &reader)?;
        let said = stream.said();
        known.check(&stream.name, said.key, said.states)?;
        match &stream.content {
            StreamContent::Blocks(keyed) => self.add_blocks(of, handle, keyed, &stream.name),
            StreamContent::Ssts(index) => self.add_ssts(index),
        }
        Ok(())
    }

    /// Notes a file once, and says whether it is there, as long as it should be, and ends as it should.
    fn file(&mut self, of: Of<'_>, file: &SharedFile) -> Result<bool, RestoreError> {
        if let Some(known) = self.work.get_mut(&file.path) {
            known.needed_by(of.name);
            if (known.file.len_bytes, known.file.seal) == (file.len_bytes, file.seal) {
                return Ok(true);
            }
        }
        let name = location(&*self.storage, Some(&file.path));
        let opened = of.checkpoint.reader().shared_source(file);
        match opened {
            Ok(_) => {
                self.files += 1;
                let mut work = FileWork::new(file.clone());
                work.needed_by(of.name);
                self.work.insert(file.path.clone(), work);
                Ok(true)
            }
            Err(error) => {
                let is_seal = matches!(error, StorageError::SealMismatch { .. });
                let error = RestoreError::Storage(error);
                if !is_damage_of_stream(&error) {
                    return Err(error);
                }
                let mut finding = Finding::of_stream(name, &error).needed_by(of.name);
                if is_seal {
                    finding = finding.at(file.len_bytes.saturating_sub(4));
                }
                self.findings.push(finding);
                Ok(false)
            }
        }
    }

    fn add_blocks(
        &mut self,
        of: Of<'_>,
        handle: &KeyedStateHandle,
        keyed: &KeyedReader,
        name: &str,
    ) {
        self.bytes += handle.stream.len_bytes;
        let blocks = keyed.maps().iter().flat_map(MapEntry::blocks);
        for block in blocks {
            let path = match block.file.checked_sub(1) {
                Some(place) => handle.shared.get(usize::from(place)).map(|file| &file.path),
                None => handle.stream.file(),
            };
            match path.and_then(|path| self.work.get_mut(path)) {
                Some(work) => {
                    // The stream itself is counted as a whole already.
                    if block.is_own() {
                        self.bytes = self.bytes.saturating_sub(u64::from(block.block.len_bytes));
                    }
                    work.add(block.block);
                }
                // A file that is not there has a finding.
                None if path.is_some() => {}
                None => self.check_inlined(of, keyed, block.block, name),
            }
        }
    }

    fn check_inlined(&mut self, of: Of<'_>, keyed: &KeyedReader, block: Block, name: &str) {
        self.checksums += 1;
        if let Err(error) = alluvium_format::keyed::read_block(&**keyed.source(), &block) {
            let finding = Finding::of_format(name.to_owned(), &error).needed_by(of.name);
            self.findings.push(finding);
        }
    }

    fn add_ssts(&mut self, index: &SstIndexReader) {
        for (file, meta) in index.ssts() {
            if let Some(work) = self.work.get_mut(&file.path) {
                work.is_sst_with(meta.checksum);
            }
        }
    }

    fn add_operator(
        &mut self,
        of: Of<'_>,
        handle: &OperatorStateHandle,
    ) -> Result<(), RestoreError> {
        let name = stream_name(of.checkpoint, of.operator, of.subtask, &handle.stream);
        let bytes = of.checkpoint.reader().open(&handle.stream)?;
        self.bytes += bytes.len() as u64;
        self.files += u64::from(handle.stream.file().is_some());
        let damaged = |source| RestoreError::Damaged { stream: name.clone(), source };
        let (uid, identity, states) = read_operator_state(bytes).map_err(damaged)?;
        self.checksums += states.len() as u64;
        let mismatch = |what, expected: String, found: String| RestoreError::Mismatch {
            stream: name.clone(),
            what,
            expected,
            found,
        };
        if uid != of.operator.uid {
            return Err(mismatch("operator", of.operator.uid.to_string(), uid.to_string()));
        }
        check_identity(&name, of.subtask, &of.checkpoint.metadata().properties, &identity)?;
        let parallelism = of.operator.parallelism;
        for state in states.iter().filter(|state| state.mode == DistributionMode::Keyed) {
            for section in &state.items {
                let number = section_key_group(section).ok();
                let group = number.and_then(|number| KeyGroup::new(number, parallelism.max()).ok());
                if group.is_none_or(|group| parallelism.owner_of(group) != of.subtask) {
                    let found = number.map_or("none".to_owned(), |number| number.to_string());
                    let expected = format!("one of subtask {}", of.subtask);
                    return Err(mismatch("key group of a section", expected, found));
                }
            }
        }
        Ok(())
    }

    /// Reads and compares what was noted.
    pub(super) fn read(&mut self, progress: &dyn Progress) -> Result<(), InspectError> {
        let work: Vec<FileWork> = std::mem::take(&mut self.work).into_values().collect();
        let read = pieces::read(&*self.storage, work, progress)?;
        self.bytes += read.bytes;
        self.checksums += read.checksums;
        self.findings.extend(read.findings);
        Ok(())
    }
}
