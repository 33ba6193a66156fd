//! Memory is measured in a process of its own, whose memory holds nothing else.

use alluvium_benches::process::{self, resident_bytes};
use alluvium_core::CheckpointId;
use alluvium_state::{KeyedStateBackend, ValueStateDescriptor};

use crate::contender::{Backend, Bare, Contender, Map, fill};
use crate::measure::{Samples, timed};
use crate::setup;
use crate::shapes::{Numbers, Shape, Texts, Wide};

/// Freezes of a backend without entries.
const EMPTY_FREEZES: usize = 51;

/// What the process is for.
#[derive(Debug)]
pub(crate) enum Task {
    /// The memory of a contender with entries of a shape.
    Memory { contender: String, shape: String, count: u64 },
    /// Memory and freeze of a backend of states without entries.
    EmptyGroups { key_groups: u32, states: u32 },
}

impl Task {
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let wrong = || format!("no task: {}", words.join(" "));
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["memory", contender, shape, count] => Ok(Self::Memory {
                contender: contender.to_owned(),
                shape: shape.to_owned(),
                count: count.parse().map_err(|_| wrong())?,
            }),
            ["empty-groups", key_groups, states] => Ok(Self::EmptyGroups {
                key_groups: key_groups.parse().map_err(|_| wrong())?,
                states: states.parse().map_err(|_| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }

    fn words(&self) -> Vec<String> {
        match self {
            Self::Memory { contender, shape, count } => {
                vec!["memory".to_owned(), contender.clone(), shape.clone(), count.to_string()]
            }
            Self::EmptyGroups { key_groups, states } => {
                vec!["empty-groups".to_owned(), key_groups.to_string(), states.to_string()]
            }
        }
    }

    /// The numbers that a process of its own prints for this task.
    pub(crate) fn in_a_process(&self) -> Vec<f64> {
        process::numbers_of(&self.words())
    }
}

/// Does a task and prints its numbers.
pub(crate) fn run(task: &Task) {
    match task {
        Task::Memory { contender, shape, count } => {
            let bytes = match shape.as_str() {
                Numbers::NAME => memory_of::<Numbers>(contender, *count),
                Wide::NAME => memory_of::<Wide>(contender, *count),
                Texts::NAME => memory_of::<Texts>(contender, *count),
                other => panic!("no shape {other}"),
            };
            println!("{bytes}");
        }
        Task::EmptyGroups { key_groups, states } => empty_groups(*key_groups, *states),
    }
}

fn memory_of<S: Shape>(contender: &str, count: u64) -> u64 {
    let before = resident_bytes();
    let mut contender: Box<dyn Contender<S>> = match contender {
        "hashbrown" => Box::new(Bare::with_capacity(count)),
        "map" => Box::new(Map::new()),
        "backend" => Box::new(Backend::new()),
        other => panic!("no contender {other}"),
    };
    fill(&mut *contender, count);
    let bytes = resident_bytes() - before;
    std::hint::black_box(&contender);
    bytes
}

/// Prints the bytes of the backend and the milliseconds of a freeze.
fn empty_groups(key_groups: u32, states: u32) {
    let before = resident_bytes();
    let mut backend = setup::heap::<u64>(key_groups);
    for number in 0..states {
        let descriptor = ValueStateDescriptor::<u64>::new(&format!("state {number}"));
        backend.value_state(descriptor).expect("the state is new");
    }
    let bytes = resident_bytes() - before;
    let mut millis = Samples::default();
    let mut checkpoint = CheckpointId::FIRST;
    for _ in 0..EMPTY_FREEZES {
        let (took, frozen) = timed(|| backend.freeze(checkpoint).expect("nothing to fail"));
        millis.push(took.as_secs_f64() * 1e3);
        drop(frozen);
        backend.abort(checkpoint);
        checkpoint = checkpoint.next();
    }
    println!("{bytes} {} {}", millis.median(), millis.max());
}
