//! Numbers: fixed width, little endian. A wider type of the same kind reads a narrower one after
//! migration.

use std::marker::PhantomData;

use super::{Codec, CodecSnapshot, Compatibility, HasCodec, Input, sealed::Sealed};
use crate::CodecError;

/// Codec of an integer or a float: its bytes, little endian.
///
/// Source: SPEC 5.2, `u8` to `f64`.
#[derive(Debug)]
pub struct NumberCodec<T>(PhantomData<fn() -> T>);

impl<T> Default for NumberCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for NumberCodec<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> Sealed for NumberCodec<T> {}

macro_rules! number {
    ($type:ident: $($narrower:ident),*) => {
        impl Codec<$type> for NumberCodec<$type> {
            fn snapshot(&self) -> CodecSnapshot {
                CodecSnapshot::plain(stringify!($type))
            }

            #[inline]
            fn encode(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), CodecError> {
                out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }

            #[inline]
            fn eight_bytes(&self, value: &$type) -> Option<[u8; 8]> {
                value.to_le_bytes().as_slice().try_into().ok()
            }

            #[inline]
            fn touch(&self, value: &$type) -> u8 {
                value.to_le_bytes().first().copied().unwrap_or_default()
            }

            #[inline]
            fn decode(&self, input: &mut Input<'_>) -> Result<$type, CodecError> {
                Ok($type::from_le_bytes(input.array(stringify!($type))?))
            }

            #[inline]
            fn decode_many(
                &self,
                count: u64,
                input: &mut Input<'_>,
                out: &mut Vec<$type>,
            ) -> Result<(), CodecError> {
                let arrays = input.arrays(count);
                out.extend(arrays.iter().map(|array| $type::from_le_bytes(*array)));
                // What is missing is missed by reading on.
                (arrays.len() as u64..count).try_for_each(|_| self.decode(input).map(drop))
            }

            fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<$type> {
                $(if *stored == CodecSnapshot::plain(stringify!($narrower)) {
                    return Compatibility::AfterMigration(Box::new(|input: &mut Input<'_>| {
                        let narrow = $narrower::from_le_bytes(input.array(stringify!($narrower))?);
                        Ok($type::from(narrow))
                    }));
                })*
                Compatibility::of_equal(self.snapshot(), stored)
            }
        }

        impl HasCodec for $type {
            type Codec = NumberCodec<$type>;
        }
    };
}

number!(u8:);
number!(u16: u8);
number!(u32: u8, u16);
number!(u64: u8, u16, u32);
number!(u128: u8, u16, u32, u64);
number!(i8:);
number!(i16: i8, u8);
number!(i32: i8, i16, u8, u16);
number!(i64: i8, i16, i32, u8, u16, u32);
number!(i128: i8, i16, i32, i64, u8, u16, u32, u64);
number!(f32:);
number!(f64: f32);

/// Codec of `bool`: one byte, 0 or 1.
#[derive(Debug, Default, Clone)]
pub struct BoolCodec;

impl Sealed for BoolCodec {}

impl Codec<bool> for BoolCodec {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::plain("bool")
    }

    fn encode(&self, value: &bool, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<bool, CodecError> {
        let offset = input.offset();
        match input.u8("bool")? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Invalid { what: "bool", offset, reason: "neither 0 nor 1" }),
        }
    }
}

impl HasCodec for bool {
    type Codec = BoolCodec;
}
