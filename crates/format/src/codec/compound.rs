//! Codecs made of codecs: unit, option, vec, map, tuple.
//!
//! Invariants: a count is bounded by the bytes that are left, or by [`MAX_EMPTY_ITEMS`] where
//! items have no bytes at all, so no count makes a reader work longer than its input is.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use super::extent::MAX_EMPTY_ITEMS;
use super::{Codec, CodecSnapshot, Compatibility, Decode, HasCodec, Input, sealed::Sealed};
use crate::CodecError;
use crate::wire::put_varint;

/// Codec of `()`: no bytes.
#[derive(Debug, Default, Clone)]
pub struct UnitCodec;

impl Sealed for UnitCodec {}

impl Codec<()> for UnitCodec {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::plain("unit")
    }

    #[inline]
    fn encode(&self, (): &(), _out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    #[inline]
    fn decode(&self, _input: &mut Input<'_>) -> Result<(), CodecError> {
        Ok(())
    }
}

impl HasCodec for () {
    type Codec = UnitCodec;
}

/// Codec of `Option`: 0, or 1 and the value.
#[derive(Debug, Default, Clone)]
pub struct OptionCodec<C>(pub C);

impl<C> Sealed for OptionCodec<C> {}

fn decode_option<T>(
    input: &mut Input<'_>,
    value: impl FnOnce(&mut Input<'_>) -> Result<T, CodecError>,
) -> Result<Option<T>, CodecError> {
    let (what, offset) = ("option", input.offset());
    match input.u8(what)? {
        0 => Ok(None),
        1 => value(input).map(Some),
        _ => Err(CodecError::Invalid { what, offset, reason: "neither 0 nor 1" }),
    }
}

impl<T: 'static, C: Codec<T>> Codec<Option<T>> for OptionCodec<C> {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::of_parts("option", vec![self.0.snapshot()])
    }

    fn encode(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(u8::from(value.is_some()));
        value.as_ref().map_or(Ok(()), |value| self.0.encode(value, out))
    }

    #[inline]
    fn touch(&self, value: &Option<T>) -> u8 {
        value.as_ref().map_or(0, |value| self.0.touch(value))
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<Option<T>, CodecError> {
        decode_option(input, |input| self.0.decode(input))
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<Option<T>> {
        match part_answers(&self.snapshot(), stored) {
            Some([part]) => match self.0.resolve(part) {
                Compatibility::AsIs => Compatibility::AsIs,
                Compatibility::AfterMigration(inner) => {
                    Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                        decode_option(input, |input| inner.decode_value(input))
                    }))
                }
                Compatibility::Incompatible { .. } => {
                    Compatibility::incompatible(self.snapshot(), stored)
                }
            },
            _ => Compatibility::incompatible(self.snapshot(), stored),
        }
    }
}

/// The stored parts, when the outside of both codecs is the same.
fn part_answers<'a, const N: usize>(
    current: &CodecSnapshot,
    stored: &'a CodecSnapshot,
) -> Option<&'a [CodecSnapshot; N]> {
    let same = current.name == stored.name
        && current.version == stored.version
        && current.parameters == stored.parameters;
    if same { stored.children.first_chunk().filter(|_| stored.children.len() == N) } else { None }
}

impl<T: HasCodec> HasCodec for Option<T> {
    type Codec = OptionCodec<T::Codec>;
}

/// Writes a count and items; refuses more empty items than a reader accepts.
fn encode_counted(
    count: usize,
    out: &mut Vec<u8>,
    items: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    put_varint(count as u64, out);
    let start = out.len();
    items(out)?;
    let written = out.len().saturating_sub(start) as u64;
    let (what, found, limit) = ("number of items without bytes", count as u64, MAX_EMPTY_ITEMS);
    if found > written && found > limit {
        return Err(CodecError::TooLarge { what, found, limit });
    }
    Ok(())
}

pub(super) fn decode_count(input: &mut Input<'_>, what: &'static str) -> Result<u64, CodecError> {
    let offset = input.offset();
    let count = input.varint(what)?;
    let left = input.rest().len();
    if count > left as u64 && count > MAX_EMPTY_ITEMS {
        return Err(CodecError::Truncated { what, offset, needed: count, left });
    }
    Ok(count)
}

/// Codec of `Vec`, and of list state: varint count, then the items.
#[derive(Debug, Default, Clone)]
pub struct VecCodec<C>(pub C);

impl<C> Sealed for VecCodec<C> {}

/// Writes the items of any list as [`VecCodec`] does.
///
/// Errors: as [`Codec::encode`].
pub fn encode_items<'a, T: 'a>(
    codec: &VecCodec<impl Codec<T>>,
    count: usize,
    mut items: impl Iterator<Item = &'a T>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    encode_counted(count, out, |out| items.try_for_each(|item| codec.0.encode(item, out)))
}

fn decode_vec<T>(
    input: &mut Input<'_>,
    mut item: impl FnMut(&mut Input<'_>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let count = decode_count(input, "vec")?;
    (0..count).map(|_| item(input)).collect()
}

impl<T: 'static, C: Codec<T>> Codec<Vec<T>> for VecCodec<C> {
    fn snapshot(&self) -> CodecSnapshot {
        CodecSnapshot::of_parts("vec", vec![self.0.snapshot()])
    }

    fn encode(&self, value: &Vec<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_items(self, value.len(), value.iter(), out)
    }

    #[inline]
    fn touch(&self, value: &Vec<T>) -> u8 {
        value.first().map_or(0, |item| self.0.touch(item))
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<Vec<T>, CodecError> {
        let count = decode_count(input, "vec")?;
        let mut items = Vec::new();
        self.0.decode_many(count, input, &mut items)?;
        Ok(items)
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<Vec<T>> {
        match part_answers(&self.snapshot(), stored) {
            Some([part]) => match self.0.resolve(part) {
                Compatibility::AsIs => Compatibility::AsIs,
                Compatibility::AfterMigration(inner) => {
                    Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                        decode_vec(input, |input| inner.decode_value(input))
                    }))
                }
                Compatibility::Incompatible { .. } => {
                    Compatibility::incompatible(self.snapshot(), stored)
                }
            },
            _ => Compatibility::incompatible(self.snapshot(), stored),
        }
    }
}

impl<T: HasCodec> HasCodec for Vec<T> {
    type Codec = VecCodec<T::Codec>;
}

/// Codec of maps, and of map state: varint count, then key and value of each entry, in no order.
#[derive(Debug, Default, Clone)]
pub struct MapCodec<K, V> {
    /// Codec of the keys.
    pub keys: K,
    /// Codec of the values.
    pub values: V,
}

impl<K, V> Sealed for MapCodec<K, V> {}

/// Writes the entries of any map as [`MapCodec`] does.
///
/// Errors: as [`Codec::encode`].
pub fn encode_entries<'a, K: 'a, V: 'a>(
    codec: &MapCodec<impl Codec<K>, impl Codec<V>>,
    count: usize,
    entries: impl Iterator<Item = (&'a K, &'a V)>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    encode_checked_entries(codec, count, entries, |_| Ok(()), out)
}

/// As [`encode_entries`], with a check of the length of each encoded key, in bytes.
///
/// Errors: as [`Codec::encode`], and what the check gives.
pub fn encode_checked_entries<'a, K: 'a, V: 'a>(
    codec: &MapCodec<impl Codec<K>, impl Codec<V>>,
    count: usize,
    entries: impl Iterator<Item = (&'a K, &'a V)>,
    check_key: impl Fn(usize) -> Result<(), CodecError>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    encode_counted(count, out, |out| {
        for (key, value) in entries {
            let before = out.len();
            codec.keys.encode(key, out)?;
            check_key(out.len() - before)?;
            codec.values.encode(value, out)?;
        }
        Ok(())
    })
}

/// Reads entries into any map; `insert` says whether the key was absent.
///
/// Errors: [`CodecError::Invalid`] for a key that comes twice, and those of the parts.
pub fn decode_entries<K, V>(
    keys: impl Fn(&mut Input<'_>) -> Result<K, CodecError>,
    values: impl Fn(&mut Input<'_>) -> Result<V, CodecError>,
    input: &mut Input<'_>,
    mut insert: impl FnMut(K, V) -> bool,
) -> Result<(), CodecError> {
    let what = "map";
    for _ in 0..decode_count(input, what)? {
        let offset = input.offset();
        let key = keys(input)?;
        let value = values(input)?;
        if !insert(key, value) {
            return Err(CodecError::Invalid { what, offset, reason: "a key comes twice" });
        }
    }
    Ok(())
}

type PartDecoders<K, V> = (Box<dyn Decode<K>>, Box<dyn Decode<V>>);

impl<KC, VC> MapCodec<KC, VC> {
    /// The snapshot, for key and value types that the map type does not fix.
    pub fn snapshot_of<K, V>(&self) -> CodecSnapshot
    where
        KC: Codec<K>,
        VC: Codec<V>,
    {
        CodecSnapshot::of_parts("map", vec![self.keys.snapshot(), self.values.snapshot()])
    }

    /// The decoders of stored entries, or `None` when they cannot be read.
    pub fn part_decoders<K: 'static, V: 'static>(
        &self,
        stored: &CodecSnapshot,
    ) -> Option<PartDecoders<K, V>>
    where
        KC: Codec<K>,
        VC: Codec<V>,
    {
        let [key, value] = part_answers(&self.snapshot_of::<K, V>(), stored)?;
        let keys = super::decoder_for(&self.keys, key).ok()?;
        let values = super::decoder_for(&self.values, value).ok()?;
        Some((keys, values))
    }
}

macro_rules! map {
    ($map:ident<K, V $(, $hasher:ident)?> where $($bound:tt)*) => {
        impl<K, V, KC, VC $(, $hasher)?> Codec<$map<K, V $(, $hasher)?>> for MapCodec<KC, VC>
        where
            K: 'static,
            V: 'static,
            KC: Codec<K>,
            VC: Codec<V>,
            $($bound)*
        {
            fn snapshot(&self) -> CodecSnapshot {
                self.snapshot_of::<K, V>()
            }

            #[allow(clippy::iter_over_hash_type, reason = "the order of entries is not specified")]
            fn encode(
                &self,
                value: &$map<K, V $(, $hasher)?>,
                out: &mut Vec<u8>,
            ) -> Result<(), CodecError> {
                encode_entries(self, value.len(), value.iter(), out)
            }

            fn decode(
                &self,
                input: &mut Input<'_>,
            ) -> Result<$map<K, V $(, $hasher)?>, CodecError> {
                let mut map = $map::default();
                let keys = |input: &mut Input<'_>| self.keys.decode(input);
                let values = |input: &mut Input<'_>| self.values.decode(input);
                decode_entries(keys, values, input, |k, v| map.insert(k, v).is_none())?;
                Ok(map)
            }

            fn resolve_same(
                &self,
                stored: &CodecSnapshot,
            ) -> Compatibility<$map<K, V $(, $hasher)?>> {
                let current = self.snapshot_of::<K, V>();
                if current == *stored {
                    return Compatibility::AsIs;
                }
                let Some((keys, values)) = self.part_decoders::<K, V>(stored) else {
                    return Compatibility::incompatible(current, stored);
                };
                Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                    let mut map = $map::default();
                    decode_entries(
                        |input| keys.decode_value(input),
                        |input| values.decode_value(input),
                        input,
                        |k, v| map.insert(k, v).is_none(),
                    )?;
                    Ok(map)
                }))
            }
        }
    };
}

map!(BTreeMap<K, V> where K: Ord,);
map!(HashMap<K, V, S> where K: Eq + Hash, S: BuildHasher + Default + 'static,);

impl<K: HasCodec + Ord, V: HasCodec> HasCodec for BTreeMap<K, V> {
    type Codec = MapCodec<K::Codec, V::Codec>;
}

impl<K: HasCodec + Eq + Hash, V: HasCodec, S: BuildHasher + Default + 'static> HasCodec
    for HashMap<K, V, S>
{
    type Codec = MapCodec<K::Codec, V::Codec>;
}

/// Codec of tuples of two to six fields: the fields in order.
#[derive(Debug, Default, Clone)]
pub struct TupleCodec<F>(pub F);

impl<F> Sealed for TupleCodec<F> {}

macro_rules! tuple {
    ($($field:ident $codec:ident $index:tt),*) => {
        impl<$($field: 'static,)* $($codec: Codec<$field>,)*> Codec<($($field,)*)>
            for TupleCodec<($($codec,)*)>
        {
            fn snapshot(&self) -> CodecSnapshot {
                CodecSnapshot::of_parts("tuple", vec![$(self.0.$index.snapshot()),*])
            }

            #[inline]
            fn encode(&self, value: &($($field,)*), out: &mut Vec<u8>) -> Result<(), CodecError> {
                $(self.0.$index.encode(&value.$index, out)?;)*
                Ok(())
            }

            #[inline]
            fn touch(&self, value: &($($field,)*)) -> u8 {
                0 $(^ self.0.$index.touch(&value.$index))*
            }

            #[inline]
            fn decode(&self, input: &mut Input<'_>) -> Result<($($field,)*), CodecError> {
                Ok(($(self.0.$index.decode(input)?,)*))
            }

            fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<($($field,)*)> {
                let current = Codec::<($($field,)*)>::snapshot(self);
                if current == *stored {
                    return Compatibility::AsIs;
                }
                let Some(parts) = part_answers::<{ [$($index),*].len() }>(&current, stored) else {
                    return Compatibility::incompatible(current, stored);
                };
                let mut parts = parts.iter();
                let decoders = ($({
                    let decoder = parts
                        .next()
                        .and_then(|part| super::decoder_for(&self.0.$index, part).ok());
                    match decoder {
                        Some(decoder) => decoder,
                        None => return Compatibility::incompatible(current, stored),
                    }
                },)*);
                Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                    Ok(($(decoders.$index.decode_value(input)?,)*))
                }))
            }
        }

        impl<$($field: HasCodec),*> HasCodec for ($($field,)*) {
            type Codec = TupleCodec<($($field::Codec,)*)>;
        }
    };
}

tuple!(A CA 0, B CB 1);
tuple!(A CA 0, B CB 1, C CC 2);
tuple!(A CA 0, B CB 1, C CC 2, D CD 3);
tuple!(A CA 0, B CB 1, C CC 2, D CD 3, E CE 4);
tuple!(A CA 0, B CB 1, C CC 2, D CD 3, E CE 4, F CF 5);
