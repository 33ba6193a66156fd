//! What comes next, by the seed.

use super::state::{Due, Item, ProcessId, State};
use super::{Executor, Next};

/// Longest time that a step takes, in microseconds.
const STEP_US: u64 = 20;

impl Executor {
    pub(super) fn pick(&self) -> Next {
        loop {
            let mut state = self.state();
            if let Some(slot) = state.doomed.pop() {
                return Next::Resume(slot);
            }
            if state.is_finished() {
                if state.end_all() {
                    continue;
                }
                return Next::Over;
            }
            let wakers = state.let_time_pass();
            if !wakers.is_empty() {
                drop(state);
                wakers.into_iter().for_each(std::task::Waker::wake);
                continue;
            }
            if let Some(next) = state.pick_ready() {
                return next;
            }
        }
    }
}

impl State {
    /// Over when the main task has ended, or something has failed; nothing is on a thread then.
    fn is_finished(&self) -> bool {
        self.failure.is_some() || self.main.is_some_and(|main| !self.tasks.contains_key(&main))
    }

    /// Makes ready what is due, after a leap to the next time if nothing else is ready; gives the
    /// wakers to call.
    fn let_time_pass(&mut self) -> Vec<std::task::Waker> {
        if self.ready.is_empty() {
            match self.due.first_key_value() {
                Some(((at_us, _), _)) => self.now_us = self.now_us.max(*at_us),
                None => self.fail("nothing is left to be done, and the world has not ended"),
            }
        }
        let mut wakers = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > self.now_us {
                break;
            }
            match entry.remove() {
                Due::Item(item) => self.ready.push(item),
                Due::Wake(waker) => wakers.push(waker),
            }
        }
        wakers
    }

    fn pick_ready(&mut self) -> Option<Next> {
        if self.ready.is_empty() {
            return None;
        }
        let at = self.random.index(self.ready.len());
        let item = self.ready.swap_remove(at);
        self.now_us += 1 + self.random.below(STEP_US);
        self.steps += 1;
        self.trace.now_us = self.now_us;
        self.trace.mix(at as u64 ^ self.now_us << 8);
        if self.steps > self.limits.steps || self.now_us > self.limits.time_us {
            self.fail("no progress: the simulation takes too long");
            return None;
        }
        match item {
            Item::Task(id) => self.begin(id),
            Item::Work(id) => {
                let (process, work) = self.works.remove(&id)?;
                self.enter(process);
                Some(Next::Call(process, work))
            }
            Item::Stopped(id) => self.stopped.remove(&id).map(|(_, slot)| Next::Resume(slot)),
        }
    }
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::WORLD { f.write_str("world") } else { write!(f, "p{}", self.0) }
    }
}
