//! Points and a lock that the scheduler knows of.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the scheduler runs this, and may stop it here.
fn is_scheduled() -> bool {
    shuttle::current::try_get_current_task().is_some() && !std::thread::panicking()
}

/// Others may go on here.
pub(crate) fn point() {
    if is_scheduled() {
        // Takes no time there: it only lets the scheduler choose.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// A [`std::sync::OnceLock`] whose maker may be stopped at a point while others come and wait.
///
/// The standard one would stop the only thread of the scheduler there, and all with it.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_being_made: AtomicBool,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), is_being_made: AtomicBool::new(false) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        point();
        self.value.get()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if !is_scheduled() {
            return self.value.get_or_init(make);
        }
        point();
        if !self.is_being_made.swap(true, Ordering::SeqCst) {
            let value = make();
            point();
            return self.value.get_or_init(|| value);
        }
        loop {
            if let Some(value) = self.value.get() {
                return value;
            }
            shuttle::thread::yield_now();
        }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        point();
        self.value.set(value)
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}
