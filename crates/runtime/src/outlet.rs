//! The sending end of a channel, with what has not found room in it yet.
//!
//! Invariants: elements leave in the order in which they were pushed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::mpsc::{OwnedPermit, Sender};

type Room<T> = Pin<Box<dyn Future<Output = Result<OwnedPermit<T>, SendError<()>>> + Send>>;

/// The receiver has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

pub(crate) struct Outlet<T> {
    sender: Sender<T>,
    waiting: VecDeque<T>,
    /// Becomes ready when there is room.
    room: Option<Room<T>>,
}

impl<T: Send + 'static> Outlet<T> {
    pub(crate) fn new(sender: Sender<T>) -> Self {
        Self { sender, waiting: VecDeque::new(), room: None }
    }

    pub(crate) fn push(&mut self, element: T) {
        self.waiting.push_back(element);
    }

    /// Ready when everything that was pushed has left.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while let Some(element) = self.waiting.pop_front() {
            let permit = match &mut self.room {
                Some(room) => match room.as_mut().poll(context) {
                    Poll::Ready(Ok(permit)) => permit,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone)),
                    Poll::Pending => {
                        self.waiting.push_front(element);
                        return Poll::Pending;
                    }
                },
                None => match self.sender.try_send(element) {
                    Ok(()) => continue,
                    Err(TrySendError::Closed(_)) => return Poll::Ready(Err(Gone)),
                    Err(TrySendError::Full(element)) => {
                        self.waiting.push_front(element);
                        self.room = Some(Box::pin(self.sender.clone().reserve_owned()));
                        continue;
                    }
                },
            };
            self.room = None;
            permit.send(element);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> std::fmt::Debug for Outlet<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outlet({} waiting)", self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn elements_leave_in_order_as_there_is_room() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outlet = Outlet::new(sender);
        (0..5).for_each(|n| outlet.push(n));
        let first = poll_fn(|context| Poll::Ready(outlet.poll_flush(context))).await;
        assert!(first.is_pending());
        for n in 0..3 {
            assert_eq!(receiver.recv().await, Some(n));
            let _ = poll_fn(|context| Poll::Ready(outlet.poll_flush(context))).await;
        }
        outlet.push(5);
        let (end, left) = tokio::join!(poll_fn(|context| outlet.poll_flush(context)), async {
            [receiver.recv().await, receiver.recv().await, receiver.recv().await]
        });
        assert_eq!((end, left), (Ok(()), [Some(3), Some(4), Some(5)]));
    }

    #[tokio::test]
    async fn a_receiver_that_has_ended_is_noticed() {
        let (sender, receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        (0..2).for_each(|n| outlet.push(n));
        let pending = poll_fn(|context| Poll::Ready(outlet.poll_flush(context))).await;
        assert!(pending.is_pending());
        drop(receiver);
        assert_eq!(poll_fn(|context| outlet.poll_flush(context)).await, Err(Gone));
    }
}
