use super::*;

#[derive(Debug, Clone, PartialEq)]
struct Number(u64, String);

impl Entry for Number {
    const SPLIT_AT: usize = 8;

    type Removed = u64;

    fn into_removed(self) -> u64 {
        self.0
    }
}

/// Spreads numbers over all bits.
fn hash_of(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

const WRITING: Writing<'static, Number> = Writing::ALONE;

fn put(table: &mut SegmentedTable<Number>, number: u64, text: &str) -> bool {
    let rehash = |entry: &Number| hash_of(entry.0);
    let same = |entry: &Number| entry.0 == number;
    let make = || Number(number, String::new());
    let (entry, is_new) =
        table.get_or_insert_with(hash_of(number), same, make, rehash, WRITING).unwrap();
    text.clone_into(&mut entry.1);
    is_new
}

fn remove(table: &mut SegmentedTable<Number>, number: u64) -> bool {
    let rehash = |entry: &Number| hash_of(entry.0);
    table.remove(hash_of(number), |entry| entry.0 == number, rehash, WRITING).unwrap()
}

fn get(table: &SegmentedTable<Number>, number: u64) -> Option<&str> {
    let found = table.get(hash_of(number), |entry| entry.0 == number).unwrap();
    found.map(|entry| entry.1.as_str())
}

fn check_places(table: &SegmentedTable<Number>) {
    let mut entries = 0;
    for (index, segment) in table.segments().enumerate() {
        for entry in segment.table().unwrap() {
            assert_eq!(table.partition().segment_of(hash_of(entry.0)), index);
            entries += 1;
        }
    }
    assert_eq!(entries, table.len());
}

#[test]
fn every_entry_is_found_at_every_size_on_the_way_up_and_down() {
    let mut table = SegmentedTable::default();
    for number in 0..3000 {
        assert!(put(&mut table, number, "x"));
        if number % 97 == 0 {
            check_places(&table);
            assert!((0..=number).all(|known| get(&table, known) == Some("x")));
            assert_eq!(get(&table, number + 1), None);
        }
    }
    let most = table.segments().count();
    for number in 0..3000 {
        assert!(remove(&mut table, number));
        assert!(!remove(&mut table, number));
        if number % 97 == 0 {
            check_places(&table);
            assert!((number + 1..3000).all(|known| get(&table, known) == Some("x")));
        }
    }
    assert!(most > 300, "{most} segments");
    assert_eq!(table.segments().count(), 0);
}

#[test]
fn a_table_that_was_emptied_by_nine_tenths_has_given_segments_back() {
    let mut table = SegmentedTable::default();
    for number in 0..10_000 {
        put(&mut table, number, "x");
    }
    let before = table.segments().count();
    for number in 0..9_000 {
        remove(&mut table, number);
    }
    let after = table.segments().count();
    assert!(after * 2 < before, "{before} segments, then {after}");
    check_places(&table);
}

#[test]
fn clones_keep_what_they_had_and_share_the_rest() {
    let mut table = SegmentedTable::default();
    for number in 0..2000 {
        put(&mut table, number, "before");
    }
    let clone = table.clone();
    for number in (0..4000).step_by(3) {
        put(&mut table, number, "after");
    }
    for number in (0..2000).step_by(2) {
        remove(&mut table, number);
    }
    check_places(&clone);
    check_places(&table);
    assert_eq!(clone.len(), 2000);
    assert!((0..2000).all(|number| get(&clone, number) == Some("before")));
    assert_eq!(get(&table, 3), Some("after"));
    assert_eq!(get(&table, 2), None);
}

#[test]
fn a_partition_is_that_of_linear_hashing() {
    for count in 1..200_usize {
        let partition = Partition::new(count);
        for bits in 0..1000_u64 {
            let base = 1_u64 << count.ilog2();
            let index = bits % (2 * base);
            let expected = if index < count as u64 { index } else { bits % base };
            assert_eq!(partition.segment_of(bits << 24) as u64, expected);
        }
    }
}

/// 1. a segment whose changes are tracked is as full as its buckets allow, but for one entry;
/// 2. entries come and go, and each that goes leaves a mark in its bucket;
/// 3. moving all entries for each that comes would cost the length of the segment each time.
#[test]
fn a_tracked_segment_that_is_almost_full_is_not_moved_for_each_new_entry() {
    const LEN: u64 = 1791;
    const NEW: u64 = 2000;
    let rehashed = std::cell::Cell::new(0_u64);
    let rehash = |entry: &Number| {
        rehashed.set(rehashed.get() + 1);
        hash_of(entry.0)
    };
    let moment = crate::moment::Moment { now: 1, base: Some(0) };
    let mut table = SegmentedTable::default();
    for number in 0..LEN + NEW {
        let writing = if number == 0 { WRITING } else { Writing { moment, ..WRITING } };
        let writing = Writing { split_at: usize::MAX, ..writing };
        let make = || Number(number, String::new());
        table.get_or_insert_with(hash_of(number), |_| false, make, rehash, writing).unwrap();
        if number == LEN {
            rehashed.set(0);
        }
        if number >= LEN {
            let gone = number - LEN;
            let removed = table.remove(hash_of(gone), |it| it.0 == gone, rehash, writing).unwrap();
            assert!(removed);
        }
    }
    assert!(rehashed.get() < 100 * NEW, "{} entries moved for {NEW} new ones", rehashed.get());
}
