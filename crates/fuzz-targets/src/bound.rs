//! Bounds how much memory a decoder takes: 64 KiB, and a factor of its input.

/// What every decoder may take.
pub(crate) const BASE_LEN_BYTES: u64 = 64 * 1024;

/// The factor where what is decoded is as large as what it is decoded from: bytes are copied, and a
/// buffer that grows is there twice for a moment.
pub(crate) const COPIED: usize = 2;

/// The factor of a list that grows as its items are read, each of which takes `encoded` bytes of the
/// input at least and `item` bytes in memory: when it grows, the old and the new room are there together,
/// three times what the items need.
pub(crate) const fn listed(item: usize, encoded: usize) -> usize {
    COPIED + 3 * item.div_ceil(encoded)
}

/// The factor of a list that gets its room once, when it is known how many items there are.
pub(crate) const fn sized(item: usize, encoded: usize) -> usize {
    COPIED + item.div_ceil(encoded)
}

/// Runs something that holds more than its input, whose peak of memory must not be above a limit in bytes.
///
/// Panics: when it is, naming both numbers.
pub(crate) fn limited<R>(limit: u64, work: impl FnOnce() -> R) -> R {
    let (done, peak) = measured(work);
    assert!(peak <= limit, "{peak} bytes, above {limit}");
    done
}

/// Runs something and says how much memory it took at its peak, in bytes, on this thread.
pub(crate) fn measured<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let mut done = None;
    let used = allocation_counter::measure(|| done = Some(work()));
    let Some(done) = done else { unreachable!("what was measured has run") };
    (done, used.bytes_max)
}

/// Runs a decoder, whose peak of memory must not be above the base and `factor` times its input.
///
/// Panics: when it is, naming both numbers.
pub(crate) fn bounded<R>(input: &[u8], factor: usize, decode: impl FnOnce() -> R) -> R {
    let (decoded, peak) = measured(decode);
    let limit = BASE_LEN_BYTES + (factor * input.len()) as u64;
    assert!(peak <= limit, "{peak} bytes for {} bytes of input, above {limit}", input.len());
    decoded
}
