//! How long a freeze keeps the job waiting, with random updates between freezes.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use alluvium_storage::StreamPolicy;

use crate::contender::{Backend, Contender};
use crate::measure::{Samples, timed};
use crate::null_storage::NullStorage;
use crate::options::{LARGEST, SMALLEST, Size};
use crate::report::{Goal, Report};
use crate::setup::{self, ACCESS_SEED};
use crate::shapes::{Numbers, random_accesses};

const P99_US: Goal = Goal::of(50.0, 10.0);
const GROWTH: Goal = Goal::bar(2.0);
/// Updates between two freezes.
const UPDATES: usize = 2_000;
/// One frozen state in so many is written; the others are dropped, both on another thread.
const WRITTEN_ONE_IN: usize = 20;

pub(super) fn figures(report: &Report) {
    let growth = format!("freeze-p99-growth/{}-over-{}", LARGEST.name, SMALLEST.name);
    let mut p99 = Vec::new();
    for size in report.plan.sizes {
        let figure = format!("freeze-p99/{}/u64-u64", size.name);
        if !report.wants_any(&[&figure, &growth]) {
            continue;
        }
        let micros = freezes(report, *size);
        report.value(&figure, micros.quantile(0.99), P99_US, "us");
        let (min, median, max) = (micros.min(), micros.median(), micros.max());
        let count = micros.len();
        report.note(&format!(
            "  min {min:.1}, median {median:.1}, max {max:.1} us of {count} freezes"
        ));
        p99.push((size.count, micros.quantile(0.99)));
    }
    let of = |size: Size| p99.iter().find(|(count, _)| *count == size.count);
    if let (Some((_, small)), Some((_, large))) = (of(SMALLEST), of(LARGEST)) {
        report.value(&growth, large / small, GROWTH, "ratio");
    }
}

/// The microseconds of each freeze.
fn freezes(report: &Report, size: Size) -> Samples {
    let mut backend = Backend::<Numbers>::with_entries(size.count);
    let count = report.plan.freezes;
    let updates = random_accesses::<Numbers>(UPDATES * (count + 1), size.count, ACCESS_SEED);
    // One state waits while another is written, so that no more than two are held.
    let (frozen, received) = sync_channel::<(usize, _, _)>(1);
    let writer = std::thread::spawn(move || {
        for (number, state, checkpoint) in received {
            if number % WRITTEN_ONE_IN == 0 {
                let (storage, policy) = (Arc::new(NullStorage::default()), StreamPolicy::files());
                setup::write(state, &setup::full_target(storage, policy, checkpoint));
            } else {
                drop(state);
            }
        }
    });
    let mut micros = Samples::default();
    for (number, updates) in updates.chunks(UPDATES).enumerate() {
        backend.update(updates);
        let checkpoint = backend.next_checkpoint();
        let (took, state) = timed(|| backend.freeze_for(checkpoint));
        if number > 0 {
            micros.push(took.as_secs_f64() * 1e6);
        }
        frozen.send((number, state, checkpoint)).expect("the writer runs");
    }
    drop(frozen);
    writer.join().expect("the writer ends");
    micros
}
