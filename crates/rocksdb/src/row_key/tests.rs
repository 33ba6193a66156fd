use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use proptest::prelude::*;

use super::*;

fn max(n: u32) -> MaxParallelism {
    MaxParallelism::new(n).unwrap()
}

fn extent_of<T: HasCodec>() -> Extent {
    Extent::of(&Codec::<T>::snapshot(&DefaultCodec)).unwrap()
}

fn row_of<K: HasCodec, N: HasCodec, U: HasCodec>(
    layout: RowKeyLayout,
    group: KeyGroup,
    (key, namespace, user_key): (&K, &N, &U),
) -> Vec<u8> {
    let mut row = Vec::new();
    layout.put_key_group(group, &mut row);
    DefaultCodec.encode(key, &mut row).unwrap();
    DefaultCodec.encode(namespace, &mut row).unwrap();
    DefaultCodec.encode(user_key, &mut row).unwrap();
    row
}

fn is_in(range: &RowRange, row: &[u8]) -> bool {
    *range.first <= *row && range.end.as_ref().is_none_or(|end| *row < **end)
}

prop_compose! {
    fn any_group()(most in 1..=32768_u32)(most in Just(most), group in 0..most) -> (MaxParallelism, KeyGroup) {
        let group = KeyGroup::new(u16::try_from(group).unwrap(), max(most)).unwrap();
        (max(most), group)
    }
}

type Key = (String, Option<u8>);
type Namespace = Vec<u8>;

proptest! {
    #[test]
    fn any_row_key_comes_apart_again(
        (max, group) in any_group(),
        key: Key,
        namespace: Namespace,
        user_key: String,
    ) {
        let layout = RowKeyLayout::new(max);
        let keys = RowKeys { layout, lead_len_bytes: 0, key: extent_of::<Key>(), namespace: extent_of::<Namespace>() };
        let row = row_of(layout, group, (&key, &namespace, &user_key));
        let parts = keys.split(&row).unwrap();
        prop_assert_eq!(layout.split_key_group(&row).unwrap().0, group);
        let decoded: Key = DefaultCodec.decode(&mut Input::new(parts.key)).unwrap();
        prop_assert_eq!(decoded, key);
        let decoded: Namespace = DefaultCodec.decode(&mut Input::new(parts.namespace)).unwrap();
        prop_assert_eq!(decoded, namespace);
        let decoded: String = DefaultCodec.decode(&mut Input::new(parts.user_key)).unwrap();
        prop_assert_eq!(decoded, user_key);
        for len in 0..parts.prefix.len() {
            prop_assert!(keys.split(&row[..len]).is_err(), "cut at {}", len);
        }
    }

    #[test]
    fn rows_of_other_pairs_never_begin_alike(
        (max, group) in any_group(),
        one: (Key, Namespace, String),
        other: (Key, Namespace, String),
    ) {
        let layout = RowKeyLayout::new(max);
        let prefix = row_of(layout, group, (&one.0, &one.1, &()));
        let row = row_of(layout, group, (&other.0, &other.1, &other.2));
        let same_pair = one.0 == other.0 && one.1 == other.1;
        prop_assert_eq!(row.starts_with(&prefix), same_pair);
        prop_assert_eq!(is_in(&RowRange::of_prefix(&prefix), &row), same_pair);
        let own = row_of(layout, group, (&one.0, &one.1, &one.2));
        prop_assert!(is_in(&RowRange::of_prefix(&prefix), &own));
        prop_assert_eq!(own == row, one == other);
    }

    #[test]
    fn a_prefix_range_holds_what_begins_so_and_nothing_else(
        prefix in proptest::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 0..6),
        row in proptest::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 0..9),
    ) {
        let range = RowRange::of_prefix(&prefix);
        prop_assert_eq!(is_in(&range, &row), row.starts_with(&prefix));
        let longer = [prefix.clone(), row].concat();
        prop_assert!(is_in(&range, &longer));
    }

    #[test]
    fn key_groups_are_in_order_and_their_ranges_apart(
        (max, group) in any_group(),
        other in any::<u16>(),
        key: String,
        other_key: String,
    ) {
        let other = KeyGroup::new(other % max.get(), max).unwrap();
        let layout = RowKeyLayout::new(max);
        let row = row_of(layout, group, (&key, &(), &()));
        let other_row = row_of(layout, other, (&other_key, &(), &()));
        if group != other {
            prop_assert_eq!(row.cmp(&other_row), group.cmp(&other));
        }
        let (first, last) = (group.min(other), group.max(other));
        let range = KeyGroupRange::new(first.get(), last.get(), max).unwrap();
        prop_assert!(is_in(&layout.rows_of(range), &row));
        let single = KeyGroupRange::new(other.get(), other.get(), max).unwrap();
        prop_assert_eq!(is_in(&layout.rows_of(single), &row), group == other);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for most in [1, 128, 129, 32768] {
            let layout = RowKeyLayout::new(max(most));
            let _ = layout.split_key_group(&bytes);
            let key = extent_of::<Key>();
            let _ = RowKeys { layout, lead_len_bytes: 0, key, namespace: Extent::Framed }.split(&bytes);
        }
    }
}

#[test]
fn a_key_group_takes_as_many_bytes_as_it_needs() {
    for (most, expected) in [(128, &[5][..]), (129, &[0, 5])] {
        let layout = RowKeyLayout::new(max(most));
        let mut row = Vec::new();
        layout.put_key_group(KeyGroup::new(5, max(most)).unwrap(), &mut row);
        assert_eq!((row.as_slice(), row.len()), (expected, layout.group_len_bytes()));
    }
    assert!(RowKeyLayout::new(max(128)).split_key_group(&[128]).is_err());
}

#[test]
fn nothing_comes_after_a_prefix_of_ff() {
    assert_eq!(after_prefix(&[1, 255, 255]), Some(vec![2]));
    assert_eq!(after_prefix(&[255, 255]), None);
    assert_eq!(after_prefix(&[]), None);
}
