//! Scripts of events with the actions they must give.

mod completing;
mod failing;
mod files;
mod scheduling;
mod starting;
