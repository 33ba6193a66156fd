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

/// What to verify, and how to print.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// A checkpoint, a savepoint, the folder of a job, or a checkpoint root: a path, file:, s3: URI.
    pub uri: String,
    /// No progress bar.
    #[arg(long)]
    pub quiet: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
