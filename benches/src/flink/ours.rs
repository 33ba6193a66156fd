//! The side of this project: a process that sets state up and does what it is asked to.
//!
//! Each line that it reads is a request, each line that it prints an answer; what they are stands in
//! [`alluvium_benches::contender`]. The Java program in `benches/flink` answers the same requests.

mod operations;
mod rescaling;
mod snapshots;
mod word_count;

use std::io::{BufRead, Write};
use std::sync::Arc;

use alluvium_benches::contender::answer_line;
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets;
use alluvium_format::codec::DefaultCodec;
use alluvium_state::StateBackend;
use alluvium_storage::{HandleReader, ReadAccess};

/// Memory of RocksDB, here and in Flink.
pub(crate) const ROCKSDB_LEN_BYTES: usize = 256 * 1024 * 1024;

/// What answers requests.
pub(crate) trait Service {
    /// Does what the words say; `None` when they say nothing.
    fn answer(&mut self, request: &[&str]) -> Option<Vec<u64>>;
}

/// Answers requests until there are none any more.
pub(crate) fn serve(task: &[String]) -> Result<(), String> {
    let words: Vec<_> = task.iter().map(String::as_str).collect();
    let wrong = || format!("no task: {}", words.join(" "));
    let mut service = match words[..] {
        ["operations", backend, kind, keys] => operations::service(backend, kind, keys),
        ["snapshots", backend, keys] => snapshots::service(backend, keys),
        ["rescaling", backend, keys] => rescaling::service(backend, keys),
        ["words", backend, words] => word_count::service(backend, words),
        _ => None,
    }
    .ok_or_else(wrong)?;
    say(&answer_line(&[]));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("nothing can be read: {error}"))?;
        let request: Vec<_> = line.split_whitespace().collect();
        let answer = service.answer(&request).ok_or_else(|| format!("no request: {line}"))?;
        say(&answer_line(&answer));
    }
    Ok(())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// The only subtask of a backend, with nothing in it.
fn open_empty<S: StateBackend>(backend: &S) -> S::Keyed<u64, DefaultCodec> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let spec = targets::spec_of::<u64>(0, 1, alluvium_benches::cases::KEY_GROUPS);
    backend.open(spec, &[], &nowhere).expect("nothing to restore")
}

/// Nanoseconds, as they stand in answers.
fn nanos(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
