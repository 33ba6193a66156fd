//! How fast frozen state becomes the bytes of a stream, on one core, into nothing.

use std::sync::Arc;

use alluvium_storage::StreamPolicy;

use crate::contender::Backend;
use crate::measure::{Samples, timed};
use crate::null_storage::NullStorage;
use crate::options::Size;
use crate::report::{Goal, Report};
use crate::setup;
use crate::shapes::{Numbers, Shape, Texts, Wide};

const NUMBERS_MB_PER_S: f64 = 800.0;
const WIDE_MB_PER_S: f64 = 2_000.0;
/// More than any cache holds.
const COPIED_LEN_BYTES: usize = 512 * 1024 * 1024;
const MEGA: f64 = 1e6;

pub(super) fn figures(report: &Report) {
    if !report.wants("snapshot-speed") && !report.wants("memory-copy-speed") {
        return;
    }
    let copy = memory_copy(report);
    report.figure("memory-copy-speed", &copy, Goal::NONE, "MB/s");
    for size in report.plan.sizes {
        let goal =
            |bar| Goal::of(bar, copy.median()).when(size.count == report.plan.main_size.count);
        speed_of::<Numbers>(report, *size, goal(NUMBERS_MB_PER_S));
        speed_of::<Wide>(report, *size, goal(WIDE_MB_PER_S));
        speed_of::<Texts>(report, *size, Goal::NONE);
    }
}

fn memory_copy(report: &Report) -> Samples {
    let source = vec![1_u8; COPIED_LEN_BYTES];
    let mut target = vec![2_u8; COPIED_LEN_BYTES];
    let mut speed = Samples::default();
    for _ in 0..report.plan.rounds {
        let (took, ()) = timed(|| std::hint::black_box(&mut target).copy_from_slice(&source));
        std::hint::black_box(&target);
        speed.push(COPIED_LEN_BYTES as f64 / MEGA / took.as_secs_f64());
    }
    speed
}

fn speed_of<S: Shape>(report: &Report, size: Size, goal: Goal) {
    let figure = format!("snapshot-speed/{}/{}", size.name, S::NAME);
    if !report.wants(&figure) {
        return;
    }
    let mut backend = Backend::<S>::with_entries(size.count);
    let (mut speed, mut len_bytes) = (Samples::default(), 0);
    for round in 0..=report.plan.long_rounds {
        let (frozen, checkpoint) = backend.freeze();
        let (storage, policy) = (Arc::new(NullStorage::default()), StreamPolicy::files());
        let target = setup::full_target(storage, policy, checkpoint);
        let (took, handle) = timed(|| setup::write(frozen, &target));
        len_bytes = handle.stream.len_bytes;
        if round > 0 {
            speed.push(len_bytes as f64 / MEGA / took.as_secs_f64());
        }
    }
    report.figure(&figure, &speed, goal, "MB/s");
    report.note(&format!("  {len_bytes} bytes, {:.1} per entry", per(len_bytes, size.count)));
}

fn per(bytes: u64, count: u64) -> f64 {
    bytes as f64 / count as f64
}
