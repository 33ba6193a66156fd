use std::collections::BTreeMap;
use std::io::Write;

use alluvium_core::SubtaskIndex;
use alluvium_core::key_hash::stable_hash;

use super::super::tests::{parallelism, restored};
use super::*;
use crate::RestoreError;

/// The sections of a subtask, or of all of them.
type Sections = BTreeMap<u16, Vec<u8>>;

fn range(index: usize, of: u32) -> KeyGroupRange {
    let index = SubtaskIndex::new(u16::try_from(index).unwrap());
    KeyGroupRange::of_subtask(index, parallelism(of)).unwrap()
}

/// Some of 128 key groups, each with its own bytes: none, a few, or some thousand.
fn random_sections(seed: u64) -> Sections {
    let random = |group: u16| stable_hash(format!("{seed} {group}").as_bytes());
    let some = (0..128_u16).filter(|group| random(*group) % 3 > 0);
    some.map(|group| {
        let hash = random(group);
        let len = [0, hash % 7, hash % 5_000][usize::try_from(hash / 3 % 3).unwrap()];
        (group, (0..len).map(|at| hash.to_le_bytes()[usize::try_from(at % 8).unwrap()]).collect())
    })
    .collect()
}

/// Writes those of the sections that belong to a subtask, from the last key group to the first.
fn write(backend: &mut OperatorStateBackend, own: KeyGroupRange, sections: &Sections) {
    let state = backend.raw_keyed_state("raw", own).unwrap();
    let mut writer = backend.write_raw_keyed(state).unwrap();
    for key_group in own.iter().rev() {
        if let Some(bytes) = sections.get(&key_group.get()) {
            writer.start_key_group(key_group).unwrap().write_all(bytes).unwrap();
        }
    }
    writer.finish();
}

fn read(backend: &OperatorStateBackend, state: RawKeyedState) -> Vec<(u16, Vec<u8>)> {
    let sections = backend.raw_keyed_sections(state).unwrap();
    sections.map(|(key_group, bytes)| (key_group.get(), bytes.to_vec())).collect()
}

fn filled(count: u32, sections: &Sections) -> Vec<OperatorStateBackend> {
    let fill = |index| {
        let mut backend = OperatorStateBackend::new(Vec::new());
        write(&mut backend, range(index, count), sections);
        backend
    };
    (0..usize::try_from(count).unwrap()).map(fill).collect()
}

/// Every subtask has the sections of its key groups, in their order, and no others.
fn expect(backends: &mut [OperatorStateBackend], sections: &Sections) {
    let count = u32::try_from(backends.len()).unwrap();
    for (index, backend) in backends.iter_mut().enumerate() {
        let own = range(index, count);
        // Nothing of others was handed out either, not only not shown.
        let frozen = backend.freeze().unwrap();
        let state = backend.raw_keyed_state("raw", own).unwrap();
        let numbers = own.first().get()..=own.last().get();
        let expected: Vec<_> =
            sections.range(numbers).map(|(group, bytes)| (*group, bytes.clone())).collect();
        assert_eq!(read(backend, state), expected, "subtask {index} of {count}");
        assert_eq!(frozen.states()[0].items.len(), expected.len());
    }
}

#[test]
fn sections_go_with_their_key_groups_at_every_parallelism() {
    for (seed, old) in (0..).zip([1, 2, 3, 7, 128]) {
        for new in [1, 2, 3, 5, 128] {
            let sections = random_sections(seed * 1_000 + u64::from(new));
            let mut backends = restored(&filled(old, &sections), new).unwrap();
            // Once more, and nobody has registered it yet.
            let mut again = restored(&backends, old).unwrap();
            expect(&mut backends, &sections);
            expect(&mut again, &sections);
            // The next checkpoint holds what is written anew, and nothing of what was there.
            let others = random_sections(seed * 1_000 + u64::from(new) + 500);
            for (index, backend) in backends.iter_mut().enumerate() {
                write(backend, range(index, new), &others);
            }
            expect(&mut restored(&backends, old).unwrap(), &others);
        }
    }
}

#[test]
fn other_key_groups_and_second_sections_are_refused() {
    let mut backend = OperatorStateBackend::new(Vec::new());
    let own = range(1, 3);
    let state = backend.raw_keyed_state("raw", own).unwrap();
    let mut writer = backend.write_raw_keyed(state).unwrap();
    writer.start_key_group(own.last()).unwrap().extend_from_slice(b"last");
    for foreign in [range(0, 3).last(), range(2, 3).first()] {
        let error = writer.start_key_group(foreign).unwrap_err();
        assert!(
            matches!(error, StateError::ForeignKeyGroup { key_group, range } if key_group == foreign && range == own),
            "{error}"
        );
    }
    writer.start_key_group(own.first()).unwrap();
    for started in [own.first(), own.last()] {
        let error = writer.start_key_group(started).unwrap_err();
        assert!(
            matches!(&error, StateError::SectionStarted { state, key_group } if state == "raw" && *key_group == started),
            "{error}"
        );
    }
    // What was refused has changed nothing.
    writer.finish();
    let expected = [(own.first().get(), Vec::new()), (own.last().get(), b"last".to_vec())];
    assert_eq!(read(&backend, state), expected);
}

#[test]
fn a_writer_that_is_not_finished_changes_nothing() {
    let mut backend = OperatorStateBackend::new(Vec::new());
    let own = range(0, 2);
    write(&mut backend, own, &random_sections(1));
    let state = backend.raw_keyed_state("raw", own).unwrap();
    let before = read(&backend, state);
    assert!(!before.is_empty());
    let mut writer = backend.write_raw_keyed(state).unwrap();
    writer.start_key_group(own.first()).unwrap().push(7);
    drop(writer);
    assert_eq!(read(&backend, state), before);
    backend.write_raw_keyed(state).unwrap().finish();
    assert_eq!(read(&backend, state), []);
}

#[test]
fn sections_of_another_subtask_are_refused() {
    let sections = random_sections(2);
    let mut backends = restored(&filled(2, &sections), 2).unwrap();
    // As the other subtask.
    let error = backends[0].raw_keyed_state("raw", range(1, 2)).unwrap_err();
    assert!(matches!(error, StateError::ForeignSection { key_group: 0..64, .. }), "{error}");
    let state = backends[0].raw_keyed_state("raw", range(0, 2)).unwrap();
    assert!(!read(&backends[0], state).is_empty(), "what was refused has lost nothing");

    // In the stream of the other subtask, as a writer with a bug could leave them.
    let mut swapped = filled(2, &sections);
    swapped.reverse();
    let error = restored(&swapped, 2).unwrap_err();
    assert!(matches!(error, RestoreError::Mismatch { what: "owner of a section", .. }), "{error}");
}

#[test]
fn raw_keyed_state_is_no_list() {
    let mut backend = restored(&filled(1, &random_sections(3)), 1).unwrap().remove(0);
    let list = || ListStateDescriptor::<(u16, Bytes)>::new("raw");
    let errors = [
        backend.list_state(list()).map(drop).unwrap_err(),
        backend.union_list_state(list()).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StateError::KindChanged { .. }), "{error}");
    }
    let state = backend.raw_keyed_state("raw", range(0, 1)).unwrap();
    let error = backend.list_state(list()).map(drop).unwrap_err();
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let mut other = OperatorStateBackend::new(Vec::new());
    assert!(matches!(other.raw_keyed_sections(state).map(drop), Err(StateError::ForeignHandle)));
    assert!(matches!(other.write_raw_keyed(state).map(drop), Err(StateError::ForeignHandle)));
}
