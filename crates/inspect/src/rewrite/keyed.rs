//! The keyed state of one operator, rewritten.
//!
//! Invariants:
//! - the key group of an entry is that of its map, or computed anew from its encoded key by the assigner of
//!   the stream;
//! - entries of several streams meet in one only if these say the same of keys and states (SPEC 8.3).

use alluvium_core::{
    KeyGroup, KeyGroupRange, KeyedStateHandle, OperatorState, OperatorUid, Parallelism,
    SubtaskIndex, SubtaskState,
};
use alluvium_format::keyed::{KeyedHeader, MapEntry, StateMeta};
use alluvium_state::Segment;

use super::Job;
use super::spill::Spill;
use super::writer::MapsWriter;
use crate::InspectError;
use crate::entries::BlockStream;
use crate::key_group::EncodedAssigner;
use crate::progress::{Announced, Progress};
use crate::stream::KnownStates;

/// After how many bytes somebody hears of them.
const STEP_LEN_BYTES: u64 = 1024 * 1024;

/// Writes the keyed state of an operator into its subtasks, and says how many entries it has.
pub(super) fn write(
    job: &Job<'_>,
    operator: &OperatorState,
    to: (&OperatorUid, Parallelism),
    subtasks: &mut [SubtaskState],
) -> Result<u64, InspectError> {
    if to.1.max() == operator.parallelism.max() {
        return one_by_one(job, operator, to.0, subtasks);
    }
    to_other_groups(job, operator, to, subtasks)
}

fn open(
    job: &Job<'_>,
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &KeyedStateHandle,
) -> Result<Option<BlockStream>, InspectError> {
    let stream = BlockStream::open(job.checkpoint, operator, subtask, handle)?;
    if let Some(stream) = &stream {
        job.announce(len_of(stream));
    }
    Ok(stream)
}

/// Bytes of all blocks of a stream.
fn len_of(stream: &BlockStream) -> u64 {
    let blocks = stream.keyed.maps().iter().flat_map(MapEntry::blocks);
    blocks.map(|block| u64::from(block.block.len_bytes)).sum()
}

/// Each stream becomes one.
fn one_by_one(
    job: &Job<'_>,
    operator: &OperatorState,
    uid: &OperatorUid,
    subtasks: &mut [SubtaskState],
) -> Result<u64, InspectError> {
    let mut entries = 0;
    for (old, new) in operator.subtasks.iter().zip(subtasks) {
        let Some(handle) = &old.keyed else { continue };
        let Some(stream) = open(job, operator, old.index, handle)? else { continue };
        let header = stream.keyed.header();
        let (states, ids) = kept(job, &operator.uid, &header.states, &[]);
        let like = KeyedHeader { states, ..header.clone() };
        let scope = (uid, old.index);
        let mut writer = MapsWriter::new(&job.target, scope, handle.key_groups, &like)?;
        visit(job, &stream, &ids, |at, _, pair, value| writer.put(at, pair, value))?;
        entries += writer.entries;
        new.keyed = Some(writer.finish()?);
    }
    Ok(entries)
}

/// The states that stay, behind those that are known already, and the new id of each state.
fn kept(
    job: &Job<'_>,
    uid: &OperatorUid,
    states: &[StateMeta],
    known: &[StateMeta],
) -> (Vec<StateMeta>, Vec<Option<u16>>) {
    let mut all = known.to_vec();
    let ids = states.iter().map(|meta| {
        if job.is_dropped(uid, &meta.name) {
            return None;
        }
        let place = all.iter().position(|known| known.name == meta.name).unwrap_or_else(|| {
            all.push(meta.clone());
            all.len() - 1
        });
        u16::try_from(place).ok()
    });
    let ids = ids.collect();
    (all, ids)
}

/// Gives all entries of a stream but those of dropped states to `put`: key group and new id of the
/// state, key, key and namespace, value.
fn visit(
    job: &Job<'_>,
    stream: &BlockStream,
    ids: &[Option<u16>],
    mut put: impl FnMut((KeyGroup, u16), &[u8], &[u8], &[u8]) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let (keyed, assigner) = (&stream.keyed, stream.assigner());
    let mut entries = stream.entries();
    for map in keyed.maps() {
        let Some(state) = ids.get(usize::from(map.state)).copied().flatten() else { continue };
        for segment in Segment::of(map) {
            let len: u64 = segment.blocks.iter().map(|it| u64::from(it.block.len_bytes)).sum();
            entries.visit(
                keyed,
                map,
                segment,
                |key| assigner.of(key),
                |entry| put((map.key_group, state), entry.key(), entry.pair(), entry.value()),
            )?;
            job.progress.advance(len);
        }
    }
    Ok(())
}

/// Entries of all streams are parted anew.
fn to_other_groups(
    job: &Job<'_>,
    operator: &OperatorState,
    (uid, parallelism): (&OperatorUid, Parallelism),
    subtasks: &mut [SubtaskState],
) -> Result<u64, InspectError> {
    let (mut streams, mut known) = (Vec::new(), KnownStates::default());
    for subtask in &operator.subtasks {
        let Some(handle) = &subtask.keyed else { continue };
        let Some(stream) = open(job, operator, subtask.index, handle)? else { continue };
        let header = stream.keyed.header();
        let (states, _) = kept(job, &operator.uid, &header.states, &[]);
        known.check(&stream.name, &header.key, &states)?;
        streams.push(stream);
    }
    let Some(first) = streams.first() else { return Ok(()).map(|()| 0) };
    let max = parallelism.max();
    let mut like =
        KeyedHeader { max_parallelism: max, states: Vec::new(), ..first.keyed.header().clone() };
    let assigner = EncodedAssigner::new(like.assigner, max, &like.key);
    let len_bytes: u64 = streams.iter().map(len_of).sum();
    let number = job.checkpoint.metadata().operators.iter().position(|it| it.uid == operator.uid);
    // Everything is read, and then once more in its new order.
    job.progress.expect(len_bytes);
    let sorting = Announced::new(job.progress, len_bytes);
    let mut spill = Spill::new(job.scratch, number.unwrap_or_default(), max, len_bytes)?;
    for stream in &streams {
        let header = stream.keyed.header();
        let (states, ids) = kept(job, &operator.uid, &header.states, &like.states);
        like.states = states;
        visit(job, stream, &ids, |(_, state), key, pair, value| {
            let group = assigner.of(key).map_err(|source| {
                let state = format!("keys of {}", operator.uid);
                InspectError::Decode { state, source }
            })?;
            let group = group.ok_or_else(|| InspectError::CannotRewrite {
                what: format!("the max parallelism of operator {}", operator.uid),
                reason: "the hash codes of its keys are known to its job alone",
            })?;
            spill.put((group, state), pair, value)
        })?;
    }
    let mut out = Out { job, uid, parallelism, like: &like, subtasks, next: 0, entries: 0 };
    let mut writer = out.begin()?;
    let mut done = 0;
    spill.drain(|at, pair, value| {
        done += (pair.len() + value.len()) as u64;
        if done >= STEP_LEN_BYTES {
            sorting.advance(std::mem::take(&mut done));
        }
        while !writer.holds(at.0) {
            let next = out.begin()?;
            out.end(std::mem::replace(&mut writer, next))?;
        }
        writer.put(at, pair, value)
    })?;
    sorting.finish();
    while usize::from(out.next) < out.subtasks.len() {
        let next = out.begin()?;
        out.end(std::mem::replace(&mut writer, next))?;
    }
    out.end(writer)?;
    Ok(out.entries)
}

/// The streams of the subtasks, one after the other.
struct Out<'o> {
    job: &'o Job<'o>,
    uid: &'o OperatorUid,
    parallelism: Parallelism,
    like: &'o KeyedHeader,
    subtasks: &'o mut [SubtaskState],
    next: u16,
    entries: u64,
}

impl Out<'_> {
    fn begin(&mut self) -> Result<MapsWriter, InspectError> {
        let subtask = SubtaskIndex::new(self.next);
        let range = KeyGroupRange::of_subtask(subtask, self.parallelism)?;
        self.next += 1;
        MapsWriter::new(&self.job.target, (self.uid, subtask), range, self.like)
    }

    fn end(&mut self, writer: MapsWriter) -> Result<(), InspectError> {
        self.entries += writer.entries;
        let handle = writer.finish()?;
        let place = self.subtasks.iter_mut().find(|subtask| {
            KeyGroupRange::of_subtask(subtask.index, self.parallelism) == Ok(handle.key_groups)
        });
        if let Some(subtask) = place {
            subtask.keyed = Some(handle);
        }
        Ok(())
    }
}
