//! All queries on all backends, with checkpoints and without, in turns.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};

use super::events::Feed;
use super::job::{self, Ran};
use super::options::KEY_GROUPS;
use super::queries;
use super::report::{
    Alone, Checkpoints, Measured, Middle, OfBackend, OfQuery, Report, Round, Settings,
};
use super::{Plan, Query};
use crate::error::BenchError;
use crate::load::timed;
use crate::machine;
use crate::options::BackendKind;

/// What a run is doing, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Generating the events of a query.
    Generate(Query),
    /// Computing its results in one thread.
    Plain(Query),
    /// Running it as a job.
    Job {
        /// The query.
        query: Query,
        /// Where its state lives.
        backend: BackendKind,
        /// Whether it takes checkpoints.
        has_checkpoints: bool,
        /// Number of the round, from 1 on.
        round: u32,
    },
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generate(query) => write!(f, "{query}: generating events"),
            Self::Plain(query) => write!(f, "{query}: computing the results in one thread"),
            Self::Job { query, backend, has_checkpoints, round } => {
                let with = if *has_checkpoints { "with" } else { "without" };
                write!(f, "{query} on {backend} {with} checkpoints, round {round}")
            }
        }
    }
}

/// Carries out a plan; `say` hears what is being done.
///
/// Errors: [`BenchError`]. There is no report of a run in which anything went wrong.
pub fn run(plan: &Plan, say: &mut dyn FnMut(Phase)) -> Result<Report, BenchError> {
    let mut machine = machine::machine();
    let mut storage = String::new();
    let mut of_queries = Vec::new();
    for query in &plan.options().queries {
        of_queries.push(run_query(plan, *query, &mut storage, say)?);
    }
    machine.load_after = machine::load();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine,
        settings: settings(plan, storage),
        queries: of_queries,
    })
}

/// The runs of a query on a backend, by round.
struct Runs {
    backend: BackendKind,
    without: Vec<Round>,
    with: Vec<Round>,
}

fn run_query(
    plan: &Plan,
    query: Query,
    storage: &mut String,
    say: &mut dyn FnMut(Phase),
) -> Result<OfQuery, BenchError> {
    let options = plan.options();
    say(Phase::Generate(query));
    let (generating, feed) = timed(|| Feed::generate(query, options.events));
    say(Phase::Plain(query));
    let (computing, expected) = timed(|| queries::plain(query, &feed));

    let runs = options.backends.iter();
    let mut runs: Vec<Runs> = runs
        .map(|backend| Runs { backend: *backend, without: Vec::new(), with: Vec::new() })
        .collect();
    for round in 1..=options.rounds {
        // The order turns around from round to round.
        let mut turns = turns(runs.len(), options.has_checkpoints);
        if round % 2 == 0 {
            turns.reverse();
        }
        for (at, has_checkpoints) in turns {
            let Some(runs) = runs.get_mut(at) else { continue };
            let backend = runs.backend;
            say(Phase::Job { query, backend, has_checkpoints, round });
            let ran = run_on(backend, plan, query, &feed, has_checkpoints)?;
            ran.results.check(queries::results_of(query), &expected)?;
            storage.clone_from(&ran.storage);
            let of_kind = if has_checkpoints { &mut runs.with } else { &mut runs.without };
            of_kind.push(round_of(ran));
        }
    }

    let events = feed.len();
    let of_backends = runs.into_iter().filter_map(|runs| of_backend(runs, events)).collect();
    Ok(OfQuery {
        query: query.as_str().to_owned(),
        title: query.title().to_owned(),
        reads: query.reads().to_owned(),
        events,
        results: expected.count,
        digest: format!("{:016x}", expected.digest),
        generator: alone(generating, feed.generated()),
        plain: alone(computing, events),
        backends: of_backends,
    })
}

/// Number of the backend and whether there are checkpoints, for each run of a round.
fn turns(backends: usize, has_checkpoints: bool) -> Vec<(usize, bool)> {
    let kinds: &[bool] = if has_checkpoints { &[false, true] } else { &[false] };
    (0..backends).flat_map(|at| kinds.iter().map(move |kind| (at, *kind))).collect()
}

fn run_on(
    backend: BackendKind,
    plan: &Plan,
    query: Query,
    feed: &Feed,
    has_checkpoints: bool,
) -> Result<Ran, BenchError> {
    let nested = StateMapKind::Nested;
    match backend {
        BackendKind::Heap => {
            job::run(HeapStateBackend::default(), plan, query, feed, has_checkpoints)
        }
        BackendKind::HeapNested => {
            job::run(HeapStateBackend::new(nested), plan, query, feed, has_checkpoints)
        }
        BackendKind::Fs => job::run(FsStateBackend::default(), plan, query, feed, has_checkpoints),
        BackendKind::FsNested => {
            job::run(FsStateBackend::new(nested), plan, query, feed, has_checkpoints)
        }
        #[cfg(feature = "rocksdb")]
        BackendKind::Rocksdb => {
            let options = crate::options::Options {
                local_dir: plan.options().local_dir.clone(),
                rocksdb_memory_len_bytes: plan.options().rocksdb_memory_len_bytes,
                ..crate::options::Options::default()
            };
            // The folder goes after all databases in it.
            let (backend, _folder) = crate::rocksdb::backend(&options)?;
            job::run(backend, plan, query, feed, has_checkpoints)
        }
    }
}

fn round_of(ran: Ran) -> Round {
    let Ran { lap, before_bytes, checkpoints, written, .. } = ran;
    Round {
        seconds: lap.elapsed.as_secs_f64(),
        cpu_s: lap.cpu.map(|cpu| cpu.as_secs_f64()),
        resident_before_bytes: before_bytes,
        peak_resident_bytes: lap.peak_bytes,
        records_written: written,
        checkpoints,
    }
}

fn of_backend(runs: Runs, events: u64) -> Option<OfBackend> {
    let Runs { backend, without, with } = runs;
    // Times of one round over one another.
    let ratio = Middle::of(
        without.iter().zip(&with).map(|(without, with)| per(without.seconds, with.seconds)),
    );
    Some(OfBackend {
        backend: backend.as_str().to_owned(),
        without: measured(without, events)?,
        with: measured(with, events),
        ratio,
    })
}

fn measured(rounds: Vec<Round>, events: u64) -> Option<Measured> {
    let events = events as f64;
    let cores = rounds.iter().filter_map(|round| round.cpu_s).filter(|cpu_s| *cpu_s > 0.0);
    Some(Measured {
        events_per_s: Middle::of(rounds.iter().map(|round| per(events, round.seconds)))?,
        events_per_s_and_core: Middle::of(cores.map(|cpu_s| per(events, cpu_s))),
        peak_resident_bytes: rounds.iter().filter_map(|round| round.peak_resident_bytes).max(),
        checkpoints: Checkpoints::of(rounds.iter().flat_map(|round| &round.checkpoints)),
        rounds,
    })
}

fn alone(took: Duration, events: u64) -> Alone {
    let seconds = took.as_secs_f64();
    Alone { seconds, events_per_s: per(events as f64, seconds) }
}

/// A time may be shorter than the clock can tell.
fn per(amount: f64, seconds: f64) -> f64 {
    amount / seconds.max(1e-9)
}

fn settings(plan: &Plan, storage: String) -> Settings {
    let options = plan.options();
    Settings {
        queries: options.queries.iter().map(ToString::to_string).collect(),
        backends: options.backends.iter().map(ToString::to_string).collect(),
        events: options.events,
        parallelism: options.parallelism,
        interval_ms: options.has_checkpoints.then(|| plan.interval_ms()),
        rounds: options.rounds,
        storage,
        key_groups: KEY_GROUPS,
    }
}
