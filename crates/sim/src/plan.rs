//! What a seed draws before anything runs: the job, its options, and what will go wrong.

use std::collections::BTreeSet;

use alluvium_coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium_runtime::CheckpointMode;
use alluvium_state::SnapshotMode;
use alluvium_storage::StreamPolicy;
use alluvium_testkit::random::Random;

use crate::chaos::Rates;
use crate::job::{Input, Shape, Widths};
use crate::world::Ask;

/// How a process ends, unless it ends by itself before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// It does not: after a time nothing goes wrong any more.
    ByItself,
    /// It is killed.
    Kill,
    /// Another one is started, and this one goes on.
    TakeOver,
}

/// One process of the job.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) end: End,
    /// When, after its start.
    pub(crate) after_us: u64,
    /// At which storage call, if it comes to that before: what the call must be, and how many of
    /// those pass before.
    pub(crate) trap: Option<(&'static str, u64)>,
    /// When the clock is set meanwhile, if it is.
    pub(crate) clock_set_us: Option<u64>,
    /// Whether the machine loses power with it.
    pub(crate) cuts_power: bool,
    /// What people ask of it.
    pub(crate) asks: Vec<Ask>,
}

/// Everything about a seed.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) is_remote: bool,
    pub(crate) shape: Shape,
    pub(crate) input: Input,
    pub(crate) mode: CheckpointMode,
    pub(crate) max_parallelism: u32,
    pub(crate) retained: usize,
    pub(crate) snapshot_mode: SnapshotMode,
    pub(crate) streams: StreamPolicy,
    pub(crate) records_per_s: u32,
    pub(crate) rates: Rates,
    pub(crate) fail_at: BTreeSet<u64>,
    pub(crate) rounds: Vec<Round>,
    /// What people ask of the last process.
    pub(crate) last_asks: Vec<Ask>,
}

/// Where a process is killed or taken over: part of what the trace calls the storage call.
const SITES: [&str; 14] = [
    "_metadata",
    "create",
    "attempts/",
    "rename",
    "finish",
    "delete",
    "shared",
    "pending-",
    "part-",
    "superseded",
    "read",
    "list",
    "sp/savepoint",
    "_unfinished",
];

/// Where a process is taken over: at what an older and a newer one might both do.
const TAKEOVER_SITES: [&str; 5] =
    ["create chk/job/chk-", "chk/job/attempts", "part-", "finish chk/", "sp/savepoint"];

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed_fa11);
        let random = &mut random;
        let is_remote = random.one_in(3);
        // Drawn apart, so that jobs are otherwise those that a seed had before there were shapes.
        let mut shapes = Random::new(seed ^ 0x5eed_50fa);
        let shape = match shapes.below(6) {
            0 => Shape::TwoInputs,
            1 => Shape::Broadcast,
            _ => Shape::Pipeline,
        };
        let input = Input {
            seed,
            splits: 1 + random.below(5),
            clicks: 40 + random.below(160),
            users: 2 + random.below(14),
            notes: 1 + shapes.below(30),
        };
        let records_per_s = 1_500 + 500 * small(random, 8);
        let clicks = input.splits * input.clicks;
        let time_us = clicks * 1_000_000 / u64::from(records_per_s) + 50_000;
        let rates = Rates {
            task_delayed: *random.pick(&[0, 300, 60]),
            storage_fault: *random.pick(&[0, 400, 100, 40]),
            storage_slow: *random.pick(&[0, 150, 30]),
            report: *random.pick(&[0, 30, 8]),
            longest_us: *random.pick(&[5_000, 40_000, 250_000]),
        };
        let calls = clicks * 2;
        let fail_at = (0..random.below(4)).map(|_| random.below(calls)).collect();
        let rounds = (0..=random.below(5)).map(|_| Round::draw(random, time_us, is_remote));
        let mut rounds: Vec<Round> = rounds.collect();
        // 1. A run on an object store is told to stop, and its savepoint is complete;
        // 2. another run takes over, restores the newest checkpoint, and sets aside what is newer;
        // 3. sinks of the first one commit what the savepoint holds.
        // Nothing in the job's folder tells the second run of the savepoint, so nobody may do both.
        let may_stop = !rounds.iter().any(Round::is_taken_over);
        for round in &mut rounds {
            round.asks = asks(random, time_us, may_stop);
        }
        // Nobody stops the last process, which has to come to the end.
        let last_asks = asks(random, time_us, false);
        let inline_below_bytes = *random.pick(&[0, 0, 200, StreamPolicy::INLINE_BELOW_BYTES]);
        Self {
            is_remote,
            shape,
            input,
            mode: *random.pick(&[
                CheckpointMode::ExactlyOnce,
                CheckpointMode::ExactlyOnce,
                CheckpointMode::ExactlyOnce,
                CheckpointMode::AtLeastOnce,
            ]),
            max_parallelism: *random.pick(&[4, 7, 16, 128]),
            retained: random.index(3) + 1,
            snapshot_mode: *random.pick(&[
                SnapshotMode::Incremental,
                SnapshotMode::Incremental,
                SnapshotMode::Full,
            ]),
            streams: StreamPolicy { inline_below_bytes, ..StreamPolicy::files() },
            records_per_s,
            rates,
            fail_at,
            rounds,
            last_asks,
        }
    }

    /// Whether a process may be replaced while it lives.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.rounds.iter().any(Round::is_taken_over)
    }

    /// Options of one process, drawn anew for each.
    pub(crate) fn checkpoints(&self, random: &mut Random, is_calm: bool) -> CoordinatorConfig {
        let config = CoordinatorConfig::new()
            .interval_ms(Some(2 + random.below(30)))
            .min_pause_ms(*random.pick(&[0, 0, 5]))
            .max_concurrent(*random.pick(&[1, 1, 2, 3]))
            .unaligned(random.one_in(3))
            .retained(self.retained);
        if is_calm {
            return config.timeout_ms(10_000).tolerable_failed_checkpoints(u32::MAX);
        }
        let tolerable = *random.pick(&[0, 1, 5, u32::MAX]);
        config.timeout_ms(20 + random.below(400)).tolerable_failed_checkpoints(tolerable)
    }

    /// Parallelism of the stages that only some shapes have, drawn anew for each process.
    pub(crate) fn widths(&self, random: &mut Random) -> Widths {
        if self.shape == Shape::Pipeline {
            return Widths { splits: None, second: 1, lines: 1 };
        }
        let mut width = || 1 + small(random, 4);
        Widths { splits: Some(width()), second: width(), lines: width() }
    }

    pub(crate) fn restart(random: &mut Random, is_calm: bool) -> RestartStrategy {
        if is_calm || random.one_in(5) {
            return RestartStrategy::None;
        }
        let delay_ms = random.below(20);
        if random.one_in(2) {
            return RestartStrategy::FixedDelay { attempts: 50, delay_ms };
        }
        RestartStrategy::FailureRate { max_failures: 3, interval_ms: 500, delay_ms }
    }
}

impl Round {
    fn is_taken_over(&self) -> bool {
        matches!(self.end, End::TakeOver)
    }

    fn draw(random: &mut Random, time_us: u64, is_remote: bool) -> Self {
        let end = match random.below(8) {
            0 => End::ByItself,
            1..=4 if is_remote => End::TakeOver,
            _ => End::Kill,
        };
        let is_trapped = !matches!(end, End::ByItself) && !random.one_in(3);
        let (sites, passes): (&[&str], u64) = match end {
            End::TakeOver => (&TAKEOVER_SITES, 6),
            _ => (&SITES, 20),
        };
        let trap = is_trapped.then(|| (*random.pick(sites), 1 + random.below(passes)));
        let cuts_power = !is_remote && random.one_in(2);
        // A trap has its time.
        let after_us = if is_trapped { time_us } else { random.below(time_us) };
        let clock_set_us = random.one_in(4).then(|| random.below(time_us));
        Self { end, after_us, trap, clock_set_us, cuts_power, asks: Vec::new() }
    }
}

/// What people ask of one process: mostly nothing.
fn asks(random: &mut Random, time_us: u64, may_stop: bool) -> Vec<Ask> {
    let count = *random.pick(&[0, 0, 1, 1, 2, 3]);
    (0..count).map(|_| Ask::draw(random, time_us, may_stop)).collect()
}

fn small(random: &mut Random, limit: u64) -> u32 {
    u32::try_from(random.below(limit)).unwrap_or(0)
}
