//! What reading does to stored values, done after the read.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

use super::{Stamped, TtlMoment};
use crate::{KeyContext, ListState, MapState, StateError, StateKey, StateValue, ValueState};

/// What a read left to be done to one state at its key and namespace.
pub trait Touch<N: StateKey>: Send + 'static {
    /// Adds what a later read of the same state left.
    fn merge(&mut self, later: Self);

    /// Does it.
    ///
    /// Errors: those of the changes.
    fn run<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError>;
}

/// Of the one value of a value, reducing or aggregating state.
pub(super) struct ValueTouch<T, N> {
    pub(super) state: ValueState<Stamped<T>, N>,
    pub(super) moment: TtlMoment,
}

impl<T: StateValue, N: StateKey> Touch<N> for ValueTouch<T, N> {
    fn merge(&mut self, _: Self) {}

    fn run<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        at.value_retain(self.state, |stamped| self.moment.touch(&mut stamped.stamp_ms))
    }
}

/// Of all elements of a list.
pub(super) struct ListTouch<T, N> {
    pub(super) state: ListState<Stamped<T>, N>,
    pub(super) moment: TtlMoment,
}

impl<T: StateValue, N: StateKey> Touch<N> for ListTouch<T, N> {
    fn merge(&mut self, _: Self) {}

    fn run<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        at.list_retain(self.state, |stamped| self.moment.touch(&mut stamped.stamp_ms))
    }
}

/// User keys; their order is of no interest.
type UserKeys<UK> = HashSet<UK, BuildHasherDefault<DefaultHasher>>;

/// Of some entries of a map, or of all.
pub(super) struct MapTouch<UK, UV, N> {
    state: MapState<UK, Stamped<UV>, N>,
    moment: TtlMoment,
    /// `None` for all.
    user_keys: Option<UserKeys<UK>>,
}

impl<UK: StateKey, UV, N> MapTouch<UK, UV, N> {
    pub(super) const fn of_all(state: MapState<UK, Stamped<UV>, N>, moment: TtlMoment) -> Self {
        Self { state, moment, user_keys: None }
    }

    pub(super) fn of(
        state: MapState<UK, Stamped<UV>, N>,
        moment: TtlMoment,
        user_key: &UK,
    ) -> Self {
        let mut user_keys = UserKeys::default();
        user_keys.insert(user_key.clone());
        Self { state, moment, user_keys: Some(user_keys) }
    }
}

impl<UK: StateKey, UV: StateValue, N: StateKey> Touch<N> for MapTouch<UK, UV, N> {
    fn merge(&mut self, later: Self) {
        match (&mut self.user_keys, later.user_keys) {
            (Some(user_keys), Some(later)) => user_keys.extend(later),
            (user_keys, _) => *user_keys = None,
        }
    }

    #[expect(clippy::iter_over_hash_type, reason = "the entries of a map are changed in any order")]
    fn run<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        let Self { state, moment, user_keys } = self;
        let Some(user_keys) = user_keys else {
            return at.map_retain(state, |_, stamped| moment.touch(&mut stamped.stamp_ms));
        };
        for user_key in user_keys {
            at.map_retain_entry(state, &user_key, |stamped| moment.touch(&mut stamped.stamp_ms))?;
        }
        Ok(())
    }
}
