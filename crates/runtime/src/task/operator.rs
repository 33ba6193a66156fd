//! A subtask of any stage but a source: receives over many channels, aligned or overtaken, and sends over
//! all edges behind it. What it does with the records is its [`Processor`]'s.
//!
//! Invariants: state is frozen between two batches, or between two timers, never within one call of the
//! processor; while the task waits for room behind it, it hears commands, so a barrier that overtakes
//! finds it at once; event time is sent on behind what it made fire.

mod snapshots;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use alluvium_core::CheckpointId;
use alluvium_state::{OperatorStateBackend, TimeDomain};
use tokio::sync::mpsc;

use self::snapshots::Overtaken;
use super::loading::Loading;
use super::processor::Processor;
use super::{Alarm, Command, Participant, wait_for_the_end};
use crate::TaskError;
use crate::alignment::Aligner;
use crate::element::{Element, Signal};
use crate::event_time::EventTime;
use crate::inputs::Inputs;
use crate::outlet::Gone;
use crate::outputs::Outputs;

pub(crate) struct OperatorTask<P: Processor> {
    pub(crate) processor: P,
    pub(crate) state: OperatorStateBackend,
    pub(crate) inputs: Inputs<P::Input>,
    pub(crate) aligner: Aligner,
    pub(crate) event_time: EventTime,
    pub(crate) processing_time: Alarm,
    pub(crate) outputs: Outputs<P::Output>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    /// Nothing until the processor is open: it registers the states.
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

impl<P: Processor> OperatorTask<P> {
    pub(crate) async fn run(mut self) -> Result<P::Result, TaskError> {
        self.processor.open(&mut self.state)?;
        self.loading = Loading::start(self.processor.background_load(), &*self.participant.host);
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
                    if let Some(reached_ms) = self.event_time.watermark(input, watermark_ms) {
                        self.advance(reached_ms).await?;
                        self.outputs.push_to_all(&Signal::Watermark(reached_ms));
                    }
                }
                // 1. The task looks for commands, and there is none;
                // 2. a checkpoint completes, its files may go, and the next one is triggered;
                // 3. the task finds its barrier: the snapshot must not build on one before.
                Event::Input(input, Some(Element::Barrier(barrier))) => {
                    while let Ok(command) = self.commands.try_recv() {
                        self.hear_at(&command, Some((input, barrier.checkpoint)))?;
                    }
                    self.barrier(input, &barrier)?;
                }
                Event::Input(input, Some(Element::EndOfInput)) => {
                    if let Some(ended) = ended.get_mut(input) {
                        *ended = true;
                    }
                    let is_end = ended.iter().all(|ended| *ended);
                    if let Some(reached_ms) = self.event_time.end(input) {
                        self.advance(reached_ms).await?;
                        // The end says the same, behind the last records.
                        if !is_end {
                            self.outputs.push_to_all(&Signal::Watermark(reached_ms));
                        }
                    }
                    if is_end {
                        self.end_of_input().await?;
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
        self.processor.result()
    }

    /// Commands first; then what is recorded; then the end of the load; then the clock; then the inputs
    /// that are not held, in turn.
    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Event<P::Input>, TaskError>> {
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

    async fn process(&mut self, batch: Vec<P::Input>) -> Result<(), TaskError> {
        let mut output = Vec::with_capacity(batch.len());
        self.processor.process(batch, &mut self.state, &mut output)?;
        self.send_batch(output).await?;
        // 1. A sink that always has a batch takes one, which wakes the operator before it;
        // 2. the scheduler keeps what a task wakes for the same thread, and the task goes on;
        // 3. the operator hears of a checkpoint when the sink has come to the end of its channel.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Event time has grown.
    async fn advance(&mut self, watermark_ms: i64) -> Result<(), TaskError> {
        self.processor.on_watermark(watermark_ms);
        self.fire(TimeDomain::EventTime, watermark_ms).await
    }

    /// Fires the timers of a domain up to a time.
    async fn fire(&mut self, domain: TimeDomain, up_to_ms: i64) -> Result<(), TaskError> {
        loop {
            let mut output = Vec::new();
            let may_go_on = self.processor.fire(domain, up_to_ms, &self.state, &mut output)?;
            self.send_batch(output).await?;
            if !may_go_on {
                return Ok(());
            }
        }
    }

    /// Wakes the task for its next timer in processing time, unless all input has ended.
    fn set_alarm(&mut self, has_ended: bool) -> Result<(), TaskError> {
        let next_ms = if has_ended { None } else { self.processor.next_alarm_ms()? };
        self.processing_time.set(next_ms);
        Ok(())
    }

    async fn end_of_input(&mut self) -> Result<(), TaskError> {
        let mut output = Vec::new();
        self.processor.end_of_input(&mut self.state, &mut output)?;
        self.send_batch(output).await?;
        self.outputs.push_to_all(&Signal::EndOfInput);
        Ok(())
    }

    async fn send_batch(&mut self, batch: Vec<P::Output>) -> Result<(), TaskError> {
        if !batch.is_empty() {
            self.outputs.push(batch)?;
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
                if let Poll::Ready(flushed) = self.outputs.poll_flush(context) {
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
