//! Values whose types are known at run time only: their bytes, and the snapshot of their codec.
//!
//! What an [`EncodedCodec`] writes is what the codec would write that its snapshot names, so state
//! goes from programs that know the types to others, and back.
//!
//! Invariants: an encoded value is whole: its bytes end where the snapshot says that a value ends.
//! What is within is not looked at: a `string` that is no UTF-8 is refused by whoever knows the type.
//!
//! Source: SPEC 5.1, 5.2.

use std::sync::Arc;

use super::{Codec, CodecSnapshot, Extent, Input, OrderedCodec, is_ordered, sealed};
use crate::CodecError;

/// A value as its codec wrote it.
///
/// Two of them are equal when their bytes are. For keys that is the same as equal values, since every
/// codec writes a value in one way; whoever makes up bytes has to keep to that, for instance with the
/// shortest varints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Encoded(pub Vec<u8>);

/// Codec of [`Encoded`] values of one type: the bytes as they are.
#[derive(Debug, Clone)]
pub struct EncodedCodec {
    parts: Arc<(CodecSnapshot, Extent)>,
}

impl EncodedCodec {
    /// A codec that writes as another one does, which goes by its snapshot.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that SPEC 5.2 does not have.
    pub fn new(snapshot: CodecSnapshot) -> Result<Self, CodecError> {
        let extent = Extent::of(&snapshot)?;
        Ok(Self { parts: Arc::new((snapshot, extent)) })
    }

    /// Checks that bytes are one value and nothing more.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`], [`CodecError::TrailingBytes`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        self.parts.1.check_whole(bytes)
    }
}

impl sealed::Sealed for EncodedCodec {}

impl Codec<Encoded> for EncodedCodec {
    fn snapshot(&self) -> CodecSnapshot {
        self.parts.0.clone()
    }

    /// Errors: those of [`EncodedCodec::check`].
    fn encode(&self, value: &Encoded, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.check(&value.0)?;
        out.extend_from_slice(&value.0);
        Ok(())
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<Encoded, CodecError> {
        self.parts.1.take(input).map(|bytes| Encoded(bytes.to_vec()))
    }
}

/// Codec of [`Encoded`] values of one type whose bytes are in the order of its values, so that the order
/// of encoded values is theirs too.
#[derive(Debug, Clone)]
pub struct OrderedEncodedCodec(EncodedCodec);

impl OrderedEncodedCodec {
    /// A codec for the same values.
    ///
    /// Errors: [`CodecError::Invalid`] for one that is not ordered (SPEC 5.5).
    pub fn new(codec: EncodedCodec) -> Result<Self, CodecError> {
        if is_ordered(&codec.parts.0) {
            return Ok(Self(codec));
        }
        let reason = "its bytes are not in the order of its values";
        Err(CodecError::Invalid { what: "ordered codec", offset: 0, reason })
    }
}

impl sealed::Sealed for OrderedEncodedCodec {}
impl sealed::Ordered for OrderedEncodedCodec {}

impl Codec<Encoded> for OrderedEncodedCodec {
    fn snapshot(&self) -> CodecSnapshot {
        self.0.snapshot()
    }

    fn encode(&self, value: &Encoded, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(value, out)
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<Encoded, CodecError> {
        self.0.decode(input)
    }
}

impl OrderedCodec<Encoded> for OrderedEncodedCodec {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Compatibility, DefaultCodec, DefaultOrderedCodec};

    type Pairs = Vec<(u32, Option<String>)>;

    fn codec() -> EncodedCodec {
        EncodedCodec::new(Codec::<Pairs>::snapshot(&DefaultCodec)).unwrap()
    }

    #[test]
    fn bytes_go_in_and_out_as_they_are() {
        let pairs: Pairs = vec![(1, None), (2, Some("two".to_owned()))];
        let mut bytes = Vec::new();
        DefaultCodec.encode(&pairs, &mut bytes).unwrap();
        let mut out = vec![9];
        codec().encode(&Encoded(bytes.clone()), &mut out).unwrap();
        assert_eq!(out.strip_prefix(&[9]), Some(bytes.as_slice()));
        out.push(7);
        let mut input = Input::new(&out);
        input.u8("before").unwrap();
        assert_eq!(codec().decode(&mut input).unwrap(), Encoded(bytes));
        assert_eq!(input.rest(), [7]);
    }

    #[test]
    fn what_is_not_one_whole_value_is_refused() {
        let pairs: Pairs = vec![(1, None), (2, Some("two".to_owned()))];
        let mut bytes = Vec::new();
        DefaultCodec.encode(&pairs, &mut bytes).unwrap();
        codec().check(&bytes).unwrap();
        for len in 0..bytes.len() {
            assert!(codec().check(bytes.get(..len).unwrap()).is_err(), "{len} bytes");
        }
        bytes.push(0);
        let error = codec().encode(&Encoded(bytes), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CodecError::TrailingBytes { left: 1, .. }), "{error}");
    }

    #[test]
    fn it_goes_by_the_snapshot_and_refuses_unknown_ones() {
        let snapshot = Codec::<Pairs>::snapshot(&DefaultCodec);
        assert_eq!(codec().snapshot(), snapshot);
        assert!(matches!(codec().resolve(&snapshot), Compatibility::AsIs));
        let other = Codec::<u64>::snapshot(&DefaultCodec);
        assert!(matches!(codec().resolve(&other), Compatibility::Incompatible { .. }));
        let unknown = CodecSnapshot { name: "unknown".to_owned(), ..other };
        assert!(EncodedCodec::new(unknown).is_err());
    }

    #[test]
    fn an_order_is_that_of_the_values_or_refused() {
        let ordered = |snapshot| OrderedEncodedCodec::new(EncodedCodec::new(snapshot).unwrap());
        let codec = ordered(Codec::<i64>::snapshot(&DefaultOrderedCodec)).unwrap();
        let mut encoded = [3, -1, i64::MIN, 0, 256].map(|number: i64| {
            let mut bytes = Vec::new();
            DefaultOrderedCodec.encode(&number, &mut bytes).unwrap();
            codec.decode(&mut Input::new(&bytes)).unwrap()
        });
        encoded.sort();
        let numbers = encoded.map(|Encoded(bytes)| {
            Codec::<i64>::decode(&DefaultOrderedCodec, &mut Input::new(&bytes)).unwrap()
        });
        assert_eq!(numbers, [i64::MIN, -1, 0, 3, 256]);
        for plain in
            [Codec::<i64>::snapshot(&DefaultCodec), Codec::<Pairs>::snapshot(&DefaultCodec)]
        {
            assert!(matches!(ordered(plain), Err(CodecError::Invalid { .. })));
        }
    }
}
