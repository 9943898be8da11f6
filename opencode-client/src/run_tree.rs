//! The processes of one run, real or imagined.

use std::sync::Arc;

use crate::process_tree::{Marker, ProcessTree, ProcessTreeError, SweepError, SweepLimits};
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
