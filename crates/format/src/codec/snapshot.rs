//! What is stored beside the bytes of a codec.
//!
//! Layout (SPEC 5.1): name, version, parameters, children.
//!
//! Invariants: at most [`MAX_SNAPSHOT_DEPTH`] levels, checked in both directions.

use std::fmt;

use super::{Input, fixed};
use crate::CodecError;
use crate::wire::{put_framed, put_text};

/// Most levels of nesting of a codec.
pub const MAX_SNAPSHOT_DEPTH: usize = 16;

/// Name, version and parameters of a codec, with those of the codecs inside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodecSnapshot {
    /// Name of the codec (SPEC 5.2).
    pub name: String,
    /// Version of the codec's bytes.
    pub version: u16,
    /// What else tells it from other codecs of the same name; empty for most.
    pub parameters: Vec<u8>,
    /// The codecs of the parts, in order.
    pub children: Vec<CodecSnapshot>,
}

impl CodecSnapshot {
    /// A codec without parameters or parts, in version 1.
    pub(crate) fn plain(name: &str) -> Self {
        Self::of_parts(name, Vec::new())
    }

    /// A codec made of others, in version 1.
    pub(crate) fn of_parts(name: &str, children: Vec<Self>) -> Self {
        Self { name: name.to_owned(), version: 1, parameters: Vec::new(), children }
    }

    /// Appends the stored form.
    ///
    /// Errors: [`CodecError::TooLarge`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.encode_at(out, 1)
    }

    fn encode_at(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CodecError> {
        if depth > MAX_SNAPSHOT_DEPTH {
            return Err(CodecError::TooLarge {
                what: "codec nesting",
                found: depth as u64,
                limit: MAX_SNAPSHOT_DEPTH as u64,
            });
        }
        put_text(&self.name, out)?;
        out.extend_from_slice(&self.version.to_le_bytes());
        put_framed(out, |out| {
            out.extend_from_slice(&self.parameters);
            Ok::<_, CodecError>(())
        })?;
        let count = u8::try_from(self.children.len()).map_err(|_| CodecError::TooLarge {
            what: "number of codec parts",
            found: self.children.len() as u64,
            limit: u64::from(u8::MAX),
        })?;
        out.push(count);
        self.children.iter().try_for_each(|child| child.encode_at(out, depth + 1))
    }

    /// Reads the stored form.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub fn decode(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Self::decode_at(input, 1)
    }

    fn decode_at(input: &mut Input<'_>, depth: usize) -> Result<Self, CodecError> {
        let what = "codec snapshot";
        if depth > MAX_SNAPSHOT_DEPTH {
            let reason = "nested deeper than 16 levels";
            return Err(CodecError::Invalid { what, offset: input.offset(), reason });
        }
        let name = input.text(what)?.to_owned();
        let version = input.u16(what)?;
        let parameters = input.framed(what)?.to_vec();
        let count = input.u8(what)?;
        let children =
            (0..count).map(|_| Self::decode_at(input, depth + 1)).collect::<Result<_, _>>()?;
        Ok(Self { name, version, parameters, children })
    }
}

/// `name`, `name<part, part>`, with `@version` when it is not 1 and parameters in parentheses.
impl fmt::Display for CodecSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.version != 1 {
            write!(f, "@{}", self.version)?;
        }
        let length = <[u8; 4]>::try_from(self.parameters.as_slice()).map(u32::from_le_bytes);
        if let (fixed::NAME, Ok(length)) = (self.name.as_str(), length) {
            write!(f, "({length})")?;
        } else if !self.parameters.is_empty() {
            let mut input = Input::new(&self.parameters);
            match (input.text("type name"), input.u32("type version")) {
                (Ok(type_name), Ok(version)) => write!(f, "({type_name} v{version})")?,
                _ => write!(f, "({} parameter bytes)", self.parameters.len())?,
            }
        }
        if let Some((first, rest)) = self.children.split_first() {
            write!(f, "<{first}")?;
            rest.iter().try_for_each(|child| write!(f, ", {child}"))?;
            f.write_str(">")?;
        }
        Ok(())
    }
}
