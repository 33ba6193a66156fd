//! How much of the limits of the machine was reached.

use serde::Serialize;

use super::{Checkpoint, Limits, Restored, Speed};
use crate::options::Compression;

/// How fast bytes came out of checkpoints, or back, and which share of each limit that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shares {
    /// The first checkpoint: everything, with nothing beside it.
    pub first_checkpoint: Reached,
    /// The checkpoints under load: bytes of all of them over the time of all of them.
    pub checkpoints: Option<Reached>,
    /// The restore, until everything was loaded: bytes of the first checkpoint over that time.
    pub restore: Option<Reached>,
}

/// A speed, over each limit; absent where the limit is none for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reached {
    /// How fast it was.
    pub bytes_per_s: f64,
    /// Over copying memory.
    pub of_memory_copy: Option<f64>,
    /// Over computing checksums.
    pub of_crc32: Option<f64>,
    /// Over compressing; where Zstandard was asked for.
    pub of_zstd: Option<f64>,
    /// Over writing and syncing as many bytes; where they went to the same folder.
    pub of_write_sync: Option<f64>,
}

/// What was moved, and how long that took.
#[derive(Debug, Clone, Copy)]
struct Moved {
    bytes: u64,
    seconds: f64,
}

impl Moved {
    fn bytes_per_s(self) -> f64 {
        self.bytes as f64 / self.seconds.max(1e-9)
    }
}

impl Shares {
    /// The first checkpoint, those under load, and the restore, over the limits.
    pub(crate) fn of(
        limits: &Limits,
        compression: Compression,
        first: &Checkpoint,
        under_load: &[Checkpoint],
        restore: Option<&Restored>,
    ) -> Self {
        let moved = |checkpoints: &[Checkpoint]| Moved {
            bytes: checkpoints.iter().map(|checkpoint| checkpoint.new_bytes).sum(),
            seconds: checkpoints.iter().map(|checkpoint| checkpoint.asynchronous_us).sum::<f64>()
                / 1e6,
        };
        let all = (!under_load.is_empty()).then(|| moved(under_load));
        Self::new(limits, compression, moved(std::slice::from_ref(first)), all, restore)
    }

    fn new(
        limits: &Limits,
        compression: Compression,
        first: Moved,
        checkpoints: Option<Moved>,
        restore: Option<&Restored>,
    ) -> Self {
        let zstd = limits.zstd.filter(|_| compression == Compression::Zstd);
        let of = |moved: Moved, zstd: Option<Speed>, write_sync: Option<Speed>| {
            let bytes_per_s = moved.bytes_per_s();
            let over = |limit: Option<Speed>| limit.map(|limit| bytes_per_s / limit.bytes_per_s);
            Reached {
                bytes_per_s,
                of_memory_copy: over(limits.memory_copy),
                of_crc32: over(limits.crc32),
                of_zstd: over(zstd),
                of_write_sync: over(write_sync.filter(|_| limits.written_to_target)),
            }
        };
        let restored = restore
            .map(|restored| Moved { bytes: first.bytes, seconds: restored.loaded.median_ms / 1e3 });
        Self {
            first_checkpoint: of(first, zstd, limits.write_sync_first),
            checkpoints: checkpoints.map(|moved| of(moved, zstd, limits.write_sync_median)),
            // Nothing is compressed, written or synced by a restore.
            restore: restored.map(|moved| of(moved, None, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(bytes_per_s: f64) -> Speed {
        let slowest_bytes_per_s = bytes_per_s / 2.0;
        Speed { bytes_per_s, slowest_bytes_per_s, measured_bytes: 1, rounds: 3 }
    }

    fn limits(written_to_target: bool) -> Limits {
        Limits {
            memory_copy: Some(speed(10e9)),
            crc32: Some(speed(20e9)),
            zstd: Some(speed(400e6)),
            zstd_level: 3,
            write_sync_first: Some(speed(500e6)),
            write_sync_median: None,
            written_to_target,
            clock_read_ns: 20.0,
        }
    }

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found / expected - 1.0).abs() < 1e-9)
    }

    #[test]
    fn a_share_is_what_was_reached_over_the_fastest_round() {
        let first = Moved { bytes: 100_000_000, seconds: 0.25 };
        let under_load = Moved { bytes: 1_000_000, seconds: 0.01 };
        let shares = Shares::new(&limits(true), Compression::None, first, Some(under_load), None);
        let reached = shares.first_checkpoint;
        assert!(close(Some(reached.bytes_per_s), 400e6));
        assert!(close(reached.of_memory_copy, 0.04));
        assert!(close(reached.of_crc32, 0.02));
        assert_eq!(reached.of_zstd, None, "nothing was compressed");
        assert!(close(reached.of_write_sync, 0.8));
        let checkpoints = shares.checkpoints.unwrap();
        assert!(close(checkpoints.of_memory_copy, 0.01));
        assert_eq!(checkpoints.of_write_sync, None, "that limit was not measured");
        assert_eq!(shares.restore, None);
    }

    #[test]
    fn other_places_are_no_limit() {
        let first = Moved { bytes: 100_000_000, seconds: 0.25 };
        let shares = Shares::new(&limits(false), Compression::Zstd, first, None, None);
        assert_eq!(shares.first_checkpoint.of_write_sync, None);
        assert!(close(shares.first_checkpoint.of_zstd, 1.0));
        assert_eq!(shares.checkpoints, None);
    }
}
