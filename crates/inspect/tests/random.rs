//! Random jobs beside a model: what the inspector says of their checkpoints is what they wrote.
//!
//! Each seed writes some checkpoints, in blocks that refer to those of earlier ones, and keeps a copy of
//! the state in a `BTreeMap` at each. Then entries, differences, copies and rewritten savepoints are
//! compared with the model.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::key_hash::stable_key_group;
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupAssigner, MaxParallelism, OperatorState, OperatorUid, Parallelism, SubtaskState,
};
use alluvium_format::codec::DefaultCodec;
use alluvium_format::metadata::write_metadata;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_inspect::{
    Checkpoint, Folder, GcOptions, InspectError, Rewrite, Selection, copy, copy_into, diff, gc_in,
    rewrite, rewrite_into, states, verify, verify_checkpoint, verify_in,
};
use alluvium_state::{
    KeyedBackendSpec, KeyedStateBackend, MapStateDescriptor, SnapshotMode, SnapshotTarget,
    StateBackend, ValueStateDescriptor,
};
use alluvium_storage::{
    CheckpointStreams, HandleReader, JobLayout, ReadAccess, Storage, StreamPolicy,
};

#[path = "../examples/entries.rs"]
#[expect(dead_code, reason = "the example is a program, and its `main` is not called here")]
mod entries;

const SEEDS: u64 = 12;
const ROUNDS: u64 = 4;

/// State, key and value as JSON.
type Model = BTreeMap<(&'static str, u64), String>;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}

struct Job {
    uri: String,
    storage: Arc<dyn Storage>,
    parallelism: Parallelism,
    subtasks: Vec<HeapKeyedStateBackend<u64, DefaultCodec>>,
    /// By key, and by key and user key.
    values: BTreeMap<u64, u64>,
    maps: BTreeMap<u64, BTreeMap<u32, String>>,
}

impl Job {
    fn new(seed: u64) -> Self {
        let uri = format!("memory:inspect-random-{seed}/job");
        let storage = alluvium_storage::open(&uri).unwrap();
        let parallelism = Parallelism::new(3, MaxParallelism::new(8).unwrap()).unwrap();
        let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
        let backend = HeapStateBackend::default().max_segment_entries(4);
        let open = |subtask| {
            let spec = KeyedBackendSpec {
                uid: OperatorUid::new("operator").unwrap(),
                subtask,
                parallelism,
                key: DefaultCodec,
                assigner: KeyGroupAssigner::<u64>::Stable,
                hash_seed: seed,
            };
            backend.open(spec, &[], &reader).unwrap()
        };
        let subtasks = parallelism.subtasks().map(open).collect();
        let (values, maps) = (BTreeMap::new(), BTreeMap::new());
        Self { uri, storage, parallelism, subtasks, values, maps }
    }

    fn change(&mut self, random: &mut Random) {
        let key = random.below(60);
        let group = stable_key_group(&key.to_le_bytes(), self.parallelism.max());
        let owner = usize::from(self.parallelism.owner_of(group).get());
        let backend = self.subtasks.get_mut(owner).unwrap();
        let value = backend.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
        let map = backend.map_state(MapStateDescriptor::<u32, String>::new("map")).unwrap();
        let mut at = backend.at(&key).unwrap();
        let user_key = u32::try_from(random.below(5)).unwrap();
        match random.below(5) {
            0 => {
                value.clear(&mut at).unwrap();
                self.values.remove(&key);
            }
            1 => {
                map.clear(&mut at).unwrap();
                self.maps.remove(&key);
            }
            2 => {
                let text = format!("text {}", random.below(3));
                map.put(&mut at, user_key, text.clone()).unwrap();
                self.maps.entry(key).or_default().insert(user_key, text);
            }
            _ => {
                let number = random.below(4);
                value.set(&mut at, number).unwrap();
                self.values.insert(key, number);
            }
        }
    }

    fn model(&self) -> Model {
        let values = self.values.iter().map(|(key, it)| (("value", *key), it.to_string()));
        let maps = self.maps.iter().map(|(key, map)| {
            let entries: Vec<_> = map.iter().map(|(key, it)| format!("[{key}, {it:?}]")).collect();
            (("map", *key), format!("[{}]", entries.join(", ")))
        });
        values.chain(maps).collect()
    }

    fn checkpoint(&mut self, number: u64, mode: SnapshotMode) -> Checkpoint {
        let (id, attempt) = (CheckpointId::new(number).unwrap(), AttemptId::new(1));
        let policy = StreamPolicy { inline_below_bytes: 200, max_inline_bytes: None };
        let streams = CheckpointStreams::new(Arc::clone(&self.storage), policy);
        let target = SnapshotTarget { streams, checkpoint: id, attempt, mode };
        let subtasks = self.parallelism.subtasks().zip(&mut self.subtasks).map(|(index, state)| {
            let keyed = state.freeze(id).unwrap().write(&target).unwrap();
            state.complete(id);
            SubtaskState { index, keyed, operator: None }
        });
        let (uid, subtasks) = (OperatorUid::new("operator").unwrap(), subtasks.collect());
        let metadata = CheckpointMetadata {
            properties: CheckpointProperties {
                job: JobId::new("job").unwrap(),
                checkpoint: id,
                attempt,
                triggered_at_ms: 0,
                completed_at_ms: 1,
                max_parallelism: self.parallelism.max(),
                assigner: AssignerName::Stable,
            },
            operators: vec![OperatorState { uid, parallelism: self.parallelism, subtasks }],
        };
        let bytes = write_metadata(&metadata).unwrap();
        self.storage.create(&JobLayout::metadata(id), &bytes).unwrap();
        Checkpoint::open(&format!("{}/chk-{number}", self.uri)).unwrap()
    }
}

/// The entries as the inspector reads them; those of maps in one order.
fn read(checkpoint: &Checkpoint) -> Model {
    let max = checkpoint.metadata().properties.max_parallelism;
    let mut found = Model::new();
    for entry in checkpoint.entries(Selection::default()) {
        let entry = entry.unwrap();
        assert_eq!(entry.key_group, stable_key_group(entry.key(), max));
        assert_eq!(entry.namespace_json().unwrap(), "null");
        let (name, mut value) = match entry.state().name.as_str() {
            "value" => ("value", entry.value_json().unwrap()),
            _ => ("map", entry.value_json().unwrap()),
        };
        if name == "map" {
            let inner = value.strip_prefix("[[").unwrap().strip_suffix("]]").unwrap();
            let mut entries: Vec<_> = inner.split("], [").collect();
            entries.sort_unstable();
            value = format!("[[{}]]", entries.join("], ["));
        }
        let key = entry.key_json().unwrap().parse().unwrap();
        assert_eq!(found.insert((name, key), value), None, "{name} {key} comes once");
    }
    found
}

fn counts(from: &Model, to: &Model) -> [u64; 4] {
    let count = |it: usize| it as u64;
    let same = |it: &&(&'static str, u64)| from.contains_key(*it);
    let both: Vec<_> = to.keys().filter(same).collect();
    let changed = both.iter().filter(|it| from[**it] != to[**it]).count();
    [
        count(to.len() - both.len()),
        count(from.len() - both.len()),
        count(changed),
        count(both.len() - changed),
    ]
}

fn found_counts(from: &Checkpoint, to: &Checkpoint) -> [u64; 4] {
    let found = diff(from, to, &()).unwrap();
    let mut sums = [0; 4];
    for row in found.operators.iter().flat_map(|operator| &operator.states) {
        let numbers = [row.added, row.removed, row.changed, row.unchanged];
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    sums
}

#[test]
fn what_it_says_is_what_the_job_wrote() {
    let mut shared = 0;
    for seed in 0..SEEDS {
        let mut random = Random(seed * 2 + 1);
        let mut job = Job::new(seed);
        let mut written = Vec::new();
        for round in 1..=ROUNDS {
            (0..random.below(120)).for_each(|_| job.change(&mut random));
            let is_full = random.below(4) == 0;
            let mode = if is_full { SnapshotMode::Full } else { SnapshotMode::Incremental };
            written.push((job.checkpoint(round, mode), job.model()));
        }
        for (checkpoint, model) in &written {
            assert_eq!(read(checkpoint), *model, "seed {seed}: {}", checkpoint.location());
            let counted: u64 = states(checkpoint).unwrap().iter().map(|state| state.count).sum();
            assert_eq!(counted, model.len() as u64, "seed {seed}");
            for (other, of_other) in &written {
                let found = found_counts(checkpoint, other);
                assert_eq!(found, counts(model, of_other), "seed {seed}: {}", other.location());
                let rows = diff(checkpoint, other, &()).unwrap().operators.remove(0).states;
                shared += rows.iter().map(|row| row.shared_bytes).sum::<u64>();
            }
        }
        assert!(!verify(&job.uri, &()).unwrap().is_damaged(), "seed {seed}");
        let (checkpoint, model) = written.last().unwrap();
        let target = format!("memory:inspect-random-copy-{seed}");
        let copied = copy(checkpoint, &target, &()).unwrap();
        assert_eq!(read(&Checkpoint::open(&copied.location).unwrap()), *model, "seed {seed}");
        let max = u32::try_from(3 + random.below(300)).unwrap();
        let plan = Rewrite {
            max_parallelism: Some(MaxParallelism::new(max).unwrap()),
            ..Rewrite::default()
        };
        let scratch = alluvium_storage::open(&format!("memory:inspect-scratch-{seed}")).unwrap();
        let done = rewrite(checkpoint, &target, &plan, &scratch, seed, &()).unwrap();
        let savepoint = Checkpoint::open(&done.location).unwrap();
        assert_eq!(read(&savepoint), *model, "seed {seed} with {max} key groups");
        assert_eq!(done.entries, model.len() as u64);
        assert_eq!(scratch.list(None).unwrap(), [], "scratch is empty again");
    }
    assert!(shared > 10_000, "{shared} bytes of blocks were shared");
}

/// A job with one incremental checkpoint on top of another.
fn two_checkpoints(seed: u64) -> (Job, Checkpoint, Model) {
    let (mut random, mut job) = (Random(5), Job::new(seed));
    for round in 1..=2 {
        (0..100).for_each(|_| job.change(&mut random));
        job.checkpoint(round, SnapshotMode::Incremental);
    }
    let second = CheckpointId::new(2).unwrap();
    let checkpoint = Checkpoint::in_folder(Arc::clone(&job.storage), second).unwrap();
    let model = job.model();
    (job, checkpoint, model)
}

/// An engine has a storage and no address: everything works on what it has opened.
#[test]
fn an_engine_uses_its_own_storage() {
    let (job, checkpoint, model) = two_checkpoints(100);
    let found = verify_checkpoint(&checkpoint, &()).unwrap();
    assert_eq!(found.checkpoints, [(checkpoint.location(), true)]);
    assert!(found.findings.is_empty() && found.checksums > 10, "{found:?}");
    let whole = verify_in(&job.storage, &()).unwrap();
    assert_eq!(whole.checkpoints.len(), 2);
    assert_eq!(Folder::find_in(&job.storage).unwrap().len(), 1);

    let root = alluvium_storage::open("memory:inspect-own-target").unwrap();
    let copied = copy_into(&checkpoint, &root, &()).unwrap();
    assert!(copied.files > 3, "{copied:?}");
    let below = root.below(&JobLayout::job_dir(&JobId::new("job").unwrap())).unwrap();
    let second = checkpoint.metadata().properties.checkpoint;
    assert_eq!(read(&Checkpoint::in_folder(below, second).unwrap()), model);

    let scratch = alluvium_storage::open("memory:inspect-own-scratch").unwrap();
    let plan =
        Rewrite { max_parallelism: Some(MaxParallelism::new(100).unwrap()), ..Rewrite::default() };
    let done = rewrite_into(&checkpoint, &root, &plan, &scratch, 1, &()).unwrap();
    assert_eq!(done.entries, model.len() as u64);
    let dir = JobLayout::savepoint_dir(&JobId::new("job").unwrap(), 1);
    assert_eq!(read(&Checkpoint::savepoint(root.below(&dir).unwrap()).unwrap()), model);
    assert_eq!(verify_in(&root, &()).unwrap().checkpoints.len(), 2, "the copy and the savepoint");
}

#[test]
fn an_engine_hears_of_damage_and_cleans_up() {
    let (job, checkpoint, _) = two_checkpoints(101);
    let orphan = alluvium_core::StoragePath::new("shared/of-nobody").unwrap();
    job.storage.create(&orphan, b"left").unwrap();
    let options = GcOptions { is_dry_run: false, no_job_runs: true };
    let removed = gc_in(&job.storage, options).unwrap();
    assert_eq!(removed.orphans.iter().map(|it| &it.path).collect::<Vec<_>>(), [&orphan]);
    assert!(!verify_checkpoint(&checkpoint, &()).unwrap().is_damaged());

    let file = checkpoint.metadata().files().next().unwrap();
    job.storage.delete(file).unwrap();
    let found = verify_checkpoint(&checkpoint, &()).unwrap();
    assert_eq!(found.checkpoints, [(checkpoint.location(), false)]);
    let finding = &found.findings[0];
    assert!(finding.file.ends_with(file.as_str()), "{finding}");
    assert_eq!(finding.checkpoints, ["chk-2"]);

    let empty = alluvium_storage::open("memory:inspect-own-nothing").unwrap();
    assert!(matches!(gc_in(&empty, options), Err(InspectError::Empty { .. })));
    assert!(matches!(verify_in(&empty, &()), Err(InspectError::Empty { .. })));
}

#[test]
fn the_example_prints_every_entry() {
    let (job, _, model) = two_checkpoints(102);
    let mut printed = Vec::new();
    entries::print(&format!("{}/chk-2", job.uri), &mut printed).unwrap();
    let text = String::from_utf8(printed).unwrap();
    assert_eq!(text.lines().count(), model.len());
    for ((state, key), value) in model.iter().filter(|((state, _), _)| *state == "value") {
        let has = |line: &str| {
            let fields: Vec<_> = line.split('\t').collect();
            fields[0] == *state && fields[2..] == [key.to_string().as_str(), "null", value]
        };
        assert!(text.lines().any(has), "{state} {key} {value}");
    }
}
