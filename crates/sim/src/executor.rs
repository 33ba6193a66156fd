//! Runs tasks, work and storage calls of several processes, one step at a time, on one schedule.
//!
//! Ladder of names: simulation > process > task (polled) or work (called) > step. A step ends where
//! a task waits or ends, and at each storage call, which *stops* whoever makes it. What is ready is
//! picked by the seed; time stands still while anything is ready, but for a few microseconds that
//! each step takes.
//!
//! Invariants:
//! - only whoever has the baton touches the state, so all that happens follows from the seed;
//! - of a process that was killed nothing runs any more but what must be unwound, and that finds
//!   storage dead;
//! - no lock is held while foreign code runs.

mod pick;
mod sleep;
mod state;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use alluvium_runtime::{AbortHandle, HostTask, HostWork};
use alluvium_testkit::random::Random;

pub(crate) use self::sleep::Sleep;
use self::state::{Item, State, Task};
pub(crate) use self::state::{Limits, ProcessId};
use crate::threads::{Order, Slot, Threads, current, lock};

/// Real time after which a thread must be waiting for something outside the schedule.
const HANGS_AFTER: Duration = Duration::from_mins(2);

/// One simulation.
pub(crate) struct Executor {
    state: Mutex<State>,
    threads: Threads,
    is_over: Mutex<bool>,
    over: Condvar,
}

/// What whoever has the baton does next.
enum Next {
    Poll(u64, ProcessId, HostTask),
    Call(ProcessId, HostWork),
    /// A task that was aborted.
    Drop(HostTask),
    Resume(Arc<Slot>),
    Over,
}

impl Executor {
    pub(crate) fn new(random: Random, limits: Limits, threads: Threads) -> Arc<Self> {
        let (is_over, over) = (Mutex::new(false), Condvar::new());
        Arc::new(Self { state: Mutex::new(State::new(random, limits)), threads, is_over, over })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs the simulation from a thread outside until `main`, a task that no process owns, has
    /// ended. Gives what went wrong with the schedule itself.
    pub(crate) fn run(self: &Arc<Self>, main: HostTask) -> Option<String> {
        let id = self.spawn(ProcessId::WORLD, "world", main);
        self.state().main = Some(id);
        self.threads.serve(Arc::clone(self));
        let is_over = lock(&self.is_over);
        let (is_over, _) = self
            .over
            .wait_timeout_while(is_over, HANGS_AFTER, |is_over| !*is_over)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(*is_over, "a thread hangs; the trace:\n{}", self.state().trace.take());
        drop(is_over);
        let left = self.state().take_everything();
        drop(left);
        self.state().failure.take()
    }

    /// Does what is next until the baton goes to another thread.
    pub(crate) fn serve(self: &Arc<Self>, slot: &Arc<Slot>) {
        let mut handed = self.state().handed.take();
        loop {
            match handed.take().unwrap_or_else(|| self.pick()) {
                Next::Poll(id, process, task) => self.poll(id, process, task),
                Next::Call(process, work) => {
                    self.guarded("work", work);
                    self.leave(process);
                }
                Next::Drop(task) => self.guarded("dropping a task", || drop(task)),
                Next::Resume(other) => {
                    self.threads.park(slot);
                    return other.give(Order::GoOn);
                }
                Next::Over => {
                    self.threads.park(slot);
                    *lock(&self.is_over) = true;
                    return self.over.notify_all();
                }
            }
        }
    }

    /// Stops the calling thread for a time; others go on. Nothing where the thread is none of ours.
    pub(crate) fn stop(self: &Arc<Self>, process: ProcessId, for_us: u64) {
        let Some(own) = current() else { return };
        self.state().suspend(process, Arc::clone(&own), for_us);
        match self.pick() {
            Next::Resume(other) if Arc::ptr_eq(&other, &own) => return,
            Next::Resume(other) => other.give(Order::GoOn),
            next => {
                self.state().handed = Some(next);
                self.threads.serve(Arc::clone(self));
            }
        }
        let order = own.wait();
        assert!(matches!(order, Order::GoOn), "a thread that has stopped is not idle");
    }

    pub(crate) fn spawn(self: &Arc<Self>, process: ProcessId, name: &str, task: HostTask) -> u64 {
        let mut state = self.state();
        if state.is_dead(process) {
            drop(state);
            drop(task);
            return 0;
        }
        let id = state.next_id();
        state.trace.line(process, &format!("spawn {name}"));
        state.tasks.insert(id, Task::new(process, task));
        state.make_ready(Item::Task(id));
        id
    }

    pub(crate) fn spawn_blocking(&self, process: ProcessId, name: &str, work: HostWork) {
        let mut state = self.state();
        if state.is_dead(process) {
            drop(state);
            return drop(work);
        }
        let id = state.next_id();
        state.trace.line(process, &format!("call {name}"));
        state.works.insert(id, (process, work));
        state.make_ready(Item::Work(id));
    }

    /// What aborts a task: it is dropped as a step of its own.
    pub(crate) fn abort_handle(self: &Arc<Self>, id: u64) -> AbortHandle {
        let executor = Arc::downgrade(self);
        AbortHandle::new(move || {
            let Some(executor) = executor.upgrade() else { return };
            let mut state = executor.state();
            if let Some(task) = state.tasks.get_mut(&id) {
                task.is_aborted = true;
                state.wake(id);
            }
        })
    }

    /// Ends a process at once: what waits is dropped, what has stopped finds storage dead when it
    /// goes on. Wait for [`Executor::is_gone`] afterwards.
    pub(crate) fn kill(&self, process: ProcessId) {
        let left = self.state().kill(process);
        self.guarded("dropping a process", || drop(left));
    }

    /// Somebody has come to where it is to be killed.
    pub(crate) fn spring(&self, process: ProcessId) {
        let waker = self.state().spring(process);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nothing of a process is left.
    pub(crate) fn is_gone(&self, process: ProcessId) -> bool {
        self.state().active(process) == 0
    }

    fn poll(self: &Arc<Self>, id: u64, process: ProcessId, mut task: HostTask) {
        let waker = Waker::from(Arc::new(TaskWaker { id, executor: Arc::downgrade(self) }));
        let polled = panic::catch_unwind(AssertUnwindSafe(|| {
            task.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        let mut state = self.state();
        let is_over = match polled {
            Ok(Poll::Pending) => false,
            Ok(Poll::Ready(())) => true,
            Err(_) => {
                state.fail("a task panicked out of its host");
                true
            }
        };
        if let Some(task) = state.polled(id, task, is_over) {
            drop(state);
            self.guarded("dropping a task", || drop(task));
        } else {
            drop(state);
        }
        self.leave(process);
    }

    /// Something of a process is off its thread.
    fn leave(&self, process: ProcessId) {
        let waker = self.state().leave(process);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn guarded(&self, what: &str, act: impl FnOnce()) {
        if panic::catch_unwind(AssertUnwindSafe(act)).is_err() {
            self.state().fail(&format!("{what} panicked out of its host"));
        }
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Executor")
    }
}

struct TaskWaker {
    id: u64,
    executor: std::sync::Weak<Executor>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(executor) = self.executor.upgrade() {
            executor.state().wake(self.id);
        }
    }
}
