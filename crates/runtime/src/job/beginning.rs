//! Where an attempt begins, what it owns of what is there, and what it must leave alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{
    AttemptId, CheckpointId, CheckpointMetadata, MaxParallelism, Parallelism, StoragePath,
};
use alluvium_storage::LocalCopies;

use super::{ClaimMode, JobConfig, RestoreFrom};
use crate::restore::RestorePoint;
use crate::{CheckpointStatus, CheckpointStore, JobError};

/// The key groups of a job and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) max: MaxParallelism,
    pub(super) point: Option<RestorePoint>,
    /// Checkpoints that this run owns and subsumes.
    pub(super) retained: Vec<CheckpointMetadata>,
    /// Files of the other checkpoints of the job, of those that a person has renamed too, and those that
    /// damaged ones may refer to.
    pub(super) spared: Vec<StoragePath>,
    /// What older runs have left on a storage without locks, to be removed when a checkpoint is complete.
    pub(super) leftovers: Vec<StoragePath>,
    pub(super) next: CheckpointId,
    /// What the run began from, if that lies elsewhere and is owned all the same.
    pub(super) claimed: Option<RestorePoint>,
    /// What is wrong with a newer checkpoint than the one of the point.
    pub(super) damage: Option<String>,
}

/// Max parallelism of a job whose widest stage has so many subtasks.
fn max_parallelism_of(
    config: &JobConfig,
    widest: u32,
    point: Option<&RestorePoint>,
) -> Result<MaxParallelism, JobError> {
    let restored = point.map(|point| point.metadata.properties.max_parallelism);
    let max = match (config.max_parallelism, restored) {
        (Some(max), _) => MaxParallelism::new(max)?,
        (None, Some(restored)) => restored,
        (None, None) => MaxParallelism::default_for(widest)?,
    };
    Parallelism::new(widest, max)?;
    Ok(max)
}

/// Claims the first attempt of this process, then looks for what to begin from.
pub(super) fn first_beginning(
    store: &CheckpointStore,
    config: &JobConfig,
    widest: u32,
    copies: Option<&LocalCopies>,
) -> Result<(AttemptId, Beginning), JobError> {
    // Checked before anything is claimed, so that a wrong number leaves no trace.
    if config.max_parallelism.is_some() || matches!(config.restore, RestoreFrom::Nothing) {
        max_parallelism_of(config, widest, None)?;
    }
    let attempt = store.claim_attempt()?;
    let at = |metadata, storage| RestorePoint { metadata, storage, is_owned: false, copies: None };
    let here = |metadata| at(metadata, Arc::clone(store.storage()));
    let (mut claim, mut damage) = (ClaimMode::Claim, None);
    let point = match &config.restore {
        RestoreFrom::Nothing => None,
        RestoreFrom::Latest => {
            let (latest, found) = store.latest_whole_near(copies)?;
            damage = found;
            latest.map(here)
        }
        RestoreFrom::LatestStrict => store.latest_near(copies)?.map(here),
        RestoreFrom::Checkpoint { metadata, storage, claim: mode } => {
            claim = *mode;
            let metadata = CheckpointMetadata::clone(metadata);
            Some(at(metadata, Arc::clone(storage)))
        }
    };
    let entries = store.list()?;
    // Also beyond a checkpoint of another root: what a sink has committed is named after ids.
    let next = point
        .as_ref()
        .map_or(CheckpointId::FIRST, |point| point.metadata.properties.checkpoint.next());
    let next = CheckpointStore::next_id(&entries).max(next);
    let is_here = |point: &&RestorePoint| point.storage.root() == store.storage().root();
    let claimed = point.clone().filter(|it| claim == ClaimMode::Claim && !is_here(&it));
    if let Some(restored) = point.as_ref().filter(is_here) {
        store.make_durable(restored.metadata.properties.checkpoint)?;
    }
    // Without a claim nothing that is there is this run's to delete.
    let restored = point.as_ref().filter(is_here).filter(|_| claim == ClaimMode::Claim);
    let restored = restored.map(|point| point.metadata.properties.checkpoint);
    let mut spared = store.needed_by_others(&entries)?;
    let leftovers = store.note_leftovers(&entries)?;
    // Older ones are subsumed in time; newer ones, which were passed over, are left alone.
    let complete = entries.into_iter().filter_map(|entry| match entry.status {
        CheckpointStatus::Complete(metadata) => Some(*metadata),
        _ => None,
    });
    let (mut retained, others): (Vec<_>, Vec<_>) =
        complete.partition(|metadata| Some(metadata.properties.checkpoint) <= restored);
    forget_if_mistaken(&mut retained);
    spared.extend(files_of(&others));
    let point = point.map(|point| point.owned_by(&**store.storage(), &retained));
    let max = max_parallelism_of(config, widest, point.as_ref())?;
    Ok((attempt, Beginning { max, point, retained, spared, leftovers, next, claimed, damage }))
}

fn forget_if_mistaken(retained: &mut Vec<CheckpointMetadata>) {
    if museum::makes(Mistake::ForgetsRestoredState) {
        retained.clear();
    }
}

fn files_of(checkpoints: &[CheckpointMetadata]) -> Vec<StoragePath> {
    checkpoints.iter().flat_map(CheckpointMetadata::files).cloned().collect()
}

/// Claims the next attempt. A run that was replaced must not take the job back from the one that
/// replaced it.
pub(super) fn claim_after(
    store: &CheckpointStore,
    failed: AttemptId,
) -> Result<AttemptId, JobError> {
    store.check_attempt(failed)?;
    Ok(store.claim_attempt()?)
}

/// Takes the newest checkpoint of this process, or what it began from. The storage is asked and not
/// memory: a commit whose answer was lost may have happened.
pub(super) fn next_beginning(
    store: &CheckpointStore,
    first: AttemptId,
    previous: Beginning,
    refused: &BTreeMap<CheckpointId, String>,
) -> Result<Beginning, JobError> {
    let entries = store.list()?;
    let next = CheckpointStore::next_id(&entries).max(previous.next);
    let mut spared = store.needed_by_others(&entries)?;
    let known: Vec<CheckpointId> =
        previous.retained.iter().map(|metadata| metadata.properties.checkpoint).collect();
    let (mut retained, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.status {
            CheckpointStatus::Complete(metadata) => {
                let properties = &metadata.properties;
                // What cannot be restored stays for a person to look at.
                let is_own = (properties.attempt >= first
                    || known.contains(&properties.checkpoint))
                    && !refused.contains_key(&properties.checkpoint);
                (if is_own { &mut retained } else { &mut others }).push(*metadata);
            }
            // One of this process, perhaps its newest: an older one is not what the job had.
            CheckpointStatus::Damaged(error) if entry.checkpoint >= previous.next => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    let newest = retained
        .iter()
        .rfind(|it: &&CheckpointMetadata| it.properties.attempt >= first || !refused.is_empty());
    let damage = refused.values().next_back().cloned();
    let point = match newest {
        Some(newest) => {
            store.make_durable(newest.properties.checkpoint)?;
            let (metadata, storage) = (newest.clone(), Arc::clone(store.storage()));
            Some(RestorePoint { metadata, storage, is_owned: false, copies: None })
        }
        None => previous.point.filter(|point| {
            let checkpoint = point.metadata.properties.checkpoint;
            point.storage.root() != store.storage().root() || !refused.contains_key(&checkpoint)
        }),
    };
    forget_if_mistaken(&mut retained);
    spared.extend(files_of(&others));
    let point = point.map(|point| point.owned_by(&**store.storage(), &retained));
    Ok(Beginning { point, retained, spared, next, damage, ..previous })
}
