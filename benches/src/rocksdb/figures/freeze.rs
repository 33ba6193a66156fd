//! How long a freeze keeps the task waiting, with so many bytes written since the one before.
//!
//! Writes go on at once after a freeze, while another thread waits for the flush and uploads; the
//! next freeze waits, outside the measured time, until that is done, as checkpoints do.

use std::sync::Arc;

use alluvium_benches::background::Background;
use alluvium_benches::measure::{Samples, timed};
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::random::Random;
use alluvium_benches::targets::{self, ACCESS_SEED};
use alluvium_state::KeyedStateBackend;

use super::access::cpu_seconds;
use crate::own::{self, Checkpoints, MIB};
use crate::records::Record;
use crate::report::{Goal, Report};

const P99_US: Goal = Goal::of(1_000.0, 200.0);
const DIRTY_MIB: [usize; 4] = [1, 4, 16, 64];
/// Keys that are written to.
const KEYS: u64 = 1_000_000;
/// Bytes of a row, more or less.
const ROW_LEN_BYTES: usize = 100;
/// So that 64 MiB fit into a memtable.
const MEMORY_LEN_BYTES: usize = 1_024 * MIB;
const WRITE_BUFFER_LEN_BYTES: usize = 128 * MIB;

pub(super) fn figures(report: &Report) {
    for (dirty_mib, freezes) in DIRTY_MIB.into_iter().zip(report.plan.freezes) {
        let figure = format!("freeze-p99/{dirty_mib}-mib-dirty");
        if !report.wants(&figure) {
            continue;
        }
        let (micros, on_cpu) = micros_of(dirty_mib, freezes);
        report.value(&figure, micros.quantile(0.99), P99_US, "us");
        let (min, median, max) = (micros.min(), micros.median(), micros.max());
        report.note(&format!(
            "  min {min:.0}, median {median:.0}, p90 {:.0}, max {max:.0} us of {freezes} freezes",
            micros.quantile(0.9)
        ));
        report.note(&format!(
            "  on the CPU: median {:.0}, p99 {:.0}, max {:.0} us",
            on_cpu.median(),
            on_cpu.quantile(0.99),
            on_cpu.max()
        ));
    }
}

/// The microseconds of each freeze, and those of them on the CPU.
fn micros_of(dirty_mib: usize, freezes: usize) -> (Samples, Samples) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend =
        own::backend(dir.path(), MEMORY_LEN_BYTES).write_buffer_len_bytes(WRITE_BUFFER_LEN_BYTES);
    let mut keyed = own::open_empty(&backend);
    let state = own::wide(&mut keyed, "wide");
    let (mut micros, mut on_cpu) = (Samples::default(), Samples::default());
    let mut random = Random::new(ACCESS_SEED);
    let (mut checkpoints, background) = (Checkpoints::new(), Background::start());
    for number in 0..=freezes {
        for _ in 0..dirty_mib * MIB / ROW_LEN_BYTES {
            let record = Record::of(random.below(KEYS));
            own::set(&mut keyed, state, &record, own::wide_value(record.key));
        }
        background.wait();
        let checkpoint = checkpoints.begin(&mut keyed);
        let before = cpu_seconds();
        let (took, frozen) = timed(|| keyed.freeze(checkpoint).expect("nothing failed before"));
        let cpu = cpu_seconds() - before;
        if number > 0 {
            on_cpu.push(cpu * 1e6);
            micros.push(took.as_secs_f64() * 1e6);
        }
        let target = targets::incremental_target(Arc::new(NullStorage::paced()), checkpoint);
        background.run(Box::new(move || drop(targets::write(frozen, &target))));
    }
    background.wait();
    (micros, on_cpu)
}
