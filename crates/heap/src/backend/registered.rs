//! The tables of a backend, whose types only their handles know.
//!
//! Invariants: the type noted of a table is that of the table, from its registration on.

use std::any::{Any, TypeId};

use alluvium_state::{StateError, StateKey};

use crate::Probe;
use crate::table::{AnyTable, NamespacedTable, not_loaded};

/// A table, seen once without its types and once with its namespace type only.
pub(super) struct Registered<K> {
    table: Box<dyn AnyTable<K>>,
    type_id: TypeId,
    /// [`Views`], boxed.
    namespaced: Box<dyn Any + Send + Sync>,
}

type NamespacedMut<K, N> =
    for<'t> fn(&'t mut dyn AnyTable<K>) -> Option<&'t mut dyn NamespacedTable<K, N>>;
type NamespacedRef<K, N> = for<'t> fn(&'t dyn AnyTable<K>) -> Option<&'t dyn NamespacedTable<K, N>>;

/// Both views of a table over one namespace type.
pub(super) struct Views<K, N> {
    pub(super) exclusive: NamespacedMut<K, N>,
    pub(super) shared: NamespacedRef<K, N>,
}

impl<K: 'static> Registered<K> {
    pub(super) fn new<T: AnyTable<K>, N: 'static>(table: T, views: Views<K, N>) -> Self {
        let (type_id, namespaced) = (TypeId::of::<T>(), Box::new(views));
        Self { table: Box::new(table), type_id, namespaced }
    }

    pub(super) fn table(&self) -> &dyn AnyTable<K> {
        &*self.table
    }

    pub(super) fn table_mut(&mut self) -> &mut dyn AnyTable<K> {
        &mut *self.table
    }

    /// The table, if it is of this type.
    ///
    /// [`Any`] would do the same comparison, with what a call of the table gives: written as two words and
    /// read as one pair, for which a processor waits until all before is done, in each access to state.
    /// Noting the type takes a fifth off the time of a read of millions.
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "what `Any::downcast_ref` does, with the type noted beside the table"
    )]
    pub(super) fn typed<T: AnyTable<K>>(&self) -> Option<&T> {
        let table: *const dyn AnyTable<K> = &raw const *self.table;
        // SAFETY: `type_id` is that of the value in `table`: both are set by `new`, for one `T`, and nobody
        // else can reach the fields. The pointer is that of a live borrow of `self`.
        (self.type_id == TypeId::of::<T>()).then(|| unsafe { &*table.cast::<T>() })
    }

    /// As [`Registered::typed`], to be changed.
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "what `Any::downcast_mut` does, with the type noted beside the table"
    )]
    pub(super) fn typed_mut<T: AnyTable<K>>(&mut self) -> Option<&mut T> {
        let table: *mut dyn AnyTable<K> = &raw mut *self.table;
        // SAFETY: as in `typed`; the borrow of `self` is exclusive.
        (self.type_id == TypeId::of::<T>()).then(|| unsafe { &mut *table.cast::<T>() })
    }

    pub(super) fn shared<N: StateKey>(&self) -> Option<&dyn NamespacedTable<K, N>>
    where
        K: StateKey,
    {
        let views = self.namespaced.downcast_ref::<Views<K, N>>()?;
        (views.shared)(&*self.table)
    }

    pub(super) fn remove<N: StateKey>(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
    ) -> Option<Result<(), StateError>>
    where
        K: StateKey,
    {
        let views = self.namespaced.downcast_ref::<Views<K, N>>()?;
        let table = (views.exclusive)(&mut *self.table)?;
        Some(table.remove_pair(group, probe).map_err(not_loaded))
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::{KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex};
    use alluvium_format::codec::DefaultCodec;
    use alluvium_state::{
        KeyedBackendSpec, KeyedStateBackend, MapStateDescriptor, StateBackend, ValueStateDescriptor,
    };
    use alluvium_storage::{HandleReader, ReadAccess};

    use crate::HeapStateBackend;
    use crate::table::{StateTable, TimerTable};
    use crate::user_map::UserMap;

    type Values<N, S> = StateTable<u64, N, S>;

    #[test]
    fn a_table_is_what_was_registered_and_nothing_else() {
        let storage = alluvium_storage::open("memory:registered").unwrap();
        let reader = HandleReader::new(storage, ReadAccess::Copy);
        let spec = KeyedBackendSpec {
            uid: OperatorUid::new("registered").unwrap(),
            subtask: SubtaskIndex::new(0),
            parallelism: Parallelism::new(1, MaxParallelism::new(4).unwrap()).unwrap(),
            key: DefaultCodec,
            assigner: KeyGroupAssigner::<u64>::Stable,
            hash_seed: 1,
        };
        let mut backend = HeapStateBackend::default().open(spec, &[], &reader).unwrap();
        let value = backend.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
        let map = backend.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
        value.set(&mut backend.at(&7).unwrap(), 70).unwrap();
        map.put(&mut backend.at(&7).unwrap(), 1, 2).unwrap();

        let [values, maps] = &mut backend.tables[..] else { panic!("two states") };
        assert!(values.typed::<Values<(), i64>>().is_none());
        assert!(values.typed::<Values<u64, u64>>().is_none());
        assert!(values.typed::<Values<(), UserMap<u64, u64>>>().is_none());
        assert!(values.typed_mut::<TimerTable<u64, ()>>().is_none());
        let mut found = Vec::new();
        let table = values.typed::<Values<(), u64>>().unwrap();
        table.try_for_each(|_, key, (), value| found.push((*key, *value))).unwrap();
        assert_eq!(found, [(7, 70)]);
        assert!(values.typed_mut::<Values<(), u64>>().is_some());
        let table = maps.typed_mut::<Values<(), UserMap<u64, u64>>>().unwrap();
        table.try_for_each(|_, key, (), map| found.push((*key, map.len() as u64))).unwrap();
        assert_eq!(found, [(7, 70), (7, 1)]);
    }
}
