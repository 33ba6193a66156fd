//! Chains of random rescales, exact against a model after each restore: with hard links and with
//! copies, with one byte of key-group prefix and with two, with files in several levels.
//!
//! Between two restores state is changed, and checkpoints complete, are given up, overlap, are of
//! either kind, and now and then a subtask's state is lost, as that of one that never had any. What
//! the last completed checkpoint does not refer to is deleted at once.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]
#![expect(clippy::indexing_slicing, reason = "so does an index that is out of bounds")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alluvium_core::{KeyedStateHandle, MaxParallelism, StoragePath};
use alluvium_format::codec::DefaultCodec;
use alluvium_format::sst::SstIndexReader;
use alluvium_rocksdb::{RestoreStatistics, RocksDbStateBackend};
use alluvium_state::{KeyedBackendSpec, KeyedStateBackend, SnapshotMode, StateBackend};
use alluvium_storage::Storage;
use alluvium_testkit::job::{KeyedOf, TestJob, abort_all, complete_all, fresh_memory};
use alluvium_testkit::model::change::{Change, register_all};
use alluvium_testkit::model::{Model, check_contents};
use alluvium_testkit::random::Random;

const RESCALES: usize = 30;
const MAX_PARALLELISM_OF_CHAIN: u64 = 6;
const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
const KEYS: u64 = 150;

type Job<'b> = TestJob<'b, RocksDbStateBackend, String>;
type Subtasks = Vec<KeyedOf<RocksDbStateBackend, String>>;

/// A temporary folder, in memory where the system has a folder for that.
fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    tempfile::Builder::new().prefix("alluvium-rescale-").tempdir_in(base).unwrap()
}

/// Small memtables, files and levels, so that little state has all of them.
fn backend(base: &Path) -> RocksDbStateBackend {
    RocksDbStateBackend::new(base).write_buffer_len_bytes(64 * 1024).customize_column(|options| {
        options.set_level_zero_file_num_compaction_trigger(4);
        options.set_target_file_size_base(48 * 1024);
        options.set_max_bytes_for_level_base(64 * 1024);
        options.set_max_bytes_for_level_multiplier(3.0);
    })
}

/// What a chain met, so that it shows something.
#[derive(Debug, Default)]
struct Met {
    statistics: RestoreStatistics,
    /// Subtasks restored from several streams of files, without clipping and with it.
    unclipped_merges: usize,
    clipped: usize,
    levels: BTreeSet<u8>,
    /// Files of earlier checkpoints that were referred to.
    referred: usize,
    /// Restores from streams of both kinds.
    mixed: usize,
}

struct Chain<'b> {
    job: Job<'b>,
    random: Random,
    model: Model,
    subtasks: Subtasks,
    /// The last completed checkpoint.
    handles: Vec<KeyedStateHandle>,
    completed: Model,
    met: Met,
}

impl Chain<'_> {
    fn change(&mut self, changes: u64) {
        let parallelism = u32::try_from(self.subtasks.len()).unwrap();
        for number in 0..changes {
            let key = format!("key-{}", self.random.below(KEYS));
            let namespace = *self.random.pick(&NAMESPACES);
            let change = if number % 8 == 0 {
                // Bytes that do not compress well, so that files fill up.
                let text: Vec<String> =
                    (0..40).map(|_| format!("{:x}", self.random.next_u64())).collect();
                let text = text.concat();
                let user_key = u32::try_from(self.random.below(6)).unwrap();
                if self.random.one_in(2) {
                    Change::MapPut(user_key, text)
                } else {
                    Change::ListAdd(text)
                }
            } else {
                Change::draw(&mut self.random)
            };
            let owner = self.job.owner_of(&key, parallelism);
            change.apply(self.subtasks.get_mut(owner).unwrap(), &key, namespace);
            self.model.apply(&key, namespace, &change);
        }
    }

    /// A checkpoint that completes; files that only earlier ones refer to are deleted.
    fn checkpoint(&mut self) {
        let before: BTreeSet<StoragePath> = files(&self.handles);
        // Now and then some subtasks write blocks and others files.
        let full = self.random.index(self.subtasks.len());
        let full = if self.random.one_in(2) { full } else { 0 };
        let (some, others) = self.subtasks.split_at_mut(full);
        self.job.mode = SnapshotMode::Full;
        let some_frozen = self.job.freeze(some);
        self.job.mode = SnapshotMode::Incremental;
        let others_frozen = self.job.freeze(others);
        self.completed = self.model.clone();
        if self.random.one_in(2) {
            self.change(200);
        }
        let (some_id, others_id) = (some_frozen.checkpoint(), others_frozen.checkpoint());
        self.handles = [some_frozen.write(), others_frozen.write()].concat();
        complete_all(&mut self.subtasks[..full], some_id);
        complete_all(&mut self.subtasks[full..], others_id);
        let after = files(&self.handles);
        self.met.referred += after.intersection(&before).count();
        for gone in before.difference(&after) {
            self.job.storage().delete(gone).unwrap();
        }
    }

    /// A checkpoint that is written or not, and given up; another one may begin meanwhile.
    fn given_up(&mut self) {
        let frozen = self.job.freeze(&mut self.subtasks);
        let id = frozen.checkpoint();
        self.change(100);
        match self.random.below(3) {
            0 => drop(frozen),
            1 => {
                let handles = frozen.write();
                let used = files(&self.handles);
                for file in files(&handles).difference(&used) {
                    self.job.storage().delete(file).unwrap();
                }
            }
            _ => {
                let later = self.job.freeze(&mut self.subtasks);
                let (later_id, model) = (later.checkpoint(), self.model.clone());
                self.change(50);
                let before = files(&self.handles);
                let handles = later.write();
                let late = frozen.write();
                self.handles = handles;
                self.completed = model;
                complete_all(&mut self.subtasks, later_id);
                let after = files(&self.handles);
                for gone in before.union(&files(&late)).filter(|file| !after.contains(*file)) {
                    self.job.storage().delete(gone).unwrap();
                }
            }
        }
        abort_all(&mut self.subtasks, id);
    }

    /// Loses the state of one subtask: its key groups begin anew.
    fn lose_a_subtask(&mut self) {
        let at = self.random.index(self.handles.len());
        let lost = self.handles.remove(at).key_groups;
        let job = &self.job;
        self.completed.retain(|address| !lost.contains(job.key_group_of(&address.key)));
    }

    fn look_at_indexes(&mut self) -> Vec<bool> {
        let mut are_ssts = Vec::new();
        for handle in &self.handles {
            let stream = self.job.reader().open(&handle.stream).unwrap();
            let index = SstIndexReader::open_bytes(stream);
            are_ssts.push(index.is_ok());
            if let Ok(index) = index {
                self.met.levels.extend(index.ssts().map(|(_, meta)| meta.level));
            }
        }
        are_ssts
    }

    fn restore(&mut self, parallelism: u32) {
        let are_ssts = self.look_at_indexes();
        self.subtasks = self.job.open(parallelism, &self.handles);
        self.model = self.completed.clone();
        for state in &self.subtasks {
            let range = state.key_groups();
            let mine = self.handles.iter().zip(&are_ssts);
            let mine: Vec<bool> = mine
                .filter(|(handle, _)| handle.key_groups.intersection(range).is_some())
                .map(|(_, is_sst)| *is_sst)
                .collect();
            let statistics = state.restore_statistics();
            let sources = mine.iter().filter(|is_sst| **is_sst).count();
            self.met.mixed += usize::from(sources > 0 && sources < mine.len());
            if statistics.sources_clipped > 0 {
                self.met.clipped += 1;
            } else if sources > 1 {
                self.met.unclipped_merges += 1;
            }
            let sum = &mut self.met.statistics;
            sum.files_linked += statistics.files_linked;
            sum.files_copied += statistics.files_copied;
            sum.bytes_copied += statistics.bytes_copied;
            sum.files_skipped += statistics.files_skipped;
            sum.sources_clipped += statistics.sources_clipped;
            sum.bytes_rewritten += statistics.bytes_rewritten;
            sum.rows_copied += statistics.rows_copied;
        }
    }

    fn check(&mut self) {
        check_contents(&self.job, &mut self.subtasks, &NAMESPACES, &self.model);
    }
}

fn files(handles: &[KeyedStateHandle]) -> BTreeSet<StoragePath> {
    handles.iter().flat_map(KeyedStateHandle::files).cloned().collect()
}

fn run_chain(seed: u64, max: u32, storage: Arc<dyn Storage>, base: &Path) -> Met {
    let backend = backend(base);
    let mut job = Job::with_storage(&backend, storage);
    job.max_parallelism = MaxParallelism::new(max).unwrap();
    let mut random = Random::new(seed);
    let parallelism =
        |random: &mut Random| u32::try_from(1 + random.below(MAX_PARALLELISM_OF_CHAIN)).unwrap();
    let mut subtasks = job.open(parallelism(&mut random), &[]);
    subtasks.iter_mut().for_each(register_all);
    let (model, completed) = (Model::default(), Model::default());
    let (handles, met) = (Vec::new(), Met::default());
    let mut chain = Chain { job, random, model, subtasks, handles, completed, met };
    for number in 0..RESCALES {
        chain.change(1500);
        for _ in 0..=chain.random.below(3) {
            chain.checkpoint();
            chain.change(300);
            if chain.random.one_in(3) {
                chain.given_up();
            }
        }
        if chain.random.one_in(8) && chain.handles.len() > 1 {
            chain.lose_a_subtask();
        }
        let to = parallelism(&mut chain.random);
        println!("seed {seed}, rescale {number}: {} to {to}", chain.subtasks.len());
        chain.restore(to);
        if chain.random.one_in(4) {
            // Nobody has registered anything yet.
            chain.checkpoint();
            let to = parallelism(&mut chain.random);
            chain.restore(to);
        }
        chain.check();
    }
    println!("seed {seed}: {:?}", chain.met);
    chain.met
}

fn check_met(met: &Met) {
    assert!(met.clipped > 0 && met.unclipped_merges > 0 && met.mixed > 0, "{met:?}");
    assert!(met.referred > 100 && met.statistics.files_skipped > 0, "{met:?}");
    assert!(met.levels.contains(&0) && met.levels.len() >= 3, "{met:?}");
    assert_eq!(met.statistics.rows_copied, 0, "{met:?}");
}

fn with_links(seed: u64, max: u32) {
    let dir = temporary();
    let root = dir.path().join("checkpoints");
    let storage = alluvium_storage::open(&format!("file://{}", root.display())).unwrap();
    let met = run_chain(seed, max, storage, &dir.path().join("local"));
    check_met(&met);
    assert!(met.statistics.files_linked > 100, "{met:?}");
    assert_eq!((met.statistics.files_copied, met.statistics.bytes_copied), (0, 0));
    assert_nothing_is_left(&dir.path().join("local"));
}

fn with_copies(seed: u64, max: u32) {
    let dir = temporary();
    let met = run_chain(seed, max, fresh_memory(), &dir.path().join("local"));
    check_met(&met);
    assert!(met.statistics.files_copied > 100, "{met:?}");
    assert_eq!(met.statistics.files_linked, 0);
    assert_nothing_is_left(&dir.path().join("local"));
}

/// Restored from files that are not the job's own: linked, clipped or not, none is referred to.
#[test]
fn files_that_others_may_delete_are_read_and_never_referred_to() {
    let dir = temporary();
    let backend = backend(&dir.path().join("local"));
    let root = dir.path().join("checkpoints");
    let storage = alluvium_storage::open(&format!("file://{}", root.display())).unwrap();
    let job = Job::with_storage(&backend, storage);
    let (subtasks, random) = (job.open(2, &[]), Random::new(3));
    let (model, completed) = (Model::default(), Model::default());
    let (handles, met) = (Vec::new(), Met::default());
    let mut chain = Chain { job, random, model, subtasks, handles, completed, met };
    for (before, after) in [(2, 3), (3, 1), (1, 4)] {
        chain.change(2000);
        chain.handles = chain.job.snapshot(&mut chain.subtasks);
        let foreign = files(&chain.handles);
        let reader = chain.job.reader().shareable(false);
        let parallelism = chain.job.parallelism(after);
        let open = |subtask| {
            let spec = KeyedBackendSpec {
                uid: chain.job.uid.clone(),
                subtask,
                parallelism,
                key: DefaultCodec,
                assigner: chain.job.assigner,
                hash_seed: 1,
            };
            backend.open(spec, &chain.handles, &reader).unwrap()
        };
        chain.subtasks = parallelism.subtasks().map(open).collect();
        let linked = chain.subtasks.iter().map(|it| it.restore_statistics().files_linked);
        assert!(linked.sum::<u64>() > 0, "{before} to {after}");
        let handles = chain.job.snapshot(&mut chain.subtasks);
        assert!(files(&handles).is_disjoint(&foreign), "{before} to {after}");
        for file in foreign {
            chain.job.storage().delete(&file).unwrap();
        }
        chain.check();
        let again = chain.job.snapshot(&mut chain.subtasks);
        assert!(!files(&again).is_disjoint(&files(&handles)), "its own are referred to");
        chain.subtasks = chain.job.open(2, &again);
        chain.check();
        chain.subtasks = chain.job.open(after, &again);
    }
}

/// The lock file of the folder stays.
fn assert_nothing_is_left(base: &Path) {
    let names = std::fs::read_dir(base).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["lock"]);
}

#[test]
fn a_chain_of_rescales_with_links_and_one_byte_of_key_group() {
    (1..=2).for_each(|seed| with_links(seed, 16));
}

#[test]
fn a_chain_of_rescales_with_links_and_two_bytes_of_key_group() {
    (11..=12).for_each(|seed| with_links(seed, 200));
}

#[test]
fn a_chain_of_rescales_with_copies_and_one_byte_of_key_group() {
    (21..=22).for_each(|seed| with_copies(seed, 16));
}

#[test]
fn a_chain_of_rescales_with_copies_and_two_bytes_of_key_group() {
    (31..=32).for_each(|seed| with_copies(seed, 200));
}
