//! Processes of one run, real or simulated, and jobs on them, which run on threads that may block.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use opencode_proto::Signal;

use super::process_tree::{Marker, ProcessTree, ProcessTreeError, SweepError, SweepLimits};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::BoxFuture;
use crate::runtime::{ProcessControl, Runtime};

/// A process of the runtime with all its descendants.
#[derive(Debug)]
pub(crate) enum RunTree {
    /// Simulated processes, which the runtime ends.
    Simulated { id: u32, control: Arc<dyn ProcessControl> },
    /// Processes of the operating system, which the client ends.
    Real(ProcessTree),
}

impl RunTree {
    /// Creates the tree of a process that has just started: see [`ProcessTree::new`].
    pub(crate) fn new(runtime: &dyn Runtime, id: u32, marker: Marker) -> Self {
        match runtime.process_control() {
            Some(control) => Self::Simulated { id, control },
            None => Self::Real(ProcessTree::new(id, marker)),
        }
    }

    /// Asks all processes to exit: see [`ProcessTree::terminate`].
    pub(crate) fn terminate(&mut self) -> Result<(), ProcessTreeError> {
        match self {
            Self::Simulated { id, control } => control.terminate(*id),
            Self::Real(tree) => return tree.terminate(),
        }
        Ok(())
    }

    /// Kills all processes: see [`ProcessTree::kill`].
    pub(crate) fn kill(&mut self) -> Result<(), ProcessTreeError> {
        match self {
            Self::Simulated { id, control } => control.kill(*id),
            Self::Real(tree) => return tree.kill(),
        }
        Ok(())
    }

    /// Returns the processor time of all processes: see [`ProcessTree::processor_time`].
    pub(crate) fn processor_time(&self) -> Option<u64> {
        match self {
            Self::Simulated { .. } => None,
            Self::Real(tree) => tree.processor_time(),
        }
    }

    /// Ends all leftover processes: see [`ProcessTree::sweep`].
    pub(crate) fn sweep(&mut self, limits: SweepLimits) -> Result<(), SweepError> {
        match self {
            Self::Simulated { id, control } => control.kill(*id),
            Self::Real(tree) => return tree.sweep(limits),
        }
        Ok(())
    }
}

/// Queue of jobs on one process tree, which run one at a time, in order.
#[derive(Default)]
pub(crate) struct TreeJobs {
    running: Option<RunningJob>,
    waiting: VecDeque<TreeJob>,
}

/// The job that is running, to be awaited before the cleanup of the tree.
pub(crate) type RunningJob = BoxFuture<()>;

#[derive(Clone, Copy, Debug)]
enum TreeJob {
    Kill,
    Sweep,
    Terminate,
}

impl TreeJobs {
    /// Queues a signal to the processes of the tree.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.waiting.push_back(match signal {
            Signal::Kill => TreeJob::Kill,
            Signal::Terminate => TreeJob::Terminate,
        });
    }

    /// Queues the end of all leftover processes.
    pub(crate) fn sweep(&mut self) {
        self.waiting.push_back(TreeJob::Sweep);
    }

    /// Continues with the jobs. Returns true when a job began or ended.
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

    /// Returns true when no job is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    pub(crate) fn into_running(self) -> Option<RunningJob> {
        self.running
    }
}

fn carry_out(job: TreeJob, tree: &Mutex<RunTree>) {
    let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
    // The cleanup after the run reports the processes that are left, so an error is only logged.
    let done = match job {
        TreeJob::Kill => tree.kill().map_err(|error| error.to_string()),
        TreeJob::Sweep => tree.sweep(SweepLimits::default()).map_err(|error| error.to_string()),
        TreeJob::Terminate => tree.terminate().map_err(|error| error.to_string()),
    };
    if let Err(error) = done {
        tracing::warn!(?job, %error, "cannot end all processes of a run");
    }
}
