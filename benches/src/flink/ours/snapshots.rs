//! Full snapshots of the heap backend: the freeze, the writing, and the writing to disk.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use alluvium_benches::cases::mixed;
use alluvium_benches::measure::timed;
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::random::Random;
use alluvium_benches::targets::{self, ACCESS_SEED};
use alluvium_core::CheckpointId;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_state::{KeyedStateBackend, ValueState, ValueStateDescriptor};
use alluvium_storage::{LocalStorage, Storage, StreamPolicy};

use super::{Service, nanos, open_empty};

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a key of an own key group and an own handle";
/// Random updates before each snapshot.
const UPDATES: u64 = 2_000;
/// What is written to disk at a time, without a snapshot.
const PIECE_LEN_BYTES: usize = 1024 * 1024;

struct Snapshots {
    keyed: HeapKeyedStateBackend<u64, DefaultCodec>,
    state: ValueState<u64>,
    keys: u64,
    random: Random,
    next: CheckpointId,
}

pub(super) fn service(backend: &str, keys: &str) -> Option<Box<dyn Service>> {
    let keys = keys.parse().ok()?;
    if backend != "heap" {
        return None;
    }
    let mut keyed = open_empty(&HeapStateBackend::default());
    let state = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).expect(RIGHT_USE);
    for number in 0..keys {
        state.set(&mut keyed.at(&mixed(number)).expect(RIGHT_USE), number).expect(RIGHT_USE);
    }
    let (random, next) = (Random::new(ACCESS_SEED), CheckpointId::FIRST);
    Some(Box::new(Snapshots { keyed, state, keys, random, next }))
}

impl Service for Snapshots {
    fn answer(&mut self, request: &[&str]) -> Option<Vec<u64>> {
        match request {
            ["snapshot"] => Some(self.nowhere()),
            ["disk"] => Some(self.disk()),
            _ => None,
        }
    }
}

impl Snapshots {
    /// Nanoseconds of the freeze, of the writing, and the bytes.
    fn nowhere(&mut self) -> Vec<u64> {
        let (froze, wrote, len_bytes) = self.snapshot(Arc::new(NullStorage::default()));
        vec![nanos(froze), nanos(wrote), len_bytes]
    }

    /// Nanoseconds of a snapshot into a local file, of writing as many bytes to a file and of having
    /// them made durable, and the bytes.
    fn disk(&mut self) -> Vec<u64> {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let storage = LocalStorage::open(dir.path().join("storage")).expect("a folder");
        let (froze, wrote, len_bytes) = self.snapshot(Arc::new(storage));
        let piece = vec![7_u8; PIECE_LEN_BYTES];
        let (plain, ()) = timed(|| {
            let mut file = File::create(dir.path().join("plain")).expect("a file");
            let mut left = usize::try_from(len_bytes).expect("it was in memory");
            while left > 0 {
                let bytes = piece.get(..left).unwrap_or(&piece);
                file.write_all(bytes).expect("room on the disk");
                left -= bytes.len();
            }
            file.sync_all().expect("the disk works");
        });
        vec![nanos(froze + wrote), nanos(plain), len_bytes]
    }

    fn snapshot(&mut self, storage: Arc<dyn Storage>) -> (Duration, Duration, u64) {
        for _ in 0..UPDATES {
            let key = mixed(self.random.below(self.keys));
            let mut at = self.keyed.at(&key).expect(RIGHT_USE);
            self.state.update(&mut at, |value| *value = value.wrapping_add(1)).expect(RIGHT_USE);
        }
        let checkpoint = self.next;
        self.next = checkpoint.next();
        let target = targets::full_target(storage, StreamPolicy::files(), checkpoint);
        let (froze, frozen) = timed(|| self.keyed.freeze(checkpoint));
        let frozen = frozen.expect("pointers are cloned");
        let (wrote, handle) = timed(|| targets::write(frozen, &target));
        self.keyed.complete(checkpoint);
        (froze, wrote, handle.stream.len_bytes)
    }
}
