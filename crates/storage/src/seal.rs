//! The seal of a stream: its last four bytes as a little-endian number (SPEC 4.3).
//!
//! Invariants: a stream shorter than four bytes is sealed as if zeros followed it.

use std::array;

const SEAL_LEN_BYTES: usize = 4;

/// The seal of a whole stream.
pub fn seal_of(stream: &[u8]) -> u32 {
    let mut tail = Tail::default();
    tail.push(stream);
    tail.seal()
}

/// The last bytes of a stream that is being written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tail {
    bytes: [u8; SEAL_LEN_BYTES],
    len_bytes: usize,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let new = bytes.len().min(SEAL_LEN_BYTES);
        let kept = self.len_bytes.min(SEAL_LEN_BYTES - new);
        let mut last = self
            .bytes
            .into_iter()
            .take(self.len_bytes)
            .skip(self.len_bytes - kept)
            .chain(bytes.iter().copied().skip(bytes.len() - new));
        self.bytes = array::from_fn(|_| last.next().unwrap_or(0));
        self.len_bytes = kept + new;
    }

    pub(crate) const fn seal(self) -> u32 {
        u32::from_le_bytes(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_does_not_depend_on_how_the_stream_was_cut() {
        let stream: Vec<u8> = (1..=11).collect();
        for len in 0..=stream.len() {
            let whole = &stream[..len];
            let mut expected = [0; 4];
            let tail = &whole[len.saturating_sub(4)..];
            expected[..tail.len()].copy_from_slice(tail);
            for first in 0..=len {
                for second in first..=len {
                    let mut pieces = Tail::default();
                    pieces.push(&whole[..first]);
                    pieces.push(&whole[first..second]);
                    pieces.push(&whole[second..]);
                    assert_eq!(pieces.seal(), u32::from_le_bytes(expected), "{first} {second}");
                }
            }
            assert_eq!(seal_of(whole), u32::from_le_bytes(expected));
        }
    }
}
