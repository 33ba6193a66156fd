//! Ordered numbers: big endian, with the sign inverted.
//!
//! Fields: an integer has its bytes, highest first; of a signed one the highest bit is inverted. A
//! float has the bits of IEEE 754, highest byte first; the highest bit of a positive one is inverted,
//! and all bits of a negative one.
//!
//! Source: SPEC 5.5; the total order of IEEE 754-2008 section 5.10.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use super::{HasOrderedCodec, OrderedCodec};
use crate::CodecError;
use crate::codec::{Codec, CodecSnapshot, Compatibility, Input, sealed};

/// Codec of an integer whose bytes are in the order of the numbers. That of `u8` is the plain one.
#[derive(Debug)]
pub struct OrderedNumberCodec<T>(PhantomData<fn() -> T>);

impl<T> Default for OrderedNumberCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for OrderedNumberCodec<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> sealed::Sealed for OrderedNumberCodec<T> {}
impl<T> sealed::Ordered for OrderedNumberCodec<T> {}

macro_rules! ordered_number {
    ($type:ident $name:literal: $($narrower:ident),*) => {
        impl Codec<$type> for OrderedNumberCodec<$type> {
            fn snapshot(&self) -> CodecSnapshot {
                CodecSnapshot::plain($name)
            }

            #[inline]
            fn encode(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), CodecError> {
                // The least number is the sign bit of a signed type, and 0 of an unsigned one.
                out.extend_from_slice(&(value ^ $type::MIN).to_be_bytes());
                Ok(())
            }

            #[inline]
            fn decode(&self, input: &mut Input<'_>) -> Result<$type, CodecError> {
                Ok($type::from_be_bytes(input.array($name)?) ^ $type::MIN)
            }

            fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<$type> {
                $(
                    let narrower = OrderedNumberCodec::<$narrower>::default();
                    if *stored == narrower.snapshot() {
                        return Compatibility::AfterMigration(Box::new(
                            move |input: &mut Input<'_>| narrower.decode(input).map($type::from),
                        ));
                    }
                )*
                Compatibility::of_equal(self.snapshot(), stored)
            }
        }

        impl OrderedCodec<$type> for OrderedNumberCodec<$type> {}

        impl HasOrderedCodec for $type {
            type Codec = OrderedNumberCodec<$type>;
        }
    };
}

ordered_number!(u8 "u8":);
ordered_number!(u16 "ordered_u16": u8);
ordered_number!(u32 "ordered_u32": u8, u16);
ordered_number!(u64 "ordered_u64": u8, u16, u32);
ordered_number!(u128 "ordered_u128": u8, u16, u32, u64);
ordered_number!(i8 "ordered_i8":);
ordered_number!(i16 "ordered_i16": i8, u8);
ordered_number!(i32 "ordered_i32": i8, i16, u8, u16);
ordered_number!(i64 "ordered_i64": i8, i16, i32, u8, u16, u32);
ordered_number!(i128 "ordered_i128": i8, i16, i32, i64, u8, u16, u32, u64);

/// Codec of a float in total order.
#[derive(Debug, Default, Clone)]
pub struct OrderedFloatCodec;

impl sealed::Sealed for OrderedFloatCodec {}
impl sealed::Ordered for OrderedFloatCodec {}

macro_rules! ordered_float {
    ($(#[$doc:meta])* $total:ident($float:ident as $bits:ident) $name:literal) => {
        $(#[$doc])*
        ///
        /// Its order is total: negative NaN, negative numbers, -0, +0, positive numbers, positive
        /// NaN; NaN of one sign are ordered by their bits. Numbers are equal when all their bits
        /// are, so -0 and +0 are two keys, and each NaN is one.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $total(pub $float);

        impl PartialEq for $total {
            fn eq(&self, other: &Self) -> bool {
                self.0.to_bits() == other.0.to_bits()
            }
        }

        impl Eq for $total {}

        impl PartialOrd for $total {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $total {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.total_cmp(&other.0)
            }
        }

        impl Hash for $total {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.to_bits().hash(state);
            }
        }

        impl From<$float> for $total {
            fn from(value: $float) -> Self {
                Self(value)
            }
        }

        impl Codec<$total> for OrderedFloatCodec {
            fn snapshot(&self) -> CodecSnapshot {
                CodecSnapshot::plain($name)
            }

            fn encode(&self, value: &$total, out: &mut Vec<u8>) -> Result<(), CodecError> {
                const SIGN: $bits = 1 << ($bits::BITS - 1);
                let bits = value.0.to_bits();
                let inverted = if bits & SIGN == 0 { SIGN } else { $bits::MAX };
                out.extend_from_slice(&(bits ^ inverted).to_be_bytes());
                Ok(())
            }

            fn decode(&self, input: &mut Input<'_>) -> Result<$total, CodecError> {
                const SIGN: $bits = 1 << ($bits::BITS - 1);
                let stored = $bits::from_be_bytes(input.array($name)?);
                let inverted = if stored & SIGN == 0 { $bits::MAX } else { SIGN };
                Ok($total($float::from_bits(stored ^ inverted)))
            }
        }

        impl OrderedCodec<$total> for OrderedFloatCodec {}

        impl HasOrderedCodec for $total {
            type Codec = OrderedFloatCodec;
        }
    };
}

ordered_float!(
    /// An `f32` that can be a key.
    TotalF32(f32 as u32) "ordered_f32"
);
ordered_float!(
    /// An `f64` that can be a key.
    TotalF64(f64 as u64) "ordered_f64"
);
