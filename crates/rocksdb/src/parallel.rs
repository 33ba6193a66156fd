//! Work on several items at a time, on threads that end with the call.
//!
//! Invariants: after an item has failed, nobody begins another; outcomes are in the order of the
//! items, and those that are missing come after one that failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` for each item, on as many threads as are asked for, this one included.
pub(crate) fn for_each<T, R, E>(
    items: &[T],
    threads: usize,
    work: impl Fn(usize, &T) -> Result<R, E> + Sync,
) -> Vec<Result<R, E>>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Result<R, E>>>> =
        items.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(slot)) = (items.get(at), outcomes.get(at)) else { break };
            let outcome = work(at, item);
            if outcome.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let begun = outcomes.into_iter();
    begun.filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_in_order_and_end_with_what_failed() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [1, 3, 200] {
            let all = for_each(&items, threads, |at, item| Ok::<_, ()>(at * 1000 + item));
            let all: Vec<usize> = all.into_iter().map(Result::unwrap).collect();
            assert_eq!(all, items.iter().map(|item| item * 1001).collect::<Vec<_>>());
        }
        let some = for_each(&items, 1, |_, item| if *item == 7 { Err(()) } else { Ok(()) });
        assert_eq!(some.len(), 8, "nobody began the ones behind");
        assert!(some.iter().take(7).all(Result::is_ok) && some.last().unwrap().is_err());
        assert!(for_each(&[0_u8; 0], 4, |_, _| Ok::<_, ()>(())).is_empty());
    }
}
