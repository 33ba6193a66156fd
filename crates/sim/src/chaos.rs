//! What goes wrong, by the seed: how often, and where it did.
//!
//! Invariants: once chaos is over nothing goes wrong any more, and nothing is slow.

use std::collections::BTreeMap;
use std::fmt;

use alluvium_testkit::random::Random;

use crate::executor::ProcessId;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed; what the storage has done stays.
    Kill,
    /// The machine loses power: what was not synced may be lost, what was deleted may come back.
    PowerCut,
    /// Another process takes over while the first one still runs.
    TakeOver,
    /// A task fails.
    TaskFails,
    /// A task panics.
    TaskPanics,
    /// A task is not run for a while.
    TaskDelayed,
    /// A storage call fails and has no effect.
    StorageFails,
    /// A storage call has its effect, and fails.
    AnswerLost,
    /// A storage call fails, and has its effect later.
    EffectLate,
    /// A retry inside the storage meets its own file.
    MeetsItself,
    /// A storage call takes long.
    StorageSlow,
    /// A report of a task never arrives.
    ReportLost,
    /// A report of a task arrives late.
    ReportDelayed,
    /// A report of a task arrives twice.
    ReportTwice,
    /// Somebody sets the clock, by up to an hour back or forth.
    ClockSet,
    /// A checkpoint takes too long: what comes of the others.
    Expired,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::PowerCut,
        Self::TakeOver,
        Self::TaskFails,
        Self::TaskPanics,
        Self::TaskDelayed,
        Self::StorageFails,
        Self::AnswerLost,
        Self::EffectLate,
        Self::MeetsItself,
        Self::StorageSlow,
        Self::ReportLost,
        Self::ReportDelayed,
        Self::ReportTwice,
        Self::ClockSet,
        Self::Expired,
    ];
}

/// How far the protocol was when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Phase {
    /// The process claims an attempt and looks for a checkpoint.
    #[default]
    Starting,
    /// State is restored.
    Restoring,
    /// No checkpoint is under way.
    Running,
    /// Snapshots are being written and acknowledged.
    Collecting,
    /// The metadata is being written.
    Committing,
    /// A checkpoint has just completed: output is committed, older checkpoints go.
    Completed,
    /// An attempt has failed.
    Restarting,
}

/// Faults by kind and phase.
pub type FaultCounts = BTreeMap<(Fault, Phase), u64>;

/// What is in the names of calls on which much hangs.
const WEIGHTY: [&str; 4] = ["_metadata", "attempts/", "updates/part-", "superseded"];

/// How often something goes wrong: once in so many chances; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) task_delayed: u64,
    pub(crate) storage_fault: u64,
    pub(crate) storage_slow: u64,
    pub(crate) report: u64,
    /// Longest time of what is slow or delayed, in microseconds.
    pub(crate) longest_us: u64,
}

/// What becomes of a storage call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) before_us: u64,
    pub(crate) after_us: u64,
    pub(crate) fault: Option<Fault>,
}

/// Kills a process at a storage call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trap {
    pub(crate) process: ProcessId,
    /// What the call must be.
    pub(crate) site: &'static str,
    /// How many such calls pass before.
    pub(crate) passes: u64,
}

/// Decides what goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Chaos {
    pub(crate) is_on: bool,
    pub(crate) is_remote: bool,
    pub(crate) rates: Rates,
    pub(crate) trap: Option<Trap>,
    pub(crate) phases: BTreeMap<ProcessId, Phase>,
    pub(crate) counts: FaultCounts,
}

fn hits(random: &mut Random, once_in: u64) -> bool {
    once_in > 0 && random.one_in(once_in)
}

impl Chaos {
    pub(crate) fn count(&mut self, process: ProcessId, fault: Fault) {
        let phase = self.phases.get(&process).copied().unwrap_or_default();
        *self.counts.entry((fault, phase)).or_default() += 1;
    }

    /// How much later than now something becomes ready.
    pub(crate) fn delay_us(&mut self, random: &mut Random) -> Option<u64> {
        if !self.is_on || !hits(random, self.rates.task_delayed) {
            return None;
        }
        *self.counts.entry((Fault::TaskDelayed, Phase::Running)).or_default() += 1;
        Some(random.below(self.rates.longest_us) + 1)
    }

    pub(crate) fn fate(
        &mut self,
        random: &mut Random,
        process: ProcessId,
        is_change: bool,
        site: &str,
    ) -> Fate {
        let mut fate =
            Fate { before_us: random.below(800), after_us: random.below(400), fault: None };
        if !self.is_on {
            return fate;
        }
        if hits(random, self.rates.storage_slow) {
            self.count(process, Fault::StorageSlow);
            let slow_us = random.below(self.rates.longest_us);
            let part = if random.one_in(2) { &mut fate.before_us } else { &mut fate.after_us };
            *part += slow_us;
        }
        // Rare calls on which much hangs fail more often.
        let rate = self.rates.storage_fault;
        let is_weighty = is_change && WEIGHTY.iter().any(|part| site.contains(part));
        let rate = if is_weighty { rate.div_ceil(10) } else { rate };
        if hits(random, rate) {
            let local = [Fault::StorageFails, Fault::AnswerLost];
            let remote =
                [Fault::StorageFails, Fault::AnswerLost, Fault::EffectLate, Fault::MeetsItself];
            let faults: &[Fault] = match (is_change, self.is_remote) {
                (false, _) => &[Fault::StorageFails],
                (true, false) => &local,
                (true, true) => &remote,
            };
            let fault = *random.pick(faults);
            self.count(process, fault);
            fate.fault = Some(fault);
        }
        fate
    }

    /// What becomes of a report.
    pub(crate) fn report(&mut self, random: &mut Random, process: ProcessId) -> Option<Fault> {
        if !self.is_on || !hits(random, self.rates.report) {
            return None;
        }
        let faults =
            [Fault::ReportLost, Fault::ReportDelayed, Fault::ReportDelayed, Fault::ReportTwice];
        let fault = *random.pick(&faults);
        self.count(process, fault);
        Some(fault)
    }

    /// Whether a process has come to the call where it is to be killed.
    pub(crate) fn is_trapped(&mut self, process: ProcessId, site: &str) -> bool {
        match &mut self.trap {
            Some(trap) if trap.process == process && site.contains(trap.site) => {
                trap.passes = trap.passes.saturating_sub(1);
                trap.passes == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "process killed",
            Self::PowerCut => "power cut",
            Self::TakeOver => "job taken over",
            Self::TaskFails => "task fails",
            Self::TaskPanics => "task panics",
            Self::TaskDelayed => "task delayed",
            Self::StorageFails => "storage fails",
            Self::AnswerLost => "answer lost",
            Self::EffectLate => "effect after the failure",
            Self::MeetsItself => "retry meets its own file",
            Self::StorageSlow => "storage slow",
            Self::ReportLost => "report lost",
            Self::ReportDelayed => "report delayed",
            Self::ReportTwice => "report twice",
            Self::ClockSet => "clock set",
            Self::Expired => "checkpoint expires",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Restoring => "restoring",
            Self::Running => "running",
            Self::Collecting => "collecting",
            Self::Committing => "committing",
            Self::Completed => "completed",
            Self::Restarting => "restarting",
        })
    }
}
