//! The conformance suite and random programs, for both maps, with large and with small segments,
//! restored at once and lazily, with chains and files that are soon given up. Thousands of programs
//! are in `programs.rs`.
//!
//! Invariants: all of them do the same; which one a job chose cannot be told from its state.

use alluvium_heap::{HeapStateBackend, IncrementalOptions, StateMapKind};
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

/// Chains of three blocks at most, and files of which half must be in use.
const SHORT_CHAINS: HeapStateBackend =
    SMALL_SEGMENTS.incremental(options().max_chain(3).free_waste_bytes(0));
/// Every checkpoint gives files up: at most two remain, and what is wasted is gone at once.
const FEW_FILES: HeapStateBackend = LAZY
    .incremental(options().max_chain(255).max_files(2).max_space_percent(120).free_waste_bytes(0));
/// Segments of many entries whose chains grow as long as they can.
const LONG_CHAINS: HeapStateBackend =
    COPY_ON_WRITE.lazy().incremental(options().max_chain(u16::MAX).max_files(u16::MAX));

const fn options() -> IncrementalOptions {
    IncrementalOptions::DEFAULT
}

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
suite!(lazy, super::LAZY);
suite!(few_files, super::FEW_FILES);

#[test]
fn random_programs_with_chains_that_are_soon_given_up_agree_with_the_model() {
    for seed in 0..PROGRAMS {
        run_program(&SHORT_CHAINS, seed, STEPS);
    }
}

#[test]
fn random_programs_with_long_chains_agree_with_the_model() {
    for seed in 0..PROGRAMS {
        run_program(&LONG_CHAINS, seed, STEPS);
    }
}
