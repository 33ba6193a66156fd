//! Scripts of events with the actions they must give.

mod completing;
mod concurrent;
mod failing;
mod files;
mod savepoints;
mod scheduling;
mod starting;
