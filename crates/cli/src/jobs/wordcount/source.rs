//! Reads the words of files, line by line, and can go on from any line.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::runtime::{OperatorContext, Source, SourceStatus, TaskError};
use alluvium::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};

use super::{Word, words};
use crate::error::CliError;
use crate::input::{self, Reader};

/// Number of a file among the inputs, its path, and the byte where the next line begins.
type Position = (u32, String, u64);

/// Reads the words of the files of one subtask.
pub struct LineSource {
    inputs: Arc<[PathBuf]>,
    subtask: usize,
    parallelism: usize,
    positions: Option<OperatorListState<Position>>,
    /// Files of this subtask, and the byte where the next line of each begins.
    files: Vec<(usize, u64)>,
    /// Which of `files` is being read; those before it are at their end.
    current: usize,
    reader: Option<Reader>,
}

impl LineSource {
    pub(super) fn new(inputs: Arc<[PathBuf]>, context: &OperatorContext) -> Self {
        Self {
            inputs,
            subtask: usize::from(context.subtask.get()),
            parallelism: usize::from(context.parallelism.get()),
            positions: None,
            files: Vec::new(),
            current: 0,
            reader: None,
        }
    }

    fn path(&self, file: usize) -> Result<PathBuf, TaskError> {
        let path = self.inputs.get(file).cloned();
        path.ok_or_else(|| format!("input number {file} is not given any more").into())
    }
}

impl std::fmt::Debug for LineSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineSource(subtask {}, {:?})", self.subtask, self.files)
    }
}

impl Source for LineSource {
    type Record = Word;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let positions =
            state.union_list_state(ListStateDescriptor::<Position>::new("positions"))?;
        self.positions = Some(positions);
        let restored = state.items(positions)?.to_vec();
        for (file, path) in self.inputs.iter().enumerate() {
            if file % self.parallelism != self.subtask {
                continue;
            }
            let known = restored.iter().find(|(number, ..)| *number as usize == file);
            let offset = match known {
                Some((_, expected, offset)) if *expected == path.display().to_string() => *offset,
                Some((_, expected, _)) => {
                    let (number, path) = (file + 1, path.display());
                    return Err(format!(
                        "input {number} was {expected} when the checkpoint was taken and is {path} now"
                    )
                    .into());
                }
                None => 0,
            };
            self.files.push((file, offset));
        }
        if let Some((number, path, _)) =
            restored.iter().find(|(number, ..)| *number as usize >= self.inputs.len())
        {
            let number = number + 1;
            return Err(format!(
                "input {number} was {path} when the checkpoint was taken and is missing now"
            )
            .into());
        }
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Word>, limit: usize) -> Result<SourceStatus, TaskError> {
        let mut lines = 0;
        // Lines without words count too, so that a poll ends soon whatever the text is.
        while records.len() < limit && lines < limit {
            lines += 1;
            let Some((file, offset)) = self.files.get(self.current).copied() else {
                return Ok(SourceStatus::Ended);
            };
            let path = self.path(file)?;
            let mut reader = match self.reader.take() {
                Some(reader) => reader,
                None => input::open(&path, offset)?,
            };
            let line: Result<_, CliError> = input::read_line(&mut reader, &path, offset);
            let Some((line, taken)) = line? else {
                self.current += 1;
                continue;
            };
            records.extend(words(&line));
            if let Some((_, next)) = self.files.get_mut(self.current) {
                *next = offset + taken;
            }
            self.reader = Some(reader);
        }
        Ok(SourceStatus::More)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let positions = self.positions.ok_or("the source was not opened")?;
        let mut items = Vec::new();
        for (file, offset) in &self.files {
            let path = self.path(*file)?.display().to_string();
            items.push((u32::try_from(*file)?, path, *offset));
        }
        Ok(state.update(positions, items)?)
    }
}
