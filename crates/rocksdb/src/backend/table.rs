//! A registered state: its column family and the codecs of its parts.
//!
//! Tables of different types live in one backend. A handle knows the types of its state and not
//! their codecs, so codecs are kept behind [`Coded`], and are found again by type.

use std::any::{Any, TypeId};

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::keyed::StateMeta;
use alluvium_state::{StateError, StateKey, StateValue, check_key_len};

use crate::engine::Column;
use crate::row_format::RowFormat;
use crate::row_key::{RowKeyParts, RowRange};
use crate::store::Store;
use alluvium_format::codec::read_count;

/// A codec whose own type is forgotten.
pub(super) trait Coded<T>: Send + Sync {
    fn put(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;
    fn take(&self, input: &mut Input<'_>) -> Result<T, CodecError>;
    /// Takes values of the groups of a list ([`crate::list_row`]), `room` at most; `left` of the
    /// group at hand are still to come. Those before an error stay in `out`.
    fn take_groups(
        &self,
        left: &mut u64,
        room: usize,
        input: &mut Input<'_>,
        out: &mut Vec<T>,
    ) -> Result<(), CodecError>;
}

impl<T, C: Codec<T>> Coded<T> for C {
    fn put(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode(value, out)
    }

    fn take(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        self.decode(input)
    }

    fn take_groups(
        &self,
        left: &mut u64,
        room: usize,
        input: &mut Input<'_>,
        out: &mut Vec<T>,
    ) -> Result<(), CodecError> {
        while out.len() < room && (*left > 0 || !input.is_empty()) {
            if *left == 0 {
                *left = match input.rest() {
                    // Most groups are short.
                    [short @ ..0x80, ..] => {
                        input.array::<1>("list")?;
                        u64::from(*short)
                    }
                    _ => read_count(input)?,
                };
                continue;
            }
            let count = (*left).min((room - out.len()) as u64);
            let before = out.len();
            let outcome = self.decode_many(count, input, out);
            *left -= (out.len() - before) as u64;
            outcome?;
        }
        Ok(())
    }
}

/// A codec in a table.
pub(super) type Boxed<T> = Box<dyn Coded<T>>;

/// The codec of a value, reducing or aggregating state.
pub(super) struct Values<T>(pub(super) Boxed<T>);

/// The codec of the elements of a list state.
pub(super) struct Elements<T>(pub(super) Boxed<T>);

/// The codecs of a map state.
pub(super) struct Entries<UK, UV> {
    pub(super) keys: Boxed<UK>,
    pub(super) values: Boxed<UV>,
}

/// One registered state.
pub(super) struct Table {
    pub(super) meta: StateMeta,
    pub(super) format: RowFormat,
    pub(super) column: Column,
    /// A [`Boxed`] codec of the namespaces.
    pub(super) namespace: Box<dyn Any + Send + Sync>,
    /// [`Values`], [`Elements`] or [`Entries`].
    pub(super) content: Box<dyn Any + Send + Sync>,
    /// The function of a reducing or aggregating state.
    pub(super) function: Option<Box<dyn Any + Send + Sync>>,
}

impl Table {
    /// The codecs of the content, if they are for these types.
    #[inline]
    pub(super) fn content<S: Any>(&self) -> Result<&S, StateError> {
        self.content.downcast_ref().ok_or(StateError::ForeignHandle)
    }

    /// The function of the state, if it is of this type.
    pub(super) fn function<F: Any>(&self) -> Result<&F, StateError> {
        let function = self.function.as_deref().and_then(|function| function.downcast_ref());
        function.ok_or(StateError::ForeignHandle)
    }

    /// Whether namespace, content and function have the types of a request.
    pub(super) fn is_of_types<N: StateKey, S: Any>(&self, function: Option<TypeId>) -> bool {
        self.namespace.is::<Boxed<N>>()
            && self.content.is::<S>()
            && self.function.as_deref().map(Any::type_id) == function
    }

    /// Appends a namespace.
    #[inline]
    pub(super) fn put_namespace<N: StateKey>(
        &self,
        namespace: &N,
        row: &mut Vec<u8>,
    ) -> Result<(), StateError> {
        let codec = self.namespace.downcast_ref::<Boxed<N>>().ok_or(StateError::ForeignHandle)?;
        let before = row.len();
        codec.put(namespace, row).map_err(|source| StateError::Key { source })?;
        check_key_len("namespace", row.len() - before)
    }

    /// Decodes all of some bytes.
    pub(super) fn decode<T: StateValue>(
        &self,
        codec: &dyn Coded<T>,
        bytes: &[u8],
    ) -> Result<T, StateError> {
        let mut input = Input::new(bytes);
        let value = codec.take(&mut input).map_err(self.decode_error())?;
        input.finish().map_err(self.decode_error())?;
        Ok(value)
    }

    pub(super) fn decode_error(&self) -> impl Fn(CodecError) -> StateError + '_ {
        |source| StateError::Decode { state: self.meta.name.clone(), source }
    }

    pub(super) fn encode_error(&self) -> impl Fn(CodecError) -> StateError + '_ {
        |source| StateError::Encode { state: self.meta.name.clone(), source }
    }

    /// Visits each pair of key and namespace that has something, once.
    pub(super) fn for_each_pair(
        &self,
        store: &Store,
        range: RowRange,
        mut visit: impl FnMut(RowKeyParts<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut rows = store.rows(&self.column, range)?;
        // All rows of a pair, and no others, begin with its prefix.
        let mut last = Vec::new();
        while let Some((row, _)) = rows.row()? {
            if last.is_empty() || !row.starts_with(&last) {
                let parts = self.format.keys.split(row).map_err(self.decode_error())?;
                // A long list without its header has expired.
                if !self.format.is_long_list() || parts.user_key.is_empty() {
                    visit(parts)?;
                }
                last.clear();
                last.extend_from_slice(parts.prefix);
                if self.format.is_long_list() {
                    rows.skip_prefix(&last);
                    continue;
                }
            }
            rows.advance();
        }
        Ok(())
    }
}
