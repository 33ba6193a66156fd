//! A source subtask: polls, routes, emits barriers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::CheckpointId;
use alluvium_format::codec::HasCodec;
use alluvium_state::OperatorStateBackend;
use tokio::sync::mpsc;

use super::{Command, Participant, Report, wait_for_the_end};
use crate::TaskError;
use crate::element::Element;
use crate::exchange::KeyedExchange;
use crate::operator::{KeyedRecord, Source, SourceStatus};
use crate::rate::RateLimit;

/// Most records of a batch.
const BATCH_LEN: usize = 1024;

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
        let mut ended = false;
        loop {
            let command = if ended {
                self.commands.recv().await
            } else {
                match self.commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                    Err(mpsc::error::TryRecvError::Empty) => {
                        ended = self.emit().await?;
                        continue;
                    }
                }
            };
            match command {
                Some(Command::Trigger(checkpoint)) => self.barrier(checkpoint).await?,
                Some(Command::Complete { is_final: true, .. }) => return Ok(()),
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
            if !self.exchange.broadcast(|| Element::Watermark(watermark_ms)).await {
                match wait_for_the_end().await {}
            }
        }
        if status == SourceStatus::Ended {
            if !self.exchange.broadcast(|| Element::EndOfInput).await {
                match wait_for_the_end().await {}
            }
            let _ = self.participant.reports.send(Report::Ended);
            return Ok(true);
        }
        // Lets other tasks of this thread go on where nothing above had to wait.
        tokio::task::yield_now().await;
        Ok(false)
    }

    async fn barrier(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.source.snapshot(&mut self.state)?;
        match self.state.freeze() {
            Ok(frozen) => self.participant.persist(checkpoint, None, frozen),
            Err(error) => self.participant.decline(checkpoint, error.to_string()),
        }
        if !self.exchange.broadcast(|| Element::Barrier(checkpoint)).await {
            match wait_for_the_end().await {}
        }
        Ok(())
    }
}
