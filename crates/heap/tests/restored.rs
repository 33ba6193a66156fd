//! Restored state that is not what the next stream would hold: of another codec, parted by another
//! hash, or without bytes.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_format::codec::{Framed, UserCodec};
use alluvium_heap::HeapStateBackend;
use alluvium_state::{KeyedStateBackend, ValueState, ValueStateDescriptor};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::{KeyedOf, TestJob};

const EAGER: HeapStateBackend = HeapStateBackend::new(alluvium_heap::StateMapKind::CopyOnWrite);
const LAZY: HeapStateBackend = EAGER.lazy();
const ALWAYS_FILES: StreamPolicy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };

/// 1. a run restores a state of `u32` that nobody registers, and freezes checkpoint 2;
/// 2. the state is registered as one of `u64` before 2 is complete;
/// 3. 2 completes, and its blocks hold `u32`;
/// 4. checkpoint 3 would say that they hold `u64`, and could not be restored.
#[test]
fn a_state_that_is_widened_while_a_checkpoint_is_on_its_way() {
    for backend in [EAGER, LAZY] {
        for is_written_first in [true, false] {
            let mut job = TestJob::<_, u32>::new(&backend);
            job.policy = ALWAYS_FILES;
            let mut state = job.open_one(&[]);
            let narrow = state.value_state(ValueStateDescriptor::<u32>::new("n")).unwrap();
            for key in 0..100 {
                narrow.set(&mut state.at(&key).unwrap(), key).unwrap();
            }
            let handles = job.snapshot_one(&mut state);

            let mut state = job.open_one(&handles);
            let frozen = job.freeze_one(&mut state);
            let checkpoint = frozen.checkpoint();
            let descriptor = || ValueStateDescriptor::<u64>::new("n");
            if is_written_first {
                frozen.write();
                state.value_state(descriptor()).unwrap();
            } else {
                state.value_state(descriptor()).unwrap();
                frozen.write();
            }
            state.complete(checkpoint);
            let handles = job.snapshot_one(&mut state);

            let mut state = job.open_one(&handles);
            let wide = state.value_state(descriptor()).unwrap();
            for key in 0..100 {
                let at = state.at(&key).unwrap();
                assert_eq!(wide.get(&at).unwrap().map(|value| *value), Some(u64::from(key)));
            }
        }
    }
}

/// Whether words hash as in another program.
static HASHES_OTHERWISE: AtomicBool = AtomicBool::new(false);

/// A namespace whose hash changes with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word(u32);

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let otherwise = HASHES_OTHERWISE.load(Ordering::Relaxed);
        (if otherwise { self.0.wrapping_mul(0x9e37_79b1) } else { self.0 }).hash(state);
    }
}

#[derive(Debug, Clone)]
struct WordCodec;

impl UserCodec<Word> for WordCodec {
    fn name(&self) -> &'static str {
        "word"
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(
        &self,
        value: &Word,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        out.extend_from_slice(&value.0.to_le_bytes());
        Ok(())
    }

    fn decode(
        &self,
        _: u32,
        bytes: &[u8],
    ) -> Result<Word, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Word(u32::from_le_bytes(bytes.try_into()?)))
    }
}

fn words(state: &mut KeyedOf<HeapStateBackend, u32>) -> ValueState<u32, Word> {
    let descriptor = ValueStateDescriptor::<u32>::new("words");
    state.value_state(descriptor.namespaced_with(Framed::new(WordCodec))).unwrap()
}

fn assert_words(state: &mut KeyedOf<HeapStateBackend, u32>, all: Range<u32>, story: &str) {
    let (words, count) = (words(state), all.len());
    for n in all {
        let namespace = Word(n);
        let at = state.at_namespace(&7, &namespace).unwrap();
        assert_eq!(words.get(&at).unwrap().map(|value| *value), Some(n), "{story}");
    }
    assert_eq!(state.entry_count().unwrap(), count, "{story}");
}

/// 1. a program writes a map of several segments with few entries each;
/// 2. the next version of the program hashes otherwise;
/// 3. the entries of the segment that it tries happen to lie where they would by its own hash;
/// 4. others do not. It must not rely on the segments, neither for a restore nor, while a
///    checkpoint of the restored state is on its way, for the one after it.
#[test]
fn a_hash_that_changed_is_noticed_however_few_entries_there_are() {
    for backend in [EAGER.max_segment_entries(1), LAZY.max_segment_entries(1)] {
        for first in 0..60 {
            let all = first * 100..first * 100 + 2 + first % 3;
            let story = format!("{backend:?}, words {all:?}");
            let mut job = TestJob::<_, u32>::new(&backend);
            job.policy = ALWAYS_FILES;
            HASHES_OTHERWISE.store(false, Ordering::Relaxed);
            let mut state = job.open_one(&[]);
            let written = words(&mut state);
            for n in all.clone() {
                let namespace = Word(n);
                written.set(&mut state.at_namespace(&7, &namespace).unwrap(), n).unwrap();
            }
            let handles = job.snapshot_one(&mut state);

            HASHES_OTHERWISE.store(true, Ordering::Relaxed);
            let mut state = job.open_one(&handles);
            let frozen = job.freeze_one(&mut state);
            let checkpoint = frozen.checkpoint();
            let restored = frozen.write();
            assert_words(&mut state, all.clone(), &story);
            state.complete(checkpoint);
            let next = job.snapshot_one(&mut state);
            assert_words(&mut job.open_one(&restored), all.clone(), &story);
            assert_words(&mut job.open_one(&next), all, &story);
        }
    }
}

/// 1. a job has one key without bytes, a flag without bytes and a number;
/// 2. the block of the flag is empty, so that of the number begins at the same offset;
/// 3. a restore that keeps both blocks must not take one for the other.
#[test]
fn blocks_without_bytes_are_no_others() {
    for backend in [EAGER, LAZY] {
        for unread in [false, true] {
            let job = TestJob::<_, ()>::new(&backend);
            let mut state = job.open_one(&[]);
            let flag = state.value_state(ValueStateDescriptor::<()>::new("flag")).unwrap();
            let number = state.value_state(ValueStateDescriptor::<u64>::new("number")).unwrap();
            let other = state.value_state(ValueStateDescriptor::<()>::new("other")).unwrap();
            let mut at = state.at(&()).unwrap();
            flag.set(&mut at, ()).unwrap();
            number.set(&mut at, 5).unwrap();
            other.set(&mut at, ()).unwrap();
            let mut handles = job.snapshot_one(&mut state);
            if unread {
                handles = job.snapshot_one(&mut job.open_one(&handles));
            }

            let mut state = job.open_one(&handles);
            let flag = state.value_state(ValueStateDescriptor::<()>::new("flag")).unwrap();
            let number = state.value_state(ValueStateDescriptor::<u64>::new("number")).unwrap();
            let other = state.value_state(ValueStateDescriptor::<()>::new("other")).unwrap();
            let at = state.at(&()).unwrap();
            assert!(flag.get(&at).unwrap().is_some());
            assert_eq!(number.get(&at).unwrap().map(|value| *value), Some(5));
            assert!(other.get(&at).unwrap().is_some());
        }
    }
}
