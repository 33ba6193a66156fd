//! The other stores, each used as a careful user of it would use it for state that can be lost between
//! two checkpoints: nothing is synced before it is asked for.

mod fjall;
mod hashbrown;
mod imbl;
mod raw_rocksdb;
mod redb;

use std::path::Path;

use ::foldhash::fast::FixedState;
use alluvium_benches::targets::HASH_SEED;

pub(crate) use self::fjall::Fjall;
pub(crate) use self::hashbrown::Hashbrown;
pub(crate) use self::imbl::Imbl;
pub(crate) use self::raw_rocksdb::RawRocksDb;
pub(crate) use self::redb::Redb;

/// Memory that a store on disk may use for what it caches, and RocksDB for what it has not written yet
/// as well; more than all state of a kind, so the disk is not what is measured.
pub(crate) const MEMORY_LEN_BYTES: usize = 2 * 1024 * 1024 * 1024;

/// What fails only when the bench itself is wrong, or the disk is full.
const RIGHT_USE: &str = "a store in a folder of its own does not fail";

/// Hashes as the tables of the heap backend do, but for the seed.
#[derive(Debug, Clone)]
pub(crate) struct Hashing(FixedState);

impl Default for Hashing {
    fn default() -> Self {
        Self(FixedState::with_seed(HASH_SEED))
    }
}

impl std::hash::BuildHasher for Hashing {
    type Hasher = <FixedState as std::hash::BuildHasher>::Hasher;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// Copies all files below a folder: what another process would find after this one is killed.
fn copy_files(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).expect(RIGHT_USE);
    for entry in std::fs::read_dir(from).expect(RIGHT_USE) {
        let path = entry.expect(RIGHT_USE).path();
        let target = into.join(path.file_name().expect("an entry of a folder has a name"));
        if path.is_dir() {
            copy_files(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect(RIGHT_USE);
        }
    }
}
