//! What the fuzzers run on rows: an entry of a keyed stream becomes rows and comes back (SPEC 12.3, 12.4).
//!
//! The input is a kind of state, max parallelism (`u16`, little endian), three codec snapshots, of key,
//! namespace and value, and an entry: key, namespace, value. Where that is no entry, it is taken for a row.
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - a row has the key group that it was made for, lies in the rows of that key group and of its pair, and is
//!   taken apart into what it was made of;
//! - the rows of an entry are in order, each once, and hold its value: nothing comes, nothing goes;
//! - what is appended to a list is read behind it; the header of a long list is the number of its rows;
//! - what is left of a row when some of it has expired can be parsed, and does not expire again.

use std::time::Duration;

use alluvium_core::{KeyGroup, KeyGroupRange, MaxParallelism};
use alluvium_format::CodecError;
use alluvium_format::codec::{CodecSnapshot, Extent, Input, read_count};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{Clock, StateTtl};

use crate::list_row::{append, join_groups};
use crate::long_list::{Gaps, Header};
use crate::row_expiry::Remains;
use crate::row_format::{Content, MapOrder, RowFormat};
use crate::row_key::{RowKeyLayout, RowRange};
use crate::timer_row::{put_entry, split_place, time_of};

const KINDS: [StateKind; 8] = [
    StateKind::Value,
    StateKind::List,
    StateKind::Map,
    StateKind::Reducing,
    StateKind::Aggregating,
    StateKind::Timers,
    StateKind::SortedMap,
    StateKind::LongList,
];

/// The largest max parallelism.
const MAX_KEY_GROUPS: u32 = 32_768;

/// The time of a compaction, and how long values live: those with a stamp of 90 or less have expired.
const NOW_MS: i64 = 100;
const TTL: Duration = Duration::from_millis(10);

/// Runs the checks on an input.
///
/// Panics: where one fails.
pub fn check_rows(input: &[u8]) {
    let _ = check(input);
}

/// `None` where the input ends early or says something that is refused.
fn check(bytes: &[u8]) -> Option<()> {
    let mut input = Input::new(bytes);
    let kind = *KINDS.get(usize::from(input.u8("kind").ok()?) % KINDS.len())?;
    let max = MaxParallelism::new(u32::from(input.u16("max parallelism").ok()?)).ok()?;
    let mut snapshot = || CodecSnapshot::decode(&mut input).ok();
    let (key, namespace, value) = (snapshot()?, snapshot()?, snapshot()?);
    let meta = StateMeta { name: "state".to_owned(), kind, namespace, value };
    let format = RowFormat::new(RowKeyLayout::new(max), &key, &meta).ok()?;
    if let Some(expiry) = &format.expiry {
        expiry.set(StateTtl::new(TTL, Clock::new(|| NOW_MS)));
    }
    check_row(&format, input.rest());
    let mut parts = input.clone();
    let mut take = |codec: &CodecSnapshot| Extent::of(codec).ok()?.take(&mut parts).ok();
    let (key, namespace, value) = (take(&key)?, take(&meta.namespace)?, take(&meta.value)?);
    let number = u16::try_from(bytes.len()).unwrap_or(u16::MAX) % max.get();
    let entry = Entry { key_group: KeyGroup::new(number, max).ok()?, key, namespace, value };
    entry.check(&format)
}

/// Bytes that may be anything, as a row and as the value of one.
fn check_row(format: &RowFormat, bytes: &[u8]) {
    if let (Ok(key_group), Ok(parts)) =
        (format.keys.layout.key_group_of(bytes), format.keys.split(bytes))
    {
        let rows = format.keys.layout.rows_of(only(key_group));
        assert!(rows.holds_all(bytes, bytes), "{bytes:02x?} is outside of {rows:?}");
        assert_eq!(parts.prefix.len() + parts.user_key.len(), bytes.len(), "{parts:?}");
    }
    match &format.content {
        Content::Timer => {
            let _ = (time_of(bytes), split_place(&format.keys.key, bytes));
            let _ = put_entry(&format.keys.key, bytes, &mut Vec::new());
        }
        Content::List(element) => check_groups(element, bytes),
        Content::LongList(_) => check_header(bytes, format.gaps()),
        Content::Value | Content::Map(..) => {}
    }
    check_expiry(format, bytes);
}

fn only(key_group: KeyGroup) -> KeyGroupRange {
    let number = key_group.get();
    let Ok(range) =
        MaxParallelism::new(MAX_KEY_GROUPS).and_then(|max| KeyGroupRange::new(number, number, max))
    else {
        unreachable!("{key_group} is one of {MAX_KEY_GROUPS}")
    };
    range
}

/// The groups of a list: joining them changes nothing that a reader sees.
fn check_groups(element: &Extent, row: &[u8]) {
    let mut joined = Vec::new();
    if join_groups(element, row, &mut joined).is_err() {
        return;
    }
    let Ok(count) = read_count(&mut Input::new(&joined)) else { panic!("no count: {joined:02x?}") };
    assert!(Extent::Vec(Box::new(element.clone())).check_whole(&joined).is_ok(), "{joined:02x?}");
    let appended = append(Some(element), row, [joined.as_slice()]);
    let mut twice = Vec::new();
    if join_groups(element, &appended, &mut twice).is_ok() {
        let found = read_count(&mut Input::new(&twice)).ok();
        assert_eq!(found, Some(2 * count), "elements of a list that was appended to itself");
    }
}

fn check_header(bytes: &[u8], gaps: Gaps) {
    let Ok(header) = Header::of_bytes(bytes, gaps) else { return };
    assert_eq!(header.to_bytes(), bytes, "{header:?}");
    assert!(header.span.len() > 0, "{header:?}");
    let mut more = header.span.clone();
    assert!(more.append().is_ok() || header.span.0.end == u64::MAX, "{header:?}");
    let range = header.span.rows(&[]);
    assert!(range.end.as_ref().is_some_and(|end| range.first < *end), "{range:?}");
}

fn check_expiry(format: &RowFormat, value: &[u8]) {
    let Some(expiry) = &format.expiry else { return };
    let Some(moment) = expiry.ttl().map(|ttl| ttl.at(NOW_MS)) else { return };
    let mut left = Vec::new();
    match expiry.remains(value, &moment, &mut left) {
        Ok(Remains::Some) => {
            assert!(left.len() < value.len(), "{left:02x?} of {value:02x?}");
            let again = expiry.remains(&left, &moment, &mut Vec::new());
            assert_eq!(again.ok(), Some(Remains::All), "what is left does not expire");
        }
        Ok(Remains::All | Remains::Nothing) | Err(_) => {
            assert!(left.is_empty(), "{left:02x?}");
        }
    }
}

/// An entry of a stream.
struct Entry<'a> {
    key_group: KeyGroup,
    key: &'a [u8],
    namespace: &'a [u8],
    value: &'a [u8],
}

impl Entry<'_> {
    fn check(&self, format: &RowFormat) -> Option<()> {
        let pair = [self.key, self.namespace].concat();
        let (layout, mut row) = (format.keys.layout, Vec::new());
        layout.put_key_group(self.key_group, &mut row);
        let group_len = row.len();
        format.put_pair(&pair, &mut row).ok()?;
        let prefix = row.clone();
        if format.is_timers() {
            let mut entry = Vec::new();
            let behind = row.get(group_len..).unwrap_or_default();
            assert!(put_entry(&format.keys.key, behind, &mut entry).is_ok(), "{row:02x?}");
            assert_eq!(entry, pair, "a timer");
        }
        let ranges = [layout.rows_of(only(self.key_group)), RowRange::of_prefix(&prefix)];
        let mut seen = Seen { value: self.value.len(), ..Seen::default() };
        let outcome = format.put_rows(&mut row, self.value, |row, value| {
            self.check_parts(format, (row, &prefix));
            for range in &ranges {
                assert!(range.holds_all(row, row), "{row:02x?} is outside of {range:?}");
            }
            check_expiry(format, value);
            seen.take(format, (row, value));
            Ok::<_, CodecError>(())
        });
        outcome.ok()?;
        assert_eq!(row, prefix, "the prefix is what it was");
        seen.finish(format, self.value);
        Some(())
    }

    fn check_parts(&self, format: &RowFormat, (row, prefix): (&[u8], &[u8])) {
        let Ok(parts) = format.keys.split(row) else { panic!("cannot be parted: {row:02x?}") };
        assert_eq!(format.keys.layout.key_group_of(row).ok(), Some(self.key_group));
        assert_eq!((parts.prefix, parts.key), (prefix, self.key));
        let namespace =
            if format.is_timers() { self.namespace.get(9..) } else { Some(self.namespace) };
        assert_eq!(Some(parts.namespace), namespace);
    }
}

/// The rows of an entry, as they come.
#[derive(Default)]
struct Seen {
    /// Bytes of the value of the entry.
    value: usize,
    rows: u64,
    /// Bytes of user keys and values.
    len: usize,
    last: Vec<u8>,
    header: Option<Vec<u8>>,
}

impl Seen {
    fn take(&mut self, format: &RowFormat, (row, value): (&[u8], &[u8])) {
        assert!(self.header.is_none(), "a row behind the header");
        let Ok(parts) = format.keys.split(row) else { return };
        if format.is_long_list() && parts.user_key.is_empty() {
            self.header = Some(value.to_vec());
            return;
        }
        let order =
            if let Content::Map(_, _, order) = &format.content { Some(*order) } else { None };
        let is_unordered = order == Some(MapOrder::Any);
        assert!(self.rows == 0 || is_unordered || self.last < row.to_vec(), "{row:02x?}");
        let position = if format.is_long_list() { 0 } else { parts.user_key.len() };
        self.len += value.len() + position;
        self.rows += 1;
        self.last.clear();
        self.last.extend_from_slice(row);
    }

    fn finish(&self, format: &RowFormat, value: &[u8]) {
        let is_one = !(format.is_map() || format.is_long_list());
        let mut input = Input::new(value);
        let is_list = matches!(format.content, Content::List(_));
        let count = if is_one && !is_list { None } else { read_count(&mut input).ok() };
        match count {
            None => assert_eq!((self.rows, self.len), (1, self.value), "a value"),
            Some(0) => assert_eq!((self.rows, self.header.is_none()), (0, true), "nothing"),
            Some(_) if is_list => assert_eq!((self.rows, self.len), (1, self.value), "a list"),
            Some(count) => {
                assert_eq!((self.rows, self.len), (count, input.rest().len()), "parts of a value");
            }
        }
        let Some(header) = &self.header else { return };
        let Ok(header) = Header::of_bytes(header, format.gaps()) else { panic!("{header:02x?}") };
        assert_eq!(Some(header.span.len()), count, "{header:?}");
    }
}
