//! A registered state: its rows, and the codecs that its handles need.
//!
//! Invariants: the codecs of a table are those of its [`StateMeta`], and its rows were written by
//! them.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Extent, Input, read_count};
use alluvium_format::keyed::StateMeta;
use alluvium_state::{StateError, check_key_len};

use super::expiry::Expiry;
use super::row::{Row, Rows};

/// The value of a map state.
pub(super) type UserMap<UK, UV> = HashMap<UK, UV>;

/// The value of a sorted map state.
pub(super) type SortedUserMap<UK, UV> = BTreeMap<UK, UV>;

/// A state without its types.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) meta: StateMeta,
    pub(super) rows: Arc<Rows>,
}

/// A registered state.
pub(super) struct Table {
    pub(super) stored: Stored,
    /// `Box<dyn Coded<N>>`, of the namespace of the job.
    pub(super) namespace: Box<dyn Any + Send + Sync>,
    /// `Box<dyn Coded<V>>`, of the whole value.
    pub(super) value: Box<dyn Any + Send + Sync>,
    /// `ReduceFunction<T>`, or the aggregate function itself.
    pub(super) function: Option<Box<dyn Any + Send + Sync>>,
    /// What expires, if anything does.
    pub(super) expiry: Option<Expiry>,
}

/// A codec of which only the type of the values is known.
pub(super) trait Coded<T>: Send + Sync {
    fn to_bytes(&self, value: &T) -> Result<Vec<u8>, CodecError>;
    fn of_bytes(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

impl<T, C: Codec<T>> Coded<T> for C {
    fn to_bytes(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::new();
        self.encode(value, &mut bytes)?;
        Ok(bytes)
    }

    fn of_bytes(&self, bytes: &[u8]) -> Result<T, CodecError> {
        let mut input = Input::new(bytes);
        let value = self.decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

fn of_type<T: 'static>(codec: &(dyn Any + Send + Sync)) -> Result<&dyn Coded<T>, StateError> {
    let codec = codec.downcast_ref::<Box<dyn Coded<T>>>();
    codec.map(|codec| &**codec).ok_or(StateError::ForeignHandle)
}

impl Table {
    /// The function of the state.
    pub(super) fn function<F: 'static>(&self) -> Result<&F, StateError> {
        let function = self.function.as_deref().and_then(|function| function.downcast_ref());
        function.ok_or(StateError::ForeignHandle)
    }

    pub(super) fn encode_namespace<N: 'static>(
        &self,
        namespace: &N,
    ) -> Result<Vec<u8>, StateError> {
        let codec = of_type::<N>(&*self.namespace)?;
        let bytes = codec.to_bytes(namespace).map_err(|source| StateError::Key { source })?;
        check_key_len("namespace", bytes.len())?;
        Ok(bytes)
    }

    pub(super) fn decode_namespace<N: 'static>(&self, bytes: &[u8]) -> Result<N, StateError> {
        let namespace = of_type::<N>(&*self.namespace)?.of_bytes(bytes);
        namespace.map_err(|source| self.cannot_decode(source))
    }

    /// The value of a row.
    pub(super) fn get<V: 'static>(&self, row: &Row) -> Result<Option<V>, StateError> {
        let codec = of_type::<V>(&*self.value)?;
        let value = self.stored.rows.get(row).map(|bytes| codec.of_bytes(bytes)).transpose();
        value.map_err(|source| self.cannot_decode(source))
    }

    /// Sets the value of a row, or removes it.
    pub(super) fn set<V: 'static>(
        &mut self,
        row: Row,
        value: Option<&V>,
    ) -> Result<(), StateError> {
        let codec = of_type::<V>(&*self.value)?;
        let state = || self.stored.meta.name.clone();
        let encoded = value.map(|value| codec.to_bytes(value)).transpose();
        let encoded = encoded.map_err(|source| StateError::Encode { state: state(), source })?;
        match encoded {
            Some(bytes) => {
                self.check_user_keys(&bytes)?;
                self.rows_mut().insert(row, bytes);
            }
            None => drop(self.rows_mut().remove(&row)),
        }
        Ok(())
    }

    /// The user keys of a map may be so long as keys may.
    fn check_user_keys(&self, map: &[u8]) -> Result<(), StateError> {
        let Ok(Extent::Map(keys, values)) = Extent::of(&self.stored.meta.value) else {
            return Ok(());
        };
        let longest = || {
            let (mut input, mut longest) = (Input::new(map), 0);
            for _ in 0..read_count(&mut input)? {
                longest = longest.max(keys.take(&mut input)?.len());
                values.take(&mut input)?;
            }
            Ok(longest)
        };
        check_key_len("user key", longest().map_err(|source| self.cannot_decode(source))?)
    }

    /// The rows, copied first when something frozen shares them.
    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        Arc::make_mut(&mut self.stored.rows)
    }

    pub(super) fn cannot_decode(&self, source: CodecError) -> StateError {
        StateError::Decode { state: self.stored.meta.name.clone(), source }
    }
}
