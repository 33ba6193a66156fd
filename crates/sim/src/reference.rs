//! What the job must come to, computed straight from the input.
//!
//! Exactly-once: state and committed lines are those of the input, each once. At-least-once: none
//! is missing, and nothing is there that the input has not. Each subtask has been told every note.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_runtime::CheckpointMode;

use crate::job::{Input, SubtaskEnd, UserState, window_of};

/// Every click and window of an input.
pub(crate) struct Reference {
    clicks_of: BTreeMap<u64, BTreeSet<u64>>,
    windows: BTreeMap<(u64, i64), u64>,
    notes: u64,
    mode: CheckpointMode,
}

impl Reference {
    pub(crate) fn new(input: Input, mode: CheckpointMode) -> Self {
        let mut clicks_of = BTreeMap::<u64, BTreeSet<u64>>::new();
        let mut windows = BTreeMap::new();
        for click in input.all() {
            clicks_of.entry(click.user).or_default().insert(click.id);
            *windows.entry((click.user, window_of(click.time_ms))).or_default() += 1;
        }
        Self { clicks_of, windows, notes: input.notes, mode }
    }

    fn is_exact(&self) -> bool {
        self.mode == CheckpointMode::ExactlyOnce
    }

    /// What is wrong with the state of all users.
    pub(crate) fn check_state(&self, found: &[UserState]) -> Vec<String> {
        let mut wrong = Vec::new();
        let by_user: BTreeMap<u64, &UserState> = found.iter().map(|it| (it.user, it)).collect();
        if by_user.len() != found.len() || !by_user.keys().eq(self.clicks_of.keys()) {
            let users: Vec<u64> = found.iter().map(|it| it.user).collect();
            wrong.push(format!("state has users {users:?}"));
        }
        for (user, expected) in &self.clicks_of {
            let Some(found) = by_user.get(user) else { continue };
            let set: BTreeSet<u64> = found.clicks.iter().copied().collect();
            let (len, count) = (found.clicks.len() as u64, found.count);
            if set != *expected {
                let missing: Vec<_> = expected.difference(&set).collect();
                let foreign: Vec<_> = set.difference(expected).collect();
                wrong.push(format!("state of user {user} lacks {missing:?}, has also {foreign:?}"));
            }
            if len != count || self.is_exact() && count != expected.len() as u64 {
                let expected = expected.len();
                wrong.push(format!("user {user} counts {count}, lists {len}, of {expected}"));
            }
        }
        wrong
    }

    /// What is wrong with the notes that subtasks were told: with `is_whole` all of them, else a part that
    /// is the same for each.
    pub(crate) fn check_notes(&self, ends: &[SubtaskEnd], is_whole: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut first = None;
        for notes in ends.iter().filter_map(|end| end.notes.as_ref()) {
            let told: BTreeMap<u64, u64> = notes.iter().copied().collect();
            if self.is_exact() && told.values().any(|times| *times != 1) {
                wrong.push(format!("notes came more than once: {told:?}"));
            }
            let numbers: BTreeSet<u64> = told.into_keys().collect();
            let until = if is_whole { self.notes } else { numbers.len() as u64 };
            if until > self.notes || !(0..until).eq(numbers.iter().copied()) {
                wrong.push(format!("notes {numbers:?} were told of {}", self.notes));
            }
            if *first.get_or_insert_with(|| numbers.clone()) != numbers {
                wrong.push(format!("notes {numbers:?} were told, and {first:?} to subtask 0"));
            }
        }
        wrong
    }

    /// What is wrong with the committed lines of a job that was stopped with a savepoint: they must be
    /// those of its state, which holds a part of the input.
    pub(crate) fn check_stopped(&self, lines: &[String], state: &[UserState]) -> Vec<String> {
        let mut committed = Committed::default();
        let mut wrong: Vec<String> =
            lines.iter().filter_map(|line| committed.take(line).err()).collect();
        for UserState { user, clicks, .. } in state {
            let clicks: BTreeSet<u64> = clicks.iter().copied().collect();
            let of_user = committed.clicks.keys().filter(|(_, of)| of == user);
            let found: BTreeSet<u64> = of_user.map(|(id, _)| *id).collect();
            let missing: Vec<_> = clicks.difference(&found).collect();
            let foreign: Vec<_> = found.difference(&clicks).collect();
            if !missing.is_empty() || self.is_exact() && !foreign.is_empty() {
                wrong.push(format!(
                    "stopped: of user {user} clicks {missing:?} were not committed, {foreign:?} too many"
                ));
            }
            if !self.clicks_of.get(user).is_some_and(|all| clicks.is_subset(all)) {
                wrong.push(format!("stopped: user {user} has clicks that the input has not"));
            }
        }
        for (window, found) in &committed.windows {
            let expected = self.windows.get(window).copied().unwrap_or_default();
            if self.is_exact() && *found > expected {
                wrong.push(format!("stopped: window {window:?} has {found} of {expected}"));
            }
        }
        if self.is_exact() {
            // Timers by the clock still fire behind the last barrier, and what they put out goes.
            let mut state = state.to_vec();
            for it in &mut state {
                it.is_reminded &= committed.reminders.contains_key(&it.user);
            }
            wrong.extend(committed.repeated(&state));
        }
        wrong
    }

    /// What is wrong with the committed lines.
    pub(crate) fn check_lines(&self, lines: &[String], state: &[UserState]) -> Vec<String> {
        let mut committed = Committed::default();
        let mut wrong: Vec<String> =
            lines.iter().filter_map(|line| committed.take(line).err()).collect();
        for (user, ids) in &self.clicks_of {
            let missing: Vec<_> =
                ids.iter().filter(|id| !committed.clicks.contains_key(&(**id, *user))).collect();
            if !missing.is_empty() {
                wrong.push(format!("clicks {missing:?} of user {user} were not committed"));
            }
        }
        let known = self.clicks_of.values().map(BTreeSet::len).sum::<usize>();
        if committed.clicks.len() > known {
            wrong.push(format!("{} clicks were committed of {known}", committed.clicks.len()));
        }
        for (window, expected) in &self.windows {
            let found = committed.windows.get(window).copied().unwrap_or_default();
            if found < *expected || self.is_exact() && found != *expected {
                wrong.push(format!("window {window:?} has {found} of {expected}"));
            }
        }
        if committed.windows.len() > self.windows.len() {
            wrong.push("windows were committed that the input has not".to_owned());
        }
        if self.is_exact() {
            wrong.extend(committed.repeated(state));
        }
        wrong
    }
}

/// Lines that were committed, counted.
#[derive(Default)]
struct Committed {
    /// How often, by id and user.
    clicks: BTreeMap<(u64, u64), u64>,
    /// How often each number of a click of a user.
    numbers: BTreeMap<(u64, u64), u64>,
    windows: BTreeMap<(u64, i64), u64>,
    window_lines: BTreeMap<(u64, i64), u64>,
    reminders: BTreeMap<u64, u64>,
}

impl Committed {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let unknown = || format!("a line that nobody wrote: {line}");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |text: &str| text.parse::<u64>().map_err(|_| unknown());
        match words.as_slice() {
            ["click", id, user, nth] => {
                let (id, user, nth) = (number(id)?, number(user)?, number(nth)?);
                *self.clicks.entry((id, user)).or_default() += 1;
                *self.numbers.entry((user, nth)).or_default() += 1;
            }
            ["window", user, window, count] => {
                let key = (number(user)?, window.parse().map_err(|_| unknown())?);
                *self.windows.entry(key).or_default() += number(count)?;
                *self.window_lines.entry(key).or_default() += 1;
            }
            ["remind", user] => *self.reminders.entry(number(user)?).or_default() += 1,
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// What came more than once, or does not fit the state.
    fn repeated(&self, state: &[UserState]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut more_than_once = |what: &str, key: String, times: u64| {
            if times > 1 {
                wrong.push(format!("{what} {key} was committed {times} times"));
            }
        };
        for (key, times) in &self.clicks {
            more_than_once("click", format!("{key:?}"), *times);
        }
        for (key, times) in &self.numbers {
            more_than_once("number", format!("{key:?}"), *times);
        }
        for (key, times) in &self.window_lines {
            more_than_once("window", format!("{key:?}"), *times);
        }
        for (user, times) in &self.reminders {
            more_than_once("reminder of", user.to_string(), *times);
        }
        for UserState { user, is_reminded, .. } in state {
            if *is_reminded != self.reminders.contains_key(user) {
                wrong.push(format!("the reminder of user {user} is in state or output only"));
            }
        }
        wrong
    }
}
