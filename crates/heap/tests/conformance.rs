//! The conformance suite and random programs, for both maps.
//!
//! Invariants: both maps do the same; which one a job chose cannot be told from its state.

/// Seeds of the random programs.
const PROGRAMS: u64 = 200;
/// Steps of each program.
const STEPS: usize = 500;

macro_rules! suite {
    ($module:ident, $map:ident) => {
        mod $module {
            use alluvium_heap::{HeapStateBackend, StateMapKind};
            use alluvium_testkit::model;

            const BACKEND: HeapStateBackend = HeapStateBackend::new(StateMapKind::$map);

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

suite!(copy_on_write, CopyOnWrite);
suite!(nested, Nested);

#[test]
fn both_maps_end_with_equal_content() {
    use alluvium_heap::{HeapStateBackend, StateMapKind};
    use alluvium_testkit::model::run_program;

    let copy_on_write = HeapStateBackend::new(StateMapKind::CopyOnWrite);
    let nested = HeapStateBackend::new(StateMapKind::Nested);
    for seed in 0..PROGRAMS {
        let one = run_program(&copy_on_write, seed, STEPS);
        assert_eq!(one, run_program(&nested, seed, STEPS), "seed {seed}");
    }
}
