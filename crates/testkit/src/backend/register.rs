//! Registering states: the table that is there, or a new one, with what was restored under its name.
//!
//! Invariants: a registration that is refused changes nothing.

use std::any::Any;
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::Extent;
use alluvium_format::codec::{
    Codec, CodecSnapshot, Compatibility, DefaultCodec, Input, TupleCodec, decode_sorted_entries,
    decoder_for,
};
use alluvium_format::keyed::{StateKind, StateMeta, timer_namespace};
use alluvium_state::{StateError, StateId, StateKey, StateTtl};

use super::ModelKeyedStateBackend;
use super::expiry::{Expiry, Keep, Left};
use super::row::Rows;
use super::table::{Coded, Stored, Table};
use crate::mistake::Mistake;

/// Longest name of a state, in bytes.
const MAX_NAME_LEN_BYTES: usize = 1024;

/// What a descriptor says.
pub(super) struct Request<NC, VC, V> {
    pub(super) name: String,
    pub(super) kind: StateKind,
    /// Codec of the namespaces of the job, also of timers.
    pub(super) namespace: NC,
    /// Codec of the whole value.
    pub(super) value: VC,
    pub(super) function: Option<Box<dyn Any + Send + Sync>>,
    /// The time to live, and what it leaves of a value.
    pub(super) expiry: Option<(StateTtl, Left<V>)>,
}

impl<NC, VC, V> Request<NC, VC, V> {
    fn meta<N: StateKey>(&self) -> StateMeta
    where
        NC: Codec<N>,
        VC: Codec<V>,
    {
        let namespace = if self.kind == StateKind::Timers {
            let timer = TupleCodec((DefaultCodec, DefaultCodec, self.namespace.clone()));
            Codec::<(u8, i64, N)>::snapshot(&timer)
        } else {
            self.namespace.snapshot()
        };
        let value = self.value.snapshot();
        StateMeta { name: self.name.clone(), kind: self.kind, namespace, value }
    }
}

impl<K: StateKey, C: Codec<K>> ModelKeyedStateBackend<K, C> {
    pub(super) fn register<N, V, NC, VC>(
        &mut self,
        request: Request<NC, VC, V>,
    ) -> Result<StateId, StateError>
    where
        N: StateKey,
        V: 'static,
        NC: Codec<N>,
        VC: Codec<V>,
    {
        let meta = request.meta::<N>();
        let len_bytes = meta.name.len();
        let is_allowed = (1..=MAX_NAME_LEN_BYTES).contains(&len_bytes);
        if !is_allowed && !self.makes(Mistake::AnyNameAccepted) {
            return Err(StateError::InvalidName { len_bytes });
        }
        if let Some(id) = self.find::<N, V>(&meta, request.function.as_deref())? {
            return Ok(id);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let stored = match self.restored_name(&meta.name) {
            Some(name) => self.take_restored(&name, meta, &request)?,
            None => Stored { meta, rows: Arc::default() },
        };
        let codec = request.value.clone();
        let expiry = request.expiry.map(|(ttl, left)| {
            let left = move |bytes: &[u8], keep: Keep<'_>| {
                let left = left(codec.of_bytes(bytes)?, keep);
                left.map(|value| codec.to_bytes(&value)).transpose()
            };
            Expiry { ttl, left: Box::new(left) }
        });
        let namespace: Box<dyn Coded<N>> = Box::new(request.namespace);
        let value: Box<dyn Coded<V>> = Box::new(request.value);
        let (namespace, value, function) = (Box::new(namespace), Box::new(value), request.function);
        self.tables.push(Table { stored, namespace, value, function, expiry });
        Ok(id)
    }

    /// The state that has this name already; it must be the same.
    fn find<N: 'static, V: 'static>(
        &self,
        meta: &StateMeta,
        function: Option<&(dyn Any + Send + Sync)>,
    ) -> Result<Option<StateId>, StateError> {
        let known = self.tables.iter().position(|table| table.stored.meta.name == meta.name);
        let found = known.and_then(|index| Some((index, self.tables.get(index)?)));
        let Some((index, table)) = found else { return Ok(None) };
        if self.makes(Mistake::RegisteredTwice) {
            return Ok(None);
        }
        let same_function =
            table.function.as_deref().map(Any::type_id) == function.map(Any::type_id);
        let same_types = table.namespace.is::<Box<dyn Coded<N>>>()
            && table.value.is::<Box<dyn Coded<V>>>()
            && same_function;
        let is_same = table.stored.meta == *meta && same_types;
        if is_same || self.makes(Mistake::OtherTypesAccepted) {
            return self.id_of(index, &meta.name).map(Some);
        }
        let (mut registered, requested) = (describe(&table.stored.meta), describe(meta));
        if registered == requested {
            registered.push_str(" of other types");
        }
        Err(StateError::NameReused { name: meta.name.clone(), registered, requested })
    }

    fn id_of(&self, index: usize, name: &str) -> Result<StateId, StateError> {
        // The states that were restored and not registered need ids in the stream as well.
        let in_use = index + self.restored.len();
        match u16::try_from(index) {
            Ok(index) if in_use < usize::from(u16::MAX) => Ok(StateId::new(self.number, index)),
            _ => Err(StateError::TooManyStates { name: name.to_owned() }),
        }
    }

    fn restored_name(&self, name: &str) -> Option<String> {
        if self.makes(Mistake::StatesByPosition) {
            return self.restored.keys().next().cloned();
        }
        self.restored.contains_key(name).then(|| name.to_owned())
    }

    /// The rows of a restored state, which is compared with what is asked for; its values are
    /// decoded once and written by the codec of the descriptor.
    fn take_restored<N, V, NC, VC>(
        &mut self,
        name: &str,
        meta: StateMeta,
        request: &Request<NC, VC, V>,
    ) -> Result<Stored, StateError>
    where
        N: StateKey,
        V: 'static,
        NC: Codec<N>,
        VC: Codec<V>,
    {
        let refusal_loses_state = self.makes(Mistake::RefusalLosesState);
        let Some(found) = self.restored.get(name).cloned() else { unreachable!("it was found") };
        if refusal_loses_state {
            self.restored.remove(name);
        }
        let state = || name.to_owned();
        if !found.meta.kind.can_become(meta.kind) && !self.makes(Mistake::KindIgnored) {
            let (stored, requested) = (found.meta.kind.to_string(), meta.kind.to_string());
            return Err(StateError::KindChanged { state: state(), stored, requested });
        }
        let incompatible = |part, stored: &CodecSnapshot, current: &CodecSnapshot| {
            let (stored, current) = (Box::new(stored.clone()), Box::new(current.clone()));
            StateError::IncompatibleSchema { state: state(), part, stored, current }
        };
        // A namespace decides where an entry is found, so it can never be migrated.
        let namespace = match meta.kind {
            StateKind::Timers => timer_namespace(&found.meta),
            _ => Some(&found.meta.namespace),
        };
        let is_same = |stored| matches!(request.namespace.resolve(stored), Compatibility::AsIs);
        if !namespace.is_some_and(is_same) && !self.makes(Mistake::NamespaceCodecIgnored) {
            return Err(incompatible("namespace", &found.meta.namespace, &meta.namespace));
        }
        let stored_codec = match () {
            () if self.makes(Mistake::MigratedWithTheNewCodec) => &meta.value,
            () => &found.meta.value,
        };
        let Ok(decoder) = decoder_for(&request.value, stored_codec) else {
            if self.makes(Mistake::IncompatibleIsEmpty) {
                return Ok(Stored { meta, rows: Arc::default() });
            }
            return Err(incompatible("value", &found.meta.value, &meta.value));
        };
        let is_sorted = meta.kind == StateKind::SortedMap && !self.makes(Mistake::AnyOrderAccepted);
        let migrate = |bytes: &Vec<u8>| {
            if is_sorted {
                check_order(&found.meta.value, bytes)?;
            }
            let mut input = Input::new(bytes);
            let value = decoder.decode_value(&mut input)?;
            input.finish()?;
            request.value.to_bytes(&value)
        };
        let rows = found.rows.iter().map(|(row, value)| Ok((row.clone(), migrate(value)?)));
        let rows = rows.collect::<Result<Rows, _>>();
        let rows = rows.map_err(|source| StateError::Decode { state: state(), source })?;
        self.restored.remove(name);
        let value = match () {
            () if self.makes(Mistake::OldCodecWritten) => found.meta.value,
            () => meta.value,
        };
        Ok(Stored { meta: StateMeta { value, ..meta }, rows: Arc::new(rows) })
    }
}

/// The entries of a sorted map come in the order of their encoded user keys (SPEC 6.3).
fn check_order(map: &CodecSnapshot, bytes: &[u8]) -> Result<(), CodecError> {
    let Extent::Map(keys, values) = Extent::of(map)? else { return Ok(()) };
    let (keys, values) = (
        |input: &mut Input<'_>| keys.take(input).map(drop),
        |input: &mut Input<'_>| values.take(input).map(drop),
    );
    decode_sorted_entries(keys, values, &mut Input::new(bytes), |(), ()| {})
}

fn describe(meta: &StateMeta) -> String {
    format!("{} of {} with namespace {}", meta.kind, meta.value, meta.namespace)
}
