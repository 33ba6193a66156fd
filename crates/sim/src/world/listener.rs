//! What a process tells goes into the trace, the counts and the history.

use std::sync::Arc;

use alluvium_core::CheckpointId;
use alluvium_runtime::{CheckpointStore, JobEvent, Listener};
use alluvium_state::StateBackend;

use super::history::Point;
use super::savepoints::Chosen;
use super::{World, below, job_id};
use crate::chaos::{Fault, Phase};
use crate::host::SimHost;
use crate::storage::SimStorage;
use crate::threads::lock;

/// The checkpoint of a number, and who wrote it.
fn point_of(seen: &SimStorage, checkpoint: CheckpointId) -> Option<Point> {
    let store = CheckpointStore::open(&*below(seen, "chk"), job_id()).ok()?;
    Some((store.read(checkpoint).ok()?.properties.attempt, checkpoint))
}

impl<B: StateBackend> World<B> {
    pub(super) fn listener(&self, host: SimHost, chosen: Option<&Chosen>) -> Listener {
        let (counts, history) = (Arc::clone(&self.counts), Arc::clone(&self.history));
        let seen = SimStorage::new(&self.disk, SimHost::world(&self.executor));
        let chosen = chosen.map(|chosen| chosen.taken.point);
        Arc::new(move |event| {
            let text = match event {
                JobEvent::Started { attempt, restored } => {
                    host.enter_phase(Phase::Restoring);
                    lock(&counts).attempts += 1;
                    let point = restored.and_then(|restored| {
                        chosen.filter(|it| it.1 == restored).or_else(|| point_of(&seen, restored))
                    });
                    lock(&history).begins(*attempt, point);
                    let restored =
                        restored.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
                    format!("attempt {attempt} begins from {restored}")
                }
                JobEvent::Completed { metadata, is_final, savepoint } => {
                    host.enter_phase(Phase::Completed);
                    lock(&counts).completed += 1;
                    let last = if *is_final { ", the last" } else { "" };
                    if *is_final || savepoint.is_none() {
                        lock(&history).completes(metadata.properties.attempt);
                    }
                    if savepoint.is_none() {
                        lock(&counts).checkpoints += 1;
                        let properties = &metadata.properties;
                        let point = Some((properties.attempt, properties.checkpoint));
                        let mut history = lock(&history);
                        history.newest = history.newest.max(point);
                    }
                    let what = if savepoint.is_some() { "savepoint" } else { "checkpoint" };
                    format!("{what} {} is complete{last}", metadata.properties.checkpoint)
                }
                JobEvent::Aborted { checkpoint, reason } => {
                    if reason.contains("in time") {
                        host.count(Fault::Expired);
                    }
                    host.enter_phase(Phase::Running);
                    lock(&counts).aborted += 1;
                    format!("checkpoint {checkpoint} is aborted: {reason}")
                }
                JobEvent::Restarting { error, after_ms } => {
                    host.enter_phase(Phase::Restarting);
                    format!("restart in {after_ms} ms: {error}")
                }
                JobEvent::CleanUpFailed { reason } => format!("clean-up failed: {reason}"),
                _ => return,
            };
            host.trace(&text);
        })
    }
}
