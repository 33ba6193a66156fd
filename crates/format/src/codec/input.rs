//! A cursor over bytes that never reads past their end.

use crate::CodecError;

/// Bytes and how far they have been read.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    rest: &'a [u8],
    total_len: usize,
}

impl<'a> Input<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total_len: bytes.len() }
    }

    /// How many bytes have been read.
    pub const fn offset(&self) -> usize {
        self.total_len - self.rest.len()
    }

    /// What has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all bytes have been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads `len` bytes.
    ///
    /// Errors: [`CodecError::Truncated`].
    pub fn take(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], CodecError> {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        if let Some((taken, rest)) = split {
            self.rest = rest;
            Ok(taken)
        } else {
            let (offset, left) = (self.offset(), self.rest.len());
            Err(CodecError::Truncated { what, offset, needed: len, left })
        }
    }

    /// Reads an array.
    ///
    /// Errors: [`CodecError::Truncated`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        if let Some((array, rest)) = self.rest.split_first_chunk::<N>() {
            self.rest = rest;
            Ok(*array)
        } else {
            let (offset, left) = (self.offset(), self.rest.len());
            Err(CodecError::Truncated { what, offset, needed: N as u64, left })
        }
    }

    /// Reads as many arrays as there are, at most `count`.
    #[inline]
    pub(super) fn arrays<const N: usize>(&mut self, count: u64) -> &'a [[u8; N]] {
        let (arrays, _) = self.rest.as_chunks::<N>();
        let wanted = usize::try_from(count).unwrap_or(usize::MAX).min(arrays.len());
        let (arrays, _) = arrays.split_at(wanted);
        self.rest = self.rest.get(wanted * N..).unwrap_or_default();
        arrays
    }

    /// Checks that everything has been read.
    ///
    /// Errors: [`CodecError::TrailingBytes`].
    pub fn finish(self) -> Result<(), CodecError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CodecError::TrailingBytes { offset: self.offset(), left: self.rest.len() })
        }
    }
}
