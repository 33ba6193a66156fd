//! Bounds how much memory a decoder takes: 64 KiB, and a factor of its input.

/// What every decoder may take.
const BASE_LEN_BYTES: u64 = 64 * 1024;

/// The factor where what is decoded is as large as what it is decoded from: bytes are copied, and a
/// buffer that grows is there twice for a moment.
pub(crate) const COPIED: usize = 2;

/// The factor of a list that grows as its items are read, each of which takes `encoded` bytes of the
/// input at least and `item` bytes in memory: when it grows, the old and the new room are there together,
/// three times what the items need.
pub(crate) const fn listed(item: usize, encoded: usize) -> usize {
    COPIED + 3 * item.div_ceil(encoded)
}

/// Runs a decoder, whose peak of memory must not be above the base and `factor` times its input.
///
/// Panics: when it is, naming both numbers.
pub(crate) fn bounded<R>(input: &[u8], factor: usize, decode: impl FnOnce() -> R) -> R {
    let mut decoded = None;
    let used = allocation_counter::measure(|| decoded = Some(decode()));
    let limit = BASE_LEN_BYTES + (factor * input.len()) as u64;
    let peak = used.bytes_max;
    assert!(peak <= limit, "{peak} bytes for {} bytes of input, above {limit}", input.len());
    let Some(decoded) = decoded else { unreachable!("what was measured has run") };
    decoded
}
