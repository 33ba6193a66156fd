//! Who hears how far long work is.

/// Hears of bytes; from any thread.
pub trait Progress: Sync {
    /// So many bytes are ahead, more than was said before.
    fn expect(&self, len_bytes: u64);

    /// So many bytes more are done.
    fn advance(&self, len_bytes: u64);
}

/// Nobody.
impl Progress for () {
    fn expect(&self, _: u64) {}

    fn advance(&self, _: u64) {}
}
