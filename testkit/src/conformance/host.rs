//! The adapter under test, and the services of the runtime that cases use besides the client.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use futures_channel::oneshot;
use futures_util::future::{AbortHandle, Abortable, Either, select};
use opencode_client::runtime::{Connecting, Process, ProcessControl, Runtime, Timer};
use opencode_client::{Builder, OpenCode, RunStream};

use super::{Adapter, CaseFuture};

/// An adapter under test: the runtime, and the running test.
#[derive(Clone, Debug)]
pub struct Host {
    runtime: AnyRuntime,
    block_on: fn(CaseFuture<'_>),
    /// Path of the running test, with the crate; empty outside of the list.
    test: &'static str,
    directory: &'static str,
}

/// A runtime of any adapter.
#[derive(Clone)]
pub struct AnyRuntime(Arc<dyn Runtime>);

/// A spawned task. Dropping the handle leaves the task running.
#[derive(Debug)]
pub struct SpawnedTask<T> {
    done: oneshot::Receiver<Option<T>>,
    abort: AbortHandle,
    over: Arc<AtomicBool>,
}

impl Host {
    /// Creates a host whose tests may write to `directory`.
    #[doc(hidden)]
    #[must_use]
    pub fn new<A: Adapter>(directory: &'static str) -> Self {
        let runtime = AnyRuntime(Arc::new(A::runtime()));
        Self { runtime, block_on: |future| A::block_on(future), test: "", directory }
    }

    /// Creates a host from a runtime, for a test that polls futures by itself.
    #[must_use]
    pub fn of(runtime: impl Runtime) -> Self {
        let block_on = |_: CaseFuture<'_>| panic!("this test polls futures by itself");
        Self { runtime: AnyRuntime(Arc::new(runtime)), block_on, test: "", directory: "" }
    }

    /// The same host in a test of the list.
    pub(super) fn in_test(self, test: &'static str) -> Self {
        Self { test, ..self }
    }

    /// Polls a future to the end on this thread.
    pub fn block_on(&self, future: impl Future<Output = ()>) {
        (self.block_on)(Box::pin(future));
    }

    /// Runtime of the adapter.
    #[must_use]
    pub fn runtime(&self) -> AnyRuntime {
        self.runtime.clone()
    }

    /// Creates a client handle.
    #[must_use]
    pub fn opencode(&self) -> OpenCode {
        OpenCode::new(self.runtime())
    }

    /// Creates a builder for a client handle.
    pub fn builder(&self) -> Builder {
        OpenCode::builder(self.runtime())
    }

    /// Name of the running test, as the test harness knows it.
    pub(super) fn test(&self) -> &'static str {
        let (_crate, test) = self.test.split_once("::").expect("a test of the list");
        test
    }

    /// Directory for files that outlive a test.
    pub(super) fn directory(&self) -> &'static str {
        self.directory
    }

    /// Waits for `time`.
    pub async fn sleep(&self, time: Duration) {
        self.runtime.timer(self.runtime.now() + time).await;
    }

    /// Waits for the future, at most for `limit`.
    ///
    /// # Panics
    ///
    /// When the future takes longer than the limit.
    pub async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> T {
        match select(pin!(future), pin!(self.sleep(limit))).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => panic!("not within {limit:?}"),
        }
    }

    /// Polls until `condition` holds, for conditions without an event.
    pub async fn eventually(&self, mut condition: impl FnMut() -> bool) {
        let wait = async {
            while !condition() {
                self.sleep(Duration::from_millis(5)).await;
            }
        };
        self.within(super::LONG, wait).await;
    }

    /// Polls a run that has no event until `condition` holds, for conditions without an event.
    pub(crate) async fn until(&self, run: &mut RunStream, condition: impl FnMut() -> bool) {
        match select(pin!(self.eventually(condition)), pin!(run.next_event())).await {
            Either::Left(((), _)) => {}
            Either::Right((event, _)) => panic!("unexpected event: {event:?}"),
        }
    }

    /// Spawns a future.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> SpawnedTask<T> {
        let (done, receiver) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let task = Abortable::new(future, registration);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        self.runtime.spawn(Box::pin(async move {
            // Everything that the task held is dropped before it counts as over. The receiver may
            // be gone.
            let result = task.await.ok();
            is_over.store(true, Ordering::SeqCst);
            let _ = done.send(result);
        }));
        SpawnedTask { done: receiver, abort, over }
    }

    /// Runs blocking work on a thread that may block.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (done, receiver) = oneshot::channel();
        self.runtime.blocking(Box::new(move || {
            let _ = done.send(work());
        }));
        receiver.await.expect("the work does not panic")
    }
}

impl<T> SpawnedTask<T> {
    /// Returns whether the task is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Aborts the task, and waits until everything that it held is dropped.
    pub async fn abort(self) {
        self.abort.abort();
        assert!(self.done.await.is_ok_and(|done| done.is_none()), "the task was over already");
    }
}

impl<T> Future for SpawnedTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        let done = Pin::new(&mut self.done).poll(cx);
        done.map(|done| done.expect("the task does not panic").expect("the task is not aborted"))
    }
}

/// Lets other tasks run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl fmt::Debug for AnyRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Runtime for AnyRuntime {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.0.timer(at)
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.blocking(work);
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        self.0.process(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        self.0.connect(host, port)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task);
    }

    fn system_time(&self) -> SystemTime {
        self.0.system_time()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }

    fn secret(&self) -> u128 {
        self.0.secret()
    }

    fn process_control(&self) -> Option<Arc<dyn ProcessControl>> {
        self.0.process_control()
    }
}
