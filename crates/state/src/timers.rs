//! Timers: a key and a namespace are called back at a time.
//!
//! A *timer service* is registered like a state, and is stored and rescaled like one. Functions
//! register and delete timers at a key and namespace, through the handle [`Timers`]. Engines fire
//! them: when a watermark or a clock has come to a time, they take timers with
//! [`KeyedStateBackend::pop_timer`](crate::KeyedStateBackend::pop_timer) until there is none, and
//! call the function for each.
//!
//! Invariants:
//! - there is at most one timer for a domain, a time, a key and a namespace in a service;
//! - timers of a domain come in the order of time, then of the encoded key, then of the encoded
//!   namespace, compared as unsigned bytes: the same on all backends;
//! - a timer that was taken is gone, and comes again only when it is registered again or when an
//!   older checkpoint is restored.
//!
//! Source: Flink `InternalTimerService`; SPEC 6.3.

use std::fmt;
use std::marker::PhantomData;

use alluvium_core::KeyGroup;
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
pub use alluvium_format::keyed::TimeDomain;

use crate::{KeyContext, StateError, StateId, StateKey, StateRef};

/// Describes a timer service, [`Timers`].
#[derive(Clone)]
pub struct TimerDescriptor<N = (), NC = DefaultCodec> {
    /// Name under which the timers are stored; services and states share their names.
    pub name: String,
    /// Codec of the namespaces.
    pub namespace: NC,
    types: PhantomData<fn() -> N>,
}

impl TimerDescriptor {
    /// A service of timers without namespaces.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: DefaultCodec, types: PhantomData }
    }
}

impl<NC> TimerDescriptor<(), NC> {
    /// Gives the timers namespaces of a type with a codec of its own.
    #[must_use]
    pub fn namespaced<N: StateKey + HasCodec>(self) -> TimerDescriptor<N, DefaultCodec> {
        self.namespaced_with(DefaultCodec)
    }

    /// Gives the timers namespaces written by a codec.
    #[must_use]
    pub fn namespaced_with<N: StateKey, NC2: Codec<N>>(
        self,
        namespace: NC2,
    ) -> TimerDescriptor<N, NC2> {
        TimerDescriptor { name: self.name, namespace, types: PhantomData }
    }
}

impl<N, NC> fmt::Debug for TimerDescriptor<N, NC> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimerDescriptor({:?})", self.name)
    }
}

/// A timer service of a backend.
///
/// As a [`StateRef`] it holds, at a key and namespace, the timers of both domains: clearing it
/// deletes them all. No backend orders timers by key, so that goes through all timers of the key
/// group; whoever knows the times deletes timers one by one.
///
/// Source: Flink `InternalTimerService`.
pub struct Timers<N = ()> {
    id: StateId,
    types: PhantomData<fn() -> N>,
}

impl<N> Timers<N> {
    /// Made by a backend when a service is registered.
    pub const fn new(id: StateId) -> Self {
        Self { id, types: PhantomData }
    }
}

impl<N: StateKey> Timers<N> {
    /// Registers a timer and says whether it is new; one that is there already stays as it is. A
    /// time that has passed is allowed: the timer fires next.
    ///
    /// Units: milliseconds.
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    pub fn register<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        at.timer_register(self, domain, time_ms)
    }

    /// Deletes a timer and says whether there was one.
    pub fn delete<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        at.timer_delete(self, domain, time_ms)
    }

    /// Deletes all timers of the key and namespace, in both domains. It goes through all timers of
    /// the key group.
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        at.clear(self)
    }
}

impl<N> Clone for Timers<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Timers<N> {}

impl<N> fmt::Debug for Timers<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timers({}.{})", self.id.backend(), self.id.index())
    }
}

impl<N: StateKey> StateRef for Timers<N> {
    type Namespace = N;

    fn id(self) -> StateId {
        self.id
    }
}

/// A timer that fires.
///
/// Source: Flink `InternalTimer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer<K, N> {
    /// The time that it was registered for, in milliseconds.
    pub time_ms: i64,
    /// The key group of the key.
    pub key_group: KeyGroup,
    /// The key.
    pub key: K,
    /// The namespace.
    pub namespace: N,
}
