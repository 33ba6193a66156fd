//! Mistakes that this field has made, to be made again by a test: `make museum`.
//!
//! Where the code avoids one of them it asks whether to make it. Without the feature `museum`, which
//! only `tests/` switches on, the answer is always no, and the compiler drops the question.
//!
//! Invariants: at most one mistake is made at a time, by the whole process.

/// A mistake. The tests name where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it, and the tests tell the stories")]
pub enum Mistake {
    DiscardsStateInUse = 1,
    DiscardsSharedStateOnAbort,
    BuildsOnUnconfirmedState,
    ForgetsRestoredState,
    LeaksSharedState,
    DeletesLatestCheckpoint,
    DiscardsAfterAmbiguousCommit,
    TakesOwnRetryForAnother,
    SkipsSecondFenceCheck,
    LosesUnsyncedOutput,
    CommitsOnUnsyncedMetadata,
    CommitsAtBarrier,
    DoesNotCommitAgain,
    ReadsAheadOfPosition,
    FollowsFastestWatermark,
    EndsWithoutCheckpoint,
    SharesFileNames,
    DoesNotHoldInputs,
    DuplicatesOperatorState,
    LosesStateOnRescale,
    KeepsFiredTimers,
    IgnoresBarrierPosition,
    RemovesWhatIsReferredTo,
    SwallowsFailedCommit,
    SkipsUnreadableCheckpoints,
    ForgetsBaseAtSavepoint,
    ForgetsRestoredInFlight,
    LosesInFlightOnRescale,
    RefusesSeveralPreCommitted,
    RemovesPendingBeforeCheckpoint,
    DeletesWithoutCounting,
    GivesNumbersTwice,
    RollsBackPreCommitted,
    TakesOlderBarrierForItsOwn,
}

#[cfg(feature = "museum")]
static MADE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Makes a mistake from now on, or none.
#[cfg(feature = "museum")]
pub fn make(mistake: Option<Mistake>) {
    let number = mistake.map_or(0, |mistake| mistake as u8);
    MADE.store(number, std::sync::atomic::Ordering::SeqCst);
}

/// Whether a mistake is to be made.
#[cfg(feature = "museum")]
pub fn makes(mistake: Mistake) -> bool {
    MADE.load(std::sync::atomic::Ordering::SeqCst) == mistake as u8
}

/// Whether a mistake is to be made: no.
#[cfg(not(feature = "museum"))]
pub const fn makes(_mistake: Mistake) -> bool {
    false
}
