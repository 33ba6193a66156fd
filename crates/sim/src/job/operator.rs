//! The keyed operator: counts, lists, windows, reminders.

use std::sync::Arc;

use alluvium_core::KeyGroup;
use alluvium_runtime::{KeyedOperator, TaskError};
use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, OperatorStateBackend, TimeDomain, Timer,
    TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};

use super::{Click, ClickJob, Mishaps, WINDOW_MS, window_of};
use crate::host::SimHost;

/// The namespace of reminders.
const NO_WINDOW: i64 = i64::MIN;

/// What the state of a user has come to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserState {
    pub(crate) user: u64,
    pub(crate) count: u64,
    /// Ids of clicks, sorted.
    pub(crate) clicks: Vec<u64>,
    pub(crate) is_reminded: bool,
}

/// Counts the clicks of each user.
pub(super) struct Clicks {
    handles: Option<Handles>,
    mishaps: Arc<Mishaps>,
    host: SimHost,
}

#[derive(Clone, Copy)]
struct Handles {
    /// The namespace is the beginning of the window.
    timers: Timers<i64>,
    in_window: ValueState<u64, i64>,
    count: ValueState<u64>,
    clicks: ListState<u64>,
    is_reminded: ValueState<bool>,
}

impl Clicks {
    pub(super) fn new(job: &ClickJob) -> Self {
        Self { handles: None, mishaps: Arc::clone(&job.mishaps), host: job.host.clone() }
    }

    fn handles(&self) -> Result<Handles, TaskError> {
        self.handles.ok_or_else(|| "not open".into())
    }
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Clicks {
    type Input = Click;
    type Output = String;
    type Result = Vec<UserState>;
    type TimerNamespace = i64;

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "open an operator")?;
        let in_window = ValueStateDescriptor::<u64>::new("in-window").namespaced();
        self.handles = Some(Handles {
            timers: keyed.timers(TimerDescriptor::new("timers").namespaced())?,
            in_window: keyed.value_state(in_window)?,
            count: keyed.value_state(ValueStateDescriptor::<u64>::new("count"))?,
            clicks: keyed.list_state(ListStateDescriptor::<u64>::new("clicks"))?,
            is_reminded: keyed.value_state(ValueStateDescriptor::<bool>::new("is-reminded"))?,
        });
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        Click { id, user, time_ms }: Click,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "process a click")?;
        let Handles { timers, in_window, count, clicks, is_reminded } = self.handles()?;
        let window = window_of(time_ms);
        let mut at = keyed.at_key_group(key_group, &user, &window)?;
        in_window.update(&mut at, |count| *count += 1)?;
        timers.register(&mut at, TimeDomain::EventTime, window + WINDOW_MS - 1)?;
        drop(at);
        let mut at = keyed.at_key_group(key_group, &user, &())?;
        let nth = count.update(&mut at, |count| {
            *count += 1;
            *count
        })?;
        clicks.add(&mut at, id)?;
        let is_known = is_reminded.get(&at)?.is_some();
        drop(at);
        if !is_known {
            let due_ms = i64::try_from(alluvium_runtime::Clock::now_ms(&self.host))? + 3;
            let mut at = keyed.at_key_group(key_group, &user, &NO_WINDOW)?;
            timers.register(&mut at, TimeDomain::ProcessingTime, due_ms)?;
        }
        output.push(format!("click {id} {user} {nth}"));
        Ok(())
    }

    fn timers(&self) -> Option<Timers<i64>> {
        self.handles.map(|handles| handles.timers)
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<u64, i64>,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "fire a timer")?;
        let Handles { in_window, is_reminded, .. } = self.handles()?;
        let Timer { key_group, key: user, namespace: window, .. } = timer;
        if domain == TimeDomain::ProcessingTime {
            let mut at = keyed.at_key_group(key_group, &user, &())?;
            if is_reminded.get(&at)?.is_none() {
                is_reminded.set(&mut at, true)?;
                output.push(format!("remind {user}"));
            }
            return Ok(());
        }
        let mut at = keyed.at_key_group(key_group, &user, &window)?;
        let count = in_window.get(&at)?.map(|count| *count).ok_or("a window without clicks")?;
        in_window.clear(&mut at)?;
        output.push(format!("window {user} {window} {count}"));
        Ok(())
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.mishaps.call(&self.host, "snapshot an operator")
    }

    fn result(&mut self, keyed: &mut B) -> Result<Vec<UserState>, TaskError> {
        let Handles { count, clicks, is_reminded, .. } = self.handles()?;
        let mut users = Vec::new();
        for user in keyed.keys(count, &())? {
            let at = keyed.at(&user)?;
            let mut ids = Vec::new();
            for id in clicks.elements(&at)? {
                ids.push(*id?);
            }
            ids.sort_unstable();
            let count = count.get(&at)?.map_or(0, |count| *count);
            let is_reminded = is_reminded.get(&at)?.is_some();
            users.push(UserState { user, count, clicks: ids, is_reminded });
        }
        Ok(users)
    }
}
