//! What seeds came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::chaos::{Fault, FaultCounts, Phase};

/// What one seed came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What must not happen and did, in sentences.
    pub violations: Vec<String>,
    /// What went wrong on purpose.
    pub faults: FaultCounts,
    /// Steps of the schedule.
    pub steps: u64,
    /// Simulated time, in milliseconds.
    pub simulated_ms: u64,
    /// Processes of the job.
    pub processes: u64,
    /// Attempts of all of them.
    pub attempts: u64,
    /// Checkpoints that completed.
    pub completed: u64,
    /// Checkpoints that did not.
    pub aborted: u64,
    /// Savepoints that somebody asked for and was told of.
    pub savepoints: u64,
    /// Savepoints that somebody asked for and did not get.
    pub refused_savepoints: u64,
    /// Processes that began from a savepoint.
    pub savepoint_restores: u64,
    /// A line for each step that matters; the same bytes for the same seed.
    pub trace: String,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    seeds: u64,
    faults: FaultCounts,
    steps: u64,
    simulated_ms: u64,
    processes: u64,
    attempts: u64,
    completed: u64,
    aborted: u64,
    savepoints: u64,
    refused_savepoints: u64,
    savepoint_restores: u64,
    /// What was wrong, by seed.
    pub failures: BTreeMap<u64, Vec<String>>,
}

impl Summary {
    /// Adds a seed.
    pub fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.simulated_ms += outcome.simulated_ms;
        self.processes += outcome.processes;
        self.attempts += outcome.attempts;
        self.completed += outcome.completed;
        self.aborted += outcome.aborted;
        self.savepoints += outcome.savepoints;
        self.refused_savepoints += outcome.refused_savepoints;
        self.savepoint_restores += outcome.savepoint_restores;
        for (key, count) in outcome.faults {
            *self.faults.entry(key).or_default() += count;
        }
        if !outcome.violations.is_empty() {
            self.failures.insert(outcome.seed, outcome.violations);
        }
    }

    /// Adds what another one has.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.simulated_ms += other.simulated_ms;
        self.processes += other.processes;
        self.attempts += other.attempts;
        self.completed += other.completed;
        self.aborted += other.aborted;
        self.savepoints += other.savepoints;
        self.refused_savepoints += other.refused_savepoints;
        self.savepoint_restores += other.savepoint_restores;
        for (key, count) in other.faults {
            *self.faults.entry(key).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    /// How often a fault hit, in whatever phase.
    pub fn count_of(&self, fault: Fault) -> u64 {
        self.faults.iter().filter(|((it, _), _)| *it == fault).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, steps, processes, attempts, completed, aborted, .. } = self;
        let seconds = self.simulated_ms / 1_000;
        writeln!(
            f,
            "{seeds} seeds, {processes} processes, {attempts} attempts, {completed} checkpoints \
             completed, {aborted} aborted, {steps} steps, {seconds} s simulated"
        )?;
        let Self { savepoints, refused_savepoints, savepoint_restores, .. } = self;
        writeln!(
            f,
            "{savepoints} savepoints, {refused_savepoints} more asked for, {savepoint_restores} \
             processes began from one"
        )?;
        let faults: BTreeSet<Fault> = self.faults.keys().map(|(fault, _)| *fault).collect();
        let phases: BTreeSet<Phase> = self.faults.keys().map(|(_, phase)| *phase).collect();
        write!(f, "{:26}", "fault")?;
        for phase in &phases {
            write!(f, "{:>11}", phase.to_string())?;
        }
        writeln!(f)?;
        for fault in faults {
            write!(f, "{:26}", fault.to_string())?;
            for phase in &phases {
                let count = self.faults.get(&(fault, *phase)).copied().unwrap_or_default();
                write!(f, "{count:>11}")?;
            }
            writeln!(f)?;
        }
        for (seed, violations) in &self.failures {
            for violation in violations {
                writeln!(f, "seed {seed}: {violation}")?;
            }
        }
        write!(f, "{} seeds failed", self.failures.len())
    }
}
