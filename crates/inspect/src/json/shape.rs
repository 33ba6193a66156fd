//! What the bytes of a codec look like, and how they are rendered.

use alluvium_format::codec::CodecSnapshot;

#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    U(usize),
    I(usize),
    F32,
    F64,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
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

impl Shape {
    pub(super) fn of(snapshot: &CodecSnapshot) -> Option<Self> {
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
