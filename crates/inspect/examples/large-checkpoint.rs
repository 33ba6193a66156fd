//! Writes a large checkpoint without a job, to measure the inspector on.
//!
//! ```sh
//! cargo run --release -p alluvium-inspect --example large-checkpoint -- DIR MIB SUBTASKS FILES
//! ```
//!
//! DIR gets `large/chk-1` with one operator of SUBTASKS subtasks; each has FILES shared files and one
//! stream that refers to all of their blocks. Values have 1,000 bytes, blocks 28 entries.
//!
//! Invariants: every key is in its key group, so that entries can be read, too.

use std::error::Error;
use std::sync::Arc;

use alluvium_core::key_hash::stable_key_group;
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorState, OperatorUid, Parallelism,
    SharedFile, SubtaskIndex, SubtaskState,
};
use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_format::keyed::{
    BlockRef, HashSeedRun, KeyedHeader, KeyedWriter, MapEntry, MapLayout, StateKind, StateMeta,
};
use alluvium_format::metadata::write_metadata;
use alluvium_state::SnapshotTarget;
use alluvium_storage::{CheckpointStreams, JobLayout, StreamPolicy};
use bytes::Bytes;

type Outcome<T> = Result<T, Box<dyn Error>>;

const VALUE_LEN: usize = 1_000;
const BLOCK_ENTRIES: usize = 28;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, mib, subtasks, files] = args.as_slice() else {
        return Err("DIR MIB SUBTASKS FILES".into());
    };
    let (mib, subtasks, files): (u64, u32, u32) = (mib.parse()?, subtasks.parse()?, files.parse()?);
    let max = MaxParallelism::new(128.max(subtasks))?;
    let parallelism = Parallelism::new(subtasks, max)?;
    let mut keys = vec![Vec::new(); usize::from(max.get())];
    for key in 0..(mib << 20) / VALUE_LEN as u64 {
        let group = stable_key_group(&key.to_le_bytes(), max);
        keys.get_mut(usize::from(group.get())).ok_or("a key group")?.push(key);
    }
    let job = alluvium_storage::open(dir)?.below(&JobLayout::job_dir(&JobId::new("large")?))?;
    let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
    let streams = CheckpointStreams::new(Arc::clone(&job), policy);
    let mut written = Vec::new();
    for index in parallelism.subtasks() {
        let keyed = Some(write_subtask(&streams, index, parallelism, files, &keys)?);
        written.push(SubtaskState { index, keyed, operator: None });
    }
    let properties = CheckpointProperties {
        job: JobId::new("large")?,
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
        triggered_at_ms: 1_700_000_000_000,
        completed_at_ms: 1_700_000_001_000,
        max_parallelism: max,
        assigner: AssignerName::Stable,
    };
    let uid = OperatorUid::new("operator")?;
    let operators = vec![OperatorState { uid, parallelism, subtasks: written }];
    let metadata = write_metadata(&CheckpointMetadata { properties, operators })?;
    Ok(job.create(&JobLayout::metadata(CheckpointId::FIRST), &metadata)?)
}

fn write_subtask(
    streams: &CheckpointStreams,
    index: SubtaskIndex,
    parallelism: Parallelism,
    files: u32,
    keys: &[Vec<u64>],
) -> Outcome<KeyedStateHandle> {
    let key_groups = KeyGroupRange::of_subtask(index, parallelism)?;
    let header = KeyedHeader {
        uid: OperatorUid::new("operator")?,
        max_parallelism: parallelism.max(),
        assigner: AssignerName::Stable,
        key_groups,
        key: Codec::<u64>::snapshot(&DefaultCodec),
        hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: 0 }],
        states: vec![StateMeta {
            name: "value".to_owned(),
            kind: StateKind::Value,
            namespace: Codec::<()>::snapshot(&DefaultCodec),
            value: Codec::<Bytes>::snapshot(&DefaultCodec),
        }],
    };
    let identity = StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(index),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    };
    let mut of_groups = vec![Vec::new(); usize::from(key_groups.count())];
    let (uid, attempt) = (&header.uid, AttemptId::new(1));
    let path = |file| JobLayout::shared_sst_file(CheckpointId::FIRST, uid, index, attempt, file);
    let mut shared = Vec::new();
    for file in 0..files {
        let mut writer = KeyedWriter::new(streams.stream(path(file)), &identity, &header)?;
        for (key_group, blocks) in key_groups.iter().zip(&mut of_groups) {
            let own = keys.get(usize::from(key_group.get())).ok_or("a key group")?;
            let each = own.len().div_ceil(files as usize).max(1);
            let part = own.chunks(each).nth(file as usize).unwrap_or_default();
            let written = part
                .chunks(BLOCK_ENTRIES)
                .map(|keys| Ok(writer.block(false, u32::try_from(keys.len())?, &block(keys))?))
                .collect::<Outcome<Vec<BlockRef>>>()?;
            if !written.is_empty() {
                let file = u16::try_from(file + 1)?;
                blocks.extend(written.iter().map(|block| BlockRef { file, ..*block }));
                writer.map(MapEntry {
                    key_group,
                    state: 0,
                    layout: MapLayout::Unsegmented(written),
                })?;
            }
        }
        let finished = writer.finish()?;
        let handle = finished.out.finish()?;
        shared.push(SharedFile {
            path: path(file),
            len_bytes: handle.len_bytes,
            seal: finished.seal,
        });
    }
    let own = JobLayout::shared_state_file(CheckpointId::FIRST, uid, index, attempt);
    let mut writer = KeyedWriter::new(streams.stream(own), &identity, &header)?;
    for file in &shared {
        writer.shared_file(file)?;
    }
    for (key_group, blocks) in key_groups.iter().zip(of_groups) {
        if !blocks.is_empty() {
            writer.map(MapEntry { key_group, state: 0, layout: MapLayout::Unsegmented(blocks) })?;
        }
    }
    let finished = writer.finish()?;
    Ok(SnapshotTarget::finish_keyed(finished.out, finished.seal, key_groups, finished.shared)?)
}

fn block(keys: &[u64]) -> Vec<u8> {
    let mut block = Vec::with_capacity(keys.len() * (VALUE_LEN + 10));
    for key in keys {
        block.extend_from_slice(&key.to_le_bytes());
        // 1,000 as a varint.
        block.extend_from_slice(&[0xe8, 0x07]);
        let noise = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        block.extend(noise.iter().cycle().take(VALUE_LEN));
    }
    block
}
