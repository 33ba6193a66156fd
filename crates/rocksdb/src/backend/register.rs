//! Registering states: a new table, the one that is there, or one of restored rows.

use std::any::Any;

use alluvium_format::codec::{
    Codec, CodecSnapshot, Compatibility, MapCodec, OrderedCodec, VecCodec, stamped_part,
};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReduceFunction, ReducingStateDescriptor, SortedKey, SortedMapStateDescriptor, StateError,
    StateId, StateKey, StateValue, ValueStateDescriptor, check_restored, find_registered,
    incompatible_values, state_id,
};

use super::RocksDbKeyedStateBackend;
use super::kept::Kept;
use super::migrate::{self, ListMigration, Migration};
use super::table::{Boxed, Elements, Entries, Table, Values};
use crate::engine::Column;
use crate::row_format::RowFormat;

/// What a descriptor says, without the types of its values.
struct Request<NC, S, F> {
    name: String,
    kind: StateKind,
    namespace: NC,
    /// Codec of a whole value in a stream.
    value: CodecSnapshot,
    content: S,
    function: Option<Box<dyn Any + Send + Sync>>,
    /// What becomes of restored values.
    resolve: F,
}

/// Whether restored rows can be used.
pub(super) enum Answer {
    AsIs,
    AfterMigration(Migration),
    /// Lists are written whole: in the other layout, or with other elements where some may be missing.
    Anew(Option<ListMigration>),
    Incompatible,
}

impl Answer {
    fn of<T>(
        compatibility: Compatibility<T>,
        migration: impl FnOnce(Box<dyn alluvium_format::codec::Decode<T>>) -> Option<Migration>,
    ) -> Self {
        match compatibility {
            Compatibility::AsIs => Self::AsIs,
            Compatibility::AfterMigration(decoder) => {
                migration(decoder).map_or(Self::Incompatible, Self::AfterMigration)
            }
            _ => Self::Incompatible,
        }
    }
}

/// The answer of a codec of single values.
fn resolve_values<T: StateValue, VC: Codec<T>>(codec: VC) -> impl FnOnce(&Kept) -> Answer {
    move |kept| {
        Answer::of(codec.resolve(&kept.meta.value), |old| Some(migrate::of_values(old, codec)))
    }
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    pub(super) fn register_value<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
    ) -> Result<StateId, StateError> {
        let ValueStateDescriptor { name, value, namespace, .. } = descriptor;
        self.register_single::<T, _, N, _>(name, StateKind::Value, value, namespace, None)
    }

    pub(super) fn register_reducing<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
    ) -> Result<StateId, StateError> {
        let ReducingStateDescriptor { name, value, namespace, reduce, .. } = descriptor;
        let function: Box<dyn Any + Send + Sync> = Box::<ReduceFunction<T>>::new(reduce);
        let (kind, function) = (StateKind::Reducing, Some(function));
        self.register_single::<T, _, N, _>(name, kind, value, namespace, function)
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
        let (kind, function) = (StateKind::Aggregating, Some(function));
        self.register_single::<A::Accumulator, _, N, _>(
            name,
            kind,
            accumulator,
            namespace,
            function,
        )
    }

    fn register_single<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        name: String,
        kind: StateKind,
        codec: VC,
        namespace: NC,
        function: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<StateId, StateError> {
        let (value, content) = (codec.snapshot(), Values::<T>(Box::new(codec.clone())));
        let resolve = resolve_values::<T, VC>(codec);
        self.register::<N, _, _, _>(Request {
            name,
            kind,
            namespace,
            value,
            content,
            function,
            resolve,
        })
    }

    pub(super) fn register_list<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
    ) -> Result<StateId, StateError> {
        let ListStateDescriptor { name, element, namespace, layout, .. } = descriptor;
        let list = VecCodec(element.clone());
        let (kind, content) = (layout.kind(), Elements::<T>(Box::new(element.clone())));
        self.register::<N, _, _, _>(Request {
            name,
            kind,
            namespace,
            value: Codec::<Vec<T>>::snapshot(&list),
            content,
            function: None,
            resolve: move |kept: &Kept| {
                let compatibility: Compatibility<Vec<T>> = list.resolve(&kept.meta.value);
                let is_as_is = matches!(compatibility, Compatibility::AsIs);
                if kept.meta.kind == kind && (is_as_is || !has_stamped_rows(kept, kind, &element)) {
                    return Answer::of(compatibility, |old| migrate::of_lists(kept, old, element));
                }
                match compatibility {
                    Compatibility::AsIs => Answer::Anew(None),
                    Compatibility::AfterMigration(old) => {
                        Answer::Anew(Some(migrate::of_whole_lists(old, element)))
                    }
                    _ => Answer::Incompatible,
                }
            },
        })
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
        let codecs = MapCodec { keys: user_key, values: user_value };
        self.register_entries::<UK, UV, _, _, N, _>(name, StateKind::Map, codecs, namespace)
    }

    pub(super) fn register_sorted_map<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: SortedMapStateDescriptor<UK, UV, KC, VC, N, NC>,
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
        let codecs = MapCodec { keys: user_key, values: user_value };
        self.register_entries::<UK, UV, _, _, N, _>(name, StateKind::SortedMap, codecs, namespace)
    }

    /// Both sorts of maps have a row for each user key.
    fn register_entries<UK, UV, KC, VC, N, NC>(
        &mut self,
        name: String,
        kind: StateKind,
        map: MapCodec<KC, VC>,
        namespace: NC,
    ) -> Result<StateId, StateError>
    where
        UK: StateKey,
        UV: StateValue,
        KC: Codec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>,
    {
        let (keys, values) = (Box::new(map.keys.clone()), Box::new(map.values.clone()));
        let content = Entries::<UK, UV> { keys, values };
        let value = map.snapshot_of::<UK, UV>();
        let current = value.clone();
        self.register::<N, _, _, _>(Request {
            name,
            kind,
            namespace,
            value,
            content,
            function: None,
            resolve: move |kept: &Kept| {
                if current == kept.meta.value {
                    return Answer::AsIs;
                }
                let old = map.part_decoders::<UK, UV>(&kept.meta.value);
                let new = (map.keys, map.values);
                let migration = old.map(|old| migrate::of_maps(old, new));
                migration.map_or(Answer::Incompatible, Answer::AfterMigration)
            },
        })
    }

    fn register<N, NC, S, F>(&mut self, request: Request<NC, S, F>) -> Result<StateId, StateError>
    where
        N: StateKey,
        NC: Codec<N>,
        S: Any + Send + Sync,
        F: FnOnce(&Kept) -> Answer,
    {
        let Request { name, kind, namespace, value, content, function, resolve } = request;
        let meta = StateMeta { name, kind, namespace: namespace.snapshot(), value };
        let function_type = function.as_deref().map(Any::type_id);
        if let Some(id) =
            self.find_registered(&meta, |table| table.is_of_types::<N, S>(function_type))?
        {
            return Ok(id);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let answer = match self.kept.get(&meta.name) {
            Some(kept) => Some(check_kept::<N, NC>(&meta, &namespace, kept, resolve)?),
            None => None,
        };
        let (format, column) = self.take_column(&meta, answer)?;
        let namespace: Boxed<N> = Box::new(namespace);
        let (namespace, content) = (Box::new(namespace), Box::new(content));
        self.tables.push(Table { meta, format, column, namespace, content, function });
        Ok(id)
    }

    /// The state that has this name already; it must be the same.
    pub(super) fn find_registered(
        &self,
        meta: &StateMeta,
        is_of_types: impl FnOnce(&Table) -> bool,
    ) -> Result<Option<StateId>, StateError> {
        let found = find_registered(meta, &self.tables, |table| &table.meta, is_of_types)?;
        found.map(|index| self.id_of(index, &meta.name)).transpose()
    }

    /// The column of a new table: an empty one, or the rows of a restored state, written anew if
    /// they must be.
    pub(super) fn take_column(
        &mut self,
        meta: &StateMeta,
        answer: Option<Answer>,
    ) -> Result<(RowFormat, Column), StateError> {
        match answer {
            Some(Answer::AfterMigration(migration)) => {
                self.write_anew(meta, |backend, kept, (_, column)| {
                    let key_groups = backend.key_groups;
                    migrate::migrate(&backend.store, kept, key_groups, &migration, column)
                })
            }
            Some(Answer::Anew(migration)) => self.write_anew(meta, |backend, kept, into| {
                let (store, key_groups) = (&backend.store, backend.key_groups);
                migrate::lay_out(store, kept, key_groups, migration.as_ref(), into)
            }),
            _ => {
                if let Some(kept) = self.kept.remove(&meta.name) {
                    return Ok((kept.format, kept.column));
                }
                let format = self.format_of(meta)?;
                let column = self.create_column(meta, &format)?;
                Ok((format, column))
            }
        }
    }

    /// Writes the rows of a restored state into a column family of its own. When that fails, the
    /// state is as it was.
    fn write_anew(
        &mut self,
        meta: &StateMeta,
        write: impl FnOnce(&Self, &Kept, (&RowFormat, &Column)) -> Result<(), StateError>,
    ) -> Result<(RowFormat, Column), StateError> {
        let format = self.format_of(meta)?;
        let column = self.create_column(meta, &format)?;
        if let Some(kept) = self.kept.get(&meta.name)
            && let Err(error) = write(self, kept, (&format, &column))
        {
            column.drop_family();
            return Err(error);
        }
        if let Some(old) = self.kept.remove(&meta.name) {
            // Frozen states still read it.
            old.column.drop_family();
        }
        Ok((format, column))
    }

    pub(super) fn id_of(&self, index: usize, name: &str) -> Result<StateId, StateError> {
        state_id(self.number, index, self.kept.len(), name)
    }
}

/// Whether the rows of a long list have stamps, or get them.
fn has_stamped_rows<T>(kept: &Kept, kind: StateKind, element: &impl Codec<T>) -> bool {
    let is_stamped = stamped_part(&element.snapshot()).is_some() || kept.format.expiry.is_some();
    kind == StateKind::LongList && is_stamped
}

/// Kind and codecs of a restored state must fit.
pub(super) fn check_kept<N: StateKey, NC: Codec<N>>(
    requested: &StateMeta,
    namespace: &NC,
    kept: &Kept,
    resolve: impl FnOnce(&Kept) -> Answer,
) -> Result<Answer, StateError> {
    check_restored(requested, namespace, &kept.meta)?;
    match resolve(kept) {
        Answer::Incompatible => Err(incompatible_values(requested, &kept.meta)),
        answer => Ok(answer),
    }
}
