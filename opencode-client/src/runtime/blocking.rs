use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use crate::runtime::Runtime;

/// Runs `work` on a thread that may block, and waits for the result. When the caller stops waiting,
/// `work` still runs to the end, and the result is dropped on that thread.
///
/// # Panics
///
/// Panics when `work` panics.
pub(crate) async fn unblock<T: Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (give, take) = oneshot::channel();
    runtime.blocking(Box::new(move || {
        // An error means that the caller has stopped waiting, and the result is dropped here.
        let _ = give.send(work());
    }));
    take.await.expect("blocking work returns a value")
}

/// Runs `work` like [`unblock`], but never longer than the returned future lives. When the caller
/// stops waiting, work that has not begun is dropped. For work that has begun, the drop of the
/// future waits until the work is done and the result is dropped.
///
/// # Panics
///
/// Panics when `work` panics.
pub(crate) async fn unblock_bound<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    work: W,
) -> T {
    let bound = Bound(Arc::new(Mutex::new(WorkProgress::Waiting(work))));
    let progress = Arc::clone(&bound.0);
    unblock(runtime, move || {
        // The lock is held until the work is done; a drop of the future waits for the lock.
        let mut progress = lock(&progress);
        if let WorkProgress::Waiting(work) = mem::replace(&mut *progress, WorkProgress::Over) {
            *progress = WorkProgress::Returned(work());
        }
    })
    .await;
    match bound.take() {
        WorkProgress::Returned(value) => value,
        WorkProgress::Over | WorkProgress::Waiting(_) => unreachable!("the work was awaited"),
    }
}

/// Drops the work, or waits for the end, when the caller stops waiting.
struct Bound<T, W>(Arc<Mutex<WorkProgress<T, W>>>);

enum WorkProgress<T, W> {
    Over,
    Returned(T),
    Waiting(W),
}

impl<T, W> Bound<T, W> {
    fn take(&self) -> WorkProgress<T, W> {
        mem::replace(&mut *lock(&self.0), WorkProgress::Over)
    }
}

impl<T, W> Drop for Bound<T, W> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Locks the progress, which is `Over` while the work runs, so a panic of the work leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
