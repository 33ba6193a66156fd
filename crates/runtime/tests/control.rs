//! What somebody may ask of a running job: checkpoints, savepoints, an end; and what a job may begin
//! from afterwards. Each number is committed once, whatever happens.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_coordinator::{
    CheckpointOutcome, CoordinatorConfig, RestartStrategy, SavepointFormat,
};
use alluvium_core::{CheckpointId, CheckpointMetadata, JobId, KeyGroup, OperatorUid, StoragePath};
use alluvium_heap::HeapStateBackend;
use alluvium_runtime::{
    CheckpointRetention, CheckpointStatus, CheckpointStore, ClaimMode, ControlError, FileSink,
    JobConfig, JobControl, JobError, JobEvent, JobOutcome, JobStatus, KeyedOperator, KeyedRecord,
    OperatorContext, OperatorUids, Pipeline, RestoreFrom, Source, SourceStatus, Stop, SystemClock,
    TaskError, TokioHost, read_savepoint, run,
};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, OperatorListState, OperatorStateBackend, SnapshotMode,
    TimeDomain, Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{Storage, open};

const KEYS: u64 = 50;

#[derive(Debug, Clone)]
struct Number {
    n: u64,
    key: u64,
}

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.key
    }
}

/// One subtask counts up to an end, or for ever; the others have ended.
struct Count {
    is_first: bool,
    next: u64,
    end: u64,
    state: Option<OperatorListState<u64>>,
}

impl Source for Count {
    type Record = Number;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let positions = state.union_list_state(ListStateDescriptor::<u64>::new("next"))?;
        self.next = state.items(positions)?.iter().copied().max().unwrap_or(0);
        state.update(positions, Vec::new())?;
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Number>, limit: usize) -> Result<SourceStatus, TaskError> {
        if !self.is_first {
            return Ok(SourceStatus::Ended);
        }
        let to = self.end.min(self.next + limit.min(64) as u64);
        records.extend((self.next..to).map(|n| Number { n, key: n % KEYS }));
        self.next = to;
        Ok(if to == self.end { SourceStatus::Ended } else { SourceStatus::More })
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let own = if self.is_first { vec![self.next] } else { Vec::new() };
        Ok(state.update(self.state.ok_or("not open")?, own)?)
    }
}

/// Counts each key, and says goodbye to it at the end of event time.
#[derive(Default)]
struct Tally {
    counts: Option<ValueState<u64>>,
    timers: Option<Timers>,
    fails: Arc<AtomicBool>,
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Tally {
    type Input = Number;
    type Output = String;
    type Result = Vec<(u64, u64)>;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.counts = Some(keyed.value_state(ValueStateDescriptor::<u64>::new("count"))?);
        self.timers = Some(keyed.timers(TimerDescriptor::new("timers"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Number { n, key }: Number,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err("somebody let it fail".into());
        }
        let (counts, timers) = (self.counts.ok_or("not open")?, self.timers.ok_or("not open")?);
        let mut at = keyed.at_key_group(group, &key, &())?;
        counts.update(&mut at, |count| *count += 1)?;
        timers.register(&mut at, TimeDomain::EventTime, i64::MAX - 1)?;
        output.push(n.to_string());
        Ok(())
    }

    fn timers(&self) -> Option<Timers> {
        self.timers
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        timer: Timer<u64, ()>,
        _: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        output.push(format!("goodbye {}", timer.key));
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError> {
        let counts = self.counts.ok_or("not open")?;
        let keys = keyed.keys(counts, &())?;
        let count = |key: u64| Ok((key, counts.get(&keyed.at(&key)?)?.map_or(0, |n| *n)));
        keys.into_iter().map(count).collect()
    }
}

#[derive(Clone)]
struct Job {
    end: u64,
    fails: Arc<AtomicBool>,
    output: Arc<dyn Storage>,
}

impl<B: KeyedStateBackend<Key = u64>> Pipeline<B> for Job {
    type Source = Count;
    type Operator = Tally;
    type Sink = FileSink;

    fn source(&self, context: &OperatorContext) -> Result<Count, TaskError> {
        let is_first = context.subtask.get() == 0;
        Ok(Count { is_first, next: 0, end: self.end, state: None })
    }

    fn operator(&self, _: &OperatorContext) -> Result<Tally, TaskError> {
        Ok(Tally { fails: Arc::clone(&self.fails), ..Tally::default() })
    }

    fn sink(&self, context: &OperatorContext) -> Result<FileSink, TaskError> {
        Ok(FileSink::new(Arc::clone(&self.output), context))
    }
}

type Outcome = Result<JobOutcome<Vec<(u64, u64)>>, JobError>;

struct World {
    storage: Arc<dyn Storage>,
    fails: Arc<AtomicBool>,
    /// What the listener heard.
    heard: Arc<Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new(name: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_time().build().unwrap();
        let storage = open(&format!("memory:control-{name}")).unwrap();
        Self { storage, fails: Arc::default(), heard: Arc::default(), runtime }
    }

    fn below(&self, name: &str) -> Arc<dyn Storage> {
        self.storage.below(&StoragePath::new(name).unwrap()).unwrap()
    }

    fn store(&self, root: &str) -> CheckpointStore {
        let job = JobId::new("tally").unwrap();
        CheckpointStore::open_exclusive(&*self.below(root), job).unwrap()
    }

    fn config(&self) -> JobConfig {
        let uid = |name: &str| OperatorUid::new(name).unwrap();
        let uids =
            OperatorUids { source: uid("count"), operator: uid("tally"), sink: uid("files") };
        let heard = Arc::clone(&self.heard);
        JobConfig {
            parallelism: 2,
            restart: RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 },
            snapshot_mode: SnapshotMode::Incremental,
            records_per_s: Some(100_000.0),
            listener: Arc::new(move |event: &JobEvent<'_>| {
                heard.lock().unwrap().push(format!("{event:?}"));
            }),
            ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
        }
    }

    /// Runs a job from a root to its end, while somebody asks for things.
    fn run<T>(
        &self,
        root: &str,
        end: u64,
        config: JobConfig,
        asking: impl AsyncFnOnce(JobControl) -> T,
    ) -> (Outcome, T) {
        let (fails, output) = (Arc::clone(&self.fails), self.below("output"));
        let job = Arc::new(Job { end, fails, output });
        let (store, control) = (Arc::new(self.store(root)), config.control.clone());
        let job = run::<u64, _, _>(job, HeapStateBackend::default(), store, config);
        self.runtime.block_on(async { tokio::join!(job, asking(control)) })
    }

    /// What the sink has committed, sorted, numbers before words.
    fn committed(&self) -> (Vec<u64>, Vec<String>) {
        let updates = StoragePath::new("output/updates").unwrap();
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        for entry in self.storage.list(Some(&updates)).unwrap() {
            if entry.name.starts_with("part-") {
                let bytes = self.storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
                for line in std::str::from_utf8(&bytes).unwrap().lines() {
                    match line.parse() {
                        Ok(number) => numbers.push(number),
                        Err(_) => words.push(line.to_owned()),
                    }
                }
            }
        }
        numbers.sort_unstable();
        words.sort_unstable();
        (numbers, words)
    }

    fn checkpoints(&self, root: &str) -> Vec<u64> {
        let listed = self.store(root).list().unwrap().into_iter();
        let complete = listed.filter(|it| matches!(it.status, CheckpointStatus::Complete(_)));
        complete.map(|it| it.checkpoint.get()).collect()
    }

    /// The only folder below a target.
    fn savepoint(&self, target: &str) -> (Arc<dyn Storage>, CheckpointMetadata) {
        let target = self.below(target);
        let [folder] = &target.list(None).unwrap()[..] else { panic!("one savepoint expected") };
        let folder = target.below(&StoragePath::new(&folder.name).unwrap()).unwrap();
        let metadata = read_savepoint(&*folder).unwrap();
        (folder, metadata)
    }

    fn restore_point(&self, target: &str, claim: ClaimMode) -> RestoreFrom {
        let (storage, metadata) = self.savepoint(target);
        RestoreFrom::Checkpoint { metadata: Box::new(metadata), storage, claim }
    }

    fn heard(&self, part: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|event| event.contains(part)).count()
    }
}

/// Waits until the source has read so many records.
async fn read(records: &std::sync::atomic::AtomicU64, at_least: u64) {
    while records.load(Ordering::Relaxed) < at_least {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn total(outcome: &JobOutcome<Vec<(u64, u64)>>) -> u64 {
    outcome.results.iter().flatten().map(|(_, count)| count).sum()
}

fn up_to(end: u64) -> Vec<u64> {
    (0..end).collect()
}

#[test]
fn a_checkpoint_is_taken_when_somebody_asks_for_it() {
    let world = World::new("checkpoint");
    let config = world.config();
    let records = Arc::clone(&config.records);
    let (outcome, ()) = world.run("chk", 5_000, config, async move |control| {
        read(&records, 500).await;
        assert!(matches!(control.status(), JobStatus::Running { .. }));
        let first = control.checkpoint(false).await.unwrap();
        let second = control.checkpoint(true).await.unwrap();
        assert_eq!([first, second].map(CheckpointId::get), [1, 2]);
        let statistics = control.statistics().await.unwrap();
        assert_eq!((statistics.completed, statistics.history.len()), (2, 2));
        let newest = statistics.history.back().unwrap();
        assert!(matches!(newest.outcome, CheckpointOutcome::Completed { .. }));
        assert_eq!((newest.acknowledged(), newest.tasks), (6, 6));
        assert_eq!(statistics.duration_ms().count, 2);
    });
    assert_eq!(total(&outcome.unwrap()), 5_000);
    assert_eq!(world.committed().0, up_to(5_000));
}

#[test]
fn a_savepoint_commits_nothing_and_another_job_begins_from_it() {
    for (name, format) in
        [("canonical", SavepointFormat::Canonical), ("native", SavepointFormat::Native)]
    {
        let world = World::new(name);
        let config = world.config();
        let (records, target) = (Arc::clone(&config.records), world.below("sp"));
        let (outcome, taken) = world.run("chk", 3_000, config, async move |control| {
            read(&records, 1_000).await;
            control.savepoint(target, format).await.unwrap()
        });
        assert_eq!(total(&outcome.unwrap()), 3_000);
        assert!(taken.location.contains("/sp/savepoint-tally-"), "{}", taken.location);
        let (folder, metadata) = world.savepoint("sp");
        assert_eq!(metadata.properties.checkpoint, taken.checkpoint);
        let names: Vec<_> = folder.list(None).unwrap().into_iter().map(|it| it.name).collect();
        assert!(names.contains(&"_metadata".to_owned()), "{names:?}");
        assert!(!names.contains(&"_unfinished".to_owned()), "{names:?}");
        assert!(metadata.files().all(|file| file.parent().is_none()), "all in one folder");

        assert_eq!(world.committed().0, up_to(3_000));

        // Another job begins from a copy of it, on another root and at another parallelism.
        for entry in folder.list(None).unwrap() {
            let copy = path(&format!("copied/folder/{}", entry.name));
            let bytes = folder.read_all(&path(&entry.name)).unwrap();
            world.storage.create(&copy, &bytes).unwrap();
        }
        world.storage.delete_dir(&path("sp")).unwrap();
        world.storage.delete_dir(&path("chk")).unwrap();
        let restore = world.restore_point("copied", ClaimMode::NoClaim);
        let config = JobConfig { parallelism: 3, restore, ..world.config() };
        let (outcome, ()) = world.run("other", 4_000, config, async |_| {});
        assert_eq!(total(&outcome.unwrap()), 4_000, "what came before is in the state");
        assert_eq!(world.committed().0, up_to(4_000), "what came after was set aside");
    }
}

#[test]
fn a_job_that_was_stopped_goes_on_from_its_savepoint() {
    let world = World::new("stop");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, stopped) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        let stopped =
            control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap();
        (stopped, control)
    });
    let (stopped, control) = stopped;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.savepoint.as_ref(), Some(&stopped));
    assert_eq!(control.status(), JobStatus::Stopped { savepoint: stopped.location.clone() });
    assert!(control.checkpoint(false).now_or_over(&world));
    let (numbers, words) = world.committed();
    assert_eq!(numbers, up_to(total(&outcome)), "all that the savepoint holds is committed");
    assert!(numbers.len() >= 1_000 && words.is_empty(), "event time has not come to its end");
    assert_eq!(world.checkpoints("chk"), [0_u64; 0], "a savepoint is no checkpoint");

    let restore = world.restore_point("sp", ClaimMode::NoClaim);
    let end = numbers.len() as u64 + 2_000;
    let config = JobConfig { parallelism: 3, restore, ..world.config() };
    let (outcome, ()) = world.run("chk", end, config, async |_| {});
    assert_eq!(total(&outcome.unwrap()), end);
    let (numbers, words) = world.committed();
    assert_eq!((numbers, words.len() as u64), (up_to(end), KEYS));
    let _ = world.savepoint("sp");
}

/// Whether a question was answered with the end of the job.
trait NowOrOver {
    fn now_or_over(self, world: &World) -> bool;
}

impl<F: Future<Output = Result<CheckpointId, ControlError>>> NowOrOver for F {
    fn now_or_over(self, world: &World) -> bool {
        world.runtime.block_on(self) == Err(ControlError::Over)
    }
}

#[test]
fn draining_ends_event_time_first() {
    let world = World::new("drain");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, ()) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        control.stop(target, SavepointFormat::Native, Stop::Drain).await.unwrap();
    });
    let (numbers, words) = world.committed();
    assert_eq!(numbers, up_to(total(&outcome.unwrap())));
    let mut goodbyes: Vec<_> = (0..KEYS).map(|key| format!("goodbye {key}")).collect();
    goodbyes.sort_unstable();
    assert_eq!(words, goodbyes);
}

#[test]
fn a_target_that_cannot_be_written_is_refused_by_name_and_the_job_goes_on() {
    let world = World::new("target");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    let target = open(&format!("file:{}", folder.display())).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, b"no folder any more").unwrap();
    let config = world.config();
    let records = Arc::clone(&config.records);
    let (outcome, refused) = world.run("chk", 3_000, config, async move |control| {
        read(&records, 500).await;
        control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap_err()
    });
    assert!(refused.to_string().contains("/folder"), "{refused}");
    assert_eq!(total(&outcome.unwrap()), 3_000);
}

#[test]
fn a_claimed_savepoint_goes_with_the_first_checkpoint_and_an_unclaimed_one_stays() {
    let world = World::new("claim");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, ()) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap();
    });
    let end = total(&outcome.unwrap());
    for (claim, stays) in [(ClaimMode::NoClaim, true), (ClaimMode::Claim, false)] {
        let restore = world.restore_point("sp", claim);
        let root = format!("chk-{claim:?}");
        let (outcome, ()) =
            world.run(&root, end, JobConfig { restore, ..world.config() }, async |_| {});
        assert_eq!(total(&outcome.unwrap()), end);
        let folder = world.below("sp").list(None).unwrap();
        let left = folder.first().map_or(0, |folder| {
            let folder = StoragePath::new(&format!("sp/{}", folder.name)).unwrap();
            world.storage.list(Some(&folder)).unwrap().len()
        });
        assert_eq!(left > 0, stays, "{claim:?}");
    }
    assert_eq!(world.heard("CleanUpFailed"), 0);
}

#[test]
fn without_a_claim_the_checkpoints_that_were_there_stay() {
    let world = World::new("unclaimed");
    let config = || JobConfig {
        checkpoints: CoordinatorConfig::new().interval_ms(Some(5)).retained(2),
        ..world.config()
    };
    let (outcome, ()) = world.run("chk", 3_000, config(), async |_| {});
    assert_eq!(total(&outcome.unwrap()), 3_000);
    let before = world.checkpoints("chk");
    let store = world.store("chk");
    let metadata = store.read(CheckpointId::new(before[0]).unwrap()).unwrap();
    let storage = Arc::clone(store.storage());
    drop(store);
    let restore = RestoreFrom::Checkpoint {
        metadata: Box::new(metadata),
        storage,
        claim: ClaimMode::NoClaim,
    };
    let (outcome, ()) = world.run("chk", 6_000, JobConfig { restore, ..config() }, async |_| {});
    assert_eq!(total(&outcome.unwrap()), 6_000);
    assert_eq!(world.committed().0, up_to(6_000));
    let after = world.checkpoints("chk");
    assert!(after.starts_with(&before) && after.len() == before.len() + 2, "{before:?} {after:?}");
    let store = world.store("chk");
    for checkpoint in after {
        let metadata = store.read(CheckpointId::new(checkpoint).unwrap()).unwrap();
        store.verify(&metadata).unwrap();
    }
}

#[test]
fn a_cancelled_job_ends_without_a_savepoint_also_while_it_waits_to_restart() {
    let world = World::new("cancel");
    for waits in [false, true] {
        let delay_ms = if waits { 3_600_000 } else { 1 };
        let restart = RestartStrategy::FixedDelay { attempts: 3, delay_ms };
        let config = JobConfig { restart, ..world.config() };
        let (records, fails) = (Arc::clone(&config.records), Arc::clone(&world.fails));
        let (outcome, control) = world.run("chk", u64::MAX, config, async move |control| {
            read(&records, 500).await;
            fails.store(waits, Ordering::SeqCst);
            while waits && !matches!(control.status(), JobStatus::Restarting { .. }) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            control.cancel();
            control
        });
        assert!(matches!(outcome, Err(JobError::Cancelled)));
        assert_eq!(control.status(), JobStatus::Cancelled);
    }
}

#[test]
fn checkpoints_stay_or_go_as_the_retention_says() {
    use CheckpointRetention::{Delete, DeleteOnCancellation, Retain, RetainOnCancellation};
    // Finished, cancelled, failed.
    for (retention, stays) in [
        (Retain, [true, true, true]),
        (RetainOnCancellation, [false, true, true]),
        (DeleteOnCancellation, [false, false, true]),
        (Delete, [false, false, false]),
    ] {
        for (end, stays) in stays.into_iter().enumerate() {
            let world = World::new(&format!("retention-{retention:?}-{end}"));
            let restart = RestartStrategy::None;
            let config = JobConfig { retention, restart, ..world.config() };
            let fails = Arc::clone(&world.fails);
            let last = if end == 0 { 2_000 } else { u64::MAX };
            let (_, ()) = world.run("chk", last, config, async move |control| {
                control.checkpoint(false).await.unwrap();
                match end {
                    1 => control.cancel(),
                    2 => fails.store(true, Ordering::SeqCst),
                    _ => {}
                }
            });
            let left = world.checkpoints("chk").len();
            assert_eq!(left > 0, stays, "{retention:?} after end {end}");
            if !stays {
                let files = world.below("chk/tally").list(Some(&path("shared"))).unwrap();
                assert_eq!(files.len(), 0, "{retention:?} after end {end}");
            }
        }
    }
}

fn path(path: &str) -> StoragePath {
    StoragePath::new(path).unwrap()
}

#[test]
fn a_damaged_latest_checkpoint_is_passed_over_and_told() {
    let world = World::new("damage");
    let config =
        || JobConfig { checkpoints: CoordinatorConfig::new().retained(3), ..world.config() };
    let records = Arc::clone(&config().records);
    let (outcome, ()) = world.run("chk", 3_000, config(), async move |control| {
        let _ = records;
        control.checkpoint(false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        control.checkpoint(false).await.unwrap();
    });
    assert_eq!(total(&outcome.unwrap()), 3_000);
    let kept = world.checkpoints("chk");
    let metadata = path(&format!("chk/tally/chk-{}/_metadata", kept[kept.len() - 1]));
    let mut bytes = world.storage.read_all(&metadata).unwrap().to_vec();
    bytes[50] ^= 1;
    world.storage.delete(&metadata).unwrap();
    world.storage.create(&metadata, &bytes).unwrap();
    let strict = JobConfig { restore: RestoreFrom::LatestStrict, ..config() };
    let (outcome, ()) = world.run("chk", 6_000, strict, async |_| {});
    assert!(outcome.unwrap_err().to_string().contains("the latest checkpoint is damaged"));
    let (outcome, ()) = world.run("chk", 6_000, config(), async |_| {});
    assert_eq!(total(&outcome.unwrap()), 6_000);
    assert_eq!(world.heard("FellBack"), 1);
    let (numbers, _) = world.committed();
    assert_eq!(numbers, up_to(6_000), "what came after it is set aside and done once more");
}
