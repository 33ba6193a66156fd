use std::future::pending;

use super::*;
use crate::TokioHost;

fn running() -> Running<&'static str, u32> {
    Running::new(Arc::new(TokioHost::new()))
}

#[tokio::test]
async fn each_end_is_reported_once_under_its_name() {
    let mut running = running();
    assert!(running.next().await.is_none(), "nothing was started");
    running.spawn("task", async { 1 });
    running.spawn_blocking("work", || 2);
    running.spawn("panic", async { std::panic::resume_unwind(Box::new("gone")) });
    running.spawn_blocking("work that panics", || std::panic::resume_unwind(Box::new("too")));
    let mut ends = Vec::new();
    while let Some((name, end)) = running.next().await {
        let end = end.finished("it").map_err(|error| error.to_string());
        ends.push((name, end));
    }
    ends.sort();
    let ended = |reason: &str| Err(format!("it ended unexpectedly: {reason}"));
    let expected = [
        ("panic", ended("gone")),
        ("task", Ok(1)),
        ("work", Ok(2)),
        ("work that panics", ended("too")),
    ];
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn when_all_are_aborted_none_of_them_is_left() {
    let held = Arc::new(());
    let mut running = running();
    for _ in 0..3 {
        let held = Arc::clone(&held);
        running.spawn("waits", async move {
            pending::<()>().await;
            drop(held);
            0
        });
    }
    running.shut_down().await;
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(running.next().await.is_none());
}

#[tokio::test]
async fn a_set_that_is_dropped_aborts_its_tasks() {
    let (sender, mut receiver) = mpsc::channel::<()>(1);
    let mut running = running();
    running.spawn("waits", async move {
        pending::<()>().await;
        drop(sender);
        0
    });
    drop(running);
    assert!(receiver.recv().await.is_none(), "the task is gone");
}

#[tokio::test]
async fn work_that_nobody_waits_for_runs_and_its_panic_stays_with_it() {
    let host = TokioHost::new();
    let (sender, receiver) = oneshot::channel();
    drop(blocking(&host, "alone", move || sender.send(7)));
    assert_eq!(receiver.await, Ok(7));
    let panicked = blocking(&host, "panics", || std::panic::resume_unwind(Box::new("gone")));
    assert!(matches!(panicked.await, End::<()>::Panicked(_)));
}
