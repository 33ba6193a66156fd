//! What will be measured: options that were checked.
//!
//! Invariants: a [`Plan`] in hand can be carried out: all numbers are in their ranges, the backend can
//! write so, and at least one checkpoint begins within the load.

use std::time::Duration;

use alluvium::core::{KeyGroupError, MaxParallelism};

use crate::options::{OptionError, Options, Target};
use crate::workload::{Keys, Workload};

/// Key groups of the operator.
pub(crate) const KEY_GROUPS: u32 = 128;

/// Options that were checked.
#[derive(Debug, Clone)]
pub struct Plan {
    options: Options,
    max_parallelism: MaxParallelism,
}

/// The ends of the parts of the load, from its beginning on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) warm_up: Duration,
    pub(crate) before: Duration,
    pub(crate) all: Duration,
}

impl Plan {
    /// Checks options. Nothing is opened, created or contacted.
    ///
    /// Errors: [`OptionError`], which names the option.
    pub fn new(options: Options) -> Result<Self, OptionError> {
        check(
            "keys",
            options.keys,
            (1_000..=1_000_000_000).contains(&options.keys),
            "1000 to 1000000000 are possible",
        )?;
        check(
            "value-size",
            options.value_len_bytes,
            (8..=1 << 20).contains(&options.value_len_bytes),
            "8 to 1048576 bytes are possible",
        )?;
        check(
            "change-rate",
            options.change_rate,
            options.change_rate > 0.0 && options.change_rate <= 1.0,
            "a share of the keys is needed, above 0 and at most 1",
        )?;
        check(
            "skew",
            options.skew,
            (0.0..=10.0).contains(&options.skew),
            "an exponent from 0 to 10 is needed",
        )?;
        let (interval, load) = (options.interval.as_millis(), options.load.as_millis());
        check(
            "interval",
            format_args!("{interval}ms"),
            (1..=HOUR_MS).contains(&interval),
            "1ms to 1h are possible",
        )?;
        check(
            "duration",
            format_args!("{load}ms"),
            (1..=24 * HOUR_MS).contains(&load),
            "1ms to 1day are possible",
        )?;
        if let Target::Uri(uri) = &options.target {
            alluvium::storage::check_uri(uri).map_err(OptionError::Storage)?;
        }
        #[cfg(feature = "rocksdb")]
        check(
            "rocksdb-memory",
            options.rocksdb_memory_len_bytes,
            options.rocksdb_memory_len_bytes >= 4 << 20
                && usize::try_from(options.rocksdb_memory_len_bytes).is_ok(),
            "at least 4 MiB are needed",
        )?;
        let backend = options.backend;
        if let Some(compression) = options.compression
            && !backend.can_write(compression)
        {
            return Err(OptionError::Compression { compression, backend });
        }
        let max_parallelism =
            MaxParallelism::new(KEY_GROUPS).map_err(|error| key_groups(&error))?;
        let plan = Self { options, max_parallelism };
        let Parts { before, all, .. } = plan.parts();
        let room_ms = all.saturating_sub(before).as_millis();
        if room_ms < interval {
            return Err(OptionError::Interval { interval_ms: interval, room_ms });
        }
        plan.workload()?;
        Ok(plan)
    }

    /// What was asked for.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Most keys that change between two checkpoints, at least 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of keys"
    )]
    pub fn keys_per_interval(&self) -> u64 {
        let share = self.options.keys as f64 * self.options.change_rate;
        (share.ceil() as u64).clamp(1, self.options.keys)
    }

    pub(crate) const fn max_parallelism(&self) -> MaxParallelism {
        self.max_parallelism
    }

    pub(crate) const fn keys(&self) -> Keys {
        Keys::new(self.options.keys, self.max_parallelism)
    }

    pub(crate) fn workload(&self) -> Result<Workload, OptionError> {
        let window = self.keys_per_interval();
        Workload::new(self.keys(), window, self.options.skew, self.options.seed)
    }

    /// A tenth for the warm-up, a fifth without checkpoints, and the rest.
    pub(crate) fn parts(&self) -> Parts {
        let all = self.options.load;
        let warm_up = all / 10;
        Parts { warm_up, before: warm_up + all / 5, all }
    }
}

pub(crate) const HOUR_MS: u128 = 60 * 60 * 1_000;

pub(crate) fn check(
    option: &'static str,
    value: impl std::fmt::Display,
    is_right: bool,
    allowed: &'static str,
) -> Result<(), OptionError> {
    if is_right {
        return Ok(());
    }
    Err(OptionError::OutOfRange { option, value: value.to_string(), allowed })
}

/// The number of key groups is a constant of this crate.
#[cold]
fn key_groups(error: &KeyGroupError) -> OptionError {
    OptionError::OutOfRange {
        option: "key-groups",
        value: error.to_string(),
        allowed: "128 are possible",
    }
}

#[cfg(test)]
mod tests;
