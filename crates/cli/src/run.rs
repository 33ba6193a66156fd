//! `alluvium run`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium::coordinator::CoordinatorConfig;
use alluvium::core::{JobId, OperatorUid, StoragePath};
use alluvium::runtime::{
    CheckpointMode, CheckpointStore, ClaimMode, JobConfig, OperatorUids, RestoreFrom, SystemClock,
    TokioHost, read_savepoint,
};
use alluvium::state::{SnapshotMode, StateBackend};
use alluvium::storage::{self, JobLayout, Storage, StorageLock, StreamPolicy};
use alluvium_rest::JobFacts;

use crate::args::{BackendName, JobCommand, Mode, RunOptions, Snapshots};
use crate::backend::ChosenBackend;
use crate::error::CliError;
use crate::jobs::flights::Flights;
use crate::jobs::wordcount::Wordcount;
use crate::jobs::{JobOn, Rows};
use crate::listen::Listening;
use crate::progress::Progress;

/// Name of the table in the output folder.
const TABLE: &str = "table.csv";
/// Name of the lock in the output folder.
const OUTPUT_LOCK: &str = ".lock";

pub(crate) fn run(job: &JobCommand) -> Result<(), CliError> {
    let options = match job {
        JobCommand::Wordcount(options) | JobCommand::Flights(options) => options,
    };
    if let Some(level) = options.log {
        crate::log::install(level);
    }
    let listening = Listening::open(options.listen)?;
    let report = run_on_backend(job, options, &listening);
    // Everything of the job is let go of by now, so whoever waits for its end may begin it again.
    listening.finish();
    let report = report?;
    if !options.quiet {
        // A reader that went away does not make the job fail.
        let _ = writeln!(std::io::stdout(), "{report}");
    }
    Ok(())
}

fn run_on_backend(
    job: &JobCommand,
    options: &RunOptions,
    listening: &Listening,
) -> Result<JobReport, CliError> {
    match (job, ChosenBackend::in_memory(options.backend)) {
        (JobCommand::Wordcount(_), Some(backend)) => {
            run_named::<_, Wordcount>(backend, options, listening)
        }
        (JobCommand::Flights(_), Some(backend)) => {
            run_named::<_, Flights>(backend, options, listening)
        }
        #[cfg(feature = "rocksdb")]
        (JobCommand::Wordcount(_), None) => {
            run_named::<_, Wordcount>(crate::rocksdb::backend(options)?, options, listening)
        }
        #[cfg(feature = "rocksdb")]
        (JobCommand::Flights(_), None) => {
            run_named::<_, Flights>(crate::rocksdb::backend(options)?, options, listening)
        }
        #[cfg(not(feature = "rocksdb"))]
        (_, None) => unreachable!("all backends of this build keep their state in memory"),
    }
}

/// What a job came to.
#[derive(Debug)]
pub struct JobReport {
    /// Rows of the table.
    pub rows: usize,
    /// Records read by this process, those that were read again included.
    pub records: u64,
    /// Checkpoints completed by this process.
    pub checkpoints: u64,
    /// How often the job was started anew.
    pub restarts: u32,
    /// Where the savepoint lies that it was stopped with, if it was.
    pub savepoint: Option<String>,
    /// Where the table is.
    pub table: String,
    /// What the job says about its input.
    pub remarks: String,
}

impl std::fmt::Display for JobReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, records, checkpoints, restarts, savepoint, table, remarks } = self;
        write!(
            f,
            "{table}: {rows} rows from {records} records, {checkpoints} checkpoints, {restarts} \
             restarts"
        )?;
        if let Some(savepoint) = savepoint {
            write!(f, "; stopped with {savepoint}")?;
        }
        if remarks.is_empty() { Ok(()) } else { write!(f, "; {remarks}") }
    }
}

fn run_named<B, J>(
    backend: B,
    options: &RunOptions,
    listening: &Listening,
) -> Result<JobReport, CliError>
where
    B: StateBackend,
    J: JobOn<B>,
{
    check_numbers(options)?;
    let output = storage::open(&options.output)?;
    let _lock = lock_output(&*output)?;
    let job = Arc::new(J::open(&options.input, Arc::clone(&output))?);
    run_job(&job, backend, options, &output, listening)
}

/// The standard library draws the keys of its hasher at random once per process.
#[expect(clippy::disallowed_methods, reason = "the one place that draws a seed")]
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn check_numbers(options: &RunOptions) -> Result<(), CliError> {
    for (name, number) in
        [("--retain", options.retain), ("--max-concurrent", options.max_concurrent)]
    {
        if number == 0 {
            return Err(CliError::Usage(format!("{name} 0: at least 1 is needed")));
        }
    }
    for (name, duration) in [("--interval", options.interval), ("--timeout", options.timeout)] {
        if duration.as_millis() == 0 {
            return Err(CliError::Usage(format!("{name} must be at least 1ms")));
        }
    }
    match options.rate {
        Some(rate) if !(0.1..=1e12).contains(&rate) => {
            Err(CliError::Usage(format!("--rate {rate} is outside 0.1 to 1e12 records per second")))
        }
        _ => Ok(()),
    }
}

fn lock_output(output: &dyn Storage) -> Result<Option<StorageLock>, CliError> {
    Ok(output.lock(&path(OUTPUT_LOCK)?)?)
}

fn path(name: &str) -> Result<StoragePath, CliError> {
    StoragePath::new(name).map_err(|error| CliError::Usage(error.to_string()))
}

/// Where checkpoints go.
fn checkpoint_root(options: &RunOptions) -> Result<(Arc<dyn Storage>, StreamPolicy), CliError> {
    if options.backend == BackendName::Memory {
        // One process keeps one such store; its name is shown nowhere.
        let name = format!("memory:coordinator-{}", std::process::id());
        return Ok((storage::open(&name)?, StreamPolicy::coordinator_memory()));
    }
    let Some(uri) = &options.checkpoints else {
        let backend = options.backend.as_str();
        let usage = format!("--backend {backend} needs --checkpoints URI");
        return Err(CliError::Usage(usage));
    };
    Ok((storage::open(uri)?, StreamPolicy::files()))
}

/// Opens `.../JOB/chk-N?query`, or the folder of a savepoint.
fn restore_point(uri: &str, job: &JobId, claim: ClaimMode) -> Result<RestoreFrom, CliError> {
    let usage = || {
        let text = "is neither latest, latest-strict, none nor the URI of a checkpoint, \
                    .../JOB/chk-N, or of the folder of a savepoint";
        CliError::Usage(format!("--restore {uri} {text}"))
    };
    let (address, query) =
        uri.split_once('?').map_or((uri, ""), |(address, query)| (address, query));
    let (folder, name) = address.trim_end_matches('/').rsplit_once('/').ok_or_else(usage)?;
    let checkpoint = JobLayout::parse_checkpoint_dir(name);
    let folder = if checkpoint.is_some() { folder } else { address };
    let folder = if query.is_empty() { folder.to_owned() } else { format!("{folder}?{query}") };
    let storage = storage::open_existing(&folder)?;
    let store = CheckpointStore::in_folder(Arc::clone(&storage), job.clone());
    let metadata = match checkpoint {
        Some(checkpoint) => store.read(checkpoint)?,
        None => read_savepoint(&*storage)?,
    };
    store.verify(&metadata)?;
    Ok(RestoreFrom::Checkpoint { metadata: Box::new(metadata), storage, claim })
}

fn config(options: &RunOptions, job: &JobId, progress: &Progress) -> Result<JobConfig, CliError> {
    let ms =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let restore = match options.restore.as_str() {
        "none" => RestoreFrom::Nothing,
        "latest" => RestoreFrom::Latest,
        "latest-strict" => RestoreFrom::LatestStrict,
        uri => restore_point(uri, job, options.claim.into())?,
    };
    let checkpoints = CoordinatorConfig::new()
        .interval_ms(Some(ms(options.interval)))
        .min_pause_ms(ms(options.min_pause))
        .timeout_ms(ms(options.timeout))
        .tolerable_failed_checkpoints(options.tolerable_failures)
        .max_concurrent(options.max_concurrent)
        .unaligned(options.unaligned)
        .retained(options.retain);
    let uids = OperatorUids {
        source: OperatorUid::new("source")?,
        operator: OperatorUid::new("operator")?,
        sink: OperatorUid::new("sink")?,
    };
    Ok(JobConfig {
        parallelism: options.parallelism,
        max_parallelism: options.max_parallelism,
        mode: match options.mode {
            Mode::ExactlyOnce => CheckpointMode::ExactlyOnce,
            Mode::AtLeastOnce => CheckpointMode::AtLeastOnce,
        },
        checkpoints,
        aligned_timeout_ms: options.aligned_timeout.map_or(0, ms),
        restart: options.restart,
        restore,
        local_recovery: options.local_recovery.clone(),
        retention: options.retention.into(),
        snapshot_mode: match options.snapshots {
            Snapshots::Full => SnapshotMode::Full,
            Snapshots::Incremental => SnapshotMode::Incremental,
        },
        records_per_s: options.rate,
        hash_seed: random_seed(),
        listener: progress.listener(),
        ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
    })
}

/// Runs a job on a backend, lets it answer questions, and writes its table.
///
/// Errors: [`CliError`].
pub fn run_job<B, J>(
    job: &Arc<J>,
    backend: B,
    options: &RunOptions,
    output: &Arc<dyn Storage>,
    listening: &Listening,
) -> Result<JobReport, CliError>
where
    B: StateBackend,
    J: JobOn<B>,
{
    let progress = Progress::new(options.quiet);
    let id = JobId::new(options.job.as_deref().unwrap_or(J::NAME))?;
    let config = config(options, &id, &progress)?;
    let (root, streams) = checkpoint_root(options)?;
    let store = Arc::new(CheckpointStore::open_exclusive(&*root, id)?);
    let config = JobConfig { streams, ..config };
    let records = Arc::clone(&config.records);
    listening.serve(JobFacts::new(&store, &config, backend.name()), &progress);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .map_err(|source| CliError::System { what: "start the runtime".to_owned(), source })?;
    let outcome = runtime.block_on(async {
        let run = alluvium::runtime::run::<J::Key, B, J>(Arc::clone(job), backend, store, config);
        tokio::select! {
            outcome = run => outcome,
            never = progress.follow(Arc::clone(&records)) => match never {},
        }
    });
    progress.finish();
    let outcome = outcome?;
    let mut rows: Rows = outcome.results.into_iter().flatten().collect();
    rows.sort_unstable();
    write_table(&**output, J::TABLE_HEADER, &rows)?;
    Ok(JobReport {
        rows: rows.len(),
        records: records.load(Ordering::Relaxed),
        checkpoints: outcome.checkpoints,
        restarts: outcome.restarts,
        savepoint: outcome.savepoint.map(|savepoint| savepoint.location),
        table: format!("{}/{TABLE}", output.root()),
        remarks: job.remarks(),
    })
}

/// Puts the table in place at once: readers see the old one or the new one.
fn write_table(output: &dyn Storage, header: &str, rows: &Rows) -> Result<(), CliError> {
    let mut table = format!("{header}\n");
    for (_, line) in rows {
        table.push_str(line);
        table.push('\n');
    }
    Ok(output.replace(&path(TABLE)?, table.as_bytes())?)
}
