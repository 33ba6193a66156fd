//! Threads of which one at a time runs.
//!
//! Something that stops in the middle keeps its thread, and the *baton* goes to another one: to a
//! thread that had stopped before and goes on, or to an idle one that serves the schedule.
//!
//! Invariants: whoever has the baton runs, everybody else waits for an [`Order`]; a thread is idle
//! before it gives the baton away, so whoever gets it finds it. Each thread is a thread pool of
//! `rayon` by itself, so backends that work on all threads work on this one.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::executor::Executor;

/// What a waiting thread is told.
pub(crate) enum Order {
    /// To an idle one: take the baton and do what is next.
    Serve(Arc<Executor>),
    /// To one that has stopped: go on.
    GoOn,
    /// To an idle one: end.
    Quit,
}

/// Where a thread waits.
#[derive(Default)]
pub(crate) struct Slot {
    order: Mutex<Option<Order>>,
    given: Condvar,
}

impl Slot {
    pub(crate) fn give(&self, order: Order) {
        *lock(&self.order) = Some(order);
        self.given.notify_one();
    }

    pub(crate) fn wait(&self) -> Order {
        let mut order = lock(&self.order);
        loop {
            if let Some(order) = order.take() {
                return order;
            }
            order = self.given.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Nothing here panics while it holds a lock but a test that has failed already.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The slot of this thread, if it is one of ours.
    static CURRENT: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// The slot of the calling thread; `None` on a thread that is none of ours.
pub(crate) fn current() -> Option<Arc<Slot>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Threads for one simulation after the other. Clones share them.
#[derive(Clone, Default)]
pub struct Threads {
    idle: Arc<Idle>,
}

#[derive(Default)]
struct Idle(Mutex<Vec<Arc<Slot>>>);

impl Drop for Idle {
    fn drop(&mut self) {
        lock(&self.0).drain(..).for_each(|slot| slot.give(Order::Quit));
    }
}

impl Threads {
    /// No thread yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a thread is about to be idle.
    pub(crate) fn park(&self, slot: &Arc<Slot>) {
        lock(&self.idle.0).push(Arc::clone(slot));
    }

    /// Gives the baton to a thread that has nothing else to do.
    pub(crate) fn serve(&self, executor: Arc<Executor>) {
        let idle = lock(&self.idle.0).pop();
        idle.unwrap_or_else(start).give(Order::Serve(executor));
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({} idle)", lock(&self.idle.0).len())
    }
}

#[expect(clippy::disallowed_methods, reason = "these threads are the simulated machine")]
fn start() -> Arc<Slot> {
    let slot = Arc::new(Slot::default());
    let own = Arc::clone(&slot);
    drop(std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        assert!(pool.is_ok(), "a new thread is in no pool yet");
        CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(&own)));
        while let Order::Serve(executor) = own.wait() {
            executor.serve(&own);
        }
    }));
    slot
}
