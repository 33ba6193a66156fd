//! A source subtask: polls, routes, emits barriers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_coordinator::DeclineCause;
use alluvium_core::CheckpointId;
use alluvium_format::codec::HasCodec;
use alluvium_state::OperatorStateBackend;
use tokio::sync::mpsc;

use super::{Command, Measured, Participant, Report, wait_for_the_end};
use crate::TaskError;
use crate::barrier::Barrier;
use crate::element::Element;
use crate::exchange::{KeyedExchange, Routed};
use crate::operator::{KeyedRecord, Source, SourceStatus};
use crate::rate::RateLimit;

/// Most records of a batch.
const BATCH_LEN: usize = 1024;

/// Whether a source reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    /// The job is to end with this savepoint; if that fails, the source reads on.
    Held(CheckpointId),
    Ended,
}

pub(crate) struct SourceTask<S: Source> {
    pub(crate) source: S,
    pub(crate) state: OperatorStateBackend,
    pub(crate) exchange: KeyedExchange<S::Record>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    pub(crate) rate: Option<Arc<RateLimit>>,
    pub(crate) records: Arc<AtomicU64>,
    /// The highest one that was sent.
    pub(crate) watermark_ms: Option<i64>,
}

impl<S> SourceTask<S>
where
    S: Source,
    <S::Record as KeyedRecord>::Key: HasCodec,
{
    pub(crate) async fn run(mut self) -> Result<(), TaskError> {
        self.source.open(&mut self.state)?;
        let mut reading = Reading::On;
        loop {
            let command = if reading == Reading::On {
                match self.commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                    Err(mpsc::error::TryRecvError::Empty) => {
                        if self.emit().await? {
                            reading = Reading::Ended;
                        }
                        continue;
                    }
                }
            } else {
                self.commands.recv().await
            };
            match command {
                Some(Command::Trigger(barrier)) => {
                    // 1. A savepoint is taken with which the job ends;
                    // 2. the source reads on, and the sink commits what follows the savepoint;
                    // 3. a job that begins from the savepoint reads and commits that once more.
                    if barrier.ends_job() && reading == Reading::On {
                        reading = Reading::Held(barrier.checkpoint);
                        if barrier.drains() {
                            self.send_to_all(|| Element::EndOfInput).await;
                            reading = Reading::Ended;
                        }
                    }
                    self.barrier(&barrier).await?;
                }
                Some(Command::Complete { is_final: true, .. }) => return Ok(()),
                Some(Command::Abort(checkpoint)) if reading == Reading::Held(checkpoint) => {
                    reading = Reading::On;
                }
                Some(Command::Complete { .. } | Command::Abort(_)) => {}
                None => match wait_for_the_end().await {},
            }
        }
    }

    /// Sends one batch; `true` when it was the last.
    async fn emit(&mut self) -> Result<bool, TaskError> {
        let limit = self.rate.as_ref().map_or(BATCH_LEN, |rate| rate.batch_len(BATCH_LEN));
        let mut batch = Vec::with_capacity(limit);
        let status = self.source.poll(&mut batch, limit)?;
        if let Some(rate) = &self.rate
            && !batch.is_empty()
        {
            rate.wait(batch.len()).await;
        }
        self.records.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if !self.exchange.send(batch).await? {
            match wait_for_the_end().await {}
        }
        let watermark = self.source.watermark_ms().filter(|ms| Some(*ms) > self.watermark_ms);
        if let Some(watermark_ms) = watermark {
            self.watermark_ms = Some(watermark_ms);
            self.send_to_all(|| Element::Watermark(watermark_ms)).await;
        }
        if status == SourceStatus::Ended {
            self.send_to_all(|| Element::EndOfInput).await;
            let _ = self.participant.reports.send(Report::Ended);
            return Ok(true);
        }
        // Lets other tasks of this thread go on where nothing above had to wait.
        tokio::task::yield_now().await;
        Ok(false)
    }

    async fn send_to_all(&mut self, element: impl Fn() -> Element<Routed<S::Record>>) {
        if !self.exchange.broadcast(element).await {
            match wait_for_the_end().await {}
        }
    }

    async fn barrier(&mut self, barrier: &Barrier) -> Result<(), TaskError> {
        let (begun, start_delay_ms) =
            (self.participant.host.now(), self.participant.delay_ms(barrier));
        self.source.snapshot(&mut self.state)?;
        match self.state.freeze() {
            Ok(frozen) => {
                let sync = self.participant.host.now().saturating_sub(begun);
                let measured = Measured { start_delay_ms, sync, ..Measured::default() };
                self.participant.persist(barrier, None, frozen, measured);
            }
            Err(error) => {
                let (checkpoint, cause) = (barrier.checkpoint, DeclineCause::Snapshot);
                self.participant.decline(checkpoint, cause, error.to_string());
            }
        }
        self.send_to_all(|| Element::Barrier(barrier.clone())).await;
        Ok(())
    }
}
