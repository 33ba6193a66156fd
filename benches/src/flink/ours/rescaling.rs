//! Restoring and rescaling from local files.

use alluvium_benches::cases::{Rescaling, Step};
use alluvium_fs::FsStateBackend;
use alluvium_heap::HeapStateBackend;
use alluvium_state::{SnapshotMode, StateBackend};
use tempfile::TempDir;

use super::operations::rocksdb;
use super::{Service, nanos};

struct Opening<S> {
    rescaling: Rescaling<S>,
    _dir: Option<TempDir>,
}

pub(super) fn service(backend: &str, keys: &str) -> Option<Box<dyn Service>> {
    let keys = keys.parse().ok()?;
    Some(match backend {
        "heap" => {
            let rescaling = Rescaling::new(HeapStateBackend::default(), keys, SnapshotMode::Full);
            Box::new(Opening { rescaling, _dir: None })
        }
        "fs" => {
            let rescaling = Rescaling::new(FsStateBackend::default(), keys, SnapshotMode::Full);
            Box::new(Opening { rescaling, _dir: None })
        }
        "rocksdb" => {
            let (dir, backend) = rocksdb();
            let rescaling = Rescaling::new(backend, keys, SnapshotMode::Incremental);
            Box::new(Opening { rescaling, _dir: Some(dir) })
        }
        _ => return None,
    })
}

impl<S: StateBackend> Service for Opening<S> {
    fn answer(&mut self, request: &[&str]) -> Option<Vec<u64>> {
        let [step] = request else { return None };
        let done = self.rescaling.run(Step::of(step)?);
        Some(vec![nanos(done.took), done.checksum])
    }
}
