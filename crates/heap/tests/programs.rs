//! Thousands of random programs on both maps and on a lazily restored one, which agree with the
//! model and with each other.
//!
//! The short run is part of all tests; `make programs` runs as many as it is told.

use std::sync::OnceLock;

use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_testkit::model::Programs;

/// Programs of the short run.
const PROGRAMS: u64 = 2_000;
/// Operations of each.
const OPERATIONS: usize = 500;

/// What the programs of a backend ended with; they run once, for whoever asks first.
struct Outcome {
    name: &'static str,
    backend: HeapStateBackend,
    digests: OnceLock<Vec<u64>>,
}

impl Outcome {
    const fn of(name: &'static str, backend: HeapStateBackend) -> Self {
        Self { name, backend, digests: OnceLock::new() }
    }

    fn digests(&self) -> &[u64] {
        self.digests.get_or_init(|| {
            let programs = Programs::from_environment(PROGRAMS, OPERATIONS);
            let digests = programs.digests(|program| program.run(&self.backend));
            assert_eq!(digests.len() as u64, programs.seeds.end - programs.seeds.start);
            println!(
                "{}: {} programs of {OPERATIONS} operations agree with the model, seeds {:?}",
                self.name,
                digests.len(),
                programs.seeds
            );
            digests
        })
    }
}

static HEAP: Outcome =
    Outcome::of("heap", HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(2));
static NESTED: Outcome = Outcome::of("nested", HeapStateBackend::new(StateMapKind::Nested));
static FS: Outcome = Outcome::of(
    "fs",
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(3).lazy(),
);

#[test]
fn programs_on_heap() {
    assert!(!HEAP.digests().is_empty());
}

#[test]
fn programs_on_nested() {
    assert!(!NESTED.digests().is_empty());
}

#[test]
fn programs_on_fs() {
    assert!(!FS.digests().is_empty());
}

#[test]
fn all_end_with_equal_content() {
    assert!(HEAP.digests() == NESTED.digests(), "copy-on-write and nested maps");
    assert!(HEAP.digests() == FS.digests(), "loaded at once and lazily");
}
