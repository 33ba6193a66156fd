//! The rules of a time to live at one moment.

use super::{UpdateType, Visibility};

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Unchanged,
    /// It was changed and stays.
    Changed,
    /// It goes.
    Removed,
}

/// The rules of a [`StateTtl`](super::StateTtl) at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtlMoment {
    time_to_live_ms: i64,
    now_ms: i64,
    update: UpdateType,
    visibility: Visibility,
}

impl TtlMoment {
    pub(super) const fn new(
        time_to_live_ms: i64,
        now_ms: i64,
        update: UpdateType,
        visibility: Visibility,
    ) -> Self {
        Self { time_to_live_ms, now_ms, update, visibility }
    }

    /// The time, in milliseconds.
    pub const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Whether a value has expired. Stamps in the future have not, and no sum overflows.
    #[inline]
    pub const fn is_expired(&self, stamp_ms: i64) -> bool {
        self.now_ms >= stamp_ms.saturating_add(self.time_to_live_ms)
    }

    /// Whether a value that is there is shown.
    #[inline]
    pub fn is_visible(&self, stamp_ms: i64) -> bool {
        !self.is_expired(stamp_ms) || self.visibility == Visibility::ReturnExpiredIfNotCleanedUp
    }

    /// Whether reading a value changes anything.
    #[inline]
    pub(super) fn needs_touch(&self, stamp_ms: i64) -> bool {
        self.is_expired(stamp_ms)
            || (self.update == UpdateType::OnReadAndWrite && stamp_ms != self.now_ms)
    }

    /// What reading does to a value: it goes if it has expired, and gets a new stamp if reading
    /// counts.
    pub(super) fn touch(&self, stamp_ms: &mut i64) -> Verdict {
        if self.is_expired(*stamp_ms) {
            Verdict::Removed
        } else if self.needs_touch(*stamp_ms) {
            *stamp_ms = self.now_ms;
            Verdict::Changed
        } else {
            Verdict::Unchanged
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ms: i64, update: UpdateType) -> TtlMoment {
        TtlMoment::new(10, now_ms, update, Visibility::default())
    }

    #[test]
    fn a_value_expires_when_its_time_is_over_and_not_before() {
        let update = UpdateType::OnCreateAndWrite;
        assert!(!at(14, update).is_expired(5));
        assert!(at(15, update).is_expired(5));
        assert!(!at(14, update).is_expired(100), "a stamp in the future");
        assert!(!at(i64::MIN, update).is_expired(i64::MIN));
        assert!(at(i64::MAX, update).is_expired(i64::MAX - 1), "the sum does not wrap");
        assert!(!at(i64::MAX - 1, update).is_expired(i64::MAX - 1));
    }

    #[test]
    fn reading_removes_refreshes_or_leaves_alone() {
        let touched = |moment: TtlMoment, mut stamp_ms| (moment.touch(&mut stamp_ms), stamp_ms);
        let on_write = at(14, UpdateType::OnCreateAndWrite);
        assert_eq!(touched(on_write, 5), (Verdict::Unchanged, 5));
        assert_eq!(touched(on_write, 4), (Verdict::Removed, 4));
        let on_read = at(14, UpdateType::OnReadAndWrite);
        assert_eq!(touched(on_read, 5), (Verdict::Changed, 14));
        assert_eq!(touched(on_read, 4), (Verdict::Removed, 4));
        assert_eq!(touched(on_read, 14), (Verdict::Unchanged, 14));
        for (moment, stamp_ms) in [(on_write, 5), (on_write, 4), (on_read, 5), (on_read, 14)] {
            let is_left = touched(moment, stamp_ms).0 != Verdict::Unchanged;
            assert_eq!(moment.needs_touch(stamp_ms), is_left);
        }
    }
}
