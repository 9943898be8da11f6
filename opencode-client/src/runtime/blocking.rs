use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use crate::runtime::Runtime;

/// Runs `work` where it may block and waits for what it returns. When the caller stops waiting, `work` still runs to
/// its end and what it returned is dropped there.
///
/// # Panics
///
/// When `work` panics.
pub(crate) async fn unblock<T: Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (give, take) = oneshot::channel();
    runtime.blocking(Box::new(move || {
        // Nobody waits any more: then dropping the result is what is left to do with it.
        let _ = give.send(work());
    }));
    take.await.expect("blocking work ends by returning")
}

/// The same for work that must not outlive its caller. When the caller stops waiting, work that has not begun is
/// dropped, and work that has is waited for, and what it returned is dropped, before the drop returns.
///
/// # Panics
///
/// When `work` panics.
pub(crate) async fn unblock_bound<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    work: W,
) -> T {
    let bound = Bound(Arc::new(Mutex::new(WorkProgress::Waiting(work))));
    let progress = Arc::clone(&bound.0);
    unblock(runtime, move || {
        // Locked until it is done: this is what the drop waits for.
        let mut progress = lock(&progress);
        if let WorkProgress::Waiting(work) = mem::replace(&mut *progress, WorkProgress::Over) {
            *progress = WorkProgress::Returned(work());
        }
    })
    .await;
    match bound.take() {
        WorkProgress::Returned(value) => value,
        WorkProgress::Over | WorkProgress::Waiting(_) => unreachable!("it was waited for"),
    }
}

/// Takes the work with it when it is dropped.
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

/// The progress is over while work goes on, so a panic of it spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
