//! Values as JSON, by the snapshot of their codec.
//!
//! Shape: numbers as numbers of any width; NaN and the infinities as the texts `NaN`, `Infinity`,
//! `-Infinity`, since JSON has none; bytes, and values of `postcard` and `user` types, as texts of
//! hexadecimal digits; units and absent options as `null`; lists and tuples as lists; maps as lists of
//! pairs, in the order of the stream; values with stamps as `{"stamp_ms": .., "value": ..}`.
//!
//! Invariants: what a codec does not write is refused (SPEC 5.2); the text is at most a fixed multiple
//! of the bytes, but for items without bytes, of which there are at most 65,536 in a value.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use alluvium_format::CodecError;
use alluvium_format::codec::{
    CodecSnapshot, Extent, Input, MAX_EMPTY_ITEMS, is_ordered, read_count,
};
use alluvium_format::keyed::{StateKind, StateMeta, TimeDomain, timer_namespace};

const WHAT: &str = "value";

/// Renders values of one type.
#[derive(Debug, Clone)]
pub struct JsonCodec {
    shape: Shape,
    extent: Extent,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    U(usize),
    I(usize),
    F32,
    F64,
}

#[derive(Debug, Clone)]
enum Shape {
    Number(Number, bool),
    Bool,
    Text,
    Bytes,
    OrderedText,
    OrderedBytes,
    Fixed(u64),
    Unit,
    Option(Box<Shape>),
    Vec(Box<Shape>),
    Map {
        key: Box<Shape>,
        value: Box<Shape>,
        is_sorted: bool,
    },
    Tuple(Vec<Shape>),
    Stamped(Box<Shape>),
    /// Code of the domain, time, namespace of the job.
    Timer(Box<Shape>),
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
        let mut out =
            Renderer { text: String::with_capacity(bytes.len()), empty_left: MAX_EMPTY_ITEMS };
        let mut input = Input::new(bytes);
        out.value(&self.shape, &mut input)?;
        input.finish()?;
        Ok(out.text)
    }
}

impl Shape {
    fn of(snapshot: &CodecSnapshot) -> Option<Self> {
        let CodecSnapshot { name, version: 1, parameters, children } = snapshot else {
            return None;
        };
        let mut parts = children.iter().map(Self::of).collect::<Option<Vec<_>>>()?;
        let (plain, is_ordered) = match name.strip_prefix("ordered_") {
            Some(plain) => (plain, true),
            None => (name.as_str(), false),
        };
        Some(match (plain, is_ordered, parts.len()) {
            ("u8" | "u16" | "u32" | "u64" | "u128", _, 0) => {
                Self::Number(Number::U(width(plain)?), is_ordered)
            }
            ("i8" | "i16" | "i32" | "i64" | "i128", _, 0) => {
                Self::Number(Number::I(width(plain)?), is_ordered)
            }
            ("f32", _, 0) => Self::Number(Number::F32, is_ordered),
            ("f64", _, 0) => Self::Number(Number::F64, is_ordered),
            ("string", true, 0) => Self::OrderedText,
            ("bytes", true, 0) => Self::OrderedBytes,
            (_, true, _) => return None,
            ("bool", _, 0) => Self::Bool,
            ("string", _, 0) => Self::Text,
            ("bytes" | "postcard" | "user", _, 0) => Self::Bytes,
            ("fixed_bytes", _, 0) => {
                let len = <[u8; 4]>::try_from(parameters.as_slice()).ok()?;
                Self::Fixed(u64::from(u32::from_le_bytes(len)))
            }
            ("unit", _, 0) => Self::Unit,
            ("option", _, 1) => Self::Option(Box::new(parts.pop()?)),
            ("vec", _, 1) => Self::Vec(Box::new(parts.pop()?)),
            ("ttl", _, 1) => Self::Stamped(Box::new(parts.pop()?)),
            ("map", _, 2) => {
                let (value, key) = (Box::new(parts.pop()?), Box::new(parts.pop()?));
                Self::Map { key, value, is_sorted: false }
            }
            ("tuple", _, 2..=6) => Self::Tuple(parts),
            _ => return None,
        })
    }
}

/// Bytes of a number by the name of its codec.
fn width(name: &str) -> Option<usize> {
    name.get(1..)?.parse::<usize>().ok().map(|bits| bits / 8)
}

struct Renderer {
    text: String,
    /// How many more items without bytes are made.
    empty_left: u64,
}

impl Renderer {
    fn put(&mut self, value: impl Display) {
        // Writing to a text does not fail.
        let _ = write!(self.text, "{value}");
    }

    fn value(&mut self, shape: &Shape, input: &mut Input<'_>) -> Result<(), CodecError> {
        match shape {
            Shape::Number(number, is_ordered) => self.number(*number, *is_ordered, input)?,
            Shape::Bool => {
                let offset = input.offset();
                match input.u8(WHAT)? {
                    0 => self.put("false"),
                    1 => self.put("true"),
                    _ => return Err(invalid(offset, "neither 0 nor 1")),
                }
            }
            Shape::Text => {
                let offset = input.offset();
                self.string(input.framed(WHAT)?, offset)?;
            }
            Shape::OrderedText => {
                let offset = input.offset();
                let text = unescaped(input)?;
                self.string(&text, offset)?;
            }
            Shape::Bytes => self.hex(input.framed(WHAT)?),
            Shape::OrderedBytes => {
                let bytes = unescaped(input)?;
                self.hex(&bytes);
            }
            Shape::Fixed(len) => self.hex(input.take(*len, WHAT)?),
            Shape::Unit => self.put("null"),
            Shape::Option(value) => {
                let offset = input.offset();
                match input.u8(WHAT)? {
                    0 => self.put("null"),
                    1 => self.value(value, input)?,
                    _ => return Err(invalid(offset, "neither 0 nor 1")),
                }
            }
            Shape::Vec(item) => self.list(input, |this, input, _| this.value(item, input))?,
            Shape::Map { key, value, is_sorted } => self.map(key, value, *is_sorted, input)?,
            Shape::Tuple(parts) => self.tuple(parts, input)?,
            Shape::Stamped(value) => {
                let stamp_ms = i64::from_le_bytes(input.array(WHAT)?);
                self.put(format_args!("{{\"stamp_ms\": {stamp_ms}, \"value\": "));
                self.value(value, input)?;
                self.put("}");
            }
            Shape::Timer(namespace) => {
                let offset = input.offset();
                let domain = input.u8(WHAT)?;
                if TimeDomain::from_code(domain).is_none() {
                    return Err(invalid(offset, "an unknown time domain"));
                }
                let time_ms = i64::from_le_bytes(input.array(WHAT)?);
                self.put(format_args!("[{domain}, {time_ms}, "));
                self.value(namespace, input)?;
                self.put("]");
            }
        }
        Ok(())
    }

    fn list<'i>(
        &mut self,
        input: &mut Input<'i>,
        mut item: impl FnMut(&mut Self, &mut Input<'i>, usize) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let count = read_count(input)?;
        self.put("[");
        for place in 0..count {
            self.put(if place > 0 { ", " } else { "" });
            let before = input.offset();
            item(self, input, before)?;
            if input.offset() == before {
                let left = self.empty_left.checked_sub(1);
                self.empty_left = left.ok_or(invalid(before, "too many items without bytes"))?;
            }
        }
        self.put("]");
        Ok(())
    }

    fn map(
        &mut self,
        key: &Shape,
        value: &Shape,
        is_sorted: bool,
        input: &mut Input<'_>,
    ) -> Result<(), CodecError> {
        let (mut seen, mut last) = (BTreeSet::new(), None);
        self.list(input, |this, input, offset| {
            this.put("[");
            let before = input.rest();
            this.value(key, input)?;
            let encoded = before.get(..before.len() - input.rest().len()).unwrap_or_default();
            if is_sorted {
                if last.is_some_and(|last| last >= encoded) {
                    return Err(invalid(offset, "user keys that are not in ascending order"));
                }
                last = Some(encoded);
            } else if !seen.insert(encoded) {
                return Err(invalid(offset, "a key of a map comes twice"));
            }
            this.put(", ");
            this.value(value, input)?;
            this.put("]");
            Ok(())
        })
    }

    fn tuple(&mut self, parts: &[Shape], input: &mut Input<'_>) -> Result<(), CodecError> {
        for (place, part) in parts.iter().enumerate() {
            self.put(if place > 0 { ", " } else { "[" });
            self.value(part, input)?;
        }
        self.put("]");
        Ok(())
    }

    fn number(
        &mut self,
        number: Number,
        is_ordered: bool,
        input: &mut Input<'_>,
    ) -> Result<(), CodecError> {
        let len = match number {
            Number::U(len) | Number::I(len) => len,
            Number::F32 => 4,
            Number::F64 => 8,
        };
        let stored = input.take(len as u64, WHAT)?;
        let mut bytes = [0; 16];
        let highest_first: &mut dyn Iterator<Item = &u8> =
            if is_ordered { &mut stored.iter() } else { &mut stored.iter().rev() };
        for (to, from) in bytes.iter_mut().skip(16 - len).zip(highest_first) {
            *to = *from;
        }
        let bits = u128::from_be_bytes(bytes);
        let sign = 1_u128 << (8 * len - 1);
        match number {
            Number::U(_) => self.put(bits),
            Number::I(_) => {
                let bits = if is_ordered { bits ^ sign } else { bits };
                let shift = 128 - 8 * len;
                self.put((bits << shift).cast_signed() >> shift);
            }
            Number::F32 | Number::F64 => {
                let inverted = if bits & sign == 0 { sign | (sign - 1) } else { sign };
                let bits = if is_ordered { bits ^ inverted } else { bits };
                self.float(number, bits);
            }
        }
        Ok(())
    }

    fn float(&mut self, number: Number, bits: u128) {
        let value = match number {
            Number::F32 => f64::from(f32::from_bits(u32::try_from(bits).unwrap_or_default())),
            _ => f64::from_bits(u64::try_from(bits).unwrap_or_default()),
        };
        if value.is_nan() {
            self.put("\"NaN\"");
        } else if value.is_infinite() {
            self.put(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
        } else {
            self.put(format_args!("{value:?}"));
        }
    }

    fn hex(&mut self, bytes: &[u8]) {
        self.text.push('"');
        for byte in bytes {
            self.put(format_args!("{byte:02x}"));
        }
        self.text.push('"');
    }

    fn string(&mut self, bytes: &[u8], offset: usize) -> Result<(), CodecError> {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid(offset, "not UTF-8"))?;
        quote(text, &mut self.text);
        Ok(())
    }
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
            c if c.is_control() => {
                // Control characters are below U+10000.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The bytes up to the next 0, without their escapes (SPEC 5.5).
fn unescaped(input: &mut Input<'_>) -> Result<Vec<u8>, CodecError> {
    let start = input.offset();
    let mut escaped = input.terminated(WHAT)?.iter();
    let mut bytes = Vec::with_capacity(escaped.len());
    while let Some(byte) = escaped.next() {
        match byte {
            1 => match escaped.next() {
                Some(written @ 1..=2) => bytes.push(written - 1),
                _ => return Err(invalid(start, "an escape before another byte")),
            },
            byte => bytes.push(*byte),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
