//! Random events, sensible and impossible ones, against an independent account of the actions.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{AttemptId, CheckpointMetadata, StoragePath, SubtaskState};
use proptest::prelude::*;

use super::fixture::*;
use crate::{
    AbortReason, Action, CheckpointKind, Coordinator, CoordinatorConfig, Event, RequestId,
    SavepointFormat, StartPoint, TaskId,
};

/// An event whose checkpoint is given relative to the newest one.
#[derive(Debug, Clone)]
enum Op {
    Plain(Event),
    /// With a number of its own.
    Ask(CheckpointKind),
    Ack {
        back: u64,
        attempt: u32,
        task: usize,
        state: SubtaskState,
    },
    Decline {
        back: u64,
        task: usize,
    },
    Committed {
        back: u64,
    },
    CommitFailed {
        back: u64,
    },
}

/// A few names only, so that states often share files.
fn any_files() -> impl Strategy<Value = String> {
    let file = || prop::sample::select(vec!["-", "a", "b", "c", "d", "e"]);
    (file(), file()).prop_map(|(keyed, operator)| format!("{keyed} {operator}"))
}

fn any_ack() -> impl Strategy<Value = Op> {
    let back = prop_oneof![12 => Just(1u64), 1 => Just(0), 2 => Just(2), 1 => Just(3)];
    let attempt = prop_oneof![12 => Just(ATTEMPT), 1 => Just(ATTEMPT - 1), 1 => Just(ATTEMPT + 1)];
    let task = prop_oneof![12 => 0..TASKS, 1 => Just(TASKS)];
    let other = prop_oneof![12 => Just(false), 1 => Just(true)];
    (back, attempt, task, any_files(), other).prop_map(|(back, attempt, task, files, other)| {
        let of = if other { 2 } else { task };
        Op::Ack { back, attempt, task, state: state(of, &files) }
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    let back = || prop_oneof![10 => Just(1u64), 1 => 0..4u64];
    prop_oneof![
        60 => any_ack(),
        8 => back().prop_map(|back| Op::Committed { back }),
        2 => back().prop_map(|back| Op::CommitFailed { back }),
        2 => (back(), 0..=TASKS).prop_map(|(back, task)| Op::Decline { back, task }),
        15 => Just(Op::Plain(TICK)),
        8 => Just(Op::Plain(REQUEST)),
        1 => Just(Op::Plain(FINAL_REQUEST)),
        4 => Just(Op::Ask(CheckpointKind::Savepoint(SavepointFormat::Canonical))),
        2 => Just(Op::Ask(CheckpointKind::FullCheckpoint)),
        1 => Just(Op::Ask(CheckpointKind::Checkpoint)),
        1 => any::<bool>().prop_map(|drain| {
            Op::Ask(CheckpointKind::StopWithSavepoint { format: SavepointFormat::Native, drain })
        }),
        4 => Just(Op::Plain(STARTED)),
        1 => Just(Op::Plain(STOPPED)),
    ]
}

fn any_config() -> impl Strategy<Value = (CoordinatorConfig, usize)> {
    let interval = prop::option::of(1..60u64);
    let pause = prop_oneof![Just(0), 0..40u64];
    let concurrent = (1..4usize, prop::bool::weighted(0.2));
    (interval, pause, 1..120u64, 1..4usize, 0..6u32, concurrent).prop_map(
        |(interval, pause, timeout, retained, tolerable, (concurrent, unaligned))| {
            let config = CoordinatorConfig::new()
                .interval_ms(interval)
                .min_pause_ms(pause)
                .timeout_ms(timeout)
                .retained(retained)
                .max_concurrent(concurrent)
                .unaligned(unaligned)
                .tolerable_failed_checkpoints(tolerable);
            (config, retained)
        },
    )
}

fn event_of(op: Op, newest: u64, asked: u64) -> Event {
    // Ids begin at 1; one before it becomes 1 again.
    let checkpoint = |back: u64| (newest + 1).saturating_sub(back).max(1);
    match op {
        Op::Plain(event) => event,
        Op::Ask(kind) => Event::Requested { kind, request: Some(RequestId(asked)) },
        Op::Ack { back, attempt, task, state } => ack_of(attempt, checkpoint(back), task, state),
        Op::Decline { back, task } => decline(checkpoint(back), task),
        Op::Committed { back } => committed(checkpoint(back)),
        Op::CommitFailed { back } => commit_failed(checkpoint(back)),
    }
}

/// A checkpoint that was triggered and has not ended.
struct Open {
    kind: CheckpointKind,
    states: BTreeMap<TaskId, SubtaskState>,
    committing: bool,
    /// How many requests it serves.
    requests: usize,
}

/// What an observer of events and actions knows.
#[derive(Default)]
struct Account {
    most: usize,
    newest: u64,
    open: BTreeMap<u64, Open>,
    stopped: bool,
    failed: bool,
    completed: u64,
    completed_checkpoints: u64,
    asked: u64,
    answered: BTreeSet<RequestId>,
    discarded_savepoints: BTreeSet<u64>,
}

impl Account {
    /// Takes one event with its actions and checks them against each other.
    fn take(&mut self, event: &Event, actions: &[Action], retained: &[CheckpointMetadata]) {
        // What expires goes before the event counts: its files may be in a state that comes now.
        let expired = actions.iter().rposition(|action| {
            matches!(action, Action::NotifyAborted { reason: AbortReason::Expired, .. })
        });
        let is_end = |action: &Action| {
            matches!(
                action,
                Action::Answer { .. }
                    | Action::Discard { .. }
                    | Action::DiscardSavepoint { .. }
                    | Action::DeleteCheckpoint { .. }
                    | Action::FailJob { .. }
            )
        };
        let end = expired.map_or(0, |last| {
            last + 1 + actions[last + 1..].iter().take_while(|action| is_end(action)).count()
        });
        let (expiring, actions) = actions.split_at(end);
        for action in expiring {
            self.take_action(action);
        }
        self.check_deletions(expiring, retained);
        self.take_event(event);
        for action in actions {
            self.take_action(action);
        }
        self.stopped |= *event == STOPPED;
        if self.stopped {
            // Whatever was not committing has ended.
            assert!(self.open.values().all(|open| open.committing));
            let asked = (0..self.asked).map(RequestId);
            let committing: usize = self.open.values().map(|open| open.requests).sum();
            let missing = asked.filter(|request| !self.answered.contains(request)).count();
            assert_eq!(missing, committing, "requests without an answer");
        }
        self.check_deletions(actions, retained);
    }

    fn take_action(&mut self, action: &Action) {
        match action {
            Action::Trigger { checkpoint, kind, requests, .. } => {
                assert!(checkpoint.get() > self.newest, "ids must increase");
                assert!(!self.stopped && !self.failed, "triggered after the end");
                assert!(self.open.values().all(|open| !open.kind.ends_job()));
                self.newest = checkpoint.get();
                let (states, requests) = (BTreeMap::new(), requests.len());
                let open = Open { kind: *kind, states, committing: false, requests };
                self.open.insert(self.newest, open);
                let checkpoints = self.open.values().filter(|open| !open.kind.is_savepoint());
                assert!(checkpoints.count() <= self.most, "too many are under way");
            }
            Action::Commit { metadata, .. } => {
                assert!(self.open.values().all(|open| !open.committing), "two commits at a time");
                let open = self.open.get_mut(&metadata.properties.checkpoint.get()).unwrap();
                open.committing = true;
            }
            Action::NotifyComplete { checkpoint, .. } => {
                assert!(!self.stopped);
                let open = self.complete(checkpoint.get());
                assert!(open.kind.is_announced());
                let older =
                    |(id, open): (&u64, &Open)| *id < checkpoint.get() && !open.kind.is_savepoint();
                assert!(!self.open.iter().any(older), "an older one is still under way");
            }
            Action::NotifyAborted { checkpoint, .. } => {
                assert!(!self.stopped);
                let open = self.open.remove(&checkpoint.get()).unwrap();
                if open.kind.is_savepoint() {
                    self.discarded_savepoints.insert(checkpoint.get());
                }
            }
            Action::FailJob { .. } => {
                assert!(!self.failed, "failed twice");
                self.failed = true;
            }
            Action::Answer { requests, answer } => {
                for request in requests {
                    assert!(self.answered.insert(*request), "{request:?} is answered twice");
                }
                if let Ok(checkpoint) = answer
                    && self.open.contains_key(&checkpoint.get())
                {
                    self.complete(checkpoint.get());
                }
            }
            Action::DiscardSavepoint { checkpoint } => {
                assert!(self.discarded_savepoints.contains(&checkpoint.get()));
            }
            Action::Discard { files } => assert!(!files.is_empty()),
            Action::DeleteCheckpoint { .. } | Action::WakeAt { .. } => {}
            Action::DeleteClaimed => panic!("nothing was claimed"),
        }
    }

    fn complete(&mut self, checkpoint: u64) -> Open {
        let open = self.open.remove(&checkpoint).unwrap();
        assert!(open.committing);
        self.completed += 1;
        self.completed_checkpoints += u64::from(!open.kind.is_savepoint());
        open
    }

    /// Registers the first acknowledgement of each task of an open checkpoint, and ends one that
    /// was committing when the run stopped.
    fn take_event(&mut self, event: &Event) {
        match event {
            Event::Acknowledged { checkpoint, attempt, task: from, state, .. } => {
                let known = (0..TASKS).any(|number| task(number) == *from);
                let fits =
                    *attempt == AttemptId::new(ATTEMPT) && known && state.index == from.subtask;
                if let Some(open) = self.open.get_mut(&checkpoint.get()).filter(|_| fits) {
                    open.states.entry(from.clone()).or_insert_with(|| state.clone());
                }
            }
            Event::Committed { checkpoint } | Event::CommitFailed { checkpoint, .. }
                if self.stopped
                    && self.open.get(&checkpoint.get()).is_some_and(|open| open.committing) =>
            {
                match event {
                    Event::Committed { .. } => drop(self.complete(checkpoint.get())),
                    _ => drop(self.open.remove(&checkpoint.get())),
                }
                self.discarded_savepoints.insert(checkpoint.get());
            }
            _ => {}
        }
    }

    fn check_deletions(&self, actions: &[Action], retained: &[CheckpointMetadata]) {
        let checkpoints = self.open.values().filter(|open| !open.kind.is_savepoint());
        let states = checkpoints.flat_map(|open| open.states.values());
        let mut used: BTreeSet<&StoragePath> = states.flat_map(SubtaskState::files).collect();
        used.extend(retained.iter().flat_map(CheckpointMetadata::files));
        for action in actions {
            let files = match action {
                Action::Discard { files } => files,
                Action::DeleteCheckpoint { checkpoint, files } => {
                    let kept = retained.iter().map(|metadata| metadata.properties.checkpoint);
                    assert!(kept.into_iter().all(|kept| kept != *checkpoint));
                    files
                }
                _ => continue,
            };
            assert!(files.is_sorted_by(|a, b| a < b), "{action:?} is not sorted");
            let in_use = files.iter().find(|file| used.contains(file));
            assert_eq!(in_use, None, "{action:?} deletes what is in use: {used:?}");
        }
    }

    fn check_totals(&self, coordinator: &Coordinator) {
        let (statistics, failed) = (coordinator.statistics(), coordinator.statistics().failed);
        let failures = failed.expired
            + failed.subsumed
            + failed.declined
            + failed.commit_failed
            + failed.job_stopped;
        assert_eq!(statistics.completed, self.completed);
        let open = self.open.len() as u64;
        assert_eq!(statistics.triggered, statistics.completed + failures + open);
        assert_eq!(statistics.triggered, self.newest, "ids are given out one by one");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_events_keep_the_invariants(
        (config, keep) in any_config(),
        ops in prop::collection::vec((any_op(), 0..12u64, 0..20u64), 1..300),
    ) {
        let new = || Coordinator::new(config.clone(), plan(), StartPoint::default()).unwrap();
        let (mut coordinator, mut twin) = (new(), new());
        let most = config.effective_max_concurrent();
        let mut account = Account { most, ..Account::default() };
        let mut clock_ms = 1_000;
        let mut latest_ms = 0;
        let _ = coordinator.handle(clock_ms, STARTED);
        let _ = twin.handle(clock_ms, STARTED);
        for (op, passed_ms, back_ms) in ops {
            clock_ms += passed_ms;
            // Now and then the caller's clock is behind.
            let now_ms = if back_ms > 17 { clock_ms - back_ms } else { clock_ms };
            latest_ms = now_ms.max(latest_ms);
            let event = event_of(op.clone(), account.newest, account.asked);
            account.asked += u64::from(matches!(op, Op::Ask(_)));
            let actions = coordinator.handle(now_ms, event.clone());
            prop_assert_eq!(&twin.handle(now_ms, event.clone()), &actions, "not deterministic");
            let retained: Vec<_> = coordinator.retained().cloned().collect();
            account.take(&event, &actions, &retained);

            let most = keep + usize::from(account.stopped);
            prop_assert!(retained.len() <= most, "{} of {most} retained", retained.len());
            prop_assert_eq!(retained.is_empty(), account.completed_checkpoints == 0);
            let ids = retained.iter().map(|metadata| metadata.properties.checkpoint);
            prop_assert!(ids.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(coordinator.latest(), retained.last());
            let deadline_ms = coordinator.next_deadline_ms();
            prop_assert!(deadline_ms.is_none_or(|at_ms| at_ms > latest_ms), "something is due");
            account.check_totals(&coordinator);
        }
    }
}
