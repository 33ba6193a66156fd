//! What [`LocalStorage`](crate::LocalStorage) does to the file system, call by call, for tests of power
//! cuts: `make power-cuts`.
//!
//! Behind the feature `journal`, which only tests switch on; without it nothing is noted, and the
//! compiler drops the calls. Lock files are not noted: nothing of them has to survive.
//!
//! Invariants: a step is noted after it has happened and before the call returns to whoever made it, so
//! a step that follows from another one comes after it. A folder is noted before it is made, for those
//! who find it, and perhaps more than once.

#[cfg(feature = "journal")]
pub use on::{Step, Written, mark, start, stop};

#[cfg(feature = "journal")]
pub(crate) use on::add;

/// Notes a step; nothing without the feature.
macro_rules! note {
    ($step:ident, $($field:ident = $value:expr),+ $(,)?) => {
        #[cfg(feature = "journal")]
        $crate::journal::add(|| $crate::journal::Step::$step { $($field: $value.into()),+ });
    };
}
pub(crate) use note;

#[cfg(feature = "journal")]
mod on {
    use std::path::PathBuf;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// One step.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Step {
        /// A folder is made, unless it is there.
        MakeDir {
            /// The folder.
            dir: PathBuf,
        },
        /// An empty file was made.
        Create {
            /// The file.
            path: PathBuf,
        },
        /// Bytes were added at the end of a file.
        Write {
            /// The file.
            path: PathBuf,
            /// The bytes.
            bytes: Written,
        },
        /// The bytes of a file were synced.
        Sync {
            /// The file.
            path: PathBuf,
        },
        /// A file got one more name.
        Link {
            /// A name it has.
            from: PathBuf,
            /// The new one.
            to: PathBuf,
        },
        /// A file was moved over another one.
        Rename {
            /// Its name before.
            from: PathBuf,
            /// Its name now.
            to: PathBuf,
        },
        /// A name was removed.
        Remove {
            /// The name.
            path: PathBuf,
        },
        /// A folder was removed with all that was in it.
        RemoveTree {
            /// The folder.
            dir: PathBuf,
        },
        /// The names in a folder were synced.
        SyncDir {
            /// The folder.
            dir: PathBuf,
        },
        /// Whoever records says something.
        Mark {
            /// What.
            text: String,
        },
    }

    /// Bytes that were written.
    pub type Written = Vec<u8>;

    static STEPS: Mutex<Option<Vec<Step>>> = Mutex::new(None);

    fn steps() -> MutexGuard<'static, Option<Vec<Step>>> {
        STEPS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to note the steps of the whole process.
    pub fn start() {
        *steps() = Some(Vec::new());
    }

    /// Ends it, and gives the steps.
    pub fn stop() -> Vec<Step> {
        steps().take().unwrap_or_default()
    }

    /// Puts a word among the steps.
    pub fn mark(text: &str) {
        add(|| Step::Mark { text: text.to_owned() });
    }

    pub(crate) fn add(step: impl FnOnce() -> Step) {
        if let Some(steps) = steps().as_mut() {
            steps.push(step());
        }
    }
}
