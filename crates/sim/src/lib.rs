//! Deterministic simulation of whole jobs: one seed, one schedule, faults anywhere.
//!
//! The real runtime, coordinator, backends, checkpoint store and sinks run on a simulated machine:
//! a schedule that picks by the seed, a clock that stands still while anything is ready, a disk or an
//! object store in memory. Processes of the job are killed and started anew, at another parallelism,
//! until the job is done; then its state and its committed output are compared with what the input
//! must come to.
//!
//! Ladder of names: seed > world > round (a process) > attempt > task > step.
//!
//! - [`simulate`] plays a seed and gives its [`Outcome`], with a trace;
//! - [`Summary`] adds up outcomes.
//!
//! Invariants:
//! - the same seed gives the same trace, byte for byte;
//! - one thread runs at a time, whatever threads there are;
//! - no backend is named here.
//!
//! ```
//! use alluvium_heap::HeapStateBackend;
//! use alluvium_sim::{Threads, simulate};
//!
//! let outcome = simulate(7, HeapStateBackend::default(), &Threads::new());
//! assert_eq!(outcome.violations, [""; 0], "{}", outcome.trace);
//! ```

mod chaos;
mod executor;
mod host;
mod job;
mod plan;
mod reference;
mod report;
mod storage;
mod threads;
mod trace;
mod world;

pub use chaos::{Fault, FaultCounts, Phase};
pub use report::{Outcome, Summary};
pub use threads::Threads;

use alluvium_state::StateBackend;

/// Plays a seed on a backend. It must not be called on one of `threads`.
pub fn simulate<B: StateBackend>(seed: u64, backend: B, threads: &Threads) -> Outcome {
    world::play(seed, backend, threads)
}
