//! The tables of a backend, whose types only their handles know.

use alluvium_state::{StateError, StateKey};

use crate::Probe;
use crate::table::{AnyTable, NamespacedTable, not_loaded};

/// A table, seen once without its types and once with its namespace type only.
pub(super) struct Registered<K> {
    pub(super) table: Box<dyn AnyTable<K>>,
    /// `fn(&mut dyn AnyTable<K>) -> Option<&mut dyn NamespacedTable<K, N>>`, boxed.
    pub(super) namespaced: Box<dyn std::any::Any + Send + Sync>,
}

type NamespacedMut<K, N> =
    for<'t> fn(&'t mut dyn AnyTable<K>) -> Option<&'t mut dyn NamespacedTable<K, N>>;
type NamespacedRef<K, N> = for<'t> fn(&'t dyn AnyTable<K>) -> Option<&'t dyn NamespacedTable<K, N>>;

/// Both views of a table over one namespace type.
pub(super) struct Views<K, N> {
    pub(super) exclusive: NamespacedMut<K, N>,
    pub(super) shared: NamespacedRef<K, N>,
}

impl<K> Registered<K> {
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
