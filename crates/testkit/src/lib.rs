//! What a state backend of Alluvium is tested with, ours or yours.
//!
//! - [`conformance`]: what every backend must do, one public function per case;
//!   [`conformance_tests!`] makes a named test of each;
//! - [`model`]: random programs, compared in full with a `BTreeMap`;
//! - [`faulty`]: a storage whose n-th operation fails, or that crashes there;
//! - [`clock`]: a clock that stands still until it is moved;
//! - [`job`]: opens, freezes and restores the subtasks of an operator, for tests of your own;
//! - [`random`]: the seeded numbers that all of it draws;
//! - [`backend`]: a whole backend that is as simple as it can be, to be read as an example;
//! - [`mistake`]: what a backend can get wrong, and the case that catches it.
//!
//! Ladder of names: suite > case, program > step; [`TestJob`](job::TestJob) (one operator and its
//! storage) > subtask > key.
//!
//! Invariants:
//! - everything goes by the public traits of `alluvium-state`; no backend is named here;
//! - a run depends on its seed alone, and a failing program prints it;
//! - a failure is a panic, as in any test.
//!
//! ```
//! use alluvium_heap::{HeapStateBackend, StateMapKind};
//! use alluvium_testkit::{conformance, model};
//!
//! let backend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
//! conformance::run_all(&backend);
//! model::run_program(&backend, 42, 200);
//! ```
//!
//! In a test file of the backend, [`conformance_tests!`] makes a named test of every case.
//! `docs/plug-in-a-backend.md` says how another project's backend plugs in.

#![expect(clippy::unwrap_used, reason = "this is test code: a call that fails fails the test")]

pub mod backend;
pub mod clock;
pub mod conformance;
pub mod faulty;
pub mod job;
pub mod mistake;
pub mod model;
pub mod random;

/// The blocks of the page are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plug-in-a-backend.md")]
struct PlugInABackend;
