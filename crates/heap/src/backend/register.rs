//! Registering states: a new table, the one that is there, or one filled from restored blocks.

use std::any::Any;
use std::sync::Arc;

use alluvium_core::KeyGroup;
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Compatibility, Decode, MapCodec, VecCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReduceFunction, ReducingStateDescriptor, StateError, StateId, StateKey, StateValue,
    ValueStateDescriptor,
};

use super::restore::RestoredState;
use super::{HeapKeyedStateBackend, Registered, Views};
use crate::shared_list::{SharedList, SharedListCodec};
use crate::table::{AnyTable, Plain, SlotCodec, StateTable, TypedEntryCodec, probe};
use crate::user_map::{UserMap, UserMapCodec};

/// Longest name of a state, in bytes.
const MAX_NAME_LEN_BYTES: usize = 1024;

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
    ) -> Result<StateId, StateError> {
        let ValueStateDescriptor { name, value, namespace, .. } = descriptor;
        let (kind, slot, function) = (StateKind::Value, Plain(value), None);
        self.register::<N, T, _, _>(Request { name, kind, namespace, slot, function })
    }

    pub(super) fn register_list<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
    ) -> Result<StateId, StateError> {
        let ListStateDescriptor { name, element, namespace, .. } = descriptor;
        let (kind, slot, function) = (StateKind::List, SharedListCodec(VecCodec(element)), None);
        self.register::<N, SharedList<T>, _, _>(Request { name, kind, namespace, slot, function })
    }

    pub(super) fn register_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV, KC, VC, N, NC>,
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
        let slot = UserMapCodec { entries, hasher: self.hasher.clone() };
        let (kind, function) = (StateKind::Map, None);
        self.register::<N, UserMap<UK, UV>, _, _>(Request { name, kind, namespace, slot, function })
    }

    pub(super) fn register_reducing<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
    ) -> Result<StateId, StateError> {
        let ReducingStateDescriptor { name, value, namespace, reduce, .. } = descriptor;
        let function: Box<dyn Any + Send + Sync> = Box::<ReduceFunction<T>>::new(reduce);
        let (kind, slot, function) = (StateKind::Reducing, Plain(value), Some(function));
        self.register::<N, T, _, _>(Request { name, kind, namespace, slot, function })
    }

    pub(super) fn register_aggregating<A, VC, N, NC>(
        &mut self,
        descriptor: AggregatingStateDescriptor<A, VC, N, NC>,
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
        self.register::<N, A::Accumulator, _, _>(Request { name, kind, namespace, slot, function })
    }

    fn register<N, S, NC, SC>(&mut self, request: Request<NC, SC>) -> Result<StateId, StateError>
    where
        N: StateKey,
        S: StateValue,
        NC: Codec<N>,
        SC: SlotCodec<S> + Clone,
    {
        let Request { name, kind, namespace, slot, function } = request;
        if !(1..=MAX_NAME_LEN_BYTES).contains(&name.len()) {
            return Err(StateError::InvalidName { len_bytes: name.len() });
        }
        let (namespace_snapshot, value) = (namespace.snapshot(), slot.snapshot());
        let meta = StateMeta { name, kind, namespace: namespace_snapshot, value };
        let known = self.tables.iter().position(|known| known.table.meta().name == meta.name);
        if let Some(index) = known {
            let found = self.tables.get(index).map(|registered| &*registered.table);
            check_same::<K, N, S>(found, &meta, function.as_deref())?;
            return self.id_of(index, &meta.name);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let codec = TypedEntryCodec { key: self.spec.key.clone(), namespace, slot };
        let count = usize::from(self.key_groups.count());
        let mut table = StateTable::new(meta, self.map, count, Arc::new(codec.clone()), function);
        if let Some(restored) = self.restored.get(&table.meta().name) {
            self.fill(&mut table, &codec, restored)?;
        }
        self.restored.remove(&table.meta().name);
        let views = Views::<K, N> {
            exclusive: |table| Some(table.as_any_mut().downcast_mut::<StateTable<K, N, S>>()?),
            shared: |table| Some(table.as_any().downcast_ref::<StateTable<K, N, S>>()?),
        };
        self.tables.push(Registered { table: Box::new(table), namespaced: Box::new(views) });
        Ok(id)
    }

    fn id_of(&self, index: usize, name: &str) -> Result<StateId, StateError> {
        // The states that were restored and not registered need ids in the stream as well.
        let in_use = index + self.restored.len();
        match u16::try_from(index) {
            Ok(index) if in_use < usize::from(u16::MAX) => {
                Ok(StateId { backend: self.number, index })
            }
            _ => Err(StateError::TooManyStates { name: name.to_owned() }),
        }
    }

    /// Reads the restored blocks of a state into its new table.
    fn fill<N, S, NC, SC>(
        &self,
        table: &mut StateTable<K, N, S>,
        codec: &TypedEntryCodec<C, NC, SC>,
        restored: &RestoredState,
    ) -> Result<(), StateError>
    where
        N: StateKey,
        S: StateValue,
        NC: Codec<N>,
        SC: SlotCodec<S>,
    {
        let state = &table.meta().name.clone();
        let migrating = check_restored::<N, S, _, _>(table.meta(), codec, restored)?;
        for (group, (key_group, blocks)) in
            self.key_groups.iter().zip(&restored.raw.groups).enumerate()
        {
            for (count, block) in blocks {
                codec
                    .decode_block(*count, block, migrating.as_deref(), |key, n, slot, encoded| {
                        self.check_key_group(&key, encoded, key_group)?;
                        let probe = probe(&key, &n, &self.hasher);
                        if table.insert(group, probe, slot) {
                            Ok(())
                        } else {
                            Err(Refusal::Codec(CodecError::Invalid {
                                what: "block",
                                offset: 0,
                                reason: "a key comes twice",
                            }))
                        }
                    })
                    .map_err(|refusal| refusal.into_error(state, key_group))?;
            }
        }
        Ok(())
    }

    fn check_key_group(&self, key: &K, encoded: &[u8], expected: KeyGroup) -> Result<(), Refusal> {
        let found = self.spec.assigner.assign(key, encoded, self.spec.parallelism.max());
        if found == expected { Ok(()) } else { Err(Refusal::Misplaced(found)) }
    }
}

/// Why an entry is refused, before the state is named.
enum Refusal {
    Codec(CodecError),
    Misplaced(KeyGroup),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl Refusal {
    fn into_error(self, state: &str, expected: KeyGroup) -> StateError {
        let state = state.to_owned();
        match self {
            Self::Codec(source) => StateError::Decode { state, source },
            Self::Misplaced(found) => StateError::MisplacedKey { state, expected, found },
        }
    }
}

fn describe(meta: &StateMeta) -> String {
    format!("{} of {} with namespace {}", meta.kind, meta.value, meta.namespace)
}

/// A name that is registered already must be asked for with the same types.
fn check_same<K: StateKey, N: StateKey, S: StateValue>(
    found: Option<&dyn AnyTable<K>>,
    requested: &StateMeta,
    function: Option<&(dyn Any + Send + Sync)>,
) -> Result<(), StateError> {
    let same = found.is_some_and(|table| {
        let functions = table.function().map(Any::type_id) == function.map(Any::type_id);
        functions && table.meta() == requested && table.as_any().is::<StateTable<K, N, S>>()
    });
    if same {
        return Ok(());
    }
    let (mut registered, requested_as) =
        (found.map_or_else(String::new, |table| describe(table.meta())), describe(requested));
    if registered == requested_as {
        registered.push_str(" of other types");
    }
    let name = requested.name.clone();
    Err(StateError::NameReused { name, registered, requested: requested_as })
}

/// Kind and codecs of a restored state must fit; a decoder is given when values must migrate.
fn check_restored<N, S, NC, SC>(
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
    let state = requested.name.clone();
    let stored = &restored.meta;
    if stored.kind != requested.kind {
        let (stored, requested) = (stored.kind.to_string(), requested.kind.to_string());
        return Err(StateError::KindChanged { state, stored, requested });
    }
    // A namespace decides where an entry is found, so it can never be migrated.
    if !matches!(codec.namespace.resolve(&stored.namespace), Compatibility::AsIs) {
        let (stored, current) =
            (Box::new(stored.namespace.clone()), Box::new(requested.namespace.clone()));
        return Err(StateError::IncompatibleSchema { state, part: "namespace", stored, current });
    }
    match codec.slot.resolve(&stored.value) {
        Compatibility::AsIs => Ok(None),
        Compatibility::AfterMigration(decoder) => Ok(Some(decoder)),
        _ => {
            let (stored, current) =
                (Box::new(stored.value.clone()), Box::new(requested.value.clone()));
            Err(StateError::IncompatibleSchema { state, part: "value", stored, current })
        }
    }
}
