//! Codecs (type serializers): from a value to bytes and back.
//!
//! A [`Codec`] writes values of one type. Its [`CodecSnapshot`] is stored beside the bytes, and a
//! later codec of the same state answers with a [`Compatibility`] whether it can read them.
//! [`HasCodec`] names the codec that a type gets when none is given. The bytes of an [`OrderedCodec`]
//! compare as its values do.
//!
//! A codec is fixed by this crate ([`Codec`] is sealed), so that any reader can tell where a value
//! ends from the snapshot alone. Types of the user come in by [`PostcardCodec`] (anything `serde`
//! knows; [`VersionedCodec`] for types with a chain of versions) or by [`UserCodec`] (their own
//! bytes); all are framed with a length.
//!
//! Invariants:
//! - `decode(encode(v)) == v`, and `decode` consumes exactly what `encode` wrote;
//! - equal snapshots mean equal bytes, in every version of this crate.
//!
//! Source: SPEC 5; Flink `TypeSerializer`, `TypeSerializerSnapshot`.

mod compound;
mod encoded;
mod extent;
mod fixed;
mod input;
mod number;
mod ordered;
mod postcard;
mod snapshot;
mod text;
mod ttl;
mod user;
mod versioned;

pub use compound::{MapCodec, OptionCodec, TupleCodec, UnitCodec, VecCodec};
pub use compound::{decode_entries, encode_checked_entries, encode_entries, encode_items};
pub use encoded::{Encoded, EncodedCodec, OrderedEncodedCodec};
pub use extent::{Extent, MAX_EMPTY_ITEMS, read_count};
pub use fixed::FixedBytesCodec;
pub use input::Input;
pub use number::{BoolCodec, NumberCodec};
pub use ordered::{
    Ascending, DefaultOrderedCodec, HasOrderedCodec, OrderedBytesCodec, OrderedCodec,
    OrderedFloatCodec, OrderedNumberCodec, OrderedStringCodec, TotalF32, TotalF64,
    decode_sorted_entries, is_ordered,
};
pub use postcard::PostcardCodec;
pub use snapshot::{CodecSnapshot, MAX_SNAPSHOT_DEPTH};
pub use text::{BytesCodec, StringCodec};
pub use ttl::{Stamped, TtlCodec, stamped_part, take_stamp};
pub use user::{Framed, UserCodec};
pub use versioned::{NoVersion, PreviousVersion, Versioned, VersionedCodec};

use std::fmt::Debug;

use crate::CodecError;

pub(crate) mod sealed {
    /// Keeps [`super::Codec`] to this crate.
    pub trait Sealed {}
    /// Keeps [`super::OrderedCodec`] to this crate.
    pub trait Ordered {}
}

/// Writes and reads values of one type.
pub trait Codec<T>: sealed::Sealed + Clone + Debug + Send + Sync + 'static {
    /// What to store beside the bytes.
    fn snapshot(&self) -> CodecSnapshot;

    /// Appends a value.
    ///
    /// Errors: [`CodecError::TooLarge`], [`CodecError::Serde`], [`CodecError::User`].
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// What [`Codec::encode`] appends, where that is eight bytes for any value: the keys of many jobs are
    /// numbers, and their key groups are computed for each record.
    #[inline]
    fn eight_bytes(&self, _value: &T) -> Option<[u8; 8]> {
        None
    }

    /// A byte of the memory that [`Codec::encode`] reads first, or nothing in particular.
    ///
    /// Values that lie far apart are waited for one after the other when they are encoded one after the
    /// other. Where many are touched first, a processor fetches them side by side.
    #[inline]
    fn touch(&self, _value: &T) -> u8 {
        0
    }

    /// Reads one value and leaves the input behind it.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`] and those of user types.
    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError>;

    /// Reads so many values, one after the other; in front of an error, those that came before it.
    /// Memory is taken for what the input has, whatever the count.
    ///
    /// Errors: as [`Codec::decode`].
    fn decode_many(
        &self,
        count: u64,
        input: &mut Input<'_>,
        out: &mut Vec<T>,
    ) -> Result<(), CodecError> {
        for _ in 0..count {
            out.push(self.decode(input)?);
        }
        Ok(())
    }

    /// Whether values written with a stored codec can be read. Every codec reads what it can read
    /// also where it was stored with stamps ([`TtlCodec`]), which it drops.
    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<T>
    where
        T: 'static,
    {
        match stamped_part(stored) {
            Some(part) if stamped_part(&self.snapshot()).is_none() => {
                ttl::without_stamp(self, part, stored)
            }
            _ => self.resolve_same(stored),
        }
    }

    /// [`Codec::resolve`], but for stamps that it drops.
    #[doc(hidden)]
    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T>
    where
        T: 'static,
    {
        Compatibility::of_equal(self.snapshot(), stored)
    }
}

/// Reads values of one type; the half of a codec that migration needs.
pub trait Decode<T>: Send + Sync {
    /// Reads one value and leaves the input behind it.
    ///
    /// Errors: as [`Codec::decode`].
    fn decode_value(&self, input: &mut Input<'_>) -> Result<T, CodecError>;
}

impl<T, F> Decode<T> for F
where
    F: Fn(&mut Input<'_>) -> Result<T, CodecError> + Send + Sync,
{
    fn decode_value(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        self(input)
    }
}

/// Whether stored values can be read with a codec.
#[non_exhaustive]
pub enum Compatibility<T> {
    /// The bytes are those that the codec writes.
    AsIs,
    /// The values can be read by this decoder and are written anew by the codec.
    AfterMigration(Box<dyn Decode<T>>),
    /// The values cannot be read.
    Incompatible {
        /// What the bytes were written with.
        stored: Box<CodecSnapshot>,
        /// What they should be read with.
        current: Box<CodecSnapshot>,
    },
}

impl<T> Compatibility<T> {
    /// As is when both snapshots are equal, otherwise incompatible.
    pub(crate) fn of_equal(current: CodecSnapshot, stored: &CodecSnapshot) -> Self {
        if current == *stored { Self::AsIs } else { Self::incompatible(current, stored) }
    }

    pub(crate) fn incompatible(current: CodecSnapshot, stored: &CodecSnapshot) -> Self {
        let (stored, current) = (Box::new(stored.clone()), Box::new(current));
        Self::Incompatible { stored, current }
    }

    /// One word for logs and messages.
    pub const fn answer(&self) -> &'static str {
        match self {
            Self::AsIs => "as is",
            Self::AfterMigration(_) => "after migration",
            Self::Incompatible { .. } => "incompatible",
        }
    }
}

impl<T> Debug for Compatibility<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.answer())
    }
}

/// A decoder of stored values: the codec itself, or a migrating one.
///
/// Errors: [`CodecError::Incompatible`].
pub fn decoder_for<T: 'static, C: Codec<T>>(
    codec: &C,
    stored: &CodecSnapshot,
) -> Result<Box<dyn Decode<T>>, CodecError> {
    match codec.resolve(stored) {
        Compatibility::AsIs => {
            let codec = codec.clone();
            Ok(Box::new(move |input: &mut Input<'_>| codec.decode(input)))
        }
        Compatibility::AfterMigration(decoder) => Ok(decoder),
        Compatibility::Incompatible { stored, current } => {
            Err(CodecError::Incompatible { stored, current })
        }
    }
}

/// The codec that a type names itself ([`HasCodec`]); descriptors use it when none is given.
#[derive(Debug, Default, Clone, Copy)]
pub struct DefaultCodec;

impl sealed::Sealed for DefaultCodec {}

impl<T: HasCodec> Codec<T> for DefaultCodec {
    fn snapshot(&self) -> CodecSnapshot {
        T::Codec::default().snapshot()
    }

    #[inline]
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        T::Codec::default().encode(value, out)
    }

    #[inline]
    fn touch(&self, value: &T) -> u8 {
        T::Codec::default().touch(value)
    }

    #[inline]
    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        T::Codec::default().decode(input)
    }

    #[inline]
    fn decode_many(
        &self,
        count: u64,
        input: &mut Input<'_>,
        out: &mut Vec<T>,
    ) -> Result<(), CodecError> {
        T::Codec::default().decode_many(count, input, out)
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T> {
        T::Codec::default().resolve_same(stored)
    }
}

/// A type with a codec of its own: all numbers, `bool`, `String`, [`bytes::Bytes`], `[u8; N]`,
/// `()`, `Option`, `Vec`, maps and tuples of them.
pub trait HasCodec: Sized + 'static {
    /// The codec.
    type Codec: Codec<Self> + Default;
}

#[cfg(test)]
mod tests;
