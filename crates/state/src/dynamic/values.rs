//! States with one value: value, reducing and aggregating state.

use super::adapter::{Adapter, Handle, bytes_of};
use super::{DynAt, DynState, Encoded};
use crate::{KeyedStateBackend, StateError};

/// What a [`DynKeyedState`](super::DynKeyedState) does with states of one value; errors are said there.
pub trait DynValues {
    /// The value; `None` when there is none.
    fn value_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Option<Vec<u8>>, StateError>;

    /// Replaces the value.
    fn value_set(&mut self, state: DynState, at: DynAt<'_>, value: &[u8])
    -> Result<(), StateError>;

    /// What all added values were reduced to.
    fn reducing_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError>;

    /// Reduces a value into the state.
    fn reducing_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        value: &[u8],
    ) -> Result<(), StateError>;

    /// The result of all added inputs.
    fn aggregating_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError>;

    /// Adds an input, in whatever form the function of the state takes it.
    fn aggregating_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        input: &[u8],
    ) -> Result<(), StateError>;
}

impl<B: KeyedStateBackend<Key = Encoded>> DynValues for Adapter<B> {
    fn value_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Option<Vec<u8>>, StateError> {
        let ((state, _), at) = self.open(state, at, Handle::value)?;
        Ok(bytes_of(state.get(&at)?))
    }

    fn value_set(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        value: &[u8],
    ) -> Result<(), StateError> {
        let ((state, values), mut at) = self.open(state, at, Handle::value)?;
        state.set(&mut at, values.value(value)?)
    }

    fn reducing_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let ((state, _), at) = self.open(state, at, Handle::reducing)?;
        Ok(bytes_of(state.get(&at)?))
    }

    fn reducing_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        value: &[u8],
    ) -> Result<(), StateError> {
        let ((state, values), mut at) = self.open(state, at, Handle::reducing)?;
        state.add(&mut at, values.value(value)?)
    }

    fn aggregating_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let (state, at) = self.open(state, at, Handle::aggregating)?;
        state.get(&at)
    }

    fn aggregating_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        input: &[u8],
    ) -> Result<(), StateError> {
        let (state, mut at) = self.open(state, at, Handle::aggregating)?;
        state.add(&mut at, input.to_vec())
    }
}
