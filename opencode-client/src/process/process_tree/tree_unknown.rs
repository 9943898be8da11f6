//! Process tree elsewhere: only the direct child is known, and the owner of the child ends it.

use super::{Marker, ProcessTreeError, SweepError, SweepLimits};

/// Process tree without members, on which every operation succeeds.
#[derive(Debug)]
pub(crate) struct UnknownTree(());

impl UnknownTree {
    pub(crate) fn new(_root_pid: u32, _marker: Marker) -> Self {
        Self(())
    }

    pub(crate) fn left(_marker: Marker) -> Self {
        Self(())
    }

    pub(crate) fn processor_time(&self) -> Option<u64> {
        None
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
