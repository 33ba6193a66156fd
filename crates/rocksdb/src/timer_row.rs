//! Rows of timers, and how their places become entries of a keyed stream and come from them.
//!
//! Fields of a row in order: key group; code of the time domain; time, big endian with its sign bit
//! inverted; encoded key; encoded namespace of the job. What follows the domain is the *place* of
//! the timer. In a stream, the entry is key, domain, time (little endian), namespace.
//!
//! Invariants: places of a domain and key group come in the order in which the timers fire.
//!
//! Source: SPEC 6.3, 12.3.

use alluvium_format::CodecError;
use alluvium_format::codec::Input;
use alluvium_format::keyed::{TimeDomain, ordered_time, time_of_ordered};

use crate::extent::Extent;

/// Length of domain and time.
pub(crate) const LEAD_LEN_BYTES: usize = 9;

const WHAT: &str = "row of a timer";

/// Appends domain and time.
pub(crate) fn put_lead(domain: TimeDomain, time_ms: i64, row: &mut Vec<u8>) {
    row.push(domain.code());
    row.extend_from_slice(&ordered_time(time_ms));
}

/// The time of a place.
///
/// Errors: [`CodecError::Truncated`].
pub(crate) fn time_of(place: &[u8]) -> Result<i64, CodecError> {
    Ok(time_of_ordered(Input::new(place).array(WHAT)?))
}

/// Time, encoded key and encoded namespace of a place.
///
/// Errors: [`CodecError`] when it ends inside of one.
pub(crate) fn split_place<'p>(
    key: &Extent,
    place: &'p [u8],
) -> Result<(i64, &'p [u8], &'p [u8]), CodecError> {
    let mut input = Input::new(place);
    let time_ms = time_of_ordered(input.array(WHAT)?);
    let key = key.take(&mut input)?;
    Ok((time_ms, key, input.rest()))
}

/// Appends to a key group what follows it in the row of an entry: `pair` is its key and namespace.
///
/// Errors: [`CodecError::Invalid`] for a domain that SPEC 6.3 does not have.
pub(crate) fn put_row_of_pair(
    key: &Extent,
    pair: &[u8],
    row: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let mut input = Input::new(pair);
    let key = key.take(&mut input)?;
    let (what, offset) = ("time domain of a timer", input.offset());
    let Some(domain) = TimeDomain::from_code(input.u8(what)?) else {
        return Err(CodecError::Invalid { what, offset, reason: "not one of SPEC 6.3" });
    };
    put_lead(domain, i64::from_le_bytes(input.array(WHAT)?), row);
    row.extend_from_slice(key);
    row.extend_from_slice(input.rest());
    Ok(())
}

/// Appends the entry of what follows the key group in a row.
///
/// Errors: [`CodecError`] when it ends early.
pub(crate) fn put_entry(key: &Extent, rest: &[u8], entry: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut input = Input::new(rest);
    let domain = input.u8(WHAT)?;
    let (time_ms, key, namespace) = split_place(key, input.rest())?;
    entry.extend_from_slice(key);
    entry.push(domain);
    entry.extend_from_slice(&time_ms.to_le_bytes());
    entry.extend_from_slice(namespace);
    Ok(())
}
