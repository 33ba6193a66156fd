//! [`DynKeyedState`] over any backend, with [`Encoded`] for every type.
//!
//! Invariants: the state at position `i` is the one that the backend registered as its `i`-th.

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange};
use alluvium_format::CodecError;
use alluvium_format::codec::{CodecSnapshot, Encoded, EncodedCodec};
use alluvium_format::keyed::StateMeta;

use super::descriptor::OverBytes;
use super::{DynAt, DynKeyedState, DynKind, DynState, DynStateDescriptor, DynTimer};
use crate::{
    AggregatingState, AggregatingStateDescriptor, BackgroundLoad, Elements, FrozenState,
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, Pairs,
    ReducingState, ReducingStateDescriptor, Ref, SnapshotError, StateError, StateId, StateRef,
    TimeDomain, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};

/// A backend whose keys are encoded.
pub(super) struct Adapter<B> {
    backend: B,
    key_codec: EncodedCodec,
    states: Vec<Registered>,
    /// Key and namespace at hand; they keep their memory from call to call.
    key: Encoded,
    namespace: Encoded,
}

struct Registered {
    name: String,
    id: StateId,
    namespace: EncodedCodec,
    handle: Handle,
}

/// The handle of a state and the codecs of what is written to it.
enum Handle {
    Value(ValueState<Encoded, Encoded>, EncodedCodec),
    List(ListState<Encoded, Encoded>, EncodedCodec),
    Map(MapState<Encoded, Encoded, Encoded>, EncodedCodec, EncodedCodec),
    Reducing(ReducingState<Encoded, Encoded>, EncodedCodec),
    Aggregating(AggregatingState<OverBytes, Encoded>),
    Timers(Timers<Encoded>),
}

/// Runs an expression with the handle of a state of any kind.
macro_rules! with_any {
    ($registered:expr, $handle:ident => $body:expr) => {
        match &$registered.handle {
            Handle::Value($handle, _) => $body,
            Handle::List($handle, _) => $body,
            Handle::Map($handle, ..) => $body,
            Handle::Reducing($handle, _) => $body,
            Handle::Aggregating($handle) => $body,
            Handle::Timers($handle) => $body,
        }
    };
}

impl Registered {
    fn refused(&self) -> impl Fn(CodecError) -> StateError + '_ {
        |source| StateError::Encode { state: self.name.clone(), source }
    }

    /// A value that is whole.
    fn value(&self, codec: &EncodedCodec, bytes: &[u8]) -> Result<Encoded, StateError> {
        codec.check(bytes).map_err(self.refused())?;
        Ok(Encoded(bytes.to_vec()))
    }
}

/// A key, namespace or user key that is whole.
fn key_of(codec: &EncodedCodec, bytes: &[u8]) -> Result<Encoded, StateError> {
    codec.check(bytes).map_err(|source| StateError::Key { source })?;
    Ok(Encoded(bytes.to_vec()))
}

fn refill(codec: &EncodedCodec, buffer: &mut Encoded, bytes: &[u8]) -> Result<(), StateError> {
    codec.check(bytes).map_err(|source| StateError::Key { source })?;
    buffer.0.clear();
    buffer.0.extend_from_slice(bytes);
    Ok(())
}

fn bytes_of(found: Option<Ref<'_, Encoded>>) -> Option<Vec<u8>> {
    found.map(|value| value.into_owned().0)
}

fn all_bytes_of(elements: Elements<'_, Encoded>) -> Result<Vec<Vec<u8>>, StateError> {
    elements.map(|element| Ok(element?.into_owned().0)).collect()
}

impl<B: KeyedStateBackend<Key = Encoded>> Adapter<B> {
    pub(super) fn new(backend: B, key_codec: EncodedCodec) -> Self {
        let (key, namespace) = (Encoded::default(), Encoded::default());
        Self { backend, key_codec, states: Vec::new(), key, namespace }
    }

    fn registered(&self, state: DynState) -> Result<&Registered, StateError> {
        find(&self.states, state)
    }

    /// Opens a key and namespace of a state.
    fn open(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<(&Registered, B::At<'_, Encoded>), StateError> {
        let Self { backend, key_codec, states, key, namespace } = self;
        let registered = find(states, state)?;
        refill(key_codec, key, at.key)?;
        refill(&registered.namespace, namespace, at.namespace)?;
        Ok((registered, backend.at_namespace(key, namespace)?))
    }

    fn register_kind(
        &mut self,
        name: &str,
        namespace: EncodedCodec,
        kind: DynKind,
    ) -> Result<(StateId, Handle), StateError> {
        let codec = |snapshot: CodecSnapshot| {
            let state = name.to_owned();
            EncodedCodec::new(snapshot).map_err(|source| StateError::Encode { state, source })
        };
        let backend = &mut self.backend;
        Ok(match kind {
            DynKind::Value { value } => {
                let value = codec(value)?;
                let descriptor = ValueStateDescriptor::with_codec(name, value.clone());
                let state = backend.value_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Handle::Value(state, value))
            }
            DynKind::List { element } => {
                let element = codec(element)?;
                let descriptor = ListStateDescriptor::with_codec(name, element.clone());
                let state = backend.list_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Handle::List(state, element))
            }
            DynKind::Map { user_key, user_value } => {
                let (keys, values) = (codec(user_key)?, codec(user_value)?);
                let descriptor =
                    MapStateDescriptor::with_codecs(name, keys.clone(), values.clone());
                let state = backend.map_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Handle::Map(state, keys, values))
            }
            DynKind::Reducing { value, reduce } => {
                let value = codec(value)?;
                let over_bytes = move |one: &mut Encoded, other: Encoded| {
                    reduce(&mut one.0, &other.0);
                };
                let descriptor =
                    ReducingStateDescriptor::with_codec(name, value.clone(), over_bytes);
                let state = backend.reducing_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Handle::Reducing(state, value))
            }
            DynKind::Aggregating { accumulator, aggregate } => {
                let (codec, function) = (codec(accumulator)?, OverBytes(aggregate));
                let descriptor = AggregatingStateDescriptor::with_codec(name, codec, function);
                let state = backend.aggregating_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Handle::Aggregating(state))
            }
            DynKind::Timers => {
                let descriptor = TimerDescriptor::new(name).namespaced_with(namespace);
                let timers = backend.timers(descriptor)?;
                (timers.id(), Handle::Timers(timers))
            }
        })
    }
}

fn find(states: &[Registered], state: DynState) -> Result<&Registered, StateError> {
    let found = states.get(usize::from(state.0.index));
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
        let (id, handle) = self.register_kind(&name, namespace.clone(), kind)?;
        if usize::from(id.index) == self.states.len() {
            self.states.push(Registered { name, id, namespace, handle });
        }
        Ok(DynState(id))
    }

    fn value_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Option<Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::Value(value, _) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        Ok(bytes_of(value.get(&at)?))
    }

    fn value_set(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        value: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::Value(state, codec) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        state.set(&mut at, registered.value(codec, value)?)
    }

    fn list_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Vec<Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::List(list, _) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        all_bytes_of(list.elements(&at)?)
    }

    fn list_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        element: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::List(list, codec) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        list.add(&mut at, registered.value(codec, element)?)
    }

    fn list_set(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        elements: &[&[u8]],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::List(list, codec) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        let elements = elements.iter().map(|element| registered.value(codec, element));
        list.set(&mut at, elements.collect::<Result<_, _>>()?)
    }

    fn map_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::Map(map, keys, _) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        Ok(bytes_of(map.get(&at, &key_of(keys, user_key)?)?))
    }

    fn map_put(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::Map(map, keys, values) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        map.put(&mut at, key_of(keys, user_key)?, registered.value(values, value)?)
    }

    fn map_remove(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::Map(map, keys, _) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        map.remove(&mut at, &key_of(keys, user_key)?)
    }

    fn map_entries(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Pairs<Vec<u8>, Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::Map(map, ..) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        let entries = map.entries(&at)?;
        let owned = entries.map(|entry| {
            let (key, value) = entry?;
            Ok((key.into_owned().0, value.into_owned().0))
        });
        owned.collect()
    }

    fn reducing_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::Reducing(reducing, _) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        Ok(bytes_of(reducing.get(&at)?))
    }

    fn reducing_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        value: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::Reducing(reducing, codec) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        reducing.add(&mut at, registered.value(codec, value)?)
    }

    fn aggregating_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let (registered, at) = self.open(state, at)?;
        let Handle::Aggregating(aggregating) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        aggregating.get(&at)
    }

    fn aggregating_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        input: &[u8],
    ) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        let Handle::Aggregating(aggregating) = &registered.handle else {
            return Err(StateError::ForeignHandle);
        };
        aggregating.add(&mut at, input.to_vec())
    }

    fn timer_register(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (registered, mut at) = self.open(timers, at)?;
        timers_of(registered)?.register(&mut at, domain, time_ms)
    }

    fn timer_delete(
        &mut self,
        timers: DynState,
        at: DynAt<'_>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (registered, mut at) = self.open(timers, at)?;
        timers_of(registered)?.delete(&mut at, domain, time_ms)
    }

    fn next_timer_ms(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError> {
        let timers = timers_of(self.registered(timers)?)?;
        self.backend.next_timer_ms(timers, domain)
    }

    fn pop_timer(
        &mut self,
        timers: DynState,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<DynTimer>, StateError> {
        let timers = timers_of(self.registered(timers)?)?;
        let timer = self.backend.pop_timer(timers, domain, up_to_ms)?;
        Ok(timer.map(|timer| DynTimer {
            time_ms: timer.time_ms,
            key_group: timer.key_group,
            key: timer.key.0,
            namespace: timer.namespace.0,
        }))
    }

    fn clear(&mut self, state: DynState, at: DynAt<'_>) -> Result<(), StateError> {
        let (registered, mut at) = self.open(state, at)?;
        with_any!(registered, handle => crate::KeyContext::clear(&mut at, *handle))
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
        let Self { backend, states, .. } = self;
        let pairs = with_any!(find(states, state)?, handle => {
            backend.keys_and_namespaces_in_group(*handle, key_group)
        })?;
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

fn timers_of(registered: &Registered) -> Result<Timers<Encoded>, StateError> {
    match &registered.handle {
        Handle::Timers(timers) => Ok(*timers),
        _ => Err(StateError::ForeignHandle),
    }
}
