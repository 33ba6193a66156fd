//! The suite and random programs on the model backend.

use alluvium_testkit::backend::ModelStateBackend;
use alluvium_testkit::model::run_program;

const BACKEND: ModelStateBackend = ModelStateBackend::new();

alluvium_testkit::conformance_tests!(BACKEND);

#[test]
fn random_programs_agree_with_the_model() {
    for seed in 0..50 {
        run_program(&BACKEND, seed, 500);
    }
}
