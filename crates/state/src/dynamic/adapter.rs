//! [`DynKeyedState`] over any backend, with [`Encoded`] for every type.
//!
//! What is done to states of one kind stands beside the trait for that kind.
//!
//! Invariants: the state at position `i` is the one that the backend registered as its `i`-th; what
//! is handed to the backend is whole.

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange};
use alluvium_format::codec::{Encoded, EncodedCodec};
use alluvium_format::keyed::StateMeta;

use super::{DynAt, DynKeyedState, DynState, DynStateDescriptor};
use crate::{
    BackgroundLoad, FrozenState, KeyContext, KeyedStateBackend, Pairs, Ref, SnapshotError,
    StateError, StateId, StateRef,
};

mod handle;

pub(super) use handle::{AnyMap, Handle, Part};

/// A backend whose keys are encoded.
pub(super) struct Adapter<B> {
    pub(super) backend: B,
    key_codec: EncodedCodec,
    states: Vec<Registered>,
    /// Key and namespace at hand; they keep their memory from call to call.
    key: Encoded,
    namespace: Encoded,
}

struct Registered {
    id: StateId,
    namespace: EncodedCodec,
    handle: Handle,
}

/// A state of any kind, for what is done to all kinds alike.
#[derive(Clone, Copy)]
struct AnyState(StateId);

impl StateRef for AnyState {
    type Namespace = Encoded;

    fn id(self) -> StateId {
        self.0
    }
}

impl Registered {
    const fn any(&self) -> AnyState {
        AnyState(self.id)
    }
}

/// A key or a namespace that is whole.
fn key_of(codec: &EncodedCodec, bytes: &[u8]) -> Result<Encoded, StateError> {
    let mut key = Encoded::default();
    refill(codec, &mut key, bytes)?;
    Ok(key)
}

fn refill(codec: &EncodedCodec, buffer: &mut Encoded, bytes: &[u8]) -> Result<(), StateError> {
    codec.check(bytes).map_err(|source| StateError::Key { source })?;
    buffer.0.clear();
    buffer.0.extend_from_slice(bytes);
    Ok(())
}

pub(super) fn bytes_of(found: Option<Ref<'_, Encoded>>) -> Option<Vec<u8>> {
    found.map(|value| value.into_owned().0)
}

impl<B: KeyedStateBackend<Key = Encoded>> Adapter<B> {
    pub(super) fn new(backend: B, key_codec: EncodedCodec) -> Self {
        let (key, namespace) = (Encoded::default(), Encoded::default());
        Self { backend, key_codec, states: Vec::new(), key, namespace }
    }

    fn registered(&self, state: DynState) -> Result<&Registered, StateError> {
        find(&self.states, state)
    }

    /// The handle of a state, if it is of the kind that `of_kind` looks for.
    pub(super) fn handle<'s, H>(
        &'s self,
        state: DynState,
        of_kind: impl FnOnce(&'s Handle) -> Option<H>,
    ) -> Result<H, StateError> {
        of_kind(&self.registered(state)?.handle).ok_or(StateError::ForeignHandle)
    }

    /// The handle of a state, if it is of the kind that `of_kind` looks for, and a key and namespace
    /// of it.
    pub(super) fn open<'s, H>(
        &'s mut self,
        state: DynState,
        at: DynAt<'_>,
        of_kind: impl FnOnce(&'s Handle) -> Option<H>,
    ) -> Result<(H, B::At<'s, Encoded>), StateError> {
        let Self { backend, key_codec, states, key, namespace } = self;
        let registered = find(states, state)?;
        let handle = of_kind(&registered.handle).ok_or(StateError::ForeignHandle)?;
        refill(key_codec, key, at.key)?;
        refill(&registered.namespace, namespace, at.namespace)?;
        Ok((handle, backend.at_namespace(key, namespace)?))
    }
}

fn find(states: &[Registered], state: DynState) -> Result<&Registered, StateError> {
    let found = states.get(state.0.index());
    found.filter(|registered| registered.id == state.0).ok_or(StateError::ForeignHandle)
}

impl<B: KeyedStateBackend<Key = Encoded> + Send> DynKeyedState for Adapter<B> {
    fn key_groups(&self) -> KeyGroupRange {
        self.backend.key_groups()
    }

    fn key_group_of(&mut self, key: &[u8]) -> Result<KeyGroup, StateError> {
        refill(&self.key_codec, &mut self.key, key)?;
        self.backend.key_group_of(&self.key)
    }

    fn register(&mut self, descriptor: DynStateDescriptor) -> Result<DynState, StateError> {
        let DynStateDescriptor { name, namespace, kind } = descriptor;
        let namespace =
            EncodedCodec::new(namespace).map_err(|source| StateError::Key { source })?;
        let (id, handle) = Handle::register(&mut self.backend, &name, namespace.clone(), kind)?;
        if id.index() == self.states.len() {
            self.states.push(Registered { id, namespace, handle });
        }
        Ok(DynState(id))
    }

    fn clear(&mut self, state: DynState, at: DynAt<'_>) -> Result<(), StateError> {
        let any = self.registered(state)?.any();
        let (_, mut at) = self.open(state, at, Some)?;
        at.clear(any)
    }

    fn merge_namespaces(
        &mut self,
        state: DynState,
        key: &[u8],
        target: &[u8],
        sources: &[&[u8]],
    ) -> Result<(), StateError> {
        let Self { backend, key_codec, states, .. } = self;
        let registered = find(states, state)?;
        let (key, target) = (key_of(key_codec, key)?, key_of(&registered.namespace, target)?);
        let sources = sources.iter().map(|source| key_of(&registered.namespace, source));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        match &registered.handle {
            Handle::List(list, _) => backend.merge_namespaces(*list, &key, &target, &sources),
            Handle::Reducing(reducing, _) => {
                backend.merge_namespaces(*reducing, &key, &target, &sources)
            }
            Handle::Aggregating(aggregating) => {
                backend.merge_namespaces(*aggregating, &key, &target, &sources)
            }
            _ => Err(StateError::ForeignHandle),
        }
    }

    fn keys_and_namespaces_in_group(
        &mut self,
        state: DynState,
        key_group: KeyGroup,
    ) -> Result<Pairs<Vec<u8>, Vec<u8>>, StateError> {
        let state = self.registered(state)?.any();
        let pairs = self.backend.keys_and_namespaces_in_group(state, key_group)?;
        Ok(pairs.into_iter().map(|(key, namespace)| (key.0, namespace.0)).collect())
    }

    fn entry_count(&self) -> Result<usize, StateError> {
        self.backend.entry_count()
    }

    fn unregistered_states(&self) -> Vec<StateMeta> {
        self.backend.unregistered_states()
    }

    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError> {
        self.backend.drop_restored_state(name)
    }

    fn announce(&mut self, checkpoint: CheckpointId) {
        self.backend.announce(checkpoint);
    }

    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError> {
        self.backend.freeze(checkpoint)
    }

    fn complete(&mut self, checkpoint: CheckpointId) {
        self.backend.complete(checkpoint);
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        self.backend.abort(checkpoint);
    }

    fn background_load(&mut self) -> Option<BackgroundLoad> {
        self.backend.background_load()
    }
}
