//! Values as JSON, by the snapshot of their codec.
//!
//! Shape: numbers as numbers of any width; NaN and the infinities as the texts `NaN`, `Infinity`,
//! `-Infinity`, since JSON has none; bytes, and values of `postcard` and `user` types, as texts of
//! hexadecimal digits; units and absent options as `null`; lists and tuples as lists; maps as lists of
//! pairs, in the order of the stream; values with stamps as `{"stamp_ms": .., "value": ..}`.
//!
//! Invariants: what a codec does not write is refused (SPEC 5.2); the text is at most a fixed multiple
//! of the bytes, but for items without bytes, of which there are at most 65,536 in a value.

mod renderer;
mod shape;

use std::fmt::Write;

use alluvium_format::CodecError;
use alluvium_format::codec::{CodecSnapshot, Extent, Input, is_ordered};
use alluvium_format::keyed::{StateKind, StateMeta, timer_namespace};

use renderer::Renderer;
use shape::Shape;

const WHAT: &str = "value";

/// Renders values of one type.
#[derive(Debug, Clone)]
pub struct JsonCodec {
    shape: Shape,
    extent: Extent,
}

fn invalid(offset: usize, reason: &'static str) -> CodecError {
    CodecError::Invalid { what: WHAT, offset, reason }
}

impl JsonCodec {
    /// Of values that a codec wrote.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that SPEC 5.2 does not have.
    pub fn of(snapshot: &CodecSnapshot) -> Result<Self, CodecError> {
        let extent = Extent::of(snapshot)?;
        let shape = Shape::of(snapshot).ok_or(invalid(0, "no codec of this version"))?;
        Ok(Self { shape, extent })
    }

    /// Of the values of a keyed state: whole lists and maps.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that this kind of state cannot have.
    pub fn of_values(meta: &StateMeta) -> Result<Self, CodecError> {
        let codec = Self::of(&meta.value)?;
        let misfit = invalid(0, "not a codec that this kind of state has");
        match (meta.kind, &codec.shape) {
            (StateKind::List | StateKind::LongList, Shape::Vec(_))
            | (StateKind::Map, Shape::Map { .. })
            | (StateKind::Timers, Shape::Unit) => Ok(codec),
            (StateKind::SortedMap, Shape::Map { key, value, .. })
                if meta.value.children.first().is_some_and(is_ordered) =>
            {
                let (key, value) = (key.clone(), value.clone());
                Ok(Self { shape: Shape::Map { key, value, is_sorted: true }, ..codec })
            }
            (
                StateKind::List
                | StateKind::LongList
                | StateKind::Map
                | StateKind::SortedMap
                | StateKind::Timers,
                _,
            ) => Err(misfit),
            _ => Ok(codec),
        }
    }

    /// Of the namespaces of a keyed state; of timers, with domain and time.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that this kind of state cannot have.
    pub fn of_namespaces(meta: &StateMeta) -> Result<Self, CodecError> {
        if meta.kind != StateKind::Timers {
            return Self::of(&meta.namespace);
        }
        let codec = Self::of(&meta.namespace)?;
        let own = timer_namespace(meta).and_then(Shape::of);
        let own = own.ok_or(invalid(0, "not a codec that timers have"))?;
        Ok(Self { shape: Shape::Timer(Box::new(own)), ..codec })
    }

    /// One value and nothing more, as JSON in one line.
    ///
    /// Errors: [`CodecError`].
    pub fn render(&self, bytes: &[u8]) -> Result<String, CodecError> {
        self.extent.check_whole(bytes)?;
        let mut out = Renderer::new(bytes.len());
        let mut input = Input::new(bytes);
        out.value(&self.shape, &mut input)?;
        input.finish()?;
        Ok(out.text)
    }
}

/// Whether a character is not shown but does something: control characters, with which a terminal is told what
/// to do, and those that turn the direction of text around or end a line.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Appends a text as JSON.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                // All of them are below U+10000.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
