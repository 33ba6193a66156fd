//! A backend as it was at a freeze, and how it becomes a checkpoint.
//!
//! Freezing switches memtables, which costs no writing, and begins to flush them. The columns are
//! held, so that they can be read after a migration has dropped them or the backend is gone.
//!
//! Invariants: frozen state reads what was there at the freeze, whatever is written afterwards.

mod full;
mod sst;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::{CheckpointId, KeyGroupRange, KeyedStateHandle, SubtaskIndex};
use alluvium_format::codec::Codec;
use alluvium_format::keyed::{HashSeedRun, KeyedHeader, StateMeta};
use alluvium_format::sst::SstIndexHeader;
use alluvium_state::{FrozenState, KeyedBackendSpec, SnapshotError, SnapshotTarget, StateKey};

use self::sst::SstSnapshot;
use crate::engine::{Column, FreezePoint};
use crate::history::{Base, History, Written};
use crate::row_expiry::{Held, RowExpiry};
use crate::row_format::RowFormat;
use crate::store::{Failure, Store};

/// A frozen state of the backend.
pub(crate) struct FrozenColumn {
    pub(crate) meta: StateMeta,
    pub(crate) format: RowFormat,
    pub(crate) column: Column,
    /// What a full snapshot leaves out. Compactions drop nothing else while it is here.
    pub(crate) held: Option<Held>,
}

impl FrozenColumn {
    /// A state at its time now.
    pub(crate) fn new(meta: &StateMeta, format: &RowFormat, column: &Column) -> Self {
        let at_its_time = |expiry: &Arc<RowExpiry>| Some(expiry.hold(expiry.ttl()?.now()));
        let held = format.expiry.as_ref().and_then(at_its_time);
        Self { meta: meta.clone(), format: format.clone(), column: column.clone(), held }
    }

    /// What a full snapshot leaves out, if it does.
    fn expired(&self) -> Option<&Held> {
        let ttl = self.format.expiry.as_ref()?.ttl()?;
        self.held.as_ref().filter(|_| ttl.cleans_full_snapshots())
    }
}

/// All frozen states, in the order of the header.
pub(crate) struct FrozenBackend {
    header: KeyedHeader,
    subtask: SubtaskIndex,
    columns: Vec<FrozenColumn>,
    point: FreezePoint,
    /// What the last confirmed checkpoint has.
    base: Arc<Base>,
    /// What this one has, once it is written.
    written: Written,
    link_dir: PathBuf,
    parallel_uploads: usize,
}

/// What a freeze needs besides the states.
pub(crate) struct Freezing<'a> {
    pub(crate) store: &'a Store,
    pub(crate) key_groups: KeyGroupRange,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) history: &'a mut History,
    pub(crate) parallel_uploads: usize,
}

impl FrozenBackend {
    /// Takes the state as it is now.
    pub(crate) fn freeze<K: StateKey, C: Codec<K>>(
        spec: &KeyedBackendSpec<K, C>,
        freezing: Freezing<'_>,
        columns: Vec<FrozenColumn>,
    ) -> Result<Self, SnapshotError> {
        const OPERATION: &str = "freeze the state";
        let Freezing { store, key_groups, checkpoint, history, parallel_uploads } = freezing;
        let header = KeyedHeader {
            uid: spec.uid.clone(),
            max_parallelism: spec.parallelism.max(),
            assigner: spec.assigner.name(),
            key_groups,
            key: spec.key.snapshot(),
            hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: spec.hash_seed }],
            states: columns.iter().map(|column| column.meta.clone()).collect(),
        };
        let frozen: Vec<&Column> = columns.iter().map(|column| &column.column).collect();
        let point =
            store.engine().freeze(&frozen).map_err(|error| Failure::new(OPERATION, error))?;
        let link_dir = store.engine().sibling_dir(&format!("checkpoint-{checkpoint}"));
        let (base, written) = history.freeze(checkpoint);
        let subtask = spec.subtask;
        Ok(Self { header, subtask, columns, point, base, written, link_dir, parallel_uploads })
    }
}

impl FrozenState for FrozenBackend {
    fn write(
        self: Box<Self>,
        target: &SnapshotTarget,
    ) -> Result<Option<KeyedStateHandle>, SnapshotError> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        if !target.is_native() {
            return self.write_full(target).map(Some);
        }
        let Self { header, subtask, point, base, written, link_dir, parallel_uploads, .. } = *self;
        let KeyedHeader { uid, max_parallelism, assigner, key_groups, key, states, .. } = header;
        let header = SstIndexHeader { uid, max_parallelism, assigner, key_groups, key, states };
        let nothing = Base::default();
        let base = if target.refers_to_earlier() { &*base } else { &nothing };
        let link_dir = link_dir.as_path();
        let snapshot = SstSnapshot { header, subtask, base, link_dir, parallel_uploads };
        let (handle, has) = snapshot.write(point, target)?;
        // 1. A savepoint is taken, and somebody who is allowed to deletes it;
        // 2. a later checkpoint refers to its files, and cannot be restored (FLINK-23949).
        if target.is_incremental() {
            // Nobody else sets it.
            let _ = written.set(Arc::new(has));
        }
        Ok(Some(handle))
    }
}
