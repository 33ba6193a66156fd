//! Restored state that is not what the next stream would hold: of another codec, or without
//! bytes.

use alluvium_heap::HeapStateBackend;
use alluvium_state::{KeyedStateBackend, ValueStateDescriptor};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::TestJob;

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
