//! Reading many keys at once, for engines that process records in batches.

use alluvium_format::codec::Codec;
use alluvium_state::{
    KeyedStateBackend, Ref, StateError, StateKey, StateRef, StateValue, ValueState,
};

use super::RocksDbKeyedStateBackend;
use super::table::Values;

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    /// The values of many keys under one namespace, in the order of the keys. RocksDB looks them
    /// up in the order of its rows, so that keys which share a file or a block share its look-up.
    /// What is still in a memtable is not found any faster than by single reads.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`], [`StateError::ForeignHandle`],
    /// [`StateError::Key`], [`StateError::Decode`], [`StateError::Engine`].
    ///
    /// ```
    /// # use alluvium_core::{
    /// #     KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
    /// # };
    /// # use alluvium_format::codec::DefaultCodec;
    /// # use alluvium_rocksdb::RocksDbStateBackend;
    /// # use alluvium_state::{
    /// #     KeyedBackendSpec, KeyedStateBackend, StateBackend, ValueStateDescriptor,
    /// # };
    /// # use alluvium_storage::{HandleReader, ReadAccess};
    /// # let reader = HandleReader::new(alluvium_storage::open("memory:multi")?, ReadAccess::Copy);
    /// # let spec = KeyedBackendSpec {
    /// #     uid: OperatorUid::new("count")?,
    /// #     subtask: SubtaskIndex::new(0),
    /// #     parallelism: Parallelism::new(1, MaxParallelism::new(128)?)?,
    /// #     key: DefaultCodec,
    /// #     assigner: KeyGroupAssigner::<u64>::Stable,
    /// #     hash_seed: 42,
    /// # };
    /// # let work = tempfile::tempdir()?;
    /// # let mut backend = RocksDbStateBackend::new(work.path()).open(spec, &[], &reader)?;
    /// let squares = backend.value_state(ValueStateDescriptor::<u64>::new("square"))?;
    /// for key in 0..10_u64 {
    ///     squares.set(&mut backend.at(&key)?, key * key)?;
    /// }
    /// let found = backend.multi_get(squares, &[3, 100, 7], &())?;
    /// assert_eq!(found, [Some(9), None, Some(49)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multi_get<T: StateValue, N: StateKey>(
        &mut self,
        state: ValueState<T, N>,
        keys: &[K],
        namespace: &N,
    ) -> Result<Vec<Option<T>>, StateError> {
        if state.id().has_ttl() {
            let one = |key| {
                let at = self.at_namespace(key, namespace)?;
                Ok(state.get(&at)?.map(Ref::into_owned))
            };
            return keys.iter().map(one).collect();
        }
        // All rows lie in one buffer: where each begins and ends, and whose it is.
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(keys.len()));
        for (position, key) in keys.iter().enumerate() {
            let key_group = self.assign_key(key)?;
            self.open_key_group(key_group)?;
            let start = bytes.len();
            bytes.extend_from_slice(&self.key);
            self.table(state.id())?.put_namespace(namespace, &mut bytes)?;
            places.push((start..bytes.len(), position));
        }
        let row = |place: &std::ops::Range<usize>| bytes.get(place.clone()).unwrap_or_default();
        places.sort_by(|(one, _), (other, _)| row(one).cmp(row(other)));
        let table = self.table(state.id())?;
        let codec = &*table.content::<Values<T>>()?.0;
        let found = self.store.get_sorted(&table.column, places.iter().map(|(it, _)| row(it)))?;
        let mut values = Vec::new();
        values.resize_with(keys.len(), || None);
        for ((_, position), found) in places.iter().zip(found) {
            let value = found.map(|bytes| table.decode(codec, &bytes)).transpose()?;
            if let Some(place) = values.get_mut(*position) {
                *place = value;
            }
        }
        Ok(values)
    }
}
