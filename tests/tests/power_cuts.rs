//! Power cuts on the local disk: what the real code does to the file system is noted step by step while
//! a job takes checkpoints and savepoints, subsumes them, is restored, and begins from a savepoint that
//! it owns. Then the power is cut after any step, with any loss of what was not synced, and the real
//! code must make do with what is left.
//!
//! In every state: the newest checkpoint whose commit had returned, or a newer one, can be restored, all
//! its files are right; no metadata is torn; savepoints of which somebody was told are whole; no output
//! is there that a restore would take back; the job comes to its end exactly, and leaves nothing behind.
//!
//! `ALLUVIUM_STATES` sets how many different states are tried (default 300), `ALLUVIUM_SEED` the seed:
//! `make power-cuts STATES=10000`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alluvium::coordinator::{CoordinatorConfig, RestartStrategy, SavepointFormat};
use alluvium::core::{JobId, OperatorUid, StoragePath};
use alluvium::heap::HeapStateBackend;
use alluvium::runtime::{
    CheckpointStatus, CheckpointStore, ClaimMode, JobConfig, JobControl, JobError, JobEvent,
    OperatorUids, RestoreFrom, SystemClock, TokioHost, read_savepoint, verify_checkpoint,
};
use alluvium::state::SnapshotMode;
use alluvium::storage::{HandleReader, ReadAccess, Storage, StreamPolicy};
use alluvium_cli::jobs::Job;
use alluvium_cli::jobs::wordcount::Wordcount;
use alluvium_storage::journal::{self, Step};
use alluvium_tests::power_cut::{CrashState, Disk, Loss};
use alluvium_tests::{Random, number};
use tempfile::TempDir;

const WORDS: u64 = 1_500;
const JOB: &str = "cut";
/// How often a recording is tried.
const TRIES: usize = 50;

fn text() -> String {
    (0..WORDS).map(|i| format!("word{}\n", i % 37)).collect()
}

fn expected() -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for i in 0..WORDS {
        *counts.entry(format!("word{}", i % 37)).or_default() += 1;
    }
    counts
}

/// A folder where a sync costs nothing, if there is one: what it would do is in the model.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn config(parallelism: u32) -> JobConfig {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    JobConfig {
        parallelism,
        max_parallelism: Some(16),
        checkpoints: CoordinatorConfig::new().retained(2),
        restart: RestartStrategy::None,
        restore: RestoreFrom::LatestStrict,
        // Everything is a file, so that everything is a step.
        streams: StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() },
        snapshot_mode: SnapshotMode::Incremental,
        hash_seed: 7,
        ..JobConfig::new(
            OperatorUids { source: uid("source"), operator: uid("operator"), sink: uid("sink") },
            Arc::new(SystemClock),
            Arc::new(TokioHost::new()),
        )
    }
}

fn below(storage: &Arc<dyn Storage>, name: &str) -> Arc<dyn Storage> {
    storage.below(&StoragePath::new(name).unwrap()).unwrap()
}

fn store(storage: &Arc<dyn Storage>) -> CheckpointStore {
    let id = JobId::new(JOB).unwrap();
    CheckpointStore::open_exclusive(&*below(storage, "checkpoints"), id).unwrap()
}

type Table = BTreeMap<String, u64>;

/// Runs the job, with somebody who asks it for things.
fn run(
    storage: &Arc<dyn Storage>,
    input: &Path,
    config: JobConfig,
    ask: impl AsyncFnOnce(JobControl),
) -> Result<Table, JobError> {
    let job = Arc::new(Wordcount::open(&[input.to_owned()], below(storage, "output")).unwrap());
    let store = Arc::new(store(storage));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let control = config.control.clone();
    let run =
        alluvium::runtime::run::<String, _, _>(job, HeapStateBackend::default(), store, config);
    let (outcome, ()) = runtime.block_on(async { tokio::join!(run, ask(control)) });
    let rows = outcome?.results.into_iter().flatten();
    let count = |line: String| line.rsplit_once(',').unwrap().1.parse().unwrap();
    Ok(rows.map(|(word, line)| (word, count(line))).collect())
}

/// Two processes that are cancelled, and one that begins from a savepoint of the second, and owns it.
fn record(input: &Path, seed: u64) -> (PathBuf, Vec<Step>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // On a busy machine the input may have come to its end before the job is cancelled.
    let recorded = (0..TRIES).find_map(|_| try_record(input, seed));
    recorded.expect("the machine is too slow for this job")
}

fn try_record(input: &Path, seed: u64) -> Option<(PathBuf, Vec<Step>)> {
    let dir = folder();
    let storage = alluvium::storage::open(&dir.path().display().to_string()).unwrap();
    let noting = |parallelism, retained| JobConfig {
        checkpoints: CoordinatorConfig::new().interval_ms(Some(8)).retained(retained),
        records_per_s: Some(9_000.0),
        hash_seed: seed,
        listener: Arc::new(|event| {
            if let JobEvent::Completed { metadata, savepoint: None, .. } = event {
                journal::mark(&format!("completed {}", metadata.properties.checkpoint));
            }
        }),
        ..config(parallelism)
    };
    let taken = Mutex::new(None);
    let wait = |ms| tokio::time::sleep(Duration::from_millis(ms));
    journal::start();
    for (parallelism, format) in [(2, SavepointFormat::Canonical), (3, SavepointFormat::Native)] {
        let target = below(&storage, "savepoints");
        let end = run(&storage, input, noting(parallelism, 2), async |control| {
            wait(25).await;
            let Ok(savepoint) = control.savepoint(target, format).await else { return };
            let dir = savepoint.location.rsplit('/').next().unwrap().to_owned();
            journal::mark(&format!("savepoint {dir}"));
            *taken.lock().unwrap() = Some(dir);
            wait(30).await;
            control.cancel();
        });
        match end {
            Err(JobError::Cancelled) => {}
            Ok(_) => return None,
            Err(error) => panic!("{error}"),
        }
    }
    let taken = taken.lock().unwrap().take()?;
    journal::mark(&format!("claimed {taken}"));
    let folder = below(&below(&storage, "savepoints"), &taken);
    let metadata = Box::new(read_savepoint(&*folder).unwrap());
    let restore = RestoreFrom::Checkpoint { metadata, storage: folder, claim: ClaimMode::Claim };
    let last = JobConfig { restore, ..noting(2, 1) };
    let table = run(&storage, input, last, async |_| {}).unwrap();
    let steps = journal::stop();
    assert_eq!(table, expected());
    Some((dir.path().to_owned(), steps))
}

/// What has been promised by a prefix.
#[derive(Debug, Clone, Default)]
struct Promised {
    /// The newest checkpoint of which somebody was told.
    checkpoint: u64,
    savepoints: BTreeSet<String>,
}

impl Promised {
    fn hear(&mut self, text: &str) {
        match text.split_once(' ').unwrap() {
            ("completed", number) => self.checkpoint = number.parse().unwrap(),
            ("savepoint", dir) => drop(self.savepoints.insert(dir.to_owned())),
            ("claimed", dir) => drop(self.savepoints.remove(dir)),
            other => panic!("{other:?}"),
        }
    }
}

/// Tries what a power cut has left. Says what is wrong.
fn try_state(state: &CrashState, promised: &Promised, input: &Path) -> Result<(), String> {
    let dir = folder();
    state.write_to(dir.path());
    let storage = alluvium::storage::open(&dir.path().display().to_string()).unwrap();
    let newest = {
        let store = store(&storage);
        for entry in store.list().map_err(|error| error.to_string())? {
            if let CheckpointStatus::Damaged(error) = entry.status {
                return Err(format!("torn metadata: {error}"));
            }
        }
        let latest = store.latest().map_err(|error| error.to_string())?;
        latest.map_or(0, |metadata| metadata.properties.checkpoint.get())
    };
    if newest < promised.checkpoint {
        return Err(format!("checkpoint {} is lost, {newest} is the newest", promised.checkpoint));
    }
    for savepoint in &promised.savepoints {
        let folder = below(&below(&storage, "savepoints"), savepoint);
        let metadata = read_savepoint(&*folder).map_err(|error| error.to_string())?;
        let reader = HandleReader::new(folder, ReadAccess::Map);
        verify_checkpoint(&metadata, &reader).map_err(|error| error.to_string())?;
    }
    for name in state.names() {
        let part = name.strip_prefix("output/updates").ok().and_then(Path::to_str);
        let part = part.and_then(|part| part.strip_prefix("part-")?.split_once('-'));
        if part.is_some_and(|(checkpoint, _)| checkpoint.parse::<u64>().unwrap() > newest) {
            return Err(format!("{} is there, and {newest} is the newest", name.display()));
        }
    }
    let table = run(&storage, input, config(3), async |_| {}).map_err(|error| error.to_string())?;
    if table != expected() {
        return Err("the table differs".to_owned());
    }
    check_lines(&storage)?;
    check_what_is_left(&storage, dir.path())
}

fn check_lines(storage: &Arc<dyn Storage>) -> Result<(), String> {
    let updates = StoragePath::new("output/updates").unwrap();
    let mut lines = BTreeSet::new();
    for entry in storage.list(Some(&updates)).unwrap() {
        if entry.name.starts_with("part-") {
            let bytes = storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                if !lines.insert(line.to_owned()) {
                    return Err(format!("{line} was committed twice"));
                }
            }
        }
    }
    let found = lines.len() as u64;
    if found == WORDS { Ok(()) } else { Err(format!("{found} lines of {WORDS} were committed")) }
}

/// When the next process has begun, nothing is there that no whole checkpoint needs.
fn check_what_is_left(storage: &Arc<dyn Storage>, dir: &Path) -> Result<(), String> {
    let store = store(storage);
    let mut needed = BTreeSet::new();
    for entry in store.list().map_err(|error| error.to_string())? {
        match entry.status {
            CheckpointStatus::Complete(it) => needed.extend(it.files().map(ToString::to_string)),
            _ => return Err(format!("checkpoint {} is left unfinished", entry.checkpoint)),
        }
    }
    let shared = dir.join("checkpoints").join(JOB).join("shared");
    for entry in std::fs::read_dir(shared).into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !needed.contains(&format!("shared/{name}")) {
            return Err(format!("shared/{name} is left"));
        }
    }
    Ok(())
}

/// A prefix, what is left, and what was promised.
type State = (usize, CrashState, Promised);

/// Different states of a recording, about as many as wanted.
fn states(
    (root, steps): &(PathBuf, Vec<Step>),
    wanted: usize,
    seen: &mut HashSet<u64>,
    random: &mut Random,
) -> Vec<State> {
    let (mut disk, mut promised, mut states) = (Disk::new(root), Promised::default(), Vec::new());
    let each = (wanted / steps.len()) as u64;
    let rest = (wanted % steps.len()) as u64;
    for (at, step) in steps.iter().enumerate() {
        disk.step(step);
        if let Step::Mark { text } = step {
            promised.hear(text);
        }
        let count = each + u64::from(random.below(steps.len() as u64) < rest);
        for number in 0..count {
            let loss = match number {
                0 if random.below(4) == 0 => Loss::Everything,
                1 if random.below(4) == 0 => Loss::Nothing,
                _ => Loss::Some,
            };
            let state = disk.cut(loss, random);
            if seen.insert(state.fingerprint() ^ promised.checkpoint) {
                states.push((at, state, promised.clone()));
            }
        }
    }
    states
}

/// Tries states on two threads. Says what is wrong, and after which step.
fn try_all(states: &[State], steps: &[Step], input: &Path) -> Vec<String> {
    let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let at = usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap();
            let Some((step, state, promised)) = states.get(at) else { return };
            if let Err(wrong) = try_state(state, promised, input) {
                let of = &steps[*step];
                found.lock().unwrap().push(format!("after step {step} ({of:?}): {wrong}"));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    found.into_inner().unwrap()
}

fn input() -> (TempDir, PathBuf) {
    let dir = folder();
    let input = dir.path().join("text");
    std::fs::write(&input, text()).unwrap();
    (dir, input)
}

/// Whether a step is of a kind.
type Is = fn(&Step) -> bool;

/// Shows that the states are hard enough: code that forgets a kind of sync does not pass.
#[test]
fn without_syncs_something_is_lost() {
    let (_keep, input) = input();
    let (root, steps) = record(&input, 77);
    let forgotten: [(&str, Is); 2] = [
        ("bytes", |step| matches!(step, Step::Sync { .. })),
        ("names", |step| matches!(step, Step::SyncDir { .. })),
    ];
    for (what, is_forgotten) in forgotten {
        let steps: Vec<Step> = steps.iter().filter(|it| !is_forgotten(it)).cloned().collect();
        let recorded = (root.clone(), steps);
        let states = states(&recorded, 60, &mut HashSet::new(), &mut Random::new(1));
        let wrong = try_all(&states, &recorded.1, &input);
        println!("syncs of {what} forgotten: {} of {} states are wrong", wrong.len(), states.len());
        assert!(wrong.len() > states.len() / 10, "{what}: {wrong:?}");
    }
}

#[test]
fn whatever_a_power_cut_leaves_the_job_goes_on_from_it() {
    let (wanted, seed) = (number("ALLUVIUM_STATES", 300), number("ALLUVIUM_SEED", 1));
    let start = Instant::now();
    let (_keep, input) = input();
    let mut random = Random::new(seed);
    let (mut tried, mut recordings, mut all_steps) = (0_u64, 0_u64, 0);
    let (mut seen, mut failures) = (HashSet::new(), Vec::new());
    while tried < wanted && failures.is_empty() {
        // A new recording now and then: the threads of each come in another order.
        let recorded = record(&input, seed + recordings);
        recordings += 1;
        all_steps += recorded.1.len();
        let left = usize::try_from(wanted - tried).unwrap();
        let states = states(&recorded, left.clamp(100, 4_000), &mut seen, &mut random);
        failures = try_all(&states, &recorded.1, &input);
        tried += states.len() as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{tried} states of {all_steps} steps in {recordings} recordings, {} wrong, {seconds:.1} s",
        failures.len()
    );
    failures.truncate(20);
    assert!(failures.is_empty(), "seed {seed}: {failures:#?}");
}
