//! A harness of its own for the suite: runs the cases whose names contain a text, and counts.
//!
//! `cargo run -p alluvium-testkit --example suite -- timers`. Put your backend in the place of the
//! model backend.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use alluvium_testkit::backend::ModelStateBackend;
use alluvium_testkit::conformance::cases;

fn main() -> ExitCode {
    let backend = ModelStateBackend::new();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let (mut passed, mut failed) = (0, Vec::new());
    for case in cases().into_iter().filter(|case| case.name.contains(&wanted)) {
        match catch_unwind(AssertUnwindSafe(|| case.run(&backend))) {
            Ok(()) => passed += 1,
            Err(_) => failed.push(case.name),
        }
    }
    println!("{passed} cases passed, {} failed", failed.len());
    for name in &failed {
        println!("FAILED {name}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
