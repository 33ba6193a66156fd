//! The first write after a freeze to a list or a map of 200,000 elements.
//!
//! Measured with nothing else in the state, and among 100,000 keys with short ones: there the
//! write also copies the segment in which the large one lies.

use alluvium_core::CheckpointId;
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::HeapKeyedStateBackend;
use alluvium_state::{
    FrozenState, KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, StateValue,
};

use crate::measure::{Samples, timed};
use crate::report::{Goal, Report};
use crate::setup::{self, KEY_GROUPS};

const GOAL: Goal = Goal::of(50.0, 5.0);
const ELEMENTS: u64 = 200_000;
const OTHER_KEYS: [(&str, u64); 2] = [("alone", 0), ("among-100k", 100_000)];
/// Elements of each other key.
const SHORT: u64 = 3;
/// The key with the large list or map.
const LARGE_KEY: u64 = 0;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;

pub(super) fn figures(report: &Report) {
    for (among, others) in OTHER_KEYS {
        list::<u64>(report, &format!("200k-u64/{among}"), others, |number| number);
        list::<String>(report, &format!("200k-string/{among}"), others, |number| {
            format!("element {number}")
        });
        map(report, &format!("200k-u64-u64/{among}"), others);
    }
}

fn list<T: StateValue + HasCodec>(report: &Report, name: &str, others: u64, element: fn(u64) -> T) {
    let names = Names::of("append-after-freeze", name);
    if !names.are_wanted(report) {
        return;
    }
    let mut keyed: Keyed = setup::heap(KEY_GROUPS);
    let state = keyed.list_state(ListStateDescriptor::<T>::new("list")).expect("a new state");
    for key in LARGE_KEY..=others {
        let count = if key == LARGE_KEY { ELEMENTS } else { SHORT };
        let mut at = keyed.at(&key).expect("an own key");
        state.add_all(&mut at, (0..count).map(element)).expect("an own state");
    }
    let group = keyed.key_group_of(&LARGE_KEY).expect("a key");
    let micros = after_freezes(report, &mut keyed, |keyed, number| {
        let element = element(number);
        let (took, ()) = timed(|| {
            let mut at = keyed.at_key_group(group, &LARGE_KEY, &()).expect("an own key");
            state.add(&mut at, element).expect("an own state");
        });
        took.as_secs_f64() * 1e6
    });
    names.print(report, &micros);
}

fn map(report: &Report, name: &str, others: u64) {
    let names = Names::of("insert-after-freeze", name);
    if !names.are_wanted(report) {
        return;
    }
    let mut keyed: Keyed = setup::heap(KEY_GROUPS);
    let descriptor = MapStateDescriptor::<u64, u64>::new("map");
    let state = keyed.map_state(descriptor).expect("a new state");
    for key in LARGE_KEY..=others {
        let count = if key == LARGE_KEY { ELEMENTS } else { SHORT };
        let mut at = keyed.at(&key).expect("an own key");
        (0..count).for_each(|number| state.put(&mut at, number, key).expect("an own state"));
    }
    let group = keyed.key_group_of(&LARGE_KEY).expect("a key");
    let micros = after_freezes(report, &mut keyed, |keyed, number| {
        let (took, ()) = timed(|| {
            let mut at = keyed.at_key_group(group, &LARGE_KEY, &()).expect("an own key");
            state.put(&mut at, ELEMENTS + number, number).expect("an own state");
        });
        took.as_secs_f64() * 1e6
    });
    names.print(report, &micros);
}

/// Freezes again and again, and takes what `write` measures each time; the frozen state is held
/// meanwhile and dropped outside the measured time.
fn after_freezes(
    report: &Report,
    keyed: &mut Keyed,
    mut write: impl FnMut(&mut Keyed, u64) -> f64,
) -> Samples {
    let mut micros = Samples::default();
    let mut checkpoint = CheckpointId::FIRST;
    let mut held: Option<Box<dyn FrozenState>> = None;
    for number in 0..=report.plan.freezes as u64 {
        let frozen = keyed.freeze(checkpoint).expect("pointers are cloned");
        drop(held.replace(frozen));
        let took = write(keyed, number);
        if number > 0 {
            micros.push(took);
        }
        keyed.abort(checkpoint);
        checkpoint = checkpoint.next();
    }
    micros
}

/// The figures of one measurement.
struct Names {
    median: String,
    p99: String,
}

impl Names {
    fn of(what: &str, name: &str) -> Self {
        Self { median: format!("{what}/{name}"), p99: format!("{what}-p99/{name}") }
    }

    fn are_wanted(&self, report: &Report) -> bool {
        report.wants_any(&[&self.median, &self.p99])
    }

    fn print(&self, report: &Report, micros: &Samples) {
        report.figure(&self.median, micros, GOAL, "us");
        report.value(&self.p99, micros.quantile(0.99), GOAL, "us");
    }
}
