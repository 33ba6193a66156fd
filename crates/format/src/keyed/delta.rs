//! The head of a delta block: how many of its records are removals.
//!
//! Fields of a delta block in order: number of removals; removals (key, namespace); entries
//! (key, namespace, value). Applied to a segment, removals come first.
//!
//! Source: SPEC 6.4.

use crate::CodecError;
use crate::codec::Input;
use crate::wire::put_varint;

/// Appends the number of removals, which is followed by the removals and then the entries.
pub fn write_delta_header(removals: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(removals), out);
}

/// Reads the number of removals of a delta block with `records` records; the others are entries.
///
/// Errors: [`CodecError::Truncated`]; [`CodecError::Invalid`] above the number of records.
pub fn read_delta_header(input: &mut Input<'_>, records: u32) -> Result<u32, CodecError> {
    let (what, offset) = ("number of removals", input.offset());
    let removals = input.varint_u32(what)?;
    if removals <= records {
        Ok(removals)
    } else {
        Err(CodecError::Invalid { what, offset, reason: "above the number of records" })
    }
}
