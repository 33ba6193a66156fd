//! Cases: lists as queues: positions, both ends, and checkpoints of them, in both layouts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use alluvium_state::{
    KeyContext, KeyedStateBackend, ListLayout, ListState, ListStateDescriptor, SnapshotMode,
    StateBackend, StateError, StateValue,
};

use super::{list_of, refused};
use crate::job::{TestJob, complete_all};
use crate::random::Random;

/// Both of them must do the same.
const LAYOUTS: [ListLayout; 2] = [ListLayout::Whole, ListLayout::Long];

fn described(layout: ListLayout) -> ListStateDescriptor<u64> {
    let descriptor = ListStateDescriptor::new("list");
    if layout == ListLayout::Long { descriptor.long() } else { descriptor }
}

/// The state holds what the model does, from every position on.
#[track_caller]
fn check<T: StateValue + PartialEq + Debug>(
    list: ListState<T>,
    at: &impl KeyContext<Namespace = ()>,
    model: &VecDeque<T>,
) {
    let expected: Vec<T> = model.iter().cloned().collect();
    assert_eq!(list_of(list.elements(at)), expected);
    assert_eq!(list.len(at).unwrap(), expected.len() as u64);
    assert_eq!(list.is_empty(at).unwrap(), expected.is_empty());
    let step = 1 + expected.len() / 20;
    for position in (0..expected.len()).step_by(step) {
        let from = list.elements_from(at, position as u64).unwrap();
        let few: Vec<T> = from.take(3).map(|element| element.unwrap().into_owned()).collect();
        assert!(few.iter().eq(expected.iter().skip(position).take(3)), "from {position}");
    }
    for behind in [expected.len() as u64, expected.len() as u64 + 1, u64::MAX] {
        assert!(list_of(list.elements_from(at, behind)).is_empty(), "from {behind}");
    }
}

/// Elements are read from any position, and are taken off at both ends; numbers beyond the list take
/// all of it, or nothing.
pub fn both_ends_and_every_position<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let key = "key".to_owned();
    for layout in LAYOUTS {
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(layout)).unwrap();
        let mut at = state.at(&key).unwrap();
        let mut model = VecDeque::new();
        check(list, &at, &model);
        assert_eq!(list.pop_front(&mut at).unwrap(), None);
        list.remove_front(&mut at, 5).unwrap();
        list.truncate(&mut at, 0).unwrap();
        check(list, &at, &model);

        list.add_all(&mut at, 0..300).unwrap();
        model.extend(0..300);
        check(list, &at, &model);
        assert_eq!(list.pop_front(&mut at).unwrap(), model.pop_front());
        list.remove_front(&mut at, 0).unwrap();
        list.truncate(&mut at, 299).unwrap();
        list.truncate(&mut at, u64::MAX).unwrap();
        check(list, &at, &model);
        list.remove_front(&mut at, 99).unwrap();
        model.drain(..99);
        check(list, &at, &model);
        list.truncate(&mut at, 150).unwrap();
        model.truncate(150);
        check(list, &at, &model);
        list.add(&mut at, 7).unwrap();
        model.push_back(7);
        check(list, &at, &model);
        list.set(&mut at, vec![3, 2, 1]).unwrap();
        check(list, &at, &[3, 2, 1].into());
        list.remove_front(&mut at, u64::MAX).unwrap();
        check(list, &at, &VecDeque::new());
        list.add_all(&mut at, [5, 6]).unwrap();
        check(list, &at, &[5, 6].into());
        list.clear(&mut at).unwrap();
        check(list, &at, &VecDeque::new());
        list.add(&mut at, 9).unwrap();
        check(list, &at, &[9].into());
    }
}

/// Elements that are added while others are taken come in the order of adding.
pub fn a_queue_gives_what_was_added_in_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let key = "key".to_owned();
    for layout in LAYOUTS {
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(layout)).unwrap();
        let (mut model, mut random) = (VecDeque::new(), Random::new(5));
        let mut at = state.at(&key).unwrap();
        for round in 0..400_u64 {
            let more = random.below(if round < 200 { 5 } else { 2 });
            list.add_all(&mut at, (0..more).map(|n| round * 10 + n)).unwrap();
            model.extend((0..more).map(|n| round * 10 + n));
            for _ in 0..random.below(4) {
                assert_eq!(list.pop_front(&mut at).unwrap(), model.pop_front());
            }
            if random.one_in(30) {
                let len = random.below(1 + model.len() as u64);
                list.truncate(&mut at, len).unwrap();
                model.truncate(usize::try_from(len).unwrap());
            }
            assert_eq!(list.len(&at).unwrap(), model.len() as u64);
        }
        check(list, &at, &model);
    }
}

/// A list whose last element was taken is none, from whichever end.
pub fn an_emptied_list_is_no_list<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let key = "key".to_owned();
    for layout in LAYOUTS {
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(layout)).unwrap();
        for way in 0..5 {
            let mut at = state.at(&key).unwrap();
            list.add(&mut at, 1).unwrap();
            list.add(&mut at, 2).unwrap();
            assert_eq!(list.pop_front(&mut at).unwrap(), Some(1));
            drop(at);
            assert_eq!(state.keys(list, &()).unwrap(), ["key"]);
            assert_eq!(state.entry_count().unwrap(), 1);
            let mut at = state.at(&key).unwrap();
            match way {
                0 => assert_eq!(list.pop_front(&mut at).unwrap(), Some(2)),
                1 => list.remove_front(&mut at, 1).unwrap(),
                2 => list.truncate(&mut at, 0).unwrap(),
                3 => list.set(&mut at, Vec::new()).unwrap(),
                _ => list.clear(&mut at).unwrap(),
            }
            drop(at);
            assert!(state.keys(list, &()).unwrap().is_empty(), "{layout:?}, {way}");
            assert_eq!(state.entry_count().unwrap(), 0, "{layout:?}, {way}");
        }
    }
}

/// Namespaces and keys have lists of their own, also where one key begins as another does.
pub fn lists_of_keys_and_namespaces_are_apart<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let keys = ["", "a", "ab", "b"].map(str::to_owned);
    for layout in LAYOUTS {
        let mut state = job.open_one(&[]);
        let descriptor = described(layout).namespaced::<u64>();
        let list = state.list_state(descriptor).unwrap();
        let pairs: Vec<_> = keys.iter().flat_map(|key| [0, 1, 256].map(|n| (key, n))).collect();
        for (number, (key, namespace)) in (0_u64..).zip(&pairs) {
            let mut at = state.at_namespace(key, namespace).unwrap();
            list.add_all(&mut at, (0..number + 3).map(|n| number * 100 + n)).unwrap();
            assert_eq!(list.pop_front(&mut at).unwrap(), Some(number * 100));
        }
        list.clear(&mut state.at_namespace(&keys[1], &1).unwrap()).unwrap();
        for (number, (key, namespace)) in (0_u64..).zip(&pairs) {
            let at = state.at_namespace(key, namespace).unwrap();
            let expected: Vec<_> = (1..number + 3).map(|n| number * 100 + n).collect();
            let is_cleared = (key.as_str(), *namespace) == ("a", 1);
            let expected = if is_cleared { Vec::new() } else { expected };
            assert_eq!(list_of(list.elements(&at)), expected, "{key} {namespace}");
        }
        assert_eq!(state.entry_count().unwrap(), pairs.len() - 1);
        assert_eq!(state.keys(list, &1).unwrap().len(), keys.len() - 1);
    }
}

/// Lists of many keys come back, in incremental and full checkpoints, at other parallelisms, with a
/// freeze that does not see what is written after it.
pub fn lists_come_back_from_checkpoints<B: StateBackend>(backend: &B) {
    for layout in LAYOUTS {
        let mut job = TestJob::<B, String>::new(backend);
        let mut subtasks = job.open(2, &[]);
        let (mut random, mut model) = (Random::new(3), BTreeMap::<String, VecDeque<u64>>::new());
        for (round, parallelism) in (0_u64..).zip([3, 1, 2, 4, 1]) {
            for _ in 0..250 {
                let key = format!("key-{}", random.below(9));
                let owner = job.owner_of(&key, u32::try_from(subtasks.len()).unwrap());
                let state = subtasks.get_mut(owner).unwrap();
                let list = state.list_state(described(layout)).unwrap();
                let mut at = state.at(&key).unwrap();
                let elements = model.entry(key.clone()).or_default();
                match random.below(12) {
                    0 => {
                        list.clear(&mut at).unwrap();
                        elements.clear();
                    }
                    1..4 => assert_eq!(list.pop_front(&mut at).unwrap(), elements.pop_front()),
                    4 => {
                        let count = random.below(1 + elements.len() as u64);
                        list.remove_front(&mut at, count).unwrap();
                        elements.drain(..usize::try_from(count).unwrap());
                    }
                    5 => {
                        let len = random.below(1 + elements.len() as u64);
                        list.truncate(&mut at, len).unwrap();
                        elements.truncate(usize::try_from(len).unwrap());
                    }
                    _ => {
                        let more = (0..random.below(20)).map(|n| round * 1_000 + n);
                        list.add_all(&mut at, more.clone()).unwrap();
                        elements.extend(more);
                    }
                }
            }
            job.mode = if round % 3 == 2 { SnapshotMode::Full } else { SnapshotMode::Incremental };
            let frozen = job.freeze(&mut subtasks);
            for state in &mut subtasks {
                let list = state.list_state(described(layout)).unwrap();
                let groups = state.key_groups();
                for key in model.keys().filter(|key| groups.contains(job.key_group_of(key))) {
                    let mut at = state.at(key).unwrap();
                    list.add(&mut at, u64::MAX).unwrap();
                    list.pop_front(&mut at).unwrap();
                    list.truncate(&mut at, 2).unwrap();
                }
            }
            let checkpoint = frozen.checkpoint();
            let handles = frozen.write();
            complete_all(&mut subtasks, checkpoint);
            subtasks = job.open(parallelism, &handles);
            for (key, elements) in &model {
                let state = subtasks.get_mut(job.owner_of(key, parallelism)).unwrap();
                let list = state.list_state(described(layout)).unwrap();
                check(list, &state.at(key).unwrap(), elements);
            }
        }
    }
}

/// Lists of both layouts that nobody registers are kept through full and incremental checkpoints.
pub fn lists_that_nobody_registers_are_kept<B: StateBackend>(backend: &B) {
    let key = "key".to_owned();
    for (layout, mode) in LAYOUTS.iter().flat_map(|layout| {
        [SnapshotMode::Full, SnapshotMode::Incremental].map(|mode| (*layout, mode))
    }) {
        let mut job = TestJob::<B, String>::new(backend);
        job.mode = mode;
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(layout)).unwrap();
        let mut at = state.at(&key).unwrap();
        list.add_all(&mut at, 0..500).unwrap();
        list.remove_front(&mut at, 100).unwrap();
        drop(at);
        let mut handles = job.snapshot_one(&mut state);
        for _ in 0..2 {
            handles = job.snapshot_one(&mut job.open_one(&handles));
        }
        let mut state = job.open_one(&handles);
        let list = state.list_state(described(layout)).unwrap();
        check(list, &state.at(&key).unwrap(), &(100..500).collect());
    }
}

/// A restored list is registered with the other layout, with its own elements or with wider ones,
/// and is stored in it from then on.
pub fn a_layout_may_change_over_a_restore<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let keys = ["a", "ab", "b"].map(str::to_owned);
    for layouts in [LAYOUTS, [ListLayout::Long, ListLayout::Whole]] {
        let [from, to] = layouts;
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(from)).unwrap();
        for key in &keys {
            let mut at = state.at(key).unwrap();
            list.add_all(&mut at, 0..70).unwrap();
            list.add_all(&mut at, 70..100).unwrap();
            list.remove_front(&mut at, 10).unwrap();
        }
        let other = refused(state.list_state(described(to)));
        assert!(matches!(other, StateError::NameReused { .. }), "{other}");
        let mut handles = job.snapshot_one(&mut state);
        let mut expected: VecDeque<u64> = (10..100).collect();
        for _ in 0..2 {
            let mut state = job.open_one(&handles);
            let list = state.list_state(described(to)).unwrap();
            for key in &keys {
                let mut at = state.at(key).unwrap();
                check(list, &at, &expected);
                list.add(&mut at, 7).unwrap();
                assert_eq!(list.pop_front(&mut at).unwrap(), expected.front().copied());
            }
            expected.pop_front();
            expected.push_back(7);
            handles = job.snapshot_one(&mut state);
        }
        let mut state = job.open_one(&handles);
        let wider = ListStateDescriptor::<u128>::new("list");
        let wider = if from == ListLayout::Long { wider.long() } else { wider };
        let list = state.list_state(wider).unwrap();
        let expected = expected.into_iter().map(u128::from).collect();
        for key in &keys {
            check(list, &state.at(key).unwrap(), &expected);
        }
        let mut state = job.open_one(&handles);
        let text = ListStateDescriptor::<String>::new("list");
        let text = if from == ListLayout::Long { text.long() } else { text };
        let error = refused(state.list_state(text));
        assert!(matches!(error, StateError::IncompatibleSchema { part: "value", .. }), "{error}");
        state.list_state(described(to)).unwrap();
    }
}

/// Elements of a narrower type are read after migration, in both layouts.
pub fn elements_are_widened<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let key = "key".to_owned();
    for layout in LAYOUTS {
        let mut state = job.open_one(&[]);
        let list = state.list_state(described(layout)).unwrap();
        let mut at = state.at(&key).unwrap();
        list.add_all(&mut at, 0..200).unwrap();
        list.remove_front(&mut at, 3).unwrap();
        drop(at);
        let handles = job.snapshot_one(&mut state);
        let mut state = job.open_one(&handles);
        let wider = ListStateDescriptor::<u128>::new("list");
        let wider = if layout == ListLayout::Long { wider.long() } else { wider };
        let list = state.list_state(wider).unwrap();
        let mut at = state.at(&key).unwrap();
        list.add(&mut at, u128::MAX).unwrap();
        assert_eq!(list.pop_front(&mut at).unwrap(), Some(3));
        check(list, &at, &(4..200).chain([u128::MAX]).collect());
    }
}
