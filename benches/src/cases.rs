//! Operations on state by the names and sizes of flink-benchmarks, on any backend.
//!
//! Roles: a [`Case`] names an operation, [`Inputs`] are the keys and values in the order in which they
//! are used, a [`Subject`] is a backend with the state that cases of one kind run on, and a
//! [`Rescaling`] has checkpoints of it to open. The criterion benches and the comparison with Flink run
//! the same ones; `benches/flink` has them once more, in Java, and `benches/compare` for other stores.
//!
//! Invariants: a case finds the state as the same case found it before: what it adds is removed, and
//! what it removes is put back, outside the measured time. Sizes and seeds are constants.
//!
//! Source: flink-benchmarks, `StateBenchmarkConstants`, `ValueStateBenchmark`, `ListStateBenchmark`,
//! `MapStateBenchmark`, `RescalingBenchmarkBase`.

mod inputs;
mod rescaling;
mod subject;
#[cfg(test)]
mod tests;

pub use inputs::{Access, Content, Inputs, mixed};
pub use rescaling::{Rescaling, Step};
pub use subject::{Done, Expiry, Subject};

/// Keys that have state before a case runs.
pub const KEYS: u64 = 500_000;
/// Entries of a map.
pub const MAP_ENTRIES: u64 = 10;
/// Elements of a list.
pub const LIST_ELEMENTS: u64 = 100;
/// Key groups of an operator.
pub const KEY_GROUPS: u32 = 128;
/// Keys of what is restored and rescaled in memory.
pub const RESCALED_KEYS: u64 = 1_250_000;
/// The same on disk: a fifth of what flink-benchmarks has.
pub const RESCALED_KEYS_ON_DISK: u64 = 2_000_000;
/// Length of the values of what is rescaled, in bytes; with the key as many as in flink-benchmarks.
pub const RESCALED_VALUE_LEN_BYTES: usize = 216;

/// What the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value for each key.
    Value,
    /// A list for each key.
    List,
    /// A map for each key.
    Map,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Value, Self::List, Self::Map];

    /// Name in figures and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::List => "list",
            Self::Map => "map",
        }
    }

    /// The kind with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The cases that run on it, in an order in which none spoils what a later one reads.
    pub fn cases(self) -> impl Iterator<Item = Case> {
        Case::ALL.into_iter().filter(move |case| case.kind() == self)
    }
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Reads the value of a key.
    ValueGet,
    /// Replaces the value of a key.
    ValueUpdate,
    /// Sets the value of a key that has none.
    ValueAdd,
    /// Asks for the list of a key.
    ListGet,
    /// Asks for the list of a key and goes through its elements.
    ListGetAndIterate,
    /// Appends an element to the list of a key.
    ListAppend,
    /// Sets a list of one element for a key that has none.
    ListAdd,
    /// Replaces the list of a key by one of one element; the last case, as lists are short after it.
    ListUpdate,
    /// Reads an entry of the map of a key.
    MapGet,
    /// Asks whether a key's map has a user key; one half of them has it.
    MapContains,
    /// Replaces an entry of the map of a key.
    MapUpdate,
    /// Goes through the entries of the map of a key.
    MapIterate,
    /// Puts an entry for a key that has no map.
    MapAdd,
    /// Puts all entries of the map of a key again.
    MapPutAll,
    /// Removes an entry of the map of a key.
    MapRemove,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ValueGet,
        Self::ValueUpdate,
        Self::ValueAdd,
        Self::ListGet,
        Self::ListGetAndIterate,
        Self::ListAppend,
        Self::ListAdd,
        Self::ListUpdate,
        Self::MapGet,
        Self::MapContains,
        Self::MapUpdate,
        Self::MapIterate,
        Self::MapAdd,
        Self::MapPutAll,
        Self::MapRemove,
    ];

    /// Name in figures and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ValueGet => "value_get",
            Self::ValueUpdate => "value_update",
            Self::ValueAdd => "value_add",
            Self::ListGet => "list_get",
            Self::ListGetAndIterate => "list_get_and_iterate",
            Self::ListAppend => "list_append",
            Self::ListAdd => "list_add",
            Self::ListUpdate => "list_update",
            Self::MapGet => "map_get",
            Self::MapContains => "map_contains",
            Self::MapUpdate => "map_update",
            Self::MapIterate => "map_iterate",
            Self::MapAdd => "map_add",
            Self::MapPutAll => "map_put_all",
            Self::MapRemove => "map_remove",
        }
    }

    /// The case with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name() == name)
    }

    /// What it runs on.
    pub const fn kind(self) -> Kind {
        match self {
            Self::ValueGet | Self::ValueUpdate | Self::ValueAdd => Kind::Value,
            Self::ListGet
            | Self::ListGetAndIterate
            | Self::ListAppend
            | Self::ListAdd
            | Self::ListUpdate => Kind::List,
            Self::MapGet
            | Self::MapContains
            | Self::MapUpdate
            | Self::MapIterate
            | Self::MapAdd
            | Self::MapPutAll
            | Self::MapRemove => Kind::Map,
        }
    }
}
