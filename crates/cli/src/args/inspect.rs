//! What a person can type to look into checkpoints.

use clap::{Args, ValueEnum};

/// A checkpoint, and how to print.
#[derive(Debug, Clone, Args)]
pub struct ShowOptions {
    /// The checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path or a storage URI.
    pub checkpoint: String,
    /// One line for each subtask, with its key groups.
    #[arg(long)]
    pub key_groups: bool,
    /// One line for each state, with its codecs and the number of its entries: reads the indexes of
    /// the streams and all operator state, too.
    #[arg(long)]
    pub states: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to verify, and how to print.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// A checkpoint, a savepoint, the folder of a job, or a checkpoint root: a path or a storage URI.
    pub uri: String,
    /// No progress bar.
    #[arg(long)]
    pub quiet: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which entries to print.
#[derive(Debug, Clone, Args)]
pub struct CatOptions {
    /// The checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path or a storage URI.
    pub checkpoint: String,
    /// Of this operator only.
    #[arg(long, value_name = "UID")]
    pub uid: Option<String>,
    /// Of states of this name only.
    #[arg(long, value_name = "NAME")]
    pub state: Option<String>,
    /// Of this key only: as it is printed, texts with or without quotes.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Of this key group only.
    #[arg(long, value_name = "NUMBER")]
    pub key_group: Option<u16>,
    /// Go on behind damage: say what was left out, and exit with 3 at the end. Without it the first
    /// damage in what was asked for ends the command.
    #[arg(long)]
    pub skip_damaged: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "json")]
    pub format: RowFormat,
    /// The same as --format json.
    #[arg(long)]
    pub json: bool,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// One object in each line.
    Json,
    /// With a header; key, namespace and value as JSON.
    Csv,
    /// An Apache Parquet file with the same columns, for a file or a pipe.
    Parquet,
}

/// What to clean up.
#[derive(Debug, Clone, Args)]
pub struct GcArgs {
    /// The folder of a job, or a checkpoint root: a path or a storage URI.
    pub uri: String,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// On a storage without locks, such as S3: you know that no job runs there.
    #[arg(long)]
    pub no_job_runs: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct DiffOptions {
    /// A checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path or a storage URI.
    #[arg(value_name = "A")]
    pub left: String,
    /// Another one.
    #[arg(value_name = "B")]
    pub right: String,
    /// One line for each key group.
    #[arg(long)]
    pub key_groups: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to copy.
#[derive(Debug, Clone, Args)]
pub struct CopyOptions {
    /// The checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path or a storage URI.
    pub checkpoint: String,
    /// A checkpoint root for the copy, which is made if it is missing: a path or a storage URI.
    #[arg(value_name = "DIR")]
    pub target: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to rewrite.
#[derive(Debug, Clone, Args)]
pub struct RewriteOptions {
    /// The checkpoint, .../JOB/chk-N, or the folder of a savepoint: a path or a storage URI.
    pub checkpoint: String,
    /// Folder below which the savepoint gets a folder of its own: a path or a storage URI.
    #[arg(value_name = "DIR")]
    pub target: String,
    /// Another number of key groups: 1 to 32768, not below the parallelism of any operator.
    #[arg(long, value_name = "M")]
    pub max_parallelism: Option<u32>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "canonical")]
    pub backend: RewriteFormat,
    /// Leave this state out; may be given several times.
    #[arg(long, value_name = "UID/STATE")]
    pub drop_state: Vec<String>,
    /// Give an operator another uid; may be given several times.
    #[arg(long, value_name = "OLD=NEW")]
    pub rename_uid: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How a rewritten savepoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RewriteFormat {
    /// Every backend restores it.
    Canonical,
}
