//! Handles: which state of which backend, with the types in the handle's own type.
//!
//! Invariants: handles are `Copy` and hold no state; a handle works only with the backend that
//! made it.

mod list;
mod sorted_map;

pub use list::ListLayout;
pub use sorted_map::{ScanOrder, is_empty_range};

use std::fmt;
use std::marker::PhantomData;

use crate::ttl::access;
use crate::{
    AggregateFunction, Elements, Entries, KeyContext, Ref, StateError, StateKey, StateValue,
};

/// Which state of which backend.
///
/// Two numbers of 32 bits: a third field, and each access to a state would pack and unpack them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateId {
    backend: u32,
    /// The position in the lower 16 bits, [`HAS_TTL`] above.
    state: u32,
}

/// Whether the values of a state have stamps, because it has a time to live.
const HAS_TTL: u32 = 1 << 31;

impl StateId {
    /// The state at a position of a backend, whose number is unique in the process.
    pub const fn new(backend: u32, index: u16) -> Self {
        Self { backend, state: index as u32 }
    }

    /// Number of the backend, unique in the process.
    #[inline]
    pub const fn backend(self) -> u32 {
        self.backend
    }

    /// Position of the state in the backend.
    #[inline]
    pub const fn index(self) -> usize {
        (self.state & !HAS_TTL) as usize
    }

    /// Whether its values have stamps, because it has a time to live.
    #[inline]
    pub const fn has_ttl(self) -> bool {
        self.state & HAS_TTL != 0
    }

    /// The same state, with stamps.
    #[must_use]
    pub const fn with_ttl(self) -> Self {
        Self { state: self.state | HAS_TTL, ..self }
    }
}

/// A handle of any kind of keyed state.
pub trait StateRef: Copy {
    /// The type of its namespaces.
    type Namespace: StateKey;

    /// Which state it is.
    fn id(self) -> StateId;
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($param:ident),+> $(where $bound:ident: $trait:path)?) => {
        $(#[$doc])*
        pub struct $name<$($param,)+ N = ()> {
            id: StateId,
            types: PhantomData<fn() -> ($($param,)+ N)>,
        }

        impl<$($param,)+ N> $name<$($param,)+ N> {
            /// Made by a backend when a state is registered.
            pub const fn new(id: StateId) -> Self {
                Self { id, types: PhantomData }
            }
        }

        impl<$($param,)+ N> Clone for $name<$($param,)+ N> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param,)+ N> Copy for $name<$($param,)+ N> {}

        impl<$($param,)+ N> fmt::Debug for $name<$($param,)+ N> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}.{})"), self.id.backend(), self.id.index())
            }
        }

        impl<$($param,)+ N: StateKey> StateRef for $name<$($param,)+ N> {
            type Namespace = N;

            fn id(self) -> StateId {
                self.id
            }
        }
    };
}

handle!(
    /// One value per key and namespace.
    ///
    /// Source: Flink `ValueState`.
    ValueState<T>
);
handle!(
    /// A list of elements per key and namespace.
    ///
    /// Source: Flink `ListState`.
    ListState<T>
);
handle!(
    /// A map per key and namespace.
    ///
    /// Source: Flink `MapState`.
    MapState<UK, UV>
);
handle!(
    /// A map per key and namespace whose entries are in the order of their user keys.
    ///
    /// Source: Flink FLIP-220 `BinarySortedState` for what it is for.
    SortedMapState<UK, UV>
);
handle!(
    /// One value per key and namespace that every added value is reduced into.
    ///
    /// Source: Flink `ReducingState`.
    ReducingState<T>
);
handle!(
    /// An accumulator per key and namespace.
    ///
    /// Source: Flink `AggregatingState`.
    AggregatingState<A>
);

impl<T: StateValue, N: StateKey> ValueState<T, N> {
    /// The value; `None` when there is none.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn get<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        if self.id.has_ttl() {
            return access::value_get(self, at);
        }
        at.value_get(self)
    }

    /// Replaces the value.
    #[inline]
    pub fn set<C: KeyContext<Namespace = N>>(self, at: &mut C, value: T) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::value_set(self, at, value);
        }
        at.value_set(self, value)
    }

    /// Changes the value in place, beginning with the default when there is none.
    #[inline]
    pub fn update<C: KeyContext<Namespace = N>, R>(
        self,
        at: &mut C,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError>
    where
        T: Default,
    {
        self.update_or_insert_with(at, T::default, change)
    }

    /// Changes the value in place, beginning with `initial` when there is none.
    #[inline]
    pub fn update_or_insert_with<C: KeyContext<Namespace = N>, R>(
        self,
        at: &mut C,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError> {
        if self.id.has_ttl() {
            return access::value_update(self, at, initial, change);
        }
        at.value_update(self, initial, change)
    }

    /// Removes the value.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}

impl<T: StateValue, N: StateKey> ListState<T, N> {
    /// The elements in order; none when there is no list.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn elements<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Elements<'_, T>, StateError> {
        if self.id.has_ttl() {
            return access::list_elements(self, at);
        }
        at.list_iter(self)
    }

    /// Appends an element.
    #[inline]
    pub fn add<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        element: T,
    ) -> Result<(), StateError> {
        self.add_all(at, std::iter::once(element))
    }

    /// Appends elements.
    #[inline]
    pub fn add_all<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::list_add_all(self, at, elements.into_iter());
        }
        at.list_add_all(self, elements.into_iter())
    }

    /// Replaces the list; an empty one is the same as none.
    #[inline]
    pub fn set<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::list_set(self, at, elements);
        }
        at.list_set(self, elements)
    }

    /// Removes the list.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}

impl<UK: StateKey, UV: StateValue, N: StateKey> MapState<UK, UV, N> {
    /// The value of a user key.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn get<'c, C: KeyContext<Namespace = N>>(
        self,
        at: &'c C,
        user_key: &UK,
    ) -> Result<Option<Ref<'c, UV>>, StateError> {
        if self.id.has_ttl() {
            return access::map_get(self, at, user_key);
        }
        at.map_get(self, user_key)
    }

    /// Sets the value of a user key.
    #[inline]
    pub fn put<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::map_put(self, at, user_key, value);
        }
        at.map_put(self, user_key, value)
    }

    /// Sets the values of many user keys; where one comes twice, its last value counts. Costs less than
    /// [`put`](Self::put) for each. After an error some may be set. Source: Flink `MapState.putAll`.
    #[inline]
    pub fn put_all<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::map_put_all(self, at, entries.into_iter());
        }
        at.map_put_all(self, entries.into_iter())
    }

    /// Changes the value of a user key in place, beginning with the default when there is none.
    #[inline]
    pub fn update<C: KeyContext<Namespace = N>, R>(
        self,
        at: &mut C,
        user_key: UK,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>
    where
        UV: Default,
    {
        if self.id.has_ttl() {
            return access::map_update(self, at, user_key, UV::default, change);
        }
        at.map_update(self, user_key, UV::default, change)
    }

    /// Removes a user key.
    #[inline]
    pub fn remove<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        user_key: &UK,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::map_remove(self, at, user_key);
        }
        at.map_remove(self, user_key)
    }

    /// Whether a user key is there.
    #[inline]
    pub fn contains<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
        user_key: &UK,
    ) -> Result<bool, StateError> {
        Ok(self.get(at, user_key)?.is_some())
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty<C: KeyContext<Namespace = N>>(self, at: &C) -> Result<bool, StateError> {
        if self.id.has_ttl() {
            return access::map_is_empty(self, at);
        }
        Ok(at.map_entries(self)?.next().transpose()?.is_none())
    }

    /// The entries, in no order.
    #[inline]
    pub fn entries<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        if self.id.has_ttl() {
            return access::map_entries(self, at);
        }
        at.map_entries(self)
    }

    /// The user keys, in no order.
    #[inline]
    pub fn keys<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Elements<'_, UK>, StateError> {
        let entries = self.entries(at)?;
        Ok(Elements::new(entries.map(|entry| entry.map(|(key, _)| key))))
    }

    /// The values, in no order.
    #[inline]
    pub fn values<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Elements<'_, UV>, StateError> {
        let entries = self.entries(at)?;
        Ok(Elements::new(entries.map(|entry| entry.map(|(_, value)| value))))
    }

    /// Removes all entries.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}

impl<T: StateValue, N: StateKey> ReducingState<T, N> {
    /// What all added values were reduced to; `None` when none was added.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn get<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        if self.id.has_ttl() {
            return access::reducing_get(self, at);
        }
        at.reducing_get(self)
    }

    /// Reduces a value into the state.
    #[inline]
    pub fn add<C: KeyContext<Namespace = N>>(self, at: &mut C, value: T) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::reducing_add(self, at, value);
        }
        at.reducing_add(self, value)
    }

    /// Removes the value.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}

impl<A: AggregateFunction, N: StateKey> AggregatingState<A, N> {
    /// The result of all added inputs; `None` when none was added.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn get<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Option<A::Output>, StateError> {
        if self.id.has_ttl() {
            return access::aggregating_get(self, at);
        }
        at.aggregating_get(self)
    }

    /// Adds an input.
    #[inline]
    pub fn add<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        input: A::Input,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return access::aggregating_add(self, at, input);
        }
        at.aggregating_add(self, input)
    }

    /// Removes the accumulator.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}
