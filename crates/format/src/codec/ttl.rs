//! Values with the time of their last write: what state with a time to live consists of.
//!
//! Fields in order: i64 stamp in milliseconds, then the value.
//!
//! State may get a time to live, or lose it, between two runs. So this codec reads values that have
//! no stamp, and gives them one; and every other codec reads values that have one, and drops it
//! ([`Codec::resolve`]).
//!
//! Source: SPEC 5.2, `ttl`; Flink `TtlStateFactory.TtlSerializer`.

use super::{Codec, CodecSnapshot, Compatibility, Input, decoder_for, sealed::Sealed};
use crate::CodecError;

/// Name of the codec.
const NAME: &str = "ttl";
const STAMP: &str = "stamp of a value";

/// A value and when it was last written, or read where reading counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped<T> {
    /// The time in milliseconds.
    pub stamp_ms: i64,
    /// The value.
    pub value: T,
}

/// Codec of [`Stamped`].
#[derive(Debug, Clone)]
pub struct TtlCodec<C> {
    /// Codec of the value.
    pub value: C,
    /// The stamp of values that were stored without one, in milliseconds.
    pub first_stamp_ms: i64,
}

impl<C> Sealed for TtlCodec<C> {}

impl<T: 'static, C: Codec<T>> Codec<Stamped<T>> for TtlCodec<C> {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::of_parts(NAME, vec![self.value.snapshot()])
    }

    #[inline]
    fn encode(&self, stamped: &Stamped<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&stamped.stamp_ms.to_le_bytes());
        self.value.encode(&stamped.value, out)
    }

    #[inline]
    fn touch(&self, stamped: &Stamped<T>) -> u8 {
        self.value.touch(&stamped.value)
    }

    #[inline]
    fn decode(&self, input: &mut Input<'_>) -> Result<Stamped<T>, CodecError> {
        let stamp_ms = take_stamp(input)?;
        Ok(Stamped { stamp_ms, value: self.value.decode(input)? })
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<Stamped<T>> {
        let current = self.snapshot();
        if current == *stored {
            return Compatibility::AsIs;
        }
        let part = stamped_part(stored);
        let Ok(value) = decoder_for(&self.value, part.unwrap_or(stored)) else {
            return Compatibility::incompatible(current, stored);
        };
        let (has_stamp, first_stamp_ms) = (part.is_some(), self.first_stamp_ms);
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            let stamp_ms = if has_stamp { take_stamp(input)? } else { first_stamp_ms };
            Ok(Stamped { stamp_ms, value: value.decode_value(input)? })
        }))
    }
}

/// Takes the stamp in front of a value.
///
/// Errors: [`CodecError::Truncated`].
pub fn take_stamp(input: &mut Input<'_>) -> Result<i64, CodecError> {
    Ok(i64::from_le_bytes(input.array(STAMP)?))
}

/// The codec of the values inside, if they have stamps.
pub fn stamped_part(codec: &CodecSnapshot) -> Option<&CodecSnapshot> {
    match codec.children.as_slice() {
        [part] if *codec == CodecSnapshot::of_parts(NAME, vec![part.clone()]) => Some(part),
        _ => None,
    }
}

/// The answer of a codec of values without stamps about stored ones with stamps, from its answer
/// about those inside.
pub(super) fn without_stamp<T: 'static>(
    codec: &impl Codec<T>,
    part: &CodecSnapshot,
    stored: &CodecSnapshot,
) -> Compatibility<T> {
    let Ok(value) = decoder_for(codec, part) else {
        return Compatibility::incompatible(codec.snapshot(), stored);
    };
    Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
        take_stamp(input)?;
        value.decode_value(input)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{
        DefaultOrderedCodec, MapCodec, NumberCodec, OptionCodec, OrderedNumberCodec, StringCodec,
        VecCodec,
    };
    use super::*;

    fn ttl<C>(value: C) -> TtlCodec<C> {
        TtlCodec { value, first_stamp_ms: 77 }
    }

    fn u16s() -> NumberCodec<u16> {
        NumberCodec::default()
    }

    fn u64s() -> NumberCodec<u64> {
        NumberCodec::default()
    }

    fn encoded<T>(codec: &impl Codec<T>, value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec.encode(value, &mut bytes).unwrap();
        bytes
    }

    /// What a current codec makes of a value that another one wrote.
    fn migrated<S, T: 'static>(stored: &impl Codec<S>, value: &S, current: &impl Codec<T>) -> T {
        let answer = current.resolve(&stored.snapshot());
        let Compatibility::AfterMigration(decoder) = answer else { panic!("{answer:?}") };
        let bytes = encoded(stored, value);
        let mut input = Input::new(&bytes);
        let found = decoder.decode_value(&mut input).unwrap();
        input.finish().unwrap();
        found
    }

    #[test]
    fn a_stamp_lies_in_front_of_the_value() {
        let stamped = Stamped { stamp_ms: -2, value: 258 };
        let bytes = encoded(&ttl(u16s()), &stamped);
        assert_eq!(bytes, [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1]);
        assert_eq!(ttl(u16s()).decode(&mut Input::new(&bytes)).unwrap(), stamped);
        for cut in 0..bytes.len() {
            assert!(ttl(u16s()).decode(&mut Input::new(&bytes[..cut])).is_err());
        }
        assert_eq!(ttl(u16s()).snapshot().to_string(), "ttl<u16>");
    }

    #[test]
    fn values_without_a_stamp_get_one() {
        let stamped = |value: u64| Stamped { stamp_ms: 77, value };
        assert_eq!(migrated(&u64s(), &5_u64, &ttl(u64s())), stamped(5_u64));
        assert_eq!(migrated(&u16s(), &5_u16, &ttl(u64s())), stamped(5_u64));
        let list = VecCodec(ttl(u64s()));
        assert_eq!(migrated(&VecCodec(u16s()), &vec![1_u16, 2], &list), [stamped(1), stamped(2)]);
        let (bare, map) = (
            MapCodec { keys: u16s(), values: u16s() },
            MapCodec { keys: u64s(), values: ttl(u64s()) },
        );
        let found: BTreeMap<u64, _> = migrated(&bare, &BTreeMap::from([(1_u16, 2_u16)]), &map);
        assert_eq!(found, [(1, stamped(2))].into());
    }

    #[test]
    fn values_with_a_stamp_lose_it_whatever_their_codec() {
        fn stamped<T>(value: T) -> Stamped<T> {
            Stamped { stamp_ms: 5, value }
        }
        assert_eq!(migrated(&ttl(u64s()), &stamped(9_u64), &u64s()), 9_u64);
        assert_eq!(migrated(&ttl(u16s()), &stamped(9_u16), &u64s()), 9_u64);
        let text = "a".to_owned();
        assert_eq!(migrated(&ttl(StringCodec), &stamped(text.clone()), &StringCodec), text);
        let some = stamped(Some(3_u16));
        assert_eq!(migrated(&ttl(OptionCodec(u16s())), &some, &OptionCodec(u64s())), Some(3_u64));
        let narrow = OrderedNumberCodec::<u16>::default();
        let wide = OrderedNumberCodec::<u64>::default();
        assert_eq!(migrated(&ttl(narrow), &stamped(9_u16), &wide), 9_u64);
        let found: u64 = migrated(&ttl(wide), &stamped(9), &DefaultOrderedCodec);
        assert_eq!(found, 9);
        let stored = vec![stamped(1_u16), stamped(2)];
        assert_eq!(migrated(&VecCodec(ttl(u16s())), &stored, &VecCodec(u64s())), [1_u64, 2]);
        let (stored, map) = (
            MapCodec { keys: u16s(), values: ttl(u16s()) },
            MapCodec { keys: u16s(), values: u64s() },
        );
        let value = BTreeMap::from([(1_u16, stamped(2_u16))]);
        let found: BTreeMap<u16, u64> = migrated(&stored, &value, &map);
        assert_eq!(found, [(1, 2)].into());
    }

    #[test]
    fn stamps_stay_when_only_the_value_migrates() {
        let found = migrated(&ttl(u16s()), &Stamped { stamp_ms: 5, value: 9_u16 }, &ttl(u64s()));
        assert_eq!(found, Stamped { stamp_ms: 5, value: 9_u64 });
        assert_eq!(ttl(u64s()).resolve(&ttl(u64s()).snapshot()).answer(), "as is");
    }

    #[test]
    fn what_does_not_fit_stays_incompatible_with_a_stamp_and_without() {
        assert_eq!(ttl(u16s()).resolve(&u64s().snapshot()).answer(), "incompatible");
        assert_eq!(u16s().resolve(&ttl(u64s()).snapshot()).answer(), "incompatible");
        assert_eq!(ttl(u16s()).resolve(&ttl(u64s()).snapshot()).answer(), "incompatible");
        let mut newer = ttl(u64s()).snapshot();
        newer.version = 2;
        assert_eq!(u64s().resolve(&newer).answer(), "incompatible");
        assert_eq!(ttl(u64s()).resolve(&newer).answer(), "incompatible");
    }
}
