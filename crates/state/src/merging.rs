//! Merging the content of several namespaces into one, as session windows do.
//!
//! [`KeyedStateBackend::merge_namespaces`](crate::KeyedStateBackend::merge_namespaces) takes what the
//! sources hold, one after the other, and then puts it into the target. [`MergingState`] says of each
//! kind of state what taking and putting are.
//!
//! Invariants: a source is empty once it was taken, so one that is named twice counts once.
//!
//! Source: Flink `InternalMergingState`, `AbstractHeapMergingState`.

use crate::ttl::{Stamped, access};
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

/// Lists are appended, in the order of the sources; elements keep the stamps that they have.
impl<T: StateValue, N: StateKey> MergingState for ListState<T, N> {
    /// Stamps are 0 where there is no time to live.
    type Content = Vec<Stamped<T>>;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Vec<Stamped<T>>>,
    ) -> Result<Option<Vec<Stamped<T>>>, StateError> {
        let mut all = merged.unwrap_or_default();
        let mut is_empty = true;
        if self.id().has_ttl() {
            let moment = access::for_change(at, self)?;
            for element in at.list_iter(access::stamped_list(self))? {
                let stamped = element?;
                is_empty = false;
                if moment.is_visible(stamped.stamp_ms) {
                    all.push(stamped.into_owned());
                }
            }
        } else {
            for element in at.list_iter(self)? {
                all.push(Stamped { stamp_ms: 0, value: element?.into_owned() });
                is_empty = false;
            }
        }
        if !is_empty {
            at.clear(self)?;
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Vec<Stamped<T>>>,
    ) -> Result<(), StateError> {
        let merged = merged.into_iter().flatten();
        if self.id().has_ttl() {
            at.settle()?;
            return at.list_add_all(access::stamped_list(self), merged);
        }
        at.list_add_all(self, merged.map(|stamped| stamped.value))
    }
}

/// `reduce(merged, source)` for each source in order, then `reduce(target, merged)`. With a time to
/// live, merging counts as a write.
impl<T: StateValue, N: StateKey> MergingState for ReducingState<T, N> {
    /// The stamp is 0 where there is no time to live.
    type Content = Stamped<T>;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Stamped<T>>,
    ) -> Result<Option<Stamped<T>>, StateError> {
        if self.id().has_ttl() {
            let moment = access::for_change(at, self)?;
            let stamped = access::stamped_reducing(self);
            let is_visible = |found: &Stamped<T>| moment.is_visible(found.stamp_ms);
            let found = at.reducing_get(stamped)?.map(Ref::into_owned);
            let Some(found) = found.filter(is_visible) else { return Ok(merged) };
            let found = Stamped { stamp_ms: moment.now_ms(), ..found };
            let reduce = at.reducing_function(stamped)?;
            at.clear(self)?;
            return Ok(Some(reduced(merged, found, |one, other| reduce(one, other))));
        }
        let Some(value) = at.reducing_get(self)?.map(Ref::into_owned) else { return Ok(merged) };
        let reduce = at.reducing_function(self)?;
        at.clear(self)?;
        let found = Stamped { stamp_ms: 0, value };
        Ok(Some(reduced(merged, found, |one, other| reduce(&mut one.value, other.value))))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Stamped<T>>,
    ) -> Result<(), StateError> {
        if self.id().has_ttl() {
            at.settle()?;
            let stamped = access::stamped_reducing(self);
            return match merged {
                Some(merged) => at.reducing_add(stamped, merged),
                None => at.reducing_function(stamped).map(drop),
            };
        }
        match merged {
            Some(merged) => at.reducing_add(self, merged.value),
            None => at.reducing_function(self).map(drop),
        }
    }
}

/// What was merged with what was found; the latter alone, when nothing was merged before.
fn reduced<T>(merged: Option<T>, found: T, reduce: impl FnOnce(&mut T, T)) -> T {
    let Some(mut merged) = merged else { return found };
    reduce(&mut merged, found);
    merged
}

/// `merge(merged, source)` for each source in order, then `merge(target, merged)`. With a time to
/// live, merging counts as a write.
impl<A: AggregateFunction, N: StateKey> MergingState for AggregatingState<A, N> {
    /// The stamp is 0 where there is no time to live.
    type Content = Stamped<A::Accumulator>;

    fn take_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Self::Content>,
    ) -> Result<Option<Self::Content>, StateError> {
        let found = if self.id().has_ttl() {
            let moment = access::for_change(at, self)?;
            let found = at.aggregating_accumulator(access::stamped_aggregating(self))?;
            let found = found.map(Ref::into_owned);
            let found = found.filter(|found| moment.is_visible(found.stamp_ms));
            found.map(|found| Stamped { stamp_ms: moment.now_ms(), ..found })
        } else {
            let found = at.aggregating_accumulator(self)?.map(Ref::into_owned);
            found.map(|value| Stamped { stamp_ms: 0, value })
        };
        let Some(found) = found else { return Ok(merged) };
        let merged = match merged {
            None => found,
            Some(mut merged) => {
                if self.id().has_ttl() {
                    let function = at.aggregating_function(access::stamped_aggregating(self))?;
                    function.merge(&mut merged, &found);
                } else {
                    at.aggregating_function(self)?.merge(&mut merged.value, &found.value);
                }
                merged
            }
        };
        at.clear(self)?;
        Ok(Some(merged))
    }

    fn put_merged<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        merged: Option<Self::Content>,
    ) -> Result<(), StateError> {
        if self.id().has_ttl() {
            let moment = access::for_change(at, self)?;
            let stamped = access::stamped_aggregating(self);
            let Some(merged) = merged else {
                return at.aggregating_function(stamped).map(drop);
            };
            let target = at.aggregating_accumulator(stamped)?;
            if target.is_some_and(|target| !moment.is_visible(target.stamp_ms)) {
                at.clear(self)?;
            }
            return at.aggregating_merge(stamped, merged);
        }
        match merged {
            Some(merged) => at.aggregating_merge(self, merged.value),
            None => at.aggregating_function(self).map(drop),
        }
    }
}
