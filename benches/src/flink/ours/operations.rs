//! Operations on state, one kind of it in one process.

use alluvium_benches::cases::{Case, Kind, Subject};
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_rocksdb::{RocksDbMemory, RocksDbStateBackend};
use alluvium_state::KeyedStateBackend;
use tempfile::TempDir;

use super::{ROCKSDB_LEN_BYTES, Service, nanos, open_empty};

struct Operations<B> {
    subject: Subject<B>,
    /// Where RocksDB works.
    _dir: Option<TempDir>,
}

pub(super) fn service(backend: &str, kind: &str, keys: &str) -> Option<Box<dyn Service>> {
    let (kind, keys) = (Kind::of(kind)?, keys.parse().ok()?);
    Some(match backend {
        "heap" => in_memory(StateMapKind::CopyOnWrite, kind, keys),
        "nested" => in_memory(StateMapKind::Nested, kind, keys),
        "rocksdb" => {
            let (dir, backend) = rocksdb();
            let subject = Subject::new(open_empty(&backend), kind, keys, None);
            // What the fill has left to flush and compact.
            std::thread::sleep(std::time::Duration::from_secs(2));
            Box::new(Operations { subject, _dir: Some(dir) })
        }
        _ => return None,
    })
}

fn in_memory(map: StateMapKind, kind: Kind, keys: u64) -> Box<dyn Service> {
    let subject = Subject::new(open_empty(&HeapStateBackend::new(map)), kind, keys, None);
    Box::new(Operations { subject, _dir: None })
}

/// A backend in a folder of its own.
pub(super) fn rocksdb() -> (TempDir, RocksDbStateBackend) {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let memory = RocksDbMemory::new(ROCKSDB_LEN_BYTES).expect("enough memory");
    let backend = RocksDbStateBackend::new(dir.path()).memory(&memory);
    (dir, backend)
}

impl<B: KeyedStateBackend<Key = u64>> Service for Operations<B> {
    fn answer(&mut self, request: &[&str]) -> Option<Vec<u64>> {
        match request {
            ["run", case, operations] => {
                let done = self.subject.run(Case::of(case)?, operations.parse().ok()?);
                Some(vec![nanos(done.took), done.checksum])
            }
            ["digest"] => Some(vec![self.subject.digest()]),
            _ => None,
        }
    }
}
