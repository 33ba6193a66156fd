//! The handle of a state whose types are known at run time only, with the codecs of what is written
//! to it.

use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::{CodecSnapshot, Encoded, EncodedCodec, OrderedEncodedCodec};

use super::super::DynKind;
use super::super::descriptor::OverBytes;
use crate::{
    AggregatingState, AggregatingStateDescriptor, KeyedStateBackend, ListLayout, ListState,
    ListStateDescriptor, MapState, MapStateDescriptor, ReducingState, ReducingStateDescriptor,
    SortedMapState, SortedMapStateDescriptor, StateError, StateId, StateRef, TimerDescriptor,
    Timers, ValueState, ValueStateDescriptor,
};

/// A state of one kind.
pub(in crate::dynamic) enum Handle {
    Value(ValueState<Encoded, Encoded>, Part),
    List(ListState<Encoded, Encoded>, Part),
    /// A map with its user keys and its values.
    Map(AnyMap, Part, Part),
    Reducing(ReducingState<Encoded, Encoded>, Part),
    Aggregating(AggregatingState<OverBytes, Encoded>),
    Timers(Timers<Encoded>),
}

/// A map with or without an order.
#[derive(Clone, Copy)]
pub(in crate::dynamic) enum AnyMap {
    Unordered(MapState<Encoded, Encoded, Encoded>),
    Sorted(SortedMapState<Encoded, Encoded, Encoded>),
}

/// What one part of a state is written with: a value, an element, a user key.
pub(in crate::dynamic) struct Part {
    state: Arc<str>,
    codec: EncodedCodec,
}

impl Part {
    fn new(state: &str, snapshot: CodecSnapshot) -> Result<Self, StateError> {
        let codec = EncodedCodec::new(snapshot).map_err(|source| refused(state, source))?;
        Ok(Self { state: state.into(), codec })
    }

    /// A value or element that is whole.
    pub(in crate::dynamic) fn value(&self, bytes: &[u8]) -> Result<Encoded, StateError> {
        self.codec.check(bytes).map_err(|source| refused(&self.state, source))?;
        Ok(Encoded(bytes.to_vec()))
    }

    /// A user key that is whole.
    pub(in crate::dynamic) fn user_key(&self, bytes: &[u8]) -> Result<Encoded, StateError> {
        self.codec.check(bytes).map_err(|source| StateError::Key { source })?;
        Ok(Encoded(bytes.to_vec()))
    }
}

fn refused(state: &str, source: CodecError) -> StateError {
    StateError::Encode { state: state.to_owned(), source }
}

impl Handle {
    /// Registers a state with a backend.
    pub(super) fn register<B: KeyedStateBackend>(
        backend: &mut B,
        name: &str,
        namespace: EncodedCodec,
        kind: DynKind,
    ) -> Result<(StateId, Self), StateError> {
        let part = |snapshot| Part::new(name, snapshot);
        Ok(match kind {
            DynKind::Value { value } => {
                let value = part(value)?;
                let descriptor = ValueStateDescriptor::with_codec(name, value.codec.clone());
                let state = backend.value_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Self::Value(state, value))
            }
            DynKind::List { element } => {
                Self::register_list(backend, part(element)?, namespace, ListLayout::Whole)?
            }
            DynKind::LongList { element } => {
                Self::register_list(backend, part(element)?, namespace, ListLayout::Long)?
            }
            DynKind::Map { user_key, user_value } => {
                let (keys, values) = (part(user_key)?, part(user_value)?);
                let codecs = (keys.codec.clone(), values.codec.clone());
                let descriptor = MapStateDescriptor::with_codecs(name, codecs.0, codecs.1);
                let state = backend.map_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Self::Map(AnyMap::Unordered(state), keys, values))
            }
            DynKind::SortedMap { user_key, user_value } => {
                let (keys, values) = (part(user_key)?, part(user_value)?);
                let ordered = OrderedEncodedCodec::new(keys.codec.clone());
                let ordered = ordered.map_err(|source| refused(name, source))?;
                let descriptor =
                    SortedMapStateDescriptor::with_codecs(name, ordered, values.codec.clone());
                let state = backend.sorted_map_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Self::Map(AnyMap::Sorted(state), keys, values))
            }
            DynKind::Reducing { value, reduce } => {
                let value = part(value)?;
                let function = move |a: &mut Encoded, b: Encoded| reduce(&mut a.0, &b.0);
                let descriptor =
                    ReducingStateDescriptor::with_codec(name, value.codec.clone(), function);
                let state = backend.reducing_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Self::Reducing(state, value))
            }
            DynKind::Aggregating { accumulator, aggregate } => {
                let (codec, function) = (part(accumulator)?.codec, OverBytes(aggregate));
                let descriptor = AggregatingStateDescriptor::with_codec(name, codec, function);
                let state = backend.aggregating_state(descriptor.namespaced_with(namespace))?;
                (state.id(), Self::Aggregating(state))
            }
            DynKind::Timers => {
                let descriptor = TimerDescriptor::new(name).namespaced_with(namespace);
                let timers = backend.timers(descriptor)?;
                (timers.id(), Self::Timers(timers))
            }
        })
    }

    fn register_list<B: KeyedStateBackend>(
        backend: &mut B,
        element: Part,
        namespace: EncodedCodec,
        layout: ListLayout,
    ) -> Result<(StateId, Self), StateError> {
        let mut descriptor = ListStateDescriptor::with_codec(&element.state, element.codec.clone());
        descriptor.layout = layout;
        let state = backend.list_state(descriptor.namespaced_with(namespace))?;
        Ok((state.id(), Self::List(state, element)))
    }

    pub(in crate::dynamic) const fn value(&self) -> Option<(ValueState<Encoded, Encoded>, &Part)> {
        match self {
            Self::Value(state, value) => Some((*state, value)),
            _ => None,
        }
    }

    /// A list of either layout.
    pub(in crate::dynamic) const fn list(&self) -> Option<(ListState<Encoded, Encoded>, &Part)> {
        match self {
            Self::List(state, element) => Some((*state, element)),
            _ => None,
        }
    }

    /// A map with or without an order.
    pub(in crate::dynamic) const fn map(&self) -> Option<(AnyMap, &Part, &Part)> {
        match self {
            Self::Map(map, keys, values) => Some((*map, keys, values)),
            _ => None,
        }
    }

    pub(in crate::dynamic) const fn sorted_map(
        &self,
    ) -> Option<(SortedMapState<Encoded, Encoded, Encoded>, &Part)> {
        match self {
            Self::Map(AnyMap::Sorted(state), keys, _) => Some((*state, keys)),
            _ => None,
        }
    }

    pub(in crate::dynamic) const fn reducing(
        &self,
    ) -> Option<(ReducingState<Encoded, Encoded>, &Part)> {
        match self {
            Self::Reducing(state, value) => Some((*state, value)),
            _ => None,
        }
    }

    pub(in crate::dynamic) const fn aggregating(
        &self,
    ) -> Option<AggregatingState<OverBytes, Encoded>> {
        match self {
            Self::Aggregating(state) => Some(*state),
            _ => None,
        }
    }

    pub(in crate::dynamic) const fn timers(&self) -> Option<Timers<Encoded>> {
        match self {
            Self::Timers(timers) => Some(*timers),
            _ => None,
        }
    }
}
