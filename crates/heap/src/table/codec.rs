//! The codec of a table's entries: key, namespace, state, one after the other (SPEC 6.4).

use std::hash::Hash;
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, CodecSnapshot, Compatibility, Decode, Input};
use alluvium_format::keyed::{read_delta_header, write_delta_header};
use alluvium_state::check_written_key_len;
use hashbrown::HashTable;

use super::load::{LoadRules, Refusal};
use crate::TableHasher;
use crate::slot::Slot;

/// Codec of what a table keeps for a pair; like [`Codec`], for types of this crate too.
pub(crate) trait SlotCodec<S>: Send + Sync + 'static {
    fn snapshot(&self) -> CodecSnapshot;
    fn encode(&self, slot: &S, out: &mut Vec<u8>) -> Result<(), CodecError>;
    /// As [`Codec::touch`].
    fn touch(&self, _slot: &S) -> u8 {
        0
    }
    fn decode(&self, input: &mut Input<'_>) -> Result<S, CodecError>;
    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<S>;
}

/// A codec of the format, as it is.
#[derive(Debug, Clone)]
pub(crate) struct Plain<C>(pub(crate) C);

impl<S: 'static, C: Codec<S>> SlotCodec<S> for Plain<C> {
    fn snapshot(&self) -> CodecSnapshot {
        self.0.snapshot()
    }

    #[inline]
    fn encode(&self, slot: &S, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(slot, out)
    }

    #[inline]
    fn touch(&self, slot: &S) -> u8 {
        self.0.touch(slot)
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
pub(crate) trait EntryCodec<E: Slot>: Send + Sync {
    /// One entry.
    fn encode_entry(
        &self,
        key: &E::Key,
        namespace: &E::Namespace,
        state: &E::State,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;

    /// A byte of what the key and the state of an entry own.
    fn touch(&self, entry: &E) -> u8;

    /// The content of a full block.
    fn encode_full(&self, table: &HashTable<E>, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The content of a delta block: removed pairs, and the entries in some buckets.
    fn encode_delta(
        &self,
        table: &HashTable<E>,
        removed: &[&(E::Key, E::Namespace)],
        buckets: &[usize],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;
}

/// Reads the entries of one table.
pub(crate) trait EntryReader<E: Slot>: Send + Sync {
    /// Applies a block to what the blocks before it gave.
    fn apply(
        &self,
        block: EncodedBlock<'_>,
        table: &mut HashTable<E>,
        rules: &LoadRules<E::Key>,
    ) -> Result<(), Refusal>;
}

/// How many entries behind pointers are fetched from memory side by side. A processor waits for some ten
/// to twenty at once.
const BATCH: usize = 32;

/// A block on its way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodedBlock<'a> {
    pub(crate) is_delta: bool,
    pub(crate) records: u32,
    pub(crate) bytes: &'a [u8],
    /// The segment that all its pairs must belong to.
    pub(crate) segment: Option<usize>,
}

/// Codecs of key, namespace and state.
#[derive(Debug, Clone)]
pub(crate) struct TypedEntryCodec<KC, NC, SC> {
    pub(crate) key: KC,
    pub(crate) namespace: NC,
    /// Bytes of a namespace that are not the job's: domain and time of a timer.
    pub(crate) namespace_lead_len_bytes: usize,
    pub(crate) slot: SC,
}

impl<KC, NC, SC> TypedEntryCodec<KC, NC, SC> {
    /// Key and namespace, which no stream has longer than SPEC 9 allows.
    fn encode_pair<K, N>(
        &self,
        (key, namespace): (&K, &N),
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>
    where
        KC: Codec<K>,
        NC: Codec<N>,
    {
        let start = out.len();
        self.key.encode(key, out)?;
        let end = out.len();
        check_written_key_len("key", end - start)?;
        self.namespace.encode(namespace, out)?;
        let len_bytes = (out.len() - end).saturating_sub(self.namespace_lead_len_bytes);
        check_written_key_len("namespace", len_bytes)
    }
}

impl<KC, NC, SC> TypedEntryCodec<KC, NC, SC> {
    fn encode_each<'a, E>(
        &self,
        entries: impl IntoIterator<Item = &'a E>,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>
    where
        E: Slot,
        KC: Codec<E::Key>,
        NC: Codec<E::Namespace>,
        SC: SlotCodec<E::State>,
    {
        entries.into_iter().try_for_each(|entry| {
            let (key, namespace, state) = (entry.key(), entry.namespace(), entry.state());
            EntryCodec::<E>::encode_entry(self, key, namespace, state, out)
        })
    }
}

impl<E, KC, NC, SC> EntryCodec<E> for TypedEntryCodec<KC, NC, SC>
where
    E: Slot,
    KC: Codec<E::Key>,
    NC: Codec<E::Namespace>,
    SC: SlotCodec<E::State>,
{
    fn encode_entry(
        &self,
        key: &E::Key,
        namespace: &E::Namespace,
        state: &E::State,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        self.encode_pair((key, namespace), out)?;
        self.slot.encode(state, out)
    }

    #[inline]
    fn touch(&self, entry: &E) -> u8 {
        self.key.touch(entry.key()) ^ self.slot.touch(entry.state())
    }

    fn encode_full(&self, table: &HashTable<E>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if !E::IS_SHARED {
            return self.encode_each(table, out);
        }
        let (mut entries, mut batch) = (table.iter(), Vec::with_capacity(BATCH));
        loop {
            batch.clear();
            batch.extend(entries.by_ref().take(BATCH));
            if batch.is_empty() {
                return Ok(());
            }
            let touched = batch
                .iter()
                .fold(0, |touched, entry| touched ^ EntryCodec::<E>::touch(self, entry));
            std::hint::black_box(touched);
            self.encode_each(batch.iter().copied(), out)?;
        }
    }

    fn encode_delta(
        &self,
        table: &HashTable<E>,
        removed: &[&(E::Key, E::Namespace)],
        buckets: &[usize],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        write_delta_header(super::count_of(removed.len())?, out);
        for (key, namespace) in removed {
            self.encode_pair((key, namespace), out)?;
        }
        self.encode_each(buckets.iter().filter_map(|bucket| table.get_bucket(*bucket)), out)
    }
}

/// Reads entries, migrating their states if they were written with another codec.
pub(crate) struct TypedEntryReader<KC, NC, SC, S> {
    pub(crate) codec: TypedEntryCodec<KC, NC, SC>,
    pub(crate) migrating: Option<Arc<dyn Decode<S>>>,
}

impl<E, KC, NC, SC> EntryReader<E> for TypedEntryReader<KC, NC, SC, E::State>
where
    E: Slot,
    E::Key: Eq + Hash,
    E::Namespace: Eq + Hash,
    KC: Codec<E::Key>,
    NC: Codec<E::Namespace>,
    SC: SlotCodec<E::State>,
{
    fn apply(
        &self,
        block: EncodedBlock<'_>,
        table: &mut HashTable<E>,
        rules: &LoadRules<E::Key>,
    ) -> Result<(), Refusal> {
        let mut input = Input::new(block.bytes);
        let rehash = |entry: &E| rules.hasher.hash_pair(entry.key(), entry.namespace());
        let removals =
            if block.is_delta { read_delta_header(&mut input, block.records)? } else { 0 };
        // An entry has a byte at least, unless all its parts have none.
        let entries = usize::try_from(block.records - removals).unwrap_or(usize::MAX);
        table.reserve(entries.min(block.bytes.len()), rehash);
        let mut delta = block.is_delta.then(Seen::<E>::default);
        for record in 0..block.records {
            let before = input.rest();
            let key = self.codec.key.decode(&mut input)?;
            let encoded = before.get(..before.len() - input.rest().len()).unwrap_or_default();
            rules.check_key_group(&key, encoded)?;
            let namespace = self.codec.namespace.decode(&mut input)?;
            let hash = rules.hasher.hash_pair(&key, &namespace);
            rules.check_segment(hash, block.segment)?;
            let same = |entry: &E| *entry.key() == key && *entry.namespace() == namespace;
            if let Some(seen) = &mut delta
                && !seen.insert(key.clone(), namespace.clone(), hash, rules.hasher)
            {
                return Err(twice(before.len(), block.bytes));
            }
            if record < removals {
                if let Ok(found) = table.find_entry(hash, same) {
                    found.remove();
                }
                continue;
            }
            let state = match &self.migrating {
                None => self.codec.slot.decode(&mut input)?,
                Some(decoder) => decoder.decode_value(&mut input)?,
            };
            match table.find_mut(hash, same) {
                Some(_) if !block.is_delta => return Err(twice(before.len(), block.bytes)),
                Some(found) => *found.state_mut() = state,
                None => {
                    table.insert_unique(hash, E::new(key, namespace, state), rehash);
                }
            }
        }
        Ok(input.finish()?)
    }
}

/// The pairs of a delta block so far: removals and entries in it must differ.
struct Seen<E: Slot>(HashTable<(E::Key, E::Namespace)>);

impl<E: Slot> Default for Seen<E> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<E: Slot> Seen<E>
where
    E::Key: Eq + Hash,
    E::Namespace: Eq + Hash,
{
    /// Notes a pair and says whether it is new.
    fn insert(&mut self, key: E::Key, namespace: E::Namespace, hash: u64, by: TableHasher) -> bool {
        let same = |pair: &(E::Key, E::Namespace)| pair.0 == key && pair.1 == namespace;
        if self.0.find(hash, same).is_some() {
            return false;
        }
        self.0.insert_unique(hash, (key, namespace), |pair| by.hash_pair(&pair.0, &pair.1));
        true
    }
}

fn twice(left: usize, bytes: &[u8]) -> Refusal {
    let (what, offset, reason) = ("block", bytes.len() - left, "a key comes twice");
    CodecError::Invalid { what, offset, reason }.into()
}
