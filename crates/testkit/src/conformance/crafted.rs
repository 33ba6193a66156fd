//! Keyed streams that no backend writes.

use alluvium_core::{
    AttemptId, CheckpointId, KeyedStateHandle, StateHandle, StateLocation, SubtaskIndex,
};
use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_format::keyed::{
    Finished, HashSeedRun, KeyedHeader, KeyedWriter, MapEntry, MapLayout, StateMeta,
};
use alluvium_state::StateBackend;

use crate::job::TestJob;

/// The handle of a stream with one state that has one entry: a key, and what follows it, encoded.
pub(super) fn stream_of_entry<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    meta: StateMeta,
    key: &String,
    rest: &[u8],
) -> KeyedStateHandle {
    let key_groups = job.max_parallelism.all_key_groups();
    let header = KeyedHeader {
        uid: job.uid.clone(),
        max_parallelism: job.max_parallelism,
        assigner: job.assigner.name(),
        key_groups,
        key: Codec::<String>::snapshot(&DefaultCodec),
        hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: 1 }],
        states: vec![meta],
    };
    let identity = StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    };
    let mut entry = Vec::new();
    DefaultCodec.encode(key, &mut entry).unwrap();
    entry.extend_from_slice(rest);
    let mut writer = KeyedWriter::new(Vec::new(), &identity, &header).unwrap();
    let layout = MapLayout::Unsegmented(vec![writer.block(false, 1, &entry).unwrap()]);
    writer.map(MapEntry { key_group: job.key_group_of(key), state: 0, layout }).unwrap();
    let Finished { out, seal, .. } = writer.finish().unwrap();
    let len_bytes = out.len() as u64;
    let stream = StateHandle { location: StateLocation::Inline(out.into()), len_bytes, seal };
    KeyedStateHandle { key_groups, stream, shared: Vec::new(), written: Vec::new() }
}
