//! The jobs of the command, and what they have in common.

pub mod flights;
pub mod wordcount;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::format::codec::{DefaultCodec, HasCodec};
use alluvium::runtime::{KeyedOperator, Pipeline};
use alluvium::state::{StateBackend, StateKey};
use alluvium::storage::Storage;

use crate::error::CliError;

/// A job that reads files and comes to a table.
pub trait Job: Send + Sync + Sized + 'static {
    /// Name of the job, and of its folder unless another is given.
    const NAME: &'static str;
    /// First line of the table.
    const TABLE_HEADER: &'static str;
    /// The type of its keys.
    type Key: StateKey + HasCodec;

    /// Opens the inputs.
    ///
    /// Errors: [`CliError::Input`], [`CliError::BadInput`].
    fn open(inputs: &[PathBuf], output: Arc<dyn Storage>) -> Result<Self, CliError>;

    /// What to say about the input besides the number of records; empty for nothing.
    fn remarks(&self) -> String {
        String::new()
    }
}

/// Rows of the table: the key to sort by, and the line.
pub type Rows = Vec<(String, String)>;

/// A [`Job`] on a backend; implemented for each by its own code.
pub trait JobOn<B: StateBackend>:
    Job
    + Pipeline<
        B::Keyed<<Self as Job>::Key, DefaultCodec>,
        Operator: KeyedOperator<B::Keyed<<Self as Job>::Key, DefaultCodec>, Result = Rows>,
    >
{
}

impl<B, J> JobOn<B> for J
where
    B: StateBackend,
    J: Job
        + Pipeline<
            B::Keyed<<J as Job>::Key, DefaultCodec>,
            Operator: KeyedOperator<B::Keyed<<J as Job>::Key, DefaultCodec>, Result = Rows>,
        >,
{
}
