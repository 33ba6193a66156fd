//! A freeze holds exactly what was written before it.

mod deterministic;
mod under_load;
