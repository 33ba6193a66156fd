//! Time to live: state that expires some time after it was last written, or read.
//!
//! A job gives a state a [`StateTtl`] in its descriptor and nothing else: handles and functions stay
//! as they are. Values, elements of lists of either layout and entries of maps and of sorted maps expire one
//! by one. Timers do not.
//!
//! Each value is stored with a *stamp*, the time of the last write ([`Stamped`]; SPEC 5.2, `ttl`). It
//! has expired when the clock of the state shows its stamp plus the time to live, or more.
//!
//! What has expired is cleaned up
//! - when it is read: a read through `&at` cannot write, so it *leaves behind* what is to be done,
//!   and the backend does it before the next key is opened and before anything else that changes or
//!   lists that state; until then the time of the state stands still, so what was read does not
//!   expire while its new stamp is on the way;
//! - by full snapshots, which leave it out;
//! - while the job works, some entries with each key that is opened, whoever that key is (heap);
//! - by compactions (RocksDB).
//!
//! ```
//! use alluvium_state::{Clock, KeyedStateBackend, StateError, StateTtl, UpdateType, ValueState};
//! # use alluvium_state::ValueStateDescriptor;
//! # use std::time::Duration;
//!
//! fn register(
//!     backend: &mut impl KeyedStateBackend,
//!     clock: Clock,
//! ) -> Result<ValueState<u64>, StateError> {
//!     let ttl = StateTtl::new(Duration::from_secs(3600), clock).update(UpdateType::OnReadAndWrite);
//!     backend.value_state(ValueStateDescriptor::<u64>::new("count").ttl(ttl))
//! }
//! ```
//!
//! Ladder of names: [`StateTtl`] (what the job says) > [`TtlMoment`] (its rules at one time) > stamp
//! > [`Verdict`] (what becomes of a value).
//!
//! Invariants:
//! - all rules stand in this module; a backend stores stamps, does what reads left behind, and
//!   cleans up;
//! - a state without a time to live pays one branch on a flag of its handle;
//! - no clock is read here but the one that the job gave.
//!
//! Source: Flink `StateTtlConfig`, `TtlStateFactory`.

pub(crate) mod access;
mod functions;
mod left_behind;
mod moment;
pub(crate) mod queue;
pub(crate) mod sorted_map;
mod touch;

pub use alluvium_format::codec::Stamped;
pub use functions::TtlAggregate;
pub(crate) use functions::ttl_reduce;
pub use left_behind::LeftBehind;
pub use moment::{TtlMoment, Verdict};
pub use touch::Touch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_format::codec::TtlCodec;

use crate::StateError;

/// What time it is for a state. An engine gives the clock of the machine, or event time.
///
/// Units: milliseconds, since whatever the engine takes for the beginning.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that asks a function; other threads ask it too.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time it shows. It may go backwards: a value whose stamp lies in the future has not
    /// expired, and one that had expired is back unless it was cleaned up.
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What gives a value a new stamp.
///
/// Source: Flink `StateTtlConfig.UpdateType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateType {
    /// Writing it.
    #[default]
    OnCreateAndWrite,
    /// Writing it and reading it. Reading a list, or going through a map, reads all of it; a range of a
    /// sorted map reads the entries that it comes to.
    OnReadAndWrite,
}

/// Whether a value is returned that has expired.
///
/// Source: Flink `StateTtlConfig.StateVisibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Visibility {
    /// Never: it is as if it were not there.
    #[default]
    NeverReturnExpired,
    /// As long as nobody has cleaned it up; reading it cleans it up afterwards.
    ReturnExpiredIfNotCleanedUp,
}

/// Entries that are looked at with each key that is opened, where nothing else is said.
const INCREMENTAL_ENTRIES: u32 = 5;
/// Age at which a file is compacted, where nothing else is said.
const PERIODIC_COMPACTION: Duration = Duration::from_hours(30 * 24);

/// How long the values of a state live, and who cleans up after them.
///
/// Source: Flink `StateTtlConfig`.
#[derive(Debug, Clone)]
pub struct StateTtl {
    time_to_live: Duration,
    clock: Clock,
    update: UpdateType,
    visibility: Visibility,
    in_full_snapshots: bool,
    incremental_entries: u32,
    periodic_compaction: Option<Duration>,
}

impl StateTtl {
    /// Values that live for some time by a clock, in whole milliseconds; below one millisecond the
    /// state is refused when it is registered.
    pub const fn new(time_to_live: Duration, clock: Clock) -> Self {
        Self {
            time_to_live,
            clock,
            update: UpdateType::OnCreateAndWrite,
            visibility: Visibility::NeverReturnExpired,
            in_full_snapshots: true,
            incremental_entries: INCREMENTAL_ENTRIES,
            periodic_compaction: Some(PERIODIC_COMPACTION),
        }
    }

    /// What gives a value a new stamp; default [`UpdateType::OnCreateAndWrite`].
    #[must_use]
    pub const fn update(mut self, update: UpdateType) -> Self {
        self.update = update;
        self
    }

    /// Whether expired values are returned; default [`Visibility::NeverReturnExpired`].
    #[must_use]
    pub const fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Whether full snapshots leave out what has expired when they are frozen. Incremental ones
    /// write what is there, unless they write everything anew each time. Default true.
    #[must_use]
    pub const fn cleanup_in_full_snapshots(mut self, cleanup: bool) -> Self {
        self.in_full_snapshots = cleanup;
        self
    }

    /// Entries that backends in memory look at with each key that is opened, whichever it is: those
    /// of the states with a time to live take turns. 0 turns it off; default 5.
    #[must_use]
    pub const fn cleanup_incrementally(mut self, entries: u32) -> Self {
        self.incremental_entries = entries;
        self
    }

    /// The age at which RocksDB compacts a file if nothing else made it do so, which drops what has
    /// expired; `None` keeps compactions from dropping anything. In whole seconds; default 30 days.
    #[must_use]
    pub const fn cleanup_in_compactions(mut self, periodic: Option<Duration>) -> Self {
        self.periodic_compaction = periodic;
        self
    }

    /// The time to live in milliseconds.
    pub fn time_to_live_ms(&self) -> i64 {
        i64::try_from(self.time_to_live.as_millis()).unwrap_or(i64::MAX)
    }

    /// The clock of the state.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether full snapshots leave out what has expired.
    pub const fn cleans_full_snapshots(&self) -> bool {
        self.in_full_snapshots
    }

    /// Entries that are looked at with each key that is opened.
    pub const fn incremental_entries(&self) -> u32 {
        self.incremental_entries
    }

    /// The age at which a file is compacted, if compactions clean up.
    pub const fn periodic_compaction(&self) -> Option<Duration> {
        self.periodic_compaction
    }

    /// The rules at a time.
    pub fn at(&self, now_ms: i64) -> TtlMoment {
        TtlMoment::new(self.time_to_live_ms(), now_ms, self.update, self.visibility)
    }

    /// The rules at the time that the clock shows.
    pub fn now(&self) -> TtlMoment {
        self.at(self.clock.now_ms())
    }

    /// Refuses a time to live that no value survives.
    pub(crate) fn check(&self, state: &str) -> Result<(), StateError> {
        if self.time_to_live_ms() > 0 {
            return Ok(());
        }
        Err(StateError::InvalidTtl { state: state.to_owned(), time_to_live: self.time_to_live })
    }

    /// The codec of values with stamps; those that were stored without one are stamped with now.
    pub(crate) fn codec<C>(&self, value: C) -> TtlCodec<C> {
        TtlCodec { value, first_stamp_ms: self.clock.now_ms() }
    }
}
