//! When the next checkpoint is due.
//!
//! Invariants: one request waits at most, and a trigger of any kind serves it.

use crate::CoordinatorConfig;

#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    /// Start of the run or the last trigger, whichever is later; `None` before the start.
    anchor_ms: Option<u64>,
    last_end_ms: Option<u64>,
    request: Option<Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Ordinary,
    Final,
}

impl Schedule {
    pub(crate) fn started(&mut self, now_ms: u64) {
        self.anchor_ms = Some(now_ms);
    }

    /// Keeps the request; two of them become one, which is final if either is.
    pub(crate) fn requested(&mut self, is_final: bool) {
        if is_final {
            self.request = Some(Request::Final);
        } else {
            self.request.get_or_insert(Request::Ordinary);
        }
    }

    /// Notes a trigger and tells whether it is to be a final one.
    pub(crate) fn triggered(&mut self, now_ms: u64) -> bool {
        self.anchor_ms = Some(now_ms);
        self.request.take() == Some(Request::Final)
    }

    /// Notes that the pending checkpoint completed or was aborted.
    pub(crate) fn ended(&mut self, now_ms: u64) {
        self.last_end_ms = Some(now_ms);
    }

    /// When to trigger, provided that nothing is pending: a time in the past means at once.
    pub(crate) fn due_ms(&self, config: &CoordinatorConfig) -> Option<u64> {
        let anchor_ms = self.anchor_ms?;
        let pause_over_ms =
            self.last_end_ms.map_or(0, |end| end.saturating_add(config.min_pause_ms));
        match self.request {
            Some(Request::Final) => Some(0),
            Some(Request::Ordinary) => Some(pause_over_ms),
            None => {
                let interval_ms = config.interval_ms?;
                Some(anchor_ms.saturating_add(interval_ms).max(pause_over_ms))
            }
        }
    }
}
