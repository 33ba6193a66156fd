//! Damage: checkpoints in memory, what is done to their files, and what is said of it.
//!
//! Roles: a [`Subject`] is a checkpoint of a backend; [`cases`] lists what can be done to it; [`try_case`]
//! does one thing and asks whether the checkpoint may be restored, as a job does that begins from it.
//!
//! Invariants: a case is *detected* when that question is answered with an error that names the file; then no
//! record has been used, since nothing was opened. A case changes one file, which is put right again.

mod damage;
mod files;
mod subject;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use damage::{Damage, Kind, cases};
pub use files::{FileMap, Files};
#[cfg(feature = "rocksdb")]
pub use subject::rocksdb_history;
pub use subject::{Subject, all_subjects, fs_backend, golden_subjects, history, newest_of};

/// What was counted of the cases of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// Cases.
    pub cases: u64,
    /// Those whose error says where in the file, or how long it should be.
    pub with_place: u64,
    /// Those whose error says what was expected and what was found.
    pub with_both: u64,
}

/// Counts by kind.
pub type Counts = BTreeMap<Kind, Count>;

/// Damages a file, asks, and puts it right again.
///
/// Panics: where the damage was not detected, or where the error does not name the file.
pub fn try_case(subject: &Subject, files: &Arc<Files>, (path, damage): &(String, Damage)) -> Count {
    let whole = &subject.files[path];
    match damage.of(whole) {
        Some(bytes) => files.lock_files().insert(path.clone(), bytes),
        None => files.lock_files().remove(path),
    };
    let outcome = subject.gate(files);
    files.lock_files().insert(path.clone(), whole.clone());
    let error = match outcome {
        Ok(_) => panic!("{}: {path} {damage:?} was not detected", subject.name),
        Err(error) => error.to_string(),
    };
    let is_metadata = path.ends_with("_metadata");
    let names_file = error.contains(path.as_str()) || (is_metadata && error.contains("files:"));
    assert!(names_file, "{}: {path} {damage:?} is not named: {error}", subject.name);
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let with_place = says(&["offset", " bytes", "seal is", "does not exist", "no _metadata"]);
    let with_both = says(&["expected", "seal is", "not supported", "first bytes"]);
    Count { cases: 1, with_place: u64::from(with_place), with_both: u64::from(with_both) }
}

/// Adds the counts of one kind.
pub fn add(counts: &mut Counts, kind: Kind, more: Count) {
    let count = counts.entry(kind).or_default();
    count.cases += more.cases;
    count.with_place += more.with_place;
    count.with_both += more.with_both;
}
