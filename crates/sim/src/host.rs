//! The simulated machine as a job sees it: a host, a clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_runtime::{AbortHandle, Clock, Host, HostTask, HostWork};

use crate::chaos::{Fault, Phase};
use crate::executor::{Executor, ProcessId, Sleep};

/// What the clock shows in the beginning, in milliseconds.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// How far the clock is set back or forth at most.
const HOUR_MS: u64 = 3_600_000;

/// A process: what runs on it goes when it is killed.
#[derive(Clone)]
pub(crate) struct SimHost {
    pub(crate) executor: Arc<Executor>,
    pub(crate) process: ProcessId,
}

impl fmt::Debug for SimHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimHost({})", self.process)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl SimHost {
    /// A process that is not there yet.
    pub(crate) fn new_process(executor: &Arc<Executor>) -> Self {
        let process = executor.state().new_process();
        Self { executor: Arc::clone(executor), process }
    }

    /// What no process owns.
    pub(crate) fn world(executor: &Arc<Executor>) -> Self {
        Self { executor: Arc::clone(executor), process: ProcessId::WORLD }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.executor.state().is_dead(self.process)
    }

    /// Sets the clock of the machine; whose time passes as before.
    pub(crate) fn set_clock(&self) {
        let mut state = self.executor.state();
        let off_ms = state.random.below(2 * HOUR_MS);
        state.clock_off_ms =
            i64::try_from(off_ms).unwrap_or(0) - i64::try_from(HOUR_MS).unwrap_or(0);
    }

    /// Whether anything may go wrong on purpose.
    pub(crate) fn has_chaos(&self) -> bool {
        let state = self.executor.state();
        state.chaos.is_on && !state.is_dead(self.process)
    }

    /// Writes a line into the trace, unless the process is gone.
    pub(crate) fn trace(&self, text: &str) {
        let mut state = self.executor.state();
        if !state.is_dead(self.process) {
            state.trace.line(self.process, text);
        }
    }

    pub(crate) fn enter_phase(&self, phase: Phase) {
        self.executor.state().chaos.phases.insert(self.process, phase);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.executor.state().chaos.phases.get(&self.process).copied().unwrap_or_default()
    }

    pub(crate) fn count(&self, fault: Fault) {
        self.executor.state().chaos.count(self.process, fault);
    }

    pub(crate) fn sleep_us(&self, for_us: u64) -> Sleep {
        Sleep::new(Arc::clone(&self.executor), for_us)
    }

    fn note_phase(&self, work: &str) {
        let next = match (work, self.phase()) {
            ("restore", _) => Phase::Restoring,
            ("commit", _) => Phase::Committing,
            (snapshot, Phase::Running | Phase::Restoring | Phase::Completed)
                if snapshot.starts_with("snapshot") =>
            {
                Phase::Collecting
            }
            _ => return,
        };
        self.enter_phase(next);
    }
}

impl Host for SimHost {
    fn spawn(&self, name: &str, task: HostTask) -> AbortHandle {
        if name.starts_with("subtask") && self.phase() == Phase::Restoring {
            self.enter_phase(Phase::Running);
        }
        let id = self.executor.spawn(self.process, name, task);
        self.executor.abort_handle(id)
    }

    fn spawn_blocking(&self, name: &str, work: HostWork) {
        self.note_phase(name);
        self.executor.spawn_blocking(self.process, name, work);
    }

    fn sleep(&self, duration: Duration) -> HostTask {
        Box::pin(self.sleep_us(micros(duration)))
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.executor.state().now_us)
    }

    fn relay(&self, deliver: Box<dyn Fn() + Send>) {
        let (fault, delay_us) = {
            let mut state = self.executor.state();
            let state = &mut *state;
            let fault = state.chaos.report(&mut state.random, self.process);
            let longest_us = state.chaos.rates.longest_us.max(1);
            if let Some(fault) = fault {
                state.trace.line(self.process, &fault.to_string());
            }
            (fault, state.random.below(longest_us))
        };
        match fault {
            Some(Fault::ReportLost) => return,
            Some(Fault::ReportDelayed) => {}
            Some(Fault::ReportTwice) => deliver(),
            _ => return deliver(),
        }
        let sleep = self.sleep_us(delay_us);
        let late = async move {
            sleep.await;
            deliver();
        };
        drop(self.spawn("late report", Box::pin(late)));
    }
}

impl Clock for SimHost {
    fn now_ms(&self) -> u64 {
        let state = self.executor.state();
        let now_ms = BEGINNING_MS + state.now_us / 1_000;
        now_ms.saturating_add_signed(state.clock_off_ms)
    }
}
