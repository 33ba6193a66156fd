//! A report with a figure everywhere, for tests of what is made of reports.

use super::{
    Checked, Checkpoint, Fill, Limits, Machine, Memory, Report, Restored, Settings, Shares, Slice,
    Speed, Spread, Times, Updates, Window,
};
use crate::options::Compression;

pub(crate) fn sample() -> Report {
    let checkpoint = |number: u64, begin_s| Checkpoint {
        number,
        begin_s,
        freeze_us: 10.0 + number as f64,
        asynchronous_us: 9_000.0,
        confirm_us: 2.0,
        changed_keys: 100_000,
        new_bytes: 11_000_000 + number,
        shared_bytes: 112_000_000,
        files: number,
    };
    let first = Checkpoint {
        changed_keys: 1_000_000,
        new_bytes: 112_000_000,
        shared_bytes: 0,
        asynchronous_us: 250_000.0,
        ..checkpoint(1, None)
    };
    let checkpoints = vec![checkpoint(2, Some(3.0)), checkpoint(3, Some(3.5))];
    let restore = restored((1, 1));
    let limits = limits();
    let shares = Shares::of(&limits, Compression::Zstd, &first, &checkpoints, Some(&restore));
    Report {
        version: "0.1.0".to_owned(),
        machine: Machine {
            cpu: Some("Some <Processor> & Co".to_owned()),
            cores: Some(2),
            memory_bytes: Some(24_000_000_000),
            system: "linux x86_64".to_owned(),
            load_before: Some(0.5),
            load_after: Some(1.5),
        },
        settings: settings(),
        fill: Fill { seconds: 0.5, keys_per_s: 2e6 },
        memory: Some(Memory {
            before_bytes: 10_000_000,
            after_bytes: 270_000_000,
            bytes_per_entry: 260.0,
        }),
        first,
        last: Checkpoint { number: 4, ..checkpoint(4, None) },
        freeze: Some(spread(2)),
        asynchronous: Some(spread(2)),
        confirm: Some(spread(2)),
        updates: Updates {
            before: window(),
            during: window(),
            after: window(),
            worst_us: Some(1_234.0),
        },
        checkpoints,
        restore: Some(restore),
        rescale_out: Some(restored((1, 2))),
        rescale_in: Some(restored((2, 1))),
        limits,
        shares,
        checked: Checked {
            updates_done: 9_000_000,
            updates_counted: 9_000_000,
            keys: 1_000_000,
            digest: "0123456789abcdef".to_owned(),
        },
        timeline: (0..80)
            .map(|at| Slice {
                begin_s: f64::from(at) * 0.05,
                end_s: f64::from(at + 1) * 0.05,
                updates: 200_000,
                busy_s: 0.045,
                slowest_us: 40.0 + f64::from(at % 7) * 30.0,
            })
            .collect(),
    }
}

/// The same, of a storage that keeps nothing and a system that tells nothing.
pub(crate) fn sparse() -> Report {
    let whole = sample();
    let limits = Limits { written_to_target: false, write_sync_median: None, ..whole.limits };
    let nothing = Window { updates: 0, busy_s: 0.0, updates_per_s: None, update: None };
    let shares = Shares::of(&limits, Compression::None, &whole.first, &[], None);
    Report {
        machine: Machine {
            cpu: None,
            cores: None,
            memory_bytes: None,
            load_before: None,
            load_after: None,
            ..whole.machine
        },
        memory: None,
        freeze: None,
        asynchronous: None,
        confirm: None,
        updates: Updates {
            before: nothing.clone(),
            during: nothing.clone(),
            after: nothing,
            worst_us: None,
        },
        checkpoints: Vec::new(),
        restore: None,
        rescale_out: None,
        rescale_in: None,
        limits,
        shares,
        timeline: Vec::new(),
        ..whole
    }
}

fn settings() -> Settings {
    Settings {
        backend: "fs".to_owned(),
        keys: 1_000_000,
        value_bytes: 100,
        change_rate: 0.1,
        keys_per_interval: 100_000,
        skew: 0.99,
        interval_ms: 500.0,
        load_s: 4.0,
        warm_up_s: 0.4,
        before_ends_s: 1.2,
        storage: "file:/data/chk".to_owned(),
        snapshots: "incremental".to_owned(),
        compression: "zstd".to_owned(),
        seed: 42,
        key_groups: 128,
        is_quick: false,
        rocksdb_memory_bytes: None,
    }
}

fn limits() -> Limits {
    let speed = |bytes_per_s| {
        let slowest_bytes_per_s = bytes_per_s / 2.0;
        Some(Speed { bytes_per_s, slowest_bytes_per_s, measured_bytes: 112_000_000, rounds: 3 })
    };
    Limits {
        memory_copy: speed(12.8e9),
        crc32: speed(21e9),
        zstd: speed(410e6),
        zstd_level: 3,
        write_sync_first: speed(540e6),
        write_sync_median: speed(320e6),
        written_to_target: true,
        clock_read_ns: 21.4,
    }
}

fn restored((from_parallelism, to_parallelism): (u32, u32)) -> Restored {
    let times = |median_ms| Times {
        median_ms,
        least_ms: median_ms * 0.9,
        most_ms: median_ms * 1.5,
        rounds: 3,
    };
    Restored {
        from_parallelism,
        to_parallelism,
        first_read: times(0.9),
        loaded: times(180.0),
        keys: 1_000_000,
        updates: 9_000_000,
        digest: "0123456789abcdef".to_owned(),
    }
}

fn spread(count: u64) -> Spread {
    Spread { count, p50_us: 12.0, p99_us: 40.0, p999_us: 41.0, max_us: 42.5 }
}

fn window() -> Window {
    Window {
        updates: 3_000_000,
        busy_s: 0.75,
        updates_per_s: Some(4e6),
        update: Some(spread(3_000_000)),
    }
}
