//! Target `ordered`: codecs whose bytes compare as their values do (SPEC 5.5).
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: twice the input, for escaped bytes;
//! - what is read is written as the same bytes;
//! - two values compare as their bytes do, and none begins with another one.

use alluvium_format::codec::{Codec, DefaultOrderedCodec, Input};

use crate::bound::{COPIED, bounded};

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    pair::<u32>(input);
    pair::<i64>(input);
    pair::<String>(input);
    pair::<Vec<u8>>(input);
    pair::<(i8, String)>(input);
    pair::<(String, u16)>(input);
}

/// Reads two values, one behind the other, and compares them.
fn pair<T>(input: &[u8])
where
    T: Ord + std::fmt::Debug,
    DefaultOrderedCodec: Codec<T>,
{
    let mut rest = Input::new(input);
    let mut next = || {
        let before = rest.rest();
        let value = bounded(input, COPIED, || Codec::<T>::decode(&DefaultOrderedCodec, &mut rest));
        let len = before.len() - rest.rest().len();
        Some((value.ok()?, before.get(..len)?))
    };
    let Some((one, one_bytes)) = next() else { return };
    let mut written = Vec::new();
    assert!(DefaultOrderedCodec.encode(&one, &mut written).is_ok(), "{one:?} cannot be written");
    assert_eq!(written, one_bytes, "{one:?}");
    let Some((other, other_bytes)) = next() else { return };
    assert_eq!(one.cmp(&other), one_bytes.cmp(other_bytes), "{one:?} and {other:?}");
    let is_prefix = one_bytes != other_bytes && other_bytes.starts_with(one_bytes);
    assert!(!is_prefix, "{other:?} begins with {one:?}");
}
