use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{InlineSlot, SharedSlot, Slot};

type Model = BTreeMap<(u16, u8), u64>;

#[derive(Debug, Clone)]
enum Op {
    Insert(u16, u8, u64),
    Add(u16, u8, u64),
    Remove(u16, u8),
    Freeze,
    Drop,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..600_u16, 0..3_u8, any::<u64>()).prop_map(|(k, n, v)| Op::Insert(k, n, v)),
        4 => (0..600_u16, 0..3_u8, any::<u64>()).prop_map(|(k, n, v)| Op::Add(k, n, v)),
        3 => (0..600_u16, 0..3_u8).prop_map(|(k, n)| Op::Remove(k, n)),
        1 => Just(Op::Freeze),
        1 => Just(Op::Drop),
    ];
    proptest::collection::vec(op, 0..400)
}

/// A state of 2 KiB, so that segments hold 16 entries and maps split early.
#[derive(Debug, Clone, PartialEq)]
struct Wide([u64; 256]);

fn wide(value: u64) -> Wide {
    Wide([value; 256])
}

fn content<M: StateMap<u16, u8, Wide>>(map: &M) -> Model {
    let mut content = Model::new();
    map.for_each(|key, namespace, state| {
        assert_eq!(content.insert((*key, *namespace), state.0[0]), None, "an entry twice");
    });
    content
}

fn apply<M: StateMap<u16, u8, Wide>>(map: &mut M, model: &mut Model, op: &Op, seed: TableHasher) {
    let probe = |key, namespace| Probe::new(key, namespace, seed);
    match op {
        Op::Insert(k, n, v) => {
            let absent = map.insert(&probe(k, n), wide(*v));
            assert_eq!(absent, model.insert((*k, *n), *v).is_none());
        }
        Op::Add(k, n, v) => {
            let slot = map.get_or_insert_with(&probe(k, n), || wide(0));
            *slot = wide(slot.0[0].wrapping_add(*v));
            let expected = model.entry((*k, *n)).or_default();
            *expected = expected.wrapping_add(*v);
            if let Some(slot) = map.get_mut(&probe(k, n)) {
                assert_eq!(slot.0[0], *expected);
            }
        }
        Op::Remove(k, n) => {
            map.remove(&probe(k, n));
            model.remove(&(*k, *n));
            assert_eq!(map.get(&probe(k, n)), None);
        }
        Op::Freeze | Op::Drop => {}
    }
    assert_eq!(map.len(), model.len());
}

proptest! {
    #[test]
    fn the_nested_map_is_a_map(ops in ops(), seed in any::<u64>()) {
        let (mut map, mut model) = (NestedStateMap::default(), Model::new());
        let hasher = TableHasher::new(seed);
        for op in &ops {
            apply(&mut map, &mut model, op, hasher);
        }
        prop_assert_eq!(content(&map), model);
    }

    #[test]
    fn the_copy_on_write_map_is_a_map_and_its_snapshots_stay(ops in ops(), seed in any::<u64>()) {
        check_copy_on_write::<InlineSlot<u16, u8, Wide>>(&ops, TableHasher::new(seed));
    }

    #[test]
    fn so_it_is_with_entries_behind_pointers(ops in ops(), seed in any::<u64>()) {
        check_copy_on_write::<SharedSlot<u16, u8, Wide>>(&ops, TableHasher::new(seed));
    }
}

fn check_copy_on_write<E: Slot<Key = u16, Namespace = u8, State = Wide>>(
    ops: &[Op],
    hasher: TableHasher,
) {
    let (mut map, mut model) = (CopyOnWriteStateMap::<E>::default(), Model::new());
    let mut frozen: Vec<(CopyOnWriteSnapshot<E>, Model)> = Vec::new();
    for op in ops {
        apply(&mut map, &mut model, op, hasher);
        match op {
            Op::Freeze => frozen.push((map.freeze(), model.clone())),
            Op::Drop if !frozen.is_empty() => drop(frozen.remove(0)),
            _ => {}
        }
    }
    assert_eq!(content(&map), model);
    for (snapshot, expected) in frozen {
        let mut found = Model::new();
        snapshot.for_each(|key, namespace, state| {
            found.insert((*key, *namespace), state.0[0]);
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn growth_reaches_many_segments_and_loses_nothing() {
    let hasher = TableHasher::new(7);
    let mut map = CopyOnWriteStateMap::<InlineSlot<u64, (), u64>>::default();
    for key in 0..200_000 {
        assert!(map.insert(&Probe::new(&key, &(), hasher), key * 3));
    }
    assert!(format!("{map:?}").contains("200000 entries"));
    assert!(map.segments().count() > 64, "more than one chunk");
    for key in 0..200_000 {
        assert_eq!(map.get(&Probe::new(&key, &(), hasher)), Some(&(key * 3)));
    }
}
