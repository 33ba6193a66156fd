//! A keyed operator subtask: many inputs, aligned or overtaken; one output.
//!
//! Invariants: state is frozen between two records, never within one; while the task waits for room behind
//! it, it hears commands, so a barrier that overtakes finds it at once.

mod snapshots;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use alluvium_core::CheckpointId;
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, KeyedStateBackend, OperatorStateBackend, TimeDomain,
};
use tokio::sync::mpsc;

use self::snapshots::Overtaken;
use super::loading::Loading;
use super::{Alarm, Command, Participant, wait_for_the_end};
use crate::TaskError;
use crate::alignment::Aligner;
use crate::element::Element;
use crate::event_time::EventTime;
use crate::exchange::Routed;
use crate::inputs::Inputs;
use crate::operator::KeyedOperator;
use crate::outlet::{Gone, Outlet};

/// Most outputs of timers that are sent together.
const BATCH_LEN: usize = 1024;
/// State in which an operator remembers that it has heard of the end of all input.
const END_OF_INPUT: &str = "alluvium.end-of-input";

pub(crate) struct KeyedTask<B: KeyedStateBackend, O: KeyedOperator<B>> {
    pub(crate) operator: O,
    pub(crate) keyed: B,
    pub(crate) state: OperatorStateBackend,
    pub(crate) inputs: Inputs<Routed<O::Input>>,
    pub(crate) aligner: Aligner,
    pub(crate) event_time: EventTime,
    pub(crate) processing_time: Alarm,
    pub(crate) output: Outlet<Element<O::Output>>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    /// Nothing until the operator is open: it registers the states.
    pub(crate) loading: Loading,
    pub(crate) progress: Progress,
}

/// How far the checkpoints of a task are.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// When the first barrier of the newest checkpoint came, on the clock of the host, and how long
    /// after the trigger that was, in milliseconds.
    first_barrier: Option<(CheckpointId, Duration, u64)>,
    /// The newest checkpoint that state was frozen for.
    frozen: Option<CheckpointId>,
    /// Frozen state that waits for the records in flight before it.
    overtaken: Option<Overtaken>,
    /// Whether the job's last checkpoint is complete.
    is_over: bool,
}

/// What woke the task.
enum Event<T> {
    Command(Option<Command>),
    Input(usize, Option<Element<T>>),
    /// The clock has come to the time of a timer, in milliseconds.
    Alarm(i64),
    Loaded(Result<(), TaskError>),
    /// All records that a barrier has overtaken are recorded.
    Recorded(CheckpointId),
}

impl<B: KeyedStateBackend, O: KeyedOperator<B>> KeyedTask<B, O> {
    pub(crate) async fn run(mut self) -> Result<O::Result, TaskError> {
        let ended_state =
            self.state.broadcast_state(BroadcastStateDescriptor::new(END_OF_INPUT))?;
        self.operator.open(&mut self.keyed, &mut self.state)?;
        self.loading = Loading::start(self.keyed.background_load(), &*self.participant.host);
        let mut ended = vec![false; self.inputs.len()];
        while !self.progress.is_over {
            // What fired behind the last barrier would be in no checkpoint.
            self.set_alarm(ended.iter().all(|ended| *ended))?;
            match poll_fn(|context| self.poll_event(context)).await? {
                Event::Command(Some(command)) => self.hear(&command)?,
                Event::Loaded(loaded) => loaded?,
                Event::Recorded(checkpoint) => self.recorded(checkpoint)?,
                Event::Alarm(now_ms) => self.fire(TimeDomain::ProcessingTime, now_ms).await?,
                Event::Input(_, Some(Element::Batch(batch))) => self.process(batch).await?,
                Event::Input(input, Some(Element::Watermark(watermark_ms))) => {
                    let reached = self.event_time.watermark(input, watermark_ms);
                    self.advance(reached).await?;
                }
                // 1. The task looks for commands, and there is none;
                // 2. a checkpoint completes, its files may go, and the next one is triggered;
                // 3. the task finds its barrier: the snapshot must not build on one before.
                Event::Input(input, Some(Element::Barrier(barrier))) => {
                    while let Ok(command) = self.commands.try_recv() {
                        self.hear(&command)?;
                    }
                    self.barrier(input, &barrier)?;
                }
                Event::Input(input, Some(Element::EndOfInput)) => {
                    let reached = self.event_time.end(input);
                    self.advance(reached).await?;
                    if let Some(ended) = ended.get_mut(input) {
                        *ended = true;
                    }
                    if ended.iter().all(|ended| *ended) {
                        self.end_of_input(ended_state).await?;
                    }
                }
                // 1. The last checkpoint completes, and a source hears of it first;
                // 2. it ends, and its channel closes;
                // 3. this task sees that before its own command: it must go on waiting for it.
                Event::Input(_, None) => {}
                // The driver is gone: it ends all tasks.
                Event::Command(None) => match wait_for_the_end().await {},
            }
            self.flush().await?;
        }
        self.operator.result(&mut self.keyed)
    }

    /// Commands first; then what is recorded; then the end of the load; then the clock; then the inputs
    /// that are not held, in turn.
    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event<Routed<O::Input>>, TaskError>> {
        if let Poll::Ready(command) = self.commands.poll_recv(context) {
            return Poll::Ready(Ok(Event::Command(command)));
        }
        if let Poll::Ready(recorded) = self.inputs.poll_recorded(context) {
            return Poll::Ready(recorded.map(Event::Recorded));
        }
        if let Poll::Ready(loaded) = self.loading.poll(context) {
            return Poll::Ready(Ok(Event::Loaded(loaded)));
        }
        if let Poll::Ready(now_ms) = self.processing_time.poll(context) {
            return Poll::Ready(Ok(Event::Alarm(now_ms)));
        }
        let aligner = &self.aligner;
        let next = self.inputs.poll_next(context, |input| aligner.is_held(input));
        next.map_ok(|(input, element)| Event::Input(input, element))
    }

    async fn process(&mut self, batch: Vec<Routed<O::Input>>) -> Result<(), TaskError> {
        let mut output = Vec::with_capacity(batch.len());
        for (key_group, record) in batch {
            self.operator.process(key_group, record, &mut self.keyed, &mut output)?;
        }
        self.send_batch(output).await
    }

    /// Event time has grown, if it has.
    async fn advance(&mut self, reached_ms: Option<i64>) -> Result<(), TaskError> {
        let Some(watermark_ms) = reached_ms else { return Ok(()) };
        self.operator.on_watermark(watermark_ms);
        self.fire(TimeDomain::EventTime, watermark_ms).await
    }

    /// Fires the timers of a domain up to a time.
    async fn fire(&mut self, domain: TimeDomain, up_to_ms: i64) -> Result<(), TaskError> {
        let Some(timers) = self.operator.timers() else { return Ok(()) };
        let mut output = Vec::new();
        while let Some(timer) = self.keyed.pop_timer(timers, domain, up_to_ms)? {
            self.operator.on_timer(domain, timer, &mut self.keyed, &mut output)?;
            if output.len() >= BATCH_LEN {
                self.send_batch(std::mem::take(&mut output)).await?;
            }
        }
        self.send_batch(output).await
    }

    /// Wakes the task for its next timer in processing time, unless all input has ended.
    fn set_alarm(&mut self, has_ended: bool) -> Result<(), TaskError> {
        let next_ms = match self.operator.timers().filter(|_| !has_ended) {
            Some(timers) => self.keyed.next_timer_ms(timers, TimeDomain::ProcessingTime)?,
            None => None,
        };
        self.processing_time.set(next_ms);
        Ok(())
    }

    /// Sources end again after a restore; the operator hears of it once.
    async fn end_of_input(&mut self, ended: BroadcastState<u8, bool>) -> Result<(), TaskError> {
        if self.state.broadcast_get(ended, &0)?.is_none() {
            let mut output = Vec::new();
            self.operator.end_of_input(&mut self.keyed, &mut output)?;
            self.state.broadcast_put(ended, 0, true)?;
            self.send_batch(output).await?;
        }
        self.output.push(Element::EndOfInput);
        Ok(())
    }

    async fn send_batch(&mut self, batch: Vec<O::Output>) -> Result<(), TaskError> {
        if !batch.is_empty() {
            self.output.push(Element::Batch(batch));
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until everything has left. Meanwhile commands are heard and records in flight are recorded:
    /// what is on its way out has left the state, so it may be frozen.
    async fn flush(&mut self) -> Result<(), TaskError> {
        enum Step {
            Flushed(Result<(), Gone>),
            Command(Option<Command>),
            Recorded(Result<CheckpointId, TaskError>),
        }
        loop {
            let step = poll_fn(|context| {
                if let Poll::Ready(flushed) = self.output.poll_flush(context) {
                    return Poll::Ready(Step::Flushed(flushed));
                }
                if let Poll::Ready(command) = self.commands.poll_recv(context) {
                    return Poll::Ready(Step::Command(command));
                }
                self.inputs.poll_recorded(context).map(Step::Recorded)
            });
            match step.await {
                Step::Flushed(Ok(())) => return Ok(()),
                Step::Command(Some(command)) => self.hear(&command)?,
                Step::Recorded(checkpoint) => self.recorded(checkpoint?)?,
                Step::Flushed(Err(Gone)) | Step::Command(None) => match wait_for_the_end().await {},
            }
        }
    }
}
