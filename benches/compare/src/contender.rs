//! What takes turns: a store, or a backend of this project, with state of one kind.

mod kinds;
mod ours;

use std::hint::black_box;
use std::time::Duration;

use alluvium_benches::cases::{Case, Done, Inputs, Kind};
use alluvium_benches::measure::timed;

pub(crate) use ours::{Ours, backend_in};

use self::kinds::{OfLists, OfMaps, OfValues};
use crate::rows;
use crate::store::{Durable, Fixable, Lists, Maps, Values};

/// Something that is filled and does what all others do.
pub(crate) trait Contender {
    /// Runs a case so many times, and then undoes what it added and removed.
    fn run(&mut self, case: Case, operations: u64) -> Done;
    /// A number that depends on all state, as [`Subject::digest`] makes it.
    ///
    /// [`Subject::digest`]: alluvium_benches::cases::Subject::digest
    fn digest(&mut self) -> u64;
}

/// State as it was, while it is held. Called, it gives its digest.
pub(crate) type Held = Box<dyn FnOnce() -> u64>;

/// A contender whose state can be fixed as it is while writes go on.
pub(crate) trait Freezes: Contender {
    /// How long that took, and the fixed state.
    fn freeze(&mut self) -> (Duration, Held);
}

/// A contender that can make its state durable.
pub(crate) trait Secures: Contender {
    /// How long that took.
    fn secure(&mut self) -> Duration;
    /// The digest of what became durable, read from disk.
    fn secured_digest(&mut self) -> u64;
}

/// A store with keys.
pub(crate) struct Stored<K> {
    state: K,
    inputs: Inputs,
    /// Number of the next access.
    next: u64,
}

/// A store with state of one kind.
pub(crate) fn stored<S: Values + Maps + Lists + 'static>(
    store: S,
    kind: Kind,
    keys: u64,
) -> Box<dyn Contender> {
    match kind {
        Kind::Value => Box::new(with_values(store, keys)),
        Kind::Map => Box::new(Stored::new(OfMaps(store), keys)),
        Kind::List => Box::new(Stored::new(OfLists(store), keys)),
    }
}

/// A store with values.
pub(crate) fn with_values<S: Values>(store: S, keys: u64) -> Stored<OfValues<S>> {
    Stored::new(OfValues(store), keys)
}

impl<K: kinds::Cases> Stored<K> {
    fn new(mut state: K, keys: u64) -> Self {
        let inputs = Inputs::new(keys);
        state.fill(&inputs);
        Self { state, inputs, next: 0 }
    }
}

impl<K: kinds::Cases> Contender for Stored<K> {
    fn run(&mut self, case: Case, operations: u64) -> Done {
        let accesses = self.inputs.accesses(self.next, operations);
        self.next += operations;
        let (took, checksum) = timed(|| black_box(self.state.run(case, &accesses)));
        self.state.put_back(case, &accesses);
        Done { took, checksum }
    }

    fn digest(&mut self) -> u64 {
        digest(self.inputs.keys, |key| self.state.sum_of(key))
    }
}

impl<S: Fixable> Freezes for Stored<OfValues<S>> {
    fn freeze(&mut self) -> (Duration, Held) {
        let (took, fixed) = timed(|| self.state.0.fix());
        let keys = self.inputs.keys;
        let held = move || digest(keys, |key| S::get_fixed(&fixed, std::iter::once(key)));
        (took, Box::new(held))
    }
}

impl<S: Durable> Secures for Stored<OfValues<S>> {
    fn secure(&mut self) -> Duration {
        let (took, ()) = timed(|| self.state.0.secure());
        self.state.0.forget();
        took
    }

    fn secured_digest(&mut self) -> u64 {
        let reopened = self.state.0.reopened();
        digest(self.inputs.keys, |key| reopened.get(std::iter::once(key)))
    }
}

/// A number that depends on the sums of all keys, those that cases add included.
fn digest(keys: u64, sum_of: impl Fn(u64) -> u64) -> u64 {
    rows::sum((0..2 * keys).map(|key| sum_of(key).wrapping_mul(key | 1)))
}
