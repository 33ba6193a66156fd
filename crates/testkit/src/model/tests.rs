use alluvium_heap::{HeapStateBackend, StateMapKind};

use super::change::{Change, list_state, value_state};
use super::*;
use crate::job::TestJob;
use crate::random::Random;

const NAMESPACES: [u32; 2] = [1, 2];

/// A job of two subtasks and its model, after some changes.
fn filled(backend: &HeapStateBackend) -> (TestJob<'_, HeapStateBackend, String>, Model) {
    let job = TestJob::new(backend);
    let (mut random, mut model) = (Random::new(3), Model::default());
    for _ in 0..300 {
        let key = format!("key-{}", random.below(20));
        model.apply(&key, *random.pick(&NAMESPACES), &Change::draw(&mut random));
    }
    (job, model)
}

/// Makes a job hold what a model holds.
fn replay(
    job: &TestJob<'_, HeapStateBackend, String>,
    model: &Model,
) -> Vec<crate::job::KeyedOf<HeapStateBackend, String>> {
    let mut subtasks = job.open(2, &[]);
    for (address, content) in model.contents() {
        let owner = job.owner_of(&address.key, 2);
        let changes = match content.clone() {
            Content::Value(value) => vec![Change::ValueSet(value)],
            Content::List(elements) => vec![Change::ListSet(elements)],
            Content::Map(map) => map.into_iter().map(|(k, v)| Change::MapPut(k, v)).collect(),
            Content::LongList(elements) => {
                vec![Change::OfLongList(Box::new(Change::ListSet(elements)))]
            }
            Content::SortedMap(map) => {
                map.into_iter().map(|(k, v)| Change::SortedMapPut(k, v)).collect()
            }
            Content::Reducing(value) => vec![Change::ReducingAdd(value)],
            Content::Aggregating((count, sum)) => {
                let mut inputs = vec![0; usize::try_from(count).unwrap()];
                inputs[0] = sum;
                inputs.into_iter().map(Change::AggregatingAdd).collect()
            }
            Content::Timers(timers) => {
                let register = |(domain, time_ms)| Change::TimerRegister(domain, time_ms);
                timers.into_iter().map(register).collect()
            }
        };
        for change in changes {
            change.apply(&mut subtasks[owner], &address.key, address.namespace);
        }
    }
    subtasks
}

#[test]
fn a_backend_that_does_the_same_is_equal() {
    let backend = HeapStateBackend::default();
    let (job, model) = filled(&backend);
    let mut subtasks = replay(&job, &model);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    assert!(model.contents().len() > 50, "{} entries", model.contents().len());
}

#[test]
fn every_single_entry_that_goes_missing_is_noticed_and_named() {
    let backend = HeapStateBackend::default();
    let (job, model) = filled(&backend);
    for address in model.contents().keys() {
        let mut subtasks = replay(&job, &model);
        let owner = job.owner_of(&address.key, 2);
        let clear = Change::Clear(address.kind);
        clear.apply(&mut subtasks[owner], &address.key, address.namespace);
        let found = contents_of(&job, &mut subtasks, &NAMESPACES);
        let difference = model.difference(&found).unwrap();
        assert!(difference.starts_with(&format!("{address:?}")), "{difference}");
        assert!(difference.ends_with("None found"), "{difference}");
    }
}

#[test]
fn a_changed_entry_and_a_surplus_entry_are_noticed() {
    let backend = HeapStateBackend::default();
    let job = TestJob::<_, String>::new(&backend);
    let mut model = Model::default();
    model.apply("a", 1, &Change::ValueSet(5));
    let mut subtasks = replay(&job, &model);
    let owner = job.owner_of(&"a".to_owned(), 2);

    Change::ValueAdd(1).apply(&mut subtasks[owner], &"a".to_owned(), 1);
    let found = contents_of(&job, &mut subtasks, &NAMESPACES);
    let difference = model.difference(&found).unwrap();
    assert!(difference.ends_with("Value(5) expected, Some(Value(6)) found"), "{difference}");

    Change::ValueSet(5).apply(&mut subtasks[owner], &"a".to_owned(), 1);
    Change::ListAdd(String::new()).apply(&mut subtasks[owner], &"a".to_owned(), 2);
    let found = contents_of(&job, &mut subtasks, &NAMESPACES);
    let difference = model.difference(&found).unwrap();
    assert!(difference.contains("nothing expected, List([\"\"]) found"), "{difference}");
}

#[test]
fn a_namespace_that_is_not_looked_at_is_noticed_by_the_number_of_entries() {
    let backend = HeapStateBackend::default();
    let job = TestJob::<_, String>::new(&backend);
    let mut subtasks = job.open(1, &[]);
    Change::ValueSet(5).apply(&mut subtasks[0], &"a".to_owned(), 99);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        contents_of(&job, &mut subtasks, &NAMESPACES)
    }));
    assert!(outcome.is_err());
}

#[test]
fn programs_depend_on_their_seed_alone() {
    let nested = HeapStateBackend::new(StateMapKind::Nested);
    let one = run_program(&HeapStateBackend::default(), 11, 300);
    assert_eq!(one, run_program(&HeapStateBackend::default(), 11, 300));
    assert_eq!(one, run_program(&nested, 11, 300));
    assert_ne!(one, run_program(&nested, 12, 300));
}

#[test]
fn the_model_takes_empty_for_absent() {
    let mut model = Model::default();
    model.apply("a", 1, &Change::ListSet(Vec::new()));
    model.apply("a", 1, &Change::ListAddAll(Vec::new()));
    model.apply("a", 1, &Change::MapRemove(1));
    model.apply("a", 1, &Change::Clear(Kind::Value));
    assert_eq!(model, Model::default());
    model.apply("a", 1, &Change::MapPut(1, "x".to_owned()));
    model.apply("a", 1, &Change::MapRemove(1));
    assert_eq!(model, Model::default());
}

#[test]
fn registering_twice_is_finding_again() {
    let backend = HeapStateBackend::default();
    let mut state = TestJob::<_, String>::new(&backend).open_one(&[]);
    assert_eq!(format!("{:?}", value_state(&mut state)), format!("{:?}", value_state(&mut state)));
    assert_ne!(format!("{:?}", value_state(&mut state)), format!("{:?}", list_state(&mut state)));
}
