//! States with a time to live: what reads left behind, and clean-up while the job works.

use alluvium_format::codec::Codec;
use alluvium_state::ttl::{LeftBehind, TtlMoment};
use alluvium_state::{StateError, StateId, StateKey};

use super::HeapKeyedStateBackend;
use crate::table::not_loaded;

/// What a backend with such states keeps.
pub(super) struct TtlWork<B> {
    /// Whether there is such a state; everything else is empty if not.
    pub(super) is_on: bool,
    pub(super) left: LeftBehind<B>,
    /// Positions of the tables that are cleaned up while the job works.
    swept: Vec<usize>,
    /// Whose turn it is.
    turn: usize,
}

impl<B> Default for TtlWork<B> {
    fn default() -> Self {
        Self { is_on: false, left: LeftBehind::default(), swept: Vec::new(), turn: 0 }
    }
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    /// Takes note of the table that was registered last.
    pub(super) fn note_ttl(&mut self) {
        let ttl = self.tables.last().and_then(|registered| registered.table().ttl());
        let Some(ttl) = ttl else { return };
        self.ttl.is_on = true;
        if ttl.incremental_entries() > 0 {
            self.ttl.swept.push(self.tables.len() - 1);
        }
    }

    /// The rules of a state at its time.
    pub(super) fn ttl_of(&self, state: StateId) -> Result<TtlMoment, StateError> {
        let ttl = self.registered(state)?.table().ttl().ok_or(StateError::ForeignHandle)?;
        Ok(self.ttl.left.time_of(state).map_or_else(|| ttl.now(), |now_ms| ttl.at(now_ms)))
    }

    /// Does what reads have left behind.
    #[inline]
    pub(super) fn settle(&mut self) -> Result<(), StateError> {
        if self.ttl.left.is_empty() {
            return Ok(());
        }
        LeftBehind::settle(self, |backend| &mut backend.ttl.left)
    }

    /// What is due whenever a key is opened.
    #[inline(never)]
    pub(super) fn settle_and_sweep(&mut self) -> Result<(), StateError> {
        self.settle()?;
        let Some(index) = self.ttl.swept.get(self.ttl.turn).copied() else { return Ok(()) };
        self.ttl.turn = (self.ttl.turn + 1) % self.ttl.swept.len();
        let Some(registered) = self.tables.get_mut(index) else { return Ok(()) };
        registered.table_mut().sweep(&self.hashers).map_err(not_loaded)
    }
}
