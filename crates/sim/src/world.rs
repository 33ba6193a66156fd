//! One seed: processes come and go, one after the other or two at a time, until the job is done.
//!
//! Ladder of names: world > round (one process of the job, and how it ends) > attempt.
//!
//! In the last round nothing goes wrong, so the job must end: whatever had happened before, the
//! next process goes on from a checkpoint, and the result is that of the [`Reference`].

mod checks;
mod history;
mod listener;
mod savepoints;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use alluvium_core::{JobId, StoragePath};
use alluvium_runtime::{CheckpointStore, Host, JobConfig, JobControl, RestoreFrom, run_graph};
use alluvium_state::StateBackend;
use alluvium_storage::Storage;
use alluvium_testkit::random::Random;
use tokio::sync::oneshot;

use self::history::{History, Taken};
pub(crate) use self::savepoints::Ask;
use self::savepoints::Chosen;
use crate::Outcome;
use crate::chaos::{Fault, Trap};
use crate::executor::{Executor, Limits};
use crate::host::SimHost;
use crate::job::{ClickJob, Mishaps, SubtaskEnd, UserState};
use crate::plan::{End, Plan, Round};
use crate::reference::Reference;
use crate::storage::{Disk, SimStorage};
use crate::threads::{Threads, lock};

/// Longest simulation before it counts as one without progress.
const LIMITS: Limits = Limits { steps: 100_000, time_us: 300_000_000 };
/// Time until the last late effect has happened, in microseconds.
const QUIET_US: u64 = 500_000;

/// What a process came to.
type Result_ = Result<Ended, String>;

/// A job that ended well.
struct Ended {
    subtasks: Vec<SubtaskEnd>,
    /// Whether it was stopped with a savepoint.
    is_stopped: bool,
}

/// Everything that outlives the processes.
struct World<B> {
    plan: Plan,
    backend: B,
    executor: Arc<Executor>,
    disk: Arc<Mutex<Disk>>,
    mishaps: Arc<Mishaps>,
    reference: Reference,
    counts: Arc<Mutex<Counts>>,
    history: Arc<Mutex<History>>,
    violations: Vec<String>,
    /// Whether checkpoints of runs that were replaced may lie around.
    has_overlapped: bool,
}

#[derive(Default)]
struct Counts {
    attempts: u64,
    completed: u64,
    /// How many of them are no savepoints.
    checkpoints: u64,
    aborted: u64,
    processes: u64,
}

struct Process {
    host: SimHost,
    end: oneshot::Receiver<Result_>,
    control: JobControl,
    /// The savepoint that it began from.
    chosen: Option<Taken>,
}

enum Waited {
    Ended(Result_),
    Time,
    Trapped,
}

/// Runs one seed to its end.
pub(crate) fn play<B: StateBackend>(seed: u64, backend: B, threads: &Threads) -> Outcome {
    let plan = Plan::draw(seed);
    let executor = Executor::new(Random::new(seed), LIMITS, threads.clone());
    {
        let mut state = executor.state();
        state.chaos.rates = plan.rates;
        state.chaos.is_remote = plan.is_remote;
    }
    let counts = Arc::new(Mutex::new(Counts::default()));
    let violations = Arc::new(Mutex::new(Vec::new()));
    let history = Arc::new(Mutex::new(History::default()));
    let world = World {
        mishaps: Arc::new(Mishaps::new(plan.fail_at.clone())),
        reference: Reference::new(plan.input, plan.mode),
        disk: Arc::new(Mutex::new(Disk::new(plan.is_remote))),
        executor: Arc::clone(&executor),
        counts: Arc::clone(&counts),
        history: Arc::clone(&history),
        violations: Vec::new(),
        has_overlapped: false,
        backend,
        plan,
    };
    let found = Arc::clone(&violations);
    let failure = executor.run(Box::pin(async move {
        let violations = world.play().await;
        *lock(&found) = violations;
    }));
    let mut violations = std::mem::take(&mut *lock(&violations));
    violations.extend(failure);
    let (counts, history) = (lock(&counts), lock(&history));
    let mut state = executor.state();
    Outcome {
        seed,
        violations,
        faults: std::mem::take(&mut state.chaos.counts),
        steps: state.steps(),
        simulated_ms: state.now_us / 1_000,
        processes: counts.processes,
        attempts: counts.attempts,
        completed: counts.completed,
        aborted: counts.aborted,
        savepoints: history.savepoints.len() as u64,
        refused_savepoints: history.refused,
        savepoint_restores: history.restores,
        trace: state.trace.take(),
    }
}

impl<B: StateBackend> World<B> {
    async fn play(mut self) -> Vec<String> {
        let mut older = Vec::new();
        for round in self.plan.rounds.clone() {
            self.round(round, &mut older).await;
            self.check_checkpoints();
            self.check_savepoints();
            if !self.violations.is_empty() {
                break;
            }
        }
        self.set_chaos(false);
        for process in older.drain(..) {
            self.end(&process, false).await;
        }
        if self.violations.is_empty() {
            self.last_round().await;
        }
        self.violations
    }

    fn set_chaos(&self, is_on: bool) {
        self.executor.state().chaos.is_on = is_on;
    }

    async fn round(&mut self, round: Round, older: &mut Vec<Process>) {
        self.set_chaos(true);
        let mut process = self.start(false);
        for ask in &round.asks {
            self.send_asker(&process.host, &process.control, *ask);
        }
        if let Some((site, passes)) = round.trap {
            let trap = Trap { process: process.host.process, site, passes };
            self.executor.state().chaos.trap = Some(trap);
        }
        if let Some(after_us) = round.clock_set_us {
            self.set_clock_later(&process.host, after_us);
        }
        let mut waited = self.wait(&mut process, round.after_us).await;
        self.executor.state().chaos.trap = None;
        if matches!((&waited, round.end), (Waited::Time, End::ByItself)) {
            self.set_chaos(false);
            waited = self.wait(&mut process, u64::MAX / 2).await;
        }
        match waited {
            Waited::Ended(end) => self.ended(end, &process).await,
            Waited::Time | Waited::Trapped if matches!(round.end, End::TakeOver) => {
                process.host.count(Fault::TakeOver);
                process.host.trace(&Fault::TakeOver.to_string());
                self.has_overlapped = true;
                older.push(process);
            }
            Waited::Time | Waited::Trapped => {
                let fault = if round.cuts_power { Fault::PowerCut } else { Fault::Kill };
                process.host.count(fault);
                process.host.trace(&fault.to_string());
                self.end(&process, round.cuts_power).await;
            }
        }
    }

    fn set_clock_later(&self, host: &SimHost, after_us: u64) {
        let (host, sleep) = (host.clone(), host.sleep_us(after_us));
        let set = async move {
            sleep.await;
            host.count(Fault::ClockSet);
            host.trace(&Fault::ClockSet.to_string());
            host.set_clock();
        };
        drop(SimHost::world(&self.executor).spawn("clock", Box::pin(set)));
    }

    /// Nothing goes wrong: the job has to end.
    async fn last_round(&mut self) {
        SimHost::world(&self.executor).sleep_us(QUIET_US).await;
        let unfinished = self.unfinished_savepoints();
        let before = lock(&self.counts).checkpoints;
        let mut process = self.start(true);
        for ask in self.plan.last_asks.clone() {
            self.send_asker(&process.host, &process.control, ask);
        }
        match self.wait(&mut process, u64::MAX / 2).await {
            Waited::Ended(Ok(end)) => {
                self.ended(Ok(end), &process).await;
                self.check_what_is_left(process.chosen.is_some());
                self.check_savepoints();
                let completed = lock(&self.counts).checkpoints - before;
                self.check_savepoints_left(&unfinished, process.chosen.as_ref(), completed);
            }
            Waited::Ended(Err(error)) => {
                self.violations.push(format!("nothing went wrong, and the job failed: {error}"));
            }
            Waited::Time | Waited::Trapped => self.violations.push("no progress".to_owned()),
        }
        self.end(&process, false).await;
    }

    /// A process has come to its end, and nothing of it is left.
    async fn ended(&mut self, end: Result_, process: &Process) {
        self.end(process, false).await;
        match end {
            Ok(Ended { subtasks, is_stopped }) => {
                let lines = self.committed_lines();
                self.violations.extend(self.reference.check_notes(&subtasks, !is_stopped));
                let users = subtasks.into_iter().flat_map(|subtask| subtask.users);
                let state: Vec<UserState> = users.collect();
                if is_stopped {
                    self.violations.extend(self.reference.check_stopped(&lines, &state));
                } else {
                    self.violations.extend(self.reference.check_state(&state));
                    self.violations.extend(self.reference.check_lines(&lines, &state));
                }
            }
            Err(error) if error.lines().count() != 1 => {
                self.violations.push(format!("an error of several lines: {error}"));
            }
            Err(_) => {}
        }
    }

    fn start(&self, is_calm: bool) -> Process {
        let host = SimHost::new_process(&self.executor);
        lock(&self.counts).processes += 1;
        let (sender, end) = oneshot::channel();
        let chosen = self.choose_savepoint();
        let mut config = self.config(&host, chosen.as_ref(), is_calm);
        let (control, taken) = (config.control.clone(), chosen.as_ref().map(|it| it.taken.clone()));
        let storage = SimStorage::new(&self.disk, host.clone());
        let output = below(&storage, "output");
        let root = below(&storage, "chk");
        let (shape, input, mishaps) = (self.plan.shape, self.plan.input, Arc::clone(&self.mishaps));
        let widths = self.plan.widths(&mut self.executor.state().random);
        let host_of_job = host.clone();
        let job = Arc::new(ClickJob { shape, widths, input, mishaps, host: host_of_job, output });
        host.trace(&format!("the job has {shape}, {widths:?}"));
        let (backend, tracer) = (self.backend.clone(), host.clone());
        let main = async move {
            let store = match CheckpointStore::open_exclusive(&*root, job_id()) {
                Ok(store) => Arc::new(store),
                Err(error) => return drop(sender.send(Err(error.to_string()))),
            };
            match chosen.map(|chosen| chosen.restore(&storage)).transpose() {
                Ok(None) => {}
                Ok(Some(restore)) => config.restore = restore,
                Err(error) => return drop(sender.send(Err(error.to_string()))),
            }
            let end = run_graph(job.graph::<B>(), backend, store, config).await;
            let end = end.map(|outcome| Ended {
                is_stopped: outcome.savepoint.is_some(),
                subtasks: outcome.results,
            });
            let end: Result_ = end.map_err(|error| error.to_string());
            match &end {
                Ok(_) => tracer.trace("the job has ended"),
                Err(error) => tracer.trace(&format!("the job has failed: {error}")),
            }
            let _ = sender.send(end);
        };
        drop(host.spawn("process", Box::pin(main)));
        Process { host, end, control, chosen: taken }
    }

    fn config(&self, host: &SimHost, chosen: Option<&Chosen>, is_calm: bool) -> JobConfig {
        let listener = self.listener(host.clone(), chosen);
        let mut state = self.executor.state();
        let random = &mut state.random;
        let parallelism = 1 + u32::try_from(random.below(4)).unwrap_or(0);
        let (clock, threads) = (Arc::new(host.clone()), Arc::new(host.clone()));
        let config = JobConfig {
            parallelism,
            max_parallelism: Some(self.plan.max_parallelism),
            mode: self.plan.mode,
            checkpoints: self.plan.checkpoints(random, is_calm),
            aligned_timeout_ms: *random.pick(&[0, 0, 5, 50]),
            restart: Plan::restart(random, is_calm),
            // A damaged checkpoint would be a bug, and no older one may hide it.
            restore: RestoreFrom::LatestStrict,
            streams: self.plan.streams,
            snapshot_mode: self.plan.snapshot_mode,
            records_per_s: Some(f64::from(self.plan.records_per_s)),
            hash_seed: random.next_u64(),
            listener,
            ..JobConfig::for_graph(clock, threads)
        };
        let text = format!(
            "start, parallelism {parallelism}, {:?}, {:?}, {:?}, {:?}, {} ms aligned, from {}",
            config.mode,
            config.snapshot_mode,
            config.restart,
            config.checkpoints,
            config.aligned_timeout_ms,
            chosen.map_or_else(|| "the latest".to_owned(), Chosen::to_string),
        );
        state.trace.line(host.process, &text);
        config
    }

    async fn wait(&self, process: &mut Process, for_us: u64) -> Waited {
        let mut sleep = SimHost::world(&self.executor).sleep_us(for_us);
        poll_fn(|context| {
            if let Poll::Ready(end) = Pin::new(&mut process.end).poll(context) {
                let gone = || Err("the process is gone".to_owned());
                return Poll::Ready(Waited::Ended(end.unwrap_or_else(|_| gone())));
            }
            if self.executor.state().is_sprung(process.host.process, context.waker()) {
                return Poll::Ready(Waited::Trapped);
            }
            Pin::new(&mut sleep).poll(context).map(|()| Waited::Time)
        })
        .await
    }

    /// Ends a process wherever it is.
    async fn end(&self, process: &Process, cuts_power: bool) {
        let id = process.host.process;
        self.executor.kill(id);
        poll_fn(|context| {
            if self.executor.is_gone(id) {
                return Poll::Ready(());
            }
            self.executor.state().when_gone(id, context.waker().clone());
            Poll::Pending
        })
        .await;
        let mut disk = lock(&self.disk);
        disk.release(id);
        if cuts_power {
            let mut state = self.executor.state();
            for undone in disk.cut_power(&mut state.random) {
                state.trace.line(id, &format!("power cut: {undone}"));
            }
        }
    }
}

fn below(storage: &SimStorage, name: &str) -> Arc<dyn Storage> {
    let path = StoragePath::new(name).map(|path| storage.below(&path));
    match path {
        Ok(Ok(storage)) => storage,
        _ => unreachable!("{name} is a path"),
    }
}

fn job_id() -> JobId {
    match JobId::new("job") {
        Ok(id) => id,
        Err(error) => unreachable!("{error}"),
    }
}
