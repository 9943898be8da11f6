//! What a process leaves, and its removal.

use std::sync::{Arc, Mutex, PoisonError};

use opencode_config::IsolationPlan;

use crate::process::guardian::GuardianError;
use crate::process::host::Host;
use crate::process::private_dir::{PrivateDir, PrivateDirError};
use crate::process::process_tree::{Marker, SweepError, SweepLimits};
use crate::process::run_tree::RunTree;
use crate::runtime::blocking::unblock_bound;

/// What a run left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CleanupError {
    /// Its private directory is not empty.
    #[error(transparent)]
    PrivateDir(#[from] PrivateDirError),
    /// A process it started still runs, or nobody can tell.
    #[error(transparent)]
    Processes(#[from] SweepError),
    /// The same of the run's own server.
    #[error(transparent)]
    Server(#[from] Arc<Self>),
}

/// The processes and files of a run. Dropping it ends and removes them on the spot.
pub(crate) struct Remains {
    host: Arc<Host>,
    token: String,
    tree: Option<Arc<Mutex<RunTree>>>,
    private_dir: Option<PrivateDir>,
}

impl Remains {
    /// Makes the private directory of a process that is still to be started, and has it guarded, which may fail by
    /// itself. Blocks.
    pub(crate) fn create(
        host: &Arc<Host>,
        marker: &Marker,
        plan: &IsolationPlan,
    ) -> Result<(Self, Result<(), GuardianError>), PrivateDirError> {
        let token = marker.token();
        let root = PrivateDir::root(&host.temp_dir, token);
        // The guardian ends real processes.
        let guarded = match host.runtime.process_control() {
            Some(_) => Ok(()),
            None => host.guardian.watch(token, Some(&root)),
        };
        let private_dir = PrivateDir::create(&host.temp_dir, token, plan).inspect_err(|_| {
            // It is being told that nothing is left to watch; if it cannot be told, it finds nothing.
            let _ = host.guardian.done(token);
        })?;
        let remains = Self {
            host: Arc::clone(host),
            token: token.to_owned(),
            tree: None,
            private_dir: Some(private_dir),
        };
        Ok((remains, guarded))
    }

    /// The process was started.
    pub(crate) fn with_tree(mut self, tree: RunTree) -> Self {
        self.tree = Some(Arc::new(Mutex::new(tree)));
        self
    }

    pub(crate) fn tree(&self) -> Option<Arc<Mutex<RunTree>>> {
        self.tree.clone()
    }

    /// Ends what still runs and removes what was written, where that may block. Dropping the future drops the remains.
    pub(crate) async fn remove(self) -> Result<(), CleanupError> {
        let runtime = Arc::clone(&self.host.runtime);
        unblock_bound(&runtime, move || {
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
            && let Err(error) = self.host.guardian.done(&self.token)
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
