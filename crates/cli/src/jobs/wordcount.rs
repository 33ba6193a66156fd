//! `wordcount`: counts the words of text files.
//!
//! A word is a run of alphanumeric characters, in lower case. Each file is one split; the position
//! in a file is kept as union list state, so that every subtask knows all positions and takes the
//! files whose number is its own, modulo the parallelism.

mod source;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::core::KeyGroup;
use alluvium::format::codec::DefaultCodec;
use alluvium::runtime::{
    FileSink, InFlightCodec, KeyedOperator, KeyedRecord, OperatorContext, Pipeline, TaskError,
};
use alluvium::state::{KeyedStateBackend, OperatorStateBackend, ValueState, ValueStateDescriptor};
use alluvium::storage::Storage;

pub use self::source::LineSource;
use super::{Job, Rows};
use crate::error::CliError;
use crate::input;

/// One occurrence of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl KeyedRecord for Word {
    type Key = String;

    fn key(&self) -> &String {
        &self.0
    }
}

/// The words of a line.
pub fn words(line: &str) -> impl Iterator<Item = Word> + '_ {
    let runs = line.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(|run| Word(run.to_lowercase()))
}

/// The job.
#[derive(Debug)]
pub struct Wordcount {
    inputs: Arc<[PathBuf]>,
    output: Arc<dyn Storage>,
}

impl Job for Wordcount {
    const NAME: &'static str = "wordcount";
    const TABLE_HEADER: &'static str = "word,count";
    type Key = String;

    fn open(inputs: &[PathBuf], output: Arc<dyn Storage>) -> Result<Self, CliError> {
        input::check(inputs)?;
        Ok(Self { inputs: inputs.into(), output })
    }
}

impl<B: KeyedStateBackend<Key = String>> Pipeline<B> for Wordcount {
    type Source = LineSource;
    type Operator = Count;
    type Sink = FileSink;

    fn input_codec(&self) -> Option<InFlightCodec<Word>> {
        Some(InFlightCodec::through(DefaultCodec, |Word(word)| word.clone(), Word))
    }

    fn output_codec(&self) -> Option<InFlightCodec<String>> {
        Some(InFlightCodec::new(DefaultCodec))
    }

    fn source(&self, context: &OperatorContext) -> Result<LineSource, TaskError> {
        Ok(LineSource::new(Arc::clone(&self.inputs), context))
    }

    fn operator(&self, _context: &OperatorContext) -> Result<Count, TaskError> {
        Ok(Count::default())
    }

    fn sink(&self, context: &OperatorContext) -> Result<FileSink, TaskError> {
        Ok(FileSink::new(Arc::clone(&self.output), context))
    }
}

/// Counts words.
#[derive(Debug, Default)]
pub struct Count {
    counts: Option<ValueState<u64>>,
}

impl Count {
    fn counts(&self) -> Result<ValueState<u64>, TaskError> {
        self.counts.ok_or_else(|| "the operator was not opened".into())
    }
}

impl<B: KeyedStateBackend<Key = String>> KeyedOperator<B> for Count {
    type Input = Word;
    type Output = String;
    type Result = Rows;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.counts = Some(keyed.value_state(ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        Word(word): Word,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let counts = self.counts()?;
        let mut at = keyed.at_key_group(key_group, &word, &())?;
        let count = counts.update(&mut at, |count| {
            *count += 1;
            *count
        })?;
        output.push(format!("{word},{count}"));
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Rows, TaskError> {
        let counts = self.counts()?;
        let mut rows = Rows::new();
        for word in keyed.keys(counts, &())? {
            let at = keyed.at(&word)?;
            if let Some(count) = counts.get(&at)? {
                let line = format!("{word},{}", *count);
                rows.push((word.clone(), line));
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_runs_of_alphanumeric_characters() {
        let found: Vec<String> =
            words("Don't panic: ÄRGER 42nd--street_x\t").map(|Word(word)| word).collect();
        assert_eq!(found, ["don", "t", "panic", "ärger", "42nd", "street", "x"]);
        assert_eq!(words(" ,.- ").count(), 0);
    }
}
