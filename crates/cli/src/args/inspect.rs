//! What a person can type to look into checkpoints.

use clap::Args;

/// A checkpoint, and how to print.
#[derive(Debug, Clone, Args)]
pub struct ShowOptions {
    /// The checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path, file:, s3: URI.
    pub checkpoint: String,
    /// One line for each subtask, with its key groups.
    #[arg(long)]
    pub key_groups: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
