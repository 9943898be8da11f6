//! A runtime that holds blocking work until the test runs it, to stop a run between the steps.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use opencode_client::runtime::{Connecting, Process, ProcessControl, Runtime, Timer};
use opencode_client::{RunEvent, RunStream};

use crate::conformance::Host;
use crate::conformance::world::until_phase;

type BlockingWork = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(crate) struct HeldRuntime {
    host: Host,
    waiting: Arc<Mutex<HeldWork>>,
}

#[derive(Default)]
struct HeldWork {
    work: VecDeque<BlockingWork>,
    waker: Option<Waker>,
}

impl HeldRuntime {
    pub(crate) fn new(on: &Host) -> Self {
        Self { host: on.clone(), waiting: Arc::default() }
    }

    /// Number of held work items.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().unwrap().work.len()
    }

    /// Runs the oldest work item on this thread.
    pub(crate) fn work(&self) {
        let work = self.waiting.lock().unwrap().work.pop_front();
        work.expect("held work")();
    }

    /// Runs all work items on this thread.
    pub(crate) fn work_all(&self) {
        while self.len() > 0 {
            self.work();
        }
    }

    /// Drops all work, as a runtime does at the shutdown.
    pub(crate) fn shut_down(&self) {
        self.waiting.lock().unwrap().work.clear();
    }

    /// Polls a run, and runs the work, until the next event.
    pub(crate) async fn next_event(&self, run: &mut RunStream) -> Option<RunEvent> {
        self.working(run.next_event()).await
    }

    /// Polls a run that has no event, and runs the work, until `condition` holds.
    pub(crate) async fn until(&self, run: &mut RunStream, condition: impl FnMut() -> bool) {
        self.working(self.host.until(run, condition)).await;
    }

    /// Polls a run, and runs the work, until the preparation is held.
    pub(crate) async fn until_preparing(&self, run: &mut RunStream) {
        self.working(until_phase(run, "preparing")).await;
        assert_eq!(self.len(), 1, "no preparation is held");
    }

    /// Polls a run, and runs the work, until only the cleanup is left.
    pub(crate) async fn until_ending(&self, run: &mut RunStream) {
        self.working(until_phase(run, "ending")).await;
        assert_ne!(self.len(), 0, "no cleanup work is held");
    }

    /// Polls a future, and runs all work, until the future is ready.
    async fn working<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(done) = future.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                if self.poll_came(cx).is_pending() {
                    return Poll::Pending;
                }
                self.work();
            }
        })
        .await
    }

    /// Ready when there is work.
    fn poll_came(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock().unwrap();
        if !waiting.work.is_empty() {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for HeldRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldRuntime").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl Runtime for HeldRuntime {
    fn now(&self) -> Instant {
        self.host.runtime().now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.host.runtime().timer(at)
    }

    fn blocking(&self, work: BlockingWork) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.work.push_back(work);
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        self.host.runtime().process(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        self.host.runtime().connect(host, port)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.host.runtime().spawn(task);
    }

    fn system_time(&self) -> SystemTime {
        self.host.runtime().system_time()
    }

    fn random(&self) -> u64 {
        self.host.runtime().random()
    }

    fn secret(&self) -> u128 {
        self.host.runtime().secret()
    }

    fn process_control(&self) -> Option<Arc<dyn ProcessControl>> {
        self.host.runtime().process_control()
    }
}
