//! Backends as an engine makes them.

use std::sync::Arc;

use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_state::{KeyedBackendSpec, StateBackend, StateKey};
use alluvium_storage::{HandleReader, ReadAccess};

pub(crate) use alluvium_benches::targets::{
    ACCESS_SEED, HASH_SEED, IN_MEMORY, full_target, incremental_target, max_parallelism, write,
};

use crate::null_storage::NullStorage;

/// Key groups of the only subtask.
pub(crate) const KEY_GROUPS: u32 = 128;

/// The only subtask of an operator.
pub(crate) fn spec<K: StateKey + HasCodec>(key_groups: u32) -> KeyedBackendSpec<K, DefaultCodec> {
    alluvium_benches::targets::spec_of(0, 1, key_groups)
}

/// An empty heap backend.
pub(crate) fn heap<K: StateKey + HasCodec>(
    key_groups: u32,
) -> HeapKeyedStateBackend<K, DefaultCodec> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let opened = HeapStateBackend::default().open(spec(key_groups), &[], &nowhere);
    opened.expect("nothing to restore")
}
