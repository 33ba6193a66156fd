//! A source subtask: polls, sends, emits barriers.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use alluvium_coordinator::DeclineCause;
use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::OperatorStateBackend;
use tokio::sync::mpsc;

use super::{Command, Measured, Participant, Report, wait_for_the_end};
use crate::TaskError;
use crate::barrier::Barrier;
use crate::element::Signal;
use crate::operator::{Source, SourceStatus};
use crate::outlet::Gone;
use crate::outputs::Outputs;
use crate::rate::RateLimit;

/// Most records of a batch.
const BATCH_LEN: usize = 1024;

/// Whether a source reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reading {
    #[default]
    On,
    /// The job is to end with this savepoint; if that fails, the source reads on.
    Held(CheckpointId),
    Ended,
}

pub(crate) struct SourceTask<S: Source> {
    pub(crate) source: S,
    pub(crate) state: OperatorStateBackend,
    pub(crate) outputs: Outputs<S::Record>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    pub(crate) rate: Option<Arc<RateLimit>>,
    pub(crate) records: Arc<AtomicU64>,
    /// The highest one that was sent.
    pub(crate) watermark_ms: Option<i64>,
    pub(crate) reading: Reading,
    /// Whether the job's last checkpoint is complete.
    pub(crate) is_over: bool,
}

impl<S: Source> SourceTask<S> {
    pub(crate) async fn run(mut self) -> Result<(), TaskError> {
        self.source.open(&mut self.state)?;
        while !self.is_over {
            if self.reading == Reading::On {
                match self.commands.try_recv() {
                    Ok(command) => self.hear(&command)?,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        match wait_for_the_end().await {}
                    }
                    Err(mpsc::error::TryRecvError::Empty) => self.emit().await?,
                }
            } else {
                match self.commands.recv().await {
                    Some(command) => self.hear(&command)?,
                    None => match wait_for_the_end().await {},
                }
            }
            self.flush().await?;
        }
        Ok(())
    }

    /// Takes a command; what is to be sent because of it is on its way.
    fn hear(&mut self, command: &Command) -> Result<(), TaskError> {
        match command {
            Command::Trigger(barrier) => {
                // 1. A savepoint is taken with which the job ends;
                // 2. the source reads on, and the sink commits what follows the savepoint;
                // 3. a job that begins from the savepoint reads and commits that once more.
                if barrier.ends_job() && self.reading == Reading::On {
                    self.reading = Reading::Held(barrier.checkpoint);
                    if barrier.drains() {
                        self.outputs.push_to_all(&Signal::EndOfInput);
                        self.reading = Reading::Ended;
                    }
                }
                self.barrier(barrier)
            }
            Command::Complete { is_final, .. } => {
                self.is_over |= *is_final;
                Ok(())
            }
            Command::Abort(checkpoint) => {
                if self.reading == Reading::Held(*checkpoint) {
                    self.reading = Reading::On;
                }
                Ok(())
            }
            Command::Overtake(_) => Ok(()),
        }
    }

    /// Sends one batch.
    async fn emit(&mut self) -> Result<(), TaskError> {
        let limit = self.rate.as_ref().map_or(BATCH_LEN, |rate| rate.batch_len(BATCH_LEN));
        let mut batch = Vec::with_capacity(limit);
        let status = self.source.poll(&mut batch, limit)?;
        if let Some(rate) = &self.rate
            && !batch.is_empty()
        {
            rate.wait(batch.len()).await;
        }
        self.records.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.outputs.push(batch)?;
        let watermark = self.source.watermark_ms().filter(|ms| Some(*ms) > self.watermark_ms);
        if let Some(watermark_ms) = watermark {
            self.watermark_ms = Some(watermark_ms);
            self.outputs.push_to_all(&Signal::Watermark(watermark_ms));
        }
        if status == SourceStatus::Ended {
            self.reading = Reading::Ended;
            self.outputs.push_to_all(&Signal::EndOfInput);
            self.flush().await?;
            // A driver that is gone need not know.
            let _ = self.participant.reports.send(Report::Ended);
            return Ok(());
        }
        // Lets other tasks of this thread go on where nothing has to wait.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Waits until everything has left. Meanwhile commands are heard: a barrier joins what is on its way,
    /// and the state that is frozen for it has all of that behind it.
    async fn flush(&mut self) -> Result<(), TaskError> {
        loop {
            let flushed = poll_fn(|context| {
                if let Poll::Ready(flushed) = self.outputs.poll_flush(context) {
                    return Poll::Ready(Ok(flushed));
                }
                self.commands.poll_recv(context).map(Err)
            });
            match flushed.await {
                Ok(Ok(())) => return Ok(()),
                Err(Some(command)) => self.hear(&command)?,
                Ok(Err(Gone)) | Err(None) => match wait_for_the_end().await {},
            }
        }
    }

    fn barrier(&mut self, barrier: &Barrier) -> Result<(), TaskError> {
        let (begun, start_delay_ms) =
            (self.participant.host.now(), self.participant.delay_ms(barrier));
        if !museum::makes(Mistake::IgnoresBarrierPosition) {
            self.source.snapshot(&mut self.state)?;
        }
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
        if museum::makes(Mistake::ReadsAheadOfPosition) && self.watermark_ms.is_some() {
            let mut ahead = Vec::new();
            self.source.poll(&mut ahead, BATCH_LEN)?;
            self.outputs.push(ahead)?;
        }
        self.outputs.push_to_all(&Signal::Barrier(barrier.clone()));
        Ok(())
    }
}
