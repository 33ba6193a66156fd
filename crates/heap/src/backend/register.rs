//! Registering states: a new table, the one that is there, or one filled from restored blocks.

use std::any::Any;
use std::sync::Arc;

use alluvium_format::codec::{Codec, Compatibility, Decode, MapCodec, OrderedCodec, VecCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReduceFunction, ReducingStateDescriptor, SortedKey, SortedMapStateDescriptor, StateError,
    StateId, StateKey, StateValue, ValueStateDescriptor, check_restored, find_registered,
    incompatible_values, state_id,
};

use super::fill::Filling;
use super::restore::RestoredState;
use super::{HeapKeyedStateBackend, Registered, Views};
use crate::expiry::Expiry;
use crate::map::StateMapKind;
use crate::shared_list::{SharedList, SharedListCodec};
use crate::slot::is_shared;
use crate::sorted_map::{SortedMapCodec, SortedUserMap};
use crate::table::{
    AnyTable, Maps, Plain, Shape, SlotCodec, StateTable, TypedEntryCodec, TypedEntryReader,
};
use crate::user_map::{UserMap, UserMapCodec};

/// What a descriptor says, without its types.
struct Request<NC, SC> {
    name: String,
    kind: StateKind,
    namespace: NC,
    slot: SC,
    function: Option<Box<dyn Any + Send + Sync>>,
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    pub(super) fn register_value<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<T>>>,
    ) -> Result<StateId, StateError> {
        let ValueStateDescriptor { name, value, namespace, .. } = descriptor;
        let (kind, slot, function) = (StateKind::Value, Plain(value), None);
        self.register::<N, T, _, _>(Request { name, kind, namespace, slot, function }, expiry)
    }

    pub(super) fn register_list<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<SharedList<T>>>>,
    ) -> Result<StateId, StateError> {
        let ListStateDescriptor { name, element, namespace, layout, .. } = descriptor;
        let (kind, slot, function) = (layout.kind(), SharedListCodec(VecCodec(element)), None);
        self.register::<N, SharedList<T>, _, _>(
            Request { name, kind, namespace, slot, function },
            expiry,
        )
    }

    pub(super) fn register_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV, KC, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<UserMap<UK, UV>>>>,
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
        let entries = MapCodec { keys: user_key, values: user_value };
        let slot = UserMapCodec { entries, hasher: self.user_hasher() };
        let (kind, function) = (StateKind::Map, None);
        self.register::<N, UserMap<UK, UV>, _, _>(
            Request { name, kind, namespace, slot, function },
            expiry,
        )
    }

    pub(super) fn register_sorted_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: SortedMapStateDescriptor<UK, UV, KC, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<SortedUserMap<UK, UV>>>>,
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
        let slot = SortedMapCodec(MapCodec { keys: user_key, values: user_value });
        let request = Request { name, kind: StateKind::SortedMap, namespace, slot, function: None };
        self.register::<N, SortedUserMap<UK, UV>, _, _>(request, expiry)
    }

    pub(super) fn register_reducing<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<T>>>,
    ) -> Result<StateId, StateError> {
        let ReducingStateDescriptor { name, value, namespace, reduce, .. } = descriptor;
        let function: Box<dyn Any + Send + Sync> = Box::<ReduceFunction<T>>::new(reduce);
        let (kind, slot, function) = (StateKind::Reducing, Plain(value), Some(function));
        self.register::<N, T, _, _>(Request { name, kind, namespace, slot, function }, expiry)
    }

    pub(super) fn register_aggregating<A, VC, N, NC>(
        &mut self,
        descriptor: AggregatingStateDescriptor<A, VC, N, NC>,
        expiry: Option<Arc<dyn Expiry<A::Accumulator>>>,
    ) -> Result<StateId, StateError>
    where
        A: AggregateFunction,
        VC: Codec<A::Accumulator>,
        N: StateKey,
        NC: Codec<N>,
    {
        let AggregatingStateDescriptor { name, accumulator, namespace, aggregate, .. } = descriptor;
        let function: Box<dyn Any + Send + Sync> = Box::new(aggregate);
        let (kind, slot, function) = (StateKind::Aggregating, Plain(accumulator), Some(function));
        self.register::<N, A::Accumulator, _, _>(
            Request { name, kind, namespace, slot, function },
            expiry,
        )
    }

    fn register<N, S, NC, SC>(
        &mut self,
        request: Request<NC, SC>,
        expiry: Option<Arc<dyn Expiry<S>>>,
    ) -> Result<StateId, StateError>
    where
        N: StateKey,
        S: StateValue,
        NC: Codec<N>,
        SC: SlotCodec<S> + Clone,
    {
        let Request { name, kind, namespace, slot, function } = request;
        let (namespace_snapshot, value) = (namespace.snapshot(), slot.snapshot());
        let meta = StateMeta { name, kind, namespace: namespace_snapshot, value };
        let wanted = function.as_deref().map(Any::type_id);
        let is_same = |known: &dyn AnyTable<K>| {
            let is_of_types = (known as &dyn Any).is::<StateTable<K, N, S>>();
            is_of_types && known.function().map(Any::type_id) == wanted
        };
        if let Some(id) = self.find_registered(&meta, is_same)? {
            return Ok(id);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let (key, namespace_lead_len_bytes) = (self.spec.key.clone(), 0);
        let codec = TypedEntryCodec { key, namespace, namespace_lead_len_bytes, slot };
        let maps = self.maps_of::<N, S, NC, SC>(&meta, codec)?;
        self.restored.remove(&meta.name);
        let mut table = StateTable::<K, N, S>::new(meta, maps, function, expiry);
        table.set_moment(self.moment);
        let views = Views::<K, N> {
            exclusive: |table| Some((table as &mut dyn Any).downcast_mut::<StateTable<K, N, S>>()?),
            shared: |table| Some((table as &dyn Any).downcast_ref::<StateTable<K, N, S>>()?),
        };
        self.tables.push(Registered::new(table, views));
        self.note_ttl();
        Ok(id)
    }

    /// The state that has the name already, which must be the same one.
    ///
    /// Errors: [`StateError::InvalidName`], [`StateError::NameReused`].
    pub(super) fn find_registered(
        &self,
        requested: &StateMeta,
        is_of_types: impl FnOnce(&dyn AnyTable<K>) -> bool,
    ) -> Result<Option<StateId>, StateError> {
        let registered = self.tables.iter().map(Registered::table);
        let found = find_registered(requested, registered, |table| table.meta(), is_of_types)?;
        found.map(|index| self.id_of(index, &requested.name)).transpose()
    }

    /// The maps of a new table: empty, or with what was restored under its name.
    pub(super) fn maps_of<N, S, NC, SC>(
        &mut self,
        meta: &StateMeta,
        codec: TypedEntryCodec<C, NC, SC>,
    ) -> Result<Maps<K, N, S>, StateError>
    where
        N: StateKey,
        S: StateValue,
        NC: Codec<N>,
        SC: SlotCodec<S> + Clone,
    {
        let shape = Shape {
            key_group_count: usize::from(self.key_groups.count()),
            max_segment_entries: self.max_segment_entries,
        };
        let mut maps = match self.map {
            StateMapKind::CopyOnWrite if is_shared::<K, N, S>() => {
                Maps::shared(shape, Arc::new(codec.clone()))
            }
            StateMapKind::CopyOnWrite => Maps::inline(shape, Arc::new(codec.clone())),
            StateMapKind::Nested => Maps::nested(shape, Arc::new(codec.clone())),
        };
        let Some(restored) = self.restored.get(&meta.name) else { return Ok(maps) };
        let migrating = resolve_restored::<N, S, _, _>(meta, &codec, restored)?.map(Arc::from);
        let is_migrated = migrating.is_some();
        let moment = self.moment;
        let reader = TypedEntryReader { codec, migrating };
        let filling = Filling {
            state: Arc::from(meta.name.as_str()),
            raw: &restored.raw,
            key_groups: self.key_groups,
            hashers: &self.hashers,
            assigner: self.spec.assigner,
            max_parallelism: self.spec.parallelism.max(),
            is_lazy: self.is_lazy,
            is_migrated,
            moment,
        };
        match &mut maps {
            Maps::Inline(table) => filling.fill(table, &(Arc::new(reader) as Arc<_>))?,
            Maps::Shared(table) => filling.fill(table, &(Arc::new(reader) as Arc<_>))?,
            Maps::Nested(maps, _) => filling.fill_nested(maps, &(Arc::new(reader) as Arc<_>))?,
        }
        Ok(maps)
    }

    pub(super) fn id_of(&self, index: usize, name: &str) -> Result<StateId, StateError> {
        state_id(self.number, index, self.restored.len(), name)
    }
}

/// Kind and codecs of a restored state must fit; a decoder is given when values must migrate.
fn resolve_restored<N, S, NC, SC>(
    requested: &StateMeta,
    codec: &TypedEntryCodec<impl Clone, NC, SC>,
    restored: &RestoredState,
) -> Result<Option<Box<dyn Decode<S>>>, StateError>
where
    N: StateKey,
    S: StateValue,
    NC: Codec<N>,
    SC: SlotCodec<S>,
{
    check_restored(requested, &codec.namespace, &restored.meta)?;
    match codec.slot.resolve(&restored.meta.value) {
        Compatibility::AsIs => Ok(None),
        Compatibility::AfterMigration(decoder) => Ok(Some(decoder)),
        _ => Err(incompatible_values(requested, &restored.meta)),
    }
}
