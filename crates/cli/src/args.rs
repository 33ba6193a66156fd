//! What a person can type.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alluvium::coordinator::{RestartStrategy, SavepointFormat};
use alluvium::runtime::{CheckpointRetention, ClaimMode};
use clap::{Parser, Subcommand, ValueEnum};

mod bench;
mod inspect;

pub use bench::{
    BenchCheckpointOptions, BenchCommand, BenchNexmarkOptions, BenchQuery, BenchSubject,
};
pub use inspect::{
    CatOptions, CopyOptions, DiffOptions, GcArgs, RewriteFormat, RewriteOptions, RowFormat,
    ShowOptions, VerifyOptions,
};

/// Runs stream jobs on real files with checkpoints.
///
/// Kill a job at any moment and resume it at another parallelism: the result is exact.
///
/// Exit codes: 0 done, 1 the job failed or did not do what it was asked for, 2 wrong use, 3 bad data, 4 storage or system, 5 another
/// process runs the job or took it over, 70 a bug of this program.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Command {
    /// Run a job to its end; kill it when you like and run it again with --restore latest.
    Run(RunCommand),
    /// List the checkpoints under a root: id, attempt, time, sizes, status, operators.
    ///
    /// New bytes are in streams of the checkpoint itself, shared bytes in files of earlier ones that
    /// it refers to. Only `_metadata` is read: `complete` does not say that the state files are sound. A restore
    /// checks them to the last byte. The latest checkpoint is the one of the highest attempt.
    List {
        /// A checkpoint root, or the folder of one job in it: a path or a storage URI.
        uri: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a checkpoint or savepoint holds: operators, parallelism, bytes and files.
    ///
    /// Only `_metadata` is read, however large the state is, but for --states.
    Show(ShowOptions),
    /// Compare every checksum of checkpoints, and what metadata, streams and files say of each other.
    ///
    /// Each finding names the file, the offset, what was expected and what was found. Files that no
    /// checkpoint refers to are warnings: a running job may be writing them. So are key groups of an
    /// operator that no subtask has, where others have theirs: a subtask writes no keyed state before it
    /// has registered any, and only its job knows whether it should have. Exit code 1: something is
    /// damaged; 4: the storage does not answer, so nobody knows.
    Verify(VerifyOptions),
    /// Print the entries of keyed state and the items of operator state, a row for each.
    ///
    /// Values are decoded by the codecs that the checkpoint names; those of user types are printed as
    /// hexadecimal digits, maps as lists of pairs, timers as entries whose namespace is domain (1 event
    /// time, 2 processing time), time and namespace, values with a time to live with their stamp in
    /// milliseconds. State in SST files needs a build with RocksDB, and space for it in the folder for
    /// temporary files. With --uid nothing of other operators is read, whatever is wrong with them.
    Cat(CatOptions),
    /// Remove files of a job to which none of its checkpoints refers: what killed runs left behind.
    ///
    /// By references only. Nothing is removed while a job runs there, or while the metadata of anything
    /// in the folder cannot be read, since it may need any file. Savepoints and `taskowned/` stay, and so
    /// does what a checkpoint needs whose folder has another name. What keeps one job from being cleaned
    /// up keeps no other.
    Gc(GcArgs),
    /// Say what became of checkpoint A in checkpoint B, for each operator and state.
    ///
    /// Blocks that both refer to are not read. Both need the same number of key groups; the parallelism
    /// may differ. What is damaged is named and not compared; then it exits with 3.
    Diff(DiffOptions),
    /// Copy a checkpoint or savepoint with everything that it needs, and verify the copy.
    ///
    /// A checkpoint goes to DIR/JOB/chk-N and DIR/JOB/shared, a savepoint to a folder of its name. The copy
    /// exists once its `_metadata` is there, which is written last.
    Copy(CopyOptions),
    /// Write a checkpoint or savepoint anew as a canonical savepoint, which every backend restores.
    ///
    /// With --max-parallelism, key groups are computed again from the encoded keys.
    ///
    /// The folder for temporary files (the variable TMPDIR) needs space: with another max parallelism than before,
    /// as much as the keyed state of the largest operator; and if state lies in SST files of RocksDB, as much as
    /// that of all operators, until the end.
    Rewrite(RewriteOptions),
    /// Show a running job: its status, what became of checkpoints, and how long they took.
    Status {
        /// Where the job listens: http://HOST:PORT, or HOST:PORT.
        url: String,
    },
    /// Take a savepoint of a running job and print where it lies.
    Savepoint(SavepointOptions),
    /// Take a checkpoint of a running job now and print its number.
    Checkpoint {
        /// Where the job listens: http://HOST:PORT, or HOST:PORT.
        url: String,
        /// One that builds on no earlier one.
        #[arg(long)]
        full: bool,
        /// Do not wait for it; print the id of the trigger.
        #[arg(long)]
        detached: bool,
    },
    /// End a running job with a savepoint, and print where that lies once the process has let go of it.
    Stop {
        /// What to take.
        #[command(flatten)]
        savepoint: SavepointOptions,
        /// The job will not go on: let event time come to its end first, so that all timers fire.
        #[arg(long)]
        drain: bool,
    },
    /// End a running job at once, without a savepoint.
    Cancel {
        /// Where the job listens: http://HOST:PORT, or HOST:PORT.
        url: String,
        /// Do not wait until it has ended.
        #[arg(long)]
        detached: bool,
    },
    /// Run the flights job, kill it twice, resume it each time, and check the result.
    Demo(DemoOptions),
    /// Measure what this machine does with state and checkpoints.
    Bench(BenchCommand),
}

/// What a savepoint is asked for with.
#[derive(Debug, Clone, clap::Args)]
pub struct SavepointOptions {
    /// Where the job listens: http://HOST:PORT, or HOST:PORT.
    pub url: String,
    /// Folder below which the savepoint gets a folder of its own: a path or a storage URI, as the
    /// process of the job sees it.
    #[arg(long, value_name = "DIR")]
    pub target: String,
    /// How the savepoint is written.
    #[arg(long, value_enum, default_value = "canonical")]
    pub format: Format,
    /// Do not wait for it; print the id of the trigger.
    #[arg(long)]
    pub detached: bool,
}

/// How a savepoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Every backend restores it.
    Canonical,
    /// As the backend stores its state.
    Native,
}

impl From<Format> for SavepointFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Canonical => Self::Canonical,
            Format::Native => Self::Native,
        }
    }
}

/// Which job to run.
#[derive(Debug, clap::Args)]
pub struct RunCommand {
    /// The job.
    #[command(subcommand)]
    pub job: JobCommand,
}

/// The jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Count the words of text files; writes DIR/table.csv and DIR/updates/.
    Wordcount(RunOptions),
    /// Follow each aircraft through the departures of a flights.csv; writes DIR/table.csv and
    /// DIR/updates/.
    Flights(RunOptions),
}

/// Options of a run.
#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    /// Files to read, plain, .gz or .zst.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// Where the results go: a path or a storage URI.
    #[arg(long, value_name = "DIR")]
    pub output: String,
    /// Where state lives and how snapshots of it are taken.
    #[arg(long, value_enum, default_value = "fs")]
    pub backend: BackendName,
    /// Folder for the databases of the RocksDB backend, which are deleted when the job ends. On the
    /// file system of --checkpoints, a restore links files instead of copying them; default: the
    /// folder for temporary files.
    #[cfg(feature = "rocksdb")]
    #[arg(long, value_name = "DIR")]
    pub local_dir: Option<PathBuf>,
    /// Memory that all databases of the RocksDB backend share, for caches and for what is not
    /// written to files yet.
    #[cfg(feature = "rocksdb")]
    #[arg(long, default_value = "256MiB", value_name = "BYTES")]
    pub rocksdb_memory: bytesize::ByteSize,
    /// Checkpoint root: a path, `file:/PATH`, or
    /// `s3://BUCKET/PREFIX?endpoint=...&region=...&path_style=true` (credentials come from AWS_
    /// variables); `gs://BUCKET/PREFIX` in builds with the feature gcs, `az://CONTAINER/PREFIX` with
    /// azblob. The memory backend keeps its checkpoints in the process instead.
    #[arg(long, value_name = "URI")]
    pub checkpoints: Option<String>,
    /// Keep copies of the files of the newest checkpoint in this folder of the machine, for a restart that
    /// reads nothing else: hard links where --checkpoints lies on the same file system, else the same
    /// bytes a second time. A copy that is missing or damaged costs a read of the file itself. Several
    /// jobs may share a folder.
    #[arg(long, value_name = "DIR")]
    pub local_recovery: Option<PathBuf>,
    /// What a checkpoint writes. The memory backend always writes everything.
    #[arg(long, value_enum, default_value = "incremental")]
    pub snapshots: Snapshots,
    /// Time between the starts of two checkpoints, such as 500ms, 10s or 5m.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s", value_name = "DURATION")]
    pub interval: Duration,
    /// Least time between the end of a checkpoint and the start of the next.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "DURATION")]
    pub min_pause: Duration,
    /// Time after which a checkpoint is given up.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10m", value_name = "DURATION")]
    pub timeout: Duration,
    /// Checkpoints that may be under way at a time; with --min-pause it is one.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub max_concurrent: usize,
    /// Checkpoints in a row that may fail before the job does.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub tolerable_failures: u32,
    /// Let checkpoints overtake records: they take no longer when the job is held up, and hold the
    /// records that were in flight.
    #[arg(long)]
    pub unaligned: bool,
    /// How long a checkpoint stays among the records before it overtakes them, such as 200ms; default:
    /// it overtakes them at once.
    #[arg(long, value_parser = humantime::parse_duration, requires = "unaligned", value_name = "DURATION")]
    pub aligned_timeout: Option<Duration>,
    /// What a restore promises.
    #[arg(long, value_enum, default_value = "exactly-once")]
    pub mode: Mode,
    /// Subtasks of each operator.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub parallelism: u32,
    /// Key groups, fixed for the life of the job's state; default: that of the restored checkpoint,
    /// else 128 or more by parallelism.
    #[arg(long, value_name = "N")]
    pub max_parallelism: Option<u32>,
    /// What to begin from: `latest` (the newest checkpoint of the job under --checkpoints, or the
    /// newest whole one when that is damaged, which is said; a fresh start when there is none),
    /// `latest-strict` (the same, but a damaged one is refused), `none`, or the URI of one checkpoint
    /// (.../JOB/chk-N) or of the folder of a savepoint. Output committed after that point is moved to
    /// DIR/updates/superseded-ATTEMPT/, never deleted.
    #[arg(long, default_value = "none", value_name = "latest|latest-strict|none|URI")]
    pub restore: String,
    /// Who owns a checkpoint or savepoint that --restore names by its URI: `no-claim` leaves it alone,
    /// and the first checkpoint writes everything anew; `claim` makes it this job's, which builds on it
    /// and deletes it when newer ones replace it.
    #[arg(long, value_enum, default_value = "no-claim")]
    pub claim: Claim,
    /// Whether checkpoints stay when the job is over. Savepoints always do.
    #[arg(long, value_enum, default_value = "retain")]
    pub retention: Retention,
    /// Completed checkpoints to keep.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub retain: usize,
    /// Most records per second; default: as fast as it goes.
    #[arg(long, value_name = "RECORDS_PER_S")]
    pub rate: Option<f64>,
    /// What to do when a task fails: `none`, `fixed-delay:ATTEMPTS:DELAY`,
    /// `failure-rate:FAILURES:INTERVAL:DELAY` or
    /// `exponential-delay[:INITIAL:MAX:MULTIPLIER:RESET:JITTER[:ATTEMPTS]]`, such as fixed-delay:3:1s,
    /// failure-rate:3:60s:1s or exponential-delay:1s:60s:1.5:1h:0.1, which is the default of the latter.
    #[arg(long, default_value = "none", value_name = "STRATEGY")]
    pub restart: RestartStrategy,
    /// Name of the job's folder under the checkpoint root; default: the name of the job.
    #[arg(long, value_name = "ID")]
    pub job: Option<String>,
    /// Answer questions over HTTP at this address, such as 127.0.0.1:8081, while the job runs; port 0
    /// takes one that is free. There is no authentication: whoever reaches the address can end the job
    /// and have savepoints written.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Write what happens to standard error, up to this level: spans of attempts and checkpoints from
    /// info, when each ended from debug.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub log: Option<LogLevel>,
    /// Print nothing but errors.
    #[arg(long)]
    pub quiet: bool,
}

/// How much is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed for good.
    Error,
    /// What failed.
    Warn,
    /// What was done.
    Info,
    /// How.
    Debug,
    /// Everything.
    Trace,
}

/// Where state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// State in memory, checkpoints in the memory of this process.
    Memory,
    /// State in memory, checkpoints as files, asynchronous.
    Fs,
    /// The same with the simple nested map and synchronous checkpoints.
    FsNested,
    /// State in local RocksDB databases, checkpoints as files; for state larger than memory.
    #[cfg(feature = "rocksdb")]
    Rocksdb,
}

impl BackendName {
    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fs => "fs",
            Self::FsNested => "fs-nested",
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb => "rocksdb",
        }
    }
}

/// What a checkpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Snapshots {
    /// All state, into a folder of its own.
    Full,
    /// What has changed, where the backend can tell, and references to files of earlier
    /// checkpoints for the rest.
    Incremental,
}

/// What a restore promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Each record counts once.
    ExactlyOnce,
    /// Each record counts once or more; no input ever waits for a barrier.
    AtLeastOnce,
}

/// Who owns what a job begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Claim {
    /// Whoever has owned it.
    NoClaim,
    /// The job.
    Claim,
}

impl From<Claim> for ClaimMode {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::NoClaim => Self::NoClaim,
            Claim::Claim => Self::Claim,
        }
    }
}

/// Whether checkpoints stay when a job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retention {
    /// They stay.
    Retain,
    /// They go when the job has come to its end or was stopped, and stay when it failed or was
    /// cancelled.
    RetainOnCancellation,
    /// They stay only when the job failed.
    DeleteOnCancellation,
    /// They go.
    Delete,
}

impl From<Retention> for CheckpointRetention {
    fn from(retention: Retention) -> Self {
        match retention {
            Retention::Retain => Self::Retain,
            Retention::RetainOnCancellation => Self::RetainOnCancellation,
            Retention::DeleteOnCancellation => Self::DeleteOnCancellation,
            Retention::Delete => Self::Delete,
        }
    }
}

/// Options of the demonstration.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// The flights data.
    #[arg(long, default_value = "data/flights.csv.zst", value_name = "FILE")]
    pub input: PathBuf,
    /// The backend to show; memory would lose its checkpoints at the kill.
    #[arg(long, value_enum, default_value = "fs")]
    pub backend: BackendName,
    /// Keep the output and the checkpoints in this folder; default: a temporary one.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}
