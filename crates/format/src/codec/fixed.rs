//! Arrays of bytes: their length is part of the codec, not of the value.

use super::{Codec, CodecSnapshot, HasCodec, Input, sealed::Sealed};
use crate::CodecError;

/// Name of the codec.
pub(super) const NAME: &str = "fixed_bytes";
/// Most bytes of an array.
const MAX_LEN: usize = u16::MAX as usize;

/// Codec of `[u8; N]`: the `N` bytes as they are, without a length; `N` is 1 to 65,535.
///
/// Source: SPEC 5.2, `fixed_bytes`.
#[derive(Debug, Default, Clone)]
pub struct FixedBytesCodec<const N: usize>;

impl<const N: usize> FixedBytesCodec<N> {
    /// The length as it is stored; other lengths do not compile.
    #[expect(clippy::cast_possible_truncation, reason = "the length is at most 65,535")]
    const LEN: u32 = {
        assert!(N >= 1 && N <= MAX_LEN, "an array of 1 to 65,535 bytes");
        N as u32
    };
}

impl<const N: usize> Sealed for FixedBytesCodec<N> {}

impl<const N: usize> Codec<[u8; N]> for FixedBytesCodec<N> {
    fn snapshot(&self) -> CodecSnapshot {
        let parameters = Self::LEN.to_le_bytes().to_vec();
        CodecSnapshot { parameters, ..CodecSnapshot::plain(NAME) }
    }

    #[inline]
    fn encode(&self, value: &[u8; N], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn decode(&self, input: &mut Input<'_>) -> Result<[u8; N], CodecError> {
        input.array(NAME)
    }

    #[inline]
    fn decode_many(
        &self,
        count: u64,
        input: &mut Input<'_>,
        out: &mut Vec<[u8; N]>,
    ) -> Result<(), CodecError> {
        let arrays = input.arrays(count);
        out.extend_from_slice(arrays);
        // What is missing is missed by reading on.
        (arrays.len() as u64..count).try_for_each(|_| self.decode(input).map(drop))
    }
}

impl<const N: usize> HasCodec for [u8; N] {
    type Codec = FixedBytesCodec<N>;
}
