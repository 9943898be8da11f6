use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use crate::runtime::wait::BoxFuture;

/// Futures that go on side by side.
pub(super) struct Pending<T>(Vec<BoxFuture<T>>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pending<T> {
    pub(super) fn push(&mut self, future: BoxFuture<T>) {
        self.0.push(future);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is ready. A future that panics is dropped, and gives nothing.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Vec<T> {
        let mut ready = Vec::new();
        self.0.retain_mut(|future| {
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Ready(value)) => ready.push(value),
                Ok(Poll::Pending) => return true,
                Err(_) => tracing::error!("an answer to an ask panicked"),
            }
            false
        });
        ready
    }
}
