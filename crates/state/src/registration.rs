//! What every backend checks when a state is registered.
//!
//! Invariants: a name stands for one kind, one pair of codecs and one set of types; keys and
//! namespaces never migrate, since they decide where an entry is found.
//!
//! Source: SPEC 5.4, 6.3, 9.

use alluvium_format::codec::{Codec, CodecSnapshot, Compatibility};
use alluvium_format::keyed::StateMeta;

use crate::{StateError, StateId, StateKey};

/// Longest name of a state, in bytes.
pub const MAX_STATE_NAME_LEN_BYTES: usize = 1024;

/// A name must be storable.
///
/// Errors: [`StateError::InvalidName`].
pub fn check_state_name(name: &str) -> Result<(), StateError> {
    let len_bytes = name.len();
    let is_allowed = (1..=MAX_STATE_NAME_LEN_BYTES).contains(&len_bytes);
    if is_allowed { Ok(()) } else { Err(StateError::InvalidName { len_bytes }) }
}

/// Finds the state that has the name already, among all of a backend, and its index. It must be the
/// same: of the kind and codecs that are requested, and of its types, which the backend compares.
///
/// Errors: [`StateError::InvalidName`], [`StateError::NameReused`].
pub fn find_registered<'t, T: 't + ?Sized>(
    requested: &StateMeta,
    registered: impl IntoIterator<Item = &'t T>,
    meta_of: impl Fn(&T) -> &StateMeta,
    is_of_types: impl FnOnce(&T) -> bool,
) -> Result<Option<usize>, StateError> {
    check_state_name(&requested.name)?;
    let mut registered = registered.into_iter().enumerate();
    let Some((index, known)) = registered.find(|(_, it)| meta_of(it).name == requested.name) else {
        return Ok(None);
    };
    if meta_of(known) == requested && is_of_types(known) {
        return Ok(Some(index));
    }
    let (mut registered, requested_as) = (describe(meta_of(known)), describe(requested));
    if registered == requested_as {
        registered.push_str(" of other types");
    }
    Err(StateError::NameReused {
        name: requested.name.clone(),
        registered,
        requested: requested_as,
    })
}

/// The id of the state at an index. States that were restored and not registered need ids in the
/// stream as well, so they count.
///
/// Errors: [`StateError::TooManyStates`].
pub fn state_id(
    backend: u32,
    index: usize,
    unregistered_count: usize,
    name: &str,
) -> Result<StateId, StateError> {
    match u16::try_from(index) {
        Ok(index) if usize::from(index) + unregistered_count < usize::from(u16::MAX) => {
            Ok(StateId::new(backend, index))
        }
        _ => Err(StateError::TooManyStates { name: name.to_owned() }),
    }
}

/// Kind and namespaces of a restored state must be those that are requested. What becomes of the
/// values is the codec's answer, see [`incompatible_values`].
///
/// Errors: [`StateError::KindChanged`], [`StateError::IncompatibleSchema`].
pub fn check_restored<N: StateKey, NC: Codec<N>>(
    requested: &StateMeta,
    namespace: &NC,
    stored: &StateMeta,
) -> Result<(), StateError> {
    if !stored.kind.can_become(requested.kind) {
        let state = requested.name.clone();
        let (stored, requested) = (stored.kind.to_string(), requested.kind.to_string());
        return Err(StateError::KindChanged { state, stored, requested });
    }
    if matches!(namespace.resolve(&stored.namespace), Compatibility::AsIs) {
        return Ok(());
    }
    Err(incompatible(requested, "namespace", &stored.namespace, &requested.namespace))
}

/// The error of restored values that cannot be read.
pub fn incompatible_values(requested: &StateMeta, stored: &StateMeta) -> StateError {
    incompatible(requested, "value", &stored.value, &requested.value)
}

fn incompatible(
    requested: &StateMeta,
    part: &'static str,
    stored: &CodecSnapshot,
    current: &CodecSnapshot,
) -> StateError {
    let (stored, current) = (Box::new(stored.clone()), Box::new(current.clone()));
    StateError::IncompatibleSchema { state: requested.name.clone(), part, stored, current }
}

fn describe(meta: &StateMeta) -> String {
    format!("{} of {} with namespace {}", meta.kind, meta.value, meta.namespace)
}
