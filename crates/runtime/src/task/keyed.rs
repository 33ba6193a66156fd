//! A keyed operator subtask: many inputs, aligned; one output.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use alluvium_coordinator::DeclineCause;
use alluvium_core::CheckpointId;
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, KeyedStateBackend, OperatorStateBackend, TimeDomain,
};
use tokio::sync::mpsc;

use super::loading::Loading;
use super::{Alarm, Command, Measured, Participant, wait_for_the_end};
use crate::TaskError;
use crate::alignment::{Aligner, Arrival};
use crate::barrier::Barrier;
use crate::element::Element;
use crate::event_time::EventTime;
use crate::exchange::Routed;
use crate::operator::KeyedOperator;

/// Most outputs of timers that are sent together.
const BATCH_LEN: usize = 1024;
/// State in which an operator remembers that it has heard of the end of all input.
const END_OF_INPUT: &str = "alluvium.end-of-input";

/// The receiving side of one source.
pub(crate) type Input<R> = mpsc::Receiver<Element<Routed<R>>>;

pub(crate) struct KeyedTask<B: KeyedStateBackend, O: KeyedOperator<B>> {
    pub(crate) operator: O,
    pub(crate) keyed: B,
    pub(crate) state: OperatorStateBackend,
    /// `None` once the sender is gone.
    pub(crate) inputs: Vec<Option<Input<O::Input>>>,
    pub(crate) aligner: Aligner,
    pub(crate) event_time: EventTime,
    pub(crate) processing_time: Alarm,
    pub(crate) output: mpsc::Sender<Element<O::Output>>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    /// Nothing until the operator is open: it registers the states.
    pub(crate) loading: Loading,
    /// When the first barrier of the newest checkpoint came, on the clock of the host, and how long
    /// after the trigger that was.
    pub(crate) first_barrier: Option<(CheckpointId, Duration, u64)>,
}

/// What woke the task.
enum Event<T> {
    Command(Option<Command>),
    Input(usize, Option<Element<T>>),
    /// The clock has come to the time of a timer, in milliseconds.
    Alarm(i64),
    Loaded(Result<(), TaskError>),
}

impl<B: KeyedStateBackend, O: KeyedOperator<B>> KeyedTask<B, O> {
    pub(crate) async fn run(mut self) -> Result<O::Result, TaskError> {
        let ended_state =
            self.state.broadcast_state(BroadcastStateDescriptor::new(END_OF_INPUT))?;
        self.operator.open(&mut self.keyed, &mut self.state)?;
        self.loading = Loading::start(self.keyed.background_load(), &*self.participant.host);
        let mut ended = vec![false; self.inputs.len()];
        let mut turn = 0;
        loop {
            // What fired behind the last barrier would be in no checkpoint.
            self.set_alarm(ended.iter().all(|ended| *ended))?;
            let event = poll_fn(|context| self.poll_event(&mut turn, context)).await;
            match event {
                Event::Command(Some(command)) => {
                    if self.hear(&command) {
                        return self.operator.result(&mut self.keyed);
                    }
                }
                Event::Loaded(loaded) => loaded?,
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
                        if self.hear(&command) {
                            return self.operator.result(&mut self.keyed);
                        }
                    }
                    let checkpoint = barrier.checkpoint;
                    if self.first_barrier.is_none_or(|(first, ..)| first < checkpoint) {
                        let participant = &self.participant;
                        let delay_ms = participant.delay_ms(&barrier);
                        self.first_barrier = Some((checkpoint, participant.host.now(), delay_ms));
                    }
                    match self.aligner.barrier(input, checkpoint) {
                        Arrival::Complete => self.snapshot(&barrier).await?,
                        Arrival::Waiting => self.keyed.announce(checkpoint),
                        Arrival::Ignored => {}
                    }
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
                Event::Input(input, None) => {
                    if let Some(receiver) = self.inputs.get_mut(input) {
                        *receiver = None;
                    }
                }
                // The driver is gone: it ends all tasks.
                Event::Command(None) => match wait_for_the_end().await {},
            }
        }
    }

    /// Takes a command and says whether it was the last one.
    fn hear(&mut self, command: &Command) -> bool {
        match *command {
            Command::Complete { checkpoint, is_final } => {
                self.keyed.complete(checkpoint);
                return is_final;
            }
            Command::Abort(checkpoint) => {
                self.aligner.abort(checkpoint);
                self.keyed.abort(checkpoint);
            }
            Command::Trigger(_) => {}
        }
        false
    }

    /// Commands first; then the end of the load; then the clock; then the inputs that are not held, in turn.
    fn poll_event(
        &mut self,
        turn: &mut usize,
        context: &mut Context<'_>,
    ) -> Poll<Event<Routed<O::Input>>> {
        if let Poll::Ready(command) = self.commands.poll_recv(context) {
            return Poll::Ready(Event::Command(command));
        }
        if let Poll::Ready(loaded) = self.loading.poll(context) {
            return Poll::Ready(Event::Loaded(loaded));
        }
        if let Poll::Ready(now_ms) = self.processing_time.poll(context) {
            return Poll::Ready(Event::Alarm(now_ms));
        }
        let count = self.inputs.len();
        for step in 0..count {
            let input = (*turn + step) % count;
            if self.aligner.is_held(input) {
                continue;
            }
            let Some(Some(receiver)) = self.inputs.get_mut(input) else { continue };
            if let Poll::Ready(element) = receiver.poll_recv(context) {
                *turn = input + 1;
                return Poll::Ready(Event::Input(input, element));
            }
        }
        Poll::Pending
    }

    async fn process(&mut self, batch: Vec<Routed<O::Input>>) -> Result<(), TaskError> {
        let mut output = Vec::with_capacity(batch.len());
        for (key_group, record) in batch {
            self.operator.process(key_group, record, &mut self.keyed, &mut output)?;
        }
        self.send_batch(output).await;
        Ok(())
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
                self.send_batch(std::mem::take(&mut output)).await;
            }
        }
        self.send_batch(output).await;
        Ok(())
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
            self.send_batch(output).await;
        }
        self.send(Element::EndOfInput).await;
        Ok(())
    }

    async fn snapshot(&mut self, barrier: &Barrier) -> Result<(), TaskError> {
        let (checkpoint, begun) = (barrier.checkpoint, self.participant.host.now());
        self.operator.snapshot(&mut self.state)?;
        let frozen = self.keyed.freeze(checkpoint);
        match frozen.and_then(|keyed| Ok((keyed, self.state.freeze()?))) {
            Ok((keyed, state)) => {
                let first = self.first_barrier.filter(|(first, ..)| *first == checkpoint);
                let measured = Measured {
                    alignment: first.map_or(Duration::ZERO, |(_, at, _)| begun.saturating_sub(at)),
                    start_delay_ms: first.map_or(0, |(.., delay_ms)| delay_ms),
                    sync: self.participant.host.now().saturating_sub(begun),
                };
                self.participant.persist(barrier, Some(keyed), state, measured);
            }
            Err(error) => {
                self.participant.decline(checkpoint, DeclineCause::Snapshot, error.to_string());
            }
        }
        self.send(Element::Barrier(barrier.clone())).await;
        Ok(())
    }

    async fn send_batch(&mut self, batch: Vec<O::Output>) {
        if !batch.is_empty() {
            self.send(Element::Batch(batch)).await;
        }
    }

    async fn send(&mut self, element: Element<O::Output>) {
        if self.output.send(element).await.is_err() {
            match wait_for_the_end().await {}
        }
    }
}
