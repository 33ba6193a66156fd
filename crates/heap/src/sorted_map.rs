//! The map inside one key of a sorted map state, and its codec.
//!
//! A persistent balanced tree: a clone shares all of it, and a write after a freeze copies the nodes
//! on the way from the root to its entry.
//!
//! Invariants: the order of `Ord` is that of the encoded user keys, so the entries are written in
//! the order that the format asks for.

use std::ops::Bound;

use alluvium_format::CodecError;
use alluvium_format::codec::{
    Codec, CodecSnapshot, Compatibility, Input, MapCodec, OrderedCodec, decode_sorted_entries,
    encode_checked_entries,
};
use alluvium_state::{ScanOrder, SortedKey, StateValue, check_written_key_len, is_empty_range};
use rpds::RedBlackTreeMapSync;

use crate::table::SlotCodec;

/// A map in the order of its keys, that shares its entries with its clones.
#[derive(Clone)]
pub(crate) struct SortedUserMap<UK: Ord, UV>(RedBlackTreeMapSync<UK, UV>);

/// Entries in order, or none.
type Entries<'m, UK, UV> = Box<dyn Iterator<Item = (&'m UK, &'m UV)> + 'm>;

impl<UK: SortedKey, UV: StateValue> Default for SortedUserMap<UK, UV> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<UK: SortedKey, UV: StateValue> SortedUserMap<UK, UV> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.size()
    }

    /// The entries, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&UK, &UV)> {
        self.0.iter()
    }

    pub(crate) fn contains(&self, key: &UK) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn get(&self, key: &UK) -> Option<&UV> {
        self.0.get(key)
    }

    pub(crate) fn insert(&mut self, key: UK, value: UV) {
        self.0.insert_mut(key, value);
    }

    /// Changes the value of a key, made first when there is none.
    pub(crate) fn update<R>(
        &mut self,
        key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> R {
        // A look first: the tree would copy what it shares before it finds nothing.
        if self.0.contains_key(&key)
            && let Some(value) = self.0.get_mut(&key)
        {
            return change(value);
        }
        let mut value = initial();
        let result = change(&mut value);
        self.0.insert_mut(key, value);
        result
    }

    pub(crate) fn remove(&mut self, key: &UK) {
        self.0.remove_mut(key);
    }

    /// The entries of a range. All of them, or one at an end, are found without going through others.
    pub(crate) fn range(
        &self,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Entries<'_, UK, UV> {
        if is_empty_range(range) {
            return Box::new(std::iter::empty());
        }
        let entries = self.0.range((range.0.cloned(), range.1.cloned()));
        match order {
            ScanOrder::Ascending => Box::new(entries),
            ScanOrder::Descending => Box::new(entries.rev()),
        }
    }
}

/// Writes a [`SortedUserMap`] as the `map` codec of the format does, in the order of the keys.
#[derive(Debug, Clone)]
pub(crate) struct SortedMapCodec<KC, VC>(pub(crate) MapCodec<KC, VC>);

impl<UK, UV, KC, VC> SlotCodec<SortedUserMap<UK, UV>> for SortedMapCodec<KC, VC>
where
    UK: SortedKey,
    UV: StateValue,
    KC: OrderedCodec<UK>,
    VC: Codec<UV>,
{
    fn snapshot(&self) -> CodecSnapshot {
        self.0.snapshot_of::<UK, UV>()
    }

    fn encode(&self, slot: &SortedUserMap<UK, UV>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let check = |len_bytes| check_written_key_len("user key", len_bytes);
        encode_checked_entries(&self.0, slot.0.size(), slot.0.iter(), check, out)
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<SortedUserMap<UK, UV>, CodecError> {
        decode(|input| self.0.keys.decode(input), |input| self.0.values.decode(input), input)
    }

    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<SortedUserMap<UK, UV>> {
        let current = self.snapshot();
        if current == *stored {
            return Compatibility::AsIs;
        }
        let Some((keys, values)) = self.0.part_decoders::<UK, UV>(stored) else {
            let (stored, current) = (Box::new(stored.clone()), Box::new(current));
            return Compatibility::Incompatible { stored, current };
        };
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            decode(|input| keys.decode_value(input), |input| values.decode_value(input), input)
        }))
    }
}

fn decode<UK: SortedKey, UV: StateValue>(
    keys: impl Fn(&mut Input<'_>) -> Result<UK, CodecError>,
    values: impl Fn(&mut Input<'_>) -> Result<UV, CodecError>,
    input: &mut Input<'_>,
) -> Result<SortedUserMap<UK, UV>, CodecError> {
    let mut map = SortedUserMap::default();
    decode_sorted_entries(keys, values, input, |key, value| map.insert(key, value))?;
    Ok(map)
}

#[cfg(test)]
mod tests;
