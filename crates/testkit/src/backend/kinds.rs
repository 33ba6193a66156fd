//! The states of each kind, with stamps or without: what they are registered as.

use std::any::Any;

use alluvium_format::codec::{Codec, MapCodec, OrderedCodec, VecCodec};
use alluvium_format::keyed::StateKind;
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReduceFunction, ReducingStateDescriptor, SortedKey, SortedMapStateDescriptor, StateError,
    StateId, StateKey, StateTtl, StateValue, ValueStateDescriptor,
};

use super::ModelKeyedStateBackend;
use super::expiry::Left;
use super::register::Request;
use super::table::{SortedUserMap, UserMap};

/// The time to live of a state, and what it leaves.
type Expiring<V> = Option<(StateTtl, Left<V>)>;

impl<K: StateKey, C: Codec<K>> ModelKeyedStateBackend<K, C> {
    pub(super) fn register_value<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
        expiry: Expiring<T>,
    ) -> Result<StateId, StateError> {
        let ValueStateDescriptor { name, value, namespace, .. } = descriptor;
        let (kind, function) = (StateKind::Value, None);
        self.register::<N, T, _, _>(Request { name, kind, namespace, value, function, expiry })
    }

    pub(super) fn register_list<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
        expiry: Expiring<Vec<T>>,
    ) -> Result<StateId, StateError> {
        let ListStateDescriptor { name, element, namespace, layout, .. } = descriptor;
        let (kind, value, function) = (layout.kind(), VecCodec(element), None);
        self.register::<N, Vec<T>, _, _>(Request { name, kind, namespace, value, function, expiry })
    }

    pub(super) fn register_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV, KC, VC, N, NC>,
        expiry: Expiring<UserMap<UK, UV>>,
    ) -> Result<StateId, StateError>
    where
        UK: StateKey,
        UV: StateValue,
        KC: Codec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>,
    {
        let MapStateDescriptor { name, user_key, user_value, namespace, .. } = descriptor;
        let (kind, value) = (StateKind::Map, MapCodec { keys: user_key, values: user_value });
        let request = Request { name, kind, namespace, value, function: None, expiry };
        self.register::<N, UserMap<UK, UV>, _, _>(request)
    }

    pub(super) fn register_sorted_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: SortedMapStateDescriptor<UK, UV, KC, VC, N, NC>,
        expiry: Expiring<SortedUserMap<UK, UV>>,
    ) -> Result<StateId, StateError>
    where
        UK: SortedKey,
        UV: StateValue,
        KC: OrderedCodec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>,
    {
        let SortedMapStateDescriptor { name, user_key, user_value, namespace, .. } = descriptor;
        let (kind, value) = (StateKind::SortedMap, MapCodec { keys: user_key, values: user_value });
        let request = Request { name, kind, namespace, value, function: None, expiry };
        self.register::<N, SortedUserMap<UK, UV>, _, _>(request)
    }

    pub(super) fn register_reducing<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
        expiry: Expiring<T>,
    ) -> Result<StateId, StateError> {
        let ReducingStateDescriptor { name, value, namespace, reduce, .. } = descriptor;
        let function: Box<dyn Any + Send + Sync> = Box::<ReduceFunction<T>>::new(reduce);
        let (kind, function) = (StateKind::Reducing, Some(function));
        self.register::<N, T, _, _>(Request { name, kind, namespace, value, function, expiry })
    }

    pub(super) fn register_aggregating<A, VC, N, NC>(
        &mut self,
        descriptor: AggregatingStateDescriptor<A, VC, N, NC>,
        expiry: Expiring<A::Accumulator>,
    ) -> Result<StateId, StateError>
    where
        A: AggregateFunction,
        VC: Codec<A::Accumulator>,
        N: StateKey,
        NC: Codec<N>,
    {
        let AggregatingStateDescriptor { name, accumulator: value, namespace, aggregate, .. } =
            descriptor;
        let (kind, function) = (StateKind::Aggregating, Some(Box::new(aggregate) as _));
        let request = Request { name, kind, namespace, value, function, expiry };
        self.register::<N, A::Accumulator, _, _>(request)
    }
}
