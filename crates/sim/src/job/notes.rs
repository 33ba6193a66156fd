//! Notes that every subtask is told, and the operator that keeps them.
//!
//! Invariants: exactly-once, each subtask of the operator has each note once, whatever its parallelism was
//! before; at-least-once, at least once.

use alluvium_core::KeyGroup;
use alluvium_runtime::{
    BroadcastOperator, KeyedOperator, OperatorContext, Source, SourceStatus, TaskError,
};
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, KeyedStateBackend, ListStateDescriptor,
    OperatorListState, OperatorStateBackend, TimeDomain, Timer, Timers,
};

use super::operator::{Clicks, UserState};
use super::{Click, ClickJob, SubtaskEnd};

/// Event time of the notes, which hold no window up.
const BEHIND_ALL_CLICKS_MS: i64 = 1 << 40;

/// Subtask 0 reads the notes, one at a time; the others have ended.
pub(super) struct Notes {
    is_first: bool,
    next: u64,
    end: u64,
    state: Option<OperatorListState<u64>>,
}

impl Notes {
    pub(super) fn new(job: &ClickJob, context: &OperatorContext) -> Self {
        let is_first = context.subtask.get() == 0;
        Self { is_first, next: 0, end: job.input.notes, state: None }
    }
}

impl Source for Notes {
    type Record = u64;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let next = state.union_list_state(ListStateDescriptor::<u64>::new("next"))?;
        self.next = state.items(next)?.iter().copied().max().unwrap_or(0);
        self.state = Some(next);
        Ok(())
    }

    fn poll(&mut self, notes: &mut Vec<u64>, _: usize) -> Result<SourceStatus, TaskError> {
        if !self.is_first || self.next >= self.end {
            return Ok(SourceStatus::Ended);
        }
        notes.push(self.next);
        self.next += 1;
        Ok(SourceStatus::More)
    }

    fn watermark_ms(&self) -> Option<i64> {
        Some(BEHIND_ALL_CLICKS_MS)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let own = if self.is_first { vec![self.next] } else { Vec::new() };
        Ok(state.update(self.state.ok_or("not open")?, own)?)
    }
}

/// The operator, and the notes that it was told.
pub(super) struct Noted {
    clicks: Clicks,
    notes: Option<BroadcastState<u64, u64>>,
    /// What the state of the notes holds.
    told: Vec<(u64, u64)>,
}

impl Noted {
    pub(super) const fn new(clicks: Clicks) -> Self {
        Self { clicks, notes: None, told: Vec::new() }
    }
}

impl<B: KeyedStateBackend<Key = u64>> BroadcastOperator<B> for Noted {
    type Input = Click;
    type Broadcast = u64;
    type Output = String;
    type Result = SubtaskEnd;
    type TimerNamespace = i64;

    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.clicks.open(keyed, state)?;
        let notes = state.broadcast_state(BroadcastStateDescriptor::<u64, u64>::new("notes"))?;
        self.told = state.broadcast_entries(notes)?.to_vec();
        self.notes = Some(notes);
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        click: Click,
        keyed: &mut B,
        _: &OperatorStateBackend,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.clicks.process(key_group, click, keyed, output)
    }

    fn process_broadcast(
        &mut self,
        note: u64,
        broadcast: &mut OperatorStateBackend,
        _: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let notes = self.notes.ok_or("not open")?;
        let times = broadcast.broadcast_get(notes, &note)?.copied().unwrap_or(0);
        broadcast.broadcast_put(notes, note, times + 1)?;
        self.told = broadcast.broadcast_entries(notes)?.to_vec();
        Ok(())
    }

    fn timers(&self) -> Option<Timers<i64>> {
        KeyedOperator::<B>::timers(&self.clicks)
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<u64, i64>,
        keyed: &mut B,
        _: &OperatorStateBackend,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.clicks.on_timer(domain, timer, keyed, output)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        KeyedOperator::<B>::snapshot(&mut self.clicks, state)
    }

    fn result(&mut self, keyed: &mut B) -> Result<SubtaskEnd, TaskError> {
        let users: Vec<UserState> = self.clicks.result(keyed)?;
        Ok(SubtaskEnd { users, notes: Some(std::mem::take(&mut self.told)) })
    }
}
