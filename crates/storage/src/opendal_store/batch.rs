//! Many objects are deleted with few requests.
//!
//! Where a service takes many keys in one request, a *batch* is one such request. OpenDAL answers a
//! batch with one error, whichever of its keys it is about, so the keys of a batch that failed are
//! deleted one by one to learn that: deletes bear repetition. Elsewhere each key is a request of its
//! own, a few at a time.
//!
//! Invariants: each path has one result, in order; where a service answers nothing at all, the keys
//! that were not asked for singly have the error of the others, so that an outage costs a few requests
//! and not one for each key.

use std::collections::BTreeMap;

use alluvium_core::StoragePath;
use opendal::Operator;
use tokio::task::JoinSet;

use crate::StorageError;

use super::{OpendalStorage, absent_is_fine, runtime};

/// How many single deletes are under way at a time.
const CONCURRENT_DELETES: usize = 8;
/// Batch of services that take one key a request.
const SINGLES_LEN: usize = 32;
/// Longest batch, whatever the service takes: S3 takes 1,000 too.
const MAX_BATCH_LEN: usize = 1_000;

/// The most keys of one request; `None` where that is one.
fn keys_per_request(operator: &Operator) -> Option<usize> {
    let most = operator.info().capability().delete_max_size?;
    (most > 1).then(|| most.min(MAX_BATCH_LEN))
}

pub(super) fn len_of(operator: &Operator) -> usize {
    keys_per_request(operator).unwrap_or(SINGLES_LEN)
}

type Deleted = Result<(), StorageError>;

pub(super) fn delete(storage: &OpendalStorage, paths: &[StoragePath]) -> Vec<Deleted> {
    let Some(batch_len) = keys_per_request(&storage.operator) else {
        return each(storage, paths);
    };
    let batches = paths.chunks(batch_len);
    batches.flat_map(|batch| one_batch(storage, batch)).collect()
}

fn one_batch(storage: &OpendalStorage, paths: &[StoragePath]) -> Vec<Deleted> {
    let keys: Result<Vec<_>, _> = paths.iter().map(|path| storage.key("delete", path)).collect();
    // A key that cannot be spelled fails alone.
    let Ok(keys) = keys else { return each(storage, paths) };
    let operator = storage.operator.clone();
    let deleted = storage.call("delete", paths.first(), async move {
        let mut deleter = operator.deleter().await?;
        deleter.delete_iter(keys).await?;
        deleter.close().await
    });
    match deleted {
        Ok(()) => vec![Ok(()); paths.len()],
        Err(_) => each(storage, paths),
    }
}

/// One request for each key. Gives up when all of the first ones fail.
fn each(storage: &OpendalStorage, paths: &[StoragePath]) -> Vec<Deleted> {
    let (first, rest) = paths.split_at(paths.len().min(CONCURRENT_DELETES));
    let mut results = singly(storage, first);
    match results.first() {
        Some(Err(error)) if results.iter().all(is_outage) => {
            let error = error.clone();
            results.extend(rest.iter().map(|_| Err(error.clone())));
        }
        _ => results.extend(singly(storage, rest)),
    }
    results
}

fn is_outage(deleted: &Deleted) -> bool {
    matches!(deleted, Err(StorageError::Remote { .. } | StorageError::Io { .. }))
}

fn singly(storage: &OpendalStorage, paths: &[StoragePath]) -> Vec<Deleted> {
    let keys: Vec<_> = paths.iter().map(|path| storage.key("delete", path)).collect();
    let operator = storage.operator.clone();
    let wanted: Vec<_> = keys.iter().map(|key| key.as_ref().ok().cloned()).collect();
    let mut answers = match runtime::wait(ask_all(operator, wanted)) {
        Ok(answers) => answers,
        Err(source) => {
            let error = StorageError::io("delete", storage.location(paths.first()), source);
            return paths.iter().map(|_| Err(error.clone())).collect();
        }
    };
    paths
        .iter()
        .zip(keys)
        .enumerate()
        .map(|(index, (path, key))| {
            key?;
            let location = || storage.location(Some(path));
            match answers.remove(&index) {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => {
                    absent_is_fine(Err(StorageError::remote("delete", location(), &error)))
                }
                None => {
                    let source = std::io::Error::other("the request stopped before its answer");
                    Err(StorageError::io("delete", location(), source))
                }
            }
        })
        .collect()
}

/// The answers for the keys that are there, by the index of the key.
async fn ask_all(
    operator: Operator,
    keys: Vec<Option<String>>,
) -> BTreeMap<usize, opendal::Result<()>> {
    let (mut running, mut answers) = (JoinSet::new(), BTreeMap::new());
    for (index, key) in keys.into_iter().enumerate() {
        let Some(key) = key else { continue };
        if running.len() >= CONCURRENT_DELETES {
            answers.extend(running.join_next().await.and_then(Result::ok));
        }
        let operator = operator.clone();
        running.spawn(async move { (index, operator.delete(&key).await) });
    }
    while let Some(ended) = running.join_next().await {
        answers.extend(ended.ok());
    }
    answers
}

#[cfg(test)]
#[cfg(feature = "s3")]
mod tests;
