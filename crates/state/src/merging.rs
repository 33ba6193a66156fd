//! Merging the content of several namespaces into one, as session windows do.
//!
//! [`KeyedStateBackend::merge_namespaces`](crate::KeyedStateBackend::merge_namespaces) takes what the
//! sources hold, one after the other, and then puts it into the target. [`MergingState`] says of each
//! kind of state what taking and putting are.
//!
//! Invariants: a source is empty once it was taken, so one that is named twice counts once.
//!
//! Source: Flink `InternalMergingState`, `AbstractHeapMergingState`.

use crate::{
    AggregateFunction, AggregatingState, KeyContext, ListState, ReducingState, Ref, StateError,
    StateKey, StateRef, StateValue,
};

mod sealed {
    /// Keeps [`super::MergingState`] to this crate.
    pub trait Sealed {}
}

/// A state whose content under several namespaces can become one: lists, reducing and aggregating
/// states.
pub trait MergingState: StateRef + sealed::Sealed {
    /// What one namespace holds.
    type Content;

    /// Takes what a namespace holds and leaves it empty; `merged`, from namespaces before it, comes
    /// first.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    fn take_merged<C: KeyContext<Namespace = Self::Namespace>>(
        self,
        at: &mut C,
        merged: Option<Self::Content>,
    ) -> Result<Option<Self::Content>, StateError>;

    /// Puts what was merged behind what a namespace holds; nothing, if there is nothing.
    ///
    /// Errors: [`StateError::ForeignHandle`], also if there is nothing.
    fn put_merged<C: KeyContext<Namespace = Self::Namespace>>(
        self,
        at: &mut C,
        merged: Option<Self::Content>,
    ) -> Result<(), StateError>;
}

impl<T: StateValue, N: StateKey> sealed::Sealed for ListState<T, N> {}
impl<T: StateValue, N: StateKey> sealed::Sealed for ReducingState<T, N> {}
impl<A: AggregateFunction, N: StateKey> sealed::Sealed for AggregatingState<A, N> {}

/// Lists are appended, in the order of the sources.
impl<T: StateValue, N: StateKey> MergingState for ListState<T, N> {
    type Content = Vec<T>;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Vec<T>>,
    ) -> Result<Option<Vec<T>>, StateError> {
        let mut all = merged.unwrap_or_default();
        let before = all.len();
        for element in at.list_iter(self)? {
            all.push(element?.into_owned());
        }
        if all.len() > before {
            at.clear(self)?;
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Vec<T>>,
    ) -> Result<(), StateError> {
        at.list_add_all(self, merged.into_iter().flatten())
    }
}

/// `reduce(merged, source)` for each source in order, then `reduce(target, merged)`.
impl<T: StateValue, N: StateKey> MergingState for ReducingState<T, N> {
    type Content = T;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<T>,
    ) -> Result<Option<T>, StateError> {
        let Some(value) = at.reducing_get(self)?.map(Ref::into_owned) else { return Ok(merged) };
        let reduce = at.reducing_function(self)?;
        at.clear(self)?;
        Ok(Some(match merged {
            None => value,
            Some(mut merged) => {
                reduce(&mut merged, value);
                merged
            }
        }))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<T>,
    ) -> Result<(), StateError> {
        match merged {
            Some(merged) => at.reducing_add(self, merged),
            None => at.reducing_function(self).map(drop),
        }
    }
}

/// `merge(merged, source)` for each source in order, then `merge(target, merged)`.
impl<A: AggregateFunction, N: StateKey> MergingState for AggregatingState<A, N> {
    type Content = A::Accumulator;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<A::Accumulator>,
    ) -> Result<Option<A::Accumulator>, StateError> {
        let found = at.aggregating_accumulator(self)?.map(Ref::into_owned);
        let Some(accumulator) = found else { return Ok(merged) };
        let merged = match merged {
            None => accumulator,
            Some(mut merged) => {
                at.aggregating_function(self)?.merge(&mut merged, &accumulator);
                merged
            }
        };
        at.clear(self)?;
        Ok(Some(merged))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<A::Accumulator>,
    ) -> Result<(), StateError> {
        match merged {
            Some(merged) => at.aggregating_merge(self, merged),
            None => at.aggregating_function(self).map(drop),
        }
    }
}
