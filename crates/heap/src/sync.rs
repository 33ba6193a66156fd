//! Where threads that share state may take turns.
//!
//! The task shares segments, spare tables and what a snapshot leaves behind with snapshot jobs and
//! with the background load. [`point`] stands between two looks at what is shared: a test can run
//! the threads under a scheduler that chooses, at every such point, who goes on. [`OnceLock`] is
//! the standard one, in tests with points in it.
//!
//! Invariants: without `cfg(test)` nothing of this is left in the program; in tests it does
//! something only inside an execution of the scheduler; nobody stands at a point with a lock held.

#[cfg(not(test))]
pub(crate) use std::sync::OnceLock;

#[cfg(test)]
pub(crate) use self::scheduled::{OnceLock, point};

/// Others may go on here.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn point() {}

#[cfg(test)]
mod scheduled;
#[cfg(test)]
mod tests;
