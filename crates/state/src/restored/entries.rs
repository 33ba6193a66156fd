//! What a restored stream holds of each state: entries, still encoded, all chains applied.
//!
//! A segment is read with its whole chain, applied in memory, and handed out in the order of the
//! encoded keys. Nobody needs the types of the job for it, so state that no function registers is
//! read like any other.
//!
//! Invariants: a block's checksum is compared before its first record is used; every key is in a
//! block of its own key group; no more than the blocks of one segment is held in memory.
//!
//! Source: SPEC 6.4, 6.5.

use alluvium_format::codec::{Codec, Input};
use alluvium_format::keyed::{KeyedReader, MapEntry, StateMeta};
use alluvium_storage::HandleReader;

use super::RestoredStream;
use super::stream_entries::{Segment, StreamEntries};
use crate::{KeyedBackendSpec, RestoreError, StateKey};

/// One entry of a state, by the codecs of its stream.
#[derive(Debug, Clone, Copy)]
pub struct EncodedEntry<'b> {
    pub(super) pair: &'b [u8],
    pub(super) key_len_bytes: usize,
    pub(super) value: &'b [u8],
}

impl<'b> EncodedEntry<'b> {
    /// The key.
    pub fn key(&self) -> &'b [u8] {
        self.pair.get(..self.key_len_bytes).unwrap_or_default()
    }

    /// The namespace; of a timer, with its domain and time (SPEC 6.3).
    pub fn namespace(&self) -> &'b [u8] {
        self.pair.get(self.key_len_bytes..).unwrap_or_default()
    }

    /// Key and namespace, one after the other.
    pub const fn pair(&self) -> &'b [u8] {
        self.pair
    }

    /// The value: the whole list or map of a list or map state.
    pub const fn value(&self) -> &'b [u8] {
        self.value
    }
}

/// Reads the entries of one restored stream, map by map.
#[derive(Debug)]
pub struct RestoredEntries<'s, K, C> {
    spec: &'s KeyedBackendSpec<K, C>,
    stream: &'s RestoredStream<'s>,
    keyed: &'s KeyedReader,
    entries: StreamEntries,
}

impl<'s, K: StateKey, C: Codec<K>> RestoredEntries<'s, K, C> {
    /// Of a stream that [`KeyedStreams::open`](super::KeyedStreams::open) gave.
    ///
    /// Errors: [`RestoreError::OtherBackend`] for a stream without blocks.
    pub fn new(
        spec: &'s KeyedBackendSpec<K, C>,
        stream: &'s RestoredStream<'s>,
        reader: &'s HandleReader,
    ) -> Result<Self, RestoreError> {
        let keyed = stream.blocks()?;
        let entries = StreamEntries::new(keyed, stream.name.clone(), reader.clone());
        Ok(Self { spec, stream, keyed, entries })
    }

    /// The maps that the subtask takes from the stream, each with its state, in the order of key
    /// group, state.
    pub fn maps(&self) -> impl Iterator<Item = (&'s StateMeta, &'s MapEntry)> + use<'s, K, C> {
        let states = &self.keyed.header().states;
        let maps = self.keyed.maps_of(self.stream.wanted);
        // The index was checked: a map is one of a state of the stream.
        maps.filter_map(|map| Some((states.get(usize::from(map.state))?, map)))
    }

    /// Gives every entry of a map to `visit`.
    ///
    /// Errors: [`RestoreError::Storage`], [`RestoreError::Damaged`];
    /// [`StateError::Decode`](crate::StateError::Decode),
    /// [`StateError::MisplacedKey`](crate::StateError::MisplacedKey); those of `visit`.
    pub fn visit(
        &mut self,
        map: &MapEntry,
        mut visit: impl FnMut(EncodedEntry<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let (spec, keyed) = (self.spec, self.keyed);
        let key_group_of = |key: &[u8]| {
            let decoded = spec.key.decode(&mut Input::new(key))?;
            Ok(Some(spec.assigner.assign(&decoded, key, spec.parallelism.max())))
        };
        Segment::of(map).try_for_each(|segment| {
            self.entries.visit(keyed, map, segment, key_group_of, &mut visit)
        })
    }
}
