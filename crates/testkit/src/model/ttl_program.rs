//! Random programs of states with a time to live, exact against a model after each step.
//!
//! A program writes, reads, moves the clock, takes checkpoints of both kinds, goes back to them,
//! rescales, and turns the time to live off and on again over restores. What has expired is never
//! returned, so the model forgets it at once, whenever a backend cleans it up.
//!
//! Invariants:
//! - the clock goes back, but not to where something was alive that had expired: whether that is
//!   still there is up to the backend;
//! - a time to live is turned off after a full snapshot only, which holds nothing that had expired.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium_core::KeyedStateHandle;
use alluvium_state::{
    KeyContext, KeyedStateBackend, SnapshotMode, StateBackend, StateTtl, UpdateType,
};

use crate::clock::ManualClock;
use crate::conformance::sorted;
use crate::conformance::ttl::{KINDS, Seen, States, reduce_digits, try_register};
use crate::job::{KeyedOf, TestJob, complete_all};
use crate::random::Random;

const KEYS: u64 = 12;
const TIME_TO_LIVE_MS: u64 = 100;

/// Something and its stamp.
type Stamped<T> = (u64, T);

/// What a key holds.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cells {
    value: Option<Stamped<u64>>,
    list: Vec<Stamped<u64>>,
    long: Vec<Stamped<u64>>,
    map: BTreeMap<u8, Stamped<u64>>,
    sorted: BTreeMap<u8, Stamped<u64>>,
    reducing: Option<Stamped<u64>>,
    aggregating: Option<Stamped<(u64, u64)>>,
}

impl Cells {
    fn seen(&self) -> Seen {
        Seen {
            value: self.value.map(|(_, value)| value),
            list: self.list.iter().map(|(_, element)| *element).collect(),
            long: self.long.iter().map(|(_, element)| *element).collect(),
            map: self.map.iter().map(|(user_key, (_, value))| (*user_key, *value)).collect(),
            sorted: self.sorted.iter().map(|(user_key, (_, value))| (*user_key, *value)).collect(),
            reducing: self.reducing.map(|(_, value)| value),
            aggregating: self.aggregating.map(|(_, value)| value),
        }
    }

    /// All stamps.
    fn stamps(&mut self) -> impl Iterator<Item = &mut u64> {
        let value = self.value.iter_mut().map(|(stamp, _)| stamp);
        let lists = self.list.iter_mut().chain(&mut self.long).map(|(stamp, _)| stamp);
        let entries = self.map.values_mut().chain(self.sorted.values_mut());
        let entries = entries.map(|(stamp, _)| stamp);
        let reducing = self.reducing.iter_mut().map(|(stamp, _)| stamp);
        let aggregating = self.aggregating.iter_mut().map(|(stamp, _)| stamp);
        value.chain(lists).chain(entries).chain(reducing).chain(aggregating)
    }

    fn expire(&mut self, is_alive: impl Fn(u64) -> bool) {
        self.value = self.value.filter(|(stamp, _)| is_alive(*stamp));
        self.list.retain(|(stamp, _)| is_alive(*stamp));
        self.long.retain(|(stamp, _)| is_alive(*stamp));
        self.map.retain(|_, (stamp, _)| is_alive(*stamp));
        self.sorted.retain(|_, (stamp, _)| is_alive(*stamp));
        self.reducing = self.reducing.filter(|(stamp, _)| is_alive(*stamp));
        self.aggregating = self.aggregating.filter(|(stamp, _)| is_alive(*stamp));
    }
}

type Model = BTreeMap<String, Cells>;

struct Program<'b, B: StateBackend> {
    job: TestJob<'b, B, String>,
    random: Random,
    clock: ManualClock,
    ttl: StateTtl,
    refreshes: bool,
    /// Whether the states have a time to live now.
    is_on: bool,
    /// The clock does not go back behind it: something had ended by then.
    floor_ms: u64,
    model: Model,
    subtasks: Vec<KeyedOf<B, String>>,
    states: Vec<States>,
    /// The last checkpoint, and what it holds.
    last: (Vec<KeyedStateHandle>, Model),
}

/// Runs a program of some steps that is drawn from a seed.
///
/// Panics: at the first difference between the backend and the model, and names the seed.
pub fn run_ttl_program<B: StateBackend>(backend: &B, seed: u64, steps: usize) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut program = Program::new(backend, seed);
        (0..steps).for_each(|_| program.step());
        program.compare();
    }));
    if let Err(panic) = outcome {
        eprintln!("program of states with a time to live: seed {seed}, {steps} steps");
        std::panic::resume_unwind(panic);
    }
}

impl<'b, B: StateBackend> Program<'b, B> {
    fn new(backend: &'b B, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clock = ManualClock::new(10_000);
        let refreshes = random.one_in(2);
        let update =
            if refreshes { UpdateType::OnReadAndWrite } else { UpdateType::OnCreateAndWrite };
        let ttl = StateTtl::new(Duration::from_millis(TIME_TO_LIVE_MS), clock.state_clock());
        let ttl = ttl.update(update).cleanup_incrementally(*random.pick(&[0, 1, 5, 100]));
        let mut program = Self {
            job: TestJob::new(backend),
            random,
            clock,
            ttl,
            refreshes,
            is_on: true,
            floor_ms: 0,
            model: Model::new(),
            subtasks: Vec::new(),
            states: Vec::new(),
            last: (Vec::new(), Model::new()),
        };
        program.open(1, &[]);
        program
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn key(&mut self) -> String {
        format!("key-{}", self.random.below(KEYS))
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..=19 => self.change(),
            20..=25 => self.read(),
            26..=32 => self.move_clock(),
            33 | 34 => self.list_keys(),
            35 | 36 => self.checkpoint(),
            37 => self.go_back(),
            38 => self.restart(),
            _ => self.compare(),
        }
    }

    /// Opens all subtasks and registers all states.
    fn open(&mut self, parallelism: u32, handles: &[KeyedStateHandle]) {
        self.subtasks = self.job.open(parallelism, handles);
        let ttl = self.is_on.then_some(&self.ttl);
        let register = |backend: &mut KeyedOf<B, String>| try_register(backend, ttl).unwrap();
        self.states = self.subtasks.iter_mut().map(register).collect();
    }

    fn owner_of(&self, key: &String) -> usize {
        self.job.owner_of(key, u32::try_from(self.subtasks.len()).unwrap())
    }

    fn change(&mut self) {
        let (key, now_ms) = (self.key(), self.now_ms());
        let owner = self.owner_of(&key);
        let (number, choice) = (self.random.below(6), self.random.below(20));
        let user_key = u8::try_from(number).unwrap();
        let (Some(backend), Some(states)) = (self.subtasks.get_mut(owner), self.states.get(owner))
        else {
            panic!("no subtask {owner}")
        };
        let mut at = backend.at(&key).unwrap();
        let cells = self.model.entry(key.clone()).or_default();
        match choice {
            0 => {
                states.value.set(&mut at, number).unwrap();
                cells.value = Some((now_ms, number));
            }
            1 => {
                let sum = states.value.update(&mut at, |value| {
                    *value += number;
                    *value
                });
                let expected = cells.value.map_or(0, |(_, value)| value) + number;
                assert_eq!(sum.unwrap(), expected);
                cells.value = Some((now_ms, expected));
            }
            2 | 3 => {
                states.list.add_all(&mut at, (0..number).map(|it| it * 3)).unwrap();
                states.long.add_all(&mut at, (0..number).map(|it| it * 3)).unwrap();
                cells.list.extend((0..number).map(|it| (now_ms, it * 3)));
                cells.long.extend((0..number).map(|it| (now_ms, it * 3)));
            }
            4 => {
                states.list.set(&mut at, vec![number; 2]).unwrap();
                states.long.set(&mut at, vec![number; 2]).unwrap();
                cells.list = vec![(now_ms, number); 2];
                cells.long = vec![(now_ms, number); 2];
            }
            5 | 6 => {
                states.map.put(&mut at, user_key, number).unwrap();
                cells.map.insert(user_key, (now_ms, number));
            }
            7 => {
                states.map.update(&mut at, user_key, |value| *value += 7).unwrap();
                let value = cells.map.get(&user_key).map_or(0, |(_, value)| *value) + 7;
                cells.map.insert(user_key, (now_ms, value));
            }
            8 => {
                states.map.remove(&mut at, &user_key).unwrap();
                cells.map.remove(&user_key);
            }
            9 => {
                states.reducing.add(&mut at, number).unwrap();
                let reduced = cells.reducing.map_or(number, |(_, mut reduced)| {
                    reduce_digits(&mut reduced, number);
                    reduced
                });
                cells.reducing = Some((now_ms, reduced));
            }
            10 => {
                states.aggregating.add(&mut at, number).unwrap();
                let (count, sum) = cells.aggregating.map_or((0, 0), |(_, both)| both);
                cells.aggregating = Some((now_ms, (count + 1, sum + number)));
            }
            15..=18 => change_lists(*states, &mut at, (number, choice), (now_ms, cells)),
            11..=14 => change_sorted(*states, &mut at, (user_key, choice), (now_ms, cells)),
            _ => {
                states.list.clear(&mut at).unwrap();
                states.map.clear(&mut at).unwrap();
                states.sorted.clear(&mut at).unwrap();
                states.long.clear(&mut at).unwrap();
                (cells.list, cells.map, cells.sorted) = Default::default();
                cells.long.clear();
            }
        }
    }

    /// Reads all of a key, one entry of its map, or a part of its sorted map.
    fn read(&mut self) {
        let (key, now_ms) = (self.key(), self.now_ms());
        let user_key = u8::try_from(self.random.below(6)).unwrap();
        let owner = self.owner_of(&key);
        let (Some(backend), Some(states)) = (self.subtasks.get_mut(owner), self.states.get(owner))
        else {
            panic!("no subtask {owner}")
        };
        let at = backend.at(&key).unwrap();
        let cells = self.model.entry(key.clone()).or_default();
        if self.random.one_in(3) {
            let found = states.sorted.range(&at, user_key..).unwrap().take(2);
            let found: Vec<_> = found.map(|entry| *entry.unwrap().0).collect();
            let expected: Vec<_> = cells.sorted.range(user_key..).take(2).map(|it| *it.0).collect();
            assert_eq!(found, expected, "{key} from {user_key} at {now_ms}");
            if self.refreshes {
                let read = cells.sorted.range_mut(user_key..).take(2);
                read.for_each(|(_, (stamp, _))| *stamp = now_ms);
            }
        } else if self.random.one_in(2) {
            let found = states.map.get(&at, &user_key).unwrap().map(|value| *value);
            assert_eq!(found, cells.map.get(&user_key).map(|(_, value)| *value), "{key}");
            if let (true, Some((stamp, _))) = (self.refreshes, cells.map.get_mut(&user_key)) {
                *stamp = now_ms;
            }
        } else {
            assert_eq!(states.see(&at), cells.seen(), "{key} at {now_ms}");
            if self.refreshes {
                cells.stamps().for_each(|stamp| *stamp = now_ms);
            }
        }
    }

    /// Forwards, and sometimes backwards.
    fn move_clock(&mut self) {
        let now_ms = self.now_ms();
        if self.random.one_in(5) {
            let back_ms = self.random.below(60).min(now_ms - self.floor_ms.min(now_ms));
            self.clock.set(now_ms - back_ms);
        } else {
            self.clock.advance(self.random.below(60));
        }
        self.expire();
    }

    /// Forgets what has expired by now.
    fn expire(&mut self) {
        if !self.is_on {
            return;
        }
        let (now_ms, mut floor_ms) = (self.now_ms(), self.floor_ms);
        for cells in self.model.values_mut() {
            let ends = cells.stamps().map(|stamp| *stamp + TIME_TO_LIVE_MS);
            floor_ms = ends.filter(|end| *end <= now_ms).fold(floor_ms, u64::max);
            cells.expire(|stamp| stamp + TIME_TO_LIVE_MS > now_ms);
        }
        self.floor_ms = floor_ms;
    }

    /// The keys of each state, found without reading them.
    fn list_keys(&mut self) {
        let mut found = [const { Vec::new() }; KINDS];
        for (backend, states) in self.subtasks.iter_mut().zip(&self.states) {
            for (found, keys) in found.iter_mut().zip(states.keys(backend)) {
                found.extend(keys);
            }
        }
        let has: [fn(&Cells) -> bool; KINDS] = [
            |cells| cells.value.is_some(),
            |cells| !cells.list.is_empty(),
            |cells| !cells.long.is_empty(),
            |cells| !cells.map.is_empty(),
            |cells| !cells.sorted.is_empty(),
            |cells| cells.reducing.is_some(),
            |cells| cells.aggregating.is_some(),
        ];
        for (found, has) in found.into_iter().zip(has) {
            let expected = self.model.iter().filter(|(_, cells)| has(cells));
            let expected: Vec<String> = expected.map(|(key, _)| key.clone()).collect();
            assert_eq!(sorted(found), expected, "keys at {}", self.now_ms());
        }
    }

    /// Freezes, goes on, and writes.
    fn checkpoint(&mut self) {
        let kinds = [SnapshotMode::Full, SnapshotMode::Incremental, SnapshotMode::Incremental];
        self.job.mode = *self.random.pick(&kinds);
        let frozen = self.job.freeze(&mut self.subtasks);
        let model = self.model.clone();
        for _ in 0..self.random.below(8) {
            match self.random.below(3) {
                0 => self.change(),
                1 => self.read(),
                _ => self.move_clock(),
            }
        }
        let checkpoint = frozen.checkpoint();
        let handles = frozen.write();
        complete_all(&mut self.subtasks, checkpoint);
        self.last = (handles, model);
    }

    /// Goes back to the last checkpoint, at another parallelism.
    fn go_back(&mut self) {
        let (handles, model) = self.last.clone();
        self.model = model;
        let parallelism = 1 + u32::try_from(self.random.below(3)).unwrap();
        self.open(parallelism, &handles);
        self.expire();
    }

    /// Restarts from a checkpoint of now, with a time to live or without.
    fn restart(&mut self) {
        let turns = self.random.one_in(2);
        let may_be_incremental = !(turns && self.is_on);
        self.job.mode = if may_be_incremental && self.random.one_in(2) {
            SnapshotMode::Incremental
        } else {
            SnapshotMode::Full
        };
        let handles = self.job.snapshot(&mut self.subtasks);
        if turns {
            self.is_on = !self.is_on;
            let now_ms = self.now_ms();
            if self.is_on {
                let stamps = self.model.values_mut().flat_map(Cells::stamps);
                stamps.for_each(|stamp| *stamp = now_ms);
            }
        }
        let parallelism = 1 + u32::try_from(self.random.below(3)).unwrap();
        self.open(parallelism, &handles);
        // What went before had another codec.
        let handles = self.job.snapshot(&mut self.subtasks);
        self.last = (handles, self.model.clone());
    }

    /// Reads everything.
    fn compare(&mut self) {
        self.list_keys();
        let now_ms = self.now_ms();
        for number in 0..KEYS {
            let key = format!("key-{number}");
            let owner = self.owner_of(&key);
            let states = self.states.get(owner).unwrap();
            let at = self.subtasks.get_mut(owner).unwrap().at(&key).unwrap();
            let cells = self.model.entry(key.clone()).or_default();
            assert_eq!(states.see(&at), cells.seen(), "{key} at {now_ms}");
            if self.refreshes {
                cells.stamps().for_each(|stamp| *stamp = now_ms);
            }
        }
    }
}

/// Changes the sorted map of a key, and takes from its ends.
fn change_sorted(
    states: States,
    at: &mut impl KeyContext<Namespace = ()>,
    (user_key, choice): (u8, u64),
    (now_ms, cells): (u64, &mut Cells),
) {
    let sorted = states.sorted;
    match choice {
        11 => {
            sorted.put(at, user_key, u64::from(user_key)).unwrap();
            cells.sorted.insert(user_key, (now_ms, u64::from(user_key)));
        }
        12 => {
            sorted.update(at, user_key, |value| *value += 7).unwrap();
            let value = cells.sorted.get(&user_key).map_or(0, |(_, value)| *value) + 7;
            cells.sorted.insert(user_key, (now_ms, value));
        }
        13 => {
            sorted.remove(at, &user_key).unwrap();
            cells.sorted.remove(&user_key);
        }
        _ => {
            let is_first = user_key < 3;
            let taken = if is_first { sorted.pop_first(at) } else { sorted.pop_last(at) };
            let expected =
                if is_first { cells.sorted.pop_first() } else { cells.sorted.pop_last() };
            assert_eq!(taken.unwrap(), expected.map(|(user_key, (_, value))| (user_key, value)));
        }
    }
}

/// Takes elements from both ends of the lists of a key; positions count what has not expired.
fn change_lists(
    states: States,
    at: &mut impl KeyContext<Namespace = ()>,
    (number, choice): (u64, u64),
    (now_ms, cells): (u64, &mut Cells),
) {
    let count = usize::try_from(number).unwrap();
    for (list, model) in [(states.list, &mut cells.list), (states.long, &mut cells.long)] {
        let front = model.len().min(count);
        match choice {
            15 => {
                let first = (!model.is_empty()).then(|| model.remove(0).1);
                assert_eq!(list.pop_front(at).unwrap(), first);
            }
            16 => {
                list.remove_front(at, number).unwrap();
                model.drain(..front);
            }
            17 => {
                list.truncate(at, number).unwrap();
                model.truncate(count);
            }
            _ => {
                list.add(at, number).unwrap();
                model.push((now_ms, number));
            }
        }
    }
}
