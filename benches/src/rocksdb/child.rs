//! Memory is measured in a process of its own, whose memory holds nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_benches::background::Background;
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::process::{self, resident_bytes};
use alluvium_benches::random::Random;
use alluvium_benches::targets::{self, ACCESS_SEED};
use alluvium_rocksdb::{RocksDbMemory, RocksDbStateBackend};
use alluvium_state::{KeyedStateBackend, ValueState};
use alluvium_storage::{HandleReader, ReadAccess};

use crate::own::{self, Checkpoints, Keyed, MIB, RIGHT_USE, Wide};
use crate::records::{KEY_GROUPS, Record};

/// Subtasks of the process, and states of each.
const SUBTASKS: u16 = 4;
const STATES: usize = 3;
/// State over budget.
const STATE_OVER_BUDGET: u64 = 4;
/// Reads and updates after the state is there.
const LOAD: Duration = Duration::from_secs(20);
const OPERATIONS_OF_A_TURN: usize = 20_000;
/// Turns of all subtasks between two checkpoints.
const TURNS_OF_A_CHECKPOINT: u64 = 10;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What the process is for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Memory under load with a budget.
    Memory { budget_mib: u64 },
}

impl Task {
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let budget = match words {
            [memory, budget] if memory == "memory" => budget.parse().ok(),
            _ => None,
        };
        let budget_mib = budget.ok_or_else(|| format!("no task: {}", words.join(" ")))?;
        Ok(Self::Memory { budget_mib })
    }

    /// The numbers that a process of its own prints for this task.
    pub(crate) fn in_a_process(&self) -> Vec<f64> {
        let Self::Memory { budget_mib } = self;
        process::numbers_of(&["memory".to_owned(), budget_mib.to_string()])
    }
}

/// Does a task and prints its numbers.
pub(crate) fn run(task: &Task) {
    let Task::Memory { budget_mib } = task;
    let found = under_load(*budget_mib);
    println!("{}", found.map(|number| number.to_string()).join(" "));
}

/// Looks at the memory of this process, beyond what it had at first, until it is dropped.
pub(crate) struct Watch {
    before: u64,
    most: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let (most, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let before = resident_bytes();
        let (found, over) = (Arc::clone(&most), Arc::clone(&is_over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                found.fetch_max(resident_bytes().saturating_sub(before), Ordering::AcqRel);
                std::thread::sleep(LOOK);
            }
        });
        Self { before, most, is_over }
    }

    pub(crate) fn most_mib(&self) -> f64 {
        self.most.load(Ordering::Acquire) as f64 / MIB as f64
    }

    pub(crate) fn now_mib(&self) -> f64 {
        resident_bytes().saturating_sub(self.before) as f64 / MIB as f64
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// A subtask with its states.
struct Subtask {
    keyed: Keyed,
    states: Vec<ValueState<Wide>>,
    checkpoints: Checkpoints,
    background: Background,
}

fn under_load(budget_mib: u64) -> [f64; 6] {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let budget = usize::try_from(budget_mib).expect("a size in memory") * MIB;
    let watch = Watch::begin();
    let memory = RocksDbMemory::new(budget).expect("enough memory");
    let backend = RocksDbStateBackend::new(dir.path()).memory(&memory);
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let mut subtasks: Vec<Subtask> = (0..SUBTASKS)
        .map(|number| {
            let mut keyed = own::open(&backend, (number, u32::from(SUBTASKS)), &[], &nowhere);
            let states =
                (0..STATES).map(|state| own::wide(&mut keyed, &format!("state-{state}"))).collect();
            let (checkpoints, background) = (Checkpoints::new(), Background::start());
            Subtask { keyed, states, checkpoints, background }
        })
        .collect();
    let keys = budget as u64 * STATE_OVER_BUDGET / 100 / STATES as u64;
    for number in 0..keys {
        let record = Record::of(number);
        let owner = owner_of(&record);
        let Some(subtask) = subtasks.get_mut(owner) else { continue };
        for state in &subtask.states {
            own::set(&mut subtask.keyed, *state, &record, own::wide_value(number));
        }
    }
    let (mut random, start) = (Random::new(ACCESS_SEED), Instant::now());
    let (mut operations, mut turns, mut checkpoints) = (0_u64, 0_u64, 0_u64);
    while start.elapsed() < LOAD {
        for _ in 0..OPERATIONS_OF_A_TURN {
            let record = Record::of(random.below(keys));
            let Some(subtask) = subtasks.get_mut(owner_of(&record)) else { continue };
            subtask.access(&record, random.next_u64());
            operations += 1;
        }
        turns += 1;
        if turns.is_multiple_of(TURNS_OF_A_CHECKPOINT) {
            for subtask in &mut subtasks {
                subtask.checkpoint();
                checkpoints += 1;
            }
        }
    }
    for subtask in &subtasks {
        subtask.background.wait();
    }
    let state_mib = (keys * STATES as u64 * 100) as f64 / MIB as f64;
    let charged = memory.used_bytes() as f64 / MIB as f64;
    [watch.most_mib(), watch.now_mib(), charged, state_mib, operations as f64, checkpoints as f64]
}

fn owner_of(record: &Record) -> usize {
    usize::from(record.group.get()) * usize::from(SUBTASKS) / KEY_GROUPS as usize
}

impl Subtask {
    /// A read or an update of one of the states.
    fn access(&mut self, record: &Record, dice: u64) {
        let at = usize::from(dice.to_le_bytes()[0]) % STATES;
        let Some(state) = self.states.get(at).copied() else { return };
        let mut at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
        if dice.is_multiple_of(2) {
            std::hint::black_box(state.get(&at).expect(RIGHT_USE));
        } else {
            state.set(&mut at, own::wide_value(dice)).expect(RIGHT_USE);
        }
    }

    fn checkpoint(&mut self) {
        self.background.wait();
        let checkpoint = self.checkpoints.begin(&mut self.keyed);
        let frozen = self.keyed.freeze(checkpoint).expect("nothing failed before");
        let target = targets::incremental_target(Arc::new(NullStorage::paced()), checkpoint);
        self.background.run(Box::new(move || drop(targets::write(frozen, &target))));
    }
}
