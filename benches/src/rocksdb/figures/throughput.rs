//! Updates per second while a checkpoint is taken, over those while none is.
//!
//! Each round has both: some time without a checkpoint, then one, from before its freeze to the end
//! of its upload. Flushes and compactions that the updates cause anyway run whenever RocksDB runs
//! them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_benches::background::Background;
use alluvium_benches::measure::Samples;
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::random::Random;
use alluvium_benches::targets::{self, ACCESS_SEED};
use alluvium_state::{KeyedStateBackend, ValueState};

use crate::own::{self, Checkpoints, Keyed, MIB, RIGHT_USE, Wide};
use crate::records::Record;
use crate::report::{Goal, Report};

const FIGURE: &str = "updates-while-checkpointing-over-idle";
const GOAL: Goal = Goal::of(0.85, 0.97);
const KEYS: u64 = 2_000_000;
const MEMORY_LEN_BYTES: usize = 512 * MIB;
/// Time without a checkpoint in each round.
const IDLE: Duration = Duration::from_millis(1_500);
/// Updates between two looks at the clock.
const PIECE: usize = 256;
/// Rounds for each long round of the plan.
const ROUNDS: usize = 6;

pub(super) fn figures(report: &Report) {
    if !report.wants(FIGURE) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut keyed = own::open_empty(&own::backend(dir.path(), MEMORY_LEN_BYTES));
    let state = own::wide(&mut keyed, "wide");
    for number in 0..KEYS {
        own::set(&mut keyed, state, &Record::of(number), own::wide_value(number));
    }
    let mut updates = Updates { keyed, state, random: Random::new(ACCESS_SEED) };
    let (mut checkpoints, background) = (Checkpoints::new(), Background::start());
    checkpoints.take(&mut updates.keyed, Arc::new(NullStorage::default()));
    let (mut shares, mut idle_rates) = (Samples::default(), Samples::default());
    let (mut millis, mut mib) = (Samples::default(), Samples::default());
    for round in 0..=report.plan.long_rounds * ROUNDS {
        let start = Instant::now();
        let idle = updates.run(|| start.elapsed() < IDLE);
        let storage = NullStorage::paced();
        let start = Instant::now();
        let checkpoint = checkpoints.begin(&mut updates.keyed);
        let frozen = updates.keyed.freeze(checkpoint).expect("nothing failed before");
        let target = targets::incremental_target(Arc::new(storage.clone()), checkpoint);
        background.run(Box::new(move || drop(targets::write(frozen, &target))));
        let busy = updates.run(|| !background.is_idle());
        let took = start.elapsed();
        if round > 0 {
            shares.push(busy / idle);
            idle_rates.push(idle);
            millis.push(took.as_secs_f64() * 1e3);
            mib.push(storage.written_bytes() as f64 / MIB as f64);
        }
    }
    report.figure(FIGURE, &shares, GOAL, "share");
    report.note(&format!(
        "  {:.0} updates/s idle (min {:.0}, max {:.0}); a checkpoint takes {:.0} ms and uploads \
         {:.0} MiB",
        idle_rates.median(),
        idle_rates.min(),
        idle_rates.max(),
        millis.median(),
        mib.median()
    ));
}

struct Updates {
    keyed: Keyed,
    state: ValueState<Wide>,
    random: Random,
}

impl Updates {
    /// Updates random keys as long as it shall; gives how many in a second.
    fn run(&mut self, mut go_on: impl FnMut() -> bool) -> f64 {
        let (start, mut count) = (Instant::now(), 0);
        while go_on() {
            for _ in 0..PIECE {
                let record = Record::of(self.random.below(KEYS));
                let mut at =
                    self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
                let change = |value: &mut Wide| value[0] = value[0].wrapping_add(1);
                self.state.update_or_insert_with(&mut at, || [0; 92], change).expect(RIGHT_USE);
            }
            count += PIECE;
        }
        count as f64 / start.elapsed().as_secs_f64()
    }
}
