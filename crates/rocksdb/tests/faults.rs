//! A storage that fails, is full or crashes at each operation of checkpoints and restores in turn,
//! and SSTs that are damaged, cut short or gone.
//!
//! Invariants: the last completed checkpoint is restored exactly; what fails leaves no file of its
//! own in `shared/` when files can be deleted, and nothing in the local folder.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]
#![expect(clippy::indexing_slicing, reason = "so does an index that is out of bounds")]

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{KeyedStateHandle, StoragePath, SubtaskIndex};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{KeyedStateBackend, RestoreError, SnapshotError};
use alluvium_storage::{
    Location, ReadAt, Storage, StorageEntry, StorageError, StorageLock, StorageWriter, StreamPolicy,
};
use alluvium_testkit::faulty::{Fault, FaultyStorage, StorageOperation};
use alluvium_testkit::job::{FrozenCheckpoint, KeyedOf, TestJob, fresh_memory};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Kind, Model, check_contents};
use alluvium_testkit::random::Random;
use bytes::Bytes;

const NAMESPACES: [u32; 1] = [0];

type Job<'b> = TestJob<'b, RocksDbStateBackend, String>;
type Subtask = KeyedOf<RocksDbStateBackend, String>;

fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    tempfile::Builder::new().prefix("alluvium-faults-").tempdir_in(base).unwrap()
}

fn job(backend: &RocksDbStateBackend, storage: Arc<dyn Storage>) -> Job<'_> {
    let mut job = Job::with_storage(backend, storage);
    // Everything is a file, so that everything is an operation.
    job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
    job
}

fn change(job: &Job<'_>, subtasks: &mut [Subtask], model: &mut Model, random: &mut Random) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for _ in 0..120 {
        let key = format!("key-{}", random.below(40));
        let change = Change::draw(random);
        if matches!(change.kind(), Kind::Value | Kind::List | Kind::Map) {
            change.apply(&mut subtasks[job.owner_of(&key, parallelism)], &key, 0);
            model.apply(&key, 0, &change);
        }
    }
}

/// What lies in `shared/`.
fn shared_files(storage: &Arc<dyn Storage>) -> BTreeSet<String> {
    let dir = StoragePath::new("shared").unwrap();
    let entries = storage.list(Some(&dir)).unwrap_or_default();
    entries.into_iter().map(|entry| format!("shared/{}", entry.name)).collect()
}

/// Names of the folders in the local folder of each backend; of those that are not to stay.
fn local_leftovers(base: &Path) -> Vec<String> {
    let names = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    let folders = names(base).into_iter().filter(|name| name != "lock");
    let inner = folders.flat_map(|folder| names(&base.join(folder)));
    inner.filter(|name| name != "alive" && name != "db").collect()
}

/// How a run came out.
struct Run {
    handles: Vec<KeyedStateHandle>,
    completed: Model,
    failed_checkpoints: usize,
}

/// Two subtasks, two checkpoints, one subtask, one checkpoint. Each subtask has checkpoints of its
/// own, and goes on with the last when one fails; restores go on with the storage below.
fn run(storage: &FaultyStorage, base: &Path, seed: u64, deletes_work: bool) -> Run {
    let backend = RocksDbStateBackend::new(base);
    let faulty: Arc<dyn Storage> = Arc::new(storage.clone());
    let job = std::mem::ManuallyDrop::new(job(&backend, faulty));
    let (mut random, mut model) = (Random::new(seed), Model::default());
    let mut run = Run { handles: Vec::new(), completed: Model::default(), failed_checkpoints: 0 };
    for parallelism in [2, 1] {
        let mut subtasks = match open(&job, parallelism, &run.handles) {
            Ok(subtasks) => subtasks,
            Err(error) => {
                assert!(storage.has_crashed(), "{error}");
                return run;
            }
        };
        model.clone_from(&run.completed);
        for _ in 0..parallelism {
            change(&job, &mut subtasks, &mut model, &mut random);
            let before = shared_files(storage.inner());
            match checkpoint(&job, &mut subtasks, deletes_work) {
                Ok(handles) => (run.handles, run.completed) = (handles, model.clone()),
                Err(error) => {
                    assert!(matches!(error, SnapshotError::Storage(_)), "{error}");
                    run.failed_checkpoints += 1;
                    if deletes_work {
                        assert_eq!(shared_files(storage.inner()), before, "files are left");
                    }
                }
            }
            assert_eq!(local_leftovers(base), [] as [&str; 0]);
        }
    }
    run
}

fn open(
    job: &Job<'_>,
    parallelism: u32,
    handles: &[KeyedStateHandle],
) -> Result<Vec<Subtask>, RestoreError> {
    let subtasks = job.parallelism(parallelism).subtasks();
    subtasks.map(|subtask| job.try_open(subtask, parallelism, handles)).collect()
}

/// A checkpoint of all subtasks, written one by one; those that were written before one fails are
/// discarded, as a coordinator does.
fn checkpoint(
    job: &Job<'_>,
    subtasks: &mut [Subtask],
    deletes_work: bool,
) -> Result<Vec<KeyedStateHandle>, SnapshotError> {
    let before = shared_files(job.storage());
    let mut frozen = Vec::new();
    for subtask in &mut *subtasks {
        frozen.push(job.freeze_one(subtask));
    }
    let ids: Vec<_> = frozen.iter().map(FrozenCheckpoint::checkpoint).collect();
    let mut handles = Vec::new();
    let outcome = frozen.into_iter().try_for_each(|frozen| {
        handles.extend(frozen.try_write()?);
        Ok(())
    });
    for (subtask, id) in subtasks.iter_mut().zip(ids) {
        if outcome.is_ok() { subtask.complete(id) } else { subtask.abort(id) }
    }
    if outcome.is_err() && deletes_work {
        let files = handles.iter().flat_map(KeyedStateHandle::files);
        for file in files.filter(|file| !before.contains(&file.to_string())) {
            job.storage().delete(file).unwrap();
        }
    }
    outcome.map(|()| handles)
}

fn every_fault(name: &str, deletes_work: bool, fault: impl Fn(u64) -> Fault) {
    let (mut failed_checkpoints, mut runs) = (0, 0);
    for n in 1.. {
        let dir = temporary();
        let storage = FaultyStorage::new(fresh_memory());
        storage.set_fault(Some(fault(n)));
        let run = run(&storage, dir.path(), n, deletes_work);
        failed_checkpoints += run.failed_checkpoints;
        // The next process sees the storage as it was left.
        let backend = RocksDbStateBackend::new(dir.path());
        let after = job(&backend, Arc::clone(storage.inner()));
        let mut subtasks = open(&after, 3, &run.handles).unwrap();
        check_contents(&after, &mut subtasks, &NAMESPACES, &run.completed);
        drop(subtasks);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only the lock file");
        runs += 1;
        if storage.failed_count() == 0 {
            break;
        }
    }
    println!("{name}: {runs} runs, {failed_checkpoints} checkpoints failed");
    assert!(
        runs > 15 && failed_checkpoints >= runs - 1,
        "{runs} runs, {failed_checkpoints} failed"
    );
}

#[test]
fn an_error_at_every_operation() {
    every_fault("once", true, |n| Fault::once(n, io::ErrorKind::TimedOut));
}

#[test]
fn a_full_disk_from_every_operation_on() {
    every_fault("full", false, |n| Fault::from(n, io::ErrorKind::StorageFull));
}

#[test]
fn a_crash_at_every_operation() {
    every_fault("crash", false, Fault::crash);
}

/// The file is there, and an error comes back all the same.
#[test]
fn an_answer_that_is_lost_at_every_end_of_a_file() {
    let fault = |n| Fault::once(n, io::ErrorKind::TimedOut).after_the_act();
    every_fault("lost", true, |n| fault(n).only(StorageOperation::Finish));
}

/// A storage of which one read fails.
#[derive(Debug)]
struct FailingReads {
    inner: Arc<dyn Storage>,
    reads: Arc<AtomicU64>,
    fails: u64,
    maps: bool,
}

impl FailingReads {
    fn count(&self, path: &StoragePath) -> Result<(), StorageError> {
        if self.reads.fetch_add(1, Ordering::Relaxed) + 1 != self.fails {
            return Ok(());
        }
        let location = Location::new(self.inner.root(), Some(path));
        let source = Arc::new(io::Error::other("injected"));
        Err(StorageError::Io { operation: "read", location, source })
    }
}

impl Storage for FailingReads {
    fn root(&self) -> &str {
        self.inner.root()
    }
    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.create(path, bytes)
    }
    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.inner.writer(path)
    }
    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.count(path)?;
        self.inner.read(path, range)
    }
    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.count(path)?;
        self.inner.read_all(path)
    }
    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        self.count(path)?;
        if self.maps { self.inner.map_guarded(path) } else { Ok(None) }
    }
    fn local_path(&self, path: &StoragePath) -> Option<std::path::PathBuf> {
        self.inner.local_path(path).filter(|_| self.maps)
    }
    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.count(path)?;
        self.inner.len_bytes(path)
    }
    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        self.inner.list(dir)
    }
    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }
    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_dir(dir)
    }
    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_empty_dir(dir)
    }
    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.inner.lock(path)
    }
    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        self.inner.below(dir)
    }
}

/// State of one subtask that became two, each with files of both, in a folder.
fn halves(job: &Job<'_>) -> (Vec<KeyedStateHandle>, Model) {
    let (mut random, mut model) = (Random::new(5), Model::default());
    let mut handles = Vec::new();
    for parallelism in [1, 2] {
        let mut subtasks = job.open(parallelism, &handles);
        change(job, &mut subtasks, &mut model, &mut random);
        handles = job.snapshot(&mut subtasks);
    }
    (handles, model)
}

fn in_folder(dir: &Path) -> Arc<dyn Storage> {
    alluvium_storage::open(&format!("file://{}", dir.join("storage").display())).unwrap()
}

#[test]
fn a_read_that_fails_at_every_place_of_a_restore() {
    for maps in [true, false] {
        let dir = temporary();
        let base = dir.path().join("local");
        let backend = RocksDbStateBackend::new(&base);
        let source = job(&backend, in_folder(dir.path()));
        let (handles, model) = halves(&source);
        for fails in 1.. {
            let (inner, reads) = (Arc::clone(source.storage()), Arc::default());
            let storage = Arc::new(FailingReads { inner, reads, fails, maps });
            let job = std::mem::ManuallyDrop::new(job(&backend, storage));
            match job.try_open(SubtaskIndex::new(0), 1, &handles) {
                Ok(state) => {
                    check_contents(&job, &mut [state], &NAMESPACES, &model);
                    assert!(fails > 10, "{fails} reads");
                    break;
                }
                Err(error) => {
                    assert!(matches!(error, RestoreError::Storage(_)), "{error}");
                    assert_eq!(std::fs::read_dir(&base).unwrap().count(), 1);
                }
            }
        }
    }
}

/// Opens all of it and expects a refusal that names a file.
#[track_caller]
fn assert_refused(job: &Job<'_>, handles: &[KeyedStateHandle], path: &StoragePath, base: &Path) {
    let error = job.try_open(SubtaskIndex::new(0), 1, handles).unwrap_err();
    assert!(error.to_string().contains(&path.to_string()), "{error}");
    assert_eq!(std::fs::read_dir(base).unwrap().count(), 1, "only the lock file");
}

/// Each damage, of a file that is linked and of one that is copied.
#[test]
fn damaged_files_are_refused_by_name() {
    for links in [true, false] {
        let dir = temporary();
        let base = dir.path().join("local");
        let backend = RocksDbStateBackend::new(&base);
        let storage = if links { in_folder(dir.path()) } else { fresh_memory() };
        let job = job(&backend, storage);
        let (handles, model) = halves(&job);
        let storage = job.storage();
        let shared = handles.iter().flat_map(|handle| &handle.shared);
        let paths: BTreeSet<&StoragePath> = shared.map(|file| &file.path).collect();
        assert!(paths.len() > 5, "{paths:?}");
        for (number, path) in paths.into_iter().enumerate() {
            let whole = storage.read_all(path).unwrap().to_vec();
            let replace = |bytes: &[u8]| storage.replace(path, bytes).unwrap();
            let every = if number == 0 { 41 } else { whole.len() / 3 };
            for at in (number % every..whole.len()).step_by(every) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 8);
                replace(&damaged);
                assert_refused(&job, &handles, path, &base);
            }
            for len in [0, 3, whole.len() / 2, whole.len() - 1] {
                replace(&whole[..len]);
                assert_refused(&job, &handles, path, &base);
            }
            replace(&[whole.as_slice(), b"x"].concat());
            assert_refused(&job, &handles, path, &base);
            storage.delete(path).unwrap();
            assert_refused(&job, &handles, path, &base);
            replace(&whole);
        }
        let mut subtasks = job.open(1, &handles);
        check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    }
}
