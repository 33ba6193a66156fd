//! Fixed-width numbers, varints and short texts, as all formats here use them (SPEC 1.2).

use crate::CodecError;
use crate::codec::Input;

/// Most bytes of a text with a two-byte length.
const MAX_TEXT_LEN_BYTES: usize = u16::MAX as usize;

/// Appends a varint: seven bits a byte, low bits first, the high bit set on all but the last.
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a text: two-byte length, then UTF-8.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let too_large = |_| CodecError::TooLarge {
        what: "text length in bytes",
        found: text.len() as u64,
        limit: MAX_TEXT_LEN_BYTES as u64,
    };
    let len = u16::try_from(text.len()).map_err(too_large)?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends a number of things as u16.
pub(crate) fn put_count(
    count: usize,
    what: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let (found, limit) = (count as u64, u64::from(u16::MAX));
    let count = u16::try_from(count).map_err(|_| CodecError::TooLarge { what, found, limit })?;
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

/// Runs `body` so that what it appends gets a varint of its length in front.
///
/// Most bodies are below 128 bytes, so one byte is kept free; longer ones are moved up.
pub(crate) fn put_framed<E>(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    body(out)?;
    let len = out.len().saturating_sub(start + 1) as u64;
    let mut prefix = Vec::new();
    put_varint(len, &mut prefix);
    out.splice(start..=start, prefix);
    Ok(())
}

/// How many of `count` things to make room for, of which the input need not hold one: what is reserved takes
/// no more memory than the bytes that are left, and a list grows when that many have really come.
pub(crate) fn first_room<T>(count: usize, input: &Input<'_>) -> usize {
    count.min(input.rest().len() / size_of::<T>().max(1))
}

macro_rules! fixed {
    ($($name:ident: $type:ty),*) => {
        impl Input<'_> {$(
            #[doc = concat!("Reads a little-endian `", stringify!($type), "`.")]
            ///
            /// Errors: [`CodecError::Truncated`].
            pub fn $name(&mut self, what: &'static str) -> Result<$type, CodecError> {
                Ok(<$type>::from_le_bytes(self.array(what)?))
            }
        )*}
    };
}

fixed!(u8: u8, u16: u16, u32: u32, u64: u64);

impl<'a> Input<'a> {
    /// Reads a varint; the shortest form is the only one that is accepted.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub fn varint(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let offset = self.offset();
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Invalid { what, offset, reason: "above 64 bits" });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    let reason = "not the shortest form";
                    return Err(CodecError::Invalid { what, offset, reason });
                }
                return Ok(value);
            }
        }
        Err(CodecError::Invalid { what, offset, reason: "longer than ten bytes" })
    }

    /// Reads a varint that fits into a u32.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub(crate) fn varint_u32(&mut self, what: &'static str) -> Result<u32, CodecError> {
        let offset = self.offset();
        let reason = "above 32 bits";
        u32::try_from(self.varint(what)?).map_err(|_| CodecError::Invalid { what, offset, reason })
    }

    /// Reads a varint length and that many bytes.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub fn framed(&mut self, what: &'static str) -> Result<&'a [u8], CodecError> {
        let len = self.varint(what)?;
        self.take(len, what)
    }

    /// Reads a text with a two-byte length.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, CodecError> {
        let len = self.u16(what)?;
        let offset = self.offset();
        let bytes = self.take(u64::from(len), what)?;
        let reason = "not UTF-8";
        std::str::from_utf8(bytes).map_err(|_| CodecError::Invalid { what, offset, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(value, &mut out);
        out
    }

    #[test]
    fn varints_have_one_form_each() {
        for (value, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            assert_eq!(varint(value), bytes);
            assert_eq!(Input::new(bytes).varint("n").unwrap(), value);
        }
        let long_zero = Input::new(&[0x80, 0]).varint("n");
        assert!(matches!(long_zero, Err(CodecError::Invalid { .. })));
        let above = Input::new(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]).varint("n");
        assert!(matches!(above, Err(CodecError::Invalid { .. })));
        let cut = Input::new(&[0x80]).varint("n");
        assert!(matches!(cut, Err(CodecError::Truncated { .. })));
    }

    #[test]
    fn framing_any_length() {
        for len in [0, 1, 127, 128, 129, 20_000] {
            let mut out = vec![9];
            let body = vec![7; len];
            put_framed(&mut out, |out| {
                out.extend_from_slice(&body);
                Ok::<_, CodecError>(())
            })
            .unwrap();
            let mut input = Input::new(&out[1..]);
            assert_eq!(input.framed("frame").unwrap(), body);
            assert!(input.finish().is_ok());
        }
    }

    #[test]
    fn a_length_beyond_the_input_is_refused_without_allocating() {
        let bytes = varint(u64::MAX);
        let error = Input::new(&bytes).framed("frame").unwrap_err();
        assert!(matches!(error, CodecError::Truncated { needed: u64::MAX, left: 0, .. }));
    }
}
