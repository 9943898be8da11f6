//! tokio, whose blocking work waits for the test: so the moments between two steps of a run can be looked at.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use opencode_tokio::{Connecting, Process, RunEvent, RunStream, Runtime, Timer, TokioRuntime};
use tokio::sync::Notify;

use crate::world::{until, until_phase};

type Work = Box<dyn FnOnce() + Send>;

#[derive(Clone, Default)]
pub(crate) struct Held {
    tokio: TokioRuntime,
    waiting: Arc<Mutex<VecDeque<Work>>>,
    came: Arc<Notify>,
}

impl Held {
    /// How much work waits.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    /// Does the work that has waited longest, here and now.
    pub(crate) fn work(&self) {
        let work = self.waiting.lock().unwrap().pop_front();
        work.expect("there is work")();
    }

    /// Does all work that waits, here and now.
    pub(crate) fn work_all(&self) {
        while self.len() > 0 {
            self.work();
        }
    }

    /// Drops all work, as a runtime does that shuts down.
    pub(crate) fn shut_down(&self) {
        self.waiting.lock().unwrap().clear();
    }

    /// Goes on with a run, and does its work, until its next event.
    pub(crate) async fn next_event(&self, run: &mut RunStream) -> Option<RunEvent> {
        loop {
            tokio::select! {
                biased;
                event = run.next_event() => return event,
                () = self.came() => self.work(),
            }
        }
    }

    /// Goes on with a run that has no event to tell, and does its work, until `condition` holds.
    pub(crate) async fn until(&self, run: &mut RunStream, condition: impl FnMut() -> bool) {
        let mut until = pin!(until(run, condition));
        loop {
            tokio::select! {
                biased;
                () = &mut until => return,
                () = self.came() => self.work(),
            }
        }
    }

    /// Goes on with a run, and does its work, until there is only its clean-up left to do.
    pub(crate) async fn until_ending(&self, run: &mut RunStream) {
        loop {
            tokio::select! {
                biased;
                () = until_phase(run, "ending") => return assert_ne!(self.len(), 0, "work"),
                () = self.came() => self.work(),
            }
        }
    }

    /// Ready as soon as there is work.
    async fn came(&self) {
        while self.len() == 0 {
            self.came.notified().await;
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl Runtime for Held {
    fn now(&self) -> Instant {
        self.tokio.now()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.tokio.timer(at)
    }

    fn blocking(&self, work: Work) {
        self.waiting.lock().unwrap().push_back(work);
        self.came.notify_one();
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        self.tokio.process(command)
    }

    fn connect(&self, host: &str, port: u16) -> Connecting {
        self.tokio.connect(host, port)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.tokio.spawn(task);
    }
}
