//! Work on a process tree, which blocks, for a pump, which must not.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use opencode_proto::Signal;

use crate::blocking::unblock;
use crate::process_tree::SweepLimits;
use crate::run_tree::RunTree;
use crate::runtime::Runtime;

/// Jobs on one process tree: one at a time, in order.
#[derive(Default)]
pub(crate) struct TreeJobs {
    running: Option<RunningJob>,
    waiting: VecDeque<Job>,
}

/// What goes on; to be waited for before the tree is cleaned up.
pub(crate) type RunningJob = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug)]
enum Job {
    Kill,
    Sweep,
    Terminate,
}

impl TreeJobs {
    /// Signals the processes of the tree.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.waiting.push_back(match signal {
            Signal::Kill => Job::Kill,
            Signal::Terminate => Job::Terminate,
        });
    }

    /// Ends what is left of the tree.
    pub(crate) fn sweep(&mut self) {
        self.waiting.push_back(Job::Sweep);
    }

    /// Goes on with them. Says whether anything changed.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        runtime: &Arc<dyn Runtime>,
        tree: &Arc<Mutex<RunTree>>,
    ) -> bool {
        if let Some(job) = &mut self.running {
            if job.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.running = None;
        }
        let Some(job) = self.waiting.pop_front() else { return false };
        let (runtime, tree) = (Arc::clone(runtime), Arc::clone(tree));
        self.running =
            Some(Box::pin(async move { unblock(&runtime, move || carry_out(job, &tree)).await }));
        true
    }

    /// Whether all is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    pub(crate) fn into_running(self) -> Option<RunningJob> {
        self.running
    }
}

fn carry_out(job: Job, tree: &Mutex<RunTree>) {
    let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
    // What does not work here is told when the tree is cleaned up after: then it counts what is left.
    let done = match job {
        Job::Kill => tree.kill().map_err(|error| error.to_string()),
        Job::Sweep => tree.sweep(SweepLimits::default()).map_err(|error| error.to_string()),
        Job::Terminate => tree.terminate().map_err(|error| error.to_string()),
    };
    if let Err(error) = done {
        tracing::warn!(?job, %error, "cannot end all processes of a tree");
    }
}
