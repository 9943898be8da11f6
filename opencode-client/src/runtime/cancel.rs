//! Cancellation of a stream by another task.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Handle that cancels a run, a turn, a batch or a typed answer from another task.
///
/// [`cancel`](Self::cancel) does the same as the `cancel` of the stream, and wakes the task that
/// waits for the next event. Clones cancel the same stream. The handle does not keep the stream
/// alive, and has no effect after the end.
///
/// ```no_run
/// # async fn example(session: opencode_tokio::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let turn = session.send("Tidy up the whole repository.");
/// let cancel = turn.cancel_handle();
/// std::thread::spawn(move || {
///     // The user presses the return key.
///     if std::io::stdin().read_line(&mut String::new()).is_ok() {
///         cancel.cancel();
///     }
/// });
/// println!("{}", turn.await?.text());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CancelHandle(Arc<Mutex<CancelState>>);

/// The stream's side of a [`CancelHandle`].
pub(crate) struct CancelSignal(CancelHandle);

#[derive(Default)]
struct CancelState {
    is_requested: bool,
    waker: Option<Waker>,
}

impl CancelHandle {
    /// Cancels the stream: see [`RunStream::cancel`](crate::RunStream::cancel),
    /// [`TurnStream::cancel`](crate::TurnStream::cancel) and
    /// [`BatchStream::cancel`](crate::BatchStream::cancel).
    ///
    /// The cancellation begins when the stream is polled the next time.
    pub fn cancel(&self) {
        let waker = {
            let mut state = self.lock();
            state.is_requested = true;
            state.waker.take()
        };
        // Without the lock, because a woken task may poll the stream at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns whether [`cancel`](Self::cancel) was called on this handle or a clone.
    pub fn is_cancelled(&self) -> bool {
        self.lock().is_requested
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancelSignal {
    pub(crate) fn new() -> Self {
        Self(CancelHandle(Arc::default()))
    }

    pub(crate) fn handle(&self) -> CancelHandle {
        self.0.clone()
    }

    /// Returns whether a cancellation was requested. Otherwise a request wakes this task.
    pub(crate) fn poll_requested(&self, cx: &Context<'_>) -> bool {
        let replaced = {
            let mut state = self.0.lock();
            if state.is_requested {
                return true;
            }
            if state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return false;
            }
            state.waker.replace(cx.waker().clone())
        };
        drop(replaced);
        false
    }
}

impl Drop for CancelSignal {
    /// Releases the task of the stream, which handles would keep in memory.
    fn drop(&mut self) {
        let waker = self.0.lock().waker.take();
        drop(waker);
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_cancellation_wakes_the_task_that_polled_last() {
        let signal = CancelSignal::new();
        let handle = signal.handle();
        let wakers = [(); 2].map(|()| Arc::new(CountingWaker::default()));
        for counting in &wakers {
            let waker = Waker::from(Arc::clone(counting));
            assert!(!signal.poll_requested(&Context::from_waker(&waker)));
            assert!(!signal.poll_requested(&Context::from_waker(&waker)));
        }
        assert!(!handle.is_cancelled());
        let other = handle.clone();
        other.cancel();
        handle.cancel();
        assert!(other.is_cancelled());
        assert!(handle.is_cancelled());
        assert_eq!(wakers.map(|waker| waker.0.load(Ordering::SeqCst)), [0, 1]);
        assert!(signal.poll_requested(&Context::from_waker(Waker::noop())));
    }

    #[test]
    fn a_dropped_stream_releases_its_task() {
        let signal = CancelSignal::new();
        let handle = signal.handle();
        let counting = Arc::new(CountingWaker::default());
        let waker = Waker::from(Arc::clone(&counting));
        assert!(!signal.poll_requested(&Context::from_waker(&waker)));
        drop(waker);
        assert_eq!(Arc::strong_count(&counting), 2);
        drop(signal);
        assert_eq!(Arc::strong_count(&counting), 1);
        handle.cancel();
    }
}
