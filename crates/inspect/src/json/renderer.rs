//! Renders encoded values by their shape.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use alluvium_format::CodecError;
use alluvium_format::codec::{Input, MAX_EMPTY_ITEMS, read_count};
use alluvium_format::keyed::TimeDomain;

use super::shape::{Number, Shape};
use super::{WHAT, invalid, quote};

pub(super) struct Renderer {
    pub(super) text: String,
    /// How many more items without bytes are made.
    empty_left: u64,
}

impl Renderer {
    pub(super) fn new(len_bytes: usize) -> Self {
        Self { text: String::with_capacity(len_bytes), empty_left: MAX_EMPTY_ITEMS }
    }

    fn put(&mut self, value: impl Display) {
        // Writing to a text does not fail.
        let _ = write!(self.text, "{value}");
    }

    pub(super) fn value(&mut self, shape: &Shape, input: &mut Input<'_>) -> Result<(), CodecError> {
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
