//! Ordered text and bytes: escaped, and ended by a byte of 0.
//!
//! Fields in order: the bytes, where 0 is written as 1 1, and 1 as 1 2; then 0.
//!
//! Invariants: the only 0 is the last byte, so the end is found without unescaping anything.
//!
//! Source: SPEC 5.5.

use bytes::Bytes;

use super::{HasOrderedCodec, OrderedCodec};
use crate::CodecError;
use crate::codec::{Codec, CodecSnapshot, Input, sealed};

/// Ends a value.
const END: u8 = 0;
/// Stands before a byte that may not stand alone, which is written one higher.
const ESCAPE: u8 = 1;

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 1);
    for byte in bytes {
        if *byte <= ESCAPE {
            out.push(ESCAPE);
        }
        out.push(if *byte <= ESCAPE { byte + 1 } else { *byte });
    }
    out.push(END);
}

fn take(input: &mut Input<'_>, what: &'static str) -> Result<Vec<u8>, CodecError> {
    let start = input.offset();
    let mut escaped = input.terminated(what)?.iter().enumerate();
    let mut bytes = Vec::with_capacity(escaped.len());
    while let Some((place, byte)) = escaped.next() {
        if *byte != ESCAPE {
            bytes.push(*byte);
        } else if let Some((_, written @ 1..=2)) = escaped.next() {
            bytes.push(written - 1);
        } else {
            let (offset, reason) = (start + place, "an escape before another byte");
            return Err(CodecError::Invalid { what, offset, reason });
        }
    }
    Ok(bytes)
}

impl<'a> Input<'a> {
    /// Reads up to the next byte of 0, which is left out and passed over.
    ///
    /// Errors: [`CodecError::Truncated`].
    pub fn terminated(&mut self, what: &'static str) -> Result<&'a [u8], CodecError> {
        let len = self.rest().iter().position(|byte| *byte == END);
        let len = len.unwrap_or_else(|| self.rest().len());
        let bytes = self.take(len as u64, what)?;
        self.array::<1>(what)?;
        Ok(bytes)
    }
}

/// Codec of `String` whose bytes are in the order of the texts: that of their UTF-8, which is that
/// of their code points.
#[derive(Debug, Default, Clone)]
pub struct OrderedStringCodec;

impl sealed::Sealed for OrderedStringCodec {}
impl sealed::Ordered for OrderedStringCodec {}

impl Codec<String> for OrderedStringCodec {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::plain("ordered_string")
    }

    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        put(value.as_bytes(), out);
        Ok(())
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<String, CodecError> {
        let (what, reason, offset) = ("ordered_string", "not UTF-8", input.offset());
        let bytes = take(input, what)?;
        String::from_utf8(bytes).map_err(|_| CodecError::Invalid { what, offset, reason })
    }
}

impl OrderedCodec<String> for OrderedStringCodec {}

impl HasOrderedCodec for String {
    type Codec = OrderedStringCodec;
}

/// Codec of bytes in their order, a prefix first.
#[derive(Debug, Default, Clone)]
pub struct OrderedBytesCodec;

impl sealed::Sealed for OrderedBytesCodec {}
impl sealed::Ordered for OrderedBytesCodec {}

macro_rules! ordered_bytes {
    ($($type:ty),*) => {$(
        impl Codec<$type> for OrderedBytesCodec {
            fn snapshot(&self) -> CodecSnapshot {
                CodecSnapshot::plain("ordered_bytes")
            }

            fn encode(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), CodecError> {
                put(value, out);
                Ok(())
            }

            fn decode(&self, input: &mut Input<'_>) -> Result<$type, CodecError> {
                take(input, "ordered_bytes").map(<$type>::from)
            }
        }

        impl OrderedCodec<$type> for OrderedBytesCodec {}

        impl HasOrderedCodec for $type {
            type Codec = OrderedBytesCodec;
        }
    )*};
}

ordered_bytes!(Vec<u8>, Bytes);
