//! Who hears how far long work is.
//!
//! Invariants: work that is known to follow is announced at the beginning, so that nothing stands still
//! behind what looks like the end.

use std::sync::atomic::{AtomicU64, Ordering};

/// Hears of bytes; from any thread.
pub trait Progress: Sync {
    /// So many bytes are ahead, more than was said before.
    fn expect(&self, len_bytes: u64);

    /// So many bytes more are done.
    fn advance(&self, len_bytes: u64);
}

/// Nobody.
impl Progress for () {
    fn expect(&self, _: u64) {}

    fn advance(&self, _: u64) {}
}

/// Work that was announced before: whoever does it says once more how much it is, which counts as far as it
/// is more.
pub(crate) struct Announced<'p> {
    progress: &'p dyn Progress,
    left: AtomicU64,
}

impl<'p> Announced<'p> {
    /// So many bytes were said to be ahead.
    pub(crate) fn new(progress: &'p dyn Progress, len_bytes: u64) -> Self {
        Self { progress, left: AtomicU64::new(len_bytes) }
    }

    /// The work is done: what was announced beyond it is done too.
    pub(crate) fn finish(&self) {
        self.progress.advance(self.left.swap(0, Ordering::Relaxed));
    }
}

impl Progress for Announced<'_> {
    fn expect(&self, _: u64) {}

    fn advance(&self, len_bytes: u64) {
        let rest = |left: u64| Some(left.saturating_sub(len_bytes));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        let more = len_bytes.saturating_sub(left.unwrap_or_default());
        if more > 0 {
            self.progress.expect(more);
        }
        self.progress.advance(len_bytes);
    }
}
