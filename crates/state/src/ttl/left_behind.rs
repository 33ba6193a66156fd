//! What reads left to be done, kept by a backend until it can write.
//!
//! Invariants:
//! - everything in it concerns the key and namespace that were opened last;
//! - there is one touch for each state, whatever was read and how often;
//! - the time of a state stands still while it has one.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;

use super::Touch;
use crate::{StateError, StateId, StateKey};

type AnyTouch = Box<dyn Any + Send>;
type Run<B> = Box<dyn FnOnce(&mut B, AnyTouch) -> Result<(), StateError> + Send>;

/// What reads of the states of a backend `B` left to be done.
pub struct LeftBehind<B> {
    touches: RefCell<Vec<Left<B>>>,
}

struct Left<B> {
    state: StateId,
    now_ms: i64,
    touch: AnyTouch,
    run: Run<B>,
}

impl<B> Default for LeftBehind<B> {
    fn default() -> Self {
        Self { touches: RefCell::default() }
    }
}

impl<B> fmt::Debug for LeftBehind<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeftBehind({} states)", self.touches.borrow().len())
    }
}

impl<B> LeftBehind<B> {
    /// Whether nothing is to be done.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.touches.get_mut().is_empty()
    }

    /// The time at which that of a state stands still, in milliseconds; `None` when it goes on.
    pub fn time_of(&self, state: StateId) -> Option<i64> {
        self.touches.borrow().iter().find(|left| left.state == state).map(|left| left.now_ms)
    }

    /// Keeps a touch of a state, which stands still at a time from now on. `run` makes what does it
    /// later; it is not called when the state has a touch already.
    pub fn leave<N, T, F>(
        &self,
        state: StateId,
        now_ms: i64,
        touch: T,
        run: impl FnOnce() -> Result<F, StateError>,
    ) -> Result<(), StateError>
    where
        N: StateKey,
        T: Touch<N>,
        F: FnOnce(&mut B, T) -> Result<(), StateError> + Send + 'static,
    {
        let mut touches = self.touches.borrow_mut();
        let same = touches.iter_mut().find(|left| left.state == state);
        if let Some(known) = same.and_then(|left| left.touch.downcast_mut::<T>()) {
            known.merge(touch);
            return Ok(());
        }
        let run = run()?;
        let run: Run<B> = Box::new(move |backend, touch| match touch.downcast::<T>() {
            Ok(touch) => run(backend, *touch),
            Err(_) => unreachable!("a touch is run as what it was left as"),
        });
        touches.push(Left { state, now_ms, touch: Box::new(touch), run });
        Ok(())
    }

    /// Does everything, on the backend that keeps it.
    ///
    /// Errors: the first one; what comes after it is not done.
    #[cold]
    pub fn settle(backend: &mut B, of: impl Fn(&mut B) -> &mut Self) -> Result<(), StateError> {
        let touches = std::mem::take(of(backend).touches.get_mut());
        touches.into_iter().try_for_each(|Left { touch, run, .. }| run(backend, touch))
    }
}
