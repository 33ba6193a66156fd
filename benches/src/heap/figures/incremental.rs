//! Bytes of an incremental checkpoint over the bytes that changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::contender::{Backend, Contender};
use crate::measure::Samples;
use crate::null_storage::NullStorage;
use crate::report::{Goal, Report};
use crate::setup::{self, ACCESS_SEED};
use crate::shapes::{Numbers, random_accesses};

const GOAL: Goal = Goal::of(1.6, 1.1);
/// One entry in so many is updated between two checkpoints, more or less.
const UPDATED_ONE_IN: u64 = 100;
/// Encoded length of an entry.
const ENTRY_LEN_BYTES: u64 = 16;

pub(super) fn figures(report: &Report) {
    let size = report.plan.main_size;
    let figure = format!("incremental-over-changed/{}/u64-u64", size.name);
    if !report.wants(&figure) {
        return;
    }
    let mut backend = Backend::<Numbers>::with_entries(size.count);
    let storage = NullStorage::default();
    let (mut ratios, mut notes) = (Samples::default(), Vec::new());
    for round in 0..=report.plan.long_rounds {
        let count = usize::try_from(size.count / UPDATED_ONE_IN).expect("a size in memory");
        let updates = random_accesses::<Numbers>(count, size.count, ACCESS_SEED + round as u64);
        // The first checkpoint has everything; the others what changed since the one before.
        backend.update(&updates);
        let distinct = updates.iter().map(|update| update.key).collect::<BTreeSet<_>>().len();
        let before = storage.written_bytes();
        let (frozen, checkpoint) = backend.freeze();
        let target = setup::incremental_target(Arc::new(storage.clone()), checkpoint);
        setup::write(frozen, &target);
        let written = storage.written_bytes() - before;
        if round > 0 {
            let changed = distinct as u64 * ENTRY_LEN_BYTES;
            ratios.push(written as f64 / changed as f64);
            notes.push(format!("  {written} bytes for {distinct} changed entries"));
        }
    }
    report.figure(&figure, &ratios, GOAL, "ratio");
    report.notes(&notes);
}
