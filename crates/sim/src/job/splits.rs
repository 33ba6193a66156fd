//! The source: reads splits, each in order, and keeps the positions in its state.

use std::sync::Arc;

use alluvium_runtime::{OperatorContext, Source, SourceStatus, TaskError};
use alluvium_state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};

use super::{Click, ClickJob, DISORDER_MS, Input, Mishaps};
use crate::host::SimHost;

/// Which splits a stage reads: every `step`-th from `first` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) step: usize,
}

impl Part {
    pub(super) const WHOLE: Self = Self { first: 0, step: 1 };
    pub(super) const EVEN: Self = Self { first: 0, step: 2 };
    pub(super) const ODD: Self = Self { first: 1, step: 2 };

    fn splits(self, all: u64) -> impl Iterator<Item = u64> {
        (self.first..all).step_by(self.step)
    }
}

/// Reads splits; which of them a subtask has is in its state.
pub(super) struct Splits {
    context: OperatorContext,
    part: Part,
    input: Input,
    mishaps: Arc<Mishaps>,
    host: SimHost,
    /// Number and next position of each.
    positions: Vec<(u64, u64)>,
    state: Option<OperatorListState<(u64, u64)>>,
}

impl Splits {
    pub(super) fn new(job: &ClickJob, part: Part, context: &OperatorContext) -> Self {
        Self {
            context: context.clone(),
            part,
            input: job.input,
            mishaps: Arc::clone(&job.mishaps),
            host: job.host.clone(),
            positions: Vec::new(),
            state: None,
        }
    }
}

impl Source for Splits {
    type Record = Click;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "open a source")?;
        let splits = state.list_state(ListStateDescriptor::<(u64, u64)>::new("splits"))?;
        self.positions = if self.context.restored.is_some() {
            state.items(splits)?.to_vec()
        } else {
            let (own, stride) = (self.context.subtask.get(), self.context.parallelism.get());
            let dealt = (0..stride).cycle().zip(self.part.splits(self.input.splits));
            dealt.filter(|(to, _)| *to == own).map(|(_, split)| (split, 0)).collect()
        };
        self.state = Some(splits);
        Ok(())
    }

    /// From the split that is furthest behind, so that time goes on in all of them.
    fn poll(&mut self, clicks: &mut Vec<Click>, limit: usize) -> Result<SourceStatus, TaskError> {
        self.mishaps.call(&self.host, "poll a source")?;
        let (input, end) = (self.input, self.input.clicks);
        let unread = self.positions.iter_mut().filter(|(_, next)| *next < end);
        let Some((split, next)) = unread.min_by_key(|(split, next)| (*next, *split)) else {
            return Ok(SourceStatus::Ended);
        };
        let count = (1 + *next % 3).min(end - *next).min(limit as u64);
        clicks.extend((*next..*next + count).map(|position| input.click(*split, position)));
        *next += count;
        Ok(SourceStatus::More)
    }

    fn watermark_ms(&self) -> Option<i64> {
        let slowest = self.positions.iter().map(|(_, next)| *next).min()?;
        Some(Input::time_ms(slowest) - DISORDER_MS - 1)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "snapshot a source")?;
        Ok(state.update(self.state.ok_or("not open")?, self.positions.clone())?)
    }
}
