//! Where a backend stands among its freezes.

/// Counts freezes; 0 is what was restored, 1 is before the first freeze.
pub(crate) type Epoch = u32;

/// What a write must know to record what changed since which checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The epoch of this write.
    pub(crate) now: Epoch,
    /// The last epoch that the newest confirmed checkpoint holds; `None` when there is none that
    /// later ones may refer to.
    pub(crate) base: Option<Epoch>,
}

impl Moment {
    /// Of a table that nobody takes incremental snapshots of.
    pub(crate) const UNTRACKED: Self = Self { now: 0, base: None };
    /// Of a table before its first freeze.
    pub(crate) const FIRST: Self = Self { now: 1, base: None };
}
