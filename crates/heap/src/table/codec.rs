//! The codec of a table's entries: key, namespace, state, one after the other (SPEC 6.4).

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, CodecSnapshot, Compatibility, Input};

use crate::map::Probe;

/// Codec of what a table keeps for a pair; like [`Codec`], for types of this crate too.
pub(crate) trait SlotCodec<S>: Send + Sync + 'static {
    fn snapshot(&self) -> CodecSnapshot;
    fn encode(&self, slot: &S, out: &mut Vec<u8>) -> Result<(), CodecError>;
    fn decode(&self, input: &mut Input<'_>) -> Result<S, CodecError>;
    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<S>;
}

/// A codec of the format, as it is.
#[derive(Debug, Clone)]
pub(crate) struct Plain<C>(pub(crate) C);

impl<S, C: Codec<S>> SlotCodec<S> for Plain<C> {
    fn snapshot(&self) -> CodecSnapshot {
        self.0.snapshot()
    }

    #[inline]
    fn encode(&self, slot: &S, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(slot, out)
    }

    #[inline]
    fn decode(&self, input: &mut Input<'_>) -> Result<S, CodecError> {
        self.0.decode(input)
    }

    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<S> {
        self.0.resolve(stored)
    }
}

/// Writes the entries of one table. `dyn` at the border of a block, static inside it.
pub(crate) trait EntryCodec<K, N, S>: Send + Sync {
    fn encode_entry(
        &self,
        key: &K,
        namespace: &N,
        state: &S,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;

    /// All entries of a segment, after each other.
    fn encode_segment(
        &self,
        segment: &hashbrown::HashTable<(K, N, S)>,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;
}

/// An [`EntryCodec`] of known codecs.
#[derive(Debug, Clone)]
pub(crate) struct TypedEntryCodec<KC, NC, SC> {
    pub(crate) key: KC,
    pub(crate) namespace: NC,
    pub(crate) slot: SC,
}

impl<K, N, S, KC, NC, SC> EntryCodec<K, N, S> for TypedEntryCodec<KC, NC, SC>
where
    KC: Codec<K>,
    NC: Codec<N>,
    SC: SlotCodec<S>,
{
    fn encode_entry(
        &self,
        key: &K,
        namespace: &N,
        state: &S,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        self.key.encode(key, out)?;
        self.namespace.encode(namespace, out)?;
        self.slot.encode(state, out)
    }

    fn encode_segment(
        &self,
        segment: &hashbrown::HashTable<(K, N, S)>,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        for (key, namespace, state) in segment {
            self.encode_entry(key, namespace, state, out)?;
        }
        Ok(())
    }
}

impl<KC, NC, SC> TypedEntryCodec<KC, NC, SC> {
    /// Reads the entries of a block and hands each over.
    pub(crate) fn decode_block<K, N, S, E: From<CodecError>>(
        &self,
        count: u32,
        block: &[u8],
        migrating: Option<&dyn alluvium_format::codec::Decode<S>>,
        mut entry: impl FnMut(K, N, S, &[u8]) -> Result<(), E>,
    ) -> Result<(), E>
    where
        KC: Codec<K>,
        NC: Codec<N>,
        SC: SlotCodec<S>,
    {
        let mut input = Input::new(block);
        for _ in 0..count {
            let before = input.rest();
            let key = self.key.decode(&mut input)?;
            let key_len = before.len() - input.rest().len();
            let encoded_key = before.get(..key_len).unwrap_or_default();
            let namespace = self.namespace.decode(&mut input)?;
            let state = match migrating {
                None => self.slot.decode(&mut input)?,
                Some(decoder) => decoder.decode_value(&mut input)?,
            };
            entry(key, namespace, state, encoded_key)?;
        }
        Ok(input.finish()?)
    }
}

/// The probe of a pair in a table's own hash.
pub(crate) fn probe<'a, K: std::hash::Hash, N: std::hash::Hash>(
    key: &'a K,
    namespace: &'a N,
    hasher: &'a crate::TableHasher,
) -> Probe<'a, K, N> {
    Probe { hash: hasher.hash_pair(key, namespace), key, namespace, hasher }
}
