//! The source itself: direction of crates, size of files, leftovers, links into SPEC.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alluvium_tests::top;

/// What each crate may depend on, besides crates from outside. Source: ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("format", &["core"]),
    ("storage", &["core"]),
    ("state", &["core", "format", "storage"]),
    ("heap", &["core", "format", "storage", "state"]),
    ("fs", &["core", "format", "storage", "state", "heap"]),
    ("rocksdb", &["core", "format", "storage", "state"]),
    ("coordinator", &["core"]),
    ("runtime", &["core", "format", "storage", "state", "coordinator"]),
    ("inspect", &["core", "format", "storage", "state"]),
    (
        "alluvium",
        &[
            "core",
            "format",
            "storage",
            "state",
            "heap",
            "fs",
            "rocksdb",
            "coordinator",
            "runtime",
            "inspect",
        ],
    ),
    ("rest", &["core", "state", "storage", "coordinator", "runtime"]),
    ("bench", &["alluvium"]),
    ("cli", &["alluvium", "bench", "rest"]),
    ("testkit", &["core", "format", "storage", "state"]),
    ("fuzz-targets", &["core", "format", "storage", "state", "heap", "rocksdb", "rest", "testkit"]),
    ("sim", &["core", "format", "storage", "state", "coordinator", "runtime", "testkit"]),
];

/// Longest file, in lines; where one idea needs more, it is two ideas.
const MAX_LINES: usize = 500;

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // `benches/compare` may have been built without the folder that the Makefile sets.
            if !path.ends_with("target") {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in ["benches", "crates", "tests"] {
        files(&top().join(dir), "rs", &mut found);
    }
    assert!(found.len() > 80, "{} source files", found.len());
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The `alluvium-*` names in one section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside && line.starts_with("alluvium") {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            names.push(name.strip_prefix("alluvium-").unwrap_or(name).to_owned());
        }
    }
    names
}

#[test]
fn crates_depend_in_one_direction() {
    let allowed: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(top().join("crates")).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not listed"));
        let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap();
        for used in dependencies(&manifest, "dependencies") {
            assert!(allowed.contains(&used.as_str()), "{name} must not depend on {used}");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has its own lints");
        seen += 1;
    }
    assert_eq!(seen, MAY_USE.len(), "one crate per row of the map");
}

/// The version of a package in a lock file.
fn locked(lock: &str, package: &str) -> String {
    let lock = std::fs::read_to_string(top().join(lock)).unwrap();
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\n")).expect(package);
    rest.lines().next().unwrap().to_owned()
}

/// One archive of RocksDB is linked into both.
#[test]
fn both_workspaces_have_the_same_rocksdb() {
    for package in ["librocksdb-sys", "rocksdb"] {
        let [own, compared] =
            ["Cargo.lock", "benches/compare/Cargo.lock"].map(|lock| locked(lock, package));
        assert_eq!(own, compared, "{package}");
    }
}

#[test]
fn files_are_short_and_open_with_their_purpose() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        let is_test =
            path.ends_with("tests.rs") || path.parent().is_some_and(|dir| dir.ends_with("tests"));
        assert!(is_test || text.starts_with("//!"), "{} has no header", path.display());
    }
}

#[test]
fn nothing_unfinished_or_switched_off_is_left() {
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let ignored = ["#[ig", "nore"].concat();
    for (path, text) in sources() {
        for word in words.iter().chain([&ignored]) {
            assert!(!text.contains(word.as_str()), "{} contains {word}", path.display());
        }
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let bare = line.starts_with("matches!(") && line.ends_with(");");
            assert!(!bare, "{}:{}: a bare matches! asserts nothing", path.display(), number + 1);
        }
    }
}

#[test]
fn only_storage_and_the_command_touch_the_file_system() {
    for (path, text) in sources() {
        let path = path.strip_prefix(top()).unwrap().display().to_string();
        let library = [
            "core",
            "format",
            "state",
            "heap",
            "fs",
            "coordinator",
            "runtime",
            "inspect",
            "alluvium",
        ]
        .iter()
        .any(|name| path.starts_with(&format!("crates/{name}/src")));
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        if library && !is_test {
            assert!(!text.contains("std::fs"), "{path} names std::fs");
        }
    }
}

#[test]
fn every_cited_section_of_the_specification_exists() {
    let spec = std::fs::read_to_string(top().join("SPEC.md")).unwrap();
    let mut cited = 0;
    for (path, text) in sources() {
        for (at, _) in text.match_indices("SPEC ") {
            let section: String =
                text[at + 5..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let section = section.trim_end_matches('.');
            if section.is_empty() {
                continue;
            }
            let heading = format!("# {section} ");
            assert!(spec.contains(&heading), "{} cites SPEC {section}", path.display());
            cited += 1;
        }
    }
    assert!(cited > 20, "{cited} citations");
}

#[test]
fn unsafe_code_has_its_reason() {
    let mut blocks = 0;
    for (path, text) in sources() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let found = code.filter(|line| line.contains(concat!("unsafe", " {"))).count();
        let is_engine = path.display().to_string().contains("crates/rocksdb/src/engine/raw");
        blocks += if is_engine { 0 } else { found };
        let reasons = text.matches("SAFETY:").count();
        assert!(found <= reasons, "{}: {found} blocks, {reasons} reasons", path.display());
    }
    // The memory mapping, and the two casts of tables in crates/heap/src/backend/registered.rs.
    assert_eq!(blocks, 3, "blocks outside RocksDB's calls");
}

/// What the facade can reach, the command can be built to reach.
#[test]
fn the_command_has_every_storage_of_the_facade() {
    let features = |name: &str| -> Vec<String> {
        let manifest = top().join("crates").join(name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let (_, features) = manifest.split_once("\n[features]\n").unwrap();
        let (features, _) = features.split_once("\n[").unwrap();
        features.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (facade, command) = (features("alluvium"), features("cli"));
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let mut storages = 0;
    for line in facade.iter().filter(|line| line.contains("\"alluvium-storage/")) {
        let name = line.split(' ').next().unwrap();
        let is_default = facade.iter().any(|it| it.starts_with("default") && it.contains(name));
        let forwarded = format!("{name} = [\"alluvium/{name}\"]");
        assert!(is_default || command.contains(&forwarded), "the command has no feature {name}");
        assert!(is_default || readme.contains(name), "README.md does not name the feature {name}");
        storages += 1;
    }
    assert_eq!(storages, 3, "s3, gcs, azblob");
}
