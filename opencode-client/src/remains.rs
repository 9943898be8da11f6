//! What a process leaves, and its removal.

use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking::unblock;
use crate::error::CleanupError;
use crate::opencode::Inner;
use crate::private_dir::PrivateDir;
use crate::process_tree::{Marker, ProcessTree, SweepLimits};

/// The processes and files of a run. Dropping it ends and removes them on the spot.
pub(crate) struct Remains {
    inner: Arc<Inner>,
    token: String,
    tree: Option<Arc<Mutex<ProcessTree>>>,
    private_dir: Option<PrivateDir>,
}

impl Remains {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        private_dir: PrivateDir,
        marker: &Marker,
        tree: ProcessTree,
    ) -> Self {
        let mut remains = Self::without_process(inner, private_dir, marker);
        remains.tree = Some(Arc::new(Mutex::new(tree)));
        remains
    }

    /// What is left when the process could not be started.
    pub(crate) fn without_process(inner: &Arc<Inner>, private_dir: PrivateDir, marker: &Marker) -> Self {
        Self {
            inner: Arc::clone(inner),
            token: marker.token().to_owned(),
            tree: None,
            private_dir: Some(private_dir),
        }
    }

    pub(crate) fn tree(&self) -> Option<Arc<Mutex<ProcessTree>>> {
        self.tree.clone()
    }

    /// Ends what still runs and removes what was written, where that may block.
    pub(crate) async fn remove(self) -> Result<(), CleanupError> {
        let runtime = Arc::clone(&self.inner.runtime);
        unblock(&runtime, move || {
            let mut remains = self;
            remains.remove_now()
        })
        .await
    }

    fn remove_now(&mut self) -> Result<(), CleanupError> {
        let swept = match self.tree.take() {
            Some(tree) => {
                let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
                tree.sweep(SweepLimits::default()).map_err(CleanupError::from)
            }
            None => Ok(()),
        };
        let removed = match self.private_dir.take() {
            Some(private_dir) => private_dir.remove().map_err(CleanupError::from),
            None => return Ok(()),
        };
        if swept.is_ok()
            && removed.is_ok()
            && let Err(error) = self.inner.guardian.done(&self.token)
        {
            tracing::debug!(%error, "the guardian is gone");
        }
        swept.and(removed)
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(tree) = &self.tree {
            let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = tree.kill() {
                tracing::warn!(%error, "cannot end all processes of a run that was dropped");
            }
        }
        if let Err(error) = self.remove_now() {
            tracing::warn!(%error, "cannot clean up after a run that was dropped");
        }
    }
}
