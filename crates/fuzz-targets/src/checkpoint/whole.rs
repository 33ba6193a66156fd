//! A whole checkpoint: `_metadata`, keyed state of two subtasks that refers to files of earlier checkpoints,
//! operator state of every mode, and an operator whose keyed state is SST files; restored as an engine does it.
//!
//! Rows of SST files are RocksDB's: of these the index, its agreement with the metadata, and the checksum of the
//! file are checked.

use std::fmt::Display;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupRange, KeyedStateHandle, OperatorState, OperatorStateHandle, OperatorUid, Parallelism,
    SharedFile, StoragePath, SubtaskIndex, SubtaskState,
};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use alluvium_format::envelope::StreamKind;
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_format::metadata::{read_metadata, write_metadata};
use alluvium_format::sst::{SstChecksum, SstIndexHeader, SstIndexWriter, SstMeta};
use alluvium_heap::HeapStateBackend;
use alluvium_state::{
    BroadcastStateDescriptor, KeyedBackendSpec, KeyedStreams, ListStateDescriptor,
    OperatorStateBackend, SnapshotMode, StateBackend, StateError, StreamContent, StreamSource,
};
use alluvium_storage::{HandleReader, JobLayout, ReadAccess, StreamPolicy};

use super::resealed::{File, Streams};
use super::states::{fill, lines};
use super::{COPY_ON_WRITE, FACTOR, Job, NESTED, SMALL_SEGMENTS, apply, few_key_groups};
use crate::bound::{BASE_LEN_BYTES, limited, measured};

/// Subtasks that the checkpoint has.
pub(super) const PARALLELISM: u32 = 2;
const ROUNDS: u8 = 3;

/// The operator whose keyed state is SST files.
const OF_SSTS: &str = "ssts";

/// The checkpoint, and where it is damaged.
pub(super) struct Whole {
    job: Job,
    pub(super) metadata: CheckpointMetadata,
    path: StoragePath,
    /// All files, `_metadata` first.
    pub(super) files: Vec<File>,
    pub(super) lines: Vec<String>,
    /// What a restore of the whole takes, in bytes.
    restore_len_bytes: u64,
}

/// Changes files, or what is in them under right checksums.
pub(super) fn run(is_resealed: bool, changes: &[u8]) {
    static WHOLE: OnceLock<Mutex<Whole>> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| Mutex::new(Whole::write()));
    let whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
    if is_resealed { whole.change_parts(changes) } else { whole.change_files(changes) }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

impl Whole {
    pub(super) fn write() -> Self {
        match Self::try_write() {
            Ok(whole) => whole,
            Err(error) => panic!("what is to be damaged is refused: {error}"),
        }
    }

    fn try_write() -> Result<Self, String> {
        static BACKEND: HeapStateBackend = SMALL_SEGMENTS;
        let mut job = Job::new(&BACKEND);
        job.max_parallelism = few_key_groups();
        job.mode = SnapshotMode::Incremental;
        job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let mut subtasks = job.open(PARALLELISM, &[]);
        let mut handles = Vec::new();
        for round in 0..ROUNDS {
            for (place, keyed) in subtasks.iter_mut().enumerate() {
                let is_own = |key: &String| job.owner_of(key, PARALLELISM) == place;
                fill(keyed, round, is_own).map_err(text)?;
            }
            handles = job.snapshot(&mut subtasks);
        }
        let checkpoint = CheckpointId::new(u64::from(ROUNDS)).map_err(text)?;
        let metadata = Self::describe(&job, checkpoint, handles)?;
        let path = JobLayout::metadata(checkpoint);
        let bytes = write_metadata(&metadata).map_err(text)?;
        let storage = Arc::clone(job.storage());
        storage.create(&path, &bytes).map_err(text)?;
        let mut files = vec![(path.clone(), bytes)];
        for file in metadata.files() {
            if files.iter().all(|(known, _)| known != file) {
                files.push((file.clone(), storage.read_all(file).map_err(text)?.to_vec()));
            }
        }
        let mut whole =
            Self { job, metadata, path, files, lines: Vec::new(), restore_len_bytes: 0 };
        let of = |backend| measured(|| whole.restore_by(backend, PARALLELISM));
        let ((read, one), (other, two)) = (of(&COPY_ON_WRITE), of(&NESTED));
        assert_eq!(read, other, "both backends read the same");
        (whole.lines, whole.restore_len_bytes) = (read?, one.max(two));
        Ok(whole)
    }

    fn describe(
        job: &Job,
        checkpoint: CheckpointId,
        handles: Vec<KeyedStateHandle>,
    ) -> Result<CheckpointMetadata, String> {
        let parallelism = job.parallelism(PARALLELISM);
        let mut subtasks = Vec::new();
        for (index, keyed) in parallelism.subtasks().zip(handles) {
            let operator = operator_state(job, checkpoint, index, parallelism)?;
            subtasks.push(SubtaskState { index, keyed: Some(keyed), operator });
        }
        let first = OperatorState { uid: job.uid.clone(), parallelism, subtasks };
        let uid = OperatorUid::new(OF_SSTS).map_err(text)?;
        let (index, parallelism) = (SubtaskIndex::new(0), job.parallelism(1));
        let keyed = Some(sst_index(job, checkpoint, &uid)?);
        let subtasks = vec![SubtaskState { index, keyed, operator: None }];
        let properties = CheckpointProperties {
            job: JobId::new("job").map_err(text)?,
            checkpoint,
            attempt: AttemptId::new(1),
            triggered_at_ms: 1_000,
            completed_at_ms: 2_000,
            max_parallelism: job.max_parallelism,
            assigner: AssignerName::Stable,
        };
        let operators = vec![first, OperatorState { uid, parallelism, subtasks }];
        Ok(CheckpointMetadata { properties, operators })
    }

    fn change_files(&self, changes: &[u8]) {
        let mut files = self.files.clone();
        for change in changes.chunks_exact(6) {
            let count = files.len();
            let file = files.get_mut(usize::from(change.first().copied().unwrap_or(0)) % count);
            if let Some((_, bytes)) = file {
                apply(change, bytes);
            }
        }
        self.replace(&files);
        for backend in [&COPY_ON_WRITE, &NESTED] {
            if let Ok(read) = self.read_by(backend, PARALLELISM) {
                assert_eq!(read, self.lines, "damaged state was taken for sound");
            }
        }
        self.replace(&self.files);
    }

    /// The files with changed parts, and how many parts there are.
    pub(super) fn resealed(&self, changes: &[u8]) -> Option<(Vec<File>, usize)> {
        let mut streams = Streams::new(&self.metadata, &self.files);
        let parts = streams.change(&self.path, changes)?;
        Some((streams.into_files(), parts))
    }

    fn change_parts(&self, changes: &[u8]) {
        if let Some((files, _)) = self.resealed(changes) {
            self.replace(&files);
            for backend in [&COPY_ON_WRITE, &NESTED] {
                let _ = self.read_by(backend, PARALLELISM);
                let _ = self.read_by(backend, PARALLELISM + 1);
            }
        }
        self.replace(&self.files);
    }

    pub(super) fn replace(&self, files: &[File]) {
        let storage = self.job.storage();
        for (path, bytes) in files {
            let done = storage.delete(path).and_then(|()| storage.create(path, bytes));
            done.unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }

    /// All of a restored job in lines; the error as text.
    fn read_by(&self, backend: &HeapStateBackend, parallelism: u32) -> Result<Vec<String>, String> {
        let limit = BASE_LEN_BYTES + FACTOR * self.restore_len_bytes;
        limited(limit, || self.restore_by(backend, parallelism))
    }

    pub(super) fn restore_by(
        &self,
        backend: &HeapStateBackend,
        parallelism: u32,
    ) -> Result<Vec<String>, String> {
        let storage = self.job.storage();
        let metadata = read_metadata(storage.read_all(&self.path).map_err(text)?).map_err(text)?;
        let (found, expected) = (&metadata.properties, &self.metadata.properties);
        // What a job compares before it opens a stream (SPEC 2.6).
        let told = |it: &CheckpointProperties| {
            (it.job.clone(), it.checkpoint, it.max_parallelism, it.assigner)
        };
        if told(found) != told(expected) {
            return Err("the metadata is of another job or checkpoint".to_owned());
        }
        let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
        let mut lines = Vec::new();
        for expected in &self.metadata.operators {
            let operator = metadata.operators.iter().find(|it| it.uid == expected.uid);
            let operator = operator.ok_or_else(|| format!("no state of {}", expected.uid))?;
            if operator.uid.as_str() == OF_SSTS {
                lines.extend(self.read_ssts(operator, &reader)?);
            } else {
                self.restore_operator(operator, (backend, parallelism), &reader, &mut lines)?;
            }
        }
        lines.sort();
        Ok(lines)
    }

    fn spec(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
        parallelism: Parallelism,
    ) -> KeyedBackendSpec<String, DefaultCodec> {
        KeyedBackendSpec {
            uid: uid.clone(),
            subtask,
            parallelism,
            key: DefaultCodec,
            assigner: self.job.assigner,
            hash_seed: 77,
        }
    }

    fn restore_operator(
        &self,
        operator: &OperatorState,
        (backend, parallelism): (&HeapStateBackend, u32),
        reader: &HandleReader,
        all: &mut Vec<String>,
    ) -> Result<(), String> {
        let parallelism = self.job.parallelism(parallelism);
        let parts = alluvium_state::restore_operator_states(operator, parallelism, reader);
        for (subtask, items) in parallelism.subtasks().zip(parts.map_err(text)?) {
            let range = KeyGroupRange::of_subtask(subtask, parallelism).map_err(text)?;
            let restored = OperatorStateBackend::new(items).for_subtask(subtask);
            all.extend(operator_lines(restored, subtask, range).map_err(text)?);
            let handles = operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref());
            let own = handles.filter(|handle| handle.key_groups.intersection(range).is_some());
            let own: Vec<_> = own.cloned().collect();
            let spec = self.spec(&operator.uid, subtask, parallelism);
            all.extend(lines(&mut backend.open(spec, &own, reader).map_err(text)?).map_err(text)?);
        }
        Ok(())
    }

    /// What can be said of SST files without RocksDB.
    fn read_ssts(
        &self,
        operator: &OperatorState,
        reader: &HandleReader,
    ) -> Result<Vec<String>, String> {
        let handles = operator.subtasks.iter().filter_map(|subtask| subtask.keyed.clone());
        let handles: Vec<_> = handles.collect();
        let spec = self.spec(&operator.uid, SubtaskIndex::new(0), self.job.parallelism(1));
        let streams = KeyedStreams::open(&spec, &handles, reader).map_err(text)?;
        let mut lines = Vec::new();
        for stream in &streams.streams {
            let StreamContent::Ssts(index) = &stream.content else {
                return Err(format!("{} has blocks", stream.name));
            };
            for (file, sst) in index.ssts() {
                let source = reader.shared_source(file).map_err(text)?;
                SstChecksum::verify(&StreamSource::new(source), sst.checksum).map_err(text)?;
                lines.push(format!("sst {} {sst:?}", file.path));
            }
        }
        Ok(lines)
    }
}

/// States of every mode.
fn operator_lines(
    mut restored: OperatorStateBackend,
    subtask: SubtaskIndex,
    range: KeyGroupRange,
) -> Result<Vec<String>, StateError> {
    let split = restored.list_state(ListStateDescriptor::<u64>::new("split"))?;
    let union = restored.union_list_state(ListStateDescriptor::<String>::new("union"))?;
    let broadcast = BroadcastStateDescriptor::<String, u64>::new("broadcast");
    let broadcast = restored.broadcast_state(broadcast)?;
    let raw = restored.raw_keyed_state("raw", range)?;
    let mut lines = vec![
        format!("{subtask} split {:?}", restored.items(split)?),
        format!("{subtask} union {:?}", restored.items(union)?),
    ];
    for (key, value) in restored.broadcast_entries(broadcast)? {
        lines.push(format!("{subtask} broadcast {key:?} {value}"));
    }
    for (group, bytes) in restored.raw_keyed_sections(raw)? {
        lines.push(format!("{subtask} raw {group} {bytes:?}"));
    }
    Ok(lines)
}

fn operator_state(
    job: &Job,
    checkpoint: CheckpointId,
    subtask: SubtaskIndex,
    parallelism: Parallelism,
) -> Result<Option<OperatorStateHandle>, String> {
    let range = KeyGroupRange::of_subtask(subtask, parallelism).map_err(text)?;
    let mut state = OperatorStateBackend::new(Vec::new());
    let mut fill = || {
        let split = state.list_state(ListStateDescriptor::<u64>::new("split"))?;
        let union = state.union_list_state(ListStateDescriptor::<String>::new("union"))?;
        let broadcast = BroadcastStateDescriptor::<String, u64>::new("broadcast");
        let broadcast = state.broadcast_state(broadcast)?;
        let raw = state.raw_keyed_state("raw", range)?;
        state.update(split, vec![1, 2, u64::from(subtask.get())])?;
        state.update(union, vec![format!("file {subtask}"), String::new()])?;
        state.broadcast_put(broadcast, "rule".to_owned(), 5)?;
        let mut writer = state.write_raw_keyed(raw)?;
        writer.start_key_group(range.first())?.extend_from_slice(b"section");
        writer.start_key_group(range.last())?;
        writer.finish();
        Ok::<_, StateError>(())
    };
    fill().map_err(text)?;
    let frozen = state.freeze().map_err(text)?;
    frozen.write(&job.target(checkpoint), &job.uid, subtask).map_err(text)
}

/// Keyed state as one SST, whose bytes nobody but RocksDB would read.
fn sst_index(
    job: &Job,
    checkpoint: CheckpointId,
    uid: &OperatorUid,
) -> Result<KeyedStateHandle, String> {
    let bytes = b"what an SST holds\x88\xe2\x41\xb7";
    let path = StoragePath::new("shared/ssts-0-sst-1-3-0").map_err(text)?;
    job.storage().create(&path, bytes).map_err(text)?;
    let key_groups = job.max_parallelism.all_key_groups();
    let state = StateMeta {
        name: "value".to_owned(),
        kind: StateKind::Value,
        namespace: <() as HasCodec>::Codec::default().snapshot(),
        value: <u64 as HasCodec>::Codec::default().snapshot(),
    };
    let header = SstIndexHeader {
        uid: uid.clone(),
        max_parallelism: job.max_parallelism,
        assigner: AssignerName::Stable,
        key_groups,
        key: <String as HasCodec>::Codec::default().snapshot(),
        states: vec![state],
    };
    let seal = u32::from_le_bytes([0x88, 0xe2, 0x41, 0xb7]);
    let file = SharedFile { path, len_bytes: bytes.len() as u64, seal };
    let meta = SstMeta {
        level: 0,
        smallest_seqno: 1,
        largest_seqno: 2,
        entry_count: 2,
        checksum: alluvium_format::sst::checksum_of(bytes),
        smallest_key: vec![0, 1, b'a'],
        largest_key: vec![3, 1, b'z'],
    };
    let mut writer = SstIndexWriter::new(header);
    writer.sst(0, file, meta).map_err(text)?;
    let target = job.target(checkpoint);
    let (stream, identity) = target.stream(StreamKind::SstIndex, uid, SubtaskIndex::new(0));
    let finished = writer.finish(stream, &identity).map_err(text)?;
    let stream = finished.out.finish().map_err(text)?;
    Ok(KeyedStateHandle { key_groups, stream, shared: finished.shared, written: Vec::new() })
}
