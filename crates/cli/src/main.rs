//! The `alluvium` command.

use std::process::ExitCode;

/// RocksDB allocates and frees blocks of all sizes, from many threads, for as long as the job runs;
/// the allocator of the C library keeps much of what was freed in between.
#[cfg(feature = "rocksdb")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    alluvium_cli::main()
}
