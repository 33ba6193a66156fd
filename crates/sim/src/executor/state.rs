//! What the schedule knows: tasks, work, stopped threads, timers, processes.
//!
//! Invariants: a task is ready at most once at a time; a stopped thread is in `stopped` until it is
//! picked, and what is ready or due and not there any more means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use alluvium_runtime::{HostTask, HostWork};
use alluvium_testkit::random::Random;

use super::Next;
use crate::chaos::Chaos;
use crate::threads::Slot;
use crate::trace::Trace;

/// A simulated process; 0 is the world around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub(crate) u32);

impl ProcessId {
    pub(crate) const WORLD: Self = Self(0);
}

/// When a simulation that does not end is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) steps: u64,
    pub(crate) time_us: u64,
}

/// Something that can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Task(u64),
    Work(u64),
    Stopped(u64),
}

pub(super) struct Task {
    pub(super) process: ProcessId,
    /// `None` while it is polled.
    future: Option<HostTask>,
    /// Whether it is ready, or was woken while it is polled.
    is_woken: bool,
    pub(super) is_aborted: bool,
}

impl Task {
    pub(super) fn new(process: ProcessId, task: HostTask) -> Self {
        Self { process, future: Some(task), is_woken: true, is_aborted: false }
    }
}

/// What is due at a time.
pub(super) enum Due {
    Item(Item),
    Wake(Waker),
}

#[derive(Default)]
struct Process {
    is_dead: bool,
    /// How much of it is on a thread: being polled or called, or stopped there.
    active: usize,
    /// Who waits until nothing is.
    waiting: Option<Waker>,
}

/// All of it. Only whoever has the baton comes here.
pub(crate) struct State {
    pub(crate) now_us: u64,
    /// How far the clock that is told is off.
    pub(crate) clock_off_ms: i64,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    pub(crate) chaos: Chaos,
    pub(super) limits: Limits,
    pub(super) steps: u64,
    pub(super) main: Option<u64>,
    pub(super) handed: Option<Next>,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) works: BTreeMap<u64, (ProcessId, HostWork)>,
    pub(super) ready: Vec<Item>,
    pub(super) due: BTreeMap<(u64, u64), Due>,
    pub(super) stopped: BTreeMap<u64, (ProcessId, Arc<Slot>)>,
    /// Threads of killed processes, which go on before anything else.
    pub(super) doomed: Vec<Arc<Slot>>,
    processes: BTreeMap<ProcessId, Process>,
    last_id: u64,
    /// Who has sprung a trap that nobody has seen yet, and who waits for that.
    sprung: Option<ProcessId>,
    trapper: Option<Waker>,
    pub(super) failure: Option<String>,
}

/// What is left of something that has ended; dropping it runs foreign code.
pub(crate) type Left = (Vec<HostTask>, Vec<HostWork>);

impl State {
    pub(super) fn new(random: Random, limits: Limits) -> Self {
        Self {
            now_us: 0,
            clock_off_ms: 0,
            random,
            trace: Trace::default(),
            chaos: Chaos::default(),
            limits,
            steps: 0,
            main: None,
            handed: None,
            tasks: BTreeMap::new(),
            works: BTreeMap::new(),
            ready: Vec::new(),
            due: BTreeMap::new(),
            stopped: BTreeMap::new(),
            doomed: Vec::new(),
            processes: BTreeMap::new(),
            last_id: 0,
            sprung: None,
            trapper: None,
            failure: None,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn new_process(&mut self) -> ProcessId {
        let last = self.processes.keys().next_back().map_or(0, |last| last.0);
        let process = ProcessId(last + 1);
        self.processes.insert(process, Process::default());
        process
    }

    pub(crate) fn is_dead(&self, process: ProcessId) -> bool {
        self.processes.get(&process).is_some_and(|process| process.is_dead)
    }

    pub(super) fn active(&self, process: ProcessId) -> usize {
        self.processes.get(&process).map_or(0, |process| process.active)
    }

    /// Wakes somebody when nothing of a process is on a thread any more.
    pub(crate) fn when_gone(&mut self, process: ProcessId, waker: Waker) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.waiting = Some(waker);
        }
    }

    pub(super) fn enter(&mut self, process: ProcessId) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.active += 1;
        }
    }

    pub(super) fn leave(&mut self, process: ProcessId) -> Option<Waker> {
        let process = self.processes.get_mut(&process)?;
        process.active -= 1;
        if process.active == 0 { process.waiting.take() } else { None }
    }

    /// Puts something among what can be picked; now and then only a while later.
    pub(super) fn make_ready(&mut self, item: Item) {
        match self.chaos.delay_us(&mut self.random) {
            Some(after_us) => {
                let key = (self.now_us + after_us, self.next_id());
                self.due.insert(key, Due::Item(item));
            }
            None => self.ready.push(item),
        }
    }

    pub(super) fn wake(&mut self, id: u64) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if !std::mem::replace(&mut task.is_woken, true) && task.future.is_some() {
            self.make_ready(Item::Task(id));
        }
    }

    /// Takes a task out to be polled.
    pub(super) fn begin(&mut self, id: u64) -> Option<Next> {
        let task = self.tasks.get_mut(&id)?;
        let polled = task.future.take()?;
        let process = task.process;
        if task.is_aborted {
            self.tasks.remove(&id);
            return Some(Next::Drop(polled));
        }
        task.is_woken = false;
        self.enter(process);
        Some(Next::Poll(id, process, polled))
    }

    /// Puts a task back, or hands it out to be dropped.
    pub(super) fn polled(&mut self, id: u64, polled: HostTask, is_over: bool) -> Option<HostTask> {
        let Some(task) = self.tasks.get_mut(&id) else { return Some(polled) };
        if is_over || task.is_aborted {
            self.tasks.remove(&id);
            return Some(polled);
        }
        task.future = Some(polled);
        if task.is_woken {
            self.make_ready(Item::Task(id));
        }
        None
    }

    pub(super) fn suspend(&mut self, process: ProcessId, slot: Arc<Slot>, for_us: u64) {
        let id = self.next_id();
        self.stopped.insert(id, (process, slot));
        let item = Item::Stopped(id);
        if for_us == 0 {
            self.ready.push(item);
        } else {
            let key = (self.now_us + for_us, self.next_id());
            self.due.insert(key, Due::Item(item));
        }
    }

    /// Springs the trap; gives who is to be woken.
    pub(super) fn spring(&mut self, process: ProcessId) -> Option<Waker> {
        self.chaos.trap = None;
        self.sprung = Some(process);
        self.trapper.take()
    }

    /// Whether a process has sprung the trap; each time is said once. Else somebody is woken when
    /// one does.
    pub(crate) fn is_sprung(&mut self, process: ProcessId, waker: &Waker) -> bool {
        self.trapper = Some(waker.clone());
        self.sprung.take_if(|sprung| *sprung == process).is_some()
    }

    /// Adds a waker that is called at a time; gives what takes it away again.
    pub(super) fn wake_at(&mut self, at_us: u64, waker: Waker) -> (u64, u64) {
        let key = (at_us, self.next_id());
        self.due.insert(key, Due::Wake(waker));
        key
    }

    pub(super) fn kill(&mut self, process: ProcessId) -> Left {
        if let Some(process) = self.processes.get_mut(&process) {
            process.is_dead = true;
        }
        let tasks = self.tasks.extract_if(.., |_, task| task.process == process);
        let tasks: Vec<Task> = tasks.map(|(_, task)| task).collect();
        let works = self.works.extract_if(.., |_, (of, _)| *of == process);
        let works = works.map(|(_, (_, work))| work).collect();
        let stopped = self.stopped.extract_if(.., |_, (of, _)| *of == process);
        self.doomed.extend(stopped.map(|(_, (_, slot))| slot));
        (tasks.into_iter().filter_map(|task| task.future).collect(), works)
    }

    /// Notes that the simulation itself has failed; it is wound up.
    pub(super) fn fail(&mut self, why: &str) {
        if self.failure.is_none() {
            self.failure = Some(why.to_owned());
            self.trace.line(ProcessId::WORLD, &format!("failure: {why}"));
        }
    }

    /// Kills all processes; whether any thread of theirs has to go on.
    pub(super) fn end_all(&mut self) -> bool {
        self.processes.values_mut().for_each(|process| process.is_dead = true);
        self.doomed.extend(std::mem::take(&mut self.stopped).into_values().map(|(_, it)| it));
        !self.doomed.is_empty()
    }

    pub(super) fn take_everything(&mut self) -> Left {
        self.due.clear();
        let tasks = std::mem::take(&mut self.tasks).into_values().filter_map(|task| task.future);
        let works = std::mem::take(&mut self.works).into_values().map(|(_, work)| work);
        (tasks.collect(), works.collect())
    }
}
