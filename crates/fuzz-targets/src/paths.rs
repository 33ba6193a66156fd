//! Target `paths`: paths of files, job ids and operator uids, wherever they come from (SPEC 2.1).
//!
//! Invariants checked:
//! - nothing panics, whatever the text is;
//! - memory: the text, twice;
//! - a path that is taken leads to nothing outside its root: it is relative, and no component is empty, `.`
//!   or `..`; its parent and its last component are taken as well and make the path;
//! - names that are taken are one component of a path.

use alluvium_core::{JobId, OperatorUid, StoragePath};

use crate::bound::{COPIED, bounded};

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let is_name = |name: &str| {
        assert_eq!(name, text, "a name is kept as it is");
        assert!(!name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | ".."), "{name:?}");
    };
    if let Ok(job) = bounded(input, COPIED, || JobId::new(text)) {
        is_name(job.as_str());
    }
    if let Ok(uid) = bounded(input, COPIED, || OperatorUid::new(text)) {
        is_name(uid.as_str());
    }
    let Ok(path) = bounded(input, COPIED, || StoragePath::new(text)) else { return };
    assert_eq!(path.as_str(), text, "a path is kept as it is");
    assert!(!text.starts_with('/') && text.len() <= 1_024, "{text:?}");
    assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")), "{text:?}");
    if let Some(parent) = path.parent() {
        let again = parent.join(path.file_name());
        assert_eq!(again.as_ref().ok(), Some(&path), "{text:?} from its parts");
    }
    assert_eq!(path.without_folders().as_str(), path.file_name(), "{text:?} without folders");
}
