//! How often each file is referenced by the pending and the retained checkpoints.
//!
//! Invariants:
//! - the count of a file is the number of references to it in these checkpoints, as the file of a
//!   stream or as a shared file that a stream refers to; files that are to be spared count once
//!   more, for ever;
//! - a file is handed out for deletion when its last reference is released, and only then.
//!
//! Looking up, adding and releasing a state cost what that state holds, however much is retained.
//!
//! Source: Flink `SharedStateRegistry`.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::StoragePath;

#[derive(Debug, Clone, Default)]
pub(crate) struct FileRegistry {
    counts: BTreeMap<StoragePath, usize>,
}

impl FileRegistry {
    pub(crate) fn add<'a>(&mut self, files: impl Iterator<Item = &'a StoragePath>) {
        for file in files {
            *self.counts.entry(file.clone()).or_default() += 1;
        }
    }

    /// Takes back one `add` of the same files; what nobody references any more may be deleted.
    #[must_use = "nobody else will ever name these files"]
    pub(crate) fn release<'a>(
        &mut self,
        files: impl Iterator<Item = &'a StoragePath>,
    ) -> BTreeSet<StoragePath> {
        let mut free = BTreeSet::new();
        for file in files {
            let count = self.counts.get_mut(file);
            assert!(count.is_some(), "file {file} was released more often than it was added");
            let Some(count) = count else { continue };
            *count -= 1;
            if *count == 0 {
                free.extend(self.counts.remove_entry(file).map(|(file, _)| file));
            }
        }
        free
    }

    /// Whether a checkpoint references the file.
    pub(crate) fn contains(&self, file: &StoragePath) -> bool {
        self.counts.contains_key(file)
    }
}
