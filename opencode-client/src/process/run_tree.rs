//! The processes of one run, real or imagined, and work on them, which blocks, for a pump, which must not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use opencode_proto::Signal;

use super::process_tree::{Marker, ProcessTree, ProcessTreeError, SweepError, SweepLimits};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::BoxFuture;
use crate::runtime::{ProcessControl, Runtime};

/// The process that a runtime started, with all that it started.
#[derive(Debug)]
pub(crate) enum RunTree {
    /// The runtime ends them.
    Imagined { id: u32, control: Arc<dyn ProcessControl> },
    /// We end them.
    Real(ProcessTree),
}

impl RunTree {
    /// The tree below a process that was just started: see [`ProcessTree::new`].
    pub(crate) fn new(runtime: &dyn Runtime, id: u32, marker: Marker) -> Self {
        match runtime.process_control() {
            Some(control) => Self::Imagined { id, control },
            None => Self::Real(ProcessTree::new(id, marker)),
        }
    }

    /// See [`ProcessTree::terminate`].
    pub(crate) fn terminate(&mut self) -> Result<(), ProcessTreeError> {
        match self {
            Self::Imagined { id, control } => control.terminate(*id),
            Self::Real(tree) => return tree.terminate(),
        }
        Ok(())
    }

    /// See [`ProcessTree::kill`].
    pub(crate) fn kill(&mut self) -> Result<(), ProcessTreeError> {
        match self {
            Self::Imagined { id, control } => control.kill(*id),
            Self::Real(tree) => return tree.kill(),
        }
        Ok(())
    }

    /// See [`ProcessTree::sweep`].
    pub(crate) fn sweep(&mut self, limits: SweepLimits) -> Result<(), SweepError> {
        match self {
            Self::Imagined { id, control } => control.kill(*id),
            Self::Real(tree) => return tree.sweep(limits),
        }
        Ok(())
    }
}

/// Jobs on one process tree: one at a time, in order.
#[derive(Default)]
pub(crate) struct TreeJobs {
    running: Option<RunningJob>,
    waiting: VecDeque<TreeJob>,
}

/// What goes on; to be waited for before the tree is cleaned up.
pub(crate) type RunningJob = BoxFuture<()>;

#[derive(Clone, Copy, Debug)]
enum TreeJob {
    Kill,
    Sweep,
    Terminate,
}

impl TreeJobs {
    /// Signals the processes of the tree.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.waiting.push_back(match signal {
            Signal::Kill => TreeJob::Kill,
            Signal::Terminate => TreeJob::Terminate,
        });
    }

    /// Ends what is left of the tree.
    pub(crate) fn sweep(&mut self) {
        self.waiting.push_back(TreeJob::Sweep);
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

fn carry_out(job: TreeJob, tree: &Mutex<RunTree>) {
    let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
    // What does not work here is told when the tree is cleaned up after: then it counts what is left.
    let done = match job {
        TreeJob::Kill => tree.kill().map_err(|error| error.to_string()),
        TreeJob::Sweep => tree.sweep(SweepLimits::default()).map_err(|error| error.to_string()),
        TreeJob::Terminate => tree.terminate().map_err(|error| error.to_string()),
    };
    if let Err(error) = done {
        tracing::warn!(?job, %error, "cannot end all processes of a tree");
    }
}
