//! Without Unix: the direct child is all that is known, and its owner ends it.

use super::{Marker, ProcessTreeError, SweepError, SweepLimits};

/// See the Unix version; here every operation finds nothing to do.
#[derive(Debug)]
pub(crate) struct ProcessTree(());

impl ProcessTree {
    pub(crate) fn new(_root_pid: u32, _marker: Marker) -> Self {
        Self(())
    }

    pub(crate) fn terminate(&mut self) -> Result<(), ProcessTreeError> {
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<(), ProcessTreeError> {
        Ok(())
    }

    pub(crate) fn sweep(&mut self, _limits: SweepLimits) -> Result<(), SweepError> {
        Ok(())
    }
}
