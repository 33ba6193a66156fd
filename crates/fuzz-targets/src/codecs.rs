//! Target `codecs`: codec snapshots, the extent of values, and values of known types (SPEC 5).
//!
//! The input is a codec snapshot and then values of that codec. What is behind the snapshot is read as
//! values of some known types too.
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are, and no reader works longer than its input is;
//! - memory: a snapshot of six bytes is a [`CodecSnapshot`], and its extent an [`Extent`] for each part; an
//!   empty text of a list is one byte and a [`String`];
//! - what is read of a snapshot or of a value is written as the same bytes, where each value has one form,
//!   and as bytes that are read as the same value everywhere;
//! - the extent of a value ends where its decoder ends.

use std::collections::BTreeMap;

use alluvium_format::codec::{Codec, CodecSnapshot, DefaultCodec, Extent, Input};

use crate::bound::{bounded, listed};

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let of_snapshots = listed(size_of::<CodecSnapshot>() + size_of::<Extent>(), 6);
    bounded(input, of_snapshots, || {
        let mut rest = Input::new(input);
        let Ok(snapshot) = CodecSnapshot::decode(&mut rest) else { return };
        let _ = snapshot.to_string().len();
        let Ok(extent) = Extent::of(&snapshot) else { return };
        while !rest.is_empty() {
            let before = rest.rest().len();
            let Ok(value) = extent.take(&mut rest) else { break };
            assert_eq!(value.len(), before - rest.rest().len(), "a value is what was taken");
            assert!(extent.check_whole(value).is_ok(), "a value is whole");
            if value.is_empty() {
                break;
            }
        }
    });
    let mut rest = Input::new(input);
    if let Ok(snapshot) = CodecSnapshot::decode(&mut rest) {
        let (mut written, len) = (Vec::new(), input.len() - rest.rest().len());
        assert!(snapshot.encode(&mut written).is_ok(), "{snapshot} cannot be written");
        assert_eq!(Some(written.as_slice()), input.get(..len), "{snapshot}");
    } else {
        rest = Input::new(input);
    }
    let values = rest.rest();
    known::<u64>(values);
    known::<bool>(values);
    known::<Option<(i16, String)>>(values);
    known::<Vec<String>>(values);
    known::<Vec<()>>(values);
    known::<(u8, i128, Vec<u8>)>(values);
    // The entries of a map may come in any order.
    read_again::<BTreeMap<u16, Vec<bool>>>(values);
}

/// Reads a value of a type that is known here, and whose values have one form each.
fn known<T>(input: &[u8])
where
    T: std::fmt::Debug + PartialEq,
    DefaultCodec: Codec<T>,
{
    let Some((value, len)) = read_again::<T>(input) else { return };
    let mut written = Vec::new();
    assert!(DefaultCodec.encode(&value, &mut written).is_ok(), "{value:?} cannot be written");
    assert_eq!(Some(written.as_slice()), input.get(..len), "{value:?}");
}

/// Reads a value, writes it and reads it again; gives it and how many bytes it had.
fn read_again<T>(input: &[u8]) -> Option<(T, usize)>
where
    T: std::fmt::Debug + PartialEq,
    DefaultCodec: Codec<T>,
{
    let snapshot = Codec::<T>::snapshot(&DefaultCodec);
    let Ok(extent) = Extent::of(&snapshot) else { panic!("{snapshot} has no extent") };
    let factor = listed(2 * size_of::<String>(), 1);
    let mut rest = Input::new(input);
    let decoded = bounded(input, factor, || Codec::<T>::decode(&DefaultCodec, &mut rest));
    let value = decoded.ok()?;
    let len = input.len() - rest.rest().len();
    let mut same = Input::new(input);
    let taken = extent.take(&mut same).map(<[u8]>::len);
    assert_eq!(taken.ok(), Some(len), "the extent of {snapshot}");
    let mut written = Vec::new();
    assert!(DefaultCodec.encode(&value, &mut written).is_ok(), "{value:?} cannot be written");
    let again = Codec::<T>::decode(&DefaultCodec, &mut Input::new(&written));
    assert_eq!(again.ok().as_ref(), Some(&value), "what was written");
    Some((value, len))
}
