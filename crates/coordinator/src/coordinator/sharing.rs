//! Tasks that build on earlier checkpoints, some of them on ones that are gone, against the rule
//! that a file is named for deletion once: when it is needed no more.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{CheckpointMetadata, StoragePath, SubtaskState};
use proptest::prelude::*;

use super::fixture::*;
use crate::{AbortReason, Action, Coordinator, CoordinatorConfig, Event, StartPoint};

#[derive(Debug, Clone)]
enum Op {
    Request,
    /// Delivers a state that was not delivered yet, of whatever checkpoint.
    Deliver(prop::sample::Index),
    /// Delivers a state once more.
    Redeliver(prop::sample::Index),
    Decline(usize),
    Commit,
    CommitFails,
    /// Time passes, and a checkpoint may expire.
    Wait,
    /// A task learns of the newest checkpoint, if it has missed that.
    Hear(usize),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => Just(Op::Request),
        40 => any::<prop::sample::Index>().prop_map(Op::Deliver),
        3 => any::<prop::sample::Index>().prop_map(Op::Redeliver),
        2 => (0..TASKS).prop_map(Op::Decline),
        14 => Just(Op::Commit),
        2 => Just(Op::CommitFails),
        2 => Just(Op::Wait),
        6 => (0..TASKS).prop_map(Op::Hear),
    ]
}

/// A choice for each step: which files of its base each task still needs, and whether it hears of
/// completions.
type Choice = ([u8; TASKS], [bool; TASKS]);

fn any_step() -> impl Strategy<Value = (Op, Choice)> {
    let hears = || prop::bool::weighted(0.9);
    (any_op(), (any::<[u8; TASKS]>(), (hears(), hears(), hears())))
        .prop_map(|(op, (needed, (a, b, c)))| (op, (needed, [a, b, c])))
}

struct World {
    coordinator: Coordinator,
    now_ms: u64,
    newest: u64,
    open: Option<u64>,
    /// What each task builds on: the files of its state in the last checkpoint it heard of.
    bases: [Vec<String>; TASKS],
    waiting: Vec<(u64, usize, SubtaskState)>,
    delivered: Vec<(u64, usize, SubtaskState)>,
    redelivered: BTreeSet<StoragePath>,
    /// States of the open checkpoint that were accepted.
    accepted: BTreeMap<usize, SubtaskState>,
    named: BTreeMap<StoragePath, usize>,
    declined_for_gone: usize,
}

impl World {
    fn new(retained: usize) -> Self {
        let config = CoordinatorConfig::new()
            .retained(retained)
            .timeout_ms(10)
            .tolerable_failed_checkpoints(u32::MAX);
        let coordinator = Coordinator::new(config, plan(), StartPoint::default()).unwrap();
        let mut world = Self {
            coordinator,
            now_ms: 0,
            newest: 0,
            open: None,
            bases: Default::default(),
            waiting: Vec::new(),
            delivered: Vec::new(),
            redelivered: BTreeSet::new(),
            accepted: BTreeMap::new(),
            named: BTreeMap::new(),
            declined_for_gone: 0,
        };
        world.tell(STARTED, ([0; TASKS], [true; TASKS]));
        world
    }

    fn step(&mut self, op: &Op, choice: Choice) {
        match op {
            Op::Request => self.tell(REQUEST, choice),
            Op::Deliver(_) if self.waiting.is_empty() => {}
            Op::Deliver(which) => {
                self.deliver(which.index(self.waiting.len()), choice);
            }
            Op::Redeliver(_) if self.delivered.is_empty() => {}
            Op::Redeliver(which) => {
                let (checkpoint, number, state) =
                    self.delivered[which.index(self.delivered.len())].clone();
                self.redelivered.extend(state.files().cloned());
                self.acknowledge(checkpoint, number, &state, choice);
            }
            Op::Decline(number) => self.tell(decline(self.newest.max(1), *number), choice),
            Op::Commit => self.tell(committed(self.newest.max(1)), choice),
            Op::CommitFails => self.tell(commit_failed(self.newest.max(1)), choice),
            Op::Wait => {
                self.now_ms += 6;
                self.tell(TICK, choice);
            }
            Op::Hear(number) => self.hear(*number),
        }
    }

    fn deliver(&mut self, at: usize, choice: Choice) {
        let (checkpoint, number, state) = self.waiting.remove(at);
        self.delivered.push((checkpoint, number, state.clone()));
        self.acknowledge(checkpoint, number, &state, choice);
    }

    fn acknowledge(
        &mut self,
        checkpoint: u64,
        number: usize,
        state: &SubtaskState,
        choice: Choice,
    ) {
        if self.open == Some(checkpoint) {
            self.accepted.entry(number).or_insert_with(|| state.clone());
        }
        self.tell(ack_of(ATTEMPT, checkpoint, number, state.clone()), choice);
    }

    fn tell(&mut self, event: Event, choice: Choice) {
        for action in self.coordinator.handle(self.now_ms, event) {
            match action {
                Action::Trigger { checkpoint, .. } => self.trigger(checkpoint.get(), choice.0),
                Action::NotifyComplete { .. } => {
                    self.close();
                    for number in (0..TASKS).filter(|number| choice.1[*number]) {
                        self.hear(number);
                    }
                }
                Action::NotifyAborted { reason, .. } => {
                    let gone = matches!(&reason, AbortReason::Declined { reason, .. }
                        if reason.contains("refers to"));
                    self.declined_for_gone += usize::from(gone);
                    self.close();
                }
                Action::Discard { files } | Action::DeleteCheckpoint { files, .. } => {
                    for file in files {
                        *self.named.entry(file).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        self.check_used();
    }

    fn close(&mut self) {
        self.open = None;
        self.accepted.clear();
    }

    /// Every task takes its snapshot: a stream of its own, now and then inlined, that refers to
    /// some files of its base.
    fn trigger(&mut self, checkpoint: u64, needed: [u8; TASKS]) {
        (self.newest, self.open) = (checkpoint, Some(checkpoint));
        for (number, needed) in needed.into_iter().enumerate() {
            let own = match needed >> 5 {
                0 => ".".to_owned(),
                _ => format!("shared/{number}-{checkpoint}"),
            };
            let bits = |at: usize| needed >> (at % 5) & 1 == 1;
            let base = self.bases[number].iter().enumerate();
            let kept = base.filter(|(at, _)| bits(*at)).map(|(_, file)| file.clone());
            let files: Vec<String> = [own].into_iter().chain(kept).collect();
            self.waiting.push((checkpoint, number, state(number, &files.join("+"))));
        }
    }

    fn hear(&mut self, number: usize) {
        let Some(latest) = self.coordinator.latest() else { return };
        let states = latest.operators.iter().flat_map(|operator| &operator.subtasks);
        let state = states.into_iter().nth(number).unwrap();
        self.bases[number] = state.files().map(ToString::to_string).collect();
    }

    fn used(&self) -> BTreeSet<&StoragePath> {
        let pending = self.accepted.values().flat_map(SubtaskState::files);
        pending.chain(self.coordinator.retained().flat_map(CheckpointMetadata::files)).collect()
    }

    /// Once named, a file is gone for good: nobody may refer to it later either.
    fn check_used(&self) {
        let gone = self.used().into_iter().find(|file| self.named.contains_key(*file));
        assert_eq!(gone, None, "it is referenced, and was named for deletion");
    }

    /// Ends the run; what came of every file that was ever acknowledged.
    fn end(mut self) {
        let choice = ([0; TASKS], [true; TASKS]);
        while !self.waiting.is_empty() {
            self.deliver(0, choice);
        }
        // A checkpoint that is committing now reports; any other is aborted.
        self.tell(committed(self.newest.max(1)), choice);
        self.tell(STOPPED, choice);
        self.accepted.clear();
        let used = self.used();
        for (checkpoint, number, state) in &self.delivered {
            let Some(file) = state.streams().find_map(|stream| stream.file()) else { continue };
            let named = self.named.get(file).copied().unwrap_or(0);
            let name = format!("{file} of task {number} in checkpoint {checkpoint}");
            if used.contains(file) {
                assert_eq!(named, 0, "{name} is used");
            } else if self.redelivered.contains(file) {
                assert!(named >= 1, "{name} is forgotten");
            } else {
                assert_eq!(named, 1, "{name}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_file_is_named_once_when_it_is_needed_no_more(
        retained in 1..4_usize,
        steps in prop::collection::vec(any_step(), 1..300),
    ) {
        let mut world = World::new(retained);
        for (op, choice) in &steps {
            world.step(op, *choice);
        }
        world.end();
    }
}

/// The random runs above would show little if no task ever referred to a file that is gone.
#[test]
fn a_task_that_missed_a_completion_is_declined_until_it_hears_of_one() {
    const NOTHING: [u8; TASKS] = [1 << 5; TASKS];
    const ALL: [u8; TASKS] = [u8::MAX; TASKS];
    let mut world = World::new(1);
    let mut checkpoint = |needed: [u8; TASKS], hears: bool| {
        let choice = (needed, [true, true, hears]);
        world.step(&Op::Request, choice);
        for _ in 0..TASKS {
            world.deliver(0, choice);
        }
        world.step(&Op::Commit, choice);
        (world.coordinator.statistics().completed, world.declined_for_gone)
    };
    assert_eq!(checkpoint(NOTHING, true), (1, 0));
    assert_eq!(checkpoint(NOTHING, false), (2, 0), "the files of 1 are deleted");
    assert_eq!(checkpoint(ALL, false), (2, 1), "task 2 still builds on 1");
    assert_eq!(checkpoint(NOTHING, true), (3, 1));
    assert_eq!(checkpoint(ALL, true), (4, 1));
    world.end();
}
