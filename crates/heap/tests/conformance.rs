//! The conformance suite and random programs, for both maps, with large and with small segments,
//! restored at once and lazily.
//!
//! Invariants: all of them do the same; which one a job chose cannot be told from its state.

use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_testkit::model::run_program;

/// Seeds of the random programs.
const PROGRAMS: u64 = 200;
/// Steps of each program.
const STEPS: usize = 500;

const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);
/// Segments of a few entries, so that small programs have many.
const SMALL_SEGMENTS: HeapStateBackend = COPY_ON_WRITE.max_segment_entries(2);
const LAZY: HeapStateBackend = COPY_ON_WRITE.max_segment_entries(3).lazy();

macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use alluvium_heap::HeapStateBackend;
            use alluvium_testkit::model;

            const BACKEND: HeapStateBackend = $backend;

            alluvium_testkit::conformance_tests!(BACKEND);

            #[test]
            fn random_programs_agree_with_the_model() {
                for seed in 0..super::PROGRAMS {
                    model::run_program(&BACKEND, seed, super::STEPS);
                }
            }
        }
    };
}

suite!(copy_on_write, super::COPY_ON_WRITE);
suite!(nested, super::NESTED);
suite!(small_segments, super::SMALL_SEGMENTS);

#[test]
fn random_programs_with_lazy_restores_agree_with_the_model() {
    for seed in 0..PROGRAMS {
        run_program(&LAZY, seed, STEPS);
    }
}

#[test]
fn both_maps_end_with_equal_content() {
    for seed in 0..PROGRAMS {
        let one = run_program(&SMALL_SEGMENTS, seed, STEPS);
        assert_eq!(one, run_program(&NESTED, seed, STEPS), "seed {seed}");
    }
}
