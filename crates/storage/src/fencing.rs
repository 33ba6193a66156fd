//! Attempts: one writer per checkpoint root at a time (SPEC 2.4).
//!
//! Each start of a job claims the next attempt number by creating a file of that name. The highest
//! claimed number is the only writer; an older process that was only slow, not dead, finds itself
//! replaced when it checks before a commit.
//!
//! Invariants: no two claims return the same number, because creation is exclusive; a claim is
//! never removed here, so numbers only grow.

use alluvium_core::AttemptId;

use crate::{JobLayout, Location, Storage, StorageError};

/// How many numbers a claim tries while others are faster.
const MAX_TRIES: u32 = 64;

/// Claims the next attempt in a job's folder, fencing all earlier ones.
///
/// Errors: [`StorageError::ClaimContended`] if 64 numbers in a row were taken by others.
/// Source: SPEC 2.4.
pub fn claim_attempt(storage: &dyn Storage) -> Result<AttemptId, StorageError> {
    let mut newest = newest_attempt(storage)?;
    for _ in 0..MAX_TRIES {
        let number = newest.map_or(Some(1), |newest| newest.get().checked_add(1));
        let Some(own) = number.map(AttemptId::new) else {
            break;
        };
        match storage.create(&JobLayout::attempt(own), format!("{own}\n").as_bytes()) {
            Ok(()) => return Ok(own),
            Err(StorageError::AlreadyExists { .. }) => newest = Some(own),
            Err(error) => return Err(error),
        }
    }
    let location = Location::new(storage.root(), Some(&JobLayout::attempts_dir()));
    Err(StorageError::ClaimContended { location, tried: MAX_TRIES })
}

/// Checks that no newer attempt than `own` was claimed.
///
/// Errors: [`StorageError::Fenced`] if one was.
pub fn check_attempt(storage: &dyn Storage, own: AttemptId) -> Result<(), StorageError> {
    match newest_attempt(storage)? {
        Some(newest) if newest > own => Err(StorageError::Fenced { own, newest }),
        _ => Ok(()),
    }
}

fn newest_attempt(storage: &dyn Storage) -> Result<Option<AttemptId>, StorageError> {
    let claims = storage.list(Some(&JobLayout::attempts_dir()))?;
    Ok(claims.iter().filter_map(|claim| JobLayout::parse_attempt(&claim.name)).max())
}

#[cfg(test)]
mod tests;
