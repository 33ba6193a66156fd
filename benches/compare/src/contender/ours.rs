//! The backends of this project: key groups, codecs, snapshots and all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_benches::cases::{Case, Done, KEY_GROUPS, Kind, Subject};
use alluvium_benches::measure::timed;
use alluvium_benches::targets::{full_target, spec_of, write};
use alluvium_core::{CheckpointId, KeyedStateHandle};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_rocksdb::{RocksDbMemory, RocksDbStateBackend};
use alluvium_state::{KeyedStateBackend, StateBackend};
use alluvium_storage::{HandleReader, LocalStorage, ReadAccess, Storage, StreamPolicy};
use tempfile::TempDir;

use super::{Contender, Freezes, Held, Secures};
use crate::stores::MEMORY_LEN_BYTES;

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "one checkpoint after the other, of state that is there";

type Keyed<S> = <S as StateBackend>::Keyed<u64, DefaultCodec>;

/// A backend with state of one kind, and a folder for its checkpoints.
pub(crate) struct Ours<S: StateBackend> {
    subject: Subject<Keyed<S>>,
    backend: S,
    kind: Kind,
    keys: u64,
    storage: Arc<dyn Storage>,
    next: CheckpointId,
    /// Of a freeze that became no checkpoint.
    frozen: Option<CheckpointId>,
    secured: Option<KeyedStateHandle>,
    /// Goes when nothing works in it any more.
    _dir: TempDir,
}

impl Ours<HeapStateBackend> {
    /// In memory.
    pub(crate) fn heap(map: StateMapKind, kind: Kind, keys: u64) -> Self {
        Self::new(|_| HeapStateBackend::new(map), kind, keys)
    }
}

impl Ours<RocksDbStateBackend> {
    /// In RocksDB.
    pub(crate) fn rocksdb(kind: Kind, keys: u64) -> Self {
        Self::new(backend_in, kind, keys)
    }
}

/// A backend on RocksDB that works in a folder, with memory of its own.
pub(crate) fn backend_in(dir: &Path) -> RocksDbStateBackend {
    let memory = RocksDbMemory::new(MEMORY_LEN_BYTES).expect("enough memory");
    RocksDbStateBackend::new(dir).memory(&memory)
}

impl<S: StateBackend> Ours<S> {
    fn new(backend: impl FnOnce(&Path) -> S, kind: Kind, keys: u64) -> Self {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let storage = LocalStorage::open(dir.path().join("checkpoints")).expect("a folder");
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let backend = backend(&dir.path().join("work"));
        let subject = Subject::new(open(&backend, &[], &storage), kind, keys, None);
        let (next, frozen, secured) = (CheckpointId::FIRST, None, None);
        Self { subject, backend, kind, keys, storage, next, frozen, secured, _dir: dir }
    }

    fn begin(&mut self) -> CheckpointId {
        let checkpoint = self.next;
        self.next = checkpoint.next();
        checkpoint
    }
}

/// The only subtask, with what handles hold.
fn open<S: StateBackend>(
    backend: &S,
    from: &[KeyedStateHandle],
    storage: &Arc<dyn Storage>,
) -> Keyed<S> {
    let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
    backend.open(spec_of::<u64>(0, 1, KEY_GROUPS), from, &reader).expect("the handles are whole")
}

impl<S: StateBackend> Contender for Ours<S> {
    fn run(&mut self, case: Case, operations: u64) -> Done {
        self.subject.run(case, operations)
    }

    fn digest(&mut self) -> u64 {
        self.subject.digest()
    }
}

impl<S: StateBackend + Clone + 'static> Freezes for Ours<S> {
    fn freeze(&mut self) -> (Duration, Held) {
        if let Some(frozen) = self.frozen.take() {
            self.subject.keyed().abort(frozen);
        }
        let checkpoint = self.begin();
        let (took, state) = timed(|| self.subject.keyed().freeze(checkpoint));
        self.frozen = Some(checkpoint);
        let state = state.expect(RIGHT_USE);
        let target = full_target(Arc::clone(&self.storage), StreamPolicy::files(), checkpoint);
        let (backend, storage) = (self.backend.clone(), Arc::clone(&self.storage));
        let (kind, keys) = (self.kind, self.keys);
        let held = move || {
            let handle = write(state, &target);
            Subject::restored(open(&backend, &[handle], &storage), kind, keys).digest()
        };
        (took, Box::new(held))
    }
}

impl<S: StateBackend> Secures for Ours<S> {
    fn secure(&mut self) -> Duration {
        let checkpoint = self.begin();
        let target = full_target(Arc::clone(&self.storage), StreamPolicy::files(), checkpoint);
        let (took, handle) = timed(|| {
            let frozen = self.subject.keyed().freeze(checkpoint).expect(RIGHT_USE);
            write(frozen, &target)
        });
        self.subject.keyed().complete(checkpoint);
        self.secured = Some(handle);
        took
    }

    fn secured_digest(&mut self) -> u64 {
        let handle = self.secured.clone().expect(RIGHT_USE);
        Subject::restored(open(&self.backend, &[handle], &self.storage), self.kind, self.keys)
            .digest()
    }
}
