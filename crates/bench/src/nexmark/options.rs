//! What is to be measured: as somebody asks for it, and checked.
//!
//! Invariants: names of options in errors are those of the command, without the dashes; a [`Plan`] in hand
//! can be carried out.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "rocksdb")]
use std::path::PathBuf;

use crate::options::{BackendKind, OptionError, Target};
use crate::plan::{HOUR_MS, check};

/// Key groups of every keyed operator.
pub(crate) const KEY_GROUPS: u32 = 128;

/// A query of NEXMark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Query {
    /// Pass through: all events, as they are.
    Q0,
    /// Local item suggestion: who in Oregon, Idaho or California sells in category 10, and what.
    Q3,
    /// Hot items: the auctions with the most bids of the last 10 s, each 2 s.
    Q5,
    /// Monitor new users: who has opened an auction within the 10 s of their registration.
    Q8,
    /// The last bid of each bidder on each auction.
    Q18,
}

impl Query {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Q0, Self::Q3, Self::Q5, Self::Q8, Self::Q18];

    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Q0 => "q0",
            Self::Q3 => "q3",
            Self::Q5 => "q5",
            Self::Q8 => "q8",
            Self::Q18 => "q18",
        }
    }

    /// What it asks for, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Q0 => "pass through",
            Self::Q3 => "local item suggestion",
            Self::Q5 => "hot items",
            Self::Q8 => "monitor new users",
            Self::Q18 => "find last bid",
        }
    }

    /// The kinds of events that it reads, of which there are as many as the option says.
    pub const fn reads(self) -> &'static str {
        match self {
            Self::Q0 => "events of all kinds",
            Self::Q3 | Self::Q8 => "persons and auctions",
            Self::Q5 | Self::Q18 => "bids",
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be measured; [`Plan::new`] checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The queries, in this order; default all.
    pub queries: Vec<Query>,
    /// Where state lives, one after the other; default [`BackendKind::Fs`].
    pub backends: Vec<BackendKind>,
    /// Events that each query reads; 1,000 to 1,000,000,000, default 10,000,000.
    pub events: u64,
    /// Subtasks of each stage; 1 to 128, default 2.
    pub parallelism: u32,
    /// Time between the starts of two checkpoints; 1 ms to 1 hour, default 1 s.
    pub interval: Duration,
    /// Whether jobs run with checkpoints as well; default true.
    pub has_checkpoints: bool,
    /// How often each job runs, with checkpoints and without; 1 to 100, default 3.
    pub rounds: u32,
    /// Where checkpoints go, anywhere but nowhere; default [`Target::Temporary`].
    pub target: Target,
    /// Folder for the databases of RocksDB; default a temporary one.
    #[cfg(feature = "rocksdb")]
    pub local_dir: Option<PathBuf>,
    /// Memory that RocksDB may take for all subtasks of a job, in bytes; at least 4 MiB, default 256 MiB.
    #[cfg(feature = "rocksdb")]
    pub rocksdb_memory_len_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queries: Query::ALL.to_vec(),
            backends: vec![BackendKind::Fs],
            events: 10_000_000,
            parallelism: 2,
            interval: Duration::from_secs(1),
            has_checkpoints: true,
            rounds: 3,
            target: Target::Temporary,
            #[cfg(feature = "rocksdb")]
            local_dir: None,
            #[cfg(feature = "rocksdb")]
            rocksdb_memory_len_bytes: 256 << 20,
        }
    }
}

impl Options {
    /// 20,000 events in one round: to see that it works, not to compare figures.
    pub fn quick() -> Self {
        let interval = Duration::from_millis(10);
        Self { events: 20_000, interval, rounds: 1, ..Self::default() }
    }
}

/// Options that were checked.
#[derive(Debug, Clone)]
pub struct Plan {
    options: Options,
}

impl Plan {
    /// Checks options; a query or backend that is named twice counts once. Nothing is opened, created or
    /// contacted.
    ///
    /// Errors: [`OptionError`], which names the option.
    pub fn new(mut options: Options) -> Result<Self, OptionError> {
        options.queries = each_once(&options.queries);
        options.backends = each_once(&options.backends);
        check("query", "", !options.queries.is_empty(), "at least one is needed")?;
        check("backend", "", !options.backends.is_empty(), "at least one is needed")?;
        check(
            "events",
            options.events,
            (1_000..=1_000_000_000).contains(&options.events),
            "1000 to 1000000000 are possible",
        )?;
        check(
            "parallelism",
            options.parallelism,
            (1..=KEY_GROUPS).contains(&options.parallelism),
            "1 to 128 are possible",
        )?;
        let interval = options.interval.as_millis();
        check(
            "interval",
            format_args!("{interval}ms"),
            (1..=HOUR_MS).contains(&interval),
            "1ms to 1h are possible",
        )?;
        check(
            "rounds",
            options.rounds,
            (1..=100).contains(&options.rounds),
            "1 to 100 are possible",
        )?;
        match &options.target {
            Target::Uri(uri) => {
                alluvium::storage::check_uri(uri).map_err(OptionError::Storage)?;
            }
            Target::Null => {
                let allowed = "a job reads what it has written, so something has to keep it";
                check("storage", "null", false, allowed)?;
            }
            Target::Temporary => {}
        }
        #[cfg(feature = "rocksdb")]
        check(
            "rocksdb-memory",
            options.rocksdb_memory_len_bytes,
            options.rocksdb_memory_len_bytes >= 4 << 20
                && usize::try_from(options.rocksdb_memory_len_bytes).is_ok(),
            "at least 4 MiB are needed",
        )?;
        Ok(Self { options })
    }

    /// What was asked for.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Time between two checkpoints in milliseconds.
    pub(crate) fn interval_ms(&self) -> u64 {
        u64::try_from(self.options.interval.as_millis()).unwrap_or(u64::MAX)
    }
}

fn each_once<T: Copy + PartialEq>(all: &[T]) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(one) {
            once.push(*one);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_twice_counts_once_in_the_order_of_the_first() {
        let queries = vec![Query::Q8, Query::Q0, Query::Q8];
        let backends = vec![BackendKind::Heap, BackendKind::Heap];
        let plan = Plan::new(Options { queries, backends, ..Options::quick() }).unwrap();
        assert_eq!(plan.options().queries, [Query::Q8, Query::Q0]);
        assert_eq!(plan.options().backends, [BackendKind::Heap]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let quick = Options::quick;
        for (options, part) in [
            (Options { queries: Vec::new(), ..quick() }, "query"),
            (Options { backends: Vec::new(), ..quick() }, "backend"),
            (Options { events: 999, ..quick() }, "events 999: 1000 to"),
            (Options { parallelism: 0, ..quick() }, "parallelism 0: 1 to 128"),
            (Options { parallelism: 129, ..quick() }, "parallelism 129: "),
            (Options { interval: Duration::ZERO, ..quick() }, "interval 0ms: "),
            (Options { rounds: 0, ..quick() }, "rounds 0: "),
            (Options { target: Target::Null, ..quick() }, "storage null: "),
            (Options { target: Target::Uri("gopher://x".to_owned()), ..quick() }, "storage: "),
        ] {
            let error = Plan::new(options).unwrap_err().to_string();
            assert!(error.starts_with(part), "{error}");
        }
        Plan::new(Options::default()).unwrap();
    }
}
