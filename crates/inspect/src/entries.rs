//! The entries of keyed state, one after the other.
//!
//! Shape: operators and subtasks in the order of the metadata, then by key group, state, segment, and
//! within a segment in the order of the encoded keys.
//!
//! Invariants: what comes has been compared with its checksum, belongs to its key group as far as that
//! can be computed, and is whole by its codecs; one segment is held at a time, with its chain.

use std::collections::VecDeque;
use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyedStateHandle, OperatorState, OperatorUid, SubtaskIndex};
use alluvium_format::CodecError;
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::keyed::{KeyedReader, StateMeta};
use alluvium_state::{RestoreError, Segment, StreamContent, StreamEntries, StreamSource};
use alluvium_storage::HandleReader;

use crate::key_group::{EncodedAssigner, encoded_key};
use crate::stream::KeyedStream;
use crate::{Checkpoint, InspectError, JsonCodec};

/// Which entries are wanted; by default all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of one operator.
    pub uid: Option<OperatorUid>,
    /// Of the states of one name.
    pub state: Option<String>,
    /// Of one key group.
    pub key_group: Option<KeyGroup>,
    /// Of the key that is this JSON, or this text.
    pub key: Option<String>,
}

impl Selection {
    pub(crate) fn takes_operator(&self, uid: &OperatorUid) -> bool {
        self.uid.as_ref().is_none_or(|wanted| wanted == uid)
    }

    pub(crate) fn takes_state(&self, name: &str) -> bool {
        self.state.as_ref().is_none_or(|wanted| wanted == name)
    }
}

/// What all entries of a state in one stream have in common.
#[derive(Debug)]
pub(crate) struct EntryState {
    pub(crate) meta: StateMeta,
    key: JsonCodec,
    namespace: JsonCodec,
    value: JsonCodec,
}

impl EntryState {
    fn new(meta: &StateMeta, key: &CodecSnapshot) -> Result<Self, CodecError> {
        Ok(Self {
            meta: meta.clone(),
            key: JsonCodec::of(key)?,
            namespace: JsonCodec::of_namespaces(meta)?,
            value: JsonCodec::of_values(meta)?,
        })
    }
}

/// One entry of keyed state.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The operator.
    pub uid: OperatorUid,
    /// The subtask that had it.
    pub subtask: SubtaskIndex,
    /// Its key group.
    pub key_group: KeyGroup,
    pub(crate) state: Arc<EntryState>,
    /// Key, namespace and value.
    bytes: Box<[u8]>,
    key_len_bytes: usize,
    pair_len_bytes: usize,
}

impl Entry {
    /// The state: its name, kind and codecs.
    pub fn state(&self) -> &StateMeta {
        &self.state.meta
    }

    /// The key, encoded.
    pub fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_len_bytes).unwrap_or_default()
    }

    /// The namespace, encoded; of a timer, with its domain and time.
    pub fn namespace(&self) -> &[u8] {
        self.bytes.get(self.key_len_bytes..self.pair_len_bytes).unwrap_or_default()
    }

    /// The value, encoded: the whole list or map of list and map state.
    pub fn value(&self) -> &[u8] {
        self.bytes.get(self.pair_len_bytes..).unwrap_or_default()
    }

    /// The key as JSON.
    ///
    /// Errors: [`InspectError::Decode`].
    pub fn key_json(&self) -> Result<String, InspectError> {
        self.rendered(&self.state.key, self.key())
    }

    /// The namespace as JSON; of a timer, the code of the domain, the time, and the namespace.
    ///
    /// Errors: [`InspectError::Decode`].
    pub fn namespace_json(&self) -> Result<String, InspectError> {
        self.rendered(&self.state.namespace, self.namespace())
    }

    /// The value as JSON.
    ///
    /// Errors: [`InspectError::Decode`].
    pub fn value_json(&self) -> Result<String, InspectError> {
        self.rendered(&self.state.value, self.value())
    }

    fn rendered(&self, codec: &JsonCodec, bytes: &[u8]) -> Result<String, InspectError> {
        let state = || self.state.meta.name.clone();
        codec.render(bytes).map_err(|source| InspectError::Decode { state: state(), source })
    }
}

/// A keyed stream of blocks, whoever wrote its state.
#[derive(Debug)]
pub(crate) struct BlockStream {
    pub(crate) name: String,
    pub(crate) keyed: KeyedReader,
    pub(crate) reader: HandleReader,
    pub(crate) handle: KeyedStateHandle,
}

impl BlockStream {
    /// Opens the state of a subtask; `None` when it turned out to have none.
    pub(crate) fn open(
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
    ) -> Result<Option<Self>, InspectError> {
        let reader = checkpoint.reader();
        let stream = KeyedStream::open(checkpoint, operator, subtask, handle, &reader)?;
        let KeyedStream { name, content } = stream;
        let index = match content {
            StreamContent::Blocks(keyed) => {
                return Ok(Some(Self { name, keyed, reader, handle: handle.clone() }));
            }
            StreamContent::Ssts(index) => index,
        };
        let Some(native) = checkpoint.native() else {
            return Err(InspectError::NeedsRocksDb { stream: name });
        };
        let key = &index.header().key;
        let turned = native.to_blocks(checkpoint, operator, subtask, handle, key)?;
        let Some((handle, reader)) = turned else { return Ok(None) };
        let source = Arc::new(StreamSource::new(reader.source(&handle.stream)?));
        let keyed = KeyedReader::open(source)
            .map_err(|error| RestoreError::of_stream(name.clone(), error))?;
        Ok(Some(Self { name, keyed, reader, handle }))
    }

    pub(crate) fn entries(&self) -> StreamEntries {
        StreamEntries::new(&self.keyed, self.name.clone(), self.reader.clone())
    }

    pub(crate) fn assigner(&self) -> EncodedAssigner {
        let header = self.keyed.header();
        EncodedAssigner::new(header.assigner, header.max_parallelism, &header.key)
    }
}

/// The stream at hand, and how far it is read.
#[derive(Debug)]
struct Current {
    uid: OperatorUid,
    subtask: SubtaskIndex,
    stream: BlockStream,
    entries: StreamEntries,
    assigner: EncodedAssigner,
    /// By the id of the state; `None` for those that are not wanted or that nobody has met.
    states: Vec<Option<Arc<EntryState>>>,
    /// The only key group to be read, if there is one.
    only: Option<KeyGroup>,
    map: usize,
    part: usize,
}

/// The entries of a checkpoint.
#[derive(Debug)]
pub struct Entries {
    checkpoint: Checkpoint,
    selection: Selection,
    /// Operator and subtask, by their places in the metadata.
    left: VecDeque<(usize, usize)>,
    current: Option<Current>,
    ready: VecDeque<Entry>,
    goes_on: bool,
    has_failed: bool,
}

impl Checkpoint {
    /// Iterates over the entries of keyed state. After an error nothing comes any more, but for
    /// [`Entries::beside_damage`].
    pub fn entries(&self, selection: Selection) -> Entries {
        let operators = self.metadata().operators.iter().enumerate();
        let left = operators
            .filter(|(_, operator)| selection.takes_operator(&operator.uid))
            .flat_map(|(place, operator)| {
                (0..operator.subtasks.len()).map(move |subtask| (place, subtask))
            })
            .collect();
        let (checkpoint, ready) = (self.clone(), VecDeque::new());
        let (current, goes_on, has_failed) = (None, false, false);
        Entries { checkpoint, selection, left, current, ready, goes_on, has_failed }
    }
}

/// The key group of the key that is wanted, where it can be told: then no other one is read.
fn key_group_of(
    selection: &Selection,
    stream: &BlockStream,
    assigner: &EncodedAssigner,
) -> Option<KeyGroup> {
    let typed = selection.key.as_deref()?;
    assigner.of(&encoded_key(&stream.keyed.header().key, typed)?).ok()?
}

impl Entries {
    /// Goes on behind damage: for each stream and each segment that cannot be read comes one error, and
    /// then what is behind it.
    #[must_use]
    pub fn beside_damage(self) -> Self {
        Self { goes_on: true, ..self }
    }

    /// Opens the next stream; false when there is none.
    fn open_next(&mut self) -> Result<bool, InspectError> {
        while let Some((operator, subtask)) = self.left.pop_front() {
            let operator = self.checkpoint.metadata().operators.get(operator);
            let subtask = operator.and_then(|operator| operator.subtasks.get(subtask));
            let (Some(operator), Some(subtask)) = (operator, subtask) else { continue };
            let Some(handle) = &subtask.keyed else { continue };
            let wanted = self.selection.key_group;
            if wanted.is_some_and(|group| !handle.key_groups.contains(group)) {
                continue;
            }
            let stream = BlockStream::open(&self.checkpoint, operator, subtask.index, handle)?;
            let Some(stream) = stream else { continue };
            let (entries, assigner) = (stream.entries(), stream.assigner());
            let states = vec![None; stream.keyed.header().states.len()];
            let (uid, subtask) = (operator.uid.clone(), subtask.index);
            let only = wanted.or_else(|| key_group_of(&self.selection, &stream, &assigner));
            let (map, part) = (0, 0);
            self.current =
                Some(Current { uid, subtask, stream, entries, assigner, states, only, map, part });
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the next segment; false when the stream has ended.
    fn read_next(&mut self) -> Result<bool, InspectError> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let keyed = &current.stream.keyed;
        let Some(map) = keyed.maps().get(current.map) else { return Ok(false) };
        let meta = keyed.header().states.get(usize::from(map.state));
        let is_wanted = current.only.is_none_or(|group| group == map.key_group)
            && meta.is_some_and(|meta| self.selection.takes_state(&meta.name));
        let segment = Segment::at(map, current.part).filter(|_| is_wanted);
        let (Some(segment), Some(meta)) = (segment, meta) else {
            (current.map, current.part) = (current.map + 1, 0);
            return Ok(true);
        };
        current.part += 1;
        let Some(known) = current.states.get_mut(usize::from(map.state)) else { return Ok(true) };
        let state = if let Some(state) = known {
            Arc::clone(state)
        } else {
            let state = EntryState::new(meta, &keyed.header().key)
                .map_err(|source| InspectError::Decode { state: meta.name.clone(), source })?;
            Arc::clone(known.insert(Arc::new(state)))
        };
        let (uid, subtask, key_group) = (&current.uid, current.subtask, map.key_group);
        let (ready, key) = (&mut self.ready, self.selection.key.as_deref());
        let (assigner, whole) = (&current.assigner, ready.len());
        let visited = current.entries.visit(
            keyed,
            map,
            segment,
            |key| assigner.of(key),
            |found| {
                if let Some(wanted) = key {
                    let name = || meta.name.clone();
                    let json = state.key.render(found.key());
                    let json =
                        json.map_err(|source| InspectError::Decode { state: name(), source })?;
                    let mut quoted = String::new();
                    crate::quote(wanted, &mut quoted);
                    if json != wanted && json != quoted {
                        return Ok(());
                    }
                }
                let (pair, value) = (found.pair(), found.value());
                ready.push_back(Entry {
                    uid: uid.clone(),
                    subtask,
                    key_group,
                    state: Arc::clone(&state),
                    bytes: [pair, value].concat().into(),
                    key_len_bytes: found.key().len(),
                    pair_len_bytes: pair.len(),
                });
                Ok::<_, InspectError>(())
            },
        );
        if visited.is_err() {
            // A segment comes whole or not at all.
            ready.truncate(whole);
        }
        visited.map(|()| true)
    }

    fn advance(&mut self) -> Result<Option<Entry>, InspectError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if !self.read_next()? {
                self.current = None;
                if !self.open_next()? {
                    return Ok(None);
                }
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, InspectError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.advance();
        let ends = |error: &InspectError| !(self.goes_on && error.is_damage());
        self.has_failed = next.as_ref().is_err_and(ends);
        next.transpose()
    }
}
