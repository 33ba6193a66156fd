//! The key group of an encoded key, by the codec that the stream names.
//!
//! The stable assigner goes by the bytes. Flink's goes by the hash code of the Java type, which is known
//! for the codecs of SPEC 3.2; that of other keys is known to their job alone.
//!
//! Source: SPEC 3.2.

use alluvium_core::{
    AssignerName, JavaHash, KeyGroup, MaxParallelism,
    key_hash::{flink_key_group, stable_key_group},
};
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, CodecSnapshot, DefaultCodec, Input};

const WHAT: &str = "key";

/// Gives encoded keys their key groups.
#[derive(Debug, Clone)]
pub(crate) struct EncodedAssigner {
    assigner: AssignerName,
    max: MaxParallelism,
    key: CodecSnapshot,
}

impl EncodedAssigner {
    pub(crate) fn new(assigner: AssignerName, max: MaxParallelism, key: &CodecSnapshot) -> Self {
        Self { assigner, max, key: key.clone() }
    }

    /// The key group; `None` for a key whose hash code only its job knows.
    ///
    /// Errors: [`CodecError`] for bytes that are no key.
    pub(crate) fn of(&self, key: &[u8]) -> Result<Option<KeyGroup>, CodecError> {
        match self.assigner {
            AssignerName::Stable => Ok(Some(stable_key_group(key, self.max))),
            AssignerName::Flink => {
                let hash = java_hash(&self.key, &mut Input::new(key))?;
                Ok(hash.map(|hash| flink_key_group(hash, self.max)))
            }
            _ => Ok(None),
        }
    }
}

/// The encoding of a key that a person has typed, where there is only one that it can be; `None` for all
/// other codecs, and for a text in quotes, which is a text without them or, seldom, itself.
pub(crate) fn encoded_key(codec: &CodecSnapshot, typed: &str) -> Option<Vec<u8>> {
    if codec.version != 1 {
        return None;
    }
    Some(match codec.name.as_str() {
        "u8" => typed.parse::<u8>().ok()?.to_le_bytes().into(),
        "u16" => typed.parse::<u16>().ok()?.to_le_bytes().into(),
        "u32" => typed.parse::<u32>().ok()?.to_le_bytes().into(),
        "u64" => typed.parse::<u64>().ok()?.to_le_bytes().into(),
        "i8" => typed.parse::<i8>().ok()?.to_le_bytes().into(),
        "i16" => typed.parse::<i16>().ok()?.to_le_bytes().into(),
        "i32" => typed.parse::<i32>().ok()?.to_le_bytes().into(),
        "i64" => typed.parse::<i64>().ok()?.to_le_bytes().into(),
        "string" if !typed.starts_with('"') => {
            let mut encoded = Vec::new();
            DefaultCodec.encode(&typed.to_owned(), &mut encoded).ok()?;
            encoded
        }
        _ => return None,
    })
}

/// The Java hash code of the next value of the input.
fn java_hash(codec: &CodecSnapshot, input: &mut Input<'_>) -> Result<Option<i32>, CodecError> {
    if codec.version != 1 {
        return Ok(None);
    }
    Ok(Some(match (codec.name.as_str(), codec.children.as_slice()) {
        ("i8", []) => i8::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("i16", []) => i16::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("i32", []) => i32::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("i64", []) => i64::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("u16", []) => u16::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("f32", []) => f32::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("f64", []) => f64::from_le_bytes(input.array(WHAT)?).java_hash(),
        ("bool", []) => (input.u8(WHAT)? == 1).java_hash(),
        ("string", []) => {
            let (what, offset, reason) = (WHAT, input.offset(), "not UTF-8");
            let text = std::str::from_utf8(input.framed(WHAT)?)
                .map_err(|_| CodecError::Invalid { what, offset, reason })?;
            text.java_hash()
        }
        ("tuple", parts @ [_, _, ..]) => {
            let mut hash: Option<i32> = None;
            for part in parts {
                let Some(field) = java_hash(part, input)? else { return Ok(None) };
                hash = Some(match hash {
                    None => field,
                    Some(before) => before.wrapping_mul(31).wrapping_add(field),
                });
            }
            return Ok(hash);
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use alluvium_core::KeyGroupAssigner;
    use alluvium_format::codec::HasCodec;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a table of values reads better")]
    fn check<K: HasCodec + JavaHash>(key: K, mod_4096: u16) {
        let max = MaxParallelism::new(4096).unwrap();
        let (mut bytes, codec) = (Vec::new(), K::Codec::default());
        codec.encode(&key, &mut bytes).unwrap();
        for assigner in [KeyGroupAssigner::Stable, KeyGroupAssigner::flink()] {
            let encoded = EncodedAssigner::new(assigner.name(), max, &codec.snapshot());
            let found = encoded.of(&bytes).unwrap();
            assert_eq!(found, Some(assigner.assign(&key, &bytes, max)), "{assigner:?}");
            if assigner.name() == AssignerName::Flink {
                assert_eq!(found.unwrap().get(), mod_4096);
            }
        }
    }

    /// The vectors of SPEC 3.2.
    #[test]
    fn encoded_keys_have_the_key_groups_of_their_values() {
        check(0_i32, 2526);
        check(-400_971_699_391_263_i64, 2693);
        check("straße".to_owned(), 834);
        check("a😀b".to_owned(), 2033);
        check(true, 3533);
        check(-128_i8, 715);
        check(32_767_i16, 2556);
        check(97_u16, 3025);
        check(std::f64::consts::PI, 4043);
        check(1.0_f32, 3888);
        check((3_i64, "t158380".to_owned()), 2800);
    }

    #[test]
    fn a_typed_key_is_encoded_where_it_can_be_only_one() {
        let of = |snapshot: CodecSnapshot, typed| encoded_key(&snapshot, typed);
        let text = || Codec::<String>::snapshot(&DefaultCodec);
        assert_eq!(of(text(), "a").unwrap(), b"\x01a");
        assert_eq!(of(text(), "\"a\""), None);
        assert_eq!(of(Codec::<i16>::snapshot(&DefaultCodec), "-2").unwrap(), [0xfe, 0xff]);
        assert_eq!(of(Codec::<u8>::snapshot(&DefaultCodec), "256"), None);
        assert_eq!(of(Codec::<(u8, u8)>::snapshot(&DefaultCodec), "[1, 2]"), None);
    }

    #[test]
    fn keys_that_only_their_job_hashes_have_none() {
        let max = MaxParallelism::new(128).unwrap();
        let snapshot = Codec::<(u64, i32)>::snapshot(&DefaultCodec);
        let encoded = EncodedAssigner::new(AssignerName::Flink, max, &snapshot);
        assert_eq!(encoded.of(&[0; 12]).unwrap(), None);
    }
}
