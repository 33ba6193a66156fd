//! Timer services.

use alluvium_core::KeyGroup;

use super::adapter::{Adapter, Handle};
use super::{DynAt, DynState, Encoded};
use crate::{KeyedStateBackend, StateError, TimeDomain};

/// A timer that was taken, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynTimer {
    /// Its time, in milliseconds.
    pub time_ms: i64,
    /// The key group of its key.
    pub key_group: KeyGroup,
    /// Its key.
    pub key: Vec<u8>,
    /// Its namespace.
    pub namespace: Vec<u8>,
}

/// What a [`DynKeyedState`](super::DynKeyedState) does with timers; errors are said there.
pub trait DynTimers {
    /// Registers a timer and says whether it is new.
    fn timer_register(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError>;

    /// Deletes a timer and says whether there was one.
    fn timer_delete(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError>;

    /// The time of the earliest timer of a domain, in milliseconds.
    fn next_timer_ms(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError>;

    /// Takes the earliest timer of a domain if its time is `up_to_ms` or before.
    fn pop_timer(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<DynTimer>, StateError>;
}

impl<B: KeyedStateBackend<Key = Encoded>> DynTimers for Adapter<B> {
    fn timer_register(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (timers, mut at) = self.open(timers, at, Handle::timers)?;
        timers.register(&mut at, domain, time_ms)
    }

    fn timer_delete(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (timers, mut at) = self.open(timers, at, Handle::timers)?;
        timers.delete(&mut at, domain, time_ms)
    }

    fn next_timer_ms(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError> {
        let timers = self.handle(timers, Handle::timers)?;
        self.backend.next_timer_ms(timers, domain)
    }

    fn pop_timer(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<DynTimer>, StateError> {
        let timers = self.handle(timers, Handle::timers)?;
        let timer = self.backend.pop_timer(timers, domain, up_to_ms)?;
        Ok(timer.map(|timer| DynTimer {
            time_ms: timer.time_ms,
            key_group: timer.key_group,
            key: timer.key.0,
            namespace: timer.namespace.0,
        }))
    }
}
