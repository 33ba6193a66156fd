//! A path below a storage root.
//!
//! Invariants: at least one component; components are separated by one `/`; none is empty, `.`
//! or `..`; no control character and no backslash; at most 1,024 bytes. Joined to a root, such a
//! path cannot name anything outside it.

use std::fmt;
use std::sync::Arc;

use crate::PathError;

/// Longest path below a root, in bytes: the limit of S3 object keys.
const MAX_PATH_LEN_BYTES: usize = 1024;
/// Longest component, in bytes: the limit of common file systems.
const MAX_COMPONENT_LEN_BYTES: usize = 255;

/// A checked path relative to a storage root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoragePath(Arc<str>);

impl StoragePath {
    /// Checks and wraps a path.
    ///
    /// Errors: [`PathError`] naming the rule that is broken. Source: SPEC 2.1.
    pub fn new(path: &str) -> Result<Self, PathError> {
        match Self::broken_rule(path) {
            Some(reason) => Err(PathError { found: path.to_owned(), reason }),
            None => Ok(Self(Arc::from(path))),
        }
    }

    fn broken_rule(path: &str) -> Option<&'static str> {
        if path.is_empty() {
            return Some("it is empty");
        }
        if path.len() > MAX_PATH_LEN_BYTES {
            return Some("it is longer than 1,024 bytes");
        }
        if path.chars().any(|c| c.is_control() || c == '\\') {
            return Some("it holds a control character or a backslash");
        }
        for component in path.split('/') {
            match component {
                "" => return Some("it is absolute or holds an empty component"),
                "." | ".." => return Some("it holds the component . or .."),
                long if long.len() > MAX_COMPONENT_LEN_BYTES => {
                    return Some("a component is longer than 255 bytes");
                }
                _ => {}
            }
        }
        None
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This path with one more path below it.
    ///
    /// Errors: [`PathError`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::new(&format!("{}/{below}", self.0))
    }

    /// The path without its last component; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(Arc::from(parent)))
    }

    /// The last component as a path of its own.
    #[must_use]
    pub fn without_folders(&self) -> Self {
        Self(Arc::from(self.file_name()))
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoragePath({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_root_is_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(520) + "f";
        let bad = ["", "/", "/etc", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb"];
        for path in bad.into_iter().chain(["a\\b", &long, &deep]) {
            assert!(StoragePath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        let path = StoragePath::new("chk-7/_metadata").unwrap();
        assert_eq!(path.file_name(), "_metadata");
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_str(), "chk-7");
        assert_eq!(parent.parent(), None);
        assert_eq!(parent.join("_metadata").unwrap(), path);
        assert!(parent.join("../x").is_err());
        assert_eq!(path.without_folders().as_str(), "_metadata");
        assert_eq!(parent.without_folders(), parent);
    }
}
