//! What one thread of the machine can do: copy memory, compute checksums, compress, write and sync.
//!
//! Each limit is measured in several rounds spread over the run; the fastest counts, since a limit is
//! what the machine can do when nothing is in its way. The slowest is in the report as well.
//!
//! Invariants: what is measured is as long as said in the report; buffers exist during a round only.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::report::{Limits, Speed};
use crate::values;

/// Level of Zstandard that RocksDB takes by itself.
const ZSTD_LEVEL: i32 = 3;
/// Bytes that are given to the system at a time.
const CHUNK_LEN_BYTES: usize = 1 << 20;
/// Most bytes that are written in one go; the rest of a larger checkpoint would say nothing new.
const MAX_WRITTEN_BYTES: u64 = 2 << 30;
/// Short writes are tried so often in a round.
const SHORT_WRITES: usize = 3;
/// Up to this length writes are short.
const SHORT_LEN_BYTES: u64 = 64 << 20;
/// How often the clock is read to see how long that takes.
const CLOCK_READS: u32 = 100_000;

/// Measures limits, and keeps what was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    copied_len_bytes: usize,
    compressed_len_bytes: usize,
    value_len_bytes: usize,
    dir: PathBuf,
    is_target: bool,
    memory_copy: Runs,
    crc32: Runs,
    zstd: Runs,
    write_first: Runs,
    write_median: Runs,
}

/// How often the same bytes were worked on, and how long it took.
#[derive(Debug, Default)]
struct Runs {
    len_bytes: u64,
    took: Vec<Duration>,
}

impl Measured {
    /// Will write to a folder, which is the target of checkpoints or not.
    pub(crate) fn new(is_quick: bool, value_len_bytes: usize, target: Option<PathBuf>) -> Self {
        // More than most caches hold, for others it is a limit all the same.
        let copied_len_bytes = if is_quick { 4 << 20 } else { 256 << 20 };
        Self {
            copied_len_bytes,
            compressed_len_bytes: copied_len_bytes / 16,
            value_len_bytes,
            is_target: target.is_some(),
            dir: target.unwrap_or_else(std::env::temp_dir),
            memory_copy: Runs::default(),
            crc32: Runs::default(),
            zstd: Runs::default(),
            write_first: Runs::default(),
            write_median: Runs::default(),
        }
    }

    /// One round: memory, checksums, compression, and the bytes of the first checkpoint to disk; those of
    /// one under load as well, once they are known.
    ///
    /// Errors: [`BenchError::System`].
    pub(crate) fn round(&mut self, first: u64, median: Option<u64>) -> Result<(), BenchError> {
        let source = values::bytes_of_values(self.copied_len_bytes, self.value_len_bytes);
        let mut copy = vec![1_u8; source.len()];
        self.memory_copy.run(source.len(), || {
            std::hint::black_box(&mut copy).copy_from_slice(std::hint::black_box(&source));
        });
        drop(copy);
        self.crc32.run(source.len(), || {
            std::hint::black_box(crc32fast::hash(std::hint::black_box(&source)));
        });
        let compressed = source.get(..self.compressed_len_bytes).unwrap_or(&source);
        let mut failed = None;
        self.zstd.run(compressed.len(), || {
            failed = zstd::bulk::compress(compressed, ZSTD_LEVEL).map(std::hint::black_box).err();
        });
        if let Some(source) = failed {
            return Err(BenchError::System { what: "compress", source });
        }
        write(&mut self.write_first, &self.dir, &source, first)?;
        if let Some(median) = median {
            write(&mut self.write_median, &self.dir, &source, median)?;
        }
        Ok(())
    }

    /// What was measured.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            memory_copy: self.memory_copy.speed(),
            crc32: self.crc32.speed(),
            zstd: self.zstd.speed(),
            zstd_level: ZSTD_LEVEL,
            write_sync_first: self.write_first.speed(),
            write_sync_median: self.write_median.speed(),
            written_to_target: self.is_target,
            clock_read_ns: clock_read_ns(),
        }
    }
}

impl Runs {
    fn run(&mut self, len_bytes: usize, body: impl FnOnce()) {
        let start = Instant::now();
        body();
        self.add(len_bytes as u64, start.elapsed());
    }

    fn add(&mut self, len_bytes: u64, took: Duration) {
        self.len_bytes = len_bytes;
        self.took.push(took);
    }

    /// `None` if nothing was measured.
    fn speed(&self) -> Option<Speed> {
        let (fastest, slowest) = (self.took.iter().min()?, self.took.iter().max()?);
        let speed = |took: &Duration| self.len_bytes as f64 / took.as_secs_f64().max(1e-9);
        Some(Speed {
            bytes_per_s: speed(fastest),
            slowest_bytes_per_s: speed(slowest),
            measured_bytes: self.len_bytes,
            rounds: self.took.len(),
        })
    }
}

/// Writes so many bytes to a new file, syncs it, and removes it.
fn write(runs: &mut Runs, dir: &Path, source: &[u8], len_bytes: u64) -> Result<(), BenchError> {
    let len_bytes = len_bytes.clamp(1, MAX_WRITTEN_BYTES);
    let times = if len_bytes > SHORT_LEN_BYTES { 1 } else { SHORT_WRITES };
    for _ in 0..times {
        let failed = |what| move |source| BenchError::System { what, source };
        // It has no name, so nothing is left behind.
        let mut file = tempfile::tempfile_in(dir).map_err(failed("make a file to measure with"))?;
        let start = Instant::now();
        write_chunks(&mut file, source, len_bytes).map_err(failed("write to the disk"))?;
        file.sync_all().map_err(failed("sync the disk"))?;
        runs.add(len_bytes, start.elapsed());
    }
    Ok(())
}

fn write_chunks(file: &mut File, source: &[u8], len_bytes: u64) -> std::io::Result<()> {
    let mut left = len_bytes;
    for chunk in source.chunks(CHUNK_LEN_BYTES).cycle() {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        file.write_all(chunk.get(..room).unwrap_or(chunk))?;
        left -= room as u64;
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// How long it takes to read the clock, as it is read for every update.
fn clock_read_ns() -> f64 {
    let start = Instant::now();
    for _ in 0..CLOCK_READS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(CLOCK_READS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_round_is_the_limit() {
        let mut runs = Runs::default();
        assert_eq!(runs.speed(), None);
        for millis in [20, 10, 40] {
            runs.add(1_000_000, Duration::from_millis(millis));
        }
        let speed = runs.speed().unwrap();
        assert!((speed.bytes_per_s - 1e8).abs() < 1.0);
        assert!((speed.slowest_bytes_per_s - 2.5e7).abs() < 1.0);
        assert_eq!((speed.measured_bytes, speed.rounds), (1_000_000, 3));
    }

    #[test]
    fn as_many_bytes_are_written_as_were_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for len_bytes in [1, 999, 1_000, 3_500_001] {
            let mut file = tempfile::tempfile_in(dir.path()).unwrap();
            write_chunks(&mut file, &vec![7; 1_500_000], len_bytes).unwrap();
            assert_eq!(file.metadata().unwrap().len(), len_bytes);
        }
    }

    #[test]
    fn limits_that_were_not_measured_are_absent() {
        let dir = tempfile::tempdir().unwrap();
        let mut measured = Measured::new(true, 100, Some(dir.path().to_owned()));
        assert_eq!(measured.limits().memory_copy, None);
        measured.round(10_000, None).unwrap();
        let limits = measured.limits();
        assert!(limits.memory_copy.unwrap().bytes_per_s > 1e6);
        assert_eq!(limits.write_sync_first.unwrap().measured_bytes, 10_000);
        assert_eq!(limits.write_sync_median, None);
        measured.round(10_000, Some(500)).unwrap();
        assert_eq!(measured.limits().write_sync_median.unwrap().measured_bytes, 500);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
