//! A value that is set once, with any number of waiting tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A value that is set once. All waiting and later tasks get the value.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    state: Mutex<LatchState<T>>,
}

#[derive(Debug)]
struct LatchState<T> {
    value: Option<Arc<T>>,
    waiting: BTreeMap<u64, Waker>,
    next_number: u64,
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        let state = LatchState { value: None, waiting: BTreeMap::new(), next_number: 0 };
        Self { state: Mutex::new(state) }
    }
}

impl<T> Latch<T> {
    /// Sets the value, unless there is one already.
    pub(crate) fn set(&self, value: T) {
        let mut state = self.lock();
        if state.value.is_some() {
            return;
        }
        state.value = Some(Arc::new(value));
        let waiting = std::mem::take(&mut state.waiting);
        // Wakers run without the lock, because a woken task may lock the state at once.
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    pub(crate) fn value(&self) -> Option<Arc<T>> {
        self.lock().value.clone()
    }

    /// Waits until the value is set. Cancel safe: a dropped future loses nothing.
    pub(crate) fn wait(&self) -> Wait<'_, T> {
        Wait { latch: self, number: None }
    }

    /// Locks the state, which is consistent between any two statements, also after a panic.
    fn lock(&self) -> MutexGuard<'_, LatchState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a [`Latch`] on drop, so that no task waits for a value that will never come.
#[derive(Debug)]
pub(crate) struct SetOnDrop<'a, T>(pub(crate) &'a Latch<T>, pub(crate) fn() -> T);

impl<T> Drop for SetOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.set((self.1)());
    }
}

/// Future of [`Latch::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub(crate) struct Wait<'a, T> {
    latch: &'a Latch<T>,
    number: Option<u64>,
}

impl<T> Future for Wait<'_, T> {
    type Output = Arc<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<T>> {
        let mut state = self.latch.lock();
        if let Some(value) = &state.value {
            return Poll::Ready(Arc::clone(value));
        }
        let number = self.number.unwrap_or(state.next_number);
        state.next_number = state.next_number.max(number + 1);
        let replaced = state.waiting.insert(number, cx.waker().clone());
        drop(state);
        drop(replaced);
        self.number = Some(number);
        Poll::Pending
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.latch.lock().waiting.remove(&number);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn the_first_value_stays_and_everybody_gets_it() {
        let latch = Latch::default();
        assert_eq!(latch.value(), None);
        let both = async {
            let (mut one, mut two) = (pin!(latch.wait()), pin!(latch.wait()));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(one.as_mut().poll(&mut cx).is_pending());
            assert!(two.as_mut().poll(&mut cx).is_pending());
            latch.set(1);
            latch.set(2);
            (*one.await, *two.await)
        };
        assert_eq!(both.await, (1, 1));
        assert_eq!(*latch.wait().await, 1);
    }

    #[tokio::test]
    async fn a_waiting_task_is_woken() {
        let latch = Arc::new(Latch::default());
        let other = Arc::clone(&latch);
        let task = tokio::spawn(async move { *other.wait().await });
        tokio::task::yield_now().await;
        latch.set("done");
        assert_eq!(task.await.unwrap(), "done");
    }

    #[test]
    fn who_stops_waiting_is_forgotten() {
        let latch = Latch::<()>::default();
        {
            let mut wait = pin!(latch.wait());
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(wait.as_mut().poll(&mut cx).is_pending());
            }
            assert_eq!(latch.lock().waiting.len(), 1);
        }
        assert_eq!(latch.lock().waiting.len(), 0);
    }
}
