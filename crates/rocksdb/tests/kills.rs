//! A process that is killed at random moments of checkpoints, restores and clips: whoever opens the
//! same local folder next removes what it left there, and restores the last completed checkpoint.
//!
//! The process is this test binary again, running the test `victim` alone. What it writes in each
//! step depends on the number of the step only, so the manifest tells what must be there.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]
#![expect(clippy::indexing_slicing, reason = "so does an index that is out of bounds")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroupRange, KeyedStateHandle, MaxParallelism, SharedFile,
    StateHandle, StateLocation, StoragePath,
};
use alluvium_format::codec::DefaultCodec;
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{
    KeyedBackendSpec, KeyedStateBackend, SnapshotMode, SnapshotTarget, StateBackend,
};
use alluvium_storage::{CheckpointStreams, HandleReader, ReadAccess, Storage, StreamPolicy};
use alluvium_testkit::job::{KeyedOf, TestJob, complete_all};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Model, check_contents};
use alluvium_testkit::random::Random;

const DIR: &str = "ALLUVIUM_VICTIM_DIR";
const ATTEMPT: &str = "ALLUVIUM_VICTIM_ATTEMPT";
const NAMESPACES: [u32; 2] = [0, 7];
const LEAST_KILLS: usize = 20;
const MOST_KILLS: usize = 400;

type Subtask = KeyedOf<RocksDbStateBackend, String>;

/// A completed checkpoint, and how many steps it has.
#[derive(Default)]
struct Manifest {
    step: u64,
    handles: Vec<KeyedStateHandle>,
}

impl Manifest {
    fn load(dir: &Path, max: MaxParallelism) -> Self {
        let mut manifest = Self::default();
        for line in fs::read_to_string(dir.join("manifest")).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            let small = |at: usize| u16::try_from(number(at)).unwrap();
            let seal = |at: usize| u32::try_from(number(at)).unwrap();
            match words[0] {
                "step" => manifest.step = number(1),
                "handle" => {
                    let location = StateLocation::File(StoragePath::new(words[3]).unwrap());
                    let stream = StateHandle { location, len_bytes: number(4), seal: seal(5) };
                    let key_groups = KeyGroupRange::new(small(1), small(2), max).unwrap();
                    manifest.handles.push(KeyedStateHandle {
                        key_groups,
                        stream,
                        shared: vec![],
                        written: vec![],
                    });
                }
                _ => {
                    let path = StoragePath::new(words[1]).unwrap();
                    let file = SharedFile { path, len_bytes: number(2), seal: seal(3) };
                    manifest.handles.last_mut().unwrap().shared.push(file);
                }
            }
        }
        manifest
    }

    fn publish(&self, dir: &Path) {
        let mut text = format!("step {}\n", self.step);
        for KeyedStateHandle { key_groups, stream, shared, .. } in &self.handles {
            let (first, last) = (key_groups.first().get(), key_groups.last().get());
            let StateHandle { len_bytes, seal, .. } = stream;
            let path = stream.file().unwrap();
            writeln!(text, "handle {first} {last} {path} {len_bytes} {seal}").unwrap();
            for SharedFile { path, len_bytes, seal } in shared {
                writeln!(text, "shared {path} {len_bytes} {seal}").unwrap();
            }
        }
        fs::write(dir.join("manifest.next"), text).unwrap();
        fs::rename(dir.join("manifest.next"), dir.join("manifest")).unwrap();
    }

    fn files(&self) -> BTreeSet<StoragePath> {
        self.handles.iter().flat_map(KeyedStateHandle::files).cloned().collect()
    }
}

/// The operator; what it has in memory is not used.
fn job(backend: &RocksDbStateBackend) -> TestJob<'_, RocksDbStateBackend, String> {
    let mut job = TestJob::new(backend);
    job.max_parallelism = MaxParallelism::new(16).unwrap();
    job
}

fn backend(dir: &Path) -> RocksDbStateBackend {
    let backend = RocksDbStateBackend::new(dir.join("local"));
    backend.write_buffer_len_bytes(64 * 1024).customize_column(|options| {
        options.set_level_zero_file_num_compaction_trigger(2);
        options.set_target_file_size_base(32 * 1024);
        options.set_max_bytes_for_level_base(64 * 1024);
    })
}

fn storage(dir: &Path) -> Arc<dyn Storage> {
    alluvium_storage::open(&format!("file://{}", dir.join("storage").display())).unwrap()
}

fn open(
    job: &TestJob<'_, RocksDbStateBackend, String>,
    backend: &RocksDbStateBackend,
    parallelism: u32,
    manifest: &Manifest,
    storage: &Arc<dyn Storage>,
) -> Vec<Subtask> {
    let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy).shareable(true);
    let parallelism = job.parallelism(parallelism);
    let open = |subtask| {
        let (uid, key, assigner) = (job.uid.clone(), DefaultCodec, job.assigner);
        let spec = KeyedBackendSpec { uid, subtask, parallelism, key, assigner, hash_seed: 3 };
        backend.open(spec, &manifest.handles, &reader).unwrap()
    };
    parallelism.subtasks().map(open).collect()
}

/// The changes of a step, in order.
fn changes_of(step: u64) -> Vec<(String, u32, Change)> {
    let mut random = Random::new(step);
    let draw = |_| {
        let (key, namespace) = (format!("key-{}", random.below(100)), *random.pick(&NAMESPACES));
        let change = if random.one_in(6) {
            let text: Vec<String> = (0..30).map(|_| format!("{:x}", random.next_u64())).collect();
            Change::MapPut(1, text.concat())
        } else {
            Change::draw(&mut random)
        };
        (key, namespace, change)
    };
    (0..300).map(draw).collect()
}

/// What is killed: restores, changes, writes checkpoints, for ever.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let attempt: u32 = std::env::var(ATTEMPT).unwrap().parse().unwrap();
    let (backend, storage) = (backend(&dir), storage(&dir));
    let job = job(&backend);
    let mut random = Random::new(attempt.into());
    let mut manifest = Manifest::load(&dir, job.max_parallelism);
    loop {
        let parallelism = u32::try_from(1 + random.below(4)).unwrap();
        let mut subtasks = open(&job, &backend, parallelism, &manifest, &storage);
        for _ in 0..2 {
            let step = manifest.step + 1;
            for (key, namespace, change) in changes_of(step) {
                change.apply(&mut subtasks[job.owner_of(&key, parallelism)], &key, namespace);
            }
            let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
            let target = SnapshotTarget {
                streams: CheckpointStreams::new(Arc::clone(&storage), policy),
                checkpoint: CheckpointId::new(step).unwrap(),
                attempt: AttemptId::new(attempt),
                mode: SnapshotMode::Incremental,
            };
            let freeze = |state: &mut Subtask| state.freeze(target.checkpoint).unwrap();
            let frozen: Vec<_> = subtasks.iter_mut().map(freeze).collect();
            let handles = frozen.into_iter().filter_map(|frozen| frozen.write(&target).unwrap());
            let (handles, before) = (handles.collect(), manifest.files());
            manifest = Manifest { step, handles };
            manifest.publish(&dir);
            complete_all(&mut subtasks, target.checkpoint);
            for gone in before.difference(&manifest.files()) {
                storage.delete(gone).unwrap();
            }
        }
    }
}

/// Ends with its owner.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What killed processes left in the local folder.
#[derive(Debug, Default)]
struct Left {
    folders: usize,
    checkpoints: usize,
    restores: usize,
    clips: usize,
}

impl Left {
    fn look(&mut self, local: &Path) {
        let names = |dir: &Path| -> Vec<PathBuf> {
            fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        for folder in names(local).into_iter().filter(|path| path.is_dir()) {
            self.folders += 1;
            for inner in names(&folder) {
                let name = inner.file_name().unwrap().to_string_lossy().into_owned();
                self.checkpoints += usize::from(name.starts_with("checkpoint-"));
                if name == "restore" {
                    self.restores += 1;
                    let clip = |path: &PathBuf| {
                        path.file_name().unwrap().to_string_lossy().contains("clip")
                    };
                    self.clips += usize::from(names(&inner).iter().any(clip));
                }
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.checkpoints > 0 && self.restores > 0 && self.clips > 0
    }
}

#[test]
fn a_process_that_is_killed_leaves_nothing_that_stays_and_loses_nothing_that_was_completed() {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let dir = tempfile::Builder::new().prefix("alluvium-kills-").tempdir_in(base).unwrap();
    let (dir, local) = (dir.path(), dir.path().join("local"));
    let (mut random, mut left, mut kills) = (Random::new(1), Left::default(), 0);
    let (backend, storage) = (backend(dir), storage(dir));
    let job = job(&backend);
    let (mut model, mut steps) = (Model::default(), 0);
    while kills < LEAST_KILLS || !left.is_enough() {
        kills += 1;
        assert!(kills <= MOST_KILLS, "{left:?}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "victim"]).env(DIR, dir).env(ATTEMPT, kills.to_string());
        let mut victim = Victim(command.stdout(Stdio::null()).spawn().unwrap());
        std::thread::sleep(Duration::from_millis(10 + random.below(300)));
        let ended = victim.0.try_wait().unwrap();
        assert!(ended.is_none(), "attempt {kills} ended with {ended:?}");
        drop(victim);

        left.look(&local);
        let manifest = Manifest::load(dir, job.max_parallelism);
        while steps < manifest.step {
            steps += 1;
            for (key, namespace, change) in changes_of(steps) {
                model.apply(&key, namespace, &change);
            }
        }
        let parallelism = u32::try_from(1 + random.below(4)).unwrap();
        let mut subtasks = open(&job, &backend, parallelism, &manifest, &storage);
        let folders = fs::read_dir(&local).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), subtasks.len(), "{folders:?}");
        check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    }
    println!("{kills} kills, {steps} steps, {left:?}");
    assert!(left.folders > kills / 2 && steps > 10, "{steps} steps, {left:?}");
}
