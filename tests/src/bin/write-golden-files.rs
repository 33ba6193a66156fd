//! Writes the golden files of the newest set: `cargo run -p alluvium-tests --features rocksdb --bin
//! write-golden-files -- <folder>`. Files that are there already are left as they are, so that it can
//! only add.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alluvium::heap::HeapStateBackend;
use alluvium_tests::golden::{self, CASES, Writer, content, types};

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("Usage: write-golden-files FOLDER, tests/golden/v1 for example.");
        return ExitCode::from(2);
    };
    for case in &CASES {
        write(&dir.join(case.name), case.writer, |folder| golden::write(case, folder));
    }
    write(&dir.join(types::NAME), Writer::CopyOnWrite, types::write);
    ExitCode::SUCCESS
}

/// Writes a case that is not there yet, and what it holds.
fn write(folder: &Path, by: Writer, write: impl FnOnce(&Path)) {
    if folder.exists() {
        eprintln!("{} is there already", folder.display());
        return;
    }
    std::fs::create_dir_all(folder).unwrap();
    write(folder);
    let mut text = lines(by, folder).join("\n");
    text.push('\n');
    std::fs::write(folder.join("content.txt"), text).unwrap();
    eprintln!("{} is written", folder.display());
}

/// What was written, as it is read back.
fn lines(by: Writer, folder: &Path) -> Vec<String> {
    let found = golden::find(folder);
    let mut lines = match by {
        Writer::RocksDb => by_rocksdb(&found),
        _ => content::keyed(&HeapStateBackend::default(), &found),
    };
    lines.extend(content::operator(&found));
    lines
}

#[cfg(feature = "rocksdb")]
fn by_rocksdb(found: &golden::Found) -> Vec<String> {
    let work = tempfile::tempdir().unwrap();
    content::keyed(&alluvium::rocksdb::RocksDbStateBackend::new(work.path()), found)
}

#[cfg(not(feature = "rocksdb"))]
fn by_rocksdb(found: &golden::Found) -> Vec<String> {
    content::keyed(&HeapStateBackend::default(), found)
}
