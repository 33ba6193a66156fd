//! Text and bytes: a varint length, then the bytes.

use bytes::Bytes;

use super::{Codec, CodecSnapshot, HasCodec, Input, sealed::Sealed};
use crate::CodecError;
use crate::wire::put_varint;

/// Codec of `String`: varint length in bytes, then UTF-8.
#[derive(Debug, Default, Clone)]
pub struct StringCodec;

impl Sealed for StringCodec {}

impl Codec<String> for StringCodec {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::plain("string")
    }

    #[inline]
    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        put_varint(value.len() as u64, out);
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn touch(&self, value: &String) -> u8 {
        value.as_bytes().first().copied().unwrap_or_default()
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<String, CodecError> {
        let (what, reason) = ("string", "not UTF-8");
        let offset = input.offset();
        let bytes = input.framed(what)?;
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned).map_err(|_| CodecError::Invalid { what, offset, reason })
    }
}

impl HasCodec for String {
    type Codec = StringCodec;
}

/// Codec of [`Bytes`]: varint length, then the bytes.
#[derive(Debug, Default, Clone)]
pub struct BytesCodec;

impl Sealed for BytesCodec {}

impl Codec<Bytes> for BytesCodec {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::plain("bytes")
    }

    #[inline]
    fn encode(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), CodecError> {
        put_varint(value.len() as u64, out);
        out.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn touch(&self, value: &Bytes) -> u8 {
        value.first().copied().unwrap_or_default()
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<Bytes, CodecError> {
        input.framed("bytes").map(Bytes::copy_from_slice)
    }
}

impl HasCodec for Bytes {
    type Codec = BytesCodec;
}
