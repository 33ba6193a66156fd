//! Reading many keys at once, for engines that process records in batches.
//!
//! Keys are taken in rounds, and each round in two steps: first where each key would be, then what is there.
//! So little lies between the cache misses of two keys that a processor waits for many of them at a time,
//! which single reads do not let it do.

use alluvium_core::KeyGroup;
use alluvium_format::codec::Codec;
use alluvium_state::{KeyedStateBackend, StateError, StateKey, StateRef, StateValue, ValueState};
use hashbrown::HashTable;

use super::HeapKeyedStateBackend;
use crate::Probe;
use crate::map::StateMap;
use crate::slot::Slot;
use crate::table::{CopyOnWriteTable, Maps, ROUND, StateTable, not_loaded};

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    /// Visits the values of many keys under one namespace: each with its position among the keys, in their
    /// order. About twice as fast as single reads where the state is larger than the caches. What was
    /// visited is in the caches then, so writes to the same keys are faster after it, too.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`], [`StateError::ForeignHandle`]; those of reading what is
    /// restored lazily. Values before the error may have been visited.
    ///
    /// ```
    /// # use alluvium_core::{
    /// #     KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
    /// # };
    /// # use alluvium_format::codec::DefaultCodec;
    /// # use alluvium_heap::HeapStateBackend;
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
    /// # let mut backend = HeapStateBackend::default().open(spec, &[], &reader)?;
    /// let squares = backend.value_state(ValueStateDescriptor::<u64>::new("square"))?;
    /// for key in 0..10_u64 {
    ///     squares.set(&mut backend.at(&key)?, key * key)?;
    /// }
    /// // An engine has the key group of each record from routing it.
    /// let mut records = Vec::new();
    /// for key in [3_u64, 100, 7] {
    ///     records.push((backend.key_group_of(&key)?, key));
    /// }
    /// let mut found = Vec::new();
    /// let keys = records.iter().map(|(group, key)| (*group, key));
    /// backend.multi_get(squares, keys, &(), |_, square| found.push(square.copied()))?;
    /// assert_eq!(found, [Some(9), None, Some(49)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multi_get<'k, T: StateValue, N: StateKey>(
        &mut self,
        state: ValueState<T, N>,
        keys: impl IntoIterator<Item = (KeyGroup, &'k K)>,
        namespace: &N,
        mut visit: impl FnMut(usize, Option<&T>),
    ) -> Result<(), StateError> {
        if self.ttl.is_on {
            // Values may have expired, and idle ones are cleaned up with every key that is opened.
            for (position, (key_group, key)) in keys.into_iter().enumerate() {
                let at = self.at_key_group(key_group, key, namespace)?;
                visit(position, state.get(&at)?.as_deref());
            }
            return Ok(());
        }
        let table = self.registered(state.id())?.typed::<StateTable<K, N, T>>();
        let (mut keys, mut begin) = (keys.into_iter(), 0);
        let Some(table) = table else { return Err(StateError::ForeignHandle) };
        loop {
            // Positions of key groups, and keys.
            let mut round = [None; ROUND];
            let mut count = 0;
            for (place, (key_group, key)) in round.iter_mut().zip(&mut keys) {
                let group = self.key_groups.offset_of(key_group);
                let Some(hasher) = self.hashers.get(group) else {
                    return Err(self.foreign(key_group));
                };
                *place = Some((group, hasher.hash_pair(key, namespace), key));
                count += 1;
            }
            match &table.maps {
                Maps::Inline(table) => table.visit(&round, begin, namespace, &mut visit)?,
                Maps::Shared(table) => table.visit(&round, begin, namespace, &mut visit)?,
                Maps::Nested(maps, _) => {
                    for (position, (group, hash, key)) in (begin..).zip(round.iter().flatten()) {
                        let (hash, hasher) = (*hash, self.hasher(*group));
                        let probe = Probe { hash, key: *key, namespace, hasher };
                        visit(position, maps.get(*group).and_then(|map| map.get(&probe)));
                    }
                }
            }
            begin += count;
            if count < ROUND {
                return Ok(());
            }
        }
    }
}

/// The position of a key group, the hash of a key and namespace, and the key.
type Wanted<'k, K> = Option<(usize, u64, &'k K)>;

impl<E: Slot> CopyOnWriteTable<E>
where
    E::Key: StateKey,
    E::Namespace: StateKey,
{
    /// Visits the states of the keys of a round, whose positions begin at `begin`.
    fn visit(
        &self,
        round: &[Wanted<'_, E::Key>; ROUND],
        begin: usize,
        namespace: &E::Namespace,
        visit: &mut impl FnMut(usize, Option<&E::State>),
    ) -> Result<(), StateError> {
        let mut tables: [Option<&HashTable<E>>; ROUND] = [None; ROUND];
        for (place, wanted) in tables.iter_mut().zip(round) {
            if let Some((group, hash, _)) = wanted
                && let Some(map) = self.groups.map(*group)
            {
                *place = map.table_of(*hash).map_err(not_loaded)?;
            }
        }
        for (position, (table, wanted)) in (begin..).zip(tables.iter().zip(round)) {
            let Some((_, hash, key)) = wanted else { break };
            let same = |entry: &E| entry.key() == *key && entry.namespace() == namespace;
            let found = table.and_then(|table| table.find(*hash, same));
            visit(position, found.map(E::state));
        }
        Ok(())
    }
}
