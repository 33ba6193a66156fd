//! Descriptors of states whose types are known at run time only.

use std::fmt;
use std::sync::Arc;

use alluvium_format::codec::{CodecSnapshot, Encoded};

use crate::AggregateFunction;

/// Reduces an encoded value (the second) into another (the first).
///
/// It must give one whole value of the state's codec; where it does not, RocksDB refuses the write,
/// and backends in memory fail the next snapshot.
pub type DynReduce = Arc<dyn Fn(&mut Vec<u8>, &[u8]) + Send + Sync>;

/// An aggregate function over bytes; see [`AggregateFunction`]. Accumulators must be whole values of
/// the state's codec, as of a [`DynReduce`]; inputs and results are whatever the function takes and
/// gives.
pub trait DynAggregate: Send + Sync {
    /// The accumulator before the first input.
    fn create(&self) -> Vec<u8>;
    /// Adds an input.
    fn add(&self, accumulator: &mut Vec<u8>, input: &[u8]);
    /// The result so far.
    fn result(&self, accumulator: &[u8]) -> Vec<u8>;
    /// Adds another accumulator, when namespaces are merged.
    fn merge(&self, accumulator: &mut Vec<u8>, other: &[u8]);
}

/// What a state holds for each key and namespace, and the codecs of it.
#[derive(Clone)]
#[non_exhaustive]
pub enum DynKind {
    /// One value.
    Value {
        /// Codec of the value.
        value: CodecSnapshot,
    },
    /// A list.
    List {
        /// Codec of an element.
        element: CodecSnapshot,
    },
    /// A list that a backend with rows keeps as one row for each element.
    LongList {
        /// Codec of an element.
        element: CodecSnapshot,
    },
    /// A map.
    Map {
        /// Codec of a user key.
        user_key: CodecSnapshot,
        /// Codec of the value of a user key.
        user_value: CodecSnapshot,
    },
    /// A map whose entries are in the order of their user keys.
    SortedMap {
        /// Codec of a user key, an ordered one (SPEC 5.5).
        user_key: CodecSnapshot,
        /// Codec of the value of a user key.
        user_value: CodecSnapshot,
    },
    /// One value that every added value is reduced into.
    Reducing {
        /// Codec of the value.
        value: CodecSnapshot,
        /// The function.
        reduce: DynReduce,
    },
    /// An accumulator.
    Aggregating {
        /// Codec of the accumulator.
        accumulator: CodecSnapshot,
        /// The function.
        aggregate: Arc<dyn DynAggregate>,
    },
    /// Timers.
    Timers,
}

impl fmt::Debug for DynKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { value } => write!(f, "value of {value}"),
            Self::List { element } => write!(f, "list of {element}"),
            Self::LongList { element } => write!(f, "long list of {element}"),
            Self::Map { user_key, user_value } => write!(f, "map of {user_key} to {user_value}"),
            Self::SortedMap { user_key, user_value } => {
                write!(f, "sorted map of {user_key} to {user_value}")
            }
            Self::Reducing { value, .. } => write!(f, "reducing of {value}"),
            Self::Aggregating { accumulator, .. } => write!(f, "aggregating of {accumulator}"),
            Self::Timers => f.write_str("timers"),
        }
    }
}

/// Describes a state.
#[derive(Debug, Clone)]
pub struct DynStateDescriptor {
    /// Name under which the state is stored.
    pub name: String,
    /// Codec of the namespaces; that of `()` for a state without.
    pub namespace: CodecSnapshot,
    /// Its kind, with the codecs of its parts.
    pub kind: DynKind,
}

/// A [`DynAggregate`] as an aggregate function of encoded accumulators.
pub(super) struct OverBytes(pub(super) Arc<dyn DynAggregate>);

impl AggregateFunction for OverBytes {
    type Input = Vec<u8>;
    type Accumulator = Encoded;
    type Output = Vec<u8>;

    fn create(&self) -> Encoded {
        Encoded(self.0.create())
    }

    fn add(&self, accumulator: &mut Encoded, input: Vec<u8>) {
        self.0.add(&mut accumulator.0, &input);
    }

    fn result(&self, accumulator: &Encoded) -> Vec<u8> {
        self.0.result(&accumulator.0)
    }

    fn merge(&self, accumulator: &mut Encoded, other: &Encoded) {
        self.0.merge(&mut accumulator.0, &other.0);
    }
}
