//! Tasks that fail and panic inside one process: the job starts anew from its last checkpoint.
//!
//! The memory backend keeps its checkpoints in the process, so this is its counterpart of the
//! kills. `ALLUVIUM_KILLS` sets the number of failures per mode (default 6), `ALLUVIUM_SEED` the
//! seed (default 1).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium::coordinator::RestartStrategy;
use alluvium::core::{KeyGroup, KeyGroupAssigner};
use alluvium::runtime::{KeyedOperator, OperatorContext, Pipeline, TaskError};
use alluvium::state::{KeyedStateBackend, OperatorStateBackend};
use alluvium::storage::Storage;
use alluvium_cli::Listening;
use alluvium_cli::args::{BackendName, Claim, Mode, Retention, RunOptions, Snapshots};
use alluvium_cli::backend::ChosenBackend;
use alluvium_cli::error::CliError;
use alluvium_cli::jobs::Job;
use alluvium_cli::jobs::flights::Flights;
use alluvium_tests::{
    Random, committed_lines, counts_of, departures, expected_table, expected_updates, flights_file,
};

/// How many failures are left, and how many records until the next.
#[derive(Debug)]
struct Plan {
    failures_left: AtomicU64,
    records_left: AtomicU64,
    random: std::sync::Mutex<Random>,
}

impl Plan {
    fn new(failures: u64, seed: u64) -> Arc<Self> {
        let random = std::sync::Mutex::new(Random::new(seed));
        let plan = Self {
            failures_left: AtomicU64::new(failures),
            records_left: AtomicU64::new(0),
            random,
        };
        plan.draw();
        Arc::new(plan)
    }

    /// Draws when the next failure comes.
    fn draw(&self) {
        let records = 1 + self.random.lock().unwrap().below(40_000);
        self.records_left.store(records, Ordering::SeqCst);
    }

    /// Fails or panics, in turn, when it is time.
    fn record(&self) -> Result<(), TaskError> {
        if self.records_left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return Ok(());
        }
        self.draw();
        let left = self.failures_left.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(());
        }
        self.failures_left.store(left - 1, Ordering::SeqCst);
        if left.is_multiple_of(2) {
            // A panic like any other, but for the message that the hook would print.
            std::panic::resume_unwind(Box::new("a deliberate panic".to_owned()));
        }
        Err("a deliberate failure".into())
    }
}

/// A job whose operators fail.
struct Failing {
    job: Flights,
    plan: Arc<Plan>,
}

struct FailingOperator<O> {
    operator: O,
    plan: Arc<Plan>,
}

impl Job for Failing {
    const NAME: &'static str = "failing-flights";
    const TABLE_HEADER: &'static str = Flights::TABLE_HEADER;
    type Key = String;

    fn open(_inputs: &[PathBuf], _output: Arc<dyn Storage>) -> Result<Self, CliError> {
        Err(CliError::Usage("made by hand".to_owned()))
    }
}

impl<B: KeyedStateBackend<Key = String>> Pipeline<B> for Failing {
    type Source = <Flights as Pipeline<B>>::Source;
    type Operator = FailingOperator<<Flights as Pipeline<B>>::Operator>;
    type Sink = <Flights as Pipeline<B>>::Sink;

    fn assigner(&self) -> KeyGroupAssigner<String> {
        // This one also exercises the assigner that agrees with Flink.
        KeyGroupAssigner::flink()
    }

    fn source(&self, context: &OperatorContext) -> Result<Self::Source, TaskError> {
        Pipeline::<B>::source(&self.job, context)
    }

    fn operator(&self, context: &OperatorContext) -> Result<Self::Operator, TaskError> {
        let operator = Pipeline::<B>::operator(&self.job, context)?;
        Ok(FailingOperator { operator, plan: Arc::clone(&self.plan) })
    }

    fn sink(&self, context: &OperatorContext) -> Result<Self::Sink, TaskError> {
        Pipeline::<B>::sink(&self.job, context)
    }
}

impl<B: KeyedStateBackend, O: KeyedOperator<B>> KeyedOperator<B> for FailingOperator<O> {
    type Input = O::Input;
    type Output = O::Output;
    type Result = O::Result;
    type TimerNamespace = O::TimerNamespace;

    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.operator.open(keyed, state)
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        record: O::Input,
        keyed: &mut B,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        self.plan.record()?;
        self.operator.process(key_group, record, keyed, output)
    }

    fn result(&mut self, keyed: &mut B) -> Result<O::Result, TaskError> {
        self.operator.result(keyed)
    }
}

fn options(name: &str, output: &std::path::Path, parallelism: u32, mode: Mode) -> RunOptions {
    RunOptions {
        input: vec![flights_file()],
        output: output.display().to_string(),
        backend: BackendName::Memory,
        #[cfg(feature = "rocksdb")]
        local_dir: None,
        #[cfg(feature = "rocksdb")]
        rocksdb_memory: "64MiB".parse().unwrap(),
        snapshots: Snapshots::Incremental,
        checkpoints: None,
        interval: std::time::Duration::from_millis(15),
        min_pause: std::time::Duration::ZERO,
        timeout: std::time::Duration::from_secs(60),
        tolerable_failures: 0,
        unaligned: false,
        aligned_timeout: None,
        local_recovery: None,
        mode,
        parallelism,
        max_parallelism: None,
        restore: "none".to_owned(),
        claim: Claim::NoClaim,
        retention: Retention::Retain,
        max_concurrent: 1,
        retain: 2,
        rate: None,
        restart: RestartStrategy::FixedDelay { attempts: 1_000, delay_ms: 1 },
        job: Some(name.to_owned()),
        listen: None,
        log: None,
        quiet: true,
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn fail_and_restart(name: &str, mode: Mode) {
    let (failures, seed) = (number("ALLUVIUM_KILLS", 6), number("ALLUVIUM_SEED", 1));
    let (mut left, mut random) = (failures, Random::new(seed));
    while left > 0 {
        let dir = tempfile::tempdir().unwrap();
        let output = alluvium::storage::open(&dir.path().display().to_string()).unwrap();
        let parallelism = 1 + u32::try_from(random.below(6)).unwrap();
        let part = left.min(6);
        let plan = Plan::new(part, seed + left);
        let job = Failing {
            job: Flights::new(departures(), Arc::clone(&output)),
            plan: Arc::clone(&plan),
        };
        let options = options(&format!("{name}-{left}"), dir.path(), parallelism, mode);
        let backend = ChosenBackend::in_memory(BackendName::Memory).unwrap();
        let report = alluvium_cli::run_job(
            &Arc::new(job),
            backend,
            &options,
            &output,
            &Listening::nowhere(),
        )
        .unwrap();
        let happened = part - plan.failures_left.load(Ordering::SeqCst);
        assert!(u64::from(report.restarts) >= happened.min(1), "{report}");
        check(dir.path(), mode, seed);
        left -= happened.max(1).min(left);
    }
    println!("{name}: {failures} failures and panics, result as it must be, seed {seed}");
}

fn check(dir: &std::path::Path, mode: Mode, seed: u64) {
    let table = std::fs::read_to_string(dir.join("table.csv")).unwrap();
    if mode == Mode::ExactlyOnce {
        assert!(table == expected_table(), "seed {seed}: the table differs");
        assert!(committed_lines(dir) == expected_updates(), "seed {seed}: the lines differ");
        return;
    }
    let (found, expected) = (counts_of(&table), counts_of(expected_table()));
    assert!(found.keys().eq(expected.keys()), "seed {seed}: the aircraft differ");
    assert!(expected.iter().all(|(tailnum, count)| found[tailnum] >= *count), "seed {seed}");
}

#[test]
fn memory_exactly_once() {
    fail_and_restart("memory-exactly-once", Mode::ExactlyOnce);
}

#[test]
fn memory_at_least_once() {
    fail_and_restart("memory-at-least-once", Mode::AtLeastOnce);
}

#[test]
fn failures_beyond_the_strategy_end_the_job_and_name_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let output = alluvium::storage::open(&dir.path().display().to_string()).unwrap();
    let job = Failing {
        job: Flights::new(departures(), Arc::clone(&output)),
        plan: Plan::new(u64::MAX - 1, 7),
    };
    let mut options = options("too-many", dir.path(), 2, Mode::ExactlyOnce);
    options.restart =
        RestartStrategy::FailureRate { max_failures: 3, interval_ms: 60_000, delay_ms: 1 };
    let backend = ChosenBackend::in_memory(BackendName::Memory).unwrap();
    let error =
        alluvium_cli::run_job(&Arc::new(job), backend, &options, &output, &Listening::nowhere())
            .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("of operator") && text.contains("a deliberate"), "{text}");
    assert_eq!(error.exit_code(), 1);
    assert!(!dir.path().join("table.csv").exists());
}
