use std::fmt;
use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// Limit on the wait for cleanup in progress when the last handle is dropped.
const ENDING_MAX: Duration = Duration::from_secs(1);

/// Runtime with one thread, for work that continues between two calls.
#[derive(Clone)]
pub(super) struct Worker(Arc<Owned>);

/// The runtime; `None` while the runtime is being dropped.
struct Owned(Option<Runtime>);

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("opencode").enable_all();
        Ok(Self(Arc::new(Owned(Some(builder.build()?)))))
    }

    pub(super) fn hold<T>(self, value: T) -> Held<T> {
        Held { value: Some(value), worker: self }
    }

    fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("the runtime lives as long as its handles").handle()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        if Handle::try_current().is_ok() {
            // A drop inside an async runtime may not wait.
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(ENDING_MAX);
        }
    }
}

/// An async handle with the runtime that drives and drops the handle.
pub(super) struct Held<T> {
    /// `None` while the handle is being dropped.
    value: Option<T>,
    worker: Worker,
}

impl<T> Held<T> {
    /// Wraps a value made from this handle, on the same runtime.
    pub(super) fn beside<U>(&self, value: U) -> Held<U> {
        self.worker.clone().hold(value)
    }

    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.worker.handle().block_on(future)
    }

    /// Waits for a future that borrows the value.
    pub(super) fn wait_mut<'a, R>(&'a mut self, wait: impl AsyncFnOnce(&'a mut T) -> R) -> R {
        let value = self.value.as_mut().expect(THERE);
        self.worker.handle().block_on(wait(value))
    }

    /// Waits for a future that consumes the value.
    pub(super) fn end<R>(mut self, wait: impl AsyncFnOnce(T) -> R) -> R {
        let value = self.value.take().expect(THERE);
        self.worker.handle().block_on(wait(value))
    }

    /// Converts the value.
    pub(super) fn map<U>(mut self, change: impl FnOnce(T) -> U) -> Held<U> {
        let value = self.value.take().expect(THERE);
        self.beside(change(value))
    }
}

const THERE: &str = "it is there until it is dropped or used up";

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(THERE)
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(THERE)
    }
}

impl<T: Clone> Clone for Held<T> {
    fn clone(&self) -> Self {
        self.beside(T::clone(self))
    }
}

impl<T: fmt::Debug> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // Aborts in the background need the runtime.
        let _entered = self.worker.handle().enter();
        drop(self.value.take());
    }
}
