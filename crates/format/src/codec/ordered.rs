//! Ordered codecs: the bytes of two values compare as the values do.
//!
//! Bytes are compared as unsigned bytes, a prefix first. The user keys of sorted maps are written so:
//! an engine that keeps rows in the order of their bytes keeps them in the order of the keys.
//!
//! Ladder of names: [`OrderedCodec`] (what it promises) > [`HasOrderedCodec`] (the ordered codec
//! that a type has itself) > [`DefaultOrderedCodec`] (that one, wherever a codec is asked for).
//!
//! Invariants:
//! - `a < b` as values if and only if `encode(a) < encode(b)` as bytes, by the `Ord` of the type;
//! - no encoding is a proper prefix of another one of the same codec;
//! - what else [`Codec`] promises holds as well.
//!
//! Source: SPEC 5.5; the tuple layer of `FoundationDB` for what it is for.

mod number;
mod text;

pub use number::{OrderedFloatCodec, OrderedNumberCodec, TotalF32, TotalF64};
pub use text::{OrderedBytesCodec, OrderedStringCodec};

use super::{
    BoolCodec, Codec, CodecSnapshot, Compatibility, FixedBytesCodec, HasCodec, Input, OptionCodec,
    TupleCodec, UnitCodec, sealed,
};
use crate::CodecError;

/// A codec whose bytes compare as its values do, and never begin with those of another value.
pub trait OrderedCodec<T: Ord>: Codec<T> + sealed::Ordered {}

/// The ordered codec that a type names itself ([`HasOrderedCodec`]); descriptors of sorted maps use
/// it when none is given.
#[derive(Debug, Default, Clone, Copy)]
pub struct DefaultOrderedCodec;

/// A type with an ordered codec of its own: all integers, `bool`, `String`, `Vec<u8>`,
/// [`bytes::Bytes`], `[u8; N]`, `()`, [`TotalF32`], [`TotalF64`], `Option` and tuples of them.
pub trait HasOrderedCodec: Ord + Sized + 'static {
    /// The codec.
    type Codec: OrderedCodec<Self> + Default;
}

impl sealed::Sealed for DefaultOrderedCodec {}
impl sealed::Ordered for DefaultOrderedCodec {}

impl<T: HasOrderedCodec> Codec<T> for DefaultOrderedCodec {
    fn snapshot(&self) -> CodecSnapshot {
        T::Codec::default().snapshot()
    }

    #[inline]
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        T::Codec::default().encode(value, out)
    }

    #[inline]
    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        T::Codec::default().decode(input)
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T> {
        T::Codec::default().resolve_same(stored)
    }
}

impl<T: HasOrderedCodec> OrderedCodec<T> for DefaultOrderedCodec {}

/// Codecs whose own bytes are in order already.
macro_rules! ordered_as_it_is {
    ($($type:ty: $codec:ty),*) => {$(
        impl sealed::Ordered for $codec {}
        impl OrderedCodec<$type> for $codec {}
        impl HasOrderedCodec for $type {
            type Codec = $codec;
        }
    )*};
}

ordered_as_it_is!(bool: BoolCodec, (): UnitCodec);

impl<const N: usize> sealed::Ordered for FixedBytesCodec<N> {}
impl<const N: usize> OrderedCodec<[u8; N]> for FixedBytesCodec<N> {}
impl<const N: usize> HasOrderedCodec for [u8; N] {
    type Codec = FixedBytesCodec<N>;
}

impl<C: sealed::Ordered> sealed::Ordered for OptionCodec<C> {}
impl<T: Ord + 'static, C: OrderedCodec<T>> OrderedCodec<Option<T>> for OptionCodec<C> {}
impl<T: HasOrderedCodec> HasOrderedCodec for Option<T> {
    type Codec = OptionCodec<T::Codec>;
}

macro_rules! ordered_tuple {
    ($($field:ident $codec:ident),*) => {
        impl<$($codec: sealed::Ordered),*> sealed::Ordered for TupleCodec<($($codec,)*)> {}
        impl<$($field: Ord + 'static,)* $($codec: OrderedCodec<$field>,)*>
            OrderedCodec<($($field,)*)> for TupleCodec<($($codec,)*)> {}
        impl<$($field: HasOrderedCodec),*> HasOrderedCodec for ($($field,)*) {
            type Codec = TupleCodec<($($field::Codec,)*)>;
        }
    };
}

ordered_tuple!(A CA, B CB);
ordered_tuple!(A CA, B CB, C CC);
ordered_tuple!(A CA, B CB, C CC, D CD);
ordered_tuple!(A CA, B CB, C CC, D CD, E CE);
ordered_tuple!(A CA, B CB, C CC, D CD, E CE, F CF);

/// Whether a stored codec is one whose bytes are in the order of its values.
pub fn is_ordered(snapshot: &CodecSnapshot) -> bool {
    let name = snapshot.name.as_str();
    match name {
        "u8" | "bool" | "unit" | "fixed_bytes" => true,
        "option" | "tuple" => snapshot.children.iter().all(is_ordered),
        _ => name.starts_with("ordered_"),
    }
}

/// Reads the entries of a sorted map, which come in the order of the bytes of their keys.
///
/// Errors: [`CodecError::Invalid`] for a key that is not above the one before, and those of the
/// parts.
pub fn decode_sorted_entries<K, V>(
    keys: impl Fn(&mut Input<'_>) -> Result<K, CodecError>,
    values: impl Fn(&mut Input<'_>) -> Result<V, CodecError>,
    input: &mut Input<'_>,
    mut push: impl FnMut(K, V),
) -> Result<(), CodecError> {
    let mut ascending = Ascending::default();
    for _ in 0..super::compound::decode_count(input, Ascending::WHAT)? {
        let (offset, before) = (input.offset(), input.rest());
        let key = keys(input)?;
        let encoded = before.get(..before.len() - input.rest().len()).unwrap_or_default();
        ascending.check(encoded, offset)?;
        push(key, values(input)?);
    }
    Ok(())
}

/// Looks at encoded user keys one after the other: each must be above the one before.
#[derive(Debug, Default)]
pub struct Ascending<'b> {
    last: Option<&'b [u8]>,
}

impl<'b> Ascending<'b> {
    const WHAT: &'static str = "sorted map";

    /// Takes the next one, which stands at an offset of the input.
    ///
    /// Errors: [`CodecError::Invalid`].
    pub fn check(&mut self, encoded: &'b [u8], offset: usize) -> Result<(), CodecError> {
        if self.last.is_some_and(|last| last >= encoded) {
            let reason = "the user keys are not in ascending order";
            return Err(CodecError::Invalid { what: Self::WHAT, offset, reason });
        }
        self.last = Some(encoded);
        Ok(())
    }
}

/// Types whose plain codec is the ordered one as well.
macro_rules! plain_too {
    ($($type:ty),*) => {$(
        impl HasCodec for $type {
            type Codec = <Self as HasOrderedCodec>::Codec;
        }
    )*};
}

plain_too!(TotalF32, TotalF64);

#[cfg(test)]
mod tests;
