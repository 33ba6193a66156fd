//! Dropping restored state that nobody has registered.
//!
//! A state that is made anew under the name must not meet the blocks of the dropped one, so the name
//! goes out of the base, and out of each base that was frozen before.

use std::sync::Arc;

use alluvium_format::codec::Codec;
use alluvium_state::{StateError, StateKey};

use super::HeapKeyedStateBackend;
use crate::base::Base;

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    pub(super) fn drop_restored(&mut self, name: &str) -> Result<bool, StateError> {
        if self.tables.iter().any(|registered| registered.table().meta().name == name) {
            return Err(StateError::Registered { name: name.to_owned() });
        }
        if self.restored.remove(name).is_none() {
            return Ok(false);
        }
        self.dropped.push((name.to_owned(), self.moment.now));
        self.base = self.base.take().map(|base| self.without_dropped(&base));
        // Nothing that is frozen from now on has it.
        let oldest = self.pending.first().map(|pending| pending.epoch);
        self.dropped.retain(|(_, when)| oldest.is_some_and(|oldest| oldest < *when));
        Ok(true)
    }

    /// A base without what was dropped after it was frozen.
    pub(super) fn without_dropped(&self, base: &Arc<Base>) -> Arc<Base> {
        let mut names = self.dropped.iter().filter(|(_, when)| *when > base.epoch).peekable();
        if names.peek().is_none() {
            return Arc::clone(base);
        }
        let mut base = Base::clone(base);
        names.for_each(|(name, _)| drop(base.states.remove(name)));
        Arc::new(base)
    }
}
