//! What a case runs on, and what it may ask of a runtime besides the client.

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
use opencode_client::{
    Builder, Connecting, OpenCode, Process, ProcessControl, RunStream, Runtime, Timer,
};

use super::{Adapter, CaseFuture};

/// An adapter at work: its runtime, and where the tests that were expanded for it are.
#[derive(Clone, Debug)]
pub struct Host {
    runtime: AnyRuntime,
    block_on: fn(CaseFuture<'_>),
    site: Site,
}

/// Where the list was expanded.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Site {
    /// The path of the module.
    pub module: &'static str,
    /// Where the tests of its package may write.
    pub directory: &'static str,
}

/// Any runtime, as one of no particular type.
#[derive(Clone)]
pub struct AnyRuntime(Arc<dyn Runtime>);

/// A task that goes on by itself. Dropping this leaves it running.
#[derive(Debug)]
pub struct Task<T> {
    done: oneshot::Receiver<Option<T>>,
    abort: AbortHandle,
    over: Arc<AtomicBool>,
}

impl Host {
    #[doc(hidden)]
    #[must_use]
    pub fn new<A: Adapter>(site: Site) -> Self {
        let runtime = AnyRuntime(Arc::new(A::runtime()));
        Self { runtime, block_on: |future| A::block_on(future), site }
    }

    /// A runtime, for a test that polls by itself.
    #[must_use]
    pub fn of(runtime: impl Runtime) -> Self {
        let site = Site { module: module_path!(), directory: "" };
        let block_on = |_: CaseFuture<'_>| panic!("the test polls by itself");
        Self { runtime: AnyRuntime(Arc::new(runtime)), block_on, site }
    }

    /// Polls a future to its end, here and now.
    pub fn block_on(&self, future: impl Future<Output = ()>) {
        (self.block_on)(Box::pin(future));
    }

    /// Its runtime.
    #[must_use]
    pub fn runtime(&self) -> AnyRuntime {
        self.runtime.clone()
    }

    /// A handle on it.
    #[must_use]
    pub fn opencode(&self) -> OpenCode {
        OpenCode::new(self.runtime())
    }

    /// A handle on it, with choices.
    pub fn builder(&self) -> Builder {
        OpenCode::builder(self.runtime())
    }

    /// The test that is no test, but this program's part as a program of its own.
    pub(super) fn part(&self) -> String {
        let (_program, module) = self.site.module.split_once("::").unwrap_or_default();
        let separator = if module.is_empty() { "" } else { "::" };
        format!("{module}{separator}plays_its_part")
    }

    /// Where what outlives a test may be.
    pub(super) fn directory(&self) -> &'static str {
        self.site.directory
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        self.runtime.timer(self.runtime.now() + time).await;
    }

    /// What the future gives.
    ///
    /// # Panics
    ///
    /// When it takes longer than the limit.
    pub async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> T {
        match select(pin!(future), pin!(self.sleep(limit))).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => panic!("not within {limit:?}"),
        }
    }

    /// Waits until `condition` holds, of which nobody is told.
    pub async fn eventually(&self, mut condition: impl FnMut() -> bool) {
        let wait = async {
            while !condition() {
                self.sleep(Duration::from_millis(5)).await;
            }
        };
        self.within(super::LONG, wait).await;
    }

    /// Goes on with a run that has no event to tell until `condition` holds, of which nobody is told.
    pub(crate) async fn until(&self, run: &mut RunStream, condition: impl FnMut() -> bool) {
        match select(pin!(self.eventually(condition)), pin!(run.next_event())).await {
            Either::Left(((), _)) => {}
            Either::Right((event, _)) => panic!("did not wait: {event:?}"),
        }
    }

    /// Lets a future go on by itself.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let (done, receiver) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let task = Abortable::new(future, registration);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        self.runtime.spawn(Box::pin(async move {
            // What it held is gone when it is told to be over. Nobody may wait for that.
            let result = task.await.ok();
            is_over.store(true, Ordering::SeqCst);
            let _ = done.send(result);
        }));
        Task { done: receiver, abort, over }
    }

    /// Does what blocks where that hurts no task.
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

impl<T> Task<T> {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends it where it waits. It is gone when this is ready.
    pub async fn abort(self) {
        self.abort.abort();
        assert!(self.done.await.is_ok_and(|done| done.is_none()), "it was over before");
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        let done = Pin::new(&mut self.done).poll(cx);
        done.map(|done| done.expect("the task does not panic").expect("nobody aborts it"))
    }
}

/// Lets other tasks go on.
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
