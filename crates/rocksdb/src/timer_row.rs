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

use alluvium_format::codec::Extent;

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
    let domain = take_domain(&mut input)?;
    put_lead(domain, i64::from_le_bytes(input.array(WHAT)?), row);
    row.extend_from_slice(key);
    row.extend_from_slice(input.rest());
    Ok(())
}

/// Appends the entry of what follows the key group in a row.
///
/// Errors: [`CodecError`] when it ends early, or has a domain that SPEC 6.3 does not have.
pub(crate) fn put_entry(key: &Extent, rest: &[u8], entry: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut input = Input::new(rest);
    let domain = take_domain(&mut input)?;
    let (time_ms, key, namespace) = split_place(key, input.rest())?;
    entry.extend_from_slice(key);
    entry.push(domain.code());
    entry.extend_from_slice(&time_ms.to_le_bytes());
    entry.extend_from_slice(namespace);
    Ok(())
}

fn take_domain(input: &mut Input<'_>) -> Result<TimeDomain, CodecError> {
    let (what, offset) = ("time domain of a timer", input.offset());
    let domain = TimeDomain::from_code(input.u8(what)?);
    domain.ok_or(CodecError::Invalid { what, offset, reason: "not one of SPEC 6.3" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The string key `a` at 1,000 ms of event time, as in SPEC 6.3 and 12.3.
    const ENTRY: [u8; 11] = [1, 0x61, 1, 0xe8, 3, 0, 0, 0, 0, 0, 0];
    const ROW: [u8; 11] = [1, 0x80, 0, 0, 0, 0, 0, 3, 0xe8, 1, 0x61];

    #[test]
    fn entries_become_rows_and_come_back() {
        let (mut row, mut entry) = (Vec::new(), Vec::new());
        put_row_of_pair(&Extent::Framed, &ENTRY, &mut row).unwrap();
        assert_eq!(row, ROW);
        put_entry(&Extent::Framed, &row, &mut entry).unwrap();
        assert_eq!(entry, ENTRY);
        assert_eq!(time_of(&ROW[1..]).unwrap(), 1_000);
        let split = split_place(&Extent::Framed, &ROW[1..]).unwrap();
        assert_eq!(split, (1_000, [1, 0x61].as_slice(), [].as_slice()));
    }

    #[test]
    fn unknown_domains_and_short_bytes_are_refused() {
        for domain in [0, 3] {
            let (mut entry, mut row) = (ENTRY, ROW);
            (entry[2], row[0]) = (domain, domain);
            let error = put_row_of_pair(&Extent::Framed, &entry, &mut Vec::new()).unwrap_err();
            assert!(matches!(error, CodecError::Invalid { offset: 2, .. }), "{error}");
            let error = put_entry(&Extent::Framed, &row, &mut Vec::new()).unwrap_err();
            assert!(matches!(error, CodecError::Invalid { offset: 0, .. }), "{error}");
        }
        for len in 0..ENTRY.len() {
            let error = put_row_of_pair(&Extent::Framed, &ENTRY[..len], &mut Vec::new());
            assert!(matches!(error, Err(CodecError::Truncated { .. })), "{len}");
            let error = put_entry(&Extent::Framed, &ROW[..len], &mut Vec::new());
            assert!(matches!(error, Err(CodecError::Truncated { .. })), "{len}");
        }
    }
}
