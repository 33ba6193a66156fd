//! What the second checkpoint uploads over the SSTs that are new in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_benches::measure::Samples;
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets::ACCESS_SEED;

use crate::own::{self, Checkpoints, MIB};
use crate::records;
use crate::report::{Goal, Report};

const FIGURE: &str = "second-checkpoint-beyond-new-ssts";
const KEYS: u64 = 500_000;
const UPDATES: usize = 100_000;
/// Bytes beyond those of the new SSTs, and a share of these.
const BAR: (f64, f64) = (16.0, 0.02);
const MOONSHOT_KIB: f64 = 4.0;

pub(super) fn figures(report: &Report) {
    if !report.wants(FIGURE) {
        return;
    }
    let (mut beyond, mut bars, mut notes) = (Samples::default(), Samples::default(), Vec::new());
    for round in 0..report.plan.long_rounds as u64 {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut keyed = own::open_empty(&own::backend(dir.path(), 256 * MIB));
        let state = own::wide(&mut keyed, "wide");
        for (number, record) in records::all(KEYS).iter().enumerate() {
            own::set(&mut keyed, state, record, own::wide_value(number as u64));
        }
        let (storage, mut checkpoints) = (NullStorage::default(), Checkpoints::new());
        let first = checkpoints.take(&mut keyed, Arc::new(storage.clone()));
        let uploaded_first = storage.written_bytes();
        for record in records::random(UPDATES, KEYS, ACCESS_SEED + round) {
            own::set(&mut keyed, state, &record, own::wide_value(record.key));
        }
        let second = checkpoints.take(&mut keyed, Arc::new(storage.clone()));
        let uploaded = (storage.written_bytes() - uploaded_first) as f64;
        let known: BTreeSet<_> = first.shared.iter().map(|file| &file.path).collect();
        let new = second.shared.iter().filter(|file| !known.contains(&file.path));
        let new_bytes = new.map(|file| file.len_bytes).sum::<u64>() as f64;
        beyond.push((uploaded - new_bytes) / 1024.0);
        bars.push(BAR.0 + new_bytes * BAR.1 / 1024.0);
        notes.push(format!(
            "  {uploaded:.0} bytes for {new_bytes:.0} of new SSTs, ratio {:.5}; the first \
             checkpoint had {uploaded_first}",
            uploaded / new_bytes
        ));
    }
    report.figure(FIGURE, &beyond, Goal::of(bars.min(), MOONSHOT_KIB), "KiB");
    report.notes(&notes);
}
