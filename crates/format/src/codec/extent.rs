//! Where an encoded value ends, from the snapshot of its codec alone.
//!
//! Codecs are sealed, so whoever has a snapshot can part rows and records without the types of the
//! job: state that nobody has registered is stored and written like any other.
//!
//! Invariants: no count makes a reader work longer than the input is, since items without bytes are
//! passed over in one step.
//!
//! Source: SPEC 5.1, 5.2.

use super::{CodecSnapshot, Input};
use crate::CodecError;

/// Most items of a list or map whose items have no bytes (SPEC 5.2).
pub const MAX_EMPTY_ITEMS: u64 = 65_536;

/// Bytes of the stamp in front of a value of state with a time to live.
const STAMP_LEN_BYTES: u64 = 8;

const WHAT: &str = "encoded value";

/// How far an encoded value reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extent {
    /// A number of bytes.
    Fixed(u64),
    /// A varint length and that many bytes.
    Framed,
    /// Everything up to a byte of 0, and that byte.
    Terminated,
    /// 0, or 1 and a value.
    Option(Box<Extent>),
    /// A varint count and the items.
    Vec(Box<Extent>),
    /// A varint count and the entries, each a key and a value.
    Map(Box<Extent>, Box<Extent>),
    /// The parts, one after the other.
    Tuple(Vec<Extent>),
}

impl Extent {
    /// The extent of what a codec writes.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that SPEC 5.2 does not have.
    pub fn of(snapshot: &CodecSnapshot) -> Result<Self, CodecError> {
        let reason = "no codec of this version";
        Self::of_known(snapshot).ok_or(CodecError::Invalid { what: "codec", offset: 0, reason })
    }

    fn of_known(snapshot: &CodecSnapshot) -> Option<Self> {
        let CodecSnapshot { name, version, parameters, children } = snapshot;
        if *version != 1 {
            return None;
        }
        let parts = children.iter().map(Self::of_known).collect::<Option<Vec<_>>>()?;
        let extent = match (name.as_str(), parts.as_slice()) {
            ("postcard" | "user", []) => return Some(Self::Framed),
            ("fixed_bytes", []) => {
                let len = u32::from_le_bytes(<[u8; 4]>::try_from(parameters.as_slice()).ok()?);
                let len = u16::try_from(len).ok().filter(|len| *len > 0)?;
                return Some(Self::Fixed(u64::from(len)));
            }
            ("unit", []) => Self::Fixed(0),
            ("u8" | "i8" | "bool" | "ordered_i8", []) => Self::Fixed(1),
            ("u16" | "i16" | "ordered_u16" | "ordered_i16", []) => Self::Fixed(2),
            ("u32" | "i32" | "f32" | "ordered_u32" | "ordered_i32" | "ordered_f32", []) => {
                Self::Fixed(4)
            }
            ("u64" | "i64" | "f64" | "ordered_u64" | "ordered_i64" | "ordered_f64", []) => {
                Self::Fixed(8)
            }
            ("u128" | "i128" | "ordered_u128" | "ordered_i128", []) => Self::Fixed(16),
            ("string" | "bytes", []) => Self::Framed,
            ("ordered_string" | "ordered_bytes", []) => Self::Terminated,
            ("option", [value]) => Self::Option(Box::new(value.clone())),
            ("vec", [item]) => Self::Vec(Box::new(item.clone())),
            ("map", [key, value]) => Self::Map(Box::new(key.clone()), Box::new(value.clone())),
            ("ttl", [value]) => Self::tuple(vec![Self::Fixed(STAMP_LEN_BYTES), value.clone()]),
            ("tuple", [_, _, ..]) if parts.len() <= 6 => Self::tuple(parts),
            _ => return None,
        };
        parameters.is_empty().then_some(extent)
    }

    fn tuple(parts: Vec<Self>) -> Self {
        let fixed = |part: &Self| if let Self::Fixed(len) = part { Some(*len) } else { None };
        match parts.iter().map(fixed).sum::<Option<u64>>() {
            Some(len) => Self::Fixed(len),
            None => Self::Tuple(parts),
        }
    }

    /// Takes one value off the input and gives its bytes.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub fn take<'a>(&self, input: &mut Input<'a>) -> Result<&'a [u8], CodecError> {
        self.take_many(1, input)
    }

    /// Checks that bytes are one value and nothing more.
    ///
    /// Errors: as [`Extent::take`], and [`CodecError::TrailingBytes`].
    pub fn check_whole(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut input = Input::new(bytes);
        self.take(&mut input)?;
        input.finish()
    }

    /// Takes several values off the input and gives their bytes.
    ///
    /// Errors: as [`Extent::take`].
    pub fn take_many<'a>(&self, count: u64, input: &mut Input<'a>) -> Result<&'a [u8], CodecError> {
        let before = input.rest();
        self.skip_many(count, input)?;
        Ok(before.get(..before.len() - input.rest().len()).unwrap_or_default())
    }

    fn skip_many(&self, count: u64, input: &mut Input<'_>) -> Result<(), CodecError> {
        match self {
            Self::Fixed(len) => input.take(count.saturating_mul(*len), WHAT).map(drop),
            _ => (0..count).try_for_each(|_| self.skip(input)),
        }
    }

    fn skip(&self, input: &mut Input<'_>) -> Result<(), CodecError> {
        match self {
            Self::Fixed(len) => input.take(*len, WHAT).map(drop),
            Self::Framed => input.framed(WHAT).map(drop),
            Self::Terminated => input.terminated(WHAT).map(drop),
            Self::Option(value) => {
                let (what, offset) = (WHAT, input.offset());
                match input.u8(what)? {
                    0 => Ok(()),
                    1 => value.skip(input),
                    _ => {
                        let reason = "neither 0 nor 1";
                        Err(CodecError::Invalid { what, offset, reason })
                    }
                }
            }
            Self::Vec(item) => item.skip_many(read_count(input)?, input),
            Self::Map(key, value) => {
                let count = read_count(input)?;
                if let (Self::Fixed(key), Self::Fixed(value)) = (&**key, &**value) {
                    return Self::Fixed(key + value).skip_many(count, input);
                }
                (0..count).try_for_each(|_| key.skip(input).and_then(|()| value.skip(input)))
            }
            Self::Tuple(parts) => parts.iter().try_for_each(|part| part.skip(input)),
        }
    }
}

/// Reads the count of a list or map and compares it with what is left.
///
/// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
pub fn read_count(input: &mut Input<'_>) -> Result<u64, CodecError> {
    let offset = input.offset();
    let count = input.varint(WHAT)?;
    let left = input.rest().len();
    if count > left as u64 && count > MAX_EMPTY_ITEMS {
        return Err(CodecError::Truncated { what: WHAT, offset, needed: count, left });
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
