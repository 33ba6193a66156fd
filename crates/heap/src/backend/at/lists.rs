//! What the list methods of a key share.

use alluvium_format::codec::Codec;
use alluvium_state::{StateError, StateId, StateKey, StateValue};

use super::HeapAt;
use crate::shared_list::SharedList;

impl<K: StateKey, C: Codec<K>, N: StateKey> HeapAt<'_, K, C, N> {
    /// Takes something off a list, which goes with its last element.
    pub(super) fn cut_list<T: StateValue, R>(
        &mut self,
        id: StateId,
        cut: impl FnOnce(&mut SharedList<T>) -> R,
    ) -> Result<Option<R>, StateError> {
        let group = self.group;
        self.with_table::<SharedList<T>, _>(id, |table, probe| {
            let Some(list) = table.get_mut(group, probe)? else { return Ok(None) };
            let result = cut(list);
            if list.is_empty() {
                table.remove(group, probe)?;
            }
            Ok(Some(result))
        })
    }
}

/// A position or a number of elements; those above the address space are above every list.
pub(super) fn index_of(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
