use proptest::prelude::*;

use super::*;

fn max(n: u32) -> MaxParallelism {
    MaxParallelism::new(n).unwrap()
}

proptest! {
    #[test]
    fn any_row_key_comes_apart_again(
        (most, group) in (1..=32768_u32).prop_flat_map(|most| (Just(most), 0..most)),
        key in proptest::collection::vec(any::<u8>(), 0..300),
        namespace in proptest::collection::vec(any::<u8>(), 0..300),
        user_key in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let layout = RowKeyLayout::new(max(most));
        let key_group = KeyGroup::new(u16::try_from(group).unwrap(), max(most)).unwrap();
        let row = layout.row_key(key_group, &key, &namespace, &user_key).unwrap();
        let parts = layout.split(&row).unwrap();
        prop_assert_eq!(parts.key_group, key_group);
        prop_assert_eq!((parts.key, parts.namespace, parts.user_key), (&key[..], &namespace[..], &user_key[..]));
        for len in 0..row.len() - user_key.len() {
            let cut = layout.split(&row[..len]);
            prop_assert!(matches!(cut, Err(RowKeyError::Truncated { .. })), "cut at {}", len);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for most in [1, 128, 129, 32768] {
            let _ = RowKeyLayout::new(max(most)).split(&bytes);
        }
    }
}

#[test]
fn byte_order_is_key_group_order() {
    for most in [128, 129, 32768] {
        let layout = RowKeyLayout::new(max(most));
        let row = |group: u16, key: &[u8]| {
            layout.row_key(KeyGroup::new(group, max(most)).unwrap(), key, b"", b"").unwrap()
        };
        let last = u16::try_from(most - 1).unwrap();
        assert!(row(0, b"zzz") < row(1, b""));
        assert!(row(last - 1, &[0xff; 9]) < row(last, b"a"));
    }
}

#[test]
fn parts_that_run_into_each_other_stay_apart() {
    let layout = RowKeyLayout::new(max(128));
    let group = KeyGroup::new(0, max(128)).unwrap();
    let row = |key: &[u8], namespace: &[u8], user: &[u8]| {
        layout.row_key(group, key, namespace, user).unwrap()
    };
    assert_ne!(row(b"ab", b"c", b""), row(b"a", b"bc", b""));
    assert_ne!(row(b"a", b"bc", b""), row(b"a", b"b", b"c"));
    let too_long = layout.row_key(group, &vec![0; 65_536], b"", b"");
    assert!(matches!(too_long, Err(RowKeyError::TooLong { part: "key", len_bytes: 65_536 })));
    assert!(matches!(layout.split(&[200, 0, 0, 0, 0]), Err(RowKeyError::KeyGroup(_))));
}
